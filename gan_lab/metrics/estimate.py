"""An estimate: value, unit, n, interval and floor."""

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

from scipy import special  # scipy.stats takes half a second to import

# Tag, or the part before its slash -> (least, most) of the quantity. An estimate may still leave
# them: the nearest neighbours' JS and a fresh critic's W1 are lower bounds, a U-statistic is
# unbiased.
_RANGES = {
    "divergence": (0.0, math.inf),
    "divergence/js": (0.0, math.log(2)),
    "divergence/js_histogram": (0.0, math.log(2)),
    "neural_distance": (0.0, math.inf),
    "neural_distance/js": (0.0, math.log(2)),
    "discriminator_estimate/js": (-math.inf, math.log(2)),
    "modes": (0.0, math.inf),
    "modes/high_quality": (0.0, 1.0),
    "modes/classifier_accuracy": (0.0, 1.0),
    "samples": (0.0, math.inf),
    "features": (0.0, math.inf),
    **dict.fromkeys(
        ("features/precision", "features/recall", "features/coverage", "features/legible_share"),
        (0.0, 1.0),
    ),
    "features/classifier_score": (1.0, math.inf),
    "conditional": (0.0, math.inf),
    "conditional/accuracy": (0.0, 1.0),
}
CLIPPED_MARK = "*"
CLIPPED_NOTE = f"{CLIPPED_MARK} clipped at what is possible"
SKEWED_MARK = "~"
SKEWED_NOTE = f"{SKEWED_MARK} interval too narrow for such tails"
# That of exponential values, of which the t interval of 10 covers 90 %. Seven values can exceed it.
_MAX_SKEWNESS = 2.0


class Interval(NamedTuple):
    """The ends of an interval as they are shown, and which of them were clipped."""

    low: float
    high: float
    low_clipped: bool = False
    high_clipped: bool = False

    @property
    def is_clipped(self) -> bool:
        """Whether an end was clipped, so that `CLIPPED_NOTE` has to be said."""
        return self.low_clipped or self.high_clipped

    def text(self, number: Callable[[float], str]) -> str:
        """Return "[0*, 0.30]", each end formatted by `number`."""
        low, high = (CLIPPED_MARK if is_marked else "" for is_marked in self[2:])
        return f"[{number(self.low)}{low}, {number(self.high)}{high}]"


def possible_range(tag: str) -> tuple[float, float]:
    """Return the least and the greatest value of the quantity that a tag estimates."""
    no_bounds = (-math.inf, math.inf)
    tag = tag.removeprefix("final/")
    return _RANGES.get(tag, _RANGES.get(tag.partition("/")[0], no_bounds))


def clip_interval(
    tag: str, value: float, low: float, high: float, limit: float = math.inf
) -> Interval:
    """Clip the ends of an interval to what its quantity can be, since a t interval knows no bounds.

    An end is never clipped past the value, which is shown as it was estimated: where that is
    itself impossible (a JS of -0.01), so is its interval. An interval without ends stays so.

    Args:
        tag: Of the quantity.
        value: The estimate.
        low: Lower end.
        high: Upper end.
        limit: A bound that the tag does not tell: the number of modes there are.
    """
    least, greatest = possible_range(tag)
    greatest = min(greatest, limit)
    if math.isinf(low) and math.isinf(high):
        return Interval(low, high)
    low_clipped, high_clipped = low < least <= value, high > greatest >= value
    return Interval(
        least if low_clipped else low,
        greatest if high_clipped else high,
        low_clipped,
        high_clipped,
    )


@dataclass(frozen=True)
class Estimate:
    """One measured quantity.

    Attributes:
        value: The estimate; infinity is never clipped.
        unit: Of value, low, high and floor.
        n: Samples on each side.
        low: Lower end of the 95 % interval for the estimator's expectation at this n.
        high: Upper end.
        floor: The same estimator of real samples against held-out ones: the value of a perfect
            generator. None where it was not measured.
        is_skewed: Whether the repeats, or those of the floor, are so skewed that the interval is
            too narrow. An absent mark proves nothing: it is the repeats without an outlier that
            miss.
    """

    value: float
    unit: str
    n: int
    low: float
    high: float
    floor: float | None = None
    is_skewed: bool = False

    def scalars(self, tag: str) -> dict[str, float]:
        """Return the values to log: tag, tag_low, tag_high and, where it is known, tag_floor."""
        floor = {} if self.floor is None else {f"{tag}_floor": self.floor}
        return {tag: self.value, f"{tag}_low": self.low, f"{tag}_high": self.high, **floor}

    def interval(self, tag: str) -> Interval:
        """Return the interval as it is shown for a tag: clipped to what is possible."""
        return clip_interval(tag, self.value, self.low, self.high)

    def interval_text(self, tag: str, number: Callable[[float], str]) -> str:
        """Return the interval as it is shown, with the marks that `interval_notes` explains."""
        return self.interval(tag).text(number) + (SKEWED_MARK if self.is_skewed else "")

    def with_floor(self, floor: float, is_skewed: bool = False) -> "Estimate":
        """Return the estimate with its floor, skewed where it or the floor's repeats are."""
        return replace(self, floor=floor, is_skewed=self.is_skewed or is_skewed)

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.3g}"
        interval = f"[{self.low:.3g}, {self.high:.3g}]{SKEWED_MARK if self.is_skewed else ''}"
        return f"{self.value:.3g} {self.unit} {interval}, n = {self.n}{floor}"


