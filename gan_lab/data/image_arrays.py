"""A user's images in an array: the axes, the range of values, the split and the labels found."""

import math
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gan_lab.data.array_files import check_file, choose_name, read_array, read_headers
from gan_lab.data.base import Data, FiniteSource
from gan_lab.data.host import (
    STORAGES,
    HostSource,
    NpyFile,
    SomeRows,
    choose_storage,
    describe_place,
)
from gan_lab.data.image_format import LAYOUTS, ImageFormat, find_format
from gan_lab.data.image_rows import find_format_on_disk, image_rows, sample_rows
from gan_lab.data.image_split import DEFAULT_SHARE, image_warnings, open_images, split_images
from gan_lab.data.labels import check_counts, find_classes
from gan_lab.data.resize import MAX_SIZE, MIN_SIZE, resize
from gan_lab.data.validation import (
    check_one_of,
    check_share,
    check_split,
    check_whole,
    n_validation_of,
    one_line,
    refuse,
    split,
)
from gan_lab.errors import ConfigError

MIN_IMAGES = 10
# Names of images and labels in files that have a split of their own: MedMNIST's and Keras'.
_SPLITS = (
    {part: (f"{part}_images", f"{part}_labels") for part in ("train", "val", "test")},
    {part: (f"x_{part}", f"y_{part}") for part in ("train", "val", "test")},
)
_LABELS = {"images": "labels", "x": "y", "X": "y"}


