"""The claims of optimal_discriminator: pure functions of its arrays."""

import math

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, checks, equals
from gan_lab.reports.analysis.statistics import exact, mean, median, share

_DERIVATION = "derived; "
_GOODFELLOW = "Goodfellow et al. 2014, arXiv:1406.2661"
_ARJOVSKY = "Arjovsky et al. 2017, arXiv:1701.07875"
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
    """Check both sides of every identity, by quadrature and autograd."""
    own = "E_fake log(1 - D*) = KL(Pg||M) - log 2, the generator's own loss"
    at_fixed = "gradient at fixed D* is grad"
    critic = "the Wasserstein gradient at the best critic is grad W1 (1-D pair)"
    section, bottou = f"{_GOODFELLOW}, section 4", "Arjovsky and Bottou 2017, arXiv:1701.04862"
    rows = [
        ("value_at_optimum", "V(D*) = 2 JS - 2 log 2", f"{_GOODFELLOW}, theorem 1"),
        ("minimax_loss_at_optimum", own, section),
        ("minimax_gradient", f"the minimax generator's {at_fixed} 2 JS", section),
        ("non_saturating_gradient", f"the non-saturating {at_fixed} [KL(Pg||Pr) - 2 JS]", bottou),
        ("wasserstein_gradient", critic, f"{_ARJOVSKY}, theorem 3"),
    ]
    claims = []
    for name, statement, source in rows:
        key = name.removesuffix("_at_optimum")
        keys = [f"{pair}/{key}" for pair in ("1d", "2d") if f"{pair}/{key}" in arrays]
        gap = max(float(np.abs(arrays[k] - arrays[f"{k}_formula"]).max()) for k in keys)
        text = f"Largest difference of both sides: {statement}"
        unit = "nats" if "gradient" not in name else "per data unit"
        zero = equals(0.0, _QUADRATURE, unit, _DERIVATION + source)
        claims.append(Claim(name, text, exact(gap), *zero))
    relative = max(
        float(np.max(np.abs(arrays[f"shift/{name}"] / arrays[f"shift/{name}_formula"] - 1)))
        for name in ("minimax", "non_saturating", "wasserstein")
    )
    ratio = arrays["shift/minimax"] / arrays["shift/own_slope"]
    shifts = ", ".join(f"{t:g}" for t in arrays["shift/t"])
    text = (
        "Largest relative difference of the three generators' gradients, by autograd and in closed "
        f"form, between Gaussians {shifts} apart"
    )
    source = _DERIVATION + "2 dJS/dt, t - 2 dJS/dt and 1 for two Gaussians of one width"
    zero = equals(0.0, _QUADRATURE, "", source)
    claims.append(Claim("shift_gradients", text, exact(relative), *zero))
    text = (
        "The minimax gradient over the slope of the generator's own loss along t (the largest "
        "distance from 2)"
    )
    source = "KL(Pg||M) = JS by symmetry, and the gradient at fixed D* is 2 dJS/dt"
    two = equals(2.0, 1e-6, "", _DERIVATION + source)
    farthest = exact(float(ratio[np.argmax(np.abs(ratio - 2))]))
    return checks([*claims, Claim("own_loss_is_not_its_gradient", text, farthest, *two)])


def _equilibrium(arrays: Arrays) -> list[Claim]:
    equal = int(np.flatnonzero(arrays["shifts"] == 0)[0])
    value, loss = (
        mean(arrays[f"discriminator/{key}"][equal]) for key in ("value", "non_saturating_loss")
    )
    source = _DERIVATION + f"{_GOODFELLOW}, theorem 1, at D = 1/2"
    coin, half = (equals(x, 0.01, "nats", source) for x in (-math.log(4), math.log(2)))
    text = "V(D) of networks trained on two equal densities: -log 4"
    other = "The non-saturating generator's loss against the same networks: log 2"
    return [
        Claim("equilibrium_value", text, value, *coin),
        Claim("equilibrium_non_saturating", other, loss, *half),
    ]


