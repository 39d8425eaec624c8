"""Integration rules in float64 that the closed forms share."""

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def _legendre_rule(n_nodes: int) -> tuple[Tensor, Tensor]:
    """Return Gauss-Legendre nodes and weights on [-1, 1] (Golub and Welsch 1969)."""
    k = torch.arange(1, n_nodes, dtype=torch.float64)
    off_diagonal = k / (4 * k.square() - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(off_diagonal, 1) + torch.diag(off_diagonal, -1))
    return nodes, 2 * vectors[0].square()


def panels(edges: Tensor, n_nodes: int) -> tuple[Tensor, Tensor]:
    """Return the Gauss-Legendre rule of several intervals; an interval of length 0 counts nothing.

    Args:
        edges: Ascending ends of the intervals, shape [..., k + 1].
        n_nodes: Nodes in each interval.

    Returns:
        (nodes, weights), each of shape [..., k * n_nodes]; the weights sum to the length.
    """
    nodes, weights = (part.to(edges.device) for part in _legendre_rule(n_nodes))
    low, half = edges[..., :-1, None], edges.diff(dim=-1)[..., None] / 2
    return (low + half * (nodes + 1)).flatten(-2), (half * weights).flatten(-2)


def trapezoid(limit: float, step: float, device: torch.device) -> Tensor:
    """Return nodes from -limit to limit; the integral is the sum over them times the step.

    For an analytic integrand that dies out the error falls like exp(-2 pi d / step), d the
    distance of its nearest pole from the real axis.
    Reference: Trefethen and Weideman 2014, The Exponentially Convergent Trapezoidal Rule.
    """
    n = round(limit / step)
    return torch.arange(-n, n + 1, dtype=torch.float64, device=device) * step


def normal_density(x: Tensor) -> Tensor:
    """Return the density of N(0, 1)."""
    return (-x.square() / 2).exp() / math.sqrt(2 * math.pi)


def js_integrand(z: Tensor) -> Tensor:
    """Return log 2 - h(sigmoid(z)) in nats: the information in log-odds z. Even, z^2/8 near 0.

    JS(p, q) is its mean over the mixture (p + q)/2 with z = log p - log q, and unlike the
    definition it loses no digits where p and q nearly agree.
    """
    near = z.abs() < 1
    small = torch.where(near, z, 0)
    u = (small / 2).tanh()  # atanh(u) = z/2, so h needs no logarithm of 1 + u and 1 - u apart
    far = math.log(2) - bernoulli_entropy(z)
    return torch.where(near, (u * small + torch.log1p(-u.square())) / 2, far)


def bernoulli_entropy(logits: Tensor) -> Tensor:
    """Return h(sigmoid(logits)) in nats, with all its digits where it is small."""
    size = logits.abs()
    decay = (-size).exp()
    return torch.log1p(decay) + size * decay / (1 + decay)
