"""Integration rules in float64 that the closed forms share."""

import math
from functools import lru_cache

import torch
from torch import Tensor


@lru_cache
def _legendre_rule(n_nodes: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre nodes and weights on [-1, 1] (Golub and Welsch 1969)."""
    k = torch.arange(1, n_nodes, dtype=torch.float64)
    off = k / (4 * k.square() - 1).sqrt()
    nodes, vectors = torch.linalg.eigh(torch.diag(off, 1) + torch.diag(off, -1))
    return nodes, 2 * vectors[0].square()


def panels(edges: Tensor, n_nodes: int) -> tuple[Tensor, Tensor]:
    """Gauss-Legendre on each of several intervals; an interval of length 0 counts nothing.

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
    """Nodes from -limit to limit. For an analytic integrand that dies out, the sum times the step.

    The error falls like exp(-2 pi d / step), d the distance of its nearest pole from the real axis.
    Reference: Trefethen and Weideman 2014, The Exponentially Convergent Trapezoidal Rule.
    """
    n = round(limit / step)
    return torch.arange(-n, n + 1, dtype=torch.float64, device=device) * step


def normal_density(x: Tensor) -> Tensor:
    """Density of N(0, 1)."""
    return (-x.square() / 2).exp() / math.sqrt(2 * math.pi)


def missing_bits(z: Tensor) -> Tensor:
    """log 2 - h(sigmoid(z)) in nats: what log-odds z tell. Even, z^2/8 near 0, log 2 far out.

    JS(p, q) is its mean over the mixture (p + q)/2 with z = log p - log q, and unlike the
    definition it loses no digits where p and q nearly agree.
    """
    near = z.abs() < 1
    small = torch.where(near, z, 0)
    u = (small / 2).tanh()  # atanh(u) = z/2, so h needs no logarithm of 1 + u and 1 - u apart
    return torch.where(near, (u * small + torch.log1p(-u.square())) / 2, math.log(2) - _left(z))


def _left(z: Tensor) -> Tensor:
    size = z.abs()
    decay = (-size).exp()
    return torch.log1p(decay) + size * decay / (1 + decay)


def coin_entropy(z: Tensor) -> Tensor:
    """h(sigmoid(z)) in nats, with all its digits where it is small."""
    return _left(z)