def interval_notes(estimates: Iterable[tuple[str, Estimate]]) -> str:
    """Return what explains the marks of intervals, given as (tag, estimate); "" without any."""
    pairs = list(estimates)
    is_clipped = any(e.interval(tag).is_clipped for tag, e in pairs)
    parts = [CLIPPED_NOTE] if is_clipped else []
    return "; ".join([*parts, *([SKEWED_NOTE] if any(e.is_skewed for _, e in pairs) else [])])


def have_skew(values: Sequence[float]) -> bool:
    """Return whether independent values are so skewed that their t interval is too narrow."""
    return abs(skewness(values)) > _MAX_SKEWNESS


def skewness(values: Sequence[float]) -> float:
    """Return m_3 / m_2^(3/2) of the values' central moments, 0 where all agree.

    Of n values it is at most (n - 2)/sqrt(n - 1): 1.15 of 4, 2.67 of 10, 4.13 of 20.
    """
    mean = math.fsum(values) / len(values)
    largest = max(abs(value - mean) for value in values)
    if largest == 0:
        return 0.0
    deviations = [(value - mean) / largest for value in values]  # whose powers cannot overflow
    second, third = (math.fsum(d**p for d in deviations) / len(values) for p in (2, 3))
    return third / second**1.5


def from_repeats(values: Sequence[float], unit: str, n: int) -> Estimate:
    """Return the mean of independent repeats with its 95 % t interval.

    It covers less than 95 % where the repeats are skewed, by heavy tails or rare events: W1 of 64
    samples of a Pareto distribution with shape 1.5 in 72 % of cases by 4 repeats, 69 % by 10.
    Repeats whose skewness exceeds 2 are marked as skewed: none of 4, a quarter of 10 such cases.

    Args:
        values: One estimate for each independent draw of n samples.
        unit: Of the values.
        n: Samples on each side of one repeat.

    Returns:
        An estimate without a floor; the interval is (-inf, inf) for a single repeat.

    Raises:
        ValueError: No values.
    """
    repeats = len(values)
    if repeats == 0:
        raise ValueError("no repeats to average; take at least 1, and 2 for an interval")
    if not all(map(math.isfinite, values)):
        # One repeat that is infinite makes the expectation infinite, one undefined undefined.
        total = math.nan if any(map(math.isnan, values)) else math.fsum(values)
        return Estimate(total, unit, n, total, total)
    mean = math.fsum(values) / repeats
    if repeats == 1:
        return Estimate(mean, unit, n, -math.inf, math.inf)
    variance = math.fsum((value - mean) ** 2 for value in values) / (repeats - 1)
    half = float(special.stdtrit(repeats - 1, 0.975)) * math.sqrt(variance / repeats)
    return Estimate(mean, unit, n, mean - half, mean + half, is_skewed=have_skew(values))


def from_counts(values: Sequence[float], unit: str, n: int, limit: float = math.inf) -> Estimate:
    """Return the mean of independent counts; its interval does not collapse where all agree.

    Where all counts agree the t interval has no width and misses the expectation: a neighbouring
    count may have probability 1 - .025^(1/repeats) on either side. Where two neighbouring counts
    occur, their mean is a share of successes with the binomial interval of Clopper and Pearson,
    joined with the t interval, for more than two counts may be possible. It covers at least 95 % of
    the time where the count varies by one, and always where it never varies.

    Args:
        values: Whole numbers, one for each independent draw of n samples.
        unit: Of the values.
        n: Samples on each side of one repeat.
        limit: The largest count there can be.

    Returns:
        An estimate without a floor.

    Raises:
        ValueError: No values.

    Reference: Clopper and Pearson 1934, Biometrika 26(4).
    """
    plain = from_repeats(values, unit, n)
    repeats, low, high = len(values), plain.low, plain.high
    if repeats == 1 or not math.isfinite(plain.value):
        return plain
    least, greatest = min(values), max(values)
    if greatest == least:
        probability = 1 - 0.025 ** (1 / repeats)
        low, high = least - probability, greatest + probability
    elif greatest - least <= 1:
        above = sum(value > least for value in values)
        low = min(low, least + float(special.betaincinv(above, repeats - above + 1, 0.025)))
        high = max(high, least + float(special.betaincinv(above + 1, repeats - above, 0.975)))
    return replace(plain, low=max(low, 0.0), high=min(high, limit), is_skewed=False)
