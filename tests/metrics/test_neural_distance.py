"""The neural distance: one design for all, bounds that hold, and the same numbers twice."""

import math

import pytest
import torch

from gan_lab.data.base import Distribution
from gan_lab.data.digits import Digits
from gan_lab.data.toy import Gaussian1d
from gan_lab.information import closed_forms
from gan_lab.metrics.neural_distance import NeuralDistance
from tests.helpers import CPU

PROBE = NeuralDistance(steps=200, n=2048)
W1 = ("wasserstein", "wasserstein_penalized")
DIMS = (2, 16, 64, 3072)


def shifted(by):
    def make(n, generator):
        return torch.randn(n, 1, generator=generator) + by

    return make


def line():
    return Gaussian1d(0.0, 1.0).open(CPU)


@pytest.mark.parametrize("shift", [1.0, 3.0])
def test_js_is_bounded_from_below_and_nearly_reached(shift):
    truth = float(closed_forms.gaussians(0.0, 1.0, shift, 1.0).js)
    js = PROBE.measure(shifted(shift), line())["neural_distance/js"]
    assert js.low <= truth  # a lower bound, up to the error of the reported share
    assert js.value >= 0.85 * truth
    assert js.low < js.value < js.high < math.log(2)


def test_the_wasserstein_distance_of_a_shift_is_reached_and_not_exceeded():
    found = PROBE.measure(shifted(3.0), line())
    bound, penalized = (found[f"neural_distance/{name}"] for name in W1)
    assert bound.low <= 3.0
    assert 0.97 * 3 < bound.value < 3.15  # the error of the report part is .057
    assert 0.97 * 3 < penalized.value < 1.1 * 3
    assert bound.unit == penalized.unit == "data units"
    assert {tag: each.unit for tag, each in found.items()} == PROBE.units
    assert 1.0 < found["neural_distance/gradient_norm"].value < 1.5


class Cross(Distribution):
    """Four points on two axes, all at one distance from 0."""

    singular = True
    shape = (2,)

    def __init__(self, distance):
        self.distance = distance

    def sample(self, n, generator):
        axes = torch.cat([torch.eye(2), -torch.eye(2)])
        points = axes[torch.randint(4, (n,), generator=generator)]
        return self.distance * points + 0.01 * torch.randn(n, 2, generator=generator)


def test_a_distance_that_no_linear_critic_sees_is_nearly_reached():
    # Each point moves outwards by 1 and the best critic is -|x|: W1 = 1.
    inner, outer = Cross(2.0), Cross(3.0)
    found = PROBE.measure(outer.sample, inner.open(CPU))
    bound, penalized = (found[f"neural_distance/{name}"] for name in W1)
    assert bound.low <= 1  # a bound up to the error of the report part, .01
    assert 0.85 < bound.value < 1.02
    assert 0.9 < penalized.value < 1.1


def test_endless_data_are_fresh_at_each_update_and_a_finite_set_is_not():
    drawn = []

    def make(n, generator):
        drawn.append(n)
        return torch.randn(n, *shape, generator=generator)

    probe = NeuralDistance(steps=20, n=100, width=8, check_every=20)
    for source, blocks in ((line(), [20 * 128]), (Digits().open(CPU), [])):
        shape = source.shape
        drawn.clear()
        probe.measure(make, source)
        assert drawn == [100, *blocks]  # a block is of 20 updates; the critics take 15 and 4


def test_the_design_grows_with_the_numbers_of_a_sample():
    probe = NeuralDistance()
    sizes = [(probe.critic_width(d), probe.critic_batch(d), probe.critic_steps(d)) for d in DIMS]
    assert sizes == [(64, 128, 300), (64, 256, 300), (128, 1024, 400), (128, 2048, 600)]


def test_nothing_is_found_where_there_is_nothing():
    found = PROBE.measure(shifted(0.0), line())
    assert abs(found["neural_distance/js"].value) < 0.02
    for name in W1:
        assert abs(found[f"neural_distance/{name}"].value) < 0.15


def test_the_probe_repeats_itself_bit_for_bit():
    probe = NeuralDistance(steps=40, n=500)
    first, second = (probe.measure(shifted(1.0), line()) for _ in range(2))
    torch.manual_seed(5)
    third = probe.measure(shifted(1.0), line())
    assert first == second == third


def test_the_probe_works_on_what_little_is_held_out():
    source = Digits().open(CPU)
    floor = NeuralDistance(steps=60).measure(source.real, source)
    assert abs(floor["neural_distance/js"].value) < 0.1
    noise = NeuralDistance(steps=60).measure(
        lambda n, generator: torch.rand(n, 1, 8, 8, generator=generator) * 2 - 1, source
    )
    assert noise["neural_distance/js"].value > 0.5
    assert noise["neural_distance/js"].n == 150  # 30 % of 500 held-out digits


def test_no_steps_means_no_probe():
    assert NeuralDistance(steps=0).measure(shifted(1.0), line()) == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [("steps", -1), ("check_every", 0), ("n", 10), ("width", 0), ("batch_size", 1)],
)
def test_an_impossible_design_is_refused_by_name(key, value):
    with pytest.raises(ValueError, match=rf"NeuralDistance\.{key}="):
        NeuralDistance(**{key: value})
