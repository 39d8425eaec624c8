"""The Wasserstein-1 distance between samples, exactly."""

import functools

import numpy as np
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist, pdist
from torch import Tensor

from gan_lab.metrics.memo import memoize


def exact_wasserstein(samples: Tensor, reference: Tensor) -> float:
    """Return W1 of two empirical measures of equal size under the Euclidean distance.

    min over permutations s of mean |samples_i - reference_s(i)|: an optimal coupling of two uniform
    measures of n points can be taken to be a permutation (Birkhoff). In one dimension the sorted
    order is optimal.

    It is biased upwards as an estimate of W1 of the distributions, at most by an order of n^(-1/2)
    in one dimension, n^(-1/2) up to a logarithm in two and n^(-1/d) in d >= 3: compare it with its
    floor. About 22 ms at n = 512, 100 ms at 1024.

    Args:
        samples: Shape [n, *shape].
        reference: Shape [n, *shape].

    Returns:
        W1 in data units, >= 0.

    Raises:
        ValueError: The shapes differ, or an entry is not finite (an assignment on nan would give a
            number all the same).

    Reference: Peyre and Cuturi 2019, arXiv:1803.00567, proposition 2.1; Fournier and Guillin 2015,
    arXiv:1312.2128, theorem 1, for the bias.
    """
    a, b = _as_pair(samples, reference)
    if a.shape[1] == 1:
        return float(np.abs(np.sort(a[:, 0]) - np.sort(b[:, 0])).mean())
    cost = distances(a, b)
    rows, columns = linear_sum_assignment(cost)
    return float(cost[rows, columns].mean())


def as_points(samples: Tensor, name: str = "samples") -> np.ndarray:
    """Return samples [n, *shape] as float64 points [n, d] on the CPU.

    Raises:
        ValueError: An entry is not finite; the first such sample is named.
    """
    return _points(samples, name=name)


@memoize
def _points(samples: Tensor, *, name: str) -> np.ndarray:
    points = samples.detach().flatten(1).cpu().double().numpy()
    finite = np.isfinite(points).all(axis=1)
    if not finite.all():
        n, first = int((~finite).sum()), int(np.argmin(finite))
        raise ValueError(f"{name} hold {n} non-finite rows, the first at index {first}")
    return np.asarray(points)


@memoize
def distances(points: np.ndarray, others: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of points [n, d] to others [m, d]: [n, m]."""
    return np.asarray(cdist(points, others))


@memoize
def pairwise_distances(points: np.ndarray) -> np.ndarray:
    """Return the Euclidean distances of all pairs of points [n, d]: [n (n - 1) / 2]."""
    return np.asarray(pdist(points))


def sliced_wasserstein(
    samples: Tensor, reference: Tensor, n_directions: int = 128, seed: int = 0
) -> float:
    """Return the mean W1 of samples projected on random directions, cheap in any dimension.

    A shift by v gives |v| Gamma(d/2) / (sqrt(pi) Gamma((d+1)/2)), less than W1 = |v| for d > 1.

    Args:
        samples: Shape [n, *shape].
        reference: Shape [n, *shape].
        n_directions: Uniform on the sphere.
        seed: Of the directions: the same for every run.

    Returns:
        The sliced W1 distance in data units, >= 0.

    Raises:
        ValueError: The shapes differ, or an entry is not finite.

    Reference: Bonneel et al. 2015, J. Math. Imaging Vis. 51, with p = 1.
    """
    a, b = _as_pair(samples, reference)
    if a.shape[1] == 1:  # each direction is 1 or -1, and W1 the same along both
        return exact_wasserstein(samples, reference)
    directions = _directions(a.shape[1], n_directions, seed)
    gaps = np.sort(directions @ a.T) - np.sort(directions @ b.T)
    return float(np.abs(gaps).mean())


@functools.lru_cache(maxsize=8)
def _directions(dimensions: int, n: int, seed: int) -> np.ndarray:
    """Return n uniform directions, [n, dimensions]."""
    directions = np.random.default_rng(seed).standard_normal((dimensions, n)).T.copy()
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    directions.flags.writeable = False
    return directions


def _as_pair(samples: Tensor, reference: Tensor) -> tuple[np.ndarray, np.ndarray]:
    """Return both as points; refuse two shapes."""
    if samples.shape != reference.shape:
        shapes = f"{tuple(samples.shape)} and {tuple(reference.shape)}"
        raise ValueError(f"samples and reference must have one shape, got {shapes}")
    return as_points(samples, "samples"), as_points(reference, "reference")
