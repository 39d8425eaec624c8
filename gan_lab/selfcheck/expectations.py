"""Exact expectations of estimators at n samples, so that a check has no slack for their bias.

The expectation of an estimate from few samples is not the divergence. For Gaussians that of most
estimators here can be computed without drawing a sample.
"""

import math
from functools import lru_cache

import numpy as np
from scipy import special, stats


def mean_norm(d: int, shift: float = 0.0) -> float:
    """Return E|x| of x ~ N(shift, I) in d dimensions, |shift| given."""
    scale = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    return scale * float(special.hyp1f1(-0.5, d / 2, -(shift**2) / 2))


def energy(d: int, shift: float, std: float) -> float:
    """Return the energy distance of N(0, I) and N(shift, std^2 I)."""
    across = math.hypot(1, std)
    within = (1 + std) * math.sqrt(2) * mean_norm(d)
    return 2 * across * mean_norm(d, shift / across) - within


def mmd_squared(d: int, shift: float, std: float, bandwidth: float) -> float:
    """Return MMD^2 of N(0, I) and N(shift, std^2 I) for the kernel exp(-r^2 / (2 bandwidth^2))."""

    def mean_kernel(variance: float, distance: float) -> float:
        total = bandwidth**2 + variance
        return (bandwidth**2 / total) ** (d / 2) * math.exp(-(distance**2) / (2 * total))

    within = mean_kernel(2, 0) + mean_kernel(2 * std**2, 0)
    return within - 2 * mean_kernel(1 + std**2, shift)


def projection_share(d: int) -> float:
    """Return E|<v, u>| for u uniform on the sphere and |v| = 1: sliced W1 of a shift, over W1."""
    return math.exp(math.lgamma(d / 2) - math.lgamma((d + 1) / 2)) / math.sqrt(math.pi)


@lru_cache
def wasserstein_floor(n: int) -> float:
    """Return E W1 of two samples of N(0, 1), n each, exactly: the integral of E|F_n - G_n|.

    n (F_n - G_n)(x) is a walk of M ~ Bin(n, 2 F (1 - F)) steps of +-1, and
    E|walk of m steps| = m C(m - 1, floor((m - 1)/2)) / 2^(m - 1).
    """
    x = np.linspace(0, 8, 161)
    return float(2 * np.trapezoid(_difference_of_shares(special.ndtr(x), n), x))


@lru_cache
def pareto_wasserstein(n: int, shape: float) -> float:
    """Return E W1 of two samples of a Pareto distribution, n each, as `wasserstein_floor` does.

    P(X > x) = x^-shape from x = 1 on, shape > 1. The integral is over s = P(X > x)^(1 - 1/shape),
    in which it has bounded integrands: E|F_n - G_n| is about 2 P(X > x) in the tail.
    """
    s = np.linspace(0, 1, 4001)[1:]
    tail = s ** (shape / (shape - 1))
    values = _difference_of_shares(tail, n) / tail / (shape - 1)  # dx = ds / (tail (shape - 1))
    return float(np.trapezoid([2 / (shape - 1), *values], np.linspace(0, 1, 4001)))


def _difference_of_shares(probability: np.ndarray, n: int) -> np.ndarray:
    """Return E|A - B|/n for independent A, B ~ Bin(n, p), for each p."""
    m = np.arange(1, n + 1)
    half = (m - 1) // 2
    choose = special.gammaln(m) - special.gammaln(half + 1) - special.gammaln(m - half)
    walk = m * np.exp(choose - (m - 1) * math.log(2))
    differ = 2 * probability * (1 - probability)
    return np.asarray(stats.binom.pmf(m, n, differ[:, None]) @ walk / n)


@lru_cache
def mean_log_distance(m: int, k: int, d: int, shift: float = 0.0, std: float = 1.0) -> float:
    """Return E log of the distance from x ~ N(0, I) to the k-th nearest of m of N(shift, std^2 I).

    Given x, |y - x|^2 / std^2 is noncentral chi-squared with noncentrality |x - shift|^2 / std^2;
    k of m points lie within r with probability I_F(r)(k, m - k + 1); and
    E log R = log r_max - integral of P(R <= r) d log r.
    """
    s = np.linspace(1e-6, shift + math.sqrt(d) + 8, 241)
    if d == 1:
        weights = stats.norm.pdf(s, shift) + stats.norm.pdf(-s, shift)
    else:
        law = stats.chi2(d) if shift == 0 else stats.ncx2(d, shift**2)
        weights = 2 * s * law.pdf(s**2)
    weights[0] /= 2
    weights /= weights.sum()
    top = math.log(s[-1] + std * (math.sqrt(d) + 8))
    log_r = np.linspace(top - 30 if d < 3 else top - 8, top, 601)
    radius, offset = np.exp(log_r)[None] / std, s[:, None] / std
    if d == 1:
        within = special.ndtr(radius - offset) - special.ndtr(-radius - offset)
    else:
        within = special.chndtr(radius**2, d, offset**2)
    distribution = special.betainc(k, m - k + 1, np.clip(within, 0, 1))
    return float(top - weights @ np.trapezoid(distribution, log_r, axis=1))


