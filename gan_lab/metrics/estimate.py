"""An estimate: value, unit, n, interval and floor."""

import math
from collections.abc import Callable, Sequence
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
}
CLIPPED_MARK = "*"
CLIPPED_NOTE = f"{CLIPPED_MARK} clipped at what is possible"


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
    """

    value: float
    unit: str
    n: int
    low: float
    high: float
    floor: float | None = None

    def scalars(self, tag: str) -> dict[str, float]:
        """Return the values to log: tag, tag_low, tag_high and, where it is known, tag_floor."""
        floor = {} if self.floor is None else {f"{tag}_floor": self.floor}
        return {tag: self.value, f"{tag}_low": self.low, f"{tag}_high": self.high, **floor}

    def interval(self, tag: str) -> Interval:
        """Return the interval as it is shown for a tag: clipped to what is possible."""
        return clip_interval(tag, self.value, self.low, self.high)

    def with_floor(self, floor: float) -> "Estimate":
        """Return the estimate with its floor."""
        return replace(self, floor=floor)

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.3g}"
        interval = f"[{self.low:.3g}, {self.high:.3g}]"
        return f"{self.value:.3g} {self.unit} {interval}, n = {self.n}{floor}"


def from_repeats(values: Sequence[float], unit: str, n: int) -> Estimate:
    """Return the mean of independent repeats with its 95 % t interval.

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
    return Estimate(mean, unit, n, mean - half, mean + half)


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
    return replace(plain, low=max(low, 0.0), high=min(high, limit))
