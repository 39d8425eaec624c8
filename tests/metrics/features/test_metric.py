"""The metrics of images in features: what each must see and what it cannot, on real digits."""

import math

import pytest
import torch
from torch.nn import functional as F

from gan_lab.data.base import TensorSource
from gan_lab.data.digits import Digits
from gan_lab.data.mnist_5k import Mnist5k
from gan_lab.data.toy import Ring
from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings
from gan_lab.metrics.features.manifold import manifold_metrics
from gan_lab.metrics.features.metric import Features, _SourceFeatures
from gan_lab.metrics.metrics import ModeCount
from gan_lab.metrics.mode_coverage import mode_statistics
from gan_lab.metrics.wasserstein import exact_wasserstein
from tests.helpers import CPU, seeded

N = 500
PRE = "features/"
LABELLED = {"classifier_score", "legible_share"}


@pytest.fixture(scope="module")
def mnist():
    return Mnist5k().open(CPU)


@pytest.fixture(scope="module")
def evaluate(mnist):
    metric = Features().prepare(mnist)
    held_out = mnist.held_out(N, seeded(1))

    def call(samples):
        values = metric(samples, held_out)
        return {tag.removeprefix(PRE): value for tag, value in values.items()}

    call.held_out = held_out
    return call


@pytest.fixture(scope="module")
def real(mnist):
    """Other held-out images than those of `evaluate`: what a perfect generator would give."""
    order = torch.randperm(1000, generator=seeded(1))
    return mnist.take("held_out", order[N:])


@pytest.fixture(scope="module")
def of_real(evaluate, real):
    return evaluate(real)


def noise(n=N, shape=(1, 28, 28)):
    return torch.rand(n, *shape, generator=seeded(2)) * 2 - 1


def blobs(mnist, n_components=50):
    """Normal samples in the first principal components of the training images."""
    train = mnist.take("train", torch.arange(mnist.n_train)).flatten(1)
    mean = train.mean(0)
    _, stds, axes = torch.linalg.svd(train - mean, full_matrices=False)
    stds = stds[:n_components] / len(train) ** 0.5
    z = torch.randn(N, n_components, generator=seeded(3))
    return (mean + z * stds @ axes[:n_components]).clamp(-1, 1).view(N, 1, 28, 28)


def blur(images):
    return F.avg_pool2d(F.pad(images, (1, 1, 1, 1), value=-1), 3, stride=1)


# --- the traps


def test_real_images_get_what_real_images_should(of_real):
    assert 0.01 < of_real["frechet_distance"] < 0.03
    assert abs(of_real["kernel_distance"]) < 0.03
    for name in ("precision", "recall", "coverage"):
        assert 0.9 < of_real[name] <= 1
    assert of_real["density"] == pytest.approx(1, abs=0.1)
    assert of_real["legible_share"] == pytest.approx(0.99, abs=0.009)
    assert 9 < of_real["classifier_score"] <= 10
    assert 0.6 < of_real["nearest_train_distance"] < 1


def test_white_noise_is_seen_by_all(mnist, evaluate):
    got = evaluate(noise())
    assert got["frechet_distance"] > 1
    assert got["kernel_distance"] > 1
    for name in ("precision", "recall", "density", "coverage", "legible_share"):
        assert got[name] < 0.01, name
    assert got["classifier_score"] < 2
    assert mode_statistics(noise(), mnist.modes)["modes/high_quality"] == 0


def test_precision_in_the_last_layer_alone_accepts_blur(mnist, evaluate, real):
    features = _SourceFeatures(mnist)
    held_out = features.of(evaluate.held_out)
    bad = features.of(blur(real))
    assert manifold_metrics(bad.last, held_out.last).precision > 0.6
    assert manifold_metrics(bad.pooled, held_out.pooled).precision < 0.15


def test_blobs_with_the_datas_covariance_are_not_legible(mnist, evaluate, of_real):
    got = evaluate(blobs(mnist))
    assert got["legible_share"] < 0.05
    assert got["coverage"] < 0.05
    assert got["frechet_distance"] > 20 * of_real["frechet_distance"]
    assert mode_statistics(blobs(mnist), mnist.modes)["modes/high_quality"] < 0.05


def test_w1_of_pixels_prefers_blur_and_features_do_not(evaluate, real, of_real):
    got = evaluate(blur(real))
    assert exact_wasserstein(blur(real), evaluate.held_out) < 0.95 * exact_wasserstein(
        real, evaluate.held_out
    )
    assert got["frechet_distance"] > 5 * of_real["frechet_distance"]
    assert got["coverage"] < 0.1
    assert 0.2 < got["legible_share"] < 0.8  # they still show something


def test_a_missing_class_is_seen_by_variety_not_by_quality(mnist, evaluate, of_real):
    labels = mnist.train_labels
    kept = mnist.take("train", (labels != 3).nonzero().flatten()[:N])
    got = evaluate(kept)
    assert got["frechet_distance"] > 1.5 * of_real["frechet_distance"]
    assert got["coverage"] < of_real["coverage"] - 0.03
    assert got["precision"] == pytest.approx(of_real["precision"], abs=0.03)
    assert got["legible_share"] >= of_real["legible_share"] - 0.01
    modes = mode_statistics(kept, mnist.modes)
    assert modes["modes/covered"] == 9
    # KL of nine equal classes from ten.
    assert modes["modes/kl"] == pytest.approx(math.log(10 / 9), abs=0.03)


