"""Kullback-Leibler and Jensen-Shannon divergences from distances to nearest neighbours.

Samples of a density never coincide, and those of a float32 one hardly ever. Where more than 5 % of
them do, KL and entropy are infinite or undefined; fewer shift an estimate by less than it varies.
"""

import functools
import math

import numpy as np
from scipy.spatial import cKDTree
from scipy.special import gammaln
from torch import Tensor

from gan_lab.metrics.memo import memoize
from gan_lab.metrics.wasserstein import as_points, distances

_TREE_DIMENSIONS = 16  # a tree beats all pairs in few dimensions only,
_TREE_POINTS = 128  # and not for few points
# Two samples coincide where they are nearer than this share of the distance to the k-th neighbour,
# so that a copy in float32 counts. Between samples of a density it has probability share^d / k.
_COINCIDENT = 1e-5
# A coincident neighbour makes the k-th of the others the (k-1)-th: 1/(k-1) nats for its sample, and
# .017 nats for this share of them and k = 4.
_MAX_COINCIDENT = 0.05


def knn_kl(p_samples: Tensor, q_samples: Tensor, k: int = 4) -> float:
    """Return KL(p || q) in nats from k-th nearest neighbour distances.

    (d/n) sum_i log(nu_i / rho_i) + log(m / (n - 1)), rho_i the distance from the i-th sample of p
    to its k-th neighbour among the other samples of p, nu_i to its k-th neighbour among those of q.
    Consistent for densities on R^d; it cannot exceed about log m by much (McAllester and Stratos
    2020: no estimate of a lower bound can), and its bias grows with d.

    Args:
        p_samples: Shape [n, *shape].
        q_samples: Shape [m, *shape].
        k: Which neighbour; larger means less variance and more bias.

    Returns:
        The estimate in nats; may be slightly negative. nan where more than 5 % of p's samples
        coincide with one of q's (a copy: the formula says -.3, and -inf for k = 1). Else inf where
        more than 5 % of p's coincide with one another, so that p has points of positive probability
        where q has none; and nan where more than 5 % of q's do, since q has no density there.
        k + 1 samples of p at one point, or k of q at one of p, are as good as 5 %.

    Raises:
        ValueError: A sample is not finite, shapes differ, or there are too few samples for k.

    Reference: Wang, Kulkarni and Verdu 2009, IEEE Trans. Inf. Theory 55(5), eq. 14.
    """
    p, q = _as_pair(p_samples, q_samples)
    _check_k(k, min(len(p) - 1, len(q)))
    within_p, across = _neighbour_distances(p, p, k, True), _neighbour_distances(p, q, k, False)
    if _has_atoms(across):
        return math.nan
    if _has_atoms(within_p):
        return math.inf
    if len(q) > k and _has_atoms(_neighbour_distances(q, q, k, True)):
        return math.nan
    n, d = p.shape
    ratio = across[:, 1] / within_p[:, 1]
    return float(d * np.log(ratio).mean() + math.log(len(q) / (n - 1)))


def knn_entropy(samples: Tensor, k: int = 4) -> float:
    """Return the differential entropy in nats: psi(n) - psi(k) + log V_d + (d/n) sum log rho_i.

    Args:
        samples: Shape [n, *shape].
        k: Which neighbour.

    Returns:
        The estimate in nats, unbounded; -inf where more than 5 % of the samples coincide with
        another, or k + 1 at one point.

    Raises:
        ValueError: A sample is not finite, or there are too few for k.

    Reference: Kozachenko and Leonenko 1987; Kraskov et al. 2004, Phys. Rev. E 69, eq. 20.
    """
    points = as_points(samples)
    n, d = points.shape
    _check_k(k, n - 1)
    within = _neighbour_distances(points, points, k, True)
    if _has_atoms(within):
        return -math.inf
    log_ball = d / 2 * math.log(math.pi) - float(gammaln(d / 2 + 1))
    harmonic = sum(1 / i for i in range(k, n))  # psi(n) - psi(k)
    return float(harmonic + log_ball + d * np.log(within[:, 1]).mean())


