"""The images of the study: one part trains, one chooses, one judges; no image is in two."""

import functools
import hashlib
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import Data, FiniteSource, Part, TensorSource, to_float
from gan_lab.data.class_modes import ClassifierModes, class_modes
from gan_lab.data.image_network import Extractor
from gan_lab.errors import ConfigError
from gan_lab.metrics.features.frechet import relative_frechet_distance
from gan_lab.metrics.features.manifold import manifold_metrics
from gan_lab.metrics.features.random_features import random_extractor

_NEIGHBOURS = 5  # of coverage


@dataclass(frozen=True)
class Sizes:
    """How many images train, choose and judge, and the seed of the split alone."""

    n_train: int
    n_validation: int
    n_judged: int
    split_seed: int


class Judge:
    """Compares samples with one part of the images, in features trained on the training part."""

    def __init__(self, extract: Extractor, images: Tensor) -> None:
        self._extract = extract
        self._real = extract(images)

    def distance(self, samples: Tensor) -> float:
        """Return the Frechet distance over the real images' variance; inf if it is not finite."""
        last = self._extract(samples).last
        if not bool(last.isfinite().all()):
            return float("inf")
        return relative_frechet_distance(last, self._real.last)

    def measure(self, samples: Tensor) -> dict[str, float]:
        """Return the distance, the legible share (nan without classes) and coverage."""
        features = self._extract(samples)
        legible = features.is_legible
        return {
            "distance": relative_frechet_distance(features.last, self._real.last),
            "legible": float("nan") if legible is None else float(legible.double().mean()),
            "coverage": manifold_metrics(features.pooled, self._real.pooled, _NEIGHBOURS).coverage,
        }


@dataclass(frozen=True)
class Images:
    """A data set in three parts.

    Attributes:
        source: What a training opens; its held-out part is the validation part once more, so that
            no training can see an image that judges.
        judged_images: Images that judge, [n, channels, height, width] in [-1, 1].
        digests: Of every image by the part that it is in, 12 hexadecimal digits of its pixels.
    """

    source: TensorSource
    judged_images: Tensor
    digests: dict[str, list[str]]

    @functools.cached_property
    def extract(self) -> Extractor:
        """Features by a classifier of the training part; random ones where there are no labels."""
        if isinstance(self.source.modes, ClassifierModes):
            return self.source.modes.classifier.extract
        return random_extractor(self.source)

    @functools.cached_property
    def validation_judge(self) -> Judge:
        """Judge by the validation part: for tuning and the best checkpoint."""
        return Judge(self.extract, torch.cat(list(self.source.batches("validation"))))

    @functools.cached_property
    def final_judge(self) -> Judge:
        """Judge by the judged part: for numbers that are reported."""
        return Judge(self.extract, self.judged_images)

    def real_training(self, n: int, repeat: int) -> Tensor:
        """Return n training images: what a generator that copies the data would give."""
        generator = torch.Generator().manual_seed(repeat)
        return self.source.real(min(n, self.source.n_train), generator)


@functools.cache
def open_images(data: Data, sizes: Sizes) -> Images:
    """Return the images of a data set in parts of their own, on the CPU.

    They are chosen from the training part of the set; where that is too small, from all images of
    the set. Copies of one image are used once.

    Raises:
        ConfigError: The set has fewer images, or is no finite set of images.
    """
    source = data.open(torch.device("cpu"))
    if not isinstance(source, FiniteSource) or len(source.shape) != 3:
        raise ConfigError(
            f"losses_on_images compares on images, and {type(data).__name__} gives samples of "
            f"shape {tuple(source.shape)}; take datasets=[mnist_5k]"
        )
    need = sizes.n_train + sizes.n_validation + sizes.n_judged
    parts: list[Part] = ["train"]
    images, labels = _read(source, parts)
    if len(images) < need:
        images, labels = _read(source, ["train", "validation", "held_out"])
    keys = [hashlib.blake2b(x.numpy().tobytes(), digest_size=6).hexdigest() for x in images]
    order = np.random.default_rng(sizes.split_seed).permutation(len(images))
    _, first = np.unique(np.array(keys)[order], return_index=True)
    order = order[np.sort(first)]
    if len(order) < need:
        raise ConfigError(
            f"the study needs {need} different images a set, and {type(data).__name__} has "
            f"{len(order)}; make n_train smaller"
        )
    ends = np.cumsum([sizes.n_train, sizes.n_validation, sizes.n_judged])
    rows = dict(zip(("train", "validation", "judged"), np.split(order, ends)[:3], strict=True))
    images_of = {name: images[torch.from_numpy(part)] for name, part in rows.items()}
    labels_of = {
        name: None if labels is None else labels[torch.from_numpy(part)]
        for name, part in rows.items()
    }
    mine = TensorSource(
        images_of["train"],
        images_of["validation"],
        images_of["validation"],
        torch.device("cpu"),
        train_labels=labels_of["train"],
        validation_labels=labels_of["validation"],
        held_out_labels=labels_of["validation"],
    )
    if labels_of["train"] is not None:
        mine.modes = class_modes(mine)
    digests = {name: [keys[row] for row in part] for name, part in rows.items()}
    return Images(mine, to_float(images_of["judged"]), digests)


@dataclass(frozen=True)
class StudyData(Data):
    """The training and validation parts of a set as the study splits it."""

    data: Data
    sizes: Sizes

    def open(self, device: torch.device) -> TensorSource:
        """Return the source of `open_images`, which lies on the CPU."""
        if device.type != "cpu":
            raise ConfigError(f"losses_on_images counts seconds of a CPU, got {device}; device=cpu")
        return open_images(self.data, self.sizes).source


def _read(source: FiniteSource, parts: list[Part]) -> tuple[Tensor, Tensor | None]:
    """Return the images of some parts, float32 in [-1, 1], and their labels."""
    of_part: dict[Part, tuple[int, Tensor | None]] = {
        "train": (source.n_train, source.train_labels),
        "validation": (source.n_validation, source.validation_labels),
        "held_out": (source.n_held_out, source.held_out_labels),
    }
    images = torch.cat([source.raw(p, torch.arange(of_part[p][0])) for p in parts])
    labels = [label for p in parts if (label := of_part[p][1]) is not None]
    return images, torch.cat(labels) if len(labels) == len(parts) else None
