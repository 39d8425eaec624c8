"""A claim: what is said, what was measured, with its interval, what was expected, the verdict."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from scipy import stats

from gan_lab.checks import check_choice

RELATIONS = ("equals", "at_least", "at_most")
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


class Measured(NamedTuple):
    """A measured number with its interval."""

    value: float
    low: float
    high: float


def exact(value: float) -> Measured:
    """A number that chance has no part in: its interval is itself."""
    return Measured(float(value), float(value), float(value))


def mean(values: Sequence[float] | np.ndarray) -> Measured:
    """The mean over seeds with its 95 % t interval; unbounded for fewer than two seeds.

    Raises:
        ValueError: No values.
    """
    x = _checked(values)
    value = float(x.mean())
    if not np.isfinite(x).all():
        return Measured(value, value, value)
    if len(x) == 1:
        return Measured(value, -math.inf, math.inf)
    half = float(stats.t.ppf(0.975, len(x) - 1)) * float(x.std(ddof=1)) / math.sqrt(len(x))
    return Measured(value, value - half, value + half)


def median(values: Sequence[float] | np.ndarray) -> Measured:
    """The median over seeds, between the order statistics that hold the true one with >= 93.75 %.

    Free of any assumption about the distribution. Five seeds give [least, greatest] (93.75 %), more
    give the narrowest pair of order statistics with at least that coverage; fewer than five cannot,
    so their interval is unbounded.

    Raises:
        ValueError: No values.

    Reference: the binomial interval for a median, e.g. Conover 1999, section 3.2.
    """
    x = np.sort(_checked(values))
    n = len(x)
    middle = float(np.median(x))
    # P(true median < k-th smallest) = P(Bin(n, 1/2) < k); k = 1 covers 1 - 2^(1 - n).
    wide = [k for k in range(1, n // 2 + 1) if 2 * stats.binom.cdf(k - 1, n, 0.5) <= 0.0625]
    if not wide:
        return Measured(middle, -math.inf, math.inf)
    k = wide[-1]
    return Measured(middle, float(x[k - 1]), float(x[n - k]))


def share(successes: int, trials: int) -> Measured:
    """A share of trials with the binomial interval of Clopper and Pearson, 95 %."""
    if not 0 <= successes <= trials or trials < 1:
        raise ValueError(f"{successes} successes of {trials} trials are no share")
    low = float(stats.beta.ppf(0.025, successes, trials - successes + 1)) if successes else 0.0
    failures = trials - successes
    high = float(stats.beta.ppf(0.975, successes + 1, failures)) if failures else 1.0
    return Measured(successes / trials, low, high)


def _checked(values: Sequence[float] | np.ndarray) -> np.ndarray:
    x = np.asarray(values, dtype=float).ravel()
    if len(x) == 0:
        raise ValueError("no values to average; measure at least one seed")
    return x


def judged(measured: Measured, relation: str, expected: float, tolerance: float) -> str:
    """pass where the interval lies inside what is allowed, fail where outside, else inconclusive.

    A number that is undefined fails: nothing was measured.
    """
    value, low, high = measured
    if any(math.isnan(x) for x in measured):
        return FAIL
    if math.isinf(expected) and relation == "equals":
        return PASS if value == low == high == expected else FAIL
    least = -math.inf if relation == "at_most" else expected - tolerance
    most = math.inf if relation == "at_least" else expected + tolerance
    if least <= low and high <= most:
        return PASS
    return FAIL if high < least or low > most else INCONCLUSIVE


@dataclass(frozen=True)
class Claim:
    """One checked statement.

    Attributes:
        id: Short name, unique in its study.
        statement: What is claimed, in one sentence with its units.
        measured: The number and its interval.
        relation: equals, at_least or at_most.
        expected: What it is compared with.
        tolerance: How far beyond `expected` the interval may reach.
        unit: Of measured, expected and tolerance.
        source: Where `expected` comes from.
    """

    id: str
    statement: str
    measured: Measured
    relation: str
    expected: float
    tolerance: float = 0.0
    unit: str = ""
    source: str = ""

    def __post_init__(self) -> None:
        check_choice(self, "relation", list(RELATIONS))
        if math.isnan(self.expected):
            raise ValueError(f"Claim.expected=nan of {self.id} cannot be compared with")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"Claim.tolerance={self.tolerance} of {self.id} is no finite size")

    @property
    def verdict(self) -> str:
        """pass, fail or inconclusive."""
        return judged(self.measured, self.relation, self.expected, self.tolerance)

    def record(self) -> dict[str, Any]:
        """As result.json keeps it."""
        return {
            "id": self.id,
            "statement": self.statement,
            "measured": self.measured.value,
            "low": self.measured.low,
            "high": self.measured.high,
            "relation": self.relation,
            "expected": self.expected,
            "tolerance": self.tolerance,
            "unit": self.unit,
            "source": self.source,
            "verdict": self.verdict,
        }
