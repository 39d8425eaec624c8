"""Stacked MNIST: scores from planted counts, and claims that can fail."""

import numpy as np
import pytest
import torch

from gan_lab.experiments.claims import FAIL, PASS
from gan_lab.experiments.mode_collapse.coverage import kl_floor
from gan_lab.experiments.stacked_mnist import claims
from gan_lab.experiments.stacked_mnist.study import StackedMnistModes
from gan_lab.experiments.stacked_mnist.trainings import METHODS, as_pictures, train_and_count
from tests.experiments.helpers import verdicts
from tests.helpers import run_config

S, K, N = 5, 1000, 26_000


def arrays_of(modes=None, confident=0.25):
    """Each method has even counts over its modes, of 1000 unless told; a share is confident."""
    weights = np.full(K, 1 / K)
    arrays = {"methods": np.array(list(METHODS)), "seeds": np.arange(S), "weights": weights}
    arrays |= {"steps": np.array(2000), "n": np.array(N), "real_images": np.zeros((10, 28, 28, 3))}
    spread = 1 + 0.01 * (np.arange(200) % 2 - 0.5)
    arrays["real_kl"] = kl_floor(weights, N) * spread
    arrays |= {"real_good": np.array(22_360), "real_n": np.array(N)}  # 86 %
    for method in METHODS:
        counts = np.zeros((S, 2, K))
        for seed in range(S):
            n_modes = (modes or {}).get(method, K) - seed
            counts[seed, :, :n_modes] = N / n_modes
        arrays |= {f"{method}/nearest": counts, f"{method}/good": counts * confident}
        arrays[f"{method}/images"] = np.zeros((10, 28, 28, 3), np.uint8)
    return arrays


HOLDS = {"non_saturating": 100, "packing": 990}


def test_modes_kl_and_confident_share_of_even_counts():
    arrays = arrays_of({"r1": 500})
    assert claims.modes(arrays, "r1").tolist() == [500, 499, 498, 497, 496]
    # All samples on 500 of 1000 even modes: log 2.
    assert claims.kl(arrays, "r1")[0] == pytest.approx(np.log(2), abs=1e-12)
    np.testing.assert_allclose(claims.confident_share(arrays, "r1"), 0.25, atol=1e-12)
    assert claims.real_confident_share(arrays) == pytest.approx(0.86, abs=1e-12)


def test_claims_hold_and_fail_as_the_counts_say():
    study = StackedMnistModes()
    assert set(verdicts(study.claims(arrays_of(HOLDS))).values()) == {PASS}
    reverse = arrays_of({"non_saturating": 990, "packing": 100, "r1": 100}, confident=0.8)
    reverse["packing/nearest"][0, :, 0] += 10  # so that differences are not all the same
    found = verdicts(study.claims({**reverse, "real_kl": reverse["real_kl"] / 2}))
    assert set(found.values()) == {FAIL}


def test_the_floor_of_kl_holds_from_the_least_number_of_samples_on():
    weights = np.full(K, 1 / K)
    counts = np.random.default_rng(0).multinomial(2000, weights, size=200)
    shares = counts / 2000
    terms = np.where(shares > 0, shares * np.log(np.maximum(shares, 1e-12) / weights), 0)
    assert terms.sum(1).mean() == pytest.approx(kl_floor(weights, 2000), rel=0.1)
    with pytest.raises(ValueError, match="n=1999 is not a whole number >= 2000"):
        StackedMnistModes(n=1999)


def test_pictures_keep_channels_and_clamp():
    images = torch.zeros(1, 3, 2, 2)
    images[0, 0], images[0, 1], images[0, 2, 0, 1] = 3.0, -1.0, 1.0
    picture = as_pictures(images)
    assert picture.shape == (1, 2, 2, 3)
    assert picture[0, 0, 1].tolist() == [255, 0, 255]
    assert picture[0, 0, 0].tolist() == [255, 0, 128]


@pytest.mark.slow
def test_counts_hold_every_sample_and_packing_is_paired(monkeypatch):
    counts = {}
    for method in ("non_saturating", "packing"):
        config = run_config("data=stacked_mnist", *METHODS[method], "device=cpu", "seed=1")
        found = train_and_count(config, 1, 120)
        assert found["nearest"].sum(-1).tolist() == [120, 120]
        assert (found["good"] <= found["nearest"]).all()
        counts[method] = found["images"]
    assert counts["packing"].shape == (10, 28, 28, 3)
    # One step apart from the same weights and z.
    assert np.abs(counts["packing"].astype(int) - counts["non_saturating"]).mean() < 20
