"""Accuracy and distances within classes, on data where both are known."""

import math
from types import SimpleNamespace

import pytest
import torch

from gan_lab.data.base import TensorSource
from gan_lab.data.class_modes import ClassifierModes
from gan_lab.data.digits import Digits
from gan_lab.engine.labels import ClassLabels
from gan_lab.metrics.conditional import DISTANCE, ClassMetrics
from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings
from gan_lab.metrics.features.frechet import relative_frechet_distance
from gan_lab.metrics.quality import ACCURACY
from tests.helpers import CPU, normal, seeded


def labelled(n, n_classes=3, seed=0):
    """Images of 16 pixels whose first pixel is the class, as sure as 10 std."""
    labels = torch.arange(n) % n_classes
    images = 0.1 * normal(n, 1, 16, 16, seed=seed, dtype=torch.float32)
    images[:, 0, 0, 0] += labels
    return images, labels


def classify(images):
    return images[:, 0, 0, 0].round().long(), torch.ones(len(images), dtype=torch.bool)


@pytest.fixture
def source():
    """A set of three classes, whose features are four of its pixels."""
    parts, labels = zip(*(labelled(n, seed=n) for n in (90, 60, 120)), strict=True)
    names = ("train_labels", "validation_labels", "held_out_labels")
    source = TensorSource(*parts, CPU, **dict(zip(names, labels, strict=True)))
    source.modes = ClassifierModes(source)
    classifier = SimpleNamespace(
        classify=classify, extract=lambda x: SimpleNamespace(last=x[:, 0, 0, :4])
    )
    vars(source.modes)["classifier"] = classifier
    return source


def one_hot(indices):
    return torch.nn.functional.one_hot(indices, 3).float()


def test_the_accuracy_is_the_share_of_samples_of_the_class_that_was_asked_for(source):
    metrics = ClassMetrics(source, ClassLabels(source))
    images, labels = labelled(30, seed=7)
    wrong = labels.clone()
    wrong[:6] = (wrong[:6] + 1) % 3
    assert metrics.of_samples(images, one_hot(labels), False) == {ACCURACY: 1.0}
    assert metrics.of_samples(images, one_hot(wrong), False)[ACCURACY] == pytest.approx(0.8)
    assert metrics.of_real_data(60, seeded(), False) == {ACCURACY: 1.0}


def test_distances_are_within_classes_to_all_held_out_samples(source):
    metrics = ClassMetrics(source, ClassLabels(source))
    images, labels = labelled(60, seed=7)
    values = metrics.of_samples(images, one_hot(labels), True)
    assert values.keys() == metrics.units.keys()
    unseen, unseen_labels = source.take("held_out", torch.arange(120)), source.held_out_labels
    expected = [
        relative_frechet_distance(
            images[labels == k][:, 0, 0, :4], unseen[unseen_labels == k][:, 0, 0, :4]
        )
        for k in range(3)
    ]
    assert [values[f"{DISTANCE}_of_{k}"] for k in range(3)] == pytest.approx(expected)
    assert values[DISTANCE] == pytest.approx(sum(expected) / 3)
    # The same images under the labels of others: as good together, far within each class.
    moved = metrics.of_samples(images, one_hot((labels + 1) % 3), True)
    assert moved[DISTANCE] > 10 * values[DISTANCE]
    real = metrics.of_real_data(90, seeded(), True)
    assert 0 < real[DISTANCE] < 2 * values[DISTANCE]


def test_a_class_without_samples_has_no_distance(source):
    metrics = ClassMetrics(source, ClassLabels(source))
    images, labels = labelled(30, n_classes=2)
    values = metrics.of_samples(images, one_hot(labels), True)
    assert math.isnan(values[f"{DISTANCE}_of_2"])
    assert math.isnan(values[DISTANCE])
    assert math.isfinite(values[f"{DISTANCE}_of_0"])
    assert {DISTANCE, f"{DISTANCE}_of_2"} <= metrics.unbounded_tags


def test_the_evaluator_gives_a_generator_classes_and_measures_them_beside_real_data():
    source = Digits().open(CPU)
    labels = ClassLabels(source)
    evaluator = Evaluator(EvaluatorSettings(n=40, floor_n_repeats=3), {}, source, 2, labels)
    by_class = [source.gather((source.train_labels == k).nonzero()[0, 0]) for k in range(10)]

    def make(latents, offset=0):
        assert latents.shape[1] == 12
        return torch.stack([by_class[(k + offset) % 10] for k in latents[:, 2:].argmax(1)])

    estimate = evaluator.measure(make, 0, 0)[ACCURACY]
    assert estimate.value == 1
    assert 0.9 < estimate.floor <= 1
    wrong = evaluator.measure(lambda z: make(z, 1), 0, 0)[ACCURACY]
    assert wrong.value == 0
    assert evaluator.measure(make, 0, 0, only="divergence/wasserstein") == {}
