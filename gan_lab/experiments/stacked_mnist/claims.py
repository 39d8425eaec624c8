"""Scores of the counts, and the claims of the study: functions of its arrays only."""

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, checks, equals
from gan_lab.experiments.mode_collapse.claims import mean_of_counts
from gan_lab.experiments.mode_collapse.coverage import kl_floor, mode_kl, n_covered
from gan_lab.reports.analysis.statistics import mean

NAMES = {
    "non_saturating": "non-saturating, no penalty",
    "packing": "the same with packing 2",
    "r1": "non-saturating with R1",
    "wasserstein": "WGAN-GP",
}
_PACGAN = (
    "Lin et al. 2018 (PacGAN), arXiv:1712.04086, authors' tables (V): DCGAN 99 modes and KL 3.40, "
    "PacDCGAN2 1000 modes and KL .06; theirs wider, trained longer, on all of MNIST"
)


def modes(arrays: Arrays, method: str, kind: int = 0) -> np.ndarray:
    """Return the modes with at least one sample, of any quality: [S]."""
    return n_covered(arrays[f"{method}/nearest"][:, kind])


def kl(arrays: Arrays, method: str, kind: int = 0) -> np.ndarray:
    """Return the KL of the modes' shares from the data's in nats, [S]."""
    return mode_kl(arrays[f"{method}/nearest"][:, kind], arrays["weights"])


def confident_share(arrays: Arrays, method: str, kind: int = 0) -> np.ndarray:
    """Return the share of samples of whose three digits the classifier is confident, [S]."""
    return arrays[f"{method}/good"][:, kind].sum(-1) / int(arrays["n"])


def real_confident_share(arrays: Arrays) -> float:
    """Return the same share of combinations of held-out digits."""
    return float(arrays["real_good"] / arrays["real_n"])


def all_claims(arrays: Arrays) -> list[Claim]:
    """Judge the floor of KL, packing by modes and by KL, and what a bare count hides."""
    n, k, steps = int(arrays["n"]), len(arrays["weights"]), int(arrays["steps"])
    floor = kl_floor(arrays["weights"], n)
    text = (
        f"{n} combinations of training digits have a KL of (K - 1)/(2 n) from their own mode "
        "weights, to second order, so no smaller number is an achievement"
    )
    source = "derived (D): the expansion of the plug-in estimate to second order"
    exact = equals(floor, 0.1 * floor, "nats", source)
    real = checks([Claim("kl_floor", text, mean(arrays["real_kl"]), *exact)])
    setting = f"in pairs of one seed, {steps} steps, {n} samples"
    text = (
        f"The non-saturating loss covers at least as many of {k} modes with packing 2 as without: "
        f"difference {setting}."
    )
    counts = {name: modes(arrays, name).astype(float) for name in NAMES}
    gain = mean_of_counts(counts["packing"] - counts["non_saturating"])
    adds = Claim("packing_adds_modes", text, gain, *at_least(0.0, "modes", _PACGAN))
    text = (
        "Packing 2 visits the modes at least as evenly: KL without less KL with packing, "
        f"{setting}."
    )
    fall = mean(kl(arrays, "non_saturating") - kl(arrays, "packing"))
    evens = Claim("packing_lowers_kl", text, fall, *at_least(0.0, "nats", _PACGAN))
    text = (
        "The count of modes flatters: with R1 the share of modes covered is above the confident "
        f"share of samples over that of held-out data, difference, {steps} steps."
    )
    source = "ours; a mode counts with one sample of any quality (PacGAN's rule)"
    excess = mean(counts["r1"] / k - confident_share(arrays, "r1") / real_confident_share(arrays))
    flatters = Claim("count_flatters", text, excess, *at_least(0.0, "", source))
    return [*real, adds, evens, flatters]
