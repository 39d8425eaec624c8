"""Funnels: an optimal plan with its certificate, and W1 that is known for that reason."""

import math

import pytest
import torch

from gan_lab.data.funnels import HALF_SIDE, POWER, Funnels
from gan_lab.errors import ConfigError
from gan_lab.metrics.wasserstein import exact_wasserstein
from tests.helpers import seeded

PAIRS = [(2, 4), (16, 64), (128, 4), (64, 256)]
each_pair = pytest.mark.parametrize("pair", [Funnels(d, n, 3) for d, n in PAIRS], ids=str)


def given(centres, biases):
    """Return funnels at given places."""
    pair = Funnels(len(centres[0]))
    pair.__dict__["funnels"] = (torch.tensor(centres).double(), torch.tensor(biases).double())
    return pair


@each_pair
def test_the_plan_is_optimal_by_its_certificate(pair):
    y = pair.sample_uniform(500, seeded(0)).double()
    x = pair.pull(y)
    # Kantorovich: cost = dual value of a 1-Lipschitz f, point by point, so both are W1.
    torch.testing.assert_close(
        pair.potential(x) - pair.potential(y), (x - y).norm(dim=1), rtol=1e-9, atol=1e-12
    )
    assert x.abs().max() <= HALF_SIDE


@each_pair
def test_the_potential_has_slope_one_in_the_direction_of_its_gradient(pair):
    x = pair.sample_uniform(200, seeded(1)).double().requires_grad_(True)
    (gradient,) = torch.autograd.grad(pair.potential(x).sum(), x)
    torch.testing.assert_close(pair.potential_gradient(x.detach()), gradient)
    torch.testing.assert_close(gradient.norm(dim=1), torch.ones(200).double())
    others = pair.sample_uniform(200, seeded(2)).double()
    rise = (pair.potential(x)[:, None] - pair.potential(others)).abs()
    assert bool((rise <= torch.cdist(x, others) + 1e-9).all())


def test_a_ray_ends_at_the_wall_or_where_the_next_funnel_is_as_low():
    # Two funnels at +-1 on the first axis and two out of the way, of one height: the border is the
    # middle line, so a point at (-1 + s, 0) has a ray of length 1 and moves to (-1 + s^8, 0); to
    # the left the wall is 1.5 away.
    pair = given([[-1.0, 0.0], [1.0, 0.0], [0.0, 2.4], [0.0, -2.4]], [0.0, 0.0, 5.0, 5.0])
    y = torch.tensor([[-0.5, 0.0], [-1.75, 0.0], [1.0, 0.0]]).double()
    expected = [[-1 + 0.5**8, 0.0], [-1 - 1.5 * 0.5**8, 0.0], [1.0, 0.0]]
    torch.testing.assert_close(pair.pull(y), torch.tensor(expected).double())


def test_w1_agrees_with_exact_transport_of_samples_and_its_interval_holds_the_mean_of_more():
    pair = Funnels(2, 4, 5)
    known, more = pair.wasserstein(2**13, seed=1), pair.wasserstein(2**16, seed=2)
    assert known.low < known.value < known.high
    assert abs(known.value - more.value) <= 2 * (known.high - known.value)
    data, uniform = pair.sample(1500, seeded(0)), pair.sample_uniform(1500, seeded(1))
    assert exact_wasserstein(data, uniform) == pytest.approx(more.value, rel=0.06)


def test_data_are_the_pulled_side_and_a_seed_of_centres_is_another_pair():
    pair = Funnels(16, 4, 0)
    x, y = pair.sample(2000, seeded(0)), pair.sample_uniform(2000, seeded(0))
    torch.testing.assert_close(x, pair.pull(y))
    share = (pair.potential(y) - pair.potential(x)).neg()
    assert bool((share >= -1e-5).all())
    assert not torch.equal(Funnels(16, 4, 1).funnels[0], pair.funnels[0])
    assert torch.equal(Funnels(16, 4, 0).funnels[0], pair.funnels[0])
    assert POWER == 8
    assert math.isclose(float(y.abs().max()), HALF_SIDE, rel_tol=1e-2)


@pytest.mark.parametrize("keys", [{"dim": 1}, {"dim": 129}, {"n_funnels": 3}, {"centre_seed": -1}])
def test_a_wrong_key_is_named(keys):
    with pytest.raises(ConfigError, match=f"data.{next(iter(keys))}"):
        Funnels(**keys)