def knn_js(real: Tensor, fake: Tensor, k: int | None = None) -> float:
    """Return a lower bound of JS in nats: log 2 - half the loss of a nearest-neighbour classifier.

    Each sample is classified by its k nearest neighbours among all others, with the share of real
    ones as the probability (c + 1/2) / (k + 1). Since a sample's own label is left out, the mean
    log loss is that of a classifier on samples it was not fitted on, so log 2 - loss/2 is at most
    JS on average, for any k and any dimension; it is below 0 where the classifier does worse than
    guessing: a copy of the other side reads about -1/k, since the nearest neighbour of each sample
    is its copy with the other label. Samples of discrete data, many of which coincide, are
    neighbours in random order up to 16 dimensions, and in no known one beyond, where the bound may
    be far below JS.

    Args:
        real: Shape [n, *shape].
        fake: Shape [n, *shape].
        k: Neighbours; by default about sqrt(2 n).

    Returns:
        The bound in nats, at most log 2 - .5/(k + 1).

    Raises:
        ValueError: A sample is not finite, shapes differ, or there are too few samples for k.
    """
    a, b = _as_pair(real, fake)
    n = len(a)
    if len(b) != n:
        raise ValueError(f"got {n} real and {len(b)} fake samples; take as many of each")
    k = k or round(math.sqrt(2 * n))
    _check_k(k, 2 * n - 1)
    is_real = np.arange(2 * n) < n
    # Left out, a sample's own class is one short among the others: the prior is off by 1/(4 n),
    # against the true class, so that the bound stays one.
    neighbours = _neighbours(a, b, k)
    n_real = is_real[neighbours].sum(axis=1)
    probability = (n_real + 0.5) / (k + 1)
    loss = -np.log(np.where(is_real, probability, 1 - probability))
    return float(math.log(2) - loss.mean())


def _as_pair(p_samples: Tensor, q_samples: Tensor) -> tuple[np.ndarray, np.ndarray]:
    p, q = as_points(p_samples, "p_samples"), as_points(q_samples, "q_samples")
    if p.shape[1] != q.shape[1]:
        raise ValueError(f"samples have {p.shape[1]} and {q.shape[1]} dimensions; they must agree")
    return p, q


def _check_k(k: int, limit: int) -> None:
    if not 1 <= k <= limit:
        raise ValueError(f"k={k} neighbours of too few samples: at most {limit} are there")


@memoize
def _neighbour_distances(
    points: np.ndarray, others: np.ndarray, k: int, exclude_self: bool
) -> np.ndarray:
    """Return the distances [n, 2] of points to the nearest and to the k-th of others."""
    own = int(exclude_self)  # the nearest point of a set to its own member is itself
    if points.shape[1] <= _TREE_DIMENSIONS and len(others) > _TREE_POINTS:
        return np.asarray(cKDTree(others).query(points, k=[1 + own, k + own])[0])
    order = [own, k + own - 1]
    return np.partition(distances(points, others), order, axis=1)[:, order]


def _has_atoms(nearest_and_kth: np.ndarray) -> bool:
    nearest, kth = nearest_and_kth.T
    return bool((kth == 0).any()) or float((nearest < _COINCIDENT * kth).mean()) > _MAX_COINCIDENT


@functools.lru_cache(maxsize=8)
def _order(n: int) -> np.ndarray:
    """Return a random order of n points, always the same."""
    return np.random.default_rng(0).permutation(n)


def _neighbours(a: np.ndarray, b: np.ndarray, k: int) -> np.ndarray:
    """Return indices [n + m, k] of the k nearest other points, of points [n, d] and [m, d]."""
    n, together = len(a), len(a) + len(b)
    if a.shape[1] <= _TREE_DIMENSIONS:
        points = np.concatenate([a, b])
        # Of points that coincide the tree takes those that it holds first, which must not be all
        # of a: it holds them in a random order.
        order = _order(together)
        indices = order[cKDTree(points[order]).query(points, k=k + 1)[1]]
        # Where points coincide, a point's own index need not come first.
        own = indices == np.arange(together)[:, None]
        own[~own.any(axis=1), -1] = True
        return indices[~own].reshape(together, k)
    distance = np.empty((together, together))
    distance[:n, :n], distance[n:, n:] = distances(a, a), distances(b, b)
    distance[n:, :n] = distances(b, a)
    distance[:n, n:] = distance[n:, :n].T
    np.fill_diagonal(distance, np.inf)
    return np.argpartition(distance, k - 1, axis=1)[:, :k]
