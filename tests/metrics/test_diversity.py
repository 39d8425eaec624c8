"""Distances among samples and to the training data are the means that they are defined as."""

import pytest
import torch

from gan_lab.metrics.diversity import mean_nearest_distance, mean_pairwise_distance
from tests.helpers import normal


def test_mean_pairwise_distance_is_the_mean_over_pairs():
    x = torch.tensor([[0.0, 0.0], [3.0, 4.0], [0.0, 4.0]])
    assert mean_pairwise_distance(x) == pytest.approx((5 + 4 + 3) / 3, abs=1e-12)
    assert mean_pairwise_distance(torch.ones(6, 1, 8, 8)) == 0


@pytest.mark.parametrize("d", [1, 2, 16, 17, 64])
def test_mean_nearest_distance_is_the_brute_force_one(d):
    samples, training = normal(20, d, seed=1), normal(33, d, seed=2)
    expected = torch.cdist(samples, training).min(1).values.mean().item()
    assert mean_nearest_distance(samples, training) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("d", [2, 64])
def test_a_copy_of_the_training_data_is_at_distance_0(d):
    training = normal(30, d, seed=2)
    assert mean_nearest_distance(training[:7], training) == pytest.approx(0, abs=1e-12)