def _training(arrays: Arrays) -> list[Claim]:
    claims, gaps = [], []
    source = f"within 10 % (measured before); it cannot exceed 1, {_GOODFELLOW}"
    for name, words in (("1d", "1-D"), ("2d", "2-D")):
        value = arrays[f"pair_{name}/value"]
        text = f"log 2 + V(D)/2 of a trained D over the exact JS, {words} pair"
        ratio = mean((value / 2 + math.log(2)) / arrays[f"{name}/js"])
        claims.append(Claim(f"trained_js_{name}", text, ratio, *equals(1.0, 0.1, "", source)))
        gaps.append(
            np.abs(arrays[f"{name}/value"] - value - arrays[f"pair_{name}/shortfall"]).max()
        )
    text = "Largest difference of both sides: V(D*) - V(D) = 2 E_M KL(D*||D), for every trained D"
    zero = equals(0.0, _QUADRATURE, "nats", _DERIVATION + "cross entropy less entropy")
    claims += checks([Claim("shortfall_identity", text, exact(float(max(gaps))), *zero)])
    shifts = arrays["shifts"]
    near = (shifts > 0) & (shifts <= _NEAR)
    worst = f"the worst shift of {', '.join(f'{t:g}' for t in shifts[near])}"
    source = "within 10 % for t <= 3 (measured before), of the derived gradient"
    for name in ("minimax", "non_saturating"):
        expected = arrays[f"shift/{name}_formula"][arrays["shift/t"] <= _NEAR][:, None]
        error = median(np.abs(arrays[f"discriminator/{name}"][near] / expected - 1).max(0))
        words = name.replace("_", "-")
        text = f"Relative error of the {words} gradient at a trained D, {worst}"
        claims.append(Claim(f"trained_{name}_gradient", text, error, *at_most(0.1, "", source)))
    ten = int(np.flatnonzero(shifts == 10)[0])
    size = median(np.abs(arrays["discriminator/minimax"][ten]))
    source = _DERIVATION + "4.46e-6 at D*; a trained network is only small"
    small = at_most(1e-2, "nats per data unit", source)
    text = "The minimax gradient at a trained D, ten stds apart"
    return [*claims, Claim("minimax_vanishes", text, size, *small)]


def _derivatives(arrays: Arrays) -> list[Claim]:
    far, line, at_least_one = float(arrays["far"]), arrays["line"], arrays["shifts"] >= 1
    between, at_fake = (line >= 0) & (line <= far), int(np.argmin(np.abs(line - far)))
    d = 1 / (1 + np.exp(-arrays["discriminator/logit"][:, at_fake]))
    derivative = arrays["discriminator/slope"][:, at_fake] * d * (1 - d)
    push, clip = (-arrays[f"{kind}/slope"][:, between] for kind in ("penalty", "clip"))
    two = branch(arrays)
    measured = arrays["penalty/value"][at_least_one]
    formula = arrays["penalty/value_formula"][at_least_one][:, None]
    figure = f"{_ARJOVSKY}, fig. 2 (caption read in copies of the text)"
    steepness = far * math.exp(-far * far / 2)
    unit, source = "per data unit", f"{figure}: D saturates; at D* the slope is {steepness:.1g}"
    text = f"Slope of a trained D at the fake's mean, {far:g} stds from the data"
    small = at_most(1e-2, unit, source)
    claims = [Claim("discriminator_saturates", text, median(np.abs(derivative)), *small)]
    text = "Least slope towards the data anywhere between the two means, gradient penalty"
    source = f"{figure}: clean gradients everywhere; derived: 1 + A/(2 weight rho) >= 1"
    one, least = at_least(1.0, unit, source, 0.05), median(push.min(1))
    claims.append(Claim("penalty_critic_pushes_everywhere", text, least, *one))
    text = "Least over greatest slope between the two means, clipping"
    source = f"{figure}; ours: within a factor of ten, where D's slope falls by decades"
    ratio, tenth = median(clip.min(1) / clip.max(1)), at_least(0.1, "", source)
    claims.append(Claim("clipped_critic_pushes_everywhere", text, ratio, *tenth))
    text = "Largest relative error of the critic's value over W1 + the penalty's bias, t >= 1"
    error = median(np.abs(measured / formula - 1).max(0))
    source = _DERIVATION + "W1 + (1/(2 weight)) integral A^2/rho, weight 10"
    claims.append(Claim("penalty_value", text, error, *at_most(0.03, "", source)))
    text = (
        "Share of critics with the two-sided penalty whose value is W_GP or W_GP - 2 W1 within "
        "5 % of W1, t >= 1"
    )
    source = _DERIVATION + "on a line f' = -1 + A/(2 weight rho) is a second maximum"
    four_fifths, fraction = at_least(0.8, "", source), share(int((two != 0).sum()), two.size)
    return [*claims, Claim("two_sided_penalty_has_two_maxima", text, fraction, *four_fifths)]
