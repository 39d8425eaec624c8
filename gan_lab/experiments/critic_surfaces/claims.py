"""The claims of critic_surfaces: pure functions of its arrays."""

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, claim_all, equals
from gan_lab.reports.analysis.statistics import mean, median

PAPER = "Gulrajani et al. 2017, arXiv:1704.00028"
KOROTIN = (
    "Korotin et al. 2022, tables: {} in another problem of two dimensions; the bound here is ours"
)
NAMES = {"ring": "8 Gaussians", "grid": "25 Gaussians", "swiss_roll": "swiss roll"}


def log_growth(arrays: Arrays, kind: str) -> np.ndarray:
    """Fit the change of log10 |d loss / d activations| a layer by least squares, [S]."""
    norms = np.log10(arrays[f"deep/{kind}/norms"])
    layer = np.arange(norms.shape[1]) - (norms.shape[1] - 1) / 2
    return norms @ layer / (layer @ layer)


def ratios(arrays: Arrays, kind: str) -> np.ndarray:
    """Return a critic's value over the exact W1 between samples, [K, S]."""
    exact = np.stack([arrays[f"exact/{name}/wasserstein"] for name in NAMES])
    return arrays[f"{kind}/value"] / exact.mean(1, keepdims=True)


def all_claims(arrays: Arrays) -> list[Claim]:
    """Return the claims of figure 1b, then of figure 1a, then of the values."""
    bounds = arrays["deep_bounds"]
    kinds = ("clip_0", f"clip_{len(bounds) - 1}", "penalty")
    at_large, at_small, with_penalty = (log_growth(arrays, kind) for kind in kinds)
    sharpest = np.minimum(np.abs(at_large), np.abs(at_small)) / np.abs(with_penalty)
    contrast = arrays["one_sided/contrast"][0] - arrays["clip/contrast"][0]
    statements = {
        "large_bound_explodes": "Change of log10 gradient norm a layer towards the output, "
        f"clipping at {bounds[0]:g}: below 0, it grows on the way back",
        "small_bound_vanishes": f"The same, clipping at {bounds[-1]:g}: above 0, it dies on the "
        "way back",
        "penalty_keeps_gradients": "The smaller of both sizes over that of the penalty",
        "weights_driven_to_bounds": "The same for a critic of 3 hidden layers that started inside "
        f"its box of {float(arrays['bound']):g}",
        "clipping_ignores_modes": "8 Gaussians: contrast between modes and gaps, as a share of the "
        "critic's value, penalty less clipping",
    }
    unit, figure = "decades a layer", f"{PAPER}, fig. 1b"
    two_values = f"{figure}, right: pushed towards two values; half is our number"
    half, factor = f"{figure}, right; half is our number", f"{figure}; the factor is ours"
    moments = f"{PAPER}, section 3.1: a clipped critic ignores higher moments"
    numbers = {
        "large_bound_explodes": (median(at_large), at_most(0.0, unit, figure)),
        "small_bound_vanishes": (median(at_small), at_least(0.0, unit, figure)),
        "penalty_keeps_gradients": (median(sharpest), at_least(5.0, "", factor)),
    }
    for i, bound in enumerate(bounds):
        id, share = f"weights_at_bounds_{i}", median(arrays[f"deep/clip_{i}/at_bounds"])
        statements[id] = f"Share of the deep critic's weights on a bound, clipping at {bound:g}"
        numbers[id] = (share, at_least(0.5, "", two_values))
    inside = median(arrays["inside/at_bounds"])
    numbers |= {
        "weights_driven_to_bounds": (inside, at_least(0.5, "", half)),
        "clipping_ignores_modes": (mean(contrast), at_least(0.0, "", moments)),
    }
    bias = "derived: the bias grows as 1/weight; the weight is that of the authors' toy code"
    korotin = equals(1.0, 0.2, "", KOROTIN.format(".885 where W1 is .817"))
    half_of_w1 = at_most(0.5, "", KOROTIN.format(".031"))
    text = "the same with the light penalty, which overestimates"
    critics = (
        ("clip", "clip", "clipped critic's value over the exact W1", half_of_w1),
        ("penalty", "one_sided", "the same with the one-sided penalty", korotin),
        ("light", "light", text, at_least(1.0, "", bias)),
    )
    for k, (name, title) in enumerate(NAMES.items()):
        for prefix, kind, words, expectation in critics:
            id = f"{prefix}_value_{name}"
            statements[id] = f"{title}: {words}"
            numbers[id] = (mean(ratios(arrays, kind)[k]), expectation)
    return claim_all(statements, numbers)
