"""The claims of the study of mode collapse: functions of its arrays only."""

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, checks, equals
from gan_lab.experiments.mode_collapse.coverage import (
    BY_SAMPLE,
    NAMES,
    QUALITY_CEILING,
    final_modes,
    kl_floor,
    uncovered_share,
)
from gan_lab.reports.analysis.statistics import Statistic, mean, median, share

_PACGAN = (
    "Lin et al. 2018 (PacGAN), arXiv:1712.04086, authors' table (V): 6.3 +- .5 modes of 8 without, "
    "7.9 +- .1 with packing 2 (17.3 +- .8 and 23.8 +- .7 of 25); theirs wider and trained longer"
)
_OURS = "ours; the widths, steps and learning rates of this study"


def claims_of_data(arrays: Arrays, data: str) -> list[Claim]:
    """Check what no generator can beat: the ceiling of quality and the floor of KL."""
    n = int(arrays[f"{data}/n_final"])
    floor = kl_floor(arrays[f"{data}/weights"], n)
    text = (
        f"{NAMES[data]}: {n} samples of the data themselves have a KL of (K - 1)/(2 n) from "
        "their own mode weights, so no smaller number is an achievement"
    )
    source = "derived (D): the expansion of the plug-in estimate to second order"
    expected = equals(floor, 0.1 * floor, "nats", source)
    kl = Claim(f"{data}_kl_floor", text, mean(arrays[f"{data}/real_kl"]), *expected)
    if data == BY_SAMPLE:
        return checks([kl])
    text = (
        f"{NAMES[data]}: of the data themselves 1 - exp(-4.5) lie within 3 standard deviations, so "
        "a larger high-quality share is collapse within modes"
    )
    quality = share(int(arrays[f"{data}/real_good"]), int(arrays[f"{data}/real_n"]))
    source = "derived (D): the radius of a two-dimensional Gaussian is Rayleigh"
    expected = equals(QUALITY_CEILING, 0.002, "", source)
    return checks([Claim(f"{data}_quality_ceiling", text, quality, *expected), kl])


def claims_of_critic(arrays: Arrays, data: str) -> list[Claim]:
    """Claim that the penalised critic covers every mode at the end, and loses few on the way."""
    i, k = _row(arrays, "wasserstein"), len(arrays[f"{data}/weights"])
    covers = f"{NAMES[data]}: with the penalised critic every mode is covered at the end"
    keeps = (
        f"{NAMES[data]}: with the penalised critic at most 5 % of (mode, look) pairs of the "
        "second half of training are without a high-quality sample"
    )
    modes, every = median(final_modes(arrays, data)[i]), at_least(float(k), "modes", _OURS)
    away = median(uncovered_share(arrays[f"{data}/good"])[i])
    return [
        Claim(f"critic_covers_{data}", covers, modes, *every),
        Claim(f"critic_keeps_{data}", keeps, away, *at_most(0.05, "", _OURS)),
    ]


def claim_of_critic_over_non_saturating(arrays: Arrays, data: str) -> Claim:
    """Compare the two where the ring is too easy to tell them apart."""
    text = (
        f"{NAMES[data]}: the penalised critic covers at least as many modes as the "
        "non-saturating loss after as many steps (difference in pairs of one seed; a step has "
        "3 updates of the critic, 5 on digits, against 1 of the discriminator)"
    )
    excess = _excess_over_non_saturating(arrays, data, "wasserstein")
    return Claim(f"critic_covers_more_{data}", text, excess, *at_least(0.0, "modes", _OURS))


def claim_of_packing(arrays: Arrays, data: str) -> Claim:
    """Claim PacGAN's direction, in pairs of one seed."""
    text = (
        f"{NAMES[data]}: the non-saturating loss covers at least as many modes with packing 2 "
        "as without (difference in pairs of one seed)"
    )
    excess = _excess_over_non_saturating(arrays, data, "packing")
    return Claim(f"packing_adds_modes_{data}", text, excess, *at_least(0.0, "modes", _PACGAN))


def packing_is_undecided(arrays: Arrays, data: str) -> bool:
    """Return whether the interval of packing's difference in modes holds zero."""
    excess = _excess_over_non_saturating(arrays, data, "packing")
    return excess.low <= 0 <= excess.high


def mean_of_counts(differences: np.ndarray) -> Statistic:
    """Return the mean of differences of counts; agreement proves no more than their number does.

    Where n pairs agree, another value may have escaped with probability 1 - .025^(1/n), which
    widens the interval by as much: at a ceiling (8 of 8 modes both times) nothing is shown.
    """
    average = mean(differences)
    if len(differences) < 2 or np.ptp(differences) > 0:
        return average
    escape = 1 - 0.025 ** (1 / len(differences))
    return Statistic(average.value, average.value - escape, average.value + escape)


def _excess_over_non_saturating(arrays: Arrays, data: str, method: str) -> Statistic:
    modes = final_modes(arrays, data).astype(float)
    return mean_of_counts(modes[_row(arrays, method)] - modes[_row(arrays, "non_saturating")])


def _row(arrays: Arrays, method: str) -> int:
    return arrays["methods"].tolist().index(method)
