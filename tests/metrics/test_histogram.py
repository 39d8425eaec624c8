"""JS by counting: no mass is lost, and the bias is the one of counting."""

import math

import numpy as np
import pytest
import torch

from gan_lab.metrics.histogram import histogram_js
from gan_lab.selfcheck import expectations
from tests.helpers import normal


@pytest.mark.parametrize("d", [1, 2])
@pytest.mark.parametrize("away", [1e3, -1e3, 1e30])
def test_fakes_outside_of_the_grid_are_counted_and_give_log_2(d, away):
    real = normal(500, d, seed=1)
    fake = normal(500, d, seed=2) + away
    # The outermost cell holds at most a few real samples, which fakes may not be told from.
    assert histogram_js(real, fake) == pytest.approx(math.log(2), abs=0.02)
    assert histogram_js(fake, real) == pytest.approx(math.log(2), abs=0.02)


@pytest.mark.parametrize("d", [1, 2])
def test_equal_samples_have_none_and_every_value_is_in_range(d):
    a, b = normal(300, d, seed=1), 0.3 + normal(300, d, seed=2)
    assert histogram_js(a, a.clone()) == 0
    assert 0 <= histogram_js(a, b) <= math.log(2)
    assert histogram_js(a, a[torch.randperm(300)]) == 0


@pytest.mark.parametrize("theta", [-1.0, 1.0, 1e-9])
def test_disjoint_segments_give_log_2_exactly_on_either_side(theta):
    u = torch.rand(200, 1, dtype=torch.float64)
    real, fake = torch.cat([0 * u, u], 1), torch.cat([0 * u + theta, u], 1)
    assert histogram_js(real, fake) == pytest.approx(math.log(2), abs=1e-12)
    assert histogram_js(fake, real) == pytest.approx(math.log(2), abs=1e-12)


def test_it_is_invariant_under_scale_and_shift_of_each_axis():
    a, b = normal(400, 2, seed=1), 1 + normal(400, 2, seed=2)
    scale, shift = torch.tensor([4.0, 0.25]).double(), torch.tensor([64.0, -8.0]).double()
    value = histogram_js(a, b)
    assert histogram_js(a * scale + shift, b * scale + shift) == pytest.approx(value, abs=1e-12)


def test_the_plug_in_bias_is_that_of_counting():
    n, bins = 4000, 6
    values = [
        histogram_js(normal(n, 1, seed=s), normal(n, 1, seed=s + 999), bins) for s in range(200)
    ]
    mean, error = np.mean(values), 5 * np.std(values) / math.sqrt(200)
    exact = expectations.histogram_js(n, *expectations.cells(bins, 1, 0.0, 1.0))
    assert mean == pytest.approx(exact, abs=error + 1e-4)
    # (cells - 1) / (4 n), as the docstring says.
    assert exact == pytest.approx((bins + 1) / (4 * n), rel=0.1)


def test_more_than_two_dimensions_other_shapes_and_nan_are_refused():
    a = normal(10, 3, seed=1)
    with pytest.raises(ValueError, match="d = 1 or 2 on both sides, got 3, 3"):
        histogram_js(a, a)
    with pytest.raises(ValueError, match="got 1, 2"):
        histogram_js(a[:, :1], a[:, :2])
    a[4, 0] = math.nan
    with pytest.raises(ValueError, match="real hold 1 non-finite"):
        histogram_js(a[:, :1], a[:, 1:2])
