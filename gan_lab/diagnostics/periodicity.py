"""The period of a short noisy series, if it has one."""

from typing import NamedTuple

import numpy as np

_LEAST_LAG = 4  # rows: faster swings cannot be told from noise between neighbours
_CYCLES = 3  # that have to fit into the series
_AS_GOOD = 0.85


class Period(NamedTuple):
    """A period and its strength."""

    lag: float  # in rows
    # The least of the autocorrelation after one period, after two (times 1.5), and minus that after
    # half a period; 1 for a pure tone, about 0 for noise.
    strength: float


def find_period(values: np.ndarray) -> Period | None:
    """Return the period of a series from its autocorrelation.

    A trend, and a random walk, have a slow autocorrelation whose first return comes late, if at
    all: hence a straight line is taken out first, a half period has to be as clearly against as a
    whole one is for, and three periods have to fit in.

    Args:
        values: Equally spaced, shape [n].

    Returns:
        None where a value is not finite, the series is constant, or nothing returns.
    """
    n = len(values)
    if n < _LEAST_LAG * _CYCLES or not np.isfinite(values).all():
        return None
    t = np.linspace(-1.0, 1.0, n)
    rest = values - values.mean()
    rest = rest - t * (t @ rest) / (t @ t)
    size = float(np.sqrt(np.mean(rest**2)))
    # The rest of a straight line is rounding.
    if not size > 1e-9 * (1e-30 + float(np.abs(values).max())):
        return None
    rest = rest / size
    limit = 2 * n // _CYCLES
    r = np.array([float(rest[: n - k] @ rest[k:]) / (n - k) for k in range(limit + 1)])
    negative = np.flatnonzero(r < 0)
    if not len(negative):
        return None
    begin = 2 * int(negative[0])  # the first return lies beyond the first trough
    lags = np.arange(max(begin, _LEAST_LAG), n // _CYCLES + 1)
    if not len(lags):
        return None
    # Two periods return as surely as one: the first lag that is as good as the best.
    peaks = [k for k in lags if r[k] >= r[k - 1] and r[k] >= r[k + 1]]
    lag = next((int(k) for k in peaks if r[k] >= _AS_GOOD * r[lags].max()), 0)
    if not lag:
        return None
    trough = float(r[lag // 2 : (lag + 1) // 2 + 1].min())
    twice = float(r[2 * lag - 1 : 2 * lag + 2].max(initial=-1.0))
    return Period(float(lag), min(float(r[lag]), -trough, 1.5 * twice))
