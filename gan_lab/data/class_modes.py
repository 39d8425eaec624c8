"""Modes of labelled sets: their classes, by a trained classifier or by the nearest image."""

from functools import cached_property

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Modes
from gan_lab.data.classifier import Classifier, load_classifier
from gan_lab.data.image_network import MIN_SIZE

# A held-out image is farther from its nearest training image than this share of held-out images in
# 1 case of 20; a sample is of high quality where it is no farther.
QUALITY_SHARE = 0.95


class ClassifierModes(Modes):
    """Classes of images by a classifier, which is trained when it is first asked.

    A sample is of high quality where the classifier is as sure of it as of 95 % of held-out images.
    """

    _source: FiniteSource

    def __init__(self, source: FiniteSource) -> None:
        # The base class is frozen, and its own constructor would set the accuracy.
        vars(self).update(_source=source, classify=self._classify, weights=_class_shares(source))

    @cached_property
    def classifier(self) -> Classifier:
        """The classifier of the set."""
        return load_classifier(self._source)

    def _classify(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        return self.classifier.classify(samples)

    @property
    def accuracy(self) -> float:
        """Share of held-out images that the classifier puts into their class."""
        return self.classifier.accuracy


def class_modes(source: FiniteSource) -> Modes:
    """Return the classes of a labelled set as modes; the weights are their shares in training.

    Images of 16 pixels a side or more are classified by a trained network (`load_classifier`),
    everything else by the nearest training sample under the Euclidean distance. Its accuracy on the
    held-out samples comes with the modes.

    Raises:
        ValueError: The set has no labels.
    """
    if source.train_labels is None or source.held_out_labels is None:
        raise ValueError("modes need a set with labels on both of its parts")
    if is_large_image(source.shape):
        return ClassifierModes(source)
    labels, indices = source.train_labels, torch.arange(source.n_train, device=source.device)
    train = source.gather(indices).flatten(1)
    held_out = source.gather_held_out(torch.arange(source.n_held_out, device=source.device))
    distances, nearest = _nearest(held_out.flatten(1), train)
    limit = torch.quantile(distances.cpu(), QUALITY_SHARE)

    def classify(samples: Tensor) -> tuple[Tensor, Tensor]:
        distance, index = _nearest(samples.flatten(1), train)
        return labels[index], distance <= limit

    accuracy = float((labels[nearest] == source.held_out_labels).cpu().double().mean())
    return Modes(classify, _class_shares(source), accuracy)


def is_large_image(shape: tuple[int, ...]) -> bool:
    """Return whether samples are images of 16 pixels a side or more."""
    return len(shape) == 3 and min(shape[1:]) >= MIN_SIZE


def _class_shares(source: FiniteSource) -> Tensor:
    assert source.train_labels is not None
    assert source.held_out_labels is not None
    labels, held_out = source.train_labels.cpu(), source.held_out_labels.cpu()
    n_classes = 1 + int(max(labels.max(), held_out.max()))
    return torch.bincount(labels, minlength=n_classes).double() / len(labels)


def stacked_modes(single: Modes, channels: int) -> Modes:
    """Return the modes of independent images stacked as channels, one a combination of classes.

    A sample is of high quality where each of its channels is.
    """
    return _StackedModes(single, channels)


class _StackedModes(Modes):
    """Combinations of classes; a classifier of single images is trained when it is first asked."""

    def __init__(self, single: Modes, channels: int) -> None:
        weights = single.weights
        for _ in range(channels - 1):
            weights = torch.outer(weights, single.weights).flatten()
        # The base class is frozen, and its own constructor would set the accuracy.
        vars(self).update(
            _single=single, _channels=channels, classify=self._classify, weights=weights
        )

    _single: Modes
    _channels: int

    def _classify(self, samples: Tensor) -> tuple[Tensor, Tensor]:
        mode = torch.zeros(len(samples), dtype=torch.int64, device=samples.device)
        good = torch.ones(len(samples), dtype=torch.bool, device=samples.device)
        for channel in range(self._channels):
            label, is_good = self._single.classify(samples[:, channel : channel + 1])
            mode, good = mode * len(self._single.weights) + label, good & is_good
        return mode, good

    @property
    def accuracy(self) -> float | None:
        """Share of held-out combinations of which each channel is put into its class."""
        one = self._single.accuracy
        return None if one is None else one**self._channels


def _nearest(points: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    nearest = torch.cdist(points, train).min(dim=1)
    return nearest.values, nearest.indices
