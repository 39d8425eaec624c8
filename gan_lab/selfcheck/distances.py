"""Cases of W1, sliced W1, energy distance, MMD^2 and the distances among samples."""

import math
from collections.abc import Iterator

import torch
from scipy import stats
from torch import Generator, Tensor

from gan_lab.information import closed_forms
from gan_lab.metrics import diversity, kernel, wasserstein
from gan_lab.selfcheck import expectations as expected
from gan_lab.selfcheck.checks import Case
from gan_lab.selfcheck.samples import (
    EXACT,
    MIXTURE,
    NO_BIAS,
    between,
    double,
    draws_of,
    mixture_truth,
    normal,
    on_image,
    segment,
    shift_by_2,
    uniform,
)

_DATA_UNITS = "data units"


# Estimators are module attributes at the call, so that a test can plant an error.
def _w1(a: Tensor, b: Tensor) -> float:
    return wasserstein.exact_wasserstein(a, b)


def wasserstein_cases(more: int) -> Iterator[Case]:
    """Yield cases of exact W1."""
    name, unit = "W1 exact", _DATA_UNITS
    for d in (1, 2, 16):
        n = 2048 if d == 1 else 128
        why = "a translation takes each point to its partner: exact for one cloud"
        run = on_image(_w1, normal(d), n, shift_by_2)
        yield Case(f"{d}-D shift 2, one cloud", name, unit, 2.0, (0, 0), why, n, 3, run)
        why = "|x| is a potential: W1 of a cloud and its double is mean |x|, unbiased"
        truth = expected.mean_norm(d)
        run = on_image(_w1, normal(d), n, double)
        yield Case(f"{d}-D scale 2, one cloud", name, unit, truth, (0, 0), why, n, 40 * more, run)
    for d, t, n in ((1, 6.0, 2048), (2, 10.0, 128), (16, 20.0, 64)):
        # Matching by the first axis costs mean sqrt(D^2 + S^2) <= mean D + S^2/(2 D) with D about t
        # and E S^2 = 2 (d - 1); D > t - 3 nearly always.
        why = "theorem: Jensen below; matched by the first axis, (d - 1)/(shift - 3) above"
        band = (0.0, (d - 1) / (t - 3))
        run = between(_w1, normal(d), normal(d, t), n)
        where = f"{d}-D Gaussians, shift {t:g}"
        yield Case(where, name, unit, t, band, why, n, 20 * more, run)
    n = 512
    at = expected.wasserstein_floor(n)
    run = between(_w1, normal(1), normal(1), n)
    yield Case("1-D Gaussians, equal", name, unit, 0.0, (at, at), EXACT, n, 100 * more, run)
    n = 128
    for theta in (0.1, 1.0):
        at = closed_forms.segments_sample_wasserstein(theta, n) - theta
        why = "closed_forms.segments_sample_wasserstein, whose error is a share 1/n of its bias"
        band = (at * (1 - 2 / n), at * (1 + 2 / n))
        run = between(_w1, segment(0.0), segment(theta), n)
        yield Case(f"segments, theta {theta:g}", name, unit, theta, band, why, n, 40 * more, run)
    n = 2048
    # E W1(P_n, P) <= n^-1/2 integral sqrt(F (1 - F)), 1.8 for a line of std 2.1, .9 for N(0, 1).
    why = "theorem: Jensen below; above the two samples' own errors, 2.9 n^-1/2"
    run = between(_w1, draws_of(MIXTURE), normal(1), n)
    truth = mixture_truth()["wasserstein"]
    band = (0.0, 2.9 / math.sqrt(n))
    yield Case("1-D mixture to Gaussian", name, unit, truth, band, why, n, 20 * more, run)


