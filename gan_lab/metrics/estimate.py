"""An estimate: value, unit, n, interval and floor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import special  # scipy.stats takes half a second to import


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
