"""Pairs of distributions on a line, discrete or mixtures of Gaussians, and how far apart they are.

Discrete pairs are exact. Mixtures are integrated on panels of half a standard deviation of every
component, split where an absolute value has a kink.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from gan_lab import information
from gan_lab.information.quadrature import js_integrand, panels

QUANTITIES = ("entropy_p", "entropy_q", "cross_entropy", "kl", "reverse_kl", "js", "tv", "w1")
DISTANCES = QUANTITIES[3:]
_TAIL, _NODES, _HALVINGS = 12, 8, 60


@dataclass(frozen=True)
class Discrete:
    """Masses p and q at positions x, each [n]."""

    p: Tensor
    q: Tensor
    x: Tensor

    @classmethod
    def of(cls, p: Sequence[float], q: Sequence[float], x: Sequence[float] | None = None) -> Self:
        """Build one from plain numbers; at 0, 1, ... unless given."""
        parts = (p, q, range(len(p)) if x is None else x)
        return cls(*(torch.tensor(list(part), dtype=torch.float64) for part in parts))

    def values(self) -> list[float]:
        """Return QUANTITIES: nats, TV without unit, W1 in the unit of x."""
        p, q = self.p, self.q
        entropies = information.entropy(p), information.entropy(q), information.cross_entropy(p, q)
        kls = information.kl_divergence(p, q), information.kl_divergence(q, p)
        js, tv = information.js_divergence(p, q), information.total_variation(p, q)
        return [*map(float, (*entropies, *kls, js, tv, information.wasserstein_1(p, q, self.x)))]

    def shift_gradients(self) -> list[float]:
        """Return the derivative of each of DISTANCES as q moves to the right from where it is.

        However little q moves, it shares no position with p any more (unless it lands on one): KL
        is infinite, its derivative undefined (nan); JS and TV jump to their maxima and stay there.
        """
        gaps = self.x.sort().values.diff()
        least = float(gaps[gaps > 0].min()) if bool((gaps > 0).any()) else 1.0
        shift = torch.tensor(1e-3 * least, dtype=torch.float64, requires_grad=True)
        none = torch.zeros_like(self.p)
        p, q = torch.cat([self.p, none]), torch.cat([none, self.q])
        w1 = information.wasserstein_1(p, q, torch.cat([self.x, self.x + shift]))
        (derivative,) = torch.autograd.grad(w1, shift)
        return [math.nan, math.nan, 0.0, 0.0, float(derivative)]


@dataclass(frozen=True)
class Mixture:
    """A mixture of Gaussians on a line: means, standard deviations and weights, each [k]."""

    means: Tensor
    stds: Tensor
    weights: Tensor

    @classmethod
    def of(
        cls, means: Sequence[float], stds: Sequence[float], weights: Sequence[float] | None = None
    ) -> Self:
        """Build one from plain numbers; with equal weights unless given."""
        parts = (means, stds, [1 / len(means)] * len(means) if weights is None else weights)
        return cls(*(torch.tensor(list(part), dtype=torch.float64) for part in parts))

    @property
    def mean(self) -> float:
        """Mean of the whole mixture, data units."""
        return float(self.weights @ self.means)

    @property
    def std(self) -> float:
        """Standard deviation of the whole mixture, data units."""
        second = self.weights @ (self.stds.square() + self.means.square())
        return math.sqrt(float(second) - self.mean**2)

    def log_density(self, x: Tensor) -> Tensor:
        """Return nats per data unit, the shape of x."""
        z = (x[..., None] - self.means) / self.stds
        logs = self.weights.log() - self.stds.log() - z.square() / 2 - math.log(2 * math.pi) / 2
        return torch.logsumexp(logs, -1)

    def cdf(self, x: Tensor) -> Tensor:
        """Return the distribution function, the shape of x."""
        # Not special.ndtr, which is 0 from -9 standard deviations on.
        z = (x[..., None] - self.means) / self.stds
        return torch.erfc(-z / math.sqrt(2)) @ self.weights / 2

    def edges(self) -> Tensor:
        """Return edges of panels of half a standard deviation around every component."""
        halves = torch.arange(-2 * _TAIL, 2 * _TAIL + 1, dtype=torch.float64) / 2
        return (self.means[:, None] + self.stds[:, None] * halves).flatten()


@dataclass(frozen=True)
class Line:
    """Two mixtures of Gaussians on a line."""

    p: Mixture
    q: Mixture

    def values(self) -> list[float]:
        """Return QUANTITIES: nats (entropies are differential), TV, W1 in data units."""
        edges = self._edges()
        x, weights = panels(edges, _NODES)
        log_p, log_q = self.p.log_density(x), self.q.log_density(x)
        p, q = log_p.exp() * weights, log_q.exp() * weights
        heads = [-(p * log_p).sum(), -(q * log_q).sum(), -(p * log_q).sum()]
        shift = torch.zeros((), dtype=torch.float64)
        return [float(value) for value in (*heads, *self._distances(shift))]

    def shift_gradients(self) -> list[float]:
        """Return the derivative of each of DISTANCES as q moves to the right, by autograd."""
        shift = torch.zeros((), dtype=torch.float64, requires_grad=True)
        grad = torch.autograd.grad
        return [float(grad(x, shift, retain_graph=True)[0]) for x in self._distances(shift)]

    def _distances(self, shift: Tensor) -> list[Tensor]:
        edges = self._edges()
        x, weights = panels(edges, _NODES)
        log_p, log_q = self.p.log_density(x), self.q.log_density(x - shift)
        p, q = log_p.exp() * weights, log_q.exp() * weights
        apart = log_p - log_q

        def densities(x: Tensor) -> Tensor:
            return self.p.log_density(x).exp() - self.q.log_density(x - shift).exp()

        def masses(x: Tensor) -> Tensor:
            return self.p.cdf(x) - self.q.cdf(x - shift)

        return [
            (p * apart).sum(),
            -(q * apart).sum(),
            ((p + q) / 2 * js_integrand(apart)).sum(),
            _absolute(densities, edges) / 2,
            _absolute(masses, edges),
        ]

    def _edges(self) -> Tensor:
        return torch.cat([self.p.edges(), self.q.edges()]).sort().values


def _absolute(f: Callable[[Tensor], Tensor], edges: Tensor) -> Tensor:
    """Integrate |f| on panels that also end where f changes its sign."""
    with torch.no_grad():
        share = torch.arange(4, dtype=torch.float64) / 4
        fine = (edges[:-1, None] + edges.diff()[:, None] * share).flatten()
        size = f(fine)
        flips = (size[:-1] * size[1:] < 0).nonzero().flatten()
        low, high, sign = fine[flips], fine[flips + 1], size[flips].sign()
        for _ in range(_HALVINGS):
            middle = (low + high) / 2
            same = f(middle) * sign > 0
            low, high = torch.where(same, middle, low), torch.where(same, high, middle)
        edges = torch.cat([edges, low]).sort().values
    x, weights = panels(edges, _NODES)
    return (f(x).abs() * weights).sum()


PAIRS: dict[str, Discrete | Line] = {
    "coins": Discrete.of((0.5, 0.5), (0.9, 0.1)),
    "half_overlap": Discrete.of((0.5, 0.5, 0.0), (0.0, 0.5, 0.5)),
    "disjoint": Discrete.of((0.5, 0.5, 0.0, 0.0, 0.0), (0.0, 0.0, 0.0, 0.5, 0.5)),
    "shifted": Line(Mixture.of((0.0,), (1.0,)), Mixture.of((1.0,), (1.0,))),
    "wider": Line(Mixture.of((0.0,), (1.0,)), Mixture.of((0.5,), (2.0,))),
    "far_apart": Line(Mixture.of((0.0,), (0.1,)), Mixture.of((2.0,), (0.1,))),
    "two_modes_one_dropped": Line(Mixture.of((-2.0, 2.0), (0.5, 0.5)), Mixture.of((-2.0,), (0.5,))),
    "two_modes_covered": Line(
        Mixture.of((-2.0, 2.0), (0.5, 0.5)), Mixture.of((0.3,), (math.sqrt(4.25),))
    ),
}
