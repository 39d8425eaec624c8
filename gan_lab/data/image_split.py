"""The three parts of a set of images, with their labels, as a source."""

from collections.abc import Sequence
from typing import Any

import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_lab.data.base import FiniteSource
from gan_lab.data.class_modes import class_modes
from gan_lab.data.host import open_parts
from gan_lab.data.labels import find_classes
from gan_lab.data.validation import n_validation_of, refuse, split

DEFAULT_SHARE = 0.1  # of the images, held out where nothing else is said

Labels = Sequence[NDArray[Any] | None]


def split_images(
    images: Sequence[Tensor],
    labels: Labels,
    held_out_share: float,
    n_validation: int | None,
    seed: int,
    what: str,
) -> tuple[list[Tensor], Labels]:
    """Return images and labels to train on, for validation and held out.

    Args:
        images: All in one; or the parts of a set with a split of its own: training, maybe
            validation, and test images, which are held out. Without a validation part training
            images are taken for it.
        labels: Of each of them, or None.
        held_out_share: Share that is held out where all are in one.
        n_validation: How many are for validation; None = all of a validation part, or a fifth of
            what is not held out, at most 1000.
        seed: Seed of the split alone.
        what: The data set, in errors.

    Raises:
        ConfigError: A part would be empty, or have more images than there are.
    """
    if len(images) == 1:
        n_held_out = round(held_out_share * len(images[0]))
        n_validation = n_validation_of(n_validation, len(images[0]) - n_held_out)
        parts = split(len(images[0]), n_held_out, n_validation, seed, what)
        return [images[0][part] for part in parts], [_choose(labels[0], part) for part in parts]
    if len(images) == 3 and n_validation is None:
        return list(images), labels
    place = len(images) - 2  # of the images to choose from: those of training, or a part of its own
    n = len(images[place])
    n_validation = n_validation_of(n_validation, n)
    limit = n - 1 if place == 0 else n
    if n_validation > limit:
        raise refuse("n_validation", f"at most {limit}", n_validation, limit)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    validation = order[:n_validation]
    rest = order[n_validation:].sort().values if place == 0 else torch.arange(len(images[0]))
    return (
        [images[0][rest], images[place][validation], images[-1]],
        [_choose(labels[0], rest), _choose(labels[place], validation), labels[-1]],
    )


def open_images(
    parts: Sequence[Tensor], labels: Labels, device: torch.device, storage: str
) -> FiniteSource:
    """Return three parts of images as a source; labels that are classes are its modes.

    Its notes are the sizes of the parts, and what was found of the labels.
    """
    sizes = [len(part) for part in parts]
    classes = find_classes(labels, sizes)
    train, validation, held_out = classes.parts or (None, None, None)
    source = open_parts(
        *(parts[0], parts[1], parts[2], device, storage),
        train_labels=train,
        validation_labels=validation,
        held_out_labels=held_out,
    )
    if classes.parts is not None:
        source.modes = class_modes(source)
    counts = f"{sizes[0]} to train on, {sizes[1]} for validation, {sizes[2]} held out"
    source.notes = (counts, classes.note, *source.notes)
    return source


def _choose(labels: NDArray[Any] | None, indices: Tensor) -> NDArray[Any] | None:
    return None if labels is None else labels[indices.numpy()]


def image_warnings(images: Tensor, what: str) -> tuple[str, ...]:
    """Return warnings of images [N, C, H, W] that are allowed but most likely a mistake."""
    if bool((images == images[:1]).all()):
        return (f"{what} holds {len(images)} times the same; there is nothing to learn from it",)
    messages, channels = [], images.shape[1]
    if channels not in (1, 3):
        alpha = "; leave transparency out: images[..., :3]" if channels == 4 else ""
        messages.append(
            f"{what} is images of {channels} channels, of which pictures show the first{alpha}"
        )
    white = 255 if images.dtype == torch.uint8 else 1
    black = 0 if images.dtype == torch.uint8 else -1
    high = float(images.max())
    if high < black + (white - black) / 4:
        messages.append(
            f"{what} has no value above {high:g}, where {black} is black and {white} white: all is "
            "dark; say data.value_range=[black,white]"
        )
    return tuple(messages)
