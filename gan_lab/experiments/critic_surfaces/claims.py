"""The claims of critic_surfaces: pure functions of its arrays."""

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, equals
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
    last = len(arrays["deep_bounds"]) - 1
    large, small = arrays["deep_bounds"][[0, last]]
    kinds = ("clip_0", f"clip_{last}", "penalty")
    at_large, at_small, with_penalty = (log_growth(arrays, kind) for kind in kinds)
    sharpest = np.minimum(np.abs(at_large), np.abs(at_small)) / np.abs(with_penalty)
    figure = f"{PAPER}, fig. 1b"
    two_values = f"{figure}, right: pushed towards two values; half is our number"
    claims = [
        Claim(
            "large_bound_explodes",
            f"Change of log10 gradient norm a layer towards the output, clipping at {large:g}: "
            "below 0, it grows on the way back",
            median(at_large),
            *at_most(0.0, "decades a layer", figure),
        ),
        Claim(
            "small_bound_vanishes",
            f"The same, clipping at {small:g}: above 0, it dies on the way back",
            median(at_small),
            *at_least(0.0, "decades a layer", figure),
        ),
        Claim(
            "penalty_keeps_gradients",
            "The smaller of both sizes over that of the penalty",
            median(sharpest),
            *at_least(5.0, "", f"{figure}; the factor is ours"),
        ),
    ]
    for i, bound in enumerate(arrays["deep_bounds"]):
        claims.append(
            Claim(
                f"weights_at_bounds_{i}",
                f"Share of the deep critic's weights on a bound, clipping at {bound:g}",
                median(arrays[f"deep/clip_{i}/at_bounds"]),
                *at_least(0.5, "", two_values),
            )
        )
    claims.append(
        Claim(
            "weights_driven_to_bounds",
            f"The same for a critic of 3 hidden layers that started inside its box of "
            f"{float(arrays['bound']):g}",
            median(arrays["inside/at_bounds"]),
            *at_least(0.5, "", f"{figure}, right; half is our number"),
        )
    )
    contrast = arrays["one_sided/contrast"][0] - arrays["clip/contrast"][0]
    claims.append(
        Claim(
            "clipping_ignores_modes",
            "8 Gaussians: contrast between modes and gaps, as a share of the critic's value, "
            "penalty less clipping",
            mean(contrast),
            *at_least(0.0, "", f"{PAPER}, section 3.1: a clipped critic ignores higher moments"),
        )
    )
    bias = "derived: the bias grows as 1/weight; the weight is that of the authors' toy code"
    by_kind = {kind: ratios(arrays, kind) for kind in ("clip", "one_sided", "light")}
    for k, (name, words) in enumerate(NAMES.items()):
        claims += [
            Claim(
                f"clip_value_{name}",
                f"{words}: clipped critic's value over the exact W1",
                mean(by_kind["clip"][k]),
                *at_most(0.5, "", KOROTIN.format(".031")),
            ),
            Claim(
                f"penalty_value_{name}",
                f"{words}: the same with the one-sided penalty",
                mean(by_kind["one_sided"][k]),
                *equals(1.0, 0.2, "", KOROTIN.format(".857 and .817")),
            ),
            Claim(
                f"light_value_{name}",
                f"{words}: the same with the light penalty, which overestimates",
                mean(by_kind["light"][k]),
                *at_least(1.0, "", bias),
            ),
        ]
    return claims
