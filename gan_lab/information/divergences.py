"""Divergences of two discrete distributions: Kullback-Leibler, Jensen-Shannon, total variation.

Along the last axis, batched over leading dimensions, in nats unless a base is given. Gradients are
the true one-sided derivatives, infinite where those are infinite, never nan.
"""

import torch
from torch import Tensor

from gan_lab.information.checks import check_pair, float_dtype, wide
from gan_lab.information.entropy import nats_per_unit


def kl_divergence(p: Tensor, q: Tensor, base: float | None = None) -> Tensor:
    """Return the Kullback-Leibler divergence KL(p||q) = sum_i p_i log(p_i / q_i).

    Not symmetric, and no metric: the triangle inequality fails.

    Args:
        p: The distribution that is averaged over, shape [..., n].
        q: The other one, same shape.
        base: Of the logarithm; None is e.

    Returns:
        Nats (bits for base 2), shape [...], >= 0 up to rounding and exactly 0 for q = p. It is
        **inf where q has no mass and p has**: a model that calls a real event impossible is
        infinitely wrong, however well it does elsewhere. Gradients: by p_i log(p_i/q_i) + 1 (-inf
        at p_i = 0, +inf at q_i = 0), by q_i -p_i/q_i (-inf at q_i = 0); the other entries keep
        their finite gradients. Where both are 0 the term is the constant 0, with gradient 0.

    Raises:
        ValueError: The shapes differ, a negative or non-finite entry, a sum that is not 1, or a
            wrong base.

    Reference: Kullback and Leibler 1951; Cover and Thomas 2006, section 2.3.
    """
    unit = nats_per_unit(base)
    check_pair(p, q)
    dtype = float_dtype(p, q)
    return (_relative_entropy(p.to(wide(dtype)), q.to(wide(dtype))).sum(-1) / unit).to(dtype)


def js_divergence(p: Tensor, q: Tensor, base: float | None = None) -> Tensor:
    """Return the Jensen-Shannon divergence JS = KL(p||m)/2 + KL(q||m)/2 with m = (p + q)/2.

    With the halves, so that it is at most log 2 (the WGAN paper prints it without them). Symmetric;
    its square root is a metric. Where p and q share no mass it is log 2 whatever their distance,
    which is why a generator far from the data gets no gradient from it.

    Args:
        p: Distributions along the last axis, shape [..., n].
        q: The same shape.
        base: Of the logarithm; None is e.

    Returns:
        Nats (bits for base 2), shape [...], in [0, log 2] up to rounding; never infinite. The
        gradient by p_i is log(p_i/m_i)/2: -inf where p_i = 0 and q_i > 0; 0 where both are 0.

    Raises:
        ValueError: The shapes differ, a negative or non-finite entry, a sum that is not 1, or a
            wrong base.

    Reference: Lin 1991, Divergence Measures Based on the Shannon Entropy; Endres and Schindelin
        2003 for the metric.
    """
    unit = nats_per_unit(base)
    check_pair(p, q)
    dtype = float_dtype(p, q)
    p, q = p.to(wide(dtype)), q.to(wide(dtype))
    m = (p + q) / 2
    # Half of the smallest number above 0 is 0, and m without mass would make the result infinite.
    m = torch.where((m == 0) & (p + q > 0), p + q, m)
    terms = _relative_entropy(p, m) + _relative_entropy(q, m)
    return (terms.sum(-1) / (2 * unit)).to(dtype)


def total_variation(p: Tensor, q: Tensor) -> Tensor:
    """Return the total variation TV = (1/2) sum_i |p_i - q_i| = max over events |p(A) - q(A)|.

    Args:
        p: Distributions along the last axis, shape [..., n].
        q: The same shape.

    Returns:
        A probability, shape [...], in [0, 1]; Pinsker: TV <= sqrt(KL/2). The gradient by p_i is
        sign(p_i - q_i)/2, and 0 where they agree.

    Raises:
        ValueError: The shapes differ, a negative or non-finite entry, or a sum that is not 1.

    Reference: Levin and Peres 2017, Markov Chains and Mixing Times, proposition 4.2.
    """
    check_pair(p, q)
    dtype = float_dtype(p, q)
    return ((p.to(wide(dtype)) - q.to(wide(dtype))).abs().sum(-1) / 2).to(dtype)


def _relative_entropy(p: Tensor, q: Tensor) -> Tensor:
    """Return p log p - p log q entry by entry, with the values and gradients of kl_divergence."""
    both_zero = (p == 0) & (q == 0)
    p, q = torch.where(both_zero, 1, p), torch.where(both_zero, 1, q)
    # The logarithms apart, not of p/q: that quotient overflows for a q near the smallest number.
    return -torch.special.entr(p) - torch.xlogy(p, q)