def test_counted_modes_saturate_where_a_tenth_of_the_samples_is_legible(mnist, real):
    mixed = torch.cat([real[: N // 10], noise(N - N // 10)])
    got = mode_statistics(mixed, mnist.modes)
    assert got["modes/covered"] == 10
    assert got["modes/high_quality"] == pytest.approx(0.1, abs=0.02)


def test_copies_of_training_images_are_seen_by_the_distance_to_them_alone(mnist, evaluate, of_real):
    got = evaluate(mnist.real(N, seeded(4)))
    assert got["nearest_train_distance"] == pytest.approx(0, abs=1e-5)
    assert got["frechet_distance"] == pytest.approx(of_real["frechet_distance"], rel=0.35)
    for name in ("precision", "recall", "coverage", "legible_share"):
        assert got[name] == pytest.approx(of_real[name], abs=0.04)


def test_one_image_repeated_is_precise_and_covers_nothing(evaluate, real):
    got = evaluate(real[:1].repeat(N, 1, 1, 1))
    assert got["recall"] == 0
    assert got["coverage"] < 0.03
    assert got["classifier_score"] == pytest.approx(1, abs=1e-6)
    assert got["frechet_distance"] > 1


# --- the evaluator and the data sets


def test_each_number_has_unit_interval_n_and_floor(mnist):
    settings = EvaluatorSettings(n=16, n_repeats=3, floor_n_repeats=2)
    evaluator = Evaluator(settings, {"features": Features(), "modes": ModeCount()}, mnist, 4)
    generator = seeded(5)
    estimates = evaluator.measure(lambda z: mnist.held_out(len(z), generator), seed=0, step=0)
    assert {tag for tag in estimates if tag.startswith(PRE)} == set(Features.units)
    for tag, estimate in estimates.items():
        assert estimate.n == 16
        assert estimate.unit == evaluator.units[tag]
        assert estimate.low <= estimate.value <= estimate.high
        assert math.isfinite(estimate.floor)
    assert 0.1 < estimates["features/frechet_distance"].floor < 2  # of 16 samples


@pytest.mark.parametrize("data", [Ring(), Digits()], ids=["points", "8 x 8"])
def test_points_and_small_images_have_none(data):
    source = data.open(CPU)
    assert Features().prepare(source) is None
    assert Features().record(source) == {}


def unlabelled(shape=(3, 20, 24), n=60):
    parts = [torch.tanh(noise(size, shape) + 0.5) for size in (n, 20, 30)]
    return TensorSource(*parts, CPU)


def test_sets_without_labels_have_random_features_and_say_so():
    source = unlabelled()
    first, second = (Features().prepare(source) for _ in range(2))
    held_out = source.held_out(20, seeded(6))
    bad = torch.zeros_like(held_out)
    tags = {tag.removeprefix(PRE) for tag in Features.units} - LABELLED
    assert {tag.removeprefix(PRE) for tag in first(bad, held_out)} == tags
    assert first(bad, held_out) == second(bad, held_out)
    assert first(bad, held_out)["features/frechet_distance"] > 0.5
    assert "seed 0" in Features().record(source)["random_convolutions"]


def test_random_features_see_blur_and_noise_and_hardly_a_missing_class(mnist, real, evaluate):
    order = torch.arange(mnist.n_train)
    train, labels = mnist.take("train", order), mnist.train_labels
    metric = Features().prepare(TensorSource(train, real, evaluate.held_out, CPU))
    tag = "features/frechet_distance"
    of_real = metric(real, evaluate.held_out)[tag]
    assert metric(blur(real), evaluate.held_out)[tag] > 3 * of_real
    assert metric(noise(), evaluate.held_out)[tag] > 8 * of_real
    missing = metric(train[labels != 3][:N], evaluate.held_out)[tag]
    assert missing == pytest.approx(of_real, rel=0.35)


def test_the_classifier_is_on_record(mnist):
    for metric in (Features(), ModeCount()):
        record = metric.record(mnist)
        assert record["classifier"] == mnist.modes.classifier.digest
        assert record["held_out_accuracy"] == mnist.modes.accuracy
        assert record["train_seconds"] > 0


def test_an_images_features_do_not_depend_on_what_it_is_drawn_with(mnist):
    features = _SourceFeatures(mnist)
    few, many = torch.tensor([7, 3]), torch.arange(300)
    for part in ("train", "validation", "held_out"):
        alone = features.of(mnist.take(part, few))
        together = features.of(mnist.take(part, many)).select(few)
        assert torch.equal(alone.last, together.last)
        assert torch.equal(alone.pooled, together.pooled)
        fresh = features._extract(mnist.take(part, few))
        torch.testing.assert_close(alone.last, fresh.last, atol=1e-4, rtol=1e-4)


def test_k_below_one_is_refused():
    with pytest.raises(ValueError, match=r"Features\.k"):
        Features(k=0)
    assert Features(k=7).min_samples == 8
