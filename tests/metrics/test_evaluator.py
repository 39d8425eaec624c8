"""One evaluator for all runs: the same noise, data and sizes whatever makes the samples."""

import dataclasses
import math

import numpy as np
import pytest
import torch
from scipy import special

from gan_lab.data.base import Distribution, TensorSource
from gan_lab.data.digits import Digits
from gan_lab.data.toy import Gaussian1d, Ring
from gan_lab.engine.rng import stream
from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings
from gan_lab.metrics.metrics import (
    Diversity,
    JensenShannon,
    Kernel,
    KullbackLeibler,
    SlicedWasserstein,
    Wasserstein,
)
from gan_lab.metrics.wasserstein import exact_wasserstein
from tests.helpers import CPU

SETTINGS = EvaluatorSettings(n=50, n_repeats=3, final_n=60, final_n_repeats=5, floor_n_repeats=4)
METRICS = {"wasserstein": Wasserstein(), "neighbours": Diversity()}
WASSERSTEIN = "divergence/wasserstein"


def evaluator_of(data=None, latent_dim=2, **changes):
    settings = dataclasses.replace(SETTINGS, **changes)
    return Evaluator(settings, METRICS, (data or Ring()).open(CPU), latent_dim)


class Pareto(Distribution):
    """Points on the line whose variance is infinite."""

    shape = (1,)
    singular = True

    def sample(self, n, generator):
        return (1 - torch.rand(n, 1, generator=generator)) ** (-1 / 1.5)


def test_heavy_tails_of_the_data_mark_the_intervals_of_every_run():
    marks = {}
    for name, data in (("heavy", Pareto()), ("light", Gaussian1d())):
        evaluator = evaluator_of(data, floor_n_repeats=200)
        # A generator's own 3 repeats cannot tell: what marks them are the 200 of the floor.
        estimates = evaluator.measure(lambda z: z[:, :1], seed=0, step=1)
        marks[name] = estimates[WASSERSTEIN].is_skewed
        assert evaluator.floors() == {tag: e.floor for tag, e in estimates.items()}
    assert marks == {"heavy": True, "light": False}


def spying(calls, make):
    def made(z):
        calls.append(z.clone())
        return make(z)

    return made


def test_a_measurement_is_a_function_of_seed_and_step():
    make = torch.tanh
    first = evaluator_of().measure(make, seed=0, step=200)
    assert evaluator_of().measure(make, seed=0, step=200) == first
    # Whatever was measured before and whatever happened to the global generator.
    used = evaluator_of()
    used.measure(make, seed=0, step=0)
    torch.manual_seed(3)
    assert used.measure(make, seed=0, step=200) == first
    assert evaluator_of().measure(make, seed=1, step=200) != first
    assert evaluator_of().measure(make, seed=0, step=201) != first


def test_every_generator_gets_the_same_noise():
    first, second = [], []
    evaluator_of().measure(spying(first, torch.tanh), seed=0, step=7)
    evaluator_of().measure(spying(second, lambda z: 3 * z + 1), seed=0, step=7)
    first, second = torch.cat(first), torch.cat(second)
    assert first.shape == (3 * 50, 2)
    assert torch.equal(first, second)
    assert not torch.equal(first[:50], first[50:100])
    calls = []  # the end of a run takes more repeats of more samples
    measured = evaluator_of().measure(spying(calls, torch.tanh), seed=0, step=7, final=True)
    assert [tuple(z.shape) for z in calls] == [(60, 2)] * 5
    assert {estimate.n for estimate in measured.values()} == {60}


