"""The handwritten digits that come with scikit-learn: real images on a machine without a network.

1797 grey images of 8 x 8 from 43 people, values 0 to 16 (the test part of "Optical Recognition of
Handwritten Digits", Alpaydin and Kaynak 1998, UCI). Training, validation and held-out part are a
fixed random split: the same for every training seed.
"""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_lab.data.base import Data, Source, TensorSource
from gan_lab.data.class_modes import class_modes, stacked_modes
from gan_lab.data.validation import check_split, check_whole, n_validation_of, split

N_DIGITS = 1797
_MAX_VALIDATION = 256  # the evaluator's n during training


def load_digits(
    n_held_out: int, split_seed: int, device: torch.device, n_validation: int = 0
) -> TensorSource:
    """Return the digits as images [N, 1, 8, 8] in [-1, 1] with their classes as labels.

    Raises:
        ConfigError: Nothing is left to train on.
    """
    rows = torch.from_numpy(_rows())
    images = rows[:, :-1].float().div(8.0).sub(1.0).reshape(-1, 1, 8, 8)
    parts = split(len(images), n_held_out, n_validation, split_seed, "digits")
    train, validation, held_out = (images[part] for part in parts)
    labels = rows[:, -1].long()
    source = TensorSource(
        *(train, validation, held_out, device),
        train_labels=labels[parts.train],
        validation_labels=labels[parts.validation],
        held_out_labels=labels[parts.held_out],
    )
    source.modes = class_modes(source)
    return source


def _rows() -> NDArray[np.float64]:
    """Return 64 pixels and the class of each digit, [1797, 65]."""
    # The file itself where it lies: to import scikit-learn for it takes half a second.
    package = importlib.util.find_spec("sklearn")
    for place in (package.submodule_search_locations or []) if package else []:
        file = Path(place) / "datasets" / "data" / "digits.csv.gz"
        if file.is_file():
            return np.loadtxt(file, delimiter=",")
    from sklearn import datasets

    bunch = datasets.load_digits()
    return np.column_stack([bunch.data, bunch.target])


@dataclass(frozen=True)
class _DigitSplit(Data):
    n_held_out: int = 500
    n_validation: int | None = None
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_whole("n_held_out", self.n_held_out, 500, at_least=1)
        check_split(self.n_validation, self.split_seed)

    def _load(self, device: torch.device) -> TensorSource:
        n_rest = N_DIGITS - self.n_held_out
        n_validation = n_validation_of(self.n_validation, n_rest, _MAX_VALIDATION)
        return load_digits(self.n_held_out, self.split_seed, device, n_validation)


@dataclass(frozen=True)
class Digits(_DigitSplit):
    """Handwritten digits, shape (1, 8, 8): 1041 to train on, 256 to choose with, 500 held out.

    Attributes:
        n_held_out: How many of the 1797 digits are held out.
        n_validation: How many of the others are for validation; None = a fifth, at most 256.
        split_seed: Seed of the split alone; training seeds do not touch it.
    """

    def open(self, device: torch.device) -> TensorSource:
        """Return the digits with `train_labels` and `held_out_labels`, 0 to 9."""
        return self._load(device)


class StackedSource(Source):
    """Three independent images of a grey set as the three channels of one.

    A ticket is three indices. There are n^3 combinations, so samples of all three parts are drawn
    afresh and never run out (n_held_out is None); each part uses images of that part only.

    Attributes:
        single: The grey set, with the labels from which a mode (one of 1000) follows.
    """

    def __init__(self, single: TensorSource) -> None:
        self.single = single
        self.shape = (3, *single.shape[1:])
        self.device = single.device
        self.modes = None if single.modes is None else stacked_modes(single.modes, 3)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n triples of indices, uniform with replacement: [n, 3], int64."""
        return self.single.draw(3 * n, generator).view(n, 3)

    def gather(self, tickets: Tensor) -> Tensor:
        """Return samples for tickets, [*lead, 3] -> [*lead, 3, height, width], float32."""
        return self.single.gather(tickets).squeeze(-3)

    def real(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n fresh combinations of training images."""
        return self.gather(self.draw(n, generator))

    def validation(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n fresh combinations of validation images."""
        tickets = self._tickets(self.single.n_validation, n, generator)
        return self.single.gather_validation(tickets).squeeze(-3)

    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n fresh combinations of held-out images."""
        tickets = self._tickets(self.single.n_held_out, n, generator)
        return self.single.gather_held_out(tickets).squeeze(-3)

    def _tickets(self, size: int, n: int, generator: torch.Generator) -> Tensor:
        return torch.randint(size, (n, 3), generator=generator, device=self.device)


@dataclass(frozen=True)
class StackedDigits(_DigitSplit):
    """Three random digits as channels, shape (3, 8, 8): 1000 modes, a small Stacked MNIST.

    Attributes:
        n_held_out: How many single digits are held out to build held-out samples from.
        n_validation: How many of the others build validation samples; None = a fifth, at most 256.
        split_seed: Seed of the split alone; training seeds do not touch it.
    """

    def open(self, device: torch.device) -> StackedSource:
        """Return the combinations; `source.single` has the digits and their labels."""
        return StackedSource(self._load(device))
