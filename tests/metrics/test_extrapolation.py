"""A line in 1/n: exact where the bias is one, and its interval covers."""

import math

import numpy as np
import pytest
import torch

from gan_lab.metrics.estimate import Estimate, from_repeats
from gan_lab.metrics.extrapolation import extrapolate
from gan_lab.metrics.features.frechet import frechet_distance


def on_line(n, noise=0.0, rng=None):
    """Ten repeats around 2 + 5/n whose errors sum to 0 where there is no generator for them."""
    values = 2 + 5 / n + noise * (np.arange(10) - 4.5 if rng is None else rng.normal(size=10))
    return from_repeats(list(values), "1", n)


@pytest.mark.parametrize("sizes", [(64, 128), (64, 500, 1000), (10, 20, 40, 80, 1000)])
def test_the_intercept_of_a_line_is_exact(sizes):
    got = extrapolate([on_line(n, 0.1) for n in sizes], 10)
    assert got.value == pytest.approx(2.0, rel=1e-10)
    assert got.low < 2.0 < got.high
    assert (got.n, got.unit, got.floor) == (max(sizes), "1", None)
    exact = extrapolate([on_line(n) for n in sizes], 10)
    assert (exact.low, exact.high) == pytest.approx((2.0, 2.0), abs=1e-9)


def test_the_floors_are_extrapolated_too():
    pair = [on_line(n).with_floor(0.5 + 3 / n) for n in (50, 100)]
    assert extrapolate(pair, 10).floor == pytest.approx(0.5, rel=1e-10)
    assert extrapolate([pair[0], on_line(100)], 10).floor is None


def test_the_interval_of_two_sizes_is_the_propagated_error():
    # The intercept of the line through n = 50 and 100 is 2 y(100) - y(50).
    first, second = on_line(50, 0.2), on_line(100, 0.1)
    got = extrapolate([first, second], 10)
    t9 = 2.262157
    error = math.hypot(2 * (second.high - second.low), first.high - first.low) / (2 * t9)
    # Equal parts of both double the degrees of freedom: t of 18.
    assert (got.high - got.low) / 2 == pytest.approx(2.100922 * error, rel=1e-5)


def test_the_interval_covers():
    rng = np.random.default_rng(0)
    hits = 0
    for _ in range(1000):
        got = extrapolate([on_line(n, 0.3 / math.sqrt(n), rng) for n in (64, 256, 512)], 10)
        hits += got.low <= 2.0 <= got.high
    assert 0.93 <= hits / 1000 <= 0.97


def test_the_frechet_distance_of_gaussians_loses_its_bias():
    generator = torch.Generator().manual_seed(0)

    def at(n):
        pairs = torch.randn(400, 2, n, 8, generator=generator, dtype=torch.float64)
        values = [frechet_distance(x + 0.1, y) for x, y in pairs]
        return from_repeats(values, "1", n)

    truth, estimates = 8 * 0.1**2, [at(n) for n in (64, 128, 512)]
    got = extrapolate(estimates, 400)
    assert estimates[0].value > 10 * truth  # .08 reads 1 at n = 64
    assert estimates[-1].low > 2 * truth
    # What is left is of order 1/n^2, and noise.
    assert abs(got.value - truth) < 0.25 * truth
    assert got.high - got.low < 0.5 * truth


def test_a_line_needs_two_sizes_and_two_repeats():
    with pytest.raises(ValueError, match="needs 2 different n"):
        extrapolate([on_line(50), on_line(50)], 10)
    single = Estimate(1.0, "1", 50, -math.inf, math.inf)
    with pytest.raises(ValueError, match="n_repeats=1 gives no interval"):
        extrapolate([single, on_line(100)], 1)
