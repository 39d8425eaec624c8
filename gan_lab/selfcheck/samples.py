"""Clouds with known distances, in float64, and draws of an estimator on them."""

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
NO_BIAS = "unbiased; only noise remains"
MIXTURE = Mixture1d([-2.0, 2.0], [0.5, 0.5], [0.3, 0.7])


@dataclass(frozen=True)
class Normal(Mixture):
    """N(0, I) in any dimension, with its density."""

    dim: int

    def components(self) -> Components:
        """Return one component."""
        one = torch.ones(1, dtype=torch.float64)
        return Components(torch.zeros(1, self.dim, dtype=torch.float64), one, one)


def normal(d: int, shift: float = 0.0, std: float = 1.0) -> Draw:
    """Return a sampler of N(shift e_1, std^2 I)."""

    def draw(generator: Generator, n: int) -> Tensor:
        x = std * torch.randn(n, d, generator=generator, dtype=torch.float64)
        x[:, 0] += shift
        return x

    return draw


def segment(theta: float, sigma: float = 0.0) -> Draw:
    """Return a sampler of {theta} x [0, 1], blurred across by N(0, sigma^2)."""

    def draw(generator: Generator, n: int) -> Tensor:
        x = torch.rand(n, 2, generator=generator, dtype=torch.float64)
        x[:, 0] = theta + sigma * torch.randn(n, generator=generator, dtype=torch.float64)
        return x

    return draw


def uniform(generator: Generator, n: int) -> Tensor:
    """Draw from the uniform distribution on [0, 1]."""
    return torch.rand(n, 1, generator=generator, dtype=torch.float64)


def draws_of(distribution: Distribution) -> Draw:
    """Return a sampler of a data set's distribution."""
    return lambda generator, n: distribution.sample(n, generator).double()


def between(estimator: Pair, a: Draw, b: Draw, n: int) -> Once:
    """Return one draw of the estimator on two independent clouds."""
    return lambda generator: estimator(a(generator, n), b(generator, n))


def on_image(estimator: Pair, a: Draw, n: int, image: Callable[[Tensor], Tensor]) -> Once:
    """Return one draw of the estimator on a cloud and its image."""

    def once(generator: Generator) -> float:
        x = a(generator, n)
        return estimator(x, image(x))

    return once


def shift_by_2(x: Tensor) -> Tensor:
    """Shift points by 2 along the diagonal."""
    return x + 2 / math.sqrt(x.shape[1])


def double(x: Tensor) -> Tensor:
    """Double the distance of every point from the origin."""
    return 2 * x


def gaussian_kl(d: int, shift: float, std: float) -> float:
    """Return KL(N(0, I) || N(shift, std^2 I)) in nats."""
    return d * (math.log(std) + 1 / (2 * std**2) - 0.5) + shift**2 / (2 * std**2)


def mixture_truth() -> dict[str, float]:
    """Return KL(N(0, 1) || MIXTURE), JS and W1 of MIXTURE and N(0, 1), by quadrature."""
    x = np.linspace(-12, 12, 24001)
    log_p = MIXTURE.log_density(torch.as_tensor(x)[:, None]).numpy()
    log_q = -(x**2) / 2 - math.log(2 * math.pi) / 2
    middle = np.logaddexp(log_p, log_q) - math.log(2)
    parts = zip(MIXTURE.weights, MIXTURE.means, MIXTURE.stds, strict=True)
    cumulative = sum(w * special.ndtr((x - m) / s) for w, m, s in parts)

    def integral(y: np.ndarray) -> float:
        return float(np.trapezoid(y, x))

    p, q = np.exp(log_p), np.exp(log_q)
    return {
        "kl": integral(q * (log_q - log_p)),
        "js": integral(p * (log_p - middle) + q * (log_q - middle)) / 2,
        "wasserstein": integral(np.abs(cumulative - special.ndtr(x))),
    }
