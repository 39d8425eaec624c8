"""A user's arrays: points [N] or [N, d] from .npy, .npz or .csv."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gan_lab.data.array_files import check_file, read_array
from gan_lab.data.base import Data, FiniteSource, TensorSource
from gan_lab.data.image_arrays import ImageArray, has_images, has_own_split
from gan_lab.data.validation import (
    check_one_of,
    check_share,
    check_split,
    n_validation_of,
    refuse,
    split,
)
from gan_lab.errors import ConfigError

MIN_ROWS = 10


@dataclass(frozen=True)
class Array(Data):
    """Points from a file; a random share of its rows is held out.

    Rank 1 [N] becomes points [N, 1], rank 2 [N, d] is points. Arrays of images are read as by
    `ImageArray`, whose keys tell more of them.

    Attributes:
        path: A .npy, .npz or .csv file (comma separated, with or without one header line).
        held_out_share: Share of the rows that is held out, a fixed random choice.
        n_validation: How many of the others are for validation; None = a fifth, at most 1000.
        key: Name of the array in a .npz of several.
        standardize: Shift and scale every coordinate of points to mean 0 and std 1 over the
            training rows; the other rows are moved by the same numbers.
        split_seed: Seed of the split alone.
    """

    path: str
    held_out_share: float = 0.1
    n_validation: int | None = None
    key: str | None = None
    standardize: bool = False
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_share("held_out_share", self.held_out_share)
        check_split(self.n_validation, self.split_seed)
        check_one_of("standardize", self.standardize, (False, True))

    def open(self, device: torch.device) -> FiniteSource:
        """Read, check and split the array.

        Raises:
            ConfigError: The file is missing, unreadable or of another kind; or the array is not
                numeric, not finite, of the wrong rank or range, or too short.
        """
        path = Path(self.path).expanduser()
        check_file(path, self.path)
        if has_images(path, self.key):
            return self._images(path, device)
        array = as_points(read_array(path, self.key), path)
        what = f"array {path}"
        n, n_held_out = len(array), round(self.held_out_share * len(array))
        n_validation = n_validation_of(self.n_validation, n - n_held_out)
        rows = torch.from_numpy(array)
        parts = [rows[i] for i in split(n, n_held_out, n_validation, self.split_seed, what)]
        if self.standardize:
            mean, std = parts[0].double().mean(0), parts[0].double().std(0)
            if (std == 0).any():
                raise ConfigError(
                    f"{what}: column {int((std == 0).nonzero()[0])} is constant, which "
                    "data.standardize=true cannot scale; drop the column or the key"
                )
            parts = [((part - mean) / std).float() for part in parts]
        train, validation, held_out = parts
        source = TensorSource(train, validation, held_out, device)
        source.warnings = _warnings(array, what, self.standardize)
        return source

    def _images(self, path: Path, device: torch.device) -> FiniteSource:
        if self.standardize:
            raise refuse("standardize", "false for images", self.standardize, "false")
        is_default = self.held_out_share == Array.held_out_share
        share = None if is_default and has_own_split(path, self.key) else self.held_out_share
        images = ImageArray(
            self.path,
            key=self.key,
            held_out_share=share,
            n_validation=self.n_validation,
            split_seed=self.split_seed,
        )
        return images.open(device)


def as_points(array: NDArray[np.generic], path: Path) -> NDArray[np.float32]:
    """Return points [N, d] float32.

    Raises:
        ConfigError: It is none; the error says why.
    """
    what = f"array {path}"
    shape = array.shape
    if array.dtype.kind not in "fiub":
        raise ConfigError(f"{what} holds {array.dtype}, not real numbers; convert it to float32")
    if array.ndim not in (1, 2):
        raise ConfigError(
            f"{what} has shape {shape}; points are [N] or [N, d], images [N, H, W], [N, H, W, C] "
            "or [N, C, H, W]"
        )
    if len(array) < MIN_ROWS or 0 in shape:
        raise ConfigError(f"{what} has shape {shape}; at least {MIN_ROWS} rows are needed")
    # Infinities are refused below, so numpy need not warn of an overflow.
    with np.errstate(over="ignore"):
        numbers = np.ascontiguousarray(array, dtype=np.float32)
    bad = np.argwhere(~np.isfinite(numbers))
    if len(bad):
        index = tuple(int(i) for i in bad[0])
        raise ConfigError(
            f"{what} is {array[index]} at index {index} ({len(bad)} such entries), which float32 "
            "cannot hold as a finite number; drop those rows or rescale"
        )
    return numbers.reshape(len(numbers), 1) if array.ndim == 1 else numbers


def _warnings(array: NDArray[np.generic], what: str, standardize: bool) -> tuple[str, ...]:
    """Return warnings of what is allowed but most likely a mistake."""
    if (array == array[:1]).all():
        return (f"{what} holds {len(array)} times the same; there is nothing to learn from it",)
    limit = np.abs(array).max()
    if standardize or 1e-3 <= limit <= 1e3:
        return ()
    return (
        f"{what} reaches {limit:.3g}, where networks learn from numbers of about 1; scale it, for "
        "example by data.standardize=true",
    )
