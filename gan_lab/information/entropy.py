"""Self-information, entropy and cross entropy of discrete distributions.

All functions work along the last axis, batched over leading dimensions, in nats unless a base is
given, with 0 log 0 = 0. Gradients are the true one-sided derivatives: finite inside,
infinite where the derivative is infinite, never nan. (A softmax that rounded a probability to 0
multiplies that infinity by 0 further upstream; keep the probability above finfo.tiny there.)
"""

import math

import torch
from torch import Tensor

from gan_lab.information.checks import (
    check_distribution,
    check_pair,
    check_unit_interval,
    float_dtype,
    wide,
)


def nats_per_unit(base: float | None) -> float:
    """Return the nats in one unit of information: 1 for nats (None), log 2 for bits (2).

    Raises:
        ValueError: The base of the logarithm is not a finite number above 1.
    """
    if base is None:
        return 1.0
    if not (math.isfinite(base) and base > 1):
        raise ValueError(
            f"base={base} is no base of a logarithm; use None for nats, 2 for bits, or any base > 1"
        )
    return math.log(base)


def self_information(p: Tensor, base: float | None = None) -> Tensor:
    """Return the surprise of an event of probability p, -log p.

    Args:
        p: Probabilities of single events, any shape, in [0, 1].
        base: Of the logarithm; None is e.

    Returns:
        Nats (bits for base 2), the shape of p, >= 0; inf at p = 0. The gradient is -1/p.

    Raises:
        ValueError: An entry is not in [0, 1], by its index; or a wrong base.

    Reference: Shannon 1948, A Mathematical Theory of Communication.
    """
    unit = nats_per_unit(base)
    check_unit_interval(p, "p")
    dtype = float_dtype(p)
    # 0 - log p, for -log 1 would be -0.
    return ((0 - p.to(wide(dtype)).log()) / unit).to(dtype)


def entropy(p: Tensor, base: float | None = None) -> Tensor:
    """Return the Shannon entropy H(p) = -sum_i p_i log p_i.

    Args:
        p: Distributions along the last axis, shape [..., n].
        base: Of the logarithm; None is e.

    Returns:
        Nats (bits for base 2), shape [...], in [0, log n]. The gradient -log p_i - 1 is +inf where
        p_i = 0.

    Raises:
        ValueError: A negative or non-finite entry, a sum that is not 1, or a wrong base.

    Reference: Cover and Thomas 2006, Elements of Information Theory, section 2.1.
    """
    unit = nats_per_unit(base)
    check_distribution(p, "p")
    dtype = float_dtype(p)
    return (torch.special.entr(p.to(wide(dtype))).sum(-1) / unit).to(dtype)


def binary_entropy(p: Tensor, base: float | None = None) -> Tensor:
    """Return the entropy of a coin, h(p) = -p log p - (1 - p) log(1 - p).

    Args:
        p: Probabilities of heads, any shape, in [0, 1].
        base: Of the logarithm; None is e.

    Returns:
        Nats (bits for base 2), the shape of p, in [0, log 2]. The gradient log((1 - p)/p) is +inf
        at 0 and -inf at 1.

    Raises:
        ValueError: An entry is not in [0, 1], by its index; or a wrong base.

    Reference: Cover and Thomas 2006, Elements of Information Theory, equation 2.5.
    """
    unit = nats_per_unit(base)
    check_unit_interval(p, "p")
    dtype = float_dtype(p)
    heads = p.to(wide(dtype))
    # 1 - p drops a small p, so its logarithm is log1p(-p) there; near 1 the difference is exact.
    small = heads <= 0.5
    near = torch.where(small, heads, 0)
    tails = torch.where(small, (near - 1) * torch.log1p(-near), torch.special.entr(1 - heads))
    return ((torch.special.entr(heads) + tails) / unit).to(dtype)


def cross_entropy(p: Tensor, q: Tensor, base: float | None = None) -> Tensor:
    """Return the cross entropy H(p, q) = -sum_i p_i log q_i = H(p) + KL(p||q).

    The mean length under p of a code made for q. For losses of logits and labels see
    `softmax_cross_entropy_with_logits`.

    Args:
        p: The distribution that is averaged over, shape [..., n].
        q: The distribution whose logarithm is taken, same shape.
        base: Of the logarithm; None is e.

    Returns:
        Nats (bits for base 2), shape [...], >= H(p); inf where q has no mass and p has. The
        gradient by q_i is -p_i/q_i, hence -inf there. Where both are 0 the term is the constant 0.

    Raises:
        ValueError: The shapes differ, a negative or non-finite entry, a sum that is not 1, or a
            wrong base.

    Reference: Cover and Thomas 2006, Elements of Information Theory, section 5.4.
    """
    unit = nats_per_unit(base)
    check_pair(p, q)
    dtype = float_dtype(p, q)
    p, q = p.to(wide(dtype)), q.to(wide(dtype))
    # xlogy is 0 at p = q = 0, yet its gradient p/q is nan there.
    terms = torch.xlogy(p, torch.where((p == 0) & (q == 0), 1, q))
    return ((0 - terms.sum(-1)) / unit).to(dtype)
