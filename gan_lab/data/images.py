"""Images: the torchvision sets MNIST, Fashion-MNIST and CIFAR-10, and a folder of images.

All are kept as uint8 on the device and become float32 in [-1, 1] when they are gathered.
"""

import os
import pickle
import zlib
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_lab.data.base import Data, FiniteSource
from gan_lab.data.class_modes import class_modes
from gan_lab.data.host import open_parts
from gan_lab.data.idx_files import find_idx, read_idx
from gan_lab.data.image_files import (
    SUFFIXES,
    class_names,
    files_below,
    find_size,
    read_image,
    split_of_folders,
)
from gan_lab.data.image_split import DEFAULT_SHARE, open_images, split_images
from gan_lab.data.resize import MAX_SIZE, MIN_SIZE, resize
from gan_lab.data.validation import (
    check_folder,
    check_one_of,
    check_share,
    check_split,
    check_whole,
    n_validation_of,
    one_line,
    refuse,
)
from gan_lab.errors import ConfigError


class _Set(NamedTuple):
    """Where a set lies and comes from.

    Attributes:
        class_name: Its class in torchvision.
        folder: Where torchvision looks under root.
        size: Native height and width, pixels.
        package: Where the system's package has it, or None.
        advice: A way to get it that is its own.
    """

    class_name: str
    folder: str
    size: int
    package: Path | None
    advice: str


_SETS = {
    "mnist": _Set(
        "MNIST", "MNIST/raw", 28, None, "take data=mnist_5k (5,000 of its images, which are here)"
    ),
    "fashion_mnist": _Set(
        "FashionMNIST",
        "FashionMNIST/raw",
        28,
        Path("/usr/share/datasets/fashion-mnist"),
        "apt install dataset-fashion-mnist (Debian, Ubuntu)",
    ),
    "cifar10": _Set(
        "CIFAR10",
        "cifar-10-batches-py",
        32,
        None,
        "unpack cifar-10-python.tar.gz in data.root",
    ),
}
_IDX = ("images-idx3-ubyte", "labels-idx1-ubyte")
# What readers raise on missing, cut or garbled files, and without a network.
_READ_ERRORS = (
    *(RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError, AssertionError),
    pickle.UnpicklingError,
    zlib.error,
)


def torchvision_datasets() -> ModuleType:
    """Import torchvision.datasets, here and nowhere else.

    Raises:
        ConfigError: torchvision is missing, or was built for another torch (it then raises a
            RuntimeError, not an ImportError, for example beside a CPU-only torch).
    """
    try:
        from torchvision import datasets
    except (ImportError, RuntimeError, AttributeError, OSError) as error:
        raise ConfigError(
            f"torchvision cannot be loaded beside torch {torch.__version__} ({one_line(error)}); "
            "install the build that matches torch from the same index (for a CPU-only torch: pip "
            "install --force-reinstall --no-deps torchvision --index-url "
            "https://download.pytorch.org/whl/cpu), or take data=digits, which needs none"
        ) from error
    return datasets


