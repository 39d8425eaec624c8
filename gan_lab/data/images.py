"""Images: the torchvision sets MNIST, Fashion-MNIST and CIFAR-10, and a folder of images.

All are kept as uint8 on the device and become float32 in [-1, 1] when they are gathered.
"""

import os
import pickle
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from gan_lab.data.base import Data, TensorSource
from gan_lab.data.image_files import SUFFIXES, files_below, read_image
from gan_lab.data.validation import (
    check_folder,
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

# Class in torchvision, and the folder under root in which it looks.
_SETS = {
    "mnist": ("MNIST", "MNIST/raw"),
    "fashion_mnist": ("FashionMNIST", "FashionMNIST/raw"),
    "cifar10": ("CIFAR10", "cifar-10-batches-py"),
}
_MIN_SIZE, _MAX_SIZE = 4, 1024
# What torchvision's readers raise on missing, cut or garbled files, and without a network.
_READ_ERRORS = (
    *(RuntimeError, OSError, EOFError, ValueError, TypeError, LookupError, AssertionError),
    pickle.UnpicklingError,
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
    """MNIST, Fashion-MNIST or CIFAR-10 by torchvision's own readers; the test split is held out.

    Sizes: 28 -> 32 adds two rows and columns of background on each side, the usual way to give
    MNIST a power of two; every other change is a bilinear resize with antialiasing.

    Attributes:
        name: mnist, fashion_mnist (1 channel, 28 x 28) or cifar10 (3 channels, 32 x 32).
        root: Folder with torchvision's layout: root/MNIST/raw, root/cifar-10-batches-py.
        download: Fetch missing files from the network into root.
        size: Height and width of the samples, pixels.
        n_held_out: How many of the 10,000 test images to keep, a random choice that split_seed
            fixes (the second half of MNIST's test set is harder than the first).
        n_validation: How many of the training images are for validation, likewise; None = a fifth,
            at most 1000.
        split_seed: Seed of these choices alone.
    """

    name: str
    root: str
    download: bool = False
    size: int = 32
    n_held_out: int = 10000
    n_validation: int | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_folder("root", self.root, "data")
        check_one_of("name", self.name, tuple(_SETS))
        check_one_of("download", self.download, (False, True))
        check_whole("size", self.size, 32, at_least=_MIN_SIZE, at_most=_MAX_SIZE)
        check_whole("n_held_out", self.n_held_out, 10000, at_least=1)
        check_split(self.n_validation, self.split_seed)

    def open(self, device: torch.device) -> TensorSource:
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
        rest = order[n_validation:].sort().values
        return TensorSource(
            resize(train[rest], self.size),
            resize(train[order[:n_validation]], self.size),
            resize(test[held_out], self.size),
            device,
            train_labels=train_labels[rest],
            held_out_labels=test_labels[held_out],
        )

    def _read(self, train: bool) -> tuple[Tensor, Tensor]:
        """Read images [N, C, H, W] uint8 and labels [N] int64 of one split."""
        class_name, folder = _SETS[self.name]
        root = Path(self.root).expanduser()
        cls = getattr(torchvision_datasets(), class_name)
        try:
            data: Any = cls(root, train=train, download=self.download)
            images, labels = torch.as_tensor(data.data), torch.as_tensor(data.targets)
        except _READ_ERRORS as error:
            raise ConfigError(_unreadable(self.name, root, folder, self.download, error)) from error
        # MNIST is [N, H, W], CIFAR-10 [N, H, W, C].
        images = images[:, None] if images.ndim == 3 else images.permute(0, 3, 1, 2)
        return images.contiguous(), labels.to(torch.int64)


def _unreadable(name: str, root: Path, folder: str, download: bool, error: Exception) -> str:
    """Return the error's text where torchvision could not read (or fetch) a set."""
    place, why = root / folder, one_line(error)
    if download:
        return (
            f"{name} could not be downloaded to {place} or read from it ({why}); check the "
            "network, or put the files there yourself and set data.download=false"
        )
    if any(place.glob("*.gz")):
        return (
            f"{name} in {place} is packed or incomplete ({why}); unpack it with gunzip -k "
            f"{place}/*.gz, or set data.download=true"
        )
    state = "damaged or incomplete" if place.is_dir() else "missing"
    return (
        f"{name} is {state} in {place} ({why}); set data.download=true to fetch it, or data.root "
        f"(now {root}) to the folder that holds {folder}"
    )


def resize(images: Tensor, size: int) -> Tensor:
    """Resize uint8 images [N, C, H, W] to [N, C, size, size]; see TorchvisionImages for how."""
    height, width = images.shape[2:]
    if (height, width) == (size, size):
        return images
    if (height, width, size) == (28, 28, 32):
        return F.pad(images, (2, 2, 2, 2))
    blocks = [
        F.interpolate(block.to(torch.float32), (size, size), mode="bilinear", antialias=True)
        .round_()
        .clamp_(0, 255)
        .to(torch.uint8)
        for block in images.split(1024)  # Float images of the whole set would take 4 times as much.
    ]
    return torch.cat(blocks)


@dataclass(frozen=True)
class ImageFolder(Data):
    """Every image under a folder: centre crop to a square, then a resize (Lanczos).

    Attributes:
        root: The folder; its subfolders count, links to folders and what is hidden do not.
        size: Height and width of the samples, pixels.
        channels: 3 (RGB) or 1 (grey).
        held_out_share: Share of the images that is held out, a fixed random choice.
        n_validation: How many of the others are for validation; None = a fifth, at most 1000.
        split_seed: Seed of that choice alone.
    """

    root: str
    size: int = 64
    channels: int = 3
    held_out_share: float = 0.1
    n_validation: int | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_folder("root", self.root, "/path/to/images")
        check_whole("size", self.size, 64, at_least=_MIN_SIZE, at_most=_MAX_SIZE)
        check_one_of("channels", self.channels, (3, 1))
        check_share("held_out_share", self.held_out_share)
        check_split(self.n_validation, self.split_seed)

    def open(self, device: torch.device) -> TensorSource:
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
        n, n_held_out = len(paths), round(self.held_out_share * len(paths))
        n_validation = n_validation_of(self.n_validation, n - n_held_out)
        what = f"folder {root}"
        train, validation, held_out = split(n, n_held_out, n_validation, self.split_seed, what)
        try:
            images = torch.empty(n, self.channels, self.size, self.size, dtype=torch.uint8)
        except RuntimeError as error:
            space = f"{n * self.channels * self.size**2 / 1e9:.3g} GB"
            raise ConfigError(
                f"{what}: {n} images of {self.size} x {self.size} pixels need {space} at once, "
                "which cannot be had; set a smaller data.size"
            ) from error
        for i, path in enumerate(paths):
            images[i] = read_image(path, self.size, self.channels)
        source = TensorSource(images[train], images[validation], images[held_out], device)
        if others:
            source.warnings = (
                f"{what}: {len(others)} of {len(files)} files are left out, being no images "
                f"by their names ({listing}); convert to PNG those that are",
            )
        return source
