"""Which distance sums a run up, by the number of coordinates of a sample, and what W1 is called."""

import itertools

import pytest

from gan_lab.runs.compatibility import has_high_dimension
from gan_lab.runs.headline import (
    ENERGY,
    FRECHET,
    WASSERSTEIN,
    headline_of,
    is_high_dimensional,
    short_name,
)

ALL = (FRECHET, ENERGY, WASSERSTEIN)


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((1,), False), ((4,), False), ((5,), True), ((2, 2, 1), False), ((1, 8, 8), True)],
)
def test_five_coordinates_are_more_than_w1_of_samples_can_tell(shape, expected):
    assert is_high_dimensional(shape) is expected


def test_fd_goes_first_then_the_energy_distance_above_4_dimensions_then_w1():
    for n in range(4):
        for tags in itertools.combinations(ALL, n):
            high = next((tag for tag in ALL if tag in tags), None)
            assert headline_of({*tags, "divergence/js"}, high_dimensional=True) == high
            low = next((tag for tag in (FRECHET, WASSERSTEIN) if tag in tags), None)
            assert headline_of({*tags, "divergence/js"}, high_dimensional=False) == low


def test_only_w1_above_4_dimensions_has_its_n_in_its_name():
    assert short_name(WASSERSTEIN, True, 256) == "sample W1 (n = 256)"
    assert short_name(WASSERSTEIN, True) == "sample W1"
    assert short_name(WASSERSTEIN, False, 256) == "W1"
    assert short_name(FRECHET, True, 256) == "FD"
    assert short_name(ENERGY, True, 256) == "energy distance"
    assert short_name("divergence/js", True, 256) == "divergence/js"


@pytest.mark.parametrize(
    ("status", "data", "expected"),
    [
        ({"sample_shape": [20]}, "gan_lab.data.arrays.Array", True),
        ({"sample_shape": [2]}, "gan_lab.data.digits.Digits", False),  # the shape is the fact
        ({}, "gan_lab.data.digits.Digits", True),
        ({}, "gan_lab.data.mnist_5k.Mnist5k", True),
        ({}, "gan_lab.data.toy.Ring", False),
        ({}, "gan_lab.data.arrays.Array", False),  # unknown: as it was then
        ({"sample_shape": "20"}, "gan_lab.data.toy.Ring", False),
    ],
)
def test_a_stored_run_says_its_shape_and_a_former_one_is_known_by_its_data(status, data, expected):
    assert has_high_dimension(status, {"data._target_": data}) is expected