@dataclass(frozen=True)
class ImageArray(Data):
    """Images from a .npy or .npz file; axes and range of values are found unless they are typed.

    A .npz with `train_images`, `val_images`, `test_images` (MedMNIST) or `x_train`, `x_test`
    (Keras) has a split of its own, which is used: the test part is held out. Labels beside them
    (`train_labels`, `y_train`; `labels` beside `images`) give the modes.

    Attributes:
        path: A .npy or .npz file.
        key: Name of the array in a .npz of several; None = its images by the names above.
        size: Height and width of the samples, pixels: grey images of 28 get a frame of black to be
            32, all others are cropped to the middle square and resized; None = as they are.
        layout: The axes, one of NHW, NHWC, NCHW; None = found.
        value_range: The values of black and white; None = found: bytes 0 to 255, or numbers in
            [0, 1], [0, 255] or [-1, 1].
        held_out_share: Share of the images that is held out, a fixed random choice; None = a tenth.
            A split of the file's own takes no other.
        n_validation: How many of the others are for validation; None = the file's own part, or a
            fifth, at most 1000.
        split_seed: Seed of the split alone.
        storage: Where the images lie: device, host (memory, for a GPU), or disk (a .npy whose rows
            are read when they are drawn); auto = on disk or in host memory where they would take
            more than a quarter of what is free. The batches are the same.
    """

    path: str
    key: str | None = None
    size: int | None = None
    layout: str | None = None
    value_range: tuple[float, float] | None = None
    held_out_share: float | None = None
    n_validation: int | None = None
    split_seed: int = 0
    storage: str = "auto"

    def __post_init__(self) -> None:
        if self.size is not None:
            check_whole("size", self.size, 32, at_least=MIN_SIZE, at_most=MAX_SIZE)
        if self.layout is not None:
            check_one_of("layout", self.layout, LAYOUTS)
        if self.value_range is not None:
            _check_range(self.value_range)
        if self.held_out_share is not None:
            check_share("held_out_share", self.held_out_share)
        check_split(self.n_validation, self.split_seed)
        check_one_of("storage", self.storage, STORAGES)

    def open(self, device: torch.device) -> FiniteSource:
        """Read, check, convert and split the images.

        Raises:
            ConfigError: The file is missing, unreadable or of another kind; or axes or values may
                be read in two ways; the error says which key tells them.
        """
        path = Path(self.path).expanduser()
        check_file(path, self.path)
        what = f"array {path}"
        if self._stays_on_disk(path, device):
            return self._open_on_disk(path, what, device)
        files = self._read(path)
        _check_images(files.images, what)
        check_counts(files.labels, [len(array) for array in files.images], what)
        form = find_format(files.images, self.layout, self.value_range, what)
        images = [torch.from_numpy(form.convert(array)) for array in files.images]
        n = sum(map(len, images))
        note = _describe(n, images[0].shape, form, files.images[0].dtype, what)
        if self.size is not None:
            images = [resize(image, self.size) for image in images]
        share = self.held_out_share or DEFAULT_SHARE
        parts, labels = split_images(
            images, files.labels, share, self.n_validation, self.split_seed, what
        )
        source = open_images(parts, labels, device, self.storage)
        own = ", the file's own split" if len(images) > 1 else ""
        sizes, classes = source.notes
        source.notes = (note, sizes + own, classes)
        source.warnings = image_warnings(parts[0], what)
        source.file = path if path.suffix.lower() == ".npy" else None
        return source

    def _stays_on_disk(self, path: Path, device: torch.device) -> bool:
        is_npy = path.suffix.lower() == ".npy" and self.key is None
        n_bytes = read_headers(path)[""].n_bytes if is_npy else 0
        stays = choose_storage(self.storage, n_bytes, is_npy, device) == "disk"
        if stays and not is_npy:
            must_be = f"auto, device or host for {path} (only rows of a .npy are read from disk)"
            raise refuse("storage", must_be, self.storage, "auto")
        return stays

    def _open_on_disk(self, path: Path, what: str, device: torch.device) -> FiniteSource:
        try:
            file = NpyFile(path)
            sample = sample_rows(file)
            _check_images([sample], what)
            form = find_format_on_disk(file, sample, self.layout, self.value_range, what)
            rows = image_rows(file, form, self.size)
        except (OSError, ValueError) as error:
            if isinstance(error, ConfigError):
                raise
            raise ConfigError(f"{what} cannot be read from disk ({one_line(error)})") from error
        n = len(file)
        n_held_out = round((self.held_out_share or DEFAULT_SHARE) * n)
        n_validation = n_validation_of(self.n_validation, n - n_held_out)
        parts = split(n, n_held_out, n_validation, self.split_seed, what)
        train, validation, held_out = (SomeRows(rows, part) for part in parts)
        source = HostSource(train, validation, held_out, device)
        source.file = path
        images = torch.from_numpy(form.convert(sample))
        source.notes = (
            _describe(n, images.shape, form, file.dtype, what),
            f"{len(train)} to train on, {len(validation)} for validation, {n_held_out} held out",
            find_classes([None] * 3, []).note,
            describe_place("on disk", n * file.row_bytes),
        )
        source.warnings = image_warnings(images, f"{what} (in a sample of {len(images)} images)")
        return source

    def _read(self, path: Path) -> "_Files":
        """Read the images of one part, or of two or three parts, each with its labels."""
        if path.suffix.lower() != ".npz":
            return _Files([read_array(path, self.key)], [None])
        names = list(read_headers(path))
        own = own_split(names) if self.key is None else None
        if own is None:
            key = self.key
            if key is None and "images" in names:
                key = "images"
            key = choose_name(path, names, key)
            return _Files([read_array(path, key)], [_labels_of(path, key, names)])
        if self.held_out_share is not None:
            must_be = f"null, as {path} has a split of its own"
            raise refuse("held_out_share", must_be, self.held_out_share, "null")
        images = [read_array(path, name) for name, _ in own]
        labels = [read_array(path, name) if name in names else None for _, name in own]
        return _Files(images, labels)


class _Files(NamedTuple):
    images: list[NDArray[np.generic]]
    labels: list[NDArray[np.generic] | None]


def own_split(names: list[str]) -> list[tuple[str, str]] | None:
    """Return the names of images and labels of each part, where a file has a split of its own.

    The parts are training and test, between them validation where the file has it.
    """
    for parts in _SPLITS:
        own = [pair for pair in parts.values() if pair[0] in names]
        if parts["train"] in own and parts["test"] in own:
            return own
    return None