def sliced_cases(more: int) -> Iterator[Case]:
    """Yield cases of sliced W1."""
    name, unit = "sliced W1", _DATA_UNITS

    def once(a: Tensor, b: Tensor, generator: Generator) -> float:
        # Directions are as random as samples here: the evaluator's fixed 128 are one draw of them.
        seed = int(torch.randint(2**31, (), generator=generator))
        return wasserstein.sliced_wasserstein(a, b, 512, seed)

    for d in (1, 2, 16):

        def of_shift(g: Generator, d: int = d) -> float:
            x = normal(d)(g, 64)
            return once(x, shift_by_2(x), g)

        def of_double(g: Generator, d: int = d) -> float:
            x = normal(d)(g, 512)
            return once(x, double(x), g)

        truth = 2 * expected.projection_share(d)
        why = "|<shift, direction>| for one cloud; fresh directions each time, so unbiased"
        where = f"{d}-D shift 2, one cloud"
        yield Case(where, name, unit, truth, (0, 0), why, 64, 40 * more, of_shift)
        truth = math.sqrt(2 / math.pi)
        why = "along every direction a Gaussian cloud and its double: unbiased"
        where = f"{d}-D scale 2, one cloud"
        yield Case(where, name, unit, truth, (0, 0), why, 512, 40 * more, of_double)
    n = 256
    at = expected.wasserstein_floor(n)

    def equal(g: Generator) -> float:
        return once(normal(16)(g, n), normal(16)(g, n), g)

    yield Case("16-D Gaussians, equal", name, unit, 0.0, (at, at), EXACT, n, 20 * more, equal)


def kernel_cases(more: int) -> Iterator[Case]:
    """Yield cases of energy distance, MMD^2 and its bandwidth."""
    n, repeats = 512, 40 * more
    for d in (1, 2, 16):
        width = math.sqrt(2 * d)

        def energy(a: Tensor, b: Tensor) -> float:
            return kernel.energy_distance(a, b)

        def mmd(a: Tensor, b: Tensor, width: float = width) -> float:
            return kernel.mmd_squared(a, b, width)

        for t, std in ((0.0, 1.0), (2.0, 1.5), (4.0, 1.0)):
            where = f"{d}-D Gaussians, shift {t:g}, std {std:g}"
            a, b = normal(d), normal(d, t, std)
            truth, run = expected.energy(d, t, std), between(energy, a, b, n)
            bias = (0.0, 0.0)
            yield Case(where, "energy distance", _DATA_UNITS, truth, bias, NO_BIAS, n, repeats, run)
            truth, run = expected.mmd_squared(d, t, std, width), between(mmd, a, b, n)
            yield Case(where, "MMD^2", "1", truth, bias, NO_BIAS, n, repeats, run)

        def median(g: Generator, d: int = d) -> float:
            return kernel.median_distance(normal(d)(g, n))

        truth = math.sqrt(2 * float(stats.chi2.ppf(0.5, d)))
        why = "a quantile over pairs: bias of order 1/n"
        where, name = f"{d}-D Gaussian", "median distance"
        band = (-truth / n, truth / n)
        yield Case(where, name, _DATA_UNITS, truth, band, why, n, repeats // 2, median)


def diversity_cases(more: int) -> Iterator[Case]:
    """Yield cases of the mean distances among samples and to the training data."""
    n, repeats = 512, 20 * more
    for d in (1, 2, 16):

        def pairwise(g: Generator, d: int = d) -> float:
            return diversity.mean_pairwise_distance(normal(d)(g, n))

        truth = math.sqrt(2) * expected.mean_norm(d)
        where, name = f"{d}-D Gaussian", "pairwise distance"
        yield Case(where, name, _DATA_UNITS, truth, (0, 0), NO_BIAS, n, repeats, pairwise)

    def nearest(a: Tensor, b: Tensor) -> float:
        return diversity.mean_nearest_distance(a, b)

    name = "nearest training distance"
    # P(distance > r) = E (1 - length of [x - r, x + r] in [0, 1])^n, integrated over r.
    truth = (n + 3) / (2 * (n + 1) * (n + 2))
    why = "the truth is that of n training points, edges included"
    run = between(nearest, uniform, uniform, n)
    yield Case("uniform on [0, 1]", name, _DATA_UNITS, truth, (0, 0), why, n, repeats, run)
    for d in (2, 20):
        why = "a step far shorter than the spacing leaves the own point the nearest"
        run = on_image(nearest, normal(d), 256, lambda x: x + 1e-6 / math.sqrt(x.shape[1]))
        where = f"{d}-D near copies"
        yield Case(where, name, _DATA_UNITS, 1e-6, (0, 0), why, 256, 2, run)
