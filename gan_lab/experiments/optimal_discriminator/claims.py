"""The claims of optimal_discriminator: pure functions of its arrays."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim
from gan_lab.reports.analysis.statistics import exact, mean, median, share

DERIVED = "derived; "
GOODFELLOW = "Goodfellow et al. 2014, arXiv:1406.2661"
QUADRATURE = 1e-9  # of two integrals of the same thing, each exact to some 1e-12
TRUSTED = 3.0  # stds; further apart hardly a sample tells D how steep to be


def all_claims(arrays: Arrays) -> list[Claim]:
    """Identities at D*, then what training reaches."""
    return [*_identities(arrays), *_equilibrium(arrays), *_trained(arrays), *_slopes(arrays)]


def branch(arrays: Arrays) -> np.ndarray:
    """Which maximum each critic with the two-sided penalty found: 1, -1, or 0 for neither, [T, S].

    On a line f' = s + A/(2 weight rho) is stationary for s = 1 (the optimum) and s = -1, with the
    values W_GP and W_GP - 2 W1. Within 5 % of W1 of one of them counts.
    """
    distance = arrays["two_sided/shifts"][:, None]
    best = arrays["two_sided/value_formula"][:, None]
    up = np.abs(arrays["two_sided/value"] - best) <= 0.05 * distance
    down = np.abs(arrays["two_sided/value"] - (best - 2 * distance)) <= 0.05 * distance
    return up.astype(int) - down.astype(int)


def _identities(arrays: Arrays) -> list[Claim]:
    both = ("1d", "2d")

    def gap(of: str, pairs: tuple[str, ...] = both) -> float:
        return max(
            float(np.abs(arrays[f"{p}/{of}"] - arrays[f"{p}/{of}_formula"]).max()) for p in pairs
        )

    t = arrays["shift/t"]
    relative = max(
        float(np.max(np.abs(arrays[f"shift/{of}"] / arrays[f"shift/{of}_formula"] - 1)))
        for of in ("minimax", "non_saturating", "wasserstein")
    )
    ratio = arrays["shift/minimax"] / arrays["shift/own_slope"]
    rows = [
        ("value_at_optimum", "V(D*) = 2 JS - 2 log 2", "value", both, "theorem 1"),
        (
            "minimax_loss_at_optimum",
            "E_fake log(1 - D*) = KL(Pg||M) - log 2, the generator's own loss",
            "minimax_loss",
            both,
            "section 4",
        ),
        (
            "minimax_gradient",
            "the minimax generator's gradient at fixed D* is grad 2 JS",
            "minimax_gradient",
            both,
            "section 4",
        ),
        (
            "non_saturating_gradient",
            "the non-saturating gradient at fixed D* is grad [KL(Pg||Pr) - 2 JS]",
            "non_saturating_gradient",
            both,
            "",
        ),
        (
            "wasserstein_gradient",
            "the Wasserstein gradient at the best critic is grad W1 (1-D pair)",
            "wasserstein_gradient",
            ("1d",),
            "",
        ),
    ]
    claims = []
    for name, statement, of, pairs, where in rows:
        source = DERIVED + (
            f"{GOODFELLOW}, {where}"
            if where
            else "Arjovsky and Bottou 2017, arXiv:1701.04862"
            if "non" in name
            else "Arjovsky et al. 2017, arXiv:1701.07875, theorem 3"
        )
        text = f"Largest difference of both sides: {statement}"
        unit = "nats" if "gradient" not in name else "per data unit"
        claims.append(
            Claim(name, text, exact(gap(of, pairs)), "equals", 0.0, QUADRATURE, unit, source)
        )
    shown = ", ".join(f"{x:g}" for x in t)
    claims.append(
        Claim(
            "shift_gradients",
            f"Largest relative difference of the three generators' gradients, by autograd and in "
            f"closed form, between Gaussians {shown} apart",
            exact(relative),
            "equals",
            0.0,
            QUADRATURE,
            "",
            DERIVED + "2 dJS/dt, t - 2 dJS/dt and 1 for two Gaussians of one width",
        )
    )
    claims.append(
        Claim(
            "own_loss_is_not_its_gradient",
            "The minimax gradient over the slope of the generator's own loss along t (the largest "
            "distance from 2)",
            exact(float(ratio[np.argmax(np.abs(ratio - 2))])),
            "equals",
            2.0,
            1e-6,
            "",
            DERIVED + "KL(Pg||M) = JS by symmetry, and the gradient at fixed D* is 2 dJS/dt",
        )
    )
    return claims


def _equilibrium(arrays: Arrays) -> list[Claim]:
    equal = int(np.flatnonzero(arrays["shifts"] == 0)[0])
    source = DERIVED + f"{GOODFELLOW}, theorem 1, at D = 1/2"
    return [
        Claim(
            "equilibrium_value",
            "V(D) of networks trained on two equal densities: -log 4",
            mean(arrays["discriminator/value"][equal]),
            "equals",
            -math.log(4),
            0.01,
            "nats",
            source,
        ),
        Claim(
            "equilibrium_non_saturating",
            "The non-saturating generator's loss against the same networks: log 2",
            mean(arrays["discriminator/non_saturating_loss"][equal]),
            "equals",
            math.log(2),
            0.01,
            "nats",
            source,
        ),
    ]


def _trained(arrays: Arrays) -> list[Claim]:
    claims = []
    for name, words in (("1d", "1-D"), ("2d", "2-D")):
        bound = arrays[f"pair_{name}/value"] / 2 + math.log(2)
        claims.append(
            Claim(
                f"trained_js_{name}",
                f"log 2 + V(D)/2 of a trained D over the exact JS, {words} pair",
                mean(bound / arrays[f"{name}/js"]),
                "equals",
                1.0,
                0.1,
                "",
                "within 10 % (measured before); it cannot exceed 1, " + GOODFELLOW,
            )
        )
    lost = [
        np.abs(
            arrays[f"{n}/value"] - arrays[f"pair_{n}/value"] - arrays[f"pair_{n}/shortfall"]
        ).max()
        for n in ("1d", "2d")
    ]
    claims.append(
        Claim(
            "shortfall_identity",
            "Largest difference of both sides: V(D*) - V(D) = 2 E_M KL(D*||D), for every trained D",
            exact(float(max(lost))),
            "equals",
            0.0,
            QUADRATURE,
            "nats",
            DERIVED + "cross entropy less entropy",
        )
    )
    shifts = arrays["shifts"]
    near = (shifts > 0) & (shifts <= TRUSTED)
    formula = {n: arrays[f"shift/{n}_formula"] for n in ("minimax", "non_saturating")}
    for name, words in (("minimax", "minimax"), ("non_saturating", "non-saturating")):
        expected = formula[name][arrays["shift/t"] <= TRUSTED][:, None]
        error = np.abs(arrays[f"discriminator/{name}"][near] / expected - 1).max(0)
        claims.append(
            Claim(
                f"trained_{name}_gradient",
                f"Relative error of the {words} gradient at a trained D, the worst shift of "
                f"{', '.join(f'{t:g}' for t in shifts[near])}",
                median(error),
                "at_most",
                0.1,
                0.0,
                "",
                "within 10 % for t <= 3 (measured before), of the derived gradient",
            )
        )
    ten = int(np.flatnonzero(shifts == 10)[0])
    claims.append(
        Claim(
            "minimax_vanishes",
            "The minimax gradient at a trained D, ten stds apart",
            median(np.abs(arrays["discriminator/minimax"][ten])),
            "at_most",
            1e-2,
            0.0,
            "nats per data unit",
            DERIVED + "4.46e-6 at D*; a trained network is only small",
        )
    )
    return claims


def _slopes(arrays: Arrays) -> list[Claim]:
    far = float(arrays["far"])
    between = (arrays["line"] >= 0) & (arrays["line"] <= far)
    at_fake = int(np.argmin(np.abs(arrays["line"] - far)))
    logit, slope = arrays["discriminator/logit"], arrays["discriminator/slope"]
    d = 1 / (1 + np.exp(-logit[:, at_fake]))
    pushes = {kind: -arrays[f"{kind}/slope"][:, between] for kind in ("penalty", "clip")}
    two = branch(arrays)
    measured = arrays["penalty/value"][arrays["shifts"] >= 1]
    formula = arrays["penalty/value_formula"][arrays["shifts"] >= 1][:, None]
    figure = "Arjovsky et al. 2017, arXiv:1701.07875, fig. 2 (caption read in copies of the text)"
    return [
        Claim(
            "discriminator_saturates",
            f"Slope of a trained D at the fake's mean, {far:g} stds from the data",
            median(np.abs(slope[:, at_fake]) * d * (1 - d)),
            "at_most",
            1e-2,
            0.0,
            "per data unit",
            f"{figure}: D saturates; at D* the slope is {far * math.exp(-far * far / 2):.1g}",
        ),
        Claim(
            "penalty_critic_pushes_everywhere",
            "Least slope towards the data anywhere between the two means, gradient penalty",
            median(pushes["penalty"].min(1)),
            "at_least",
            1.0,
            0.05,
            "per data unit",
            f"{figure}: clean gradients everywhere; derived: 1 + A/(2 weight rho) >= 1",
        ),
        Claim(
            "clipped_critic_pushes_everywhere",
            "Least over greatest slope between the two means, clipping",
            median(pushes["clip"].min(1) / pushes["clip"].max(1)),
            "at_least",
            0.1,
            0.0,
            "",
            f"{figure}; ours: within a factor of ten, where D's slope falls by decades",
        ),
        Claim(
            "penalty_value",
            "Largest relative error of the critic's value over W1 + the penalty's bias, t >= 1",
            median(np.abs(measured / formula - 1).max(0)),
            "at_most",
            0.03,
            0.0,
            "",
            DERIVED + "W1 + (1/(2 weight)) integral A^2/rho, weight 10",
        ),
        Claim(
            "two_sided_penalty_has_two_maxima",
            "Share of critics with the two-sided penalty whose value is W_GP or W_GP - 2 W1 within "
            "5 % of W1, t >= 1",
            share(int((two != 0).sum()), two.size),
            "at_least",
            0.8,
            0.0,
            "",
            DERIVED + "on a line f' = -1 + A/(2 weight rho) is a second maximum",
        ),
    ]
