"""Bias of every estimator against the number of samples."""

import math
from collections.abc import Iterator

import torch

from gan_lab.data.toy import Ring
from gan_lab.information import closed_forms
from gan_lab.metrics import histogram, kernel, knn, mode_coverage, wasserstein
from gan_lab.selfcheck import expectations as expected
from gan_lab.selfcheck.checks import Case
from gan_lab.selfcheck.divergences import K, by_density
from gan_lab.selfcheck.features import fd
from gan_lab.selfcheck.samples import CPU, EXACT, NO_BIAS, Normal, Once, between, normal

_SIZES = (64, 128, 256, 512, 1024, 2048, 4096)
_MAX_ASSIGNMENT = 1024  # an assignment of more points takes seconds
_SHIFT = 2.0


def bias_cases(quick: bool = False) -> Iterator[Case]:
    """Yield one situation for each estimator, at 64 to 4096 samples; quick stops at 1024."""
    for n in _SIZES[0:5:2] if quick else _SIZES:
        yield from _at(n, max(20, (10_000 if quick else 40_000) // n))


def _at(n: int, repeats: int) -> Iterator[Case]:
    a, b = normal(2), normal(2, _SHIFT)
    js = closed_forms.smoothed_segments(_SHIFT, 1.0).js
    width = 2.0

    def case(
        estimator: str,
        unit: str,
        truth: float,
        bias: tuple[float, float],
        why: str,
        run: Once,
        repeats: int = repeats,
    ) -> Case:
        return Case(f"n = {n}", estimator, unit, truth, bias, why, n, repeats, run)

    floor = expected.wasserstein_floor(n)
    run = between(lambda x, y: wasserstein.exact_wasserstein(x, y), normal(1), normal(1), n)
    yield case("W1 exact, 1-D", "data units", 0.0, (floor, floor), EXACT, run)
    if n <= _MAX_ASSIGNMENT:
        run = between(lambda x, y: wasserstein.exact_wasserstein(x, y), a, b, n)
        limit = math.sqrt(2) * expected.mean_norm(2, _SHIFT / math.sqrt(2)) - _SHIFT
        why = "theorem: Jensen below, the cost of pairing at random above"
        few = 20 if n < _MAX_ASSIGNMENT else 4
        yield case("W1 exact, 2-D", "data units", _SHIFT, (0.0, limit), why, run, few)
    run = between(lambda x, y: wasserstein.sliced_wasserstein(x, y), normal(2), normal(2), n)
    yield case("sliced W1, 2-D", "data units", 0.0, (floor, floor), EXACT, run)
    run = between(lambda x, y: kernel.energy_distance(x, y), a, b, n)
    truth, few = expected.energy(2, _SHIFT, 1.0), repeats if n < 2048 else 10
    yield case("energy distance, 2-D", "data units", truth, (0, 0), NO_BIAS, run, few)
    run = between(lambda x, y: kernel.mmd_squared(x, y, width), a, b, n)
    truth = expected.mmd_squared(2, _SHIFT, 1.0, width)
    yield case("MMD^2, 2-D", "1", truth, (0, 0), NO_BIAS, run, few)
    # Near I the root part is |S_x - S_y|^2/4: 2 d/n + d (d + 1)/(2 n) in all, over tr I = d.
    run = between(fd, normal(2), normal(2), n)
    at, slack = 3.5 / n, 12 / n**2
    why = "2/n + (d + 1)/(2 n), the next order is 1/n^2"
    yield case("FD, 2-D", "1", 0.0, (at - slack, at + slack), why, run)
    for d in (2, 16):
        truth, at = _SHIFT**2 / 2, expected.knn_kl(n, K, d, _SHIFT, 1.0) - _SHIFT**2 / 2
        run = between(lambda x, y: knn.knn_kl(x, y, K), normal(d), normal(d, _SHIFT), n)
        label = f"KL nearest neighbours, {d}-D"
        yield case(label, "nats", truth, (at, at), EXACT, run, 20 if d > 2 else repeats)
    at = expected.entropy(2) - expected.knn_entropy(n, K, 2)
    run = by_density(Normal(2), b, n)
    yield case("KL exact density, 2-D", "nats", _SHIFT**2 / 2, (at, at), EXACT, run)
    run = between(lambda x, y: knn.knn_js(x, y), a, b, n)
    why = "theorem: a lower bound; better than guessing"
    yield case("JS nearest neighbours, 2-D", "nats", js, (-js, 0.0), why, run, 20)
    bins = max(2, round(n ** (1 / 3)))
    at = expected.histogram_js(n, *expected.cells(bins, 1, _SHIFT, 1.0)) - js
    run = between(lambda x, y: histogram.histogram_js(x, y), normal(1), normal(1, _SHIFT), n)
    why = "exact for fixed cells; edges follow the sample: 1/(4n) an outer cell, 4/n in all"
    yield case("JS histogram, 1-D", "nats", js, (at - 4.5 / n, at + 4.5 / n), why, run)
    ring = Ring()
    modes = ring.modes(CPU)

    def shares(generator: torch.Generator) -> float:
        return mode_coverage.mode_statistics(ring.sample(n, generator), modes)["modes/kl"]

    why = "(K - 1)/(2n), the next order is 1/n^2"
    at, slack = 7 / (2 * n), (8 / n) ** 2
    yield case("KL of modes, ring", "nats", 0.0, (at - slack, at + slack), why, shares)