@pytest.mark.parametrize("n", [50, 300])  # repeats together, and one by one
def test_repeats_that_are_made_together_have_the_numbers_of_each_alone(n):
    """The noise and the real draws follow each other repeat by repeat; each gives its number."""
    source, values = Ring().open(CPU), []
    generator = stream(0, "ruler/step 7")
    for _ in range(3):
        samples = torch.tanh(torch.randn(n, 2, generator=generator))
        values.append(exact_wasserstein(samples, source.validation(n, generator)))
    estimate = evaluator_of(n=n).measure(torch.tanh, seed=0, step=7)[WASSERSTEIN]
    assert estimate.value == pytest.approx(sum(values) / 3, abs=1e-12)
    half = special.stdtrit(2, 0.975) * np.std(values, ddof=1) / math.sqrt(3)
    assert estimate.high - estimate.value == pytest.approx(half, abs=1e-12)


@pytest.mark.parametrize("data", [Ring(), Gaussian1d(), Digits(n_held_out=60)])
def test_metrics_that_share_distances_have_the_numbers_of_each_alone(data):
    source = data.open(CPU)
    shape = source.shape
    metrics = {
        **METRICS,
        **{"kl": KullbackLeibler(), "js": JensenShannon(), "kernel": Kernel()},
        "sliced_wasserstein": SlicedWasserstein(),
    }

    def measure(chosen):
        evaluator = Evaluator(SETTINGS, chosen, source, math.prod(shape))
        return evaluator.measure(lambda z: torch.tanh(z).reshape(-1, *shape), seed=0, step=7)

    together = measure(metrics)
    alone = [measure({name: metric}) for name, metric in metrics.items()]
    values = {tag: e.value for each in alone for tag, e in each.items()}
    assert {tag: e.value for tag, e in together.items()} == pytest.approx(
        values, abs=1e-12, nan_ok=True
    )


def test_every_estimate_stands_beside_its_floor():
    evaluator = evaluator_of()
    measured = evaluator.measure(torch.tanh, seed=0, step=0)
    floors = evaluator.floors()
    assert set(measured) == set(floors) == {WASSERSTEIN, "samples/pairwise_distance"}
    for tag, estimate in measured.items():
        assert estimate.floor == floors[tag] > 0
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.unit) == (50, "data units")


def test_the_floor_is_the_same_for_every_seed_and_differs_with_n():
    early, late = evaluator_of(), evaluator_of()
    late.measure(torch.tanh, seed=5, step=3)
    assert early.floors() == late.floors()
    assert early.floors(final=True) != early.floors()


@pytest.mark.parametrize("n_repeats", [2, 5])
def test_the_floor_is_the_mean_over_its_draws(n_repeats):
    source, values = Ring().open(CPU), []
    generator = stream(0, "ruler/floor 50")
    for _ in range(n_repeats):
        perfect, real = source.validation(50, generator), source.real(50, generator)
        values.append(exact_wasserstein(perfect, real))
    floor = evaluator_of(floor_n_repeats=n_repeats).floors()[WASSERSTEIN]
    assert floor == pytest.approx(sum(values) / n_repeats, abs=1e-12)


def test_a_perfect_generator_stands_at_its_floor():
    evaluator = evaluator_of(Gaussian1d(0.0, 1.0), 1, n=200, n_repeats=20, floor_n_repeats=40)
    estimate = evaluator.measure(lambda z: z, seed=0, step=0)[WASSERSTEIN]
    # Equal in expectation; both have errors of their own.
    assert estimate.low - 0.02 <= estimate.floor <= estimate.high + 0.02


def test_a_shifted_generator_is_measured_at_its_shift():
    evaluator = evaluator_of(Gaussian1d(0.0, 1.0), 1, n=1000, n_repeats=10, floor_n_repeats=2)
    estimate = evaluator.measure(lambda z: z + 5, seed=0, step=0)[WASSERSTEIN]
    assert estimate.value == pytest.approx(5.0, abs=0.05)
    assert estimate.low <= 5.0 <= estimate.high


@pytest.mark.parametrize("final", [False, True])
@pytest.mark.parametrize(("asked", "there", "got"), [(500, 40, 40), (30, 40, 30)])
def test_n_is_limited_by_the_part_that_is_read(asked, there, got, final):
    sizes = {"n_held_out": there} if final else {"n_validation": there}
    evaluator = evaluator_of(Digits(**sizes), 64, n=asked, final_n=asked, floor_n_repeats=2)
    measured = evaluator.measure(
        lambda z: z.tanh().reshape(-1, 1, 8, 8), seed=0, step=0, final=final
    )
    assert evaluator.n(final) == got
    assert {estimate.n for estimate in measured.values()} == {got}


