"""Pairs of distributions whose Wasserstein-1 distance is known in any dimension.

The continuous benchmark of Korotin et al. 2022 (arXiv:2206.07767), with centres of our own.
"""

import functools
import math
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import torch
from torch import Tensor

from gan_lab.data.base import Distribution
from gan_lab.data.validation import check_whole

HALF_SIDE = 2.5  # of the cube that holds both sides
POWER = 8  # of the share of a ray: t -> t^8
_BIAS_STD = 0.1
_CHUNK = 2**14  # points at once


class KnownDistance(NamedTuple):
    """W1 of a pair in data units, and the ends of its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Funnels(Distribution):
    """Points of a cube pulled towards centres, shape (dim,), and the uniform points they come from.

    u(x) = min_n |x - a_n| + b_n has slope 1; its rays run from each centre a_n to the edge of
    the cell where n is the least. A uniform point y at the share t of its ray's length moves to the
    share t^8: that is x, the data. No plan is cheaper, because u(y) - u(x) = |x - y| on a ray, so

        W1 = E|x - y| = E u(y) - E u(x),

    and the best critic with data as the real side is f = -u. Centres are uniform in the cube
    [-2.5, 2.5]^dim, biases b_n ~ N(0, .1^2), both drawn from `centre_seed`.

    It is called singular: a density exists, but in two dimensions 2 % of the points lie nearer to
    their centre than float32 can tell, so that samples repeat and no KL can be measured.

    Attributes:
        dim: Dimensions.
        n_funnels: Centres.
        centre_seed: Of centres and biases.

    Reference: Korotin, Kolesov and Burnaev 2022, arXiv:2206.07767, and their code.
    """

    singular: ClassVar[bool] = True

    dim: int = 2
    n_funnels: int = 4
    centre_seed: int = 0

    def __post_init__(self) -> None:
        check_whole("dim", self.dim, 16, at_least=2, at_most=128)
        check_whole("n_funnels", self.n_funnels, 4, at_least=4, at_most=256)
        check_whole("centre_seed", self.centre_seed, 0, at_least=0)

    @property
    def shape(self) -> tuple[int, ...]:
        """(dim,)."""
        return (self.dim,)

    @functools.cached_property
    def funnels(self) -> tuple[Tensor, Tensor]:
        """Centres [n_funnels, dim] and biases [n_funnels], float64 on the CPU."""
        generator = torch.Generator().manual_seed(self.centre_seed)
        size = (self.n_funnels, self.dim)
        centres = HALF_SIDE * (2 * torch.rand(size, generator=generator, dtype=torch.float64) - 1)
        biases = torch.randn(self.n_funnels, generator=generator, dtype=torch.float64)
        return centres, _BIAS_STD * biases

    def sample(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw uniform points and pull them: [n, dim], float32."""
        return self.pull(self.sample_uniform(n, generator))

    def sample_uniform(self, n: int, generator: torch.Generator) -> Tensor:
        """Draw from the other side of the pair, uniform in the cube: [n, dim], float32."""
        uniform = torch.rand(n, self.dim, generator=generator, device=generator.device)
        return HALF_SIDE * (2 * uniform - 1)

    def pull(self, y: Tensor) -> Tensor:
        """Move points of the cube along their rays, optimally: y [N, dim] -> x [N, dim]."""
        return torch.cat([self._pull(block) for block in y.split(_CHUNK)])

    def potential(self, x: Tensor) -> Tensor:
        """Return the best critic f = -u, of slope 1 and higher on the data: [N, dim] -> [N]."""
        return -self._nearest(x)[1]

    def potential_gradient(self, x: Tensor) -> Tensor:
        """Return grad f, the unit vectors towards each point's centre: [N, dim] -> [N, dim]."""
        centres = self.funnels[0].to(x)
        return torch.nn.functional.normalize(centres[self._nearest(x)[0]] - x, dim=1)

    def wasserstein(self, n: int = 2**16, seed: int = 0) -> KnownDistance:
        """Return W1 of the pair as the mean of |x - y| over n fresh points.

        The standard error at n = 65536 is at most .4 % of W1.
        """
        generator = torch.Generator().manual_seed(seed)
        blocks = []
        for start in range(0, n, _CHUNK):
            y = self.sample_uniform(min(_CHUNK, n - start), generator).double()
            blocks.append((self._pull(y) - y).norm(dim=1))
        lengths = torch.cat(blocks)
        mean, half = float(lengths.mean()), 1.96 * float(lengths.std()) / math.sqrt(n)
        return KnownDistance(mean, mean - half, mean + half)

    def _nearest(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Return the index of each point's funnel [N] and u there [N]."""
        centres, biases = (each.to(x) for each in self.funnels)
        # Not by a product of matrices, which loses digits near a centre.
        heights = torch.cdist(x, centres, compute_mode="donot_use_mm_for_euclid_dist") + biases
        u, index = heights.min(dim=1)
        return index, u

    def _pull(self, y: Tensor) -> Tensor:
        index, u = self._nearest(y)
        centre = self.funnels[0].to(y)[index]
        from_centre = y - centre
        length = from_centre.norm(dim=1)
        ray = torch.nn.functional.normalize(from_centre, dim=1)
        beyond = torch.minimum(self._to_wall(y, ray), self._to_next_funnel(y, ray, index, u))
        whole = length + beyond
        short = length * (length / whole) ** (POWER - 1)  # whole t^8, and 0 at a centre
        return centre + short[:, None] * ray

    def _to_wall(self, y: Tensor, ray: Tensor) -> Tensor:
        """Return how far a point can go before it leaves the cube, [N]."""
        reach = (HALF_SIDE * ray.sign() - y) / ray
        return reach.masked_fill(ray == 0, math.inf).amin(dim=1).clamp(min=0)

    def _to_next_funnel(self, y: Tensor, ray: Tensor, index: Tensor, u: Tensor) -> Tensor:
        """Return how far a point can go before another funnel is lower, [N].

        |y + r v - a_m| = u + r - b_m, squared, is linear in r; where u - b_m <= (y - a_m) v the
        other funnel never is.
        """
        centres, biases = (each.to(y) for each in self.funnels)
        gap = u[:, None] - biases
        squares = torch.cdist(y, centres, compute_mode="donot_use_mm_for_euclid_dist").square()
        along = (y * ray).sum(dim=1, keepdim=True) - ray @ centres.T
        slowness = gap - along
        slowness.scatter_(1, index[:, None], 0.0)  # its own funnel rises just as fast
        reach = (squares - gap.square()) / (2 * slowness)
        return reach.masked_fill(slowness <= 0, math.inf).amin(dim=1).clamp(min=0)