def has_own_split(path: Path, key: str | None) -> bool:
    """Return whether a file has a split of its own, of which no array is named by a key."""
    if key is not None or path.suffix.lower() != ".npz":
        return False
    return own_split(list(read_headers(path))) is not None


def has_images(path: Path, key: str | None) -> bool:
    """Return whether a file holds images, by its headers alone.

    Raises:
        ConfigError: It cannot be read.
    """
    suffix = path.suffix.lower()
    if suffix == ".csv" or (suffix == ".npy" and key is not None):
        return False
    headers = read_headers(path)
    if suffix == ".npz":
        own = own_split(list(headers)) if key is None else None
        key = own[0][0] if own else key or ("images" if "images" in headers else None)
        key = choose_name(path, list(headers), key)
    return len(headers[key or ""].shape) in (3, 4)


def _labels_of(path: Path, key: str, names: list[str]) -> NDArray[np.generic] | None:
    """Return the labels that belong to an array of a .npz by their names, or None."""
    partner = _LABELS.get(key) or next(
        (labels for parts in _SPLITS for images, labels in parts.values() if images == key), None
    )
    return read_array(path, partner) if partner in names else None


def _check_images(arrays: list[NDArray[np.generic]], what: str) -> None:
    """Refuse parts that are no images, or of different ones."""
    first = arrays[0]
    for array in arrays:
        shape = array.shape
        if array.dtype.kind not in "fiub":
            raise ConfigError(f"{what} holds {array.dtype}, not real numbers; convert it to uint8")
        if len(shape) not in (3, 4):
            raise ConfigError(
                f"{what} has shape {shape}; images are [N, H, W], [N, H, W, C] or [N, C, H, W]"
            )
        if len(array) < MIN_IMAGES or 0 in shape:
            raise ConfigError(f"{what} has shape {shape}; at least {MIN_IMAGES} rows are needed")
        if shape[1:] != first.shape[1:] or array.dtype != first.dtype:
            raise ConfigError(
                f"{what}: parts differ, {shape[1:]} {array.dtype} against {first.shape[1:]} "
                f"{first.dtype}; give all parts images of one shape and type"
            )
        if array.dtype.kind == "f" and not np.isfinite(array).all():
            bad = np.argwhere(~np.isfinite(array))
            index = tuple(int(i) for i in bad[0])
            raise ConfigError(
                f"{what} is {array[index]} at index {index} ({len(bad)} such entries); drop those "
                "images or fill the pixels"
            )


def _check_range(value_range: tuple[float, float]) -> None:
    is_pair = isinstance(value_range, tuple) and len(value_range) == 2
    if not is_pair or not all(
        isinstance(v, int | float) and not isinstance(v, bool) and math.isfinite(v)
        for v in value_range
    ):
        raise refuse("value_range", "two numbers, of black and white", value_range, "[0,255]")
    black, white = value_range
    if black >= white:
        raise refuse("value_range", "two numbers in rising order", list(value_range), "[0,255]")
    size = max(abs(black), abs(white))
    if not 1e-12 <= size <= 1e12 or white - black < 1e-5 * size:  # float32 has to tell them apart
        must_be = "two numbers of a size from 1e-12 to 1e+12 that differ by 1e-5 of it"
        raise refuse("value_range", must_be, list(value_range), "[0,255]")


def _describe(
    n: int, shape: torch.Size, form: ImageFormat, dtype: np.dtype[np.generic], what: str
) -> str:
    """Return what was found of the images in one sentence."""
    channels, height, width = shape[1:]
    axes = f"[{', '.join(form.layout)}]"
    kind = {1: "grey", 3: "colour"}.get(channels, f"{channels}-channel")
    return (
        f"{what}: {n} {kind} images of {height} x {width} pixels, read as {axes}, {dtype} with "
        f"{form.black:g} for black and {form.white:g} for white"
    )
