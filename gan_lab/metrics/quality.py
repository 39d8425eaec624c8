"""The verdict of a run in words: where its samples stand between the start and real data."""

import math
from collections.abc import Mapping
from typing import NamedTuple

from gan_lab.metrics.estimate import Estimate
from gan_lab.runs.headline import ENERGY, FRECHET, headline_of, short_name

_MODES, _NEAR = "modes/covered", "modes/high_quality"
_SPREAD = "samples/pairwise_distance"
LEGIBLE = "features/legible_share"
ACCURACY = "conditional/accuracy"
# A squared distance: where W1 halves it falls to a quarter, and so does its share of the way. The
# thresholds below are of distances, so they are held against its square root.
SQUARED_DISTANCES = frozenset({FRECHET, ENERGY})
# Unbiased: real data's own value is 0 up to chance, so nothing is a multiple of it.
UNBIASED_DISTANCES = frozenset({ENERGY})

CLOSE_RATIO = 1.25  # times real data's value, at most, and
CLOSE_SHARE = 0.1  # of the way from the start to real data is left, at most
FAR_RATIO = 4.0  # times real data's value, at least, or
FAR_SHARE = 0.5  # of the way is left, at least
COLLAPSED_MODES = 0.5  # of the modes that real data cover, at most, where
COLLAPSED_NEAR = 0.5  # of real data's share of samples near a mode, at least, lie near one
COLLAPSED_SPREAD = 0.25  # of the mean distance between real samples, at most
MOSTLY_FLOOR = 0.5  # of a W1 of samples, above which what real data get of it says it is no judge


class Start(NamedTuple):
    """A headline at step 0, and what real data got there: with another n than at the end."""

    value: float
    floor: float


class Quality(NamedTuple):
    """A word and its reason: ("close to real", "W1 1.1 x real data's")."""

    word: str
    reason: str

    def __str__(self) -> str:
        return f"{self.word}: {self.reason}" if self.reason else self.word


def judge(
    estimates: Mapping[str, Estimate], start: Start | None = None, high_dimensional: bool = False
) -> Quality | None:
    """Return the verdict on final estimates; None without a headline beside its floor.

    The ratio to real data's value alone would call an untrained generator near where the estimator
    is dominated by its finite n (digits: W1 6.7 at the start, real data 2.8, 2.4 x); the share of
    the way that is left alone would call one near that began far out. So `close` needs both, and
    `far` needs one. A squared distance (FD) is judged by its root: readable digits of MNIST (FD
    .012 to .02, real data .006, a start of 1) are 1.4 to 1.8 times real data's root with 8 to 12 %
    of the way left, grey blobs (.2 and more) 6 times with 45 %. Real data's energy distance is 0 up
    to chance: only the way is judged there, by its root. Distances cannot see a collapse
    that is near one mode of eight, so that comes first. The share of legible samples is told where
    it is known.

    Args:
        estimates: Final ones of one run, with their floors.
        start: The headline at step 0 of a run from fresh networks; None where there was none.
        high_dimensional: Of the samples; see `runs.headline.is_high_dimensional`.
    """
    tag = headline_of(estimates, high_dimensional)
    if tag is None or estimates[tag].floor is None:
        return None
    e, name = estimates[tag], short_name(tag, high_dimensional)
    assert e.floor is not None
    legible = legible_text(estimates)
    legible = f"; {legible}" if legible else ""
    if reason := _collapse(estimates):
        return Quality("collapsed", reason)
    ratio = e.value / e.floor if e.floor > 0 else float("inf")
    text = f"{name} {ratio:.2g} x real data's" if ratio < 100 else f"{name} > 100 x real data's"
    if tag in UNBIASED_DISTANCES:
        ratio, text = CLOSE_RATIO, f"{name} {e.value:.2g}, real data {e.floor:.2g}"
    if e.high < e.floor and tag not in SQUARED_DISTANCES:
        return Quality("closer than real", f"{text}, as of averages of data, which are no data")
    if e.low <= e.floor:
        reason = f"the interval of {name} contains real data's"
        return Quality("as good as real", (text if e.high < e.floor else reason) + legible)
    share_left, scale = _share_left(e.value - e.floor, start), ""
    if tag in SQUARED_DISTANCES:
        ratio, scale = math.sqrt(ratio), " in its root" if tag == ENERGY else f" in sqrt({name})"
        share_left = None if share_left is None else math.sqrt(share_left)
    way = ""
    if share_left is not None:
        way = f", {100 * max(1 - share_left, 0):.0f} % of the way from the start{scale}"
    if tag in UNBIASED_DISTANCES and share_left is None:
        return None
    if ratio >= FAR_RATIO or (share_left is not None and share_left >= FAR_SHARE):
        return Quality("far from real", text + way + legible)
    if ratio <= CLOSE_RATIO and (share_left is None or share_left <= CLOSE_SHARE):
        return Quality("close to real", text + legible)
    return Quality("between", text + way + legible)


def sample_w1_note(e: Estimate) -> str:
    """Say when W1 of samples above 4 dimensions tells them from real data, and when it cannot.

    Its bias at n samples is in real data's value, too. Where the interval reaches that, no
    difference is shown; where it is most of the value, the rest is the small difference of two
    large numbers, which a blur of the data makes negative.
    """
    if e.floor is None or not math.isfinite(e.value) or e.value <= 0:
        return ""
    if e.low <= e.floor:
        return "no difference from real data is shown"
    share = e.floor / e.value
    if share <= MOSTLY_FLOOR:
        return ""
    return f"no judge: {100 * share:.0f} % of it real data get, too"


def legible_text(estimates: Mapping[str, Estimate]) -> str:
    """Return "93 % of samples legible (real data 99 %)"; "" where it was not measured.

    Of a conditional generator it says as well how many are of the right class.
    """
    texts = []
    for tag, what in ((LEGIBLE, "legible"), (ACCURACY, "of the right class")):
        e = estimates.get(tag)
        if e is not None and math.isfinite(e.value):
            floor = "" if e.floor is None else f" (real data {100 * e.floor:.0f} %)"
            texts.append(f"{100 * e.value:.0f} % of samples {what}{floor}")
    return ", ".join(texts)


def _collapse(estimates: Mapping[str, Estimate]) -> str:
    """Return why samples are collapsed; "" where they are not, or where nothing tells."""
    modes, near = estimates.get(_MODES), estimates.get(_NEAR)
    # Of a generator that has not found the data yet the distance says so.
    has_found = near is None or near.value >= COLLAPSED_NEAR * (near.floor or 0.0)
    if (
        modes is not None
        and modes.floor
        and has_found
        and 1 <= modes.value <= COLLAPSED_MODES * modes.floor
    ):
        return f"{modes.value:.3g} of {modes.floor:.3g} modes"
    spread = estimates.get(_SPREAD)
    if spread is not None and spread.floor and spread.value <= COLLAPSED_SPREAD * spread.floor:
        return f"samples {spread.value / spread.floor:.2g} x as far apart as real ones"
    return ""


def _share_left(excess: float, start: Start | None) -> float | None:
    """Return how much of the excess over real data at the start is left."""
    if start is None or start.value <= start.floor:
        return None
    return excess / (start.value - start.floor)
