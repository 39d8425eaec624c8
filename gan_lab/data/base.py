"""What a data set promises: a description that opens to a source of samples on a device.

A `Data` is a frozen dataclass whose fields are the keys of its config file; `open` reads files and
allocates. A `Source` hands out samples in two moves, so that all randomness of a block of steps is
drawn at once while memory holds only what a step needs: `draw` gives tickets (indices into a
tensor, or the points themselves where a distribution is sampled), `gather` turns tickets into
samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Modes:
    """The known modes of a data set.

    Attributes:
        classify: Samples [N, *shape] -> index of the nearest mode [N] (int64) and whether each
            sample is of high quality [N] (bool).
        weights: Probability of each mode under the data, shape [K], sum 1.
    """

    classify: Callable[[Tensor], tuple[Tensor, Tensor]]
    weights: Tensor


class Source(ABC):
    """Samples of one data set on one device.

    Attributes:
        shape: Shape of one sample: (d,) for points, (channels, height, width) for images.
        device: Where the samples are; every generator that is passed in must be on it.
        n_held_out: How many held-out samples exist; None where a distribution is sampled afresh.
        log_density: x [N, *shape] -> exact log density [N] in nats, or None where none is known.
        modes: The modes of the data, or None where none are known.
    """

    shape: tuple[int, ...]
    device: torch.device
    n_held_out: int | None = None
    log_density: Callable[[Tensor], Tensor] | None = None
    modes: Modes | None = None

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Tickets for n training samples, uniform with replacement: shape [n, ...]."""

    @abstractmethod
    def gather(self, tickets: Tensor) -> Tensor:
        """Samples for tickets of any leading shape: [*lead, *ticket] -> [*lead, *shape], float32.

        Images lie in [-1, 1].
        """

    @abstractmethod
    def real(self, n: int, generator: torch.Generator) -> Tensor:
        """n training samples to measure with, without replacement where the set is finite.

        Raises:
            ConfigError: More samples are asked for than exist.
        """

    @abstractmethod
    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """n samples no training step ever sees, without replacement where the set is finite.

        Raises:
            ConfigError: More samples are asked for than exist.
        """


class Data(ABC):
    """The description of a data set: a frozen dataclass that allocates nothing until opened."""

    @abstractmethod
    def open(self, device: torch.device) -> Source:
        """Reads what is to be read and puts it on the device.

        Raises:
            ConfigError: The files are missing, damaged or do not fit the description.
        """