def test_the_curve_reads_the_validation_part_and_the_end_the_held_out_one():
    """A generator that has copied a part is perfect where that part is read, and there alone."""
    source = Digits(n_held_out=30, n_validation=30).open(CPU)
    settings = dataclasses.replace(SETTINGS, n=30, final_n=30)
    for part, is_final in (("validation", False), ("held_out", True)):
        copied = getattr(source, part)(30, torch.Generator().manual_seed(0))
        for final in (False, True):
            evaluator = Evaluator(settings, METRICS, source, 64)
            found = evaluator.measure(
                lambda z, x=copied: x.repeat(len(z) // 30, 1, 1, 1), seed=0, step=0, final=final
            )
            assert (found[WASSERSTEIN].value < 1e-6) == (final == is_final)
            assert found[WASSERSTEIN].floor > 1


def test_the_floor_of_the_curve_is_that_of_the_validation_part():
    """Validation samples far from the training data have a high floor; held-out ones do not."""
    near, far = torch.zeros(60, 1), torch.full((60, 1), 7.0)
    evaluator = Evaluator(SETTINGS, METRICS, TensorSource(near, far, near, CPU), 1)
    assert evaluator.floors()[WASSERSTEIN] == pytest.approx(7.0, abs=1e-6)
    assert evaluator.floors(final=True)[WASSERSTEIN] == pytest.approx(0.0, abs=1e-6)


def test_one_number_alone_is_the_number_among_all():
    evaluator = evaluator_of()
    everything = evaluator.measure(torch.tanh, seed=0, step=7, final=True)
    alone = evaluator_of().measure(torch.tanh, seed=0, step=7, final=True, only=WASSERSTEIN)
    assert set(alone) == {WASSERSTEIN}
    assert alone == {WASSERSTEIN: everything[WASSERSTEIN]}


def test_the_evaluator_remembers_the_curve_and_not_the_end():
    evaluator = evaluator_of()
    curve = evaluator.measure(torch.tanh, seed=3, step=7)
    evaluator.measure(torch.tanh, seed=3, step=7, final=True)
    assert evaluator.newest[3] == curve


@pytest.mark.parametrize(("latent_dim", "defined"), [(1, False), (2, True)])
def test_kl_of_a_generator_of_too_few_dimensions_is_undefined(latent_dim, defined):
    evaluator = Evaluator(SETTINGS, {"kl": KullbackLeibler()}, Ring().open(CPU), latent_dim)
    for estimate in evaluator.measure(lambda z: z[:, [0, -1]] + 0.1, seed=0, step=0).values():
        assert math.isfinite(estimate.value) == defined
        assert math.isfinite(estimate.floor) == defined


def test_finite_data_are_measured_for_copying_too():
    evaluator = evaluator_of(Digits(), 1, floor_n_repeats=2)
    source = evaluator.source
    train = source.real(source.n_train, torch.Generator().manual_seed(0))
    measured = evaluator.measure(lambda z: train[: len(z)], seed=0, step=0)
    copied = measured["samples/nearest_train_distance"]
    assert copied.value == pytest.approx(0, abs=1e-12)
    assert copied.floor > 1  # held-out digits are no copies


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *(("every", -1), ("budget", 0.0), ("budget", math.nan), ("n", 1), ("n_repeats", 1)),
        *(("final_n", 0), ("final_n_repeats", 1.5), ("floor_n_repeats", 0)),
    ],
)
def test_settings_that_cannot_measure_are_refused_by_name(key, value):
    with pytest.raises(ValueError, match=rf"EvaluatorSettings\.{key}="):
        EvaluatorSettings(**{key: value})
