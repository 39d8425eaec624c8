"""The Frechet distance between Gaussians fitted to two sets of features."""

import numpy as np
from torch import Tensor

from gan_lab.metrics.wasserstein import as_points


def frechet_distance(samples: Tensor, reference: Tensor) -> float:
    """Return the squared W2 distance between Gaussians fitted to samples and reference.

    |mean(x) - mean(y)|^2 + tr(S_x + S_y - 2 (S_x S_y)^(1/2)) with the covariances over n - 1. With
    S_x = A'A and S_y = B'B, A and B triangular factors of the centred features, the trace of the
    root is the sum of the singular values of A B'. So no matrix root is taken, and covariances of
    any rank will do: n < d, constant features, n = 2.

    It is biased upwards, by a term of order 1/n that depends on the samples: compare at one n, and
    with what real data get. It sees two moments only: clouds that share them are at distance 0.

    Args:
        samples: Shape [n, *shape], n >= 2.
        reference: Shape [m, *shape], m >= 2.

    Returns:
        The distance in squared feature units, >= 0.

    Raises:
        ValueError: A feature is not finite, dimensions differ, or a side has fewer than 2 samples.

    Reference: Dowson and Landau 1982, J. Multivariate Anal. 12(3), eq. 4; Heusel et al. 2017,
    arXiv:1706.08500, for its use on generated images.
    """
    x, y = feature_pair(samples, reference)
    a, b = _factor(x), _factor(y)
    root_trace = float(np.linalg.svd(a @ b.T, compute_uv=False).sum())
    shift = float(((x.mean(axis=0) - y.mean(axis=0)) ** 2).sum())
    # Rounding may leave -1e-16 of the traces where both sides agree.
    return max(0.0, shift + float((a**2).sum() + (b**2).sum()) - 2 * root_trace)


def relative_frechet_distance(samples: Tensor, reference: Tensor) -> float:
    """Return the Frechet distance over the trace of the reference's covariance.

    The scale of features is arbitrary: it differs between two trainings of one classifier. The
    share of the reference's variance does not depend on it: 0 where both agree, 1 for samples that
    are all the reference's mean.

    Args:
        samples: Shape [n, *shape], n >= 2.
        reference: Shape [m, *shape], m >= 2.

    Returns:
        The ratio, dimensionless, >= 0.

    Raises:
        ValueError: As `frechet_distance`, or the reference does not vary.
    """
    distance = frechet_distance(samples, reference)
    variance = float(as_points(reference, "reference").var(axis=0, ddof=1).sum())
    if not variance > 0:
        raise ValueError(
            "the reference's features are the same for all samples; take other features"
        )
    return distance / variance


def feature_pair(samples: Tensor, reference: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return both sides as float64 points [n, d] and [m, d].

    Raises:
        ValueError: A feature is not finite, dimensions differ, or a side has fewer than 2 samples.
    """
    x, y = as_points(samples, "samples"), as_points(reference, "reference")
    if x.shape[1] != y.shape[1]:
        raise ValueError(
            f"samples have {x.shape[1]} features and the reference {y.shape[1]}; take as many"
        )
    if min(len(x), len(y)) < 2:
        raise ValueError(f"got {len(x)} and {len(y)} samples; take at least 2 on each side")
    return x, y


def _factor(points: np.ndarray) -> np.ndarray:
    """Return a triangular A [min(n, d), d] with A'A the covariance."""
    deviations = (points - points.mean(axis=0)) / np.sqrt(len(points) - 1)
    return np.asarray(np.linalg.qr(deviations, mode="r"))
