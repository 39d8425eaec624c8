"""The neural distance: one design for all, bounds that hold, and the same numbers twice."""

import math

import pytest
import torch

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Gaussian1d
from gan_lab.information import closed_forms
from gan_lab.metrics.neural_distance import NeuralDistance
from tests.helpers import CPU

PROBE = NeuralDistance(steps=200, n=2048)


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


def test_the_wasserstein_distance_of_a_shift_is_nearly_reached():
    w1 = PROBE.measure(shifted(3.0), line())["neural_distance/wasserstein"]
    assert 0.75 * 3 < w1.value < 3.2
    assert w1.unit == "data units"


def test_nothing_is_found_where_there_is_nothing():
    found = PROBE.measure(shifted(0.0), line())
    assert abs(found["neural_distance/js"].value) < 0.02
    assert abs(found["neural_distance/wasserstein"].value) < 0.15


def test_the_probe_repeats_itself_bit_for_bit():
    first, second = (PROBE.measure(shifted(1.0), line()) for _ in range(2))
    torch.manual_seed(5)
    third = PROBE.measure(shifted(1.0), line())
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
