"""Cases of KL, entropy, JS and the modes."""

import math
from collections.abc import Iterator

import torch
from torch import Generator, Tensor

from gan_lab.data.base import Distribution
from gan_lab.data.toy import Grid, Mixture, Ring
from gan_lab.information import closed_forms
from gan_lab.metrics import histogram, knn, metrics, mode_coverage
from gan_lab.selfcheck import expectations as expected
from gan_lab.selfcheck.checks import Case
from gan_lab.selfcheck.samples import (
    CPU,
    EXACT,
    MIXTURE,
    NO_BIAS,
    Draw,
    Normal,
    Once,
    between,
    draws_of,
    gaussian_kl,
    mixture_truth,
    normal,
    segment,
)

_NATS = "nats"
K = metrics.KullbackLeibler().k


# Estimators are module attributes at the call, so that a test can plant an error.
def _kl(a: Tensor, b: Tensor) -> float:
    return knn.knn_kl(a, b, K)


def _js(a: Tensor, b: Tensor) -> float:
    return knn.knn_js(a, b)


def _histogram_js(a: Tensor, b: Tensor) -> float:
    return histogram.histogram_js(a, b)


def by_density(data: Distribution, fake: Draw, n: int) -> Once:
    """Return KL of the fake from the data as the evaluator takes it, by samples and density."""
    source = data.open(CPU)

    def once(generator: Generator) -> float:
        evaluate = metrics.KullbackLeibler().prepare(source)
        # Of the metric's two numbers, that from the held-out samples is not used.
        few = source.held_out(2 * K, generator)
        return evaluate(fake(generator, n), few)["divergence/kl_fake_real"]

    return once


def kl_cases(more: int) -> Iterator[Case]:
    """Yield cases of KL by nearest neighbours, KL against the exact density, and entropy."""
    near, density, repeats = "KL nearest neighbours", "KL exact density", 40 * more
    for d in (1, 2, 16):
        n = 512 if d == 16 else 1024
        for t, std in ((3.0, 1.0), (1.0, 2.0), (0.5, 0.5)):
            where = f"{d}-D Gaussians, shift {t:g}, std {std:g}"
            truth = gaussian_kl(d, t, std)
            at = expected.knn_kl(n, K, d, t, std) - truth
            run = between(_kl, normal(d), normal(d, t, std), n)
            yield Case(where, near, _NATS, truth, (at, at), EXACT, n, repeats, run)
            truth = gaussian_kl(d, t / std, 1 / std)
            at = expected.entropy(d, std) - expected.knn_entropy(n, K, d, std)
            run = by_density(Normal(d), normal(d, t, std), n)
            yield Case(where, density, _NATS, truth, (at, at), EXACT, n, repeats, run)

        def own(g: Generator, d: int = d, n: int = n) -> float:
            return knn.knn_entropy(normal(d, 0.0, 2.0)(g, n), K)

        truth = expected.entropy(d, 2.0)
        at = expected.knn_entropy(n, K, d, 2.0) - truth
        where, name = f"{d}-D Gaussian, std 2", "entropy nearest neighbours"
        yield Case(where, name, _NATS, truth, (at, at), EXACT, n, repeats, own)
    n = 1024
    at = expected.entropy(1) - expected.knn_entropy(n, K, 1)
    run, truth = by_density(MIXTURE, normal(1), n), mixture_truth()["kl"]
    yield Case("1-D Gaussian to mixture", density, _NATS, truth, (at, at), EXACT, n, repeats, run)

    def collapse(g: Generator) -> float:
        return _kl(normal(2)(g, 1).expand(64, 2), normal(2)(g, 64))

    why, where = "samples that coincide have no density", "2-D collapse to a point"
    yield Case(where, near, _NATS, math.inf, (0, 0), why, 64, 2, collapse)


