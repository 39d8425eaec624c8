"""Divergences of a network's distribution on the line, without samples.

A generator x = g(z) of one z ~ N(0, 1) is cut into pieces along z. On each piece it counts as a
straight line, so that the piece's exact mass lies evenly over an interval of x; their sum is a
piecewise linear distribution function, folds and all. JS is then taken over narrow bins: never
above the true JS, and closer with every refinement.
"""

import math
from typing import NamedTuple

import numpy as np
import torch
from scipy.special import ndtr

from gan_lab.data.toy import Components
from gan_lab.information import js_divergence, total_variation

_Z_END = 6.5  # 8e-11 of the mass lies beyond
_LEAST_WIDTH = 1e-7  # data units; a piece that is mapped to a point gets this width


class Distances(NamedTuple):
    """Distances of p (data) and q (generated).

    Attributes:
        js: Jensen-Shannon divergence, nats.
        js_coarse: The same with bins twice as wide.
        tv: Total variation.
        harmonic: Integral of p q / (p + q), in [0, 1/2]: twice the least squares loss's floor.
        wasserstein: W1, data units.
    """

    js: float
    js_coarse: float
    tv: float
    harmonic: float
    wasserstein: float


def z_edges(n: int) -> np.ndarray:
    """Return the ends of n equal pieces of the z axis, [n + 1]."""
    return np.linspace(-_Z_END, _Z_END, n + 1)


def generated_cdf(x_at_edges: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Return the distribution function of g(z), z ~ N(0, 1), at x, [K], in [0, 1].

    `x_at_edges` is g at `z_edges(n)`, [n + 1].
    """
    edges = x_at_edges.astype(float)
    masses = np.diff(ndtr(z_edges(len(edges) - 1)))
    masses = masses / masses.sum()
    low, high = np.minimum(edges[:-1], edges[1:]), np.maximum(edges[:-1], edges[1:])
    widen = np.maximum(_LEAST_WIDTH - (high - low), 0) / 2
    low, high = low - widen, high + widen
    # Each piece adds a ramp from low to high: the densities of all ramps, summed from the left.
    ends, each = np.concatenate([low, high]), masses / (high - low)
    order = np.argsort(ends, kind="stable")
    ends, steps = ends[order], np.concatenate([each, -each])[order]
    density = np.cumsum(steps)[:-1]
    heights = np.concatenate([[0.0], np.cumsum(density * np.diff(ends))])
    return np.interp(x, ends, heights / heights[-1])


def data_cdf(data: Components, x: np.ndarray) -> np.ndarray:
    """Return the distribution function of a mixture of Gaussians on the line, [K] -> [K]."""
    centres, stds = data.centres.numpy()[:, 0], data.stds.numpy()
    return np.asarray(ndtr((x[:, None] - centres) / stds) @ data.weights.numpy())


def data_quantiles(data: Components, n: int) -> np.ndarray:
    """Return the quantiles of the levels (i + 1/2)/n, [n], by inverting the distribution."""
    centres, stds = data.centres.numpy()[:, 0], data.stds.numpy()
    x = np.linspace((centres - 9 * stds).min(), (centres + 9 * stds).max(), 400_001)
    return np.interp((np.arange(n) + 0.5) / n, data_cdf(data, x), x)


def normal_quantiles(n: int) -> np.ndarray:
    """Return the same of N(0, 1): n values of z of equal mass."""
    levels = torch.arange(n, dtype=torch.float64) + 0.5
    return torch.special.ndtri(levels / n).numpy()


def distances(data: Components, x_at_edges: np.ndarray, n_bins: int) -> Distances:
    """Compare data and generator: `x_at_edges` is it at `z_edges(n)`, [n + 1]; n_bins is even."""
    centres, stds = data.centres.numpy()[:, 0], data.stds.numpy()
    low = min(float((centres - 7 * stds).min()), float(x_at_edges.min()) - 1e-3)
    high = max(float((centres + 7 * stds).max()), float(x_at_edges.max()) + 1e-3)
    x = np.linspace(low, high, n_bins + 1)
    of_data, of_generator = data_cdf(data, x), generated_cdf(x_at_edges, x)
    masses = [np.maximum(np.diff(cdf), 0) for cdf in (of_data, of_generator)]
    p, q = (torch.from_numpy(each / each.sum()) for each in masses)
    coarse_p, coarse_q = (each.reshape(-1, 2).sum(1) for each in (p, q))
    both = p + q
    harmonic = torch.where(both > 0, p * q / both.clamp(min=1e-300), 0).sum()
    js, js_coarse = js_divergence(p, q), js_divergence(coarse_p, coarse_q)
    wasserstein = np.trapezoid(np.abs(of_data - of_generator), x)
    return Distances(*map(float, (js, js_coarse, total_variation(p, q), harmonic, wasserstein)))


def floors(exact: Distances) -> dict[str, float]:
    """Return a lower bound of each discriminator loss, in its own unit.

    References: Goodfellow et al. 2014, theorem 1; Mao et al. 2017 (the optimum p/(p+q));
    Lim and Ye 2017.
    """
    cross_entropy = 2 * math.log(2) - 2 * exact.js
    return {
        "minimax": cross_entropy,
        "non_saturating": cross_entropy,
        "least_squares": exact.harmonic / 2,
        "hinge": 2 - 2 * exact.tv,
    }
