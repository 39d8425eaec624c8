"""gan_lab.measure on arrays whose distances are known."""

import math

import numpy as np
import pytest
import torch
from scipy.optimize import linear_sum_assignment

import gan_lab


def normal(n, d=2, shift=0.0, seed=0):
    return np.random.default_rng(seed).normal(size=(n, d)) + shift


# Far ones: beside the shift, the bias by n is then small (in one dimension there is none).
@pytest.mark.parametrize("shift", [[5.0], [30.0, 40.0], [0.0, 0.0, -60.0]])
def test_w1_of_a_shift_is_the_shift_within_its_interval(shift):
    # 9 of 12 intervals of 95 % cover it with probability 0.998.
    hits, errors = 0, []
    for seed in range(12):
        samples = normal(1000, len(shift), shift, seed)
        data = normal(2000, len(shift), seed=seed + 1000)
        w1 = gan_lab.measure(samples, data, "wasserstein", n=100, seed=seed)["wasserstein"]
        hits += w1.low <= math.hypot(*shift) <= w1.high
        errors.append(w1.value - math.hypot(*shift))
        assert (w1.unit, w1.n) == ("data units", 100)
        assert 0.05 < w1.high - w1.low < 0.5
    assert hits >= 9
    assert abs(np.mean(errors)) < 0.05


def test_equal_distributions_get_the_floor():
    estimates = gan_lab.measure(normal(2000, seed=1), normal(4000, seed=2))
    for tag, estimate in estimates.items():
        assert estimate.floor is not None, tag
        width = estimate.high - estimate.low
        assert abs(estimate.value - estimate.floor) < 1.5 * width, tag
    assert 0.05 < estimates["wasserstein"].floor < 0.3


def test_js_of_disjoint_sets_is_log_2_and_of_equal_ones_0():
    data = normal(2000, 1)
    for shift, js in ((100.0, math.log(2)), (0.0, 0.0)):
        estimates = gan_lab.measure(normal(2000, 1, shift, 1), data, metrics=["wasserstein", "js"])
        assert set(estimates) == {
            *("divergence/wasserstein", "divergence/js", "divergence/js_histogram")
        }
        assert estimates["js_histogram"].value == pytest.approx(js, abs=0.05)
        assert estimates["js"].value == pytest.approx(js, abs=0.05)


def test_the_value_is_the_mean_of_exact_matchings(monkeypatch):
    """The repeats take each sample and each of half the data once."""
    pairs = []

    def exact(samples, held_out):
        pairs.append((samples, held_out))
        cost = torch.cdist(samples, held_out).numpy()
        return float(cost[linear_sum_assignment(cost)].mean())

    monkeypatch.setattr("gan_lab.metrics.metrics.exact_wasserstein", exact)
    samples, data = normal(400, seed=1), normal(900, seed=2)
    w1 = gan_lab.measure(samples, data, "wasserstein", n=100)["wasserstein"]
    repeats = pairs[:4]  # the floor's follow
    assert w1.value == pytest.approx(np.mean([exact(*pair) for pair in repeats]), rel=1e-6)

    def rows(arrays):
        return sorted(map(tuple, np.concatenate(arrays).tolist()))

    assert rows([s.numpy() for s, _ in repeats]) == rows([samples.astype(np.float32)])
    unseen = rows([held_out.numpy() for _, held_out in repeats])
    assert len(set(unseen)) == 400
    assert set(unseen) < set(map(tuple, data.astype(np.float32).tolist()))


def test_arrays_tensors_and_images_are_taken_and_the_split_is_the_seeds():
    samples, data = normal(400, 12), normal(900, 12, seed=1)
    first = gan_lab.measure(samples, data, "wasserstein", n=50)
    assert gan_lab.measure(torch.tensor(samples), data, "wasserstein", n=50) == first
    images = samples.reshape(400, 3, 2, 2), data.reshape(900, 3, 2, 2)
    assert gan_lab.measure(*images, "wasserstein", n=50)["wasserstein"].value == pytest.approx(
        first["wasserstein"].value, rel=1e-5
    )
    assert gan_lab.measure(samples, data, "wasserstein", n=50, seed=1) != first


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ((normal(400, 2), normal(400, 3)), r"differ in shape: \(2,\) and \(3,\)"),
        ((normal(79), normal(400)), "79 samples and 400 of data are too few"),
        ((normal(400), normal(159)), "400 samples and 159 of data are too few"),
        ((np.zeros(400), normal(400)), r"samples has the shape \(400,\)"),
        ((normal(400), "text"), "data is no array of numbers"),
        ((np.full((400, 2), np.nan), normal(400)), "samples holds numbers that are not finite"),
        ((normal(400), normal(400), "wassersteins"), "metrics=wassersteins is unknown"),
        ((normal(400), normal(400), "modes"), "metrics=modes has no number for arrays"),
        ((normal(400), normal(400), "js", 19), "n=19 is not a whole number >= 20"),
    ],
)
def test_what_cannot_be_measured_is_refused(arguments, words):
    with pytest.raises(gan_lab.ConfigError, match=words) as caught:
        gan_lab.measure(*arguments)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(("dim", "is_named"), [(4, False), (5, True)])
def test_w1_above_4_dimensions_is_called_that_of_samples(dim, is_named):
    x = np.random.default_rng(0).normal(size=(240, dim))
    text = repr(gan_lab.measure(x[:80], x[80:], metrics="wasserstein"))
    assert ("is sample W1 (n = 20)" in text) == is_named


def test_the_least_that_is_enough_is_measured():
    w1 = gan_lab.measure(normal(80), normal(160), "wasserstein")["wasserstein"]
    assert w1.n == 20
    assert math.isfinite(w1.high)
