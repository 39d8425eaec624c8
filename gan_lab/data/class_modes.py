"""Modes of labelled sets: the class of the nearest training image, where it is near enough."""

import torch
from torch import Tensor

from gan_lab.data.base import Modes, TensorSource

# A held-out image is farther from its nearest training image than this share of held-out images in
# 1 case of 20; a sample is of high quality where it is no farther.
QUALITY_SHARE = 0.95


def class_modes(source: TensorSource) -> Modes:
    """Return the classes of a labelled set as modes.

    The classifier is the nearest training image under the Euclidean distance; its accuracy on the
    held-out images comes with the modes. The weights are the classes' shares in training.

    Raises:
        ValueError: The set has no labels.
    """
    if source.train_labels is None or source.held_out_labels is None:
        raise ValueError("modes need a set with labels on both of its parts")
    labels, indices = source.train_labels, torch.arange(source.n_train, device=source.device)
    train = source.gather(indices).flatten(1)
    held_out = source.gather_held_out(torch.arange(source.n_held_out, device=source.device))
    distances, nearest = _nearest(held_out.flatten(1), train)
    limit = torch.quantile(distances.cpu(), QUALITY_SHARE)

    def classify(samples: Tensor) -> tuple[Tensor, Tensor]:
        distance, index = _nearest(samples.flatten(1), train)
        return labels[index], distance <= limit

    accuracy = float((labels[nearest] == source.held_out_labels).cpu().double().mean())
    weights = torch.bincount(labels.cpu()).double() / len(labels)
    return Modes(classify, weights, accuracy)


def stacked_modes(single: Modes, channels: int) -> Modes:
    """Return the modes of independent images stacked as channels, one a combination of classes.

    A sample is of high quality where each of its channels is.
    """
    k = len(single.weights)
    weights = single.weights
    for _ in range(channels - 1):
        weights = torch.outer(weights, single.weights).flatten()

    def classify(samples: Tensor) -> tuple[Tensor, Tensor]:
        mode = torch.zeros(len(samples), dtype=torch.int64, device=samples.device)
        good = torch.ones(len(samples), dtype=torch.bool, device=samples.device)
        for channel in range(channels):
            label, is_good = single.classify(samples[:, channel])
            mode, good = mode * k + label, good & is_good
        return mode, good

    accuracy = None if single.accuracy is None else single.accuracy**channels
    return Modes(classify, weights, accuracy)


def _nearest(points: Tensor, train: Tensor) -> tuple[Tensor, Tensor]:
    nearest = torch.cdist(points, train).min(dim=1)
    return nearest.values, nearest.indices
