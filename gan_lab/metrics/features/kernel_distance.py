"""The kernel distance: squared maximum mean discrepancy of features, polynomial kernel."""

import math

import numpy as np
from torch import Tensor

from gan_lab.metrics.features.frechet import feature_pair


def kernel_distance(
    samples: Tensor, reference: Tensor, scale: float | None = None
) -> tuple[float, float]:
    """Return the unbiased squared maximum mean discrepancy, kernel (x.y / scale + 1)^3.

    The mean kernel of two different samples, plus that of two different reference samples, less
    twice the mean between the sides. Unlike the Frechet distance it is unbiased at any n, and sees
    the first three moments. The standard error is the delete-one jackknife of both sides, scale
    fixed: for one draw of both sides; a finite reference that is always the same varies less.

    Args:
        samples: Shape [n, *shape], n >= 2.
        reference: Shape [m, *shape], m >= 2.
        scale: In squared feature units; the reference's mean squared norm unless given, so that the
            features' own scale cancels. Binkowski et al. take the number of features.

    Returns:
        MMD^2 (dimensionless; may be slightly negative) and its standard error, which is inf
        where a side has 2 samples only.

    Raises:
        ValueError: A feature is not finite, dimensions differ, a side has fewer than 2 samples, or
            scale is not > 0 (a reference of zeros has none).

    Reference: Binkowski et al. 2018, arXiv:1801.01401, section 4; Gretton et al. 2012, JMLR 13,
    eq. 3; Efron and Stein 1981, Ann. Stat. 9(3), for the jackknife.
    """
    x, y = feature_pair(samples, reference)
    scale = float((y**2).sum(axis=1).mean()) if scale is None else scale
    if not 0 < scale < math.inf:
        raise ValueError(f"scale={scale} is not > 0; take the features' mean squared norm")
    n, m = len(x), len(y)
    within_x, within_y = _kernel(x, x, scale), _kernel(y, y, scale)
    np.fill_diagonal(within_x, 0.0)
    np.fill_diagonal(within_y, 0.0)
    between = _kernel(x, y, scale)
    rows_x, rows_y = within_x.sum(axis=1), within_y.sum(axis=1)
    total_x, total_y, total = rows_x.sum(), rows_y.sum(), between.sum()
    mean_x, mean_y = total_x / (n * (n - 1)), total_y / (m * (m - 1))
    value = float(mean_x + mean_y - 2 * total / (n * m))
    if min(n, m) < 3:
        return value, math.inf
    without_x = (total_x - 2 * rows_x) / ((n - 1) * (n - 2))
    without_x += mean_y - 2 * (total - between.sum(axis=1)) / ((n - 1) * m)
    without_y = (total_y - 2 * rows_y) / ((m - 1) * (m - 2))
    without_y += mean_x - 2 * (total - between.sum(axis=0)) / (n * (m - 1))
    variance = (n - 1) * without_x.var() + (m - 1) * without_y.var()
    return value, math.sqrt(float(variance))


def _kernel(x: np.ndarray, y: np.ndarray, scale: float) -> np.ndarray:
    affine = x @ y.T / scale + 1.0
    return np.asarray(affine * affine * affine)  # a power of 3 takes ten times as long
