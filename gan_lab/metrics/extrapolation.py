"""The value of a biased metric at infinitely many samples."""

import math
from collections.abc import Sequence

import numpy as np
from scipy import special

from gan_lab.metrics.estimate import Estimate

# Tags whose bias is of order 1/n, so that a line in 1/n removes it.
LINEAR_TAGS = ("features/frechet_distance", "inception/fid")


def extrapolate(estimates: Sequence[Estimate], n_repeats: int) -> Estimate:
    """Return the intercept at 1/n = 0 of the least-squares line through estimates against 1/n.

    It is linear in the estimates: E FD(n) = FD + c/n + O(1/n^2) with a c that depends on the
    generator, so that two generators may change places between n = 500 and infinity. It is right as
    far as the estimates lie on the line: n well above the number of features.

    Args:
        estimates: Of one metric at different n, independent of each other, from `from_repeats`.
        n_repeats: Repeats in each of them, >= 2.

    Returns:
        The intercept, its 95 % interval (of independent errors, degrees of freedom by Welch and
        Satterthwaite), the largest n, and the intercept of the floors where all have one. It may
        leave the metric's range: a perfect generator is at 0 give or take.

    Raises:
        ValueError: Fewer than 2 different n, or fewer than 2 repeats.

    Reference: Chong and Forsyth 2020, arXiv:1911.07023, section 3; Satterthwaite 1946, Biometrics
    Bulletin 2(6).
    """
    inverse = np.array([1 / each.n for each in estimates])
    if len({each.n for each in estimates}) < 2:
        raise ValueError("a line needs 2 different n; say n=128,500")
    if n_repeats < 2:
        raise ValueError(f"n_repeats={n_repeats} gives no interval; take at least 2")
    deviations = inverse - inverse.mean()
    weights = 1 / len(inverse) - inverse.mean() * deviations / (deviations**2).sum()
    freedom = n_repeats - 1
    quantile = float(special.stdtrit(freedom, 0.975))
    errors = np.array([(each.high - each.low) / (2 * quantile) for each in estimates])
    parts = (weights * errors) ** 2
    value = float(weights @ [each.value for each in estimates])
    total = float(parts.sum())
    half = 0.0
    if total > 0:
        freedom_of_sum = freedom * total**2 / float((parts**2).sum())
        half = float(special.stdtrit(freedom_of_sum, 0.975)) * math.sqrt(total)
    floors = [each.floor for each in estimates if each.floor is not None]
    floor = float(weights @ floors) if len(floors) == len(estimates) else None
    largest = max(estimates, key=lambda each: each.n)
    is_skewed = any(each.is_skewed for each in estimates)
    return Estimate(value, largest.unit, largest.n, value - half, value + half, floor, is_skewed)
