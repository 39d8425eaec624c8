"""Precision, recall, density and coverage by balls around features."""

from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.metrics.features.frechet import feature_pair


@dataclass(frozen=True)
class ManifoldMetrics:
    """What `manifold_metrics` returns, all dimensionless.

    Attributes:
        precision: Share of samples within a ball of the reference, in [0, 1].
        recall: Share of the reference within a ball of the samples, in [0, 1].
        density: Balls of the reference that a sample lies in, over k; may exceed 1.
        coverage: Share of the reference's balls with a sample inside, in [0, 1].
    """

    precision: float
    recall: float
    density: float
    coverage: float


def manifold_metrics(samples: Tensor, reference: Tensor, k: int = 5) -> ManifoldMetrics:
    """Compare two sets of features by the balls around them that reach their k-th neighbours.

    The ball of a point is open, its radius the distance to the k-th nearest other point of its own
    set; a point is inside where its distance is less. Points whose k neighbours coincide with them
    have empty balls: recall is 0 for samples that come k + 1 times each, all but recall for such a
    reference. A copy of the reference scores 1 in all four, so none of them tells of copying.
    Precision and density tell of quality, recall and coverage of variety. One outlier has a huge
    ball, which precision and recall count in full: density and coverage are the robust pair. Take
    features pooled over layers: in the last one alone blur is precise.

    For equal distributions E density is 1 and E coverage, of n samples and m of the reference,
    1 - prod over i < k of (m - 1 - i)/(m + n - 1 - i), about 1 - 2^-k for n = m, in any dimension;
    precision and recall have no such value, and depend on n and dimension.

    Args:
        samples: Shape [n, *shape].
        reference: Shape [m, *shape].
        k: Which neighbour, below n and m.

    Returns:
        The four numbers; all change with n and m, so compare at one n.

    Raises:
        ValueError: A feature is not finite, dimensions differ, or k is not in 1 to min(n, m) - 1.

    Reference: Kynkaanniemi et al. 2019, arXiv:1904.06991, eq. 1-3; Naeem et al. 2020,
    arXiv:2002.09797, eq. 3-5 and their proposition on the expectations.
    """
    x, y = map(torch.from_numpy, feature_pair(samples, reference))
    n, m = len(x), len(y)
    if not 1 <= k < min(n, m):
        raise ValueError(f"k={k} is not in 1 to {min(n, m) - 1}, as many neighbours as there are")
    radius_x, radius_y = _radii(x, k), _radii(y, k)
    distances = _distances(y, x)
    in_reference = distances < radius_y[:, None]
    in_samples = distances < radius_x[None, :]
    return ManifoldMetrics(
        precision=_mean(in_reference.any(dim=0)),
        recall=_mean(in_samples.any(dim=1)),
        density=_mean(in_reference.sum(dim=0)) / k,
        coverage=_mean(in_reference.any(dim=1)),
    )


def _distances(a: Tensor, b: Tensor) -> Tensor:
    # By a matrix product, 4 times as fast as by differences. Where points coincide, rounding leaves
    # some 1e-16 of their squared norms, which is 0: a ball of radius 0 has to be empty.
    centre = b.mean(dim=0)
    a, b = a - centre, b - centre
    norms = (a**2).sum(dim=1)[:, None] + (b**2).sum(dim=1)
    squares = torch.addmm(norms, a, b.T, alpha=-2.0)
    return torch.where(squares < 1e-13 * norms, 0.0, squares).sqrt()


def _radii(points: Tensor, k: int) -> Tensor:
    # The nearest point of a set to its own member is the member itself.
    return _distances(points, points).topk(k + 1, dim=1, largest=False).values[:, -1]


def _mean(values: Tensor) -> float:
    return float(values.double().mean())
