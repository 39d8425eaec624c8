"""Metrics of a conditional generator: are its samples of the classes that were asked for?"""

import math
from functools import cached_property

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Part, Source
from gan_lab.data.class_modes import ClassifierModes
from gan_lab.engine.labels import ClassLabels
from gan_lab.metrics.features.frechet import relative_frechet_distance
from gan_lab.metrics.quality import ACCURACY

DISTANCE = "conditional/frechet_distance"  # the mean over classes
_MAX_CLASSES = 20  # up to which each class has a distance of its own


class ClassMetrics:
    """Share of samples of the right class, and Frechet distances within each class.

    A sample's class is that of the data's modes: a classifier's, or the nearest training sample's.
    Distances are to all unseen samples of the class, at the end of a run alone, where the data have
    a classifier: those of `relative_frechet_distance` in its last layer. Miyato and Koyama 2018
    (arXiv:1802.05637) call their mean over classes intra FID, in Inception's features.

    Attributes:
        units: Tag -> unit of each number.
        unbounded_tags: Tags of numbers that are nan where a class has fewer than 2 samples, or
            unseen ones that are all the same.
    """

    def __init__(self, source: Source, labels: ClassLabels) -> None:
        """Take a labelled set and its classes; its classifier is trained when first needed."""
        assert isinstance(source, FiniteSource)
        assert source.modes is not None
        self._source, self._modes, self._n_classes = source, source.modes, labels.n_classes
        self._has_features = isinstance(source.modes, ClassifierModes)
        n_own = labels.n_classes if labels.n_classes <= _MAX_CLASSES else 0
        self._own_tags = [f"{DISTANCE}_of_{k}" for k in range(n_own)]
        distances = [DISTANCE, *self._own_tags] if self._has_features else []
        self.units = dict.fromkeys([ACCURACY, *distances], "1")
        self.unbounded_tags = frozenset(distances)

    def of_samples(self, samples: Tensor, labels: Tensor, final: bool) -> dict[str, float]:
        """Return the numbers of samples [n, *shape] that were asked for by labels, one-hot [n, K].

        Args:
            samples: The generator's.
            labels: Their classes.
            final: Whether distances are measured, too, to held-out samples.
        """
        classes = labels.argmax(1)
        values = {ACCURACY: self._accuracy(samples, classes)}
        return {**values, **self._distances(samples, classes)} if final else values

    def of_real_data(self, n: int, generator: torch.Generator, final: bool) -> dict[str, float]:
        """Return the numbers of n real samples.

        The accuracy is of unseen samples, the distances are of training samples to the unseen.
        """
        part, labels = self._unseen(final)
        rows = torch.randperm(len(labels), generator=generator, device=labels.device)[:n]
        values = {ACCURACY: self._accuracy(self._source.take(part, rows), labels[rows])}
        if not final:
            return values
        rows = self._source.draw(n, generator)
        train_labels = self._source.train_labels
        assert train_labels is not None
        return values | self._distances(self._source.take("train", rows), train_labels[rows])

    def _unseen(self, final: bool) -> tuple[Part, Tensor]:
        source = self._source
        part: Part = "held_out" if final else "validation"
        labels = source.held_out_labels if final else source.validation_labels
        assert labels is not None
        return part, labels

    def _accuracy(self, samples: Tensor, classes: Tensor) -> float:
        likeliest, _ = self._modes.classify(samples)
        return float((likeliest == classes).double().mean())

    def _distances(self, samples: Tensor, classes: Tensor) -> dict[str, float]:
        if not self._has_features:
            return {}
        features, classes = self._features(samples), classes.cpu()
        distances = [
            relative_frechet_distance(features[classes == k], unseen)
            if int((classes == k).sum()) > 1 and bool((unseen != unseen[:1]).any())
            else math.nan
            for k, unseen in enumerate(self._unseen_features)
        ]
        mean = sum(distances) / len(distances)
        return {DISTANCE: mean, **dict(zip(self._own_tags, distances, strict=False))}

    def _features(self, samples: Tensor) -> Tensor:
        assert isinstance(self._modes, ClassifierModes)
        return self._modes.classifier.extract(samples).last

    @cached_property
    def _unseen_features(self) -> list[Tensor]:
        """Features of the held-out samples of each class."""
        part, labels = self._unseen(final=True)
        features = torch.cat([self._features(each) for each in self._source.batches(part)])
        classes = labels.cpu()
        return [features[classes == k] for k in range(self._n_classes)]
