"""The claims of optimal_discriminator: pure functions of its arrays."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, equals
from gan_lab.reports.analysis.statistics import exact, mean, median, share

_DERIVATION = "derived; "
_GOODFELLOW = "Goodfellow et al. 2014, arXiv:1406.2661"
_QUADRATURE = 1e-9  # of two integrals of the same thing, each exact to some 1e-12
_NEAR = 3.0  # stds; further apart hardly a sample tells D how steep to be


def all_claims(arrays: Arrays) -> list[Claim]:
    """Judge the identities at D*, then what training reaches."""
    parts = (identities, _equilibrium, _training, _derivatives)
    return [claim for part in parts for claim in part(arrays)]


def branch(arrays: Arrays) -> np.ndarray:
    """Return the maximum each critic with the two-sided penalty found: 1, -1, 0 (neither), [T, S].

    On a line f' = s + A/(2 weight rho) is stationary for s = 1 (the optimum) and s = -1, with the
    values W_GP and W_GP - 2 W1. Within 5 % of W1 of one of them counts.
    """
    distance = arrays["two_sided/shifts"][:, None]
    best = arrays["two_sided/value_formula"][:, None]
    up = np.abs(arrays["two_sided/value"] - best) <= 0.05 * distance
    down = np.abs(arrays["two_sided/value"] - (best - 2 * distance)) <= 0.05 * distance
    return up.astype(int) - down.astype(int)


def identities(arrays: Arrays) -> list[Claim]:
    """Judge both sides of every identity, by quadrature and autograd."""
    both, bottou = ("1d", "2d"), "Arjovsky and Bottou 2017, arXiv:1701.04862"

    def gap(key: str, pairs: tuple[str, ...]) -> float:
        sides = [(arrays[f"{p}/{key}"], arrays[f"{p}/{key}_formula"]) for p in pairs]
        return max(float(np.abs(value - formula).max()) for value, formula in sides)

    rows = [
        (
            *("value_at_optimum", "value", both, f"{_GOODFELLOW}, theorem 1"),
            "V(D*) = 2 JS - 2 log 2",
        ),
        (
            *("minimax_loss_at_optimum", "minimax_loss", both, f"{_GOODFELLOW}, section 4"),
            "E_fake log(1 - D*) = KL(Pg||M) - log 2, the generator's own loss",
        ),
        (
            *("minimax_gradient", "minimax_gradient", both, f"{_GOODFELLOW}, section 4"),
            "the minimax generator's gradient at fixed D* is grad 2 JS",
        ),
        (
            *("non_saturating_gradient", "non_saturating_gradient", both, bottou),
            "the non-saturating gradient at fixed D* is grad [KL(Pg||Pr) - 2 JS]",
        ),
        (
            *("wasserstein_gradient", "wasserstein_gradient", both[:1]),
            "Arjovsky et al. 2017, arXiv:1701.07875, theorem 3",
            "the Wasserstein gradient at the best critic is grad W1 (1-D pair)",
        ),
    ]
    claims = []
    for name, key, pairs, source, statement in rows:
        text = f"Largest difference of both sides: {statement}"
        unit = "nats" if "gradient" not in name else "per data unit"
        zero = equals(0.0, _QUADRATURE, unit, _DERIVATION + source)
        claims.append(Claim(name, text, exact(gap(key, pairs)), *zero))
    relative = max(
        float(np.max(np.abs(arrays[f"shift/{name}"] / arrays[f"shift/{name}_formula"] - 1)))
        for name in ("minimax", "non_saturating", "wasserstein")
    )
    ratio = arrays["shift/minimax"] / arrays["shift/own_slope"]
    shifts = ", ".join(f"{t:g}" for t in arrays["shift/t"])
    claims.append(
        Claim(
            "shift_gradients",
            f"Largest relative difference of the three generators' gradients, by autograd and in "
            f"closed form, between Gaussians {shifts} apart",
            exact(relative),
            *equals(
                0.0,
                _QUADRATURE,
                "",
                _DERIVATION + "2 dJS/dt, t - 2 dJS/dt and 1 for two Gaussians of one width",
            ),
        )
    )
    claims.append(
        Claim(
            "own_loss_is_not_its_gradient",
            "The minimax gradient over the slope of the generator's own loss along t (the largest "
            "distance from 2)",
            exact(float(ratio[np.argmax(np.abs(ratio - 2))])),
            *equals(
                2.0,
                1e-6,
                "",
                _DERIVATION
                + "KL(Pg||M) = JS by symmetry, and the gradient at fixed D* is 2 dJS/dt",
            ),
        )
    )
    return claims


def _equilibrium(arrays: Arrays) -> list[Claim]:
    equal = int(np.flatnonzero(arrays["shifts"] == 0)[0])
    source = _DERIVATION + f"{_GOODFELLOW}, theorem 1, at D = 1/2"
    return [
        Claim(
            "equilibrium_value",
            "V(D) of networks trained on two equal densities: -log 4",
            mean(arrays["discriminator/value"][equal]),
            *equals(-math.log(4), 0.01, "nats", source),
        ),
        Claim(
            "equilibrium_non_saturating",
            "The non-saturating generator's loss against the same networks: log 2",
            mean(arrays["discriminator/non_saturating_loss"][equal]),
            *equals(math.log(2), 0.01, "nats", source),
        ),
    ]


def _training(arrays: Arrays) -> list[Claim]:
    claims = []
    for name, words in (("1d", "1-D"), ("2d", "2-D")):
        bound = arrays[f"pair_{name}/value"] / 2 + math.log(2)
        claims.append(
            Claim(
                f"trained_js_{name}",
                f"log 2 + V(D)/2 of a trained D over the exact JS, {words} pair",
                mean(bound / arrays[f"{name}/js"]),
                *equals(
                    1.0,
                    0.1,
                    "",
                    "within 10 % (measured before); it cannot exceed 1, " + _GOODFELLOW,
                ),
            )
        )
    gaps = [
        arrays[f"{n}/value"] - arrays[f"pair_{n}/value"] - arrays[f"pair_{n}/shortfall"]
        for n in ("1d", "2d")
    ]
    claims.append(
        Claim(
            "shortfall_identity",
            "Largest difference of both sides: V(D*) - V(D) = 2 E_M KL(D*||D), for every trained D",
            exact(max(float(np.abs(gap).max()) for gap in gaps)),
            *equals(0.0, _QUADRATURE, "nats", _DERIVATION + "cross entropy less entropy"),
        )
    )
    shifts = arrays["shifts"]
    near = (shifts > 0) & (shifts <= _NEAR)
    for name, words in (("minimax", "minimax"), ("non_saturating", "non-saturating")):
        expected = arrays[f"shift/{name}_formula"][arrays["shift/t"] <= _NEAR][:, None]
        error = np.abs(arrays[f"discriminator/{name}"][near] / expected - 1).max(0)
        claims.append(
            Claim(
                f"trained_{name}_gradient",
                f"Relative error of the {words} gradient at a trained D, the worst shift of "
                f"{', '.join(f'{t:g}' for t in shifts[near])}",
                median(error),
                *at_most(
                    0.1, "", "within 10 % for t <= 3 (measured before), of the derived gradient"
                ),
            )
        )
    ten = int(np.flatnonzero(shifts == 10)[0])
    claims.append(
        Claim(
            "minimax_vanishes",
            "The minimax gradient at a trained D, ten stds apart",
            median(np.abs(arrays["discriminator/minimax"][ten])),
            *at_most(
                1e-2,
                "nats per data unit",
                _DERIVATION + "4.46e-6 at D*; a trained network is only small",
            ),
        )
    )
    return claims


def _derivatives(arrays: Arrays) -> list[Claim]:
    far = float(arrays["far"])
    between = (arrays["line"] >= 0) & (arrays["line"] <= far)
    at_fake = int(np.argmin(np.abs(arrays["line"] - far)))
    d = 1 / (1 + np.exp(-arrays["discriminator/logit"][:, at_fake]))
    derivative = arrays["discriminator/slope"][:, at_fake] * d * (1 - d)
    pushes = {kind: -arrays[f"{kind}/slope"][:, between] for kind in ("penalty", "clip")}
    two = branch(arrays)
    measured = arrays["penalty/value"][arrays["shifts"] >= 1]
    formula = arrays["penalty/value_formula"][arrays["shifts"] >= 1][:, None]
    figure = "Arjovsky et al. 2017, arXiv:1701.07875, fig. 2 (caption read in copies of the text)"
    return [
        Claim(
            "discriminator_saturates",
            f"Slope of a trained D at the fake's mean, {far:g} stds from the data",
            median(np.abs(derivative)),
            *at_most(
                1e-2,
                "per data unit",
                f"{figure}: D saturates; at D* the slope is {far * math.exp(-far * far / 2):.1g}",
            ),
        ),
        Claim(
            "penalty_critic_pushes_everywhere",
            "Least slope towards the data anywhere between the two means, gradient penalty",
            median(pushes["penalty"].min(1)),
            *at_least(
                1.0,
                "per data unit",
                f"{figure}: clean gradients everywhere; derived: 1 + A/(2 weight rho) >= 1",
                0.05,
            ),
        ),
        Claim(
            "clipped_critic_pushes_everywhere",
            "Least over greatest slope between the two means, clipping",
            median(pushes["clip"].min(1) / pushes["clip"].max(1)),
            *at_least(
                0.1, "", f"{figure}; ours: within a factor of ten, where D's slope falls by decades"
            ),
        ),
        Claim(
            "penalty_value",
            "Largest relative error of the critic's value over W1 + the penalty's bias, t >= 1",
            median(np.abs(measured / formula - 1).max(0)),
            *at_most(0.03, "", _DERIVATION + "W1 + (1/(2 weight)) integral A^2/rho, weight 10"),
        ),
        Claim(
            "two_sided_penalty_has_two_maxima",
            "Share of critics with the two-sided penalty whose value is W_GP or W_GP - 2 W1 within "
            "5 % of W1, t >= 1",
            share(int((two != 0).sum()), two.size),
            *at_least(
                0.8, "", _DERIVATION + "on a line f' = -1 + A/(2 weight rho) is a second maximum"
            ),
        ),
    ]
