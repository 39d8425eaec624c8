"""A user's arrays: .npy, .npz or .csv, points [N, d] or images [N, C, H, W]."""

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from gan_lab.data.base import Data, TensorSource
from gan_lab.data.csv_files import read_csv
from gan_lab.data.validation import (
    check_one_of,
    check_share,
    check_split,
    n_validation_of,
    one_line,
    refuse,
    split,
)
from gan_lab.errors import ConfigError

MIN_ROWS = 10


@dataclass(frozen=True)
class Array(Data):
    """A numeric array from a file; a random share of its rows is held out.

    Rank 1 [N] becomes points [N, 1], rank 2 [N, d] is points, rank 4 [N, C, H, W] is images:
    uint8, or floating point in [-1, 1].

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

    def open(self, device: torch.device) -> TensorSource:
        """Read, check and split the array.

        Raises:
            ConfigError: The file is missing, unreadable or of another kind; or the array is not
                numeric, not finite, of the wrong rank or range, or too short.
        """
        path = Path(self.path).expanduser()
        if not os.path.isfile(path):  # unlike is_file, False where a name is too long
            raise refuse("path", "an existing file", self.path, "/path/to/points.npy")
        array = as_samples(read_array(path, self.key), path)
        what = f"array {path}"
        n, n_held_out = len(array), round(self.held_out_share * len(array))
        n_validation = n_validation_of(self.n_validation, n - n_held_out)
        rows = torch.from_numpy(array)
        parts = [rows[i] for i in split(n, n_held_out, n_validation, self.split_seed, what)]
        if self.standardize:
            if rows.ndim != 2:
                raise refuse("standardize", "false for images", self.standardize, "false")
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


def read_array(path: Path, key: str | None) -> NDArray[np.generic]:
    """Return the array in a file; nothing is unpickled.

    Raises:
        ConfigError: Unknown suffix, damaged file, pickled objects, or a key that does not fit.
    """
    readers = {".npy": _read_npy, ".npz": lambda path: _read_npz(path, key), ".csv": read_csv}
    if path.suffix.lower() not in readers:
        raise refuse("path", "a .npy, .npz or .csv file", str(path), "/path/to/points.npy")
    if key is not None and path.suffix.lower() != ".npz":
        raise refuse("key", f"null for a {path.suffix} file (only .npz has keys)", key, "null")
    try:
        return readers[path.suffix.lower()](path)
    except ConfigError:
        raise
    except Exception as error:  # by fuzzing: at least ten types, from zlib's to TokenError
        advice = "write it again with numpy.save, as numbers"
        problem = f"cannot be read ({one_line(error)});"
        if "pickle" in str(error):
            problem = "holds Python objects or is no numpy file; they are never loaded:"
        raise ConfigError(f"array {path} {problem} {advice}") from error


def _read_npy(path: Path) -> NDArray[np.generic]:
    array = np.load(path, allow_pickle=False)
    if not isinstance(array, np.ndarray):
        raise ConfigError(f"array {path} is an archive of arrays; name it .npz")
    return array


def _read_npz(path: Path, key: str | None) -> NDArray[np.generic]:
    with np.load(path, allow_pickle=False) as archive:
        if isinstance(archive, np.ndarray):
            raise ConfigError(f"array {path} is one array and no archive; name it .npy")
        names = list(archive.files)
        if key is None and len(names) == 1:
            key = names[0]
        if key not in names:
            must_be = f"one of the arrays in {path} ({', '.join(names) or 'there are none'})"
            raise refuse("key", must_be, key, names[0] if names else "null")
        array = archive[key]
    if not isinstance(array, np.ndarray):  # a member that is no array comes as its bytes
        raise ConfigError(f"array {path} holds no array as {key!r}; write it with numpy.savez")
    return array


def as_samples(array: NDArray[np.generic], path: Path) -> NDArray[np.generic]:
    """Return points [N, d] float32, images [N, C, H, W] float32 in [-1, 1], or uint8 images.

    Raises:
        ConfigError: It is none of these; the error says why.
    """
    what = f"array {path}"
    shape = array.shape
    if array.dtype.kind not in "fiub":
        raise ConfigError(f"{what} holds {array.dtype}, not real numbers; convert it to float32")
    if array.ndim not in (1, 2, 4):
        hint = "; add an axis of one channel: array[:, None]" if array.ndim == 3 else ""
        kinds = "points are [N] or [N, d], images [N, C, H, W]"
        raise ConfigError(f"{what} has shape {shape}; {kinds}{hint}")
    if len(array) < MIN_ROWS or 0 in shape:
        raise ConfigError(f"{what} has shape {shape}; at least {MIN_ROWS} rows are needed")
    if array.ndim == 4:
        _check_layout(shape, what)
        if array.dtype == np.uint8:
            return np.ascontiguousarray(array)
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
    if array.ndim == 4 and np.abs(numbers).max() > 1:
        raise ConfigError(
            f"{what} is images from {numbers.min():g} to {numbers.max():g}; scale them to [-1, 1], "
            "or save them as uint8 (0 to 255)"
        )
    return numbers.reshape(len(numbers), 1) if array.ndim == 1 else numbers


def _check_layout(shape: tuple[int, ...], what: str) -> None:
    """Refuse images whose channels (grey, RGB or RGBA) come last, or may be any axis."""
    _, second, third, last = shape
    if second == third == last and last in (3, 4):
        raise ConfigError(
            f"{what} has shape {shape}, of which any axis may be the channels; pad the images to "
            "more than 4 x 4 pixels, [N, C, H, W]"
        )
    if last in (1, 3, 4) and last != third and (second not in (1, 3) or second == third):
        source = "array[..., :3]" if last == 4 else "array"
        kind = {1: "1", 3: "3", 4: "RGBA"}[last]
        raise ConfigError(
            f"{what} has shape {shape}, which looks like [N, H, W, {kind}]; put the channels "
            f"second: {source}.transpose(0, 3, 1, 2)"
        )


def _warnings(array: NDArray[np.generic], what: str, standardize: bool) -> tuple[str, ...]:
    """Return warnings of what is allowed but most likely a mistake."""
    if (array == array[:1]).all():
        return (f"{what} holds {len(array)} times the same; there is nothing to learn from it",)
    if array.ndim == 4:
        return _warnings_of_images(array, what)
    limit = np.abs(array).max()
    if standardize or 1e-3 <= limit <= 1e3:
        return ()
    return (
        f"{what} reaches {limit:.3g}, where networks learn from numbers of about 1; scale it, for "
        "example by data.standardize=true",
    )


def _warnings_of_images(array: NDArray[np.generic], what: str) -> tuple[str, ...]:
    messages, channels = [], array.shape[1]
    if channels not in (1, 3):
        alpha = "; leave transparency out: array[:, :3]" if channels == 4 else ""
        messages.append(
            f"{what} is images of {channels} channels, of which pictures show the first{alpha}"
        )
    low, high = array.min(), array.max()
    if array.dtype == np.uint8 and high <= 1:
        messages.append(
            f"{what} is uint8 from {low} to {high}, where 255 is white: all is black; save array * "
            "255"
        )
    elif array.dtype != np.uint8 and low >= 0:
        messages.append(
            f"{what} is images from {low:g} to {high:g}, where -1 is black: all is grey or "
            "brighter; save array * 2 - 1"
        )
    return tuple(messages)