def js_cases(more: int) -> Iterator[Case]:
    """Yield cases of JS by nearest neighbours and by counting."""
    near, histogram_name, n = "JS nearest neighbours", "JS histogram", 1024
    k = round(math.sqrt(2 * n))
    theory = closed_forms.smoothed_segments
    wide = closed_forms.gaussians(0.0, 1.0, 0.0, 4.0).js
    pairs: dict[str, tuple[Draw, Draw, float]] = {
        "1-D Gaussians, shift 1": (normal(1), normal(1, 1.0), theory(1.0, 1.0).js),
        "1-D Gaussians, shift 3": (normal(1), normal(1, 3.0), theory(3.0, 1.0).js),
        "2-D Gaussians, shift 3": (normal(2), normal(2, 3.0), theory(3.0, 1.0).js),
        "1-D Gaussians, std 4": (normal(1), normal(1, 0.0, 4.0), wide),
        "blurred segments, t 4": (segment(0, 0.25), segment(1, 0.25), theory(1.0, 0.25).js),
        "1-D mixture to Gaussian": (draws_of(MIXTURE), normal(1), mixture_truth()["js"]),
    }
    for where, (a, b, truth) in pairs.items():
        # k votes cost 1/(2k) nats to first order (one parameter a neighbourhood); twice that leaves
        # room for the neighbourhoods' width, which is of second order in d <= 2.
        why = "theorem: a lower bound; k votes cost 1/(2k), as much again for their width"
        run = between(_js, a, b, n)
        yield Case(where, near, _NATS, truth, (-1 / k, 0.0), why, n, 10 * more, run)
    at = -math.log((k + 1) / (k + 0.5))
    run = between(_js, segment(0.0), segment(1.0), n)
    why = "every neighbour is of the own side: log 2 - log((k + 1)/(k + 1/2)), no noise"
    yield Case("segments, theta 1", near, _NATS, math.log(2), (at, at), why, n, 3, run)
    truth = theory(3.0, 1.0).js
    why = "theorem: a lower bound; at this distance better than guessing"
    run = between(_js, normal(16), normal(16, 3.0), 256)
    where = "16-D Gaussians, shift 3"
    yield Case(where, near, _NATS, truth, (-truth, 0.0), why, 256, 10 * more, run)
    n = 4096
    for d, t, std in ((1, 1.0, 1.0), (1, 3.0, 1.0), (1, 0.0, 4.0), (2, 1.0, 1.0), (2, 3.0, 1.0)):
        bins = round(n ** (1 / (2 + d)))
        outer = (bins + 2) ** d - bins**d
        truth = theory(t, 1.0).js if std == 1 else wide
        at = expected.histogram_js(n, *expected.cells(bins, d, t, std)) - truth
        why = "exact for fixed cells; edges follow the sample: 1/(4n) an outer cell, 4/n in all"
        slack = (outer / 4 + 4) / n
        where = f"{d}-D Gaussians, shift {t:g}, std {std:g}"
        run = between(_histogram_js, normal(d), normal(d, t, std), n)
        band = (at - slack, at + slack)
        yield Case(where, histogram_name, _NATS, truth, band, why, n, 40 * more, run)
    why = "no cell holds both: log 2, no noise"
    for theta in (-1.0, 1.0):
        where = f"segments, theta {theta:g}"
        run = between(_histogram_js, segment(0.0), segment(theta), 256)
        yield Case(where, histogram_name, _NATS, math.log(2), (0, 0), why, 256, 3, run)


def mode_cases(more: int) -> Iterator[Case]:
    """Yield cases of modes covered, of high quality, and KL of their shares."""
    n, repeats = 1000, 20 * more

    def statistic(data: Mixture, tag: str, n_modes: int) -> Once:
        modes = data.modes(CPU)
        centres = data.components().centres[:n_modes].float()

        def once(g: Generator) -> float:
            std = float(data.components().stds[0])
            which = torch.randint(n_modes, (n,), generator=g)
            x = centres[which] + std * torch.randn(n, 2, generator=g)
            return mode_coverage.mode_statistics(x, modes)[tag]

        return once

    ring, grid = Ring(), Grid()
    why = "no mode is missed but with probability e^-40"
    for label, data, n_modes in (("ring, 5 of 8", ring, 5), ("grid, 25 of 25", grid, 25)):
        run = statistic(data, "modes/covered", n_modes)
        name = "modes covered"
        yield Case(label, name, "modes", float(n_modes), (0, 0), why, n, repeats, run)
    for label, data, n_modes in (("ring", ring, 8), ("grid", grid, 25)):
        run = statistic(data, "modes/high_quality", n_modes)
        truth, where = 1 - math.exp(-4.5), f"{label}, perfect"
        yield Case(where, "high quality", "1", truth, (0, 0), NO_BIAS, n, repeats, run)
    for where, data, n_modes, k in (("ring, 4 of 8", ring, 4, 8), ("grid, 25 of 25", grid, 25, 25)):
        run = statistic(data, "modes/kl", n_modes)
        at, truth = (n_modes - 1) / (2 * n), math.log(k / n_modes)
        why = "(K - 1)/(2n) for the K modes that are reached, the next order is 1/n^2"
        slack = (n_modes / n) ** 2
        band = (at - slack, at + slack)
        yield Case(where, "KL of modes", _NATS, truth, band, why, n, repeats, run)
