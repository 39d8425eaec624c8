"""Sliced W1: the mean over directions of a distance on the line."""

import math

import pytest
import torch

from gan_lab.metrics.wasserstein import exact_wasserstein, sliced_wasserstein
from gan_lab.selfcheck.expectations import projection_share, wasserstein_floor
from tests.helpers import normal


@pytest.mark.parametrize(("d", "share"), [(1, 1.0), (2, 2 / math.pi), (3, 0.5)])
def test_the_share_of_a_projection_is_known_in_few_dimensions(d, share):
    assert projection_share(d) == pytest.approx(share, rel=1e-12)


@pytest.mark.parametrize("d", [1, 2, 5, 16])
def test_sliced_w1_of_a_shift_is_its_length_times_the_mean_projection(d):
    x = normal(20, d, seed=d)
    shift = 3 * torch.nn.functional.normalize(normal(d, seed=9), dim=0)
    expected = 3 * projection_share(d)
    assert sliced_wasserstein(x + shift, x, 40_000) == pytest.approx(expected, rel=0.02)


def test_on_the_line_it_is_the_exact_distance():
    a, b = normal(50, 1, seed=1), normal(50, 1, seed=2)
    assert sliced_wasserstein(a, b) == pytest.approx(exact_wasserstein(a, b), rel=1e-12)


def test_it_is_at_most_the_exact_distance():
    for seed in range(10):
        a, b = normal(30, 3, seed=seed), 1 + normal(30, 3, seed=seed + 50)
        assert 0 < sliced_wasserstein(a, b) <= exact_wasserstein(a, b) + 1e-12


def test_it_is_symmetric_zero_at_equality_and_scales_with_the_data():
    a, b = normal(30, 4, seed=1), normal(30, 4, seed=2)
    value = sliced_wasserstein(a, b)
    assert sliced_wasserstein(b, a) == pytest.approx(value, rel=1e-12)
    assert sliced_wasserstein(3 * a, 3 * b) == pytest.approx(3 * value, rel=1e-12)
    assert sliced_wasserstein(a, a[torch.randperm(30)]) == pytest.approx(0, abs=1e-12)


def test_directions_never_change_and_a_seed_changes_them():
    a, b = normal(30, 4, seed=1), normal(30, 4, seed=2)
    assert sliced_wasserstein(a, b) == sliced_wasserstein(a, b)
    assert sliced_wasserstein(a, b) != sliced_wasserstein(a, b, seed=1)


@pytest.mark.parametrize("n", [16, 64])
def test_the_floor_of_gaussian_samples_is_the_exact_expectation(n):
    values = [
        sliced_wasserstein(normal(n, 3, seed=s), normal(n, 3, seed=s + 10_000)) for s in range(600)
    ]
    error = 5 * torch.tensor(values).std().item() / math.sqrt(600)
    assert sum(values) / 600 == pytest.approx(wasserstein_floor(n), abs=error)
    assert error < 0.05 * wasserstein_floor(n)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_refused(value):
    a = torch.zeros(5, 2)
    b = a.clone()
    b[2, 1] = value
    with pytest.raises(ValueError, match="reference hold 1 non-finite"):
        sliced_wasserstein(a, b)
    with pytest.raises(ValueError, match="one shape"):
        sliced_wasserstein(a, a[:4])
