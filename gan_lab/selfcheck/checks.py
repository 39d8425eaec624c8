"""One check: a known truth, an estimator, and how far apart the two may be, and why."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import torch
from scipy import stats

from gan_lab.engine.rng import stream
from gan_lab.metrics.estimate import Estimate, from_repeats

# Chance that a right estimator is called wrong in one row by sampling noise alone: some 70 rows on
# 5 seeds then fail once in 300 runs of the whole.
FALSE_ALARM = 1e-5
PASS, FAIL, KNOWN_BIAS = "pass", "FAIL", "biased as documented"
_ROUNDING = 1e-9  # relative; samples here are float64


@dataclass(frozen=True)
class Case:
    """One situation in which an estimator's answer is known.

    Attributes:
        name: The situation.
        unit: Of truth and estimate.
        truth: The divergence itself, from a closed form or by quadrature.
        bias: Where the estimator's expectation at n may lie, less the truth: a theorem's two sides,
            or twice one number where the expectation is known exactly.
        reason: The reason for `bias`.
        repeats: Independent draws that are averaged.
        once: One draw: a number, or an estimate that brings its own interval.
    """

    name: str
    estimator: str
    unit: str
    truth: float
    bias: tuple[float, float]
    reason: str
    n: int
    repeats: int
    once: Callable[[torch.Generator], float | Estimate]


@dataclass(frozen=True)
class Row:
    """The outcome of one case on one seed.

    Attributes:
        low: Lower end of the 95 % interval of the estimate's expectation.
        high: Upper end.
        band: The two numbers between which the estimate has to lie.
        expected_bias: Where the bias may lie, as in `Case`, before the slack for noise.
    """

    case: str
    estimator: str
    unit: str
    seed: int
    n: int
    repeats: int
    truth: float
    estimate: float
    low: float
    high: float
    bias: float
    band: tuple[float, float]
    passed: bool
    reason: str
    expected_bias: tuple[float, float]

    @property
    def verdict(self) -> str:
        """Whether it is right, wrong, or off the truth by the bias that is documented for it."""
        if not self.passed:
            return FAIL
        is_off = not self.low <= self.truth <= self.high
        return KNOWN_BIAS if is_off and any(self.expected_bias) else PASS


def check(cases: Iterable[Case], seed: int) -> list[Row]:
    """Run every case on one seed; the randomness of a case depends on no other case."""
    return [_row(case, seed) for case in cases]


def _row(case: Case, seed: int) -> Row:
    generator = stream(seed, f"selfcheck/{case.estimator}/{case.name}")
    draws = [case.once(generator) for _ in range(case.repeats)]
    if isinstance(draws[0], Estimate):
        estimate, quantile = draws[0], float(stats.norm.isf(FALSE_ALARM / 2))
        error = (estimate.high - estimate.low) / (2 * 1.96)
    else:
        values = [value for value in draws if not isinstance(value, Estimate)]
        estimate = from_repeats(values, case.unit, case.n)
        quantile = float(stats.t.isf(FALSE_ALARM / 2, case.repeats - 1))
        t95 = float(stats.t.isf(0.025, case.repeats - 1))
        error = (estimate.high - estimate.low) / (2 * t95)
    if math.isinf(case.truth):
        band = (case.truth, case.truth)
        passed = estimate.value == case.truth
        bias = 0.0 if passed else -case.truth
    else:
        slack = quantile * error + _ROUNDING * max(1.0, abs(case.truth))
        band = (case.truth + case.bias[0] - slack, case.truth + case.bias[1] + slack)
        passed, bias = band[0] <= estimate.value <= band[1], estimate.value - case.truth
    return Row(
        *(case.name, case.estimator, case.unit, seed, case.n, case.repeats, case.truth),
        *(estimate.value, estimate.low, estimate.high, bias, band, passed, case.reason),
        expected_bias=case.bias,
    )
