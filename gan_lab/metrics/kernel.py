"""Distances between mean embeddings: the energy distance and the maximum mean discrepancy."""

import numpy as np
from torch import Tensor

from gan_lab.metrics.wasserstein import as_points, distances, pairwise_distances


def energy_distance(samples: Tensor, reference: Tensor) -> float:
    """Return 2 E|X - Y| - E|X - X'| - E|Y - Y'|, unbiased: 0 in expectation where both agree.

    Args:
        samples: Shape [n, *shape], n >= 2.
        reference: Shape [m, *shape], m >= 2.

    Returns:
        The energy distance in data units; may be slightly negative.

    Raises:
        ValueError: A sample is not finite.

    Reference: Szekely and Rizzo 2013, J. Stat. Plan. Inference 143(8).
    """
    a, b = as_points(samples, "samples"), as_points(reference, "reference")
    within = pairwise_distances(a).mean() + pairwise_distances(b).mean()
    return float(2 * distances(a, b).mean() - within)


def mmd_squared(samples: Tensor, reference: Tensor, bandwidth: float) -> float:
    """Return the unbiased squared maximum mean discrepancy for a Gaussian kernel.

    The kernel is exp(-|x - y|^2 / (2 bandwidth^2)).

    Args:
        samples: Shape [n, *shape], n >= 2.
        reference: Shape [m, *shape], m >= 2.
        bandwidth: In data units, > 0; fix it by the data alone, or runs cannot be compared.

    Returns:
        MMD^2, dimensionless, below 2; may be slightly negative.

    Raises:
        ValueError: A sample is not finite, or the bandwidth is not > 0.

    Reference: Gretton et al. 2012, JMLR 13, eq. 3.
    """
    if not bandwidth > 0:
        raise ValueError(f"bandwidth={bandwidth} is not > 0; take the data's median distance")
    a, b = as_points(samples, "samples"), as_points(reference, "reference")

    def mean(distance: np.ndarray) -> float:
        return float(np.exp(-(distance**2) / (2 * bandwidth**2)).mean())

    within = mean(pairwise_distances(a)) + mean(pairwise_distances(b))
    return within - 2 * mean(distances(a, b))


def median_distance(reference: Tensor) -> float:
    """Return the median distance of two different samples [n, *shape], the data's bandwidth.

    Samples that coincide are left out; 1 where all do.
    """
    distance = pairwise_distances(as_points(reference, "reference"))
    positive = distance[distance > 0]
    return float(np.median(positive)) if len(positive) else 1.0
