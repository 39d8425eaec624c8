"""The handwritten digits that come with scikit-learn: real images on a machine without a network.

1797 grey images of 8 x 8 from 43 people, values 0 to 16 (the test part of "Optical Recognition of
Handwritten Digits", Alpaydin and Kaynak 1998, UCI). The training and the held-out part are a fixed
random split: the same for every training seed.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.data.base import Data, Source, TensorSource
from gan_lab.data.checks import check_whole, split
from gan_lab.data.labelled import class_modes, stacked_modes


def load_digits(n_held_out: int, split_seed: int, device: torch.device) -> TensorSource:
    """The digits as images [N, 1, 8, 8] in [-1, 1] with their classes as labels.

    Raises:
        ConfigError: Nothing is left to train on.
    """
    from sklearn import datasets  # Takes half a second: not at import.

    bunch = datasets.load_digits()
    images = torch.as_tensor(bunch.images, dtype=torch.float32).div(8.0).sub(1.0)[:, None]
    labels = torch.as_tensor(bunch.target, dtype=torch.int64)
    train, held_out = split(len(images), n_held_out, split_seed, "digits")
    source = TensorSource(
        images[train],
        images[held_out],
        device,
        train_labels=labels[train],
        held_out_labels=labels[held_out],
    )
    source.modes = class_modes(source)
    return source


@dataclass(frozen=True)
class _DigitSplit(Data):
    n_held_out: int = 500
    split_seed: int = 0

    def __post_init__(self) -> None:
        check_whole("n_held_out", self.n_held_out, 500, at_least=1)
        check_whole("split_seed", self.split_seed, 0, at_least=0)


@dataclass(frozen=True)
class Digits(_DigitSplit):
    """Handwritten digits, shape (1, 8, 8): 1297 to train on and 500 held out by default.

    Attributes:
        n_held_out: How many of the 1797 digits are held out.
        split_seed: Seed of the split alone; training seeds do not touch it.
    """

    def open(self, device: torch.device) -> TensorSource:
        """The digits with `train_labels` and `held_out_labels`, 0 to 9."""
        return load_digits(self.n_held_out, self.split_seed, device)


class StackedSource(Source):
    """Three independent images of a grey set as the three channels of one.

    A ticket is three indices. There are n^3 combinations, so training and held-out samples are
    drawn afresh and never run out (n_held_out is None); the held-out ones use held-out images only.

    Attributes:
        single: The grey set, with the labels from which a mode (one of 1000) follows.
    """

    def __init__(self, single: TensorSource) -> None:
        self.single = single
        self.shape = (3, *single.shape[1:])
        self.device = single.device
        self.modes = None if single.modes is None else stacked_modes(single.modes, 3)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """n triples of indices, uniform with replacement: [n, 3], int64."""
        return self.single.draw(3 * n, generator).view(n, 3)

    def gather(self, tickets: Tensor) -> Tensor:
        """[*lead, 3] -> [*lead, 3, height, width], float32."""
        return self.single.gather(tickets).squeeze(-3)

    def real(self, n: int, generator: torch.Generator) -> Tensor:
        """n fresh combinations of training images."""
        return self.gather(self.draw(n, generator))

    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """n fresh combinations of held-out images."""
        tickets = torch.randint(
            self.single.n_held_out, (n, 3), generator=generator, device=self.device
        )
        return self.single.gather_held_out(tickets).squeeze(-3)


@dataclass(frozen=True)
class StackedDigits(_DigitSplit):
    """Three random digits as channels, shape (3, 8, 8): 1000 modes, a small Stacked MNIST.

    Attributes:
        n_held_out: How many single digits are held out to build held-out samples from.
        split_seed: Seed of the split alone; training seeds do not touch it.
    """

    def open(self, device: torch.device) -> StackedSource:
        """The combinations; `source.single` has the digits and their labels."""
        return StackedSource(load_digits(self.n_held_out, self.split_seed, device))
