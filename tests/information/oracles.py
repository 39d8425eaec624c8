"""Slow and plain: loops over Python floats, no torch, written from the definitions."""

import math

import numpy as np
import torch
from hypothesis import strategies as st

F64 = torch.float64


def f64(values):
    return torch.tensor(values, dtype=F64)


def entropy(p):
    return -sum(a * math.log(a) for a in p if a > 0)


def cross_entropy(p, q):
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return math.inf
    return -sum(a * math.log(b) for a, b in zip(p, q, strict=True) if a > 0)


def kl(p, q):
    if any(a > 0 and b == 0 for a, b in zip(p, q, strict=True)):
        return math.inf
    return math.fsum(a * math.log(a / b) for a, b in zip(p, q, strict=True) if a > 0)


def js(p, q):
    m = [(a + b) / 2 for a, b in zip(p, q, strict=True)]
    return (kl(p, m) + kl(q, m)) / 2


def sigmoid_cross_entropy(x, y, pos_weight=1.0):
    x, y = np.asarray(x), np.asarray(y)
    return pos_weight * y * np.logaddexp(0, -x) + (1 - y) * np.logaddexp(0, x)


def softmax_cross_entropy(x, y):
    x, y = np.asarray(x, dtype=np.longdouble), np.asarray(y, dtype=np.longdouble)
    powers = np.exp(x)
    return -(y * np.log(powers / powers.sum(-1, keepdims=True))).sum(-1)


def categorical(p, y, epsilon=1e-7):
    p, y = np.asarray(p, dtype=np.longdouble), np.asarray(y, dtype=np.longdouble)
    clipped = np.clip(p / p.sum(-1, keepdims=True), epsilon, 1 - epsilon)
    return -(y * np.log(clipped)).sum(-1)


def distributions(n, least=0.0):
    """Probability vectors of n entries, zeros among them where least is 0.

    Other entries are above 1e-9: products of smaller ones underflow to 0, and KL then is infinite.
    """
    entry = st.floats(max(least, 1e-9), 1.0)
    if least == 0:
        entry = entry | st.just(0.0)
    rows = st.lists(entry, min_size=n, max_size=n).filter(lambda row: sum(row) > 1e-3)
    return rows.map(lambda row: f64([a / math.fsum(row) for a in row]))


def some_distributions(*shape, seed=0):
    """Random positive distributions along the last axis."""
    draws = torch.rand(*shape, generator=torch.Generator().manual_seed(seed), dtype=F64)
    return (draws + 0.05) / (draws + 0.05).sum(-1, keepdim=True)
