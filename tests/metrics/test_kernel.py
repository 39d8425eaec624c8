"""Energy distance and MMD^2: unbiased, and right against closed forms."""

import math

import numpy as np
import pytest
import torch

from gan_lab.metrics.kernel import energy_distance, median_distance, mmd_squared
from gan_lab.selfcheck import expectations
from tests.helpers import normal

ESTIMATORS = {"energy": energy_distance, "mmd": lambda a, b: mmd_squared(a, b, 1.3)}
TRUTHS = {"energy": expectations.energy, "mmd": lambda *of: expectations.mmd_squared(*of, 1.3)}


def mean_and_error(values):
    return float(np.mean(values)), 5 * float(np.std(values, ddof=1)) / math.sqrt(len(values))


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("d", [1, 3])
def test_the_mean_at_equality_is_zero_whatever_n(name, d):
    f = ESTIMATORS[name]
    values = [f(normal(8, d, seed=s), normal(8, d, seed=s + 50_000)) for s in range(2000)]
    mean, error = mean_and_error(values)
    assert abs(mean) < error
    assert min(values) < 0  # an unbiased estimate of 0 has to be negative at times


@pytest.mark.parametrize("name", ESTIMATORS)
@pytest.mark.parametrize("d", [1, 2, 16])
@pytest.mark.parametrize(("shift", "std"), [(0.0, 2.0), (1.5, 1.0)])
def test_the_mean_is_the_closed_form(name, d, shift, std):
    values = []
    for seed in range(100):
        fake = std * normal(40, d, seed=seed + 5000)
        fake[:, 0] += shift
        values.append(ESTIMATORS[name](normal(40, d, seed=seed), fake))
    mean, error = mean_and_error(values)
    assert mean == pytest.approx(TRUTHS[name](d, shift, std), abs=error)


def test_energy_distance_of_pairs_by_hand():
    a, b = torch.tensor([[0.0], [1.0]]), torch.tensor([[3.0], [5.0]])
    # 2 mean(3, 5, 2, 4) - 1 - 2.
    assert energy_distance(a, b) == pytest.approx(4.0, abs=1e-12)


def test_mmd_of_two_points_by_hand():
    a, b = torch.zeros(3, 2), torch.full((3, 2), 1.0)
    assert mmd_squared(a, b, 2.0) == pytest.approx(2 - 2 * math.exp(-2 / 8), abs=1e-12)
    assert mmd_squared(a, b + 1e6, 2.0) == pytest.approx(2.0, abs=1e-12)


@pytest.mark.parametrize("name", ESTIMATORS)
def test_they_are_symmetric_and_ignore_common_motions(name):
    f = ESTIMATORS[name]
    a, b = normal(20, 3, seed=1), 1 + normal(25, 3, seed=2)
    turn = torch.linalg.qr(normal(3, 3, seed=3))[0]
    assert f(b, a) == pytest.approx(f(a, b), abs=1e-12)
    assert f(a @ turn + 7, b @ turn + 7) == pytest.approx(f(a, b), abs=1e-9)
    assert energy_distance(4 * a, 4 * b) == pytest.approx(4 * energy_distance(a, b), rel=1e-10)


def test_the_median_distance_is_the_one_of_a_gaussian_and_scales():
    x = normal(1000, 1, seed=1)
    assert median_distance(x) == pytest.approx(math.sqrt(2) * 0.6745, rel=0.05)
    assert median_distance(3 * x) == pytest.approx(3 * median_distance(x), rel=1e-12)
    assert median_distance(torch.tensor([[0.0], [1.0], [4.0]])) == 3.0


@pytest.mark.parametrize("bandwidth", [0.0, -1.0, math.nan])
def test_a_bandwidth_that_is_not_positive_is_refused(bandwidth):
    with pytest.raises(ValueError, match="bandwidth="):
        mmd_squared(torch.zeros(3, 1), torch.ones(3, 1), bandwidth)


def test_nan_is_refused():
    bad = torch.tensor([[0.0], [math.nan]])
    for f in ESTIMATORS.values():
        with pytest.raises(ValueError, match="reference hold 1 non-finite"):
            f(torch.zeros(2, 1), bad)
    with pytest.raises(ValueError, match="non-finite"):
        median_distance(bad)