def knn_kl(n: int, k: int, d: int, shift: float, std: float) -> float:
    """Return E of the nearest-neighbour KL(N(0, I) || N(shift, std^2 I)), n points each."""
    across, own = mean_log_distance(n, k, d, shift, std), mean_log_distance(n - 1, k, d)
    return d * (across - own) + math.log(n / (n - 1))


def knn_entropy(n: int, k: int, d: int, std: float = 1.0) -> float:
    """Return E of the nearest-neighbour estimate of the entropy of N(0, std^2 I)."""
    ball = d / 2 * math.log(math.pi) - math.lgamma(d / 2 + 1)
    own = mean_log_distance(n - 1, k, d) + math.log(std)
    return float(special.digamma(n) - special.digamma(k)) + ball + d * own


def entropy(d: int, std: float = 1.0) -> float:
    """Return the differential entropy of N(0, std^2 I) in nats."""
    return d * (0.5 * math.log(2 * math.pi * math.e) + math.log(std))


def cells(bins: int, d: int, shift: float, std: float) -> tuple[np.ndarray, np.ndarray]:
    """Return the probabilities of the histogram's cells under N(0, I) and N(shift e_1, std^2 I).

    The edges are where the quantiles .001 and .999 of N(0, 1) put them.
    """
    edges = np.linspace(stats.norm.ppf(0.001), stats.norm.ppf(0.999), bins + 1)
    edges = np.concatenate([[-np.inf], edges, [np.inf]])
    p = np.diff(special.ndtr(edges))
    q = [np.diff(special.ndtr((edges - mean) / std)) for mean in (shift, 0.0)]
    return (p, q[0]) if d == 1 else (np.outer(p, p).ravel(), np.outer(*q).ravel())


def histogram_js(n: int, p: np.ndarray, q: np.ndarray) -> float:
    """Return E of the plug-in JS in nats, n samples each, for fixed cells, by binomial laws."""
    counts = np.arange(n + 1)
    twice = np.arange(2 * n + 1)
    total = 0.0
    for a, b in zip(p, q, strict=True):
        pmf_a, pmf_b = stats.binom.pmf(counts, n, a), stats.binom.pmf(counts, n, b)
        both = np.convolve(pmf_a, pmf_b)
        total += (pmf_a + pmf_b) @ special.xlogy(counts / n, counts / n) / 2
        total -= both @ special.xlogy(twice / (2 * n), twice / (2 * n))
    return float(total)


def discrete_js(p: np.ndarray, q: np.ndarray) -> float:
    """Return JS of two discrete distributions in nats."""
    middle = (p + q) / 2
    return float(special.rel_entr(p, middle).sum() + special.rel_entr(q, middle).sum()) / 2


def cubic_kernel_distance(d: int, shift: float, std: float, scale: float) -> float:
    """Return MMD^2 of N(shift e_1, std^2 I) and N(0, I), kernel (x.y / scale + 1)^3."""

    def mean_kernel(a: float, p: float, b: float, q: float) -> float:
        # Given y, x.y is normal with mean a y_1 and variance p^2 |y|^2.
        first = a * b
        norm = b**2 + d * q**2
        second = a**2 * (b**2 + q**2) + p**2 * norm
        third = a**3 * (b**3 + 3 * b * q**2)
        third += 3 * p**2 * a * (b**3 + 3 * b * q**2 + b * (d - 1) * q**2)
        return 1 + 3 * first / scale + 3 * second / scale**2 + third / scale**3

    own = mean_kernel(shift, std, shift, std) + mean_kernel(0, 1, 0, 1)
    return own - 2 * mean_kernel(shift, std, 0, 1)


def ball_coverage(n: int, m: int, k: int) -> float:
    """Return E coverage of n samples and m of the reference from one distribution.

    Reference: Naeem et al. 2020, arXiv:2002.09797, their lemma on the expected coverage.
    """
    return 1 - math.prod((m - i) / (m + n - i) for i in range(1, k + 1))
