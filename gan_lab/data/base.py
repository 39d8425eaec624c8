"""The interface of a data set: a description that opens to a source of samples on a device.

A `Data` is a frozen dataclass whose fields are the keys of its config file; `open` reads files and
allocates. A `Source` gives samples in two calls, so that all randomness of a block of steps is
drawn at once while memory holds only what a step needs: `draw` gives tickets (indices into a
tensor, or the points themselves where a distribution is sampled), `gather` turns tickets into
samples.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor

from gan_lab.errors import ConfigError

Part = Literal["train", "validation", "held_out"]


@dataclass(frozen=True)
class Modes:
    """The known modes of a data set.

    Attributes:
        classify: Samples [N, *shape] -> index of the nearest mode [N] (int64) and whether each
            sample is of high quality [N] (bool).
        weights: Probability of each mode under the data, shape [K], sum 1.
        accuracy: Share of held-out samples that a fitted `classify` puts into their true mode; None
            where the modes are known exactly.
    """

    classify: Callable[[Tensor], tuple[Tensor, Tensor]]
    weights: Tensor
    accuracy: float | None = None


class Source(ABC):
    """Samples of one data set on one device; more than there are is a ConfigError.

    Attributes:
        shape: Shape of one sample: (d,) for points, (channels, height, width) for images.
        device: Where the samples are; every generator that is passed in must be on it.
        n_train: How many training samples exist; None where a distribution is sampled afresh.
        n_validation, n_held_out: How many exist of those; None likewise.
        log_density: x [N, *shape] -> exact log density [N] in nats, or None where none is known.
        modes: The modes of the data, or None where none are known.
        singular: True where the data fill no volume, so that no density and no KL exist.
        warnings: One sentence for each thing that is allowed but most likely a mistake.
        notes: One sentence for each thing that was found in files, not typed.
    """

    shape: tuple[int, ...]
    device: torch.device
    n_train: int | None = None
    n_validation: int | None = None
    n_held_out: int | None = None
    log_density: Callable[[Tensor], Tensor] | None = None
    modes: Modes | None = None
    singular: bool = False
    warnings: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()

    @abstractmethod
    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return tickets for n training samples, uniform with replacement: shape [n, ...]."""

    @abstractmethod
    def gather(self, tickets: Tensor) -> Tensor:
        """Return samples for tickets: [*lead, *ticket] -> [*lead, *shape], float32.

        Images lie in [-1, 1].
        """

    @abstractmethod
    def real(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n training samples to measure with, without replacement in a finite set."""

    @abstractmethod
    def validation(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n samples to choose with, without replacement in a finite set."""

    @abstractmethod
    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n samples to report on, which no training step and no choice sees."""


class Data(ABC):
    """The description of a data set: a frozen dataclass that allocates nothing until opened."""

    @abstractmethod
    def open(self, device: torch.device) -> Source:
        """Read the files, if any, and put the samples on the device.

        Raises:
            ConfigError: The files are missing, damaged or do not fit the description.
        """


class Distribution(Data):
    """A distribution that is sampled afresh: nothing to read, nothing to run out of.

    Attributes:
        singular: True where no density exists; `log_density` is then never called.
    """

    singular: ClassVar[bool] = False

    @property
    @abstractmethod
    def shape(self) -> tuple[int, ...]:
        """Shape of one sample."""

    @abstractmethod
    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n samples on the generator's device, shape [n, *shape], float32."""

    def log_density(self, x: Tensor) -> Tensor:
        """Return the exact log density in nats: x [N, *shape] -> [N], dtype and device of x."""
        raise NotImplementedError(f"{type(self).__name__} has no density")

    def modes(self, device: torch.device) -> Modes | None:
        """Return the known modes, or None."""
        return None

    def open(self, device: torch.device) -> "DistributionSource":
        """Return the samples on a device; allocates next to nothing."""
        return DistributionSource(self, device)


class DistributionSource(Source):
    """Fresh samples of a distribution: a ticket is the sample itself."""

    def __init__(self, distribution: Distribution, device: torch.device) -> None:
        self.distribution = distribution
        self.shape = distribution.shape
        self.device = device
        self.singular = distribution.singular
        self.log_density = None if distribution.singular else distribution.log_density
        self.modes = distribution.modes(device)

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n fresh samples, shape [n, *shape]."""
        return self.distribution.sample(n, generator)

    def gather(self, tickets: Tensor) -> Tensor:
        """Return the tickets themselves."""
        return tickets

    real = validation = held_out = draw


class FiniteSource(Source):
    """A finite set in three parts; a ticket is an index of the training part.

    Images may be uint8 where they lie (a quarter of the memory); they become float32 in [-1, 1]
    when they are gathered, 0 to -1 and 255 to 1 exactly.

    Attributes:
        train_labels: Class of each training sample [n_train], int64, or None where unknown.
        validation_labels: Class of each validation sample [n_validation], int64, or None.
        held_out_labels: Class of each held-out sample [n_held_out], int64, or None.
        file: The .npy file whose rows are the samples, or None.
    """

    n_train: int
    n_validation: int
    n_held_out: int
    train_labels: Tensor | None = None
    validation_labels: Tensor | None = None
    held_out_labels: Tensor | None = None
    file: Path | None = None

    def __init__(
        self,
        parts: Mapping[Part, Sized],
        labels: tuple[Tensor | None, Tensor | None, Tensor | None],
        device: torch.device,
    ) -> None:
        """Count the samples of each part, and put its labels on the device."""
        self.device = device
        self.n_train, self.n_validation, self.n_held_out = map(len, parts.values())
        self.train_labels, self.validation_labels, self.held_out_labels = (
            None if each is None else each.to(device) for each in labels
        )

    @abstractmethod
    def take(self, part: Part, indices: Tensor) -> Tensor:
        """Return samples of a part by their indices in it: [*lead] -> [*lead, *shape], float32."""

    def raw(self, part: Part, indices: Tensor) -> Tensor:
        """Return samples as they are kept, uint8 images or float32, on any device."""
        return self.take(part, indices)

    def batches(self, part: Part, n: int = 1024) -> Iterator[Tensor]:
        """Return all samples of a part in order, at most n at a time, each [<= n, *shape]."""
        size = {"train": self.n_train, "validation": self.n_validation, "held_out": self.n_held_out}
        for start in range(0, size[part], n):
            stop = min(start + n, size[part])
            yield self.take(part, torch.arange(start, stop, device=self.device))

    def draw(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n indices, uniform with replacement: shape [n], int64."""
        return torch.randint(self.n_train, (n,), generator=generator, device=self.device)

    def gather(self, tickets: Tensor) -> Tensor:
        """Return samples for indices of any shape: [*lead] -> [*lead, *shape], float32."""
        return self.take("train", tickets)

    def gather_validation(self, tickets: Tensor) -> Tensor:
        """Return samples for indices of the validation part."""
        return self.take("validation", tickets)

    def gather_held_out(self, tickets: Tensor) -> Tensor:
        """Return samples for indices of the held-out part."""
        return self.take("held_out", tickets)

    def real(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n different training samples."""
        return self._choose("train", self.n_train, n, generator)

    def validation(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n different validation samples."""
        return self._choose("validation", self.n_validation, n, generator)

    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n different held-out samples."""
        return self._choose("held_out", self.n_held_out, n, generator)

    def _choose(self, part: Part, size: int, n: int, generator: torch.Generator) -> Tensor:
        if n > size:
            name = {"train": "training", "held_out": "held-out"}.get(part, part)
            raise ConfigError(
                f"{n} {name} samples are asked for, but the data set has {size}; ask for "
                "fewer (hints.n_estimate), or split the set in another way"
            )
        order = torch.randperm(size, generator=generator, device=self.device)
        return self.take(part, order[:n])


class TensorSource(FiniteSource):
    """A finite set in three tensors on the device."""

    def __init__(
        self,
        train: Tensor,
        validation: Tensor,
        held_out: Tensor,
        device: torch.device,
        *,
        train_labels: Tensor | None = None,
        validation_labels: Tensor | None = None,
        held_out_labels: Tensor | None = None,
    ) -> None:
        """Put the parts, [n, *shape] of one shape, all float32 or all uint8, on the device."""
        if train.dtype not in (torch.float32, torch.uint8):
            raise ValueError(f"a set is kept as float32 or uint8, got {train.dtype}")
        for name, part in (("validation", validation), ("held-out", held_out)):
            if train.shape[1:] != part.shape[1:] or train.dtype != part.dtype:
                raise ValueError(
                    f"training and {name} samples differ: {tuple(train.shape[1:])} {train.dtype} "
                    f"against {tuple(part.shape[1:])} {part.dtype}"
                )
        parts: dict[Part, Tensor]
        parts = {"train": train, "validation": validation, "held_out": held_out}
        super().__init__(parts, (train_labels, validation_labels, held_out_labels), device)
        self.shape = tuple(train.shape[1:])
        self._parts = {name: part.to(device) for name, part in parts.items()}

    def take(self, part: Part, indices: Tensor) -> Tensor:
        """See `FiniteSource.take`."""
        return to_float(self._parts[part][indices])

    def raw(self, part: Part, indices: Tensor) -> Tensor:
        """See `FiniteSource.raw`."""
        return self._parts[part][indices]


def to_float(samples: Tensor) -> Tensor:
    """Return float32 samples as they are, uint8 images in [-1, 1]: 0 is -1 and 255 is 1 exactly."""
    if samples.dtype == torch.uint8:
        # A division, not a product with 1 / 127.5: only 255 / 127.5 is exactly 2.
        return samples.to(torch.float32).div_(127.5).sub_(1.0)
    return samples
