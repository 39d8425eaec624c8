"""Cases of the distances and scores of features, on clouds in place of features."""

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from gan_lab.metrics.features import frechet, kernel_distance, manifold, scores
from gan_lab.selfcheck import expectations as expected
from gan_lab.selfcheck.checks import Case
from gan_lab.selfcheck.samples import (
    EXACT,
    NO_BIAS,
    Pair,
    between,
    double,
    normal,
    on_image,
    shift_by_2,
)

K = 5


# Estimators are module attributes at the call, so that a test can plant an error.
def fd(a: Tensor, b: Tensor) -> float:
    """Return the relative Frechet distance."""
    return frechet.relative_frechet_distance(a, b)


def kernel_distance_of(scale: float) -> Pair:
    """Return the kernel distance with a fixed scale, which makes it unbiased."""
    return lambda a, b: kernel_distance.kernel_distance(a, b, scale)[0]


def manifold_metric(name: str) -> Pair:
    """Return precision, recall, density or coverage."""
    return lambda a, b: float(getattr(manifold.manifold_metrics(a, b, K), name))


def feature_cases(more: int) -> Iterator[Case]:
    """Yield cases of FD, kernel distance, precision, recall, density, coverage and score."""
    unit, repeats = "1", 20 * more
    for d in (1, 2, 16):
        n = 256
        # tr(S) of n points is chi-squared with d (n - 1) degrees of freedom, over n - 1.
        inverse = (n - 1) / (d * (n - 1) - 2)
        truth, at = 4 / d, 4 * inverse
        run = on_image(fd, normal(d), n, shift_by_2)
        where, bias = f"{d}-D shift 2, one cloud", (at - truth, at - truth)
        yield Case(where, "FD", unit, truth, bias, EXACT, n, repeats, run)
        # (2 - 1)^2 tr(S) + |mean|^2 over 4 tr(S).
        truth, at = 0.25, 0.25 + d / n * inverse / 4
        run = on_image(fd, normal(d), n, double)
        where, bias = f"{d}-D scale 2, one cloud", (at - truth, at - truth)
        yield Case(where, "FD", unit, truth, bias, EXACT, n, repeats, run)
        for t, std in ((0.0, 1.0), (2.0, 1.5)):
            run = between(kernel_distance_of(d), normal(d, t, std), normal(d), n)
            where = f"{d}-D Gaussians, shift {t:g}, std {std:g}"
            truth = expected.cubic_kernel_distance(d, t, std, d)
            bias = (0.0, 0.0)
            args = (truth, bias, NO_BIAS, n, 4 * repeats, run)
            yield Case(where, "kernel distance", unit, *args)
        where = f"{d}-D Gaussians, equal"
        run = between(manifold_metric("density"), normal(d), normal(d), n)
        yield Case(where, "density", unit, 1.0, (0.0, 0.0), NO_BIAS, n, repeats, run)
        truth = expected.ball_coverage(n, n, K)
        run = between(manifold_metric("coverage"), normal(d), normal(d), n)
        yield Case(where, "coverage", unit, truth, (0.0, 0.0), EXACT, n, repeats, run)
        for name in ("precision", "recall"):
            why = "every point lies in its own ball"
            run = on_image(manifold_metric(name), normal(d), n, lambda x: x)
            yield Case(f"{d}-D copies", name, unit, 1.0, (0.0, 0.0), why, n, 2, run)
            why = "no ball reaches from one cloud to the other"
            run = between(manifold_metric(name), normal(d), normal(d, 100.0), n)
            yield Case(f"{d}-D shift 100", name, unit, 0.0, (0.0, 0.0), why, n, 2, run)
    n, n_classes = 1024, 4

    def score(generator: Generator) -> float:
        labels = torch.randint(n_classes, (n,), generator=generator)
        sure = torch.nn.functional.one_hot(labels, n_classes).double()
        return scores.classifier_score(sure.log())

    # H of n draws is log K - (K - 1)/(2 n) in expectation; the next order is 1/n^2.
    at = -n_classes * (n_classes - 1) / (2 * n)
    why = "K exp(-(K - 1)/(2 n)), the next order is 1/n^2"
    slack = (n_classes / math.sqrt(n)) ** 4
    bias = (at - slack, at + slack)
    where = f"{n_classes} sure classes"
    yield Case(where, "classifier score", unit, float(n_classes), bias, why, n, repeats, score)
