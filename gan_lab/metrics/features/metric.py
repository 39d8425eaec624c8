"""The metrics of images in features: of the set's own classifier, or of random convolutions."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Part, Source
from gan_lab.data.class_modes import ClassifierModes, is_large_image
from gan_lab.data.classifier import MAX_TRAIN, train_subset
from gan_lab.data.image_network import Extractor, ImageFeatures, block_size
from gan_lab.metrics.diversity import mean_nearest_distance
from gan_lab.metrics.features.frechet import relative_frechet_distance
from gan_lab.metrics.features.kernel_distance import kernel_distance
from gan_lab.metrics.features.manifold import manifold_metrics
from gan_lab.metrics.features.random_features import SEED, random_extractor
from gan_lab.metrics.features.scores import classifier_score
from gan_lab.metrics.metrics import Metric, MetricFunction, Units
from gan_lab.validation import check_count


@dataclass(frozen=True)
class Features(Metric):
    """Distances and shares of images of 16 pixels a side or more, in features of one fixed design.

    Labelled sets have the features of a classifier that is trained once on their training images;
    all others those of random convolutions, without the score and the legible share. Frechet and
    kernel distance are in the last layer, the rest in features pooled over layers: in the last
    alone precision accepts white noise.

    Numbers compare between runs on the same data alone: the features belong to the set. They are
    not FID, KID or IS, whose features are Inception's.

    Attributes:
        k: Which neighbour sets the radius of a ball, for precision, recall, density and coverage.

    Reference: `relative_frechet_distance`, `kernel_distance`, `manifold_metrics`,
    `classifier_score`.
    """

    k: int = 5
    units: ClassVar[Units] = {
        "features/frechet_distance": "1",
        "features/kernel_distance": "1",
        "features/precision": "1",
        "features/recall": "1",
        "features/density": "1",
        "features/coverage": "1",
        "features/classifier_score": "1",
        "features/legible_share": "1",
        "features/nearest_train_distance": "feature units",
    }

    def __post_init__(self) -> None:
        check_count(self, "k")

    @property
    def min_samples(self) -> int:
        """See `Metric`: k other samples."""
        return self.k + 1

    def prepare(self, source: Source) -> MetricFunction | None:
        """See `Metric.prepare`; None for points, and for images below 16 pixels."""
        if not self.applies(source):
            return None
        features = _SourceFeatures(source)

        def evaluate(samples: Tensor, held_out: Tensor) -> dict[str, float]:
            fake, real = features.of(samples), features.of(held_out)
            manifold = manifold_metrics(fake.pooled, real.pooled, self.k)
            values = {
                "features/frechet_distance": relative_frechet_distance(fake.last, real.last),
                "features/kernel_distance": kernel_distance(fake.last, real.last)[0],
                **{f"features/{name}": value for name, value in vars(manifold).items()},
            }
            if fake.log_probabilities is not None and fake.is_legible is not None:
                values["features/classifier_score"] = classifier_score(fake.log_probabilities)
                values["features/legible_share"] = float(fake.is_legible.double().mean())
            if features.train is not None:
                distance = mean_nearest_distance(fake.pooled, features.train.pooled)
                values["features/nearest_train_distance"] = distance
            return values

        return evaluate

    def applies(self, source: Source) -> bool:
        """See `Metric.applies`: images of 16 pixels a side or more."""
        return is_large_image(source.shape)

    def record(self, source: Source) -> Mapping[str, Any]:
        """See `Metric.record`: which classifier, its accuracy and seconds, or the random seed."""
        if not self.applies(source):
            return {}
        if isinstance(source.modes, ClassifierModes):
            record = source.modes.classifier.record()
        else:
            record = {"random_convolutions": f"no labels: random weights of seed {SEED}"}
        if isinstance(source, FiniteSource):
            record["n_train_images"] = len(train_subset(source))
        return record


class _SourceFeatures:
    """Features of a data set's images, computed once and in one order, and of other images.

    In one order, since a sum in another batch may round otherwise, and a resumed run has to measure
    the same bits.
    """

    def __init__(self, source: Source) -> None:
        self._source = source

    @cached_property
    def _extract(self) -> Extractor:
        modes = self._source.modes
        if isinstance(modes, ClassifierModes):
            return modes.classifier.extract
        return random_extractor(self._source)

    @cached_property
    def train(self) -> ImageFeatures | None:
        """Features of the training images, or of 20,000 of more; None if there is no finite set."""
        source = self._source
        if not isinstance(source, FiniteSource):
            return None
        blocks = train_subset(source).split(block_size(source.shape))
        return _join([self._extract(source.take("train", block)) for block in blocks])

    @cached_property
    def _table(self) -> tuple[ImageFeatures, dict[bytes, int]]:
        """Features of the set's images, and the row of each by its pixels."""
        source = self._source
        assert isinstance(source, FiniteSource)
        assert self.train is not None
        parts, keys, size = [self.train], [], block_size(source.shape)
        for block in train_subset(source).split(size):
            keys += list(_keys(source.take("train", block)))
        sizes: dict[Part, int] = {"validation": source.n_validation, "held_out": source.n_held_out}
        for part in (part for part, n in sizes.items() if n <= MAX_TRAIN):
            for images in source.batches(part, size):
                parts.append(self._extract(images))
                keys += list(_keys(images))
        return _join(parts), {key: row for row, key in enumerate(keys)}

    def of(self, images: Tensor) -> ImageFeatures:
        """Return the features of images [n, channels, height, width]."""
        if isinstance(self._source, FiniteSource):
            features, rows = self._table
            positions = []
            for key in _keys(images):
                if key not in rows:
                    return self._extract(images)
                positions.append(rows[key])
            return features.select(torch.tensor(positions))
        return self._extract(images)


def _keys(images: Tensor) -> Iterator[bytes]:
    """Return the digest of each image's pixels, one after the other."""
    for pixels in images.detach().cpu().contiguous().numpy():
        yield hashlib.blake2b(pixels.data).digest()


def _join(parts: list[ImageFeatures]) -> ImageFeatures:
    logits = [part.logits for part in parts if part.logits is not None]
    return ImageFeatures(
        torch.cat([part.last for part in parts]),
        torch.cat([part.pooled for part in parts]),
        torch.cat(logits) if logits else None,
    )
