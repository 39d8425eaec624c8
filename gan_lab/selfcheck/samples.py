"""Clouds with known distances, in float64, and how an estimator is put to them."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from scipy import special
from torch import Generator, Tensor

from gan_lab.data.base import Distribution
from gan_lab.data.toy import Components, Mixture, Mixture1d

Draw = Callable[[Generator, int], Tensor]
Pair = Callable[[Tensor, Tensor], float]
Once = Callable[[Generator], float]

CPU = torch.device("cpu")
EXACT = "the expectation at this n is computed without samples; only noise remains"
UNBIASED = "unbiased; only noise remains"
MIXED = Mixture1d([-2.0, 2.0], [0.5, 0.5], [0.3, 0.7])


@dataclass(frozen=True)
class Normal(Mixture):
    """N(0, I) in any dimension, with its density."""

    dim: int

    def components(self) -> Components:
        """One component."""
        one = torch.ones(1, dtype=torch.float64)
        return Components(torch.zeros(1, self.dim, dtype=torch.float64), one, one)


def normal(d: int, shift: float = 0.0, std: float = 1.0) -> Draw:
    """Draws of N(shift e_1, std^2 I)."""

    def draw(generator: Generator, n: int) -> Tensor:
        x = std * torch.randn(n, d, generator=generator, dtype=torch.float64)
        x[:, 0] += shift
        return x

    return draw


def segment(theta: float, sigma: float = 0.0) -> Draw:
    """Draws of {theta} x [0, 1], blurred across by N(0, sigma^2)."""

    def draw(generator: Generator, n: int) -> Tensor:
        x = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        x[:, 0] = theta + sigma * torch.randn(n, generator=generator, dtype=torch.float64)
        return x

    return draw


def uniform(generator: Generator, n: int) -> Tensor:
    """Draws of the uniform distribution on [0, 1]."""
    return torch.rand(n, 1, generator=generator, dtype=torch.float64)


def of(distribution: Distribution) -> Draw:
    """Draws of a data set's distribution."""
    return lambda generator, n: distribution.sample(n, generator).double()


def between(estimator: Pair, a: Draw, b: Draw, n: int) -> Once:
    """The estimator on two clouds of their own."""
    return lambda generator: estimator(a(generator, n), b(generator, n))


def moved(estimator: Pair, a: Draw, n: int, move: Callable[[Tensor], Tensor]) -> Once:
    """The estimator on one cloud and the same cloud moved."""

    def once(generator: Generator) -> float:
        x = a(generator, n)
        return estimator(x, move(x))

    return once


def shifted(x: Tensor) -> Tensor:
    """Moved by 2 along the diagonal."""
    return x + 2 / math.sqrt(x.shape[1])


def doubled(x: Tensor) -> Tensor:
    """Every point twice as far from the origin."""
    return 2 * x


def gaussian_kl(d: int, shift: float, std: float) -> float:
    """KL(N(0, I) || N(shift, std^2 I)) in nats."""
    return d * (math.log(std) + 1 / (2 * std**2) - 0.5) + shift**2 / (2 * std**2)


def mixed_truth() -> dict[str, float]:
    """MIXED and N(0, 1) by quadrature: KL(N(0, 1) || MIXED), JS and W1."""
    x = np.linspace(-12, 12, 24001)
    log_p = MIXED.log_density(torch.as_tensor(x)[:, None]).numpy()
    log_q = -(x**2) / 2 - math.log(2 * math.pi) / 2
    middle = np.logaddexp(log_p, log_q) - math.log(2)
    parts = zip(MIXED.weights, MIXED.means, MIXED.stds, strict=True)
    cumulative = sum(w * special.ndtr((x - m) / s) for w, m, s in parts)

    def integral(y: np.ndarray) -> float:
        return float(np.trapezoid(y, x))

    p, q = np.exp(log_p), np.exp(log_q)
    return {
        "kl": integral(q * (log_q - log_p)),
        "js": integral(p * (log_p - middle) + q * (log_q - middle)) / 2,
        "wasserstein": integral(np.abs(cumulative - special.ndtr(x))),
    }
