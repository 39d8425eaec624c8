"""Modes: the ceiling of a perfect generator, collapse, and the floor of the KL."""

import math

import numpy as np
import pytest
import torch

from gan_lab.data.base import Modes
from gan_lab.data.toy import Grid, Mixture1d, Ring
from gan_lab.metrics.estimate import from_counts
from gan_lab.metrics.mode_coverage import mode_statistics
from tests.helpers import CPU, seeded


def read(data, samples):
    return mode_statistics(samples, data.modes(CPU))


@pytest.mark.parametrize("data", [Ring(), Grid()])
def test_a_perfect_generator_has_all_modes_and_not_all_samples_good(data):
    n = 100_000
    got = read(data, data.sample(n, seeded(1)))
    assert got["modes/covered"] == len(data.modes(CPU).weights)
    ceiling = 1 - math.exp(-4.5)
    error = 5 * math.sqrt(ceiling * (1 - ceiling) / n)
    assert got["modes/high_quality"] == pytest.approx(ceiling, abs=error)
    assert got["modes/kl"] < 1e-3


def test_collapse_onto_the_centre_of_one_mode():
    got = read(Ring(), Ring().components().centres[:1].float().expand(50, 2))
    assert got["modes/covered"] == 1
    assert got["modes/high_quality"] == 1.0  # above the ceiling: that means collapse
    assert got["modes/kl"] == pytest.approx(math.log(8), abs=1e-6)


@pytest.mark.parametrize("kept", [1, 3, 8])
def test_modes_reached_evenly_have_kl_log_k_over_kept(kept):
    got = read(Ring(), Ring().components().centres[:kept].float().repeat(10, 1))
    assert got["modes/covered"] == kept
    assert got["modes/kl"] == pytest.approx(math.log(8 / kept), abs=1e-6)


def test_the_floor_of_the_kl_is_modes_less_one_over_2n():
    n = 500
    values = [read(Ring(), Ring().sample(n, seeded(s)))["modes/kl"] for s in range(400)]
    error = 5 * np.std(values) / math.sqrt(400)
    assert np.mean(values) == pytest.approx(7 / (2 * n), abs=error + 64 / n**2)
    assert error < 0.2 * 7 / (2 * n)


def test_samples_between_the_modes_are_neither_good_nor_reach_a_mode():
    got = read(Ring(), torch.zeros(20, 2))
    assert (got["modes/covered"], got["modes/high_quality"]) == (0, 0)


def test_uneven_weights_are_the_reference():
    data = Mixture1d([-5.0, 5.0], [0.1, 0.1], [0.9, 0.1])
    samples = torch.tensor([[-5.0]] * 9 + [[5.0]])
    assert read(data, samples)["modes/kl"] == pytest.approx(0, abs=1e-6)
    expected = 0.5 * math.log(0.5 / 0.9) + 0.5 * math.log(0.5 / 0.1)
    even = torch.tensor([[-5.0], [5.0]])
    assert read(data, even)["modes/kl"] == pytest.approx(expected, abs=1e-6)


def test_a_mode_without_weight_in_the_data_makes_the_kl_infinite():
    def classify(x):
        return (x[:, 0] > 0).long(), torch.ones(len(x), dtype=torch.bool)

    modes = Modes(classify, torch.tensor([1.0, 0.0]))
    assert mode_statistics(torch.tensor([[1.0], [-1.0]]), modes)["modes/kl"] == math.inf


@pytest.mark.parametrize("value", [math.nan, -math.inf])
def test_what_is_not_finite_is_refused(value):
    samples = torch.zeros(4, 2)
    samples[1, 0] = value
    with pytest.raises(ValueError, match="cannot be counted"):
        read(Ring(), samples)


def test_counts_that_agree_have_an_interval_all_the_same():
    estimate = from_counts([8.0] * 4, "modes", 64, limit=8)
    assert estimate.value == estimate.high == 8
    # 4 repeats miss nothing with probability .025 if each misses one with probability .602.
    assert (estimate.low - 7) ** 4 == pytest.approx(0.025, abs=1e-12)
    inside = from_counts([5.0] * 10, "modes", 64, limit=8)
    assert inside.high - 5 == pytest.approx(5 - inside.low, abs=1e-12)
    assert 5 - inside.low == pytest.approx(1 - 0.025**0.1, abs=1e-12)


def test_counts_that_differ_by_one_have_the_binomial_interval_at_least():
    estimate = from_counts([7.0] * 9 + [8.0], "modes", 64, limit=8)
    assert estimate.value == pytest.approx(7.1)
    assert estimate.low <= 7.0025286  # Clopper-Pearson of 1 in 10: .0025286 to .4450161
    assert estimate.high == pytest.approx(7.4450161, abs=1e-6)


def test_counts_stay_between_none_and_all():
    estimate = from_counts([0.0, 8.0], "modes", 64, limit=8)
    assert (estimate.low, estimate.high) == (0, 8)
    assert from_counts([3.0], "modes", 64).high == math.inf
