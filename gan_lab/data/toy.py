"""Toy distributions with known modes: Gaussian mixtures on a line, a circle and a square grid; and
the parallel segments of the Wasserstein GAN paper, which have no density at all.

Every draw uses the generator that is passed in, so a seed fixes the samples. Curves and squares
(swiss roll, two moons, checkerboard) are in `toy_shapes`.
"""

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gan_lab.data.base import Distribution, Modes
from gan_lab.data.validation import check_number, check_numbers, check_whole, refuse

# A sample within this many stds of its mode is of high quality (VEEGAN, PacGAN). A perfect 2-D
# Gaussian has 1 - exp(-9 / 2) = 98.889 % of them, not 100 %.
HIGH_QUALITY_STDS = 3.0


@dataclass(frozen=True)
class Components:
    """Isotropic Gaussians: centres [K, d], stds [K], weights [K], all float64."""

    centres: Tensor
    stds: Tensor
    weights: Tensor


class Mixture(Distribution):
    """A mixture of isotropic Gaussians; a subclass says which."""

    @abstractmethod
    def components(self) -> Components:
        """Return the Gaussians, on the CPU."""

    @functools.cached_property
    def _components(self) -> Components:
        return self.components()

    @property
    def shape(self) -> tuple[int, ...]:
        """(d,)."""
        return (self._components.centres.shape[1],)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a component by inverse transform, then a Gaussian at its centre: [n, d], float32."""
        parts = self._components
        device = generator.device
        # A CUDA GPU need not have finished its steps before the next ones are drawn. (On mps a copy
        # that does not block may read memory that is free by then.)
        at_once = device.type == "cuda"
        centres = parts.centres.to(device, torch.float32, non_blocking=at_once)
        stds = parts.stds.to(device, torch.float32, non_blocking=at_once)
        uniform = torch.rand(n, generator=generator, device=device)
        # The last edge is left out: rounding must not let a uniform number fall beyond it.
        edges = parts.weights.cumsum(0)[:-1].to(device, torch.float32, non_blocking=at_once)
        which = torch.searchsorted(edges, uniform, right=True)
        noise = torch.randn(n, centres.shape[1], generator=generator, device=device)
        return centres[which] + stds[which, None] * noise

    def log_density(self, x: Tensor) -> Tensor:
        """Return log sum_k weight_k N(x; centre_k, std_k^2 I): [N, d] -> [N] in nats."""
        parts = self._components
        centres, stds = parts.centres.to(x), parts.stds.to(x)
        distance = (x[:, None, :] - centres).square().sum(-1)
        d = centres.shape[1]
        log_scale = parts.weights.to(x).log() - d * (stds.log() + 0.5 * math.log(2 * math.pi))
        return torch.logsumexp(log_scale - distance / (2 * stds.square()), dim=1)

    def modes(self, device: torch.device) -> Modes:
        """Return one mode a component: the nearest centre; high quality within 3 of its stds."""
        parts = self._components

        def classify(x: Tensor) -> tuple[Tensor, Tensor]:
            distance = (x[:, None, :] - parts.centres.to(x)).square().sum(-1)
            nearest, mode = distance.min(dim=1)
            return mode, nearest.sqrt() <= HIGH_QUALITY_STDS * parts.stds.to(x)[mode]

        return Modes(classify, parts.weights.to(device, torch.float32))


@dataclass(frozen=True)
class Gaussian1d(Mixture):
    """N(mean, std^2) on the line, shape (1,)."""

    mean: float = 0.0
    std: float = 1.0

    def __post_init__(self) -> None:
        check_number("mean", self.mean, 0.0)
        check_number("std", self.std, 1.0, above=0)

    def components(self) -> Components:
        """Return one component."""
        mean = torch.tensor([[self.mean]], dtype=torch.float64)
        std = torch.tensor([self.std], dtype=torch.float64)
        return Components(mean, std, torch.ones(1, dtype=torch.float64))


@dataclass(frozen=True)
class Mixture1d(Mixture):
    """Gaussians on the line, shape (1,): one mean, one std and one weight each, weights sum 1."""

    means: Sequence[float]
    stds: Sequence[float]
    weights: Sequence[float]

    def __post_init__(self) -> None:
        for key, example in (("means", "[-1,1]"), ("stds", "[0.2,0.2]"), ("weights", "[0.5,0.5]")):
            object.__setattr__(self, key, check_numbers(key, getattr(self, key), example))
        for key in ("stds", "weights"):
            values = getattr(self, key)
            if len(values) != len(self.means):
                must_be = f"as long as data.means ({len(self.means)})"
                raise refuse(key, must_be, list(values), "[...]")
            if min(values) <= 0:
                raise refuse(key, "positive in every entry", list(values), "[...]")
        if abs(sum(self.weights) - 1) > 1e-6:
            equal = [round(weight / sum(self.weights), 6) for weight in self.weights]
            raise refuse("weights", "of sum 1", list(self.weights), equal)

    def components(self) -> Components:
        """Return one component an entry."""
        values = (self.means, self.stds, self.weights)
        means, stds, weights = (torch.tensor(each, dtype=torch.float64) for each in values)
        return Components(means[:, None], stds, weights / weights.sum())


@dataclass(frozen=True)
class Ring(Mixture):
    """Equal Gaussians at the angles k 2 pi / n_modes of a circle, shape (2,).

    The defaults are the eight Gaussians of Gulrajani et al. 2017 (arXiv:1704.00028): radius 2 and
    std .02, both divided by 1.414, which is the digits their code has and not sqrt(2). The angles
    are those of PacGAN; the Unrolled GAN's linspace(0, 2 pi, 8) meets both ends, so that two of
    its eight modes coincide.
    """

    n_modes: int = 8
    radius: float = 2 / 1.414
    std: float = 0.02 / 1.414

    def __post_init__(self) -> None:
        check_whole("n_modes", self.n_modes, 8, at_least=1, at_most=10_000)
        check_number("radius", self.radius, 1.4144, above=0)
        check_number("std", self.std, 0.01414, above=0)

    def components(self) -> Components:
        """Return n_modes components, anticlockwise from (radius, 0)."""
        angles = torch.arange(self.n_modes, dtype=torch.float64) * (2 * math.pi / self.n_modes)
        return _equal(self.radius * torch.stack([angles.cos(), angles.sin()], dim=1), self.std)


@dataclass(frozen=True)
class Grid(Mixture):
    """side x side equal Gaussians on a square grid around 0, shape (2,).

    The defaults are the 25 Gaussians of Gulrajani et al. 2017 (arXiv:1704.00028): spacing 2 and
    std .05, both divided by 2.828, which is the digits their code has and not sqrt(8).
    """

    side: int = 5
    spacing: float = 2 / 2.828
    std: float = 0.05 / 2.828

    def __post_init__(self) -> None:
        check_whole("side", self.side, 5, at_least=1, at_most=100)
        check_number("spacing", self.spacing, 0.7072, above=0)
        check_number("std", self.std, 0.01768, above=0)

    def components(self) -> Components:
        """Return side^2 components, the second coordinate running fastest."""
        line = torch.arange(self.side, dtype=torch.float64) - (self.side - 1) / 2
        return _equal(self.spacing * torch.cartesian_prod(line, line), self.std)


def _equal(centres: Tensor, std: float) -> Components:
    """Return components of one std and equal weights."""
    ones = torch.ones(len(centres), dtype=torch.float64)
    return Components(centres, std * ones, ones / len(centres))


@dataclass(frozen=True)
class Segments(Distribution):
    """Uniform on {theta} x [0, 1] x {0} x ... in R^dim: a set of measure zero, no density.

    Between theta and 0: W1 = |theta|, JS = log 2 and KL = inf wherever theta is not 0.

    Reference: Arjovsky et al. 2017, arXiv:1701.07875, example 1 ("learning parallel lines").
    """

    singular: ClassVar[bool] = True

    theta: float = 1.0
    dim: int = 2

    def __post_init__(self) -> None:
        check_number("theta", self.theta, 1.0)
        check_whole("dim", self.dim, 2, at_least=2, at_most=1_000_000)

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""
        return (self.dim,)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw points (theta, U[0, 1], 0, ...): [n, dim], float32."""
        x = torch.zeros(n, self.dim, device=generator.device)
        x[:, 0] = self.theta
        x[:, 1] = torch.rand(n, generator=generator, device=generator.device)
        return x