@dataclass(frozen=True)
class TorchvisionImages(Data):
    """MNIST, Fashion-MNIST or CIFAR-10; the test split is held out, the classes are the modes.

    The files of MNIST and Fashion-MNIST, packed or not, are looked for in root/MNIST/raw or
    root/FashionMNIST/raw (torchvision's folders), in root itself, and where Debian's package
    dataset-fashion-mnist puts them; CIFAR-10 is read by torchvision.

    Attributes:
        name: mnist, fashion_mnist (1 channel, 28 x 28) or cifar10 (3 channels, 32 x 32).
        root: Folder with torchvision's layout: root/MNIST/raw, root/cifar-10-batches-py.
        download: Fetch missing files from the network into root, by torchvision.
        size: Height and width of the samples, pixels; None = native. 28 becomes 32 by two rows and
            columns of black on each side, everything else by `resize`.
        n_held_out: How many of the 10,000 test images to keep, a random choice that split_seed
            fixes (the second half of MNIST's test set is harder than the first).
        n_validation: How many of the training images are for validation, likewise; None = a fifth,
            at most 1000.
        split_seed: Seed of these choices alone.
    """

    name: str
    root: str
    download: bool = False
    size: int | None = None
    n_held_out: int = 10000
    n_validation: int | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_folder("root", self.root, "data")
        check_one_of("name", self.name, tuple(_SETS))
        check_one_of("download", self.download, (False, True))
        if self.size is not None:
            check_whole("size", self.size, 32, at_least=MIN_SIZE, at_most=MAX_SIZE)
        check_whole("n_held_out", self.n_held_out, 10000, at_least=1)
        check_split(self.n_validation, self.split_seed)

    def open(self, device: torch.device) -> FiniteSource:
        """Return the training split in two, and n_held_out images of the test split.

        Raises:
            ConfigError: The files are missing or damaged, or a part exceeds its split.
        """
        train, train_labels = self._read(train=True)
        test, test_labels = self._read(train=False)
        if self.n_held_out > len(test):
            must_be = f"at most {len(test)}, the size of the test split"
            raise refuse("n_held_out", must_be, self.n_held_out, len(test))
        generator = torch.Generator().manual_seed(self.split_seed)
        held_out = torch.randperm(len(test), generator=generator)[: self.n_held_out]
        n_validation = n_validation_of(self.n_validation, len(train))
        if n_validation >= len(train):
            must_be = f"below {len(train)}, the size of the training split"
            raise refuse("n_validation", must_be, n_validation, len(train) // 5)
        order = torch.randperm(len(train), generator=generator)
        rest, validation = order[n_validation:].sort().values, order[:n_validation]
        size = self.size or _SETS[self.name].size
        source = open_parts(
            resize(train[rest], size),
            resize(train[validation], size),
            resize(test[held_out], size),
            device,
            train_labels=train_labels[rest],
            validation_labels=train_labels[validation],
            held_out_labels=test_labels[held_out],
        )
        source.modes = class_modes(source)
        return source

    def _read(self, train: bool) -> tuple[Tensor, Tensor]:
        """Read images [N, C, H, W] uint8 and labels [N] int64 of one split."""
        place = self._place()
        try:
            if place is not None:
                return _read_idx_split(place, "train" if train else "t10k")
            if self.name != "cifar10" and not self.download:
                raise FileNotFoundError("no such files")
            root, cls = Path(self.root).expanduser(), _SETS[self.name].class_name
            data: Any = getattr(torchvision_datasets(), cls)(
                root, train=train, download=self.download
            )
            images, labels = torch.as_tensor(data.data), torch.as_tensor(data.targets)
        except _READ_ERRORS as error:
            raise ConfigError(self._unreadable(place, error)) from error
        # MNIST is [N, H, W], CIFAR-10 [N, H, W, C].
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return images.contiguous(), labels.to(torch.int64)

    def _place(self) -> Path | None:
        """Return the folder that has the four idx files of the set, or None."""
        root, this_set = Path(self.root).expanduser(), _SETS[self.name]
        places = [root / this_set.folder, root, *([this_set.package] if this_set.package else [])]
        names = [f"{part}-{name}" for part in ("train", "t10k") for name in _IDX]
        has_all = (place for place in places if all(find_idx(place, name) for name in names))
        return None if self.name == "cifar10" else next(has_all, None)

    def _unreadable(self, place: Path | None, error: Exception) -> str:
        """Return the error's text where a set could not be read or fetched."""
        this_set, root, why = _SETS[self.name], Path(self.root).expanduser(), one_line(error)
        if place is not None:
            return f"{self.name} is damaged in {place} ({why}); delete it there and get it anew"
        folder = root / this_set.folder
        if self.download:
            return (
                f"{self.name} could not be downloaded to {folder} or read from it ({why}); check "
                f"the network, or {this_set.advice}"
            )
        state = "damaged or incomplete" if folder.is_dir() else "missing"
        packages = f" and {this_set.package}" if this_set.package else ""
        return (
            f"{self.name} is {state} in {folder}{packages} ({why}); {this_set.advice}, set "
            f"data.download=true to fetch it, or data.root (now {root}) to the folder that holds "
            f"{this_set.folder}"
        )


def _read_idx_split(place: Path, part: str) -> tuple[Tensor, Tensor]:
    """Read images [N, 1, H, W] and labels [N] of one part from idx files."""
    arrays = []
    for name, rank in zip(_IDX, (3, 1), strict=True):
        file = find_idx(place, f"{part}-{name}")
        assert file is not None
        arrays.append(torch.tensor(read_idx(file, rank)))
    images, labels = arrays
    if len(images) != len(labels):
        raise ValueError(f"{len(images)} images of {part} have {len(labels)} labels")
    return images[:, None], labels.to(torch.int64)


@dataclass(frozen=True)
class ImageFolder(Data):
    """Every image under a folder: centre crop to a square, then a resize (Lanczos).

    Folders in it are classes where all images lie in them. Folders `train` and `test`, and maybe
    `val`, are a split of its own, which is used: the test part is held out; classes lie below.

    Attributes:
        root: The folder; its subfolders count, links to folders and what is hidden do not.
        size: Height and width of the samples, pixels; None = that of the images where all are
            squares of one size up to 128, else 64.
        channels: 3 (RGB) or 1 (grey); None = found.
        held_out_share: Share of the images that is held out, a fixed random choice; None = a tenth.
            A split of the folder's own takes no other.
        n_validation: How many of the others are for validation; None = the folder's own part, or a
            fifth, at most 1000.
        split_seed: Seed of that choice alone.
    """

    root: str
    size: int | None = None
    channels: int | None = None
    held_out_share: float | None = None
    n_validation: int | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_folder("root", self.root, "/path/to/images")
        if self.size is not None:
            check_whole("size", self.size, 64, at_least=MIN_SIZE, at_most=MAX_SIZE)
        if self.channels is not None:
            check_one_of("channels", self.channels, (3, 1))
        if self.held_out_share is not None:
            check_share("held_out_share", self.held_out_share)
        check_split(self.n_validation, self.split_seed)

    def open(self, device: torch.device) -> FiniteSource:
        """Read and resize every image, in the order of their paths.

        Raises:
            ConfigError: No such folder, no image in it, an image that cannot be read (the error
                names it), or too few images to hold some out.
        """
        root = Path(self.root).expanduser()
        if not os.path.isdir(root):  # unlike is_dir, False where a name is too long
            raise refuse("root", "an existing folder of images", self.root, "/path/to/images")
        files = files_below(root)
        paths = [path for path in files if path.suffix.lower() in SUFFIXES]
        others = [path.suffix for path in files if path.suffix.lower() not in SUFFIXES]
        kinds = sorted({suffix or "no suffix" for suffix in others})
        listing = " ".join([*kinds[:5], "..."] if len(kinds) > 5 else kinds)
        if not paths:
            must_be = f"a folder with images ({' '.join(sorted(SUFFIXES))})"
            must_be += f" and not only {listing}" if others else ""
            raise refuse("root", must_be, self.root, "/path/to/images")
        what = f"folder {root}"
        own = split_of_folders(root, paths)
        if own is not None and self.held_out_share is not None:
            must_be = f"null, as {root} has a split of its own"
            raise refuse("held_out_share", must_be, self.held_out_share, "null")
        size = self.size or find_size(paths)
        every = self._read_all([path for part in own or [paths] for path in part], size, what)
        ends = torch.tensor([len(part) for part in own or [paths]]).cumsum(0)[:-1]
        images = torch.tensor_split(every, ends)
        names = [class_names(root, part, 1 if own else 0) for part in own or [paths]]
        share = self.held_out_share or DEFAULT_SHARE
        parts, labels = split_images(images, names, share, self.n_validation, self.split_seed, what)
        source = open_images(parts, labels, device, "auto")
        sizes, classes = source.notes
        kind = "grey" if every.shape[1] == 1 else "colour"
        source.notes = (
            f"{what}: {len(every)} {kind} images, their middle squares at {size} x {size} pixels",
            sizes + (", the folder's own split" if own else ""),
            classes,
        )
        if others:
            source.warnings = (
                f"{what}: {len(others)} of {len(files)} files are left out, being no images "
                f"by their names ({listing}); convert to PNG those that are",
            )
        return source

    def _read_all(self, paths: list[Path], size: int, what: str) -> Tensor:
        """Read images [n, C, size, size] uint8; channels that are equal in all are one."""
        n, channels = len(paths), self.channels or 3
        try:
            images = torch.empty(n, channels, size, size, dtype=torch.uint8)
        except RuntimeError as error:
            raise ConfigError(
                f"{what}: {n} images of {size} x {size} pixels need "
                f"{n * channels * size**2 / 1e9:.3g} GB at once, which cannot be had; set a "
                "smaller data.size"
            ) from error
        is_grey = self.channels is None
        for i, path in enumerate(paths):
            image = images[i] = read_image(path, size, channels)
            is_grey = is_grey and bool((image == image[:1]).all())
        return images[:, :1].contiguous() if is_grey else images
