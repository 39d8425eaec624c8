"""The claims of vanishing_gradients, and the quantities that they judge: functions of arrays."""

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most
from gan_lab.reports.analysis.statistics import median

GRADIENTS = ("minimax", "non_saturating", "wasserstein")
IMAGES = "digits"  # the published protocol is about images: its analogue is claimed on these
FAR = 30.0  # median absolute deviations
_SOURCE = (
    "analogue of Arjovsky and Bottou 2017, arXiv:1701.04862, fig. 2 (theirs: up to 5 decades after "
    "4000 updates, read second-hand); the bound is ours, fixed before the runs"
)


def all_claims(arrays: Arrays) -> list[Claim]:
    """Judge, on images, the decades that minimax loses and how the others grow and settle.

    A fresh discriminator's gradient is that of its random weights, so whether one settles is judged
    from some of the updates on, and growth counts as much as a fall.
    """
    if IMAGES not in arrays["data"]:
        return []
    n = int(arrays["steps"][-1])
    after = f"from the fresh discriminator to {n} updates, generator held still, digits"
    text = f"The minimax gradient loses decades {after}; the stage that loses least."
    least = median(decades_lost(arrays, IMAGES, "minimax").min(0))
    claims = [Claim("minimax_vanishes", text, least, *at_least(2.0, "decades", _SOURCE))]
    text = f"The non-saturating gradient grows {after}; the stage that gains least."
    gain = median(-decades_lost(arrays, IMAGES, "non_saturating").max(0))
    grows = "beside Arjovsky and Bottou 2017, fig. 3: its norm grows (V2); the bound is ours"
    bound = at_least(1.0, "decades", grows)
    claims.append(Claim("non_saturating_grows", text, gain, *bound))
    for name, words, share in (
        ("non_saturating", "The non-saturating gradient", 1 / 4),
        ("wasserstein", "The gradient of a gradient-penalty critic", 1 / 10),
    ):
        look = settled_look(arrays, share)
        text = (
            f"{words} neither falls nor grows 10-fold from {int(arrays['steps'][look])} updates to "
            f"{n}, generator held still, digits; the stage that changes most."
        )
        norm = arrays[f"{IMAGES}/{name}/norm"]
        with np.errstate(divide="ignore", invalid="ignore"):
            change = np.abs(np.log10(norm[..., look]) - np.log10(norm[..., -1]))
        source = "ours, beside the claim on minimax; the window was set after a pilot, seeds 0 to 4"
        bound = at_most(1.0, "decades", source)
        claims.append(Claim(f"{name}_settles", text, median(change.max(0)), *bound))
    return claims


def decades_lost(arrays: Arrays, data: str, name: str, *, peak: bool = False) -> np.ndarray:
    """Return log10 of the gradient's first (or largest) norm over its last, [K, S]."""
    norm = arrays[f"{data}/{name}/norm"]
    first = norm.max(-1) if peak else norm[..., 0]
    with np.errstate(divide="ignore"):
        return np.log10(first) - np.log10(norm[..., -1])


def settled_look(arrays: Arrays, share: float) -> int:
    """Return the index of the look nearest, in log scale, to a share of the updates."""
    steps = np.maximum(arrays["steps"], 0.5)
    return int(np.abs(np.log(steps / (steps[-1] * share))).argmin())


def tail_share(arrays: Arrays, data: str) -> np.ndarray:
    """Return the share of single samples whose gradient lies far out, the mean over seeds, [K]."""
    far = int(np.abs(arrays["tail_at"] - FAR).argmin())
    return arrays[f"{data}/discriminator/tail"][..., far].mean(1)


def noise_exponents(arrays: Arrays, data: str) -> np.ndarray:
    """Return the exponent of n in the spread of a mean over n samples, by least squares, [K, S]."""
    n = np.log(arrays["batches"])
    spread = np.log(arrays[f"{data}/discriminator/spread"])
    return (spread * (n - n.mean())).sum(-1) / ((n - n.mean()) ** 2).sum()
