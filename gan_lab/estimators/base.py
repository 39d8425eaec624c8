"""A number that can be trusted as far as it says: value, unit, n, interval and floor."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from scipy import stats


@dataclass(frozen=True)
class Estimate:
    """One measured quantity.

    Attributes:
        value: The estimate; infinity is said, never clipped.
        unit: Of value, low, high and floor.
        n: Samples on each side.
        low: Lower end of the 95 % interval for the estimator's expectation at this n.
        high: Upper end.
        floor: The same estimator, real samples against held-out ones: what a perfect generator
            would get. None where it was not measured.
    """

    value: float
    unit: str
    n: int
    low: float
    high: float
    floor: float | None = None

    def scalars(self, tag: str) -> dict[str, float]:
        """What is logged: tag, tag_low, tag_high and, where it is known, tag_floor."""
        floor = {} if self.floor is None else {f"{tag}_floor": self.floor}
        return {tag: self.value, f"{tag}_low": self.low, f"{tag}_high": self.high, **floor}

    def with_floor(self, floor: float) -> "Estimate":
        """The same estimate beside its floor."""
        return replace(self, floor=floor)

    def __str__(self) -> str:
        floor = "" if self.floor is None else f", floor {self.floor:.3g}"
        return (
            f"{self.value:.3g} {self.unit} [{self.low:.3g}, {self.high:.3g}], n = {self.n}{floor}"
        )


def from_repeats(values: Sequence[float], unit: str, n: int) -> Estimate:
    """The mean of independent repeats with its 95 % t interval.

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
        whole = math.nan if any(map(math.isnan, values)) else math.fsum(values)
        return Estimate(whole, unit, n, whole, whole)
    mean = math.fsum(values) / repeats
    if repeats == 1:
        return Estimate(mean, unit, n, -math.inf, math.inf)
    variance = math.fsum((value - mean) ** 2 for value in values) / (repeats - 1)
    half = float(stats.t.ppf(0.975, repeats - 1)) * math.sqrt(variance / repeats)
    return Estimate(mean, unit, n, mean - half, mean + half)
