"""Toy distributions of the plane without modes: noisy curves (swiss roll, two moons) whose density
is a one-dimensional integral, and a checkerboard whose density is constant on its dark squares.
"""

import functools
import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import Distribution
from gan_lab.data.validation import check_number, check_whole, refuse

_CHUNK = 2**22  # Entries of one block of the quadrature: 32 MiB in float64.
_NODES_A_PANEL = 8


class NoisyCurve(Distribution):
    """A point uniform in the parameter of a plane curve, plus Gaussian noise, over a scale.

    x = (curve(U) + noise N(0, I)) / scale with U uniform on [0, 1), so that
    p(x) = int_0^1 N(x; curve(u) / scale, (noise / scale)^2 I) du.

    Attributes:
        n_pieces: The curve is smooth on each of this many equal parts of [0, 1].
        speed: An upper bound of |d curve / du|, in the units of the curve.
    """

    n_pieces: ClassVar[int] = 1
    speed: ClassVar[float]
    noise: float
    scale: float

    @abstractmethod
    def curve(self, u: Tensor) -> Tensor:
        """Return points of the curve before noise and scale: [N] in [0, 1) -> [N, 2]."""

    @property
    def shape(self) -> tuple[int, ...]:
        """(2,)."""
        return (2,)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a parameter, then the noise: [n, 2], float32."""
        u = torch.rand(n, generator=generator, device=generator.device)
        noise = torch.randn(n, 2, generator=generator, device=generator.device)
        return (self.curve(u) + self.noise * noise) / self.scale

    def log_density(self, x: Tensor) -> Tensor:
        """Return log p(x) by Gauss-Legendre quadrature over the curve: [N, 2] -> [N] in nats.

        A panel is at most one std of the noise long and has 8 nodes: log p is within 1e-12 of its
        limit up to 14 stds from the curve in float64 (measured), within 1e-4 in float32. Time and
        nodes grow as 1 / noise; the defaults take .05 ms a point on one core.
        """
        points, log_weights = _quadrature(self)
        points, log_weights = points.to(x), log_weights.to(x)
        std = self.noise / self.scale

        def integral(block: Tensor) -> Tensor:
            distance = (block[:, None, 0] - points[:, 0]).square()
            distance = distance + (block[:, None, 1] - points[:, 1]).square()
            return torch.logsumexp(log_weights - distance / (2 * std**2), dim=1)

        blocks = x.split(max(1, _CHUNK // len(points)))
        return torch.cat([integral(block) for block in blocks]) - math.log(2 * math.pi * std**2)


@functools.lru_cache(maxsize=8)
def _quadrature(curve: NoisyCurve) -> tuple[Tensor, Tensor]:
    """Return points of the scaled curve [M, 2] and their log weights [M], float64."""
    n_panels = curve.n_pieces * math.ceil(curve.speed / (curve.noise * curve.n_pieces))
    nodes, weights = np.polynomial.legendre.leggauss(_NODES_A_PANEL)
    inside = torch.from_numpy((nodes + 1) / 2)
    u = (torch.arange(n_panels, dtype=torch.float64)[:, None] + inside).flatten() / n_panels
    log_weights = torch.from_numpy(np.log(weights / 2)) - math.log(n_panels)
    return curve.curve(u) / curve.scale, log_weights.repeat(n_panels)


@dataclass(frozen=True)
class SwissRoll(NoisyCurve):
    """The swiss roll seen from above, shape (2,): (t cos t, t sin t), t = 1.5 pi (1 + 2 u).

    The same distribution as columns 0 and 2 of scikit-learn's make_swiss_roll(noise=0.25) over 7.5,
    the toy data of Gulrajani et al. 2017 (arXiv:1704.00028). It is not centred.
    """

    speed: ClassVar[float] = 3 * math.pi * math.hypot(1.0, 4.5 * math.pi)

    noise: float = 0.25
    scale: float = 7.5

    def __post_init__(self) -> None:
        check_number("noise", self.noise, 0.25, above=0)
        check_number("scale", self.scale, 7.5, above=0)

    def curve(self, u: Tensor) -> Tensor:
        """Return the spiral, from radius 1.5 pi to 4.5 pi."""
        t = 1.5 * math.pi * (1 + 2 * u)
        return torch.stack([t * t.cos(), t * t.sin()], dim=-1)


@dataclass(frozen=True)
class TwoMoons(NoisyCurve):
    """Two interleaved half circles of radius 1, shape (2,), shifted to mean 0.

    scikit-learn's make_moons less its mean (.5, .25), with its angles uniform instead of on a grid.
    """

    n_pieces: ClassVar[int] = 2
    speed: ClassVar[float] = 2 * math.pi

    noise: float = 0.05
    scale: float = 1.0

    def __post_init__(self) -> None:
        check_number("noise", self.noise, 0.05, above=0)
        check_number("scale", self.scale, 1.0, above=0)

    def curve(self, u: Tensor) -> Tensor:
        """Return the upper half circle for u < 1/2, the lower one after it."""
        t = 2 * math.pi * u
        # Both are point reflections of each other at 0, which is what centring achieves.
        upper = torch.stack([t.cos() - 0.5, t.sin() - 0.25], dim=-1)
        lower = torch.stack([0.5 + t.cos(), 0.25 + t.sin()], dim=-1)
        return torch.where(u[..., None] < 0.5, upper, lower)


@dataclass(frozen=True)
class Checkerboard(Distribution):
    """Uniform on the dark squares of a checkerboard [-half_width, half_width)^2, shape (2,).

    The square (i, j), counted from the lower left, is dark where i + j is even. Each coordinate
    alone is uniform, because every column has cells / 2 dark squares, so the half width sqrt(3)
    gives it std 1; the usual board has 4 cells and half width 2.
    """

    cells: int = 4
    half_width: float = math.sqrt(3)

    def __post_init__(self) -> None:
        check_whole("cells", self.cells, 4, at_least=2)
        if self.cells % 2:
            raise refuse("cells", "even (as many dark squares in every row)", self.cells, 4)
        check_number("half_width", self.half_width, 1.732, above=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """(2,)."""
        return (2,)

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw a column, one of its dark squares, a point in it: [n, 2], float32."""
        device = generator.device
        column = torch.randint(self.cells, (n,), generator=generator, device=device)
        pair = torch.randint(self.cells // 2, (n,), generator=generator, device=device)
        square = torch.stack([column, 2 * pair + column % 2], dim=1)
        inside = torch.rand(n, 2, generator=generator, device=device)
        # Off the edges by more than float32 rounds, or a sample could lie on a light square and
        # have log density -inf; this moves one sample in 10^5.
        margin = 1e-6 * self.cells
        width = 2 * self.half_width / self.cells
        return (square + inside.clamp(margin, 1 - margin)) * width - self.half_width

    def log_density(self, x: Tensor) -> Tensor:
        """Return -log(2 half_width^2) on dark squares, -inf elsewhere: [N, 2] -> [N] in nats."""
        square = torch.floor((x + self.half_width) * (self.cells / (2 * self.half_width)))
        on_square = ((square >= 0) & (square < self.cells)).all(dim=1)
        dark = on_square & (square.sum(dim=1) % 2 == 0)
        level = x.new_full((len(x),), -math.log(2 * self.half_width**2))
        return torch.where(dark, level, -math.inf)
