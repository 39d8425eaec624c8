"""Spoilt digits: which metric sees what, and that a broken metric is found."""

import pytest
import torch

from gan_lab.metrics import mode_coverage
from gan_lab.metrics.features import frechet, manifold
from gan_lab.selfcheck import images
from gan_lab.selfcheck.images import DEFECTS, N, image_rows

# The classifier of mnist_5k is trained at the first use of a machine, 13 s of one core.
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def digits():
    return images.open_digits()


@pytest.fixture(autouse=True)
def opened(digits, monkeypatch):
    monkeypatch.setattr(images, "open_digits", lambda: digits)


@pytest.mark.parametrize("seed", range(3))
def test_every_metric_sees_what_it_has_to_and_nothing_it_cannot(seed):
    rows = image_rows(seed)
    assert {(row.estimator, row.case, row.estimate) for row in rows if not row.passed} == set()
    metrics = {row.estimator for row in rows}
    assert len(rows) == len(metrics) * len(DEFECTS)
    # Every defect is seen by a metric, and no metric sees every defect.
    clear = {(row.estimator, row.case) for row in rows if row.verdict == "pass"}
    assert {case for _, case in clear} == DEFECTS.keys()
    assert all(any((metric, case) not in clear for case in DEFECTS) for metric in metrics)


def values(digits, defect, n=4):
    spoil = DEFECTS[defect][0] if defect else None
    draws = [
        images._measure(digits, spoil, torch.Generator().manual_seed(seed)) for seed in range(n)
    ]
    return {name: sum(draw[name] for draw in draws) / n for name in draws[0]}


def test_the_traps_of_images(digits):
    real, blur = values(digits, None), values(digits, "blur of 1 pixel")
    # The pixels' W1 prefers blur to real digits, of which the classifier reads one in ten.
    assert blur["W1 of pixels"] < 0.9 * real["W1 of pixels"]
    assert blur["legible share"] < 0.3 < 0.97 < real["legible share"]
    assert blur["FD"] > 5 * real["FD"]
    # Mode counts, classifier score and precision are content with ten images.
    few = values(digits, "one image a class")
    assert few["modes covered"] > 9
    assert few["classifier score"] > 0.95 * real["classifier score"]
    assert few["precision"] > 0.85
    assert few["coverage"] < 0.4
    assert few["recall"] < 0.1
    # One class less of ten: FD and recall tell, precision does not.
    missing = values(digits, "no digit 1")
    assert missing["FD"] > 1.3 * real["FD"]
    assert missing["recall"] < real["recall"] - 0.05
    assert abs(missing["precision"] - real["precision"]) < 0.03
    assert missing["KL of labels"] == pytest.approx(0.11, abs=0.05)  # -log .9
    # A copier looks perfect to all but the distance to the training images.
    copies = values(digits, "copies of training images")
    assert copies["nearest training image"] == 0.0
    assert copies["FD"] == pytest.approx(real["FD"], rel=0.3)


def test_precision_in_the_last_layer_accepts_blur_that_pooled_features_refuse(digits):
    generator = torch.Generator().manual_seed(0)
    fake = digits.features(images._blur(digits, N, generator))
    real = digits.features(images._choose(digits.held_out, N, generator))
    last = manifold.manifold_metrics(fake.last, real.last).precision
    pooled = manifold.manifold_metrics(fake.pooled, real.pooled).precision
    assert pooled < 0.2
    assert last > 0.5


def test_pca_blobs_have_the_training_pixels_mean_and_covariance(digits):
    blobs = images._pca_blobs(digits, 4000, torch.Generator().manual_seed(0)).flatten(1)
    pixels = digits.train.flatten(1)
    # Clipping at -1 and 1 moves the moments of dark and light pixels: only inner ones are compared.
    inner = (pixels.mean(dim=0).abs() < 0.2) & (pixels.std(dim=0) > 0.3)
    assert inner.sum() > 20
    ratio = blobs[:, inner].std(dim=0) / pixels[:, inner].std(dim=0)
    assert float(ratio.mean()) == pytest.approx(0.8, abs=0.15)
    assert float((blobs - pixels.mean(dim=0))[:, inner].mean()) == pytest.approx(0.0, abs=0.1)


def constant(monkeypatch):
    monkeypatch.setattr(frechet, "relative_frechet_distance", lambda a, b: 1.0)


def reverse(monkeypatch):
    right = manifold.manifold_metrics
    monkeypatch.setattr(manifold, "manifold_metrics", lambda a, b: right(b, a))


def no_class(monkeypatch):
    right = mode_coverage.mode_statistics

    def planted(samples, modes):
        return {**right(samples, modes), "modes/kl": 0.0}

    monkeypatch.setattr(mode_coverage, "mode_statistics", planted)


@pytest.mark.parametrize(
    ("plant", "metric"), [(constant, "FD"), (reverse, "recall"), (no_class, "KL of labels")]
)
def test_a_broken_metric_is_found(plant, metric, monkeypatch):
    plant(monkeypatch)
    rows = image_rows(only=["no digit 1", "one image a class"])
    failed = {row.estimator for row in rows if not row.passed}
    assert metric in failed
