"""Labels of images: from arrays beside them, or from the folders that they lie in."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_lab.errors import ConfigError

# Images of a class, on average: labels of fewer are names of single images, or measured values.
_MIN_IMAGES = 10


class Classes(NamedTuple):
    """Classes of the images in every part of a set, and what was found.

    Attributes:
        parts: For each part the class of each image, [n] int64 from 0 on; None where there are no
            classes.
        note: One sentence: how many classes, or why there are none.
    """

    parts: tuple[Tensor, ...] | None
    note: str


def check_counts(
    labels: Sequence[NDArray[np.generic] | None], sizes: Sequence[int], what: str
) -> None:
    """Refuse a part that has another number of labels than images."""
    for part, size in zip(labels, sizes, strict=True):
        n = size if part is None else len(part) if part.ndim else 1
        if n != size:
            raise ConfigError(
                f"{what} has {size} images but {n} labels; give every image one label, or leave "
                "the labels out of the file"
            )


def find_classes(labels: Sequence[NDArray[np.generic] | None], sizes: Sequence[int]) -> Classes:
    """Number the classes of labels in their sorted order.

    Labels are [n] or [n, 1], whole numbers or texts, or rows with a single 1 (one-hot).

    Args:
        labels: Of each part; None where it has none.
        sizes: How many images each part has.
    """
    parts = [part for part in labels if part is not None]
    if len(parts) < len(labels):
        note = "not every part has labels" if parts else "there are no labels"
        return Classes(None, f"{note}, so no modes, legible share or classifier score")
    if all(_is_one_hot(part) for part in parts):
        parts = [part.argmax(axis=1) for part in parts]
    parts = [part[:, 0] if part.ndim == 2 and part.shape[1] == 1 else part for part in parts]
    reason = _refusal(parts)
    if reason is None:
        names, numbers = np.unique(np.concatenate(parts), return_inverse=True)
        split = np.split(numbers.reshape(-1), np.cumsum(sizes)[:-1])
        reason = _scarcity(len(names), split)
    if reason is not None:
        return Classes(None, f"{reason}, so no modes, legible share or classifier score")
    tensors = tuple(torch.from_numpy(part.astype(np.int64)) for part in split)
    return Classes(tensors, f"labels of {len(names)} classes, which are the modes")


def _is_one_hot(labels: NDArray[np.generic]) -> bool:
    if labels.ndim != 2 or labels.shape[1] < 2 or labels.dtype.kind not in "biuf":
        return False
    is_one = labels == 1
    return bool((is_one | (labels == 0)).all() and (is_one.sum(axis=1) == 1).all())


def _refusal(parts: Sequence[NDArray[np.generic]]) -> str | None:
    """Return why labels are no classes."""
    part = parts[0]
    if any(each.ndim != 1 for each in parts):
        return f"labels have shape {part.shape}, several for an image"
    if any(each.dtype.kind not in "biufUS" for each in parts):
        return f"labels are {part.dtype}, neither numbers nor texts"
    for each in parts:
        if each.dtype.kind == "f" and not (np.isfinite(each).all() and (each % 1 == 0).all()):
            return "labels are no whole numbers"
    return None


def _scarcity(n_classes: int, parts: Sequence[NDArray[np.intp]]) -> str | None:
    n = sum(map(len, parts))
    if n_classes < 2:
        return "all labels are the same"
    if n < _MIN_IMAGES * n_classes:
        return f"{n_classes} different labels of {n} images are too many to be classes"
    absent = n_classes - len(np.unique(parts[0]))
    if absent:
        return f"{absent} of {n_classes} classes are in no training image"
    return None
