"""One ruler for all runs: the same noise, data and sizes whatever makes the samples."""

import dataclasses

import pytest
import torch

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Gaussian1d, Ring
from gan_lab.estimators.ruler import WASSERSTEIN, Ruler, RulerSettings
from tests.helpers import CPU

SETTINGS = RulerSettings(n=50, n_repeats=3, final_n_repeats=5, floor_n_repeats=4)


def ring_ruler(seed=0, settings=SETTINGS):
    return Ruler(settings, Ring().open(CPU), seed, latent_dim=2)


def spying(calls, make):
    def made(z):
        calls.append(z.clone())
        return make(z)

    return made


def same(a, b):
    return {k: dataclasses.astuple(v) for k, v in a.items()} == {
        k: dataclasses.astuple(v) for k, v in b.items()
    }


def test_a_measurement_is_a_function_of_seed_and_step():
    make = torch.tanh
    first = ring_ruler().measure(make, step=200)
    assert same(ring_ruler().measure(make, step=200), first)
    # Whatever was measured before and whatever happened to the global generator.
    used = ring_ruler()
    used.measure(make, step=0)
    torch.manual_seed(3)
    assert same(used.measure(make, step=200), first)
    assert not same(ring_ruler(seed=1).measure(make, step=200), first)
    assert not same(ring_ruler().measure(make, step=201), first)


def test_every_generator_gets_the_same_noise():
    first, second = [], []
    ring_ruler().measure(spying(first, torch.tanh), step=7)
    ring_ruler().measure(spying(second, lambda z: 3 * z + 1), step=7)
    assert len(first) == len(second) == 3
    assert all(torch.equal(a, b) for a, b in zip(first, second, strict=True))
    assert not torch.equal(first[0], first[1])
    assert first[0].shape == (50, 2)


def test_the_end_of_a_run_takes_more_repeats():
    calls = []
    ring_ruler().measure(spying(calls, torch.tanh), step=7, final=True)
    assert len(calls) == 5


def test_every_estimate_stands_beside_its_floor():
    ruler = ring_ruler()
    measured = ruler.measure(torch.tanh, step=0)
    floors = ruler.floors()
    assert set(measured) == set(floors) == {WASSERSTEIN, "samples/pairwise_distance"}
    for tag, estimate in measured.items():
        assert estimate.floor == floors[tag] > 0
        assert estimate.low < estimate.value < estimate.high
        assert (estimate.n, estimate.unit) == (50, "data units")


def test_the_floor_is_a_function_of_the_seed_alone():
    early, late = ring_ruler(), ring_ruler()
    late.measure(torch.tanh, step=3)
    assert early.floors() == late.floors()
    assert early.floors() != ring_ruler(seed=1).floors()


def test_a_perfect_generator_stands_at_its_floor():
    settings = RulerSettings(n=200, n_repeats=20, floor_n_repeats=40)
    ruler = Ruler(settings, Gaussian1d(0.0, 1.0).open(CPU), 0, latent_dim=1)
    estimate = ruler.measure(lambda z: z, step=0)[WASSERSTEIN]
    assert estimate.floor is not None
    # Equal in expectation; both have errors of their own.
    assert estimate.low - 0.02 <= estimate.floor <= estimate.high + 0.02


def test_a_shifted_generator_is_measured_at_its_shift():
    settings = RulerSettings(n=1000, n_repeats=10, floor_n_repeats=2)
    ruler = Ruler(settings, Gaussian1d(0.0, 1.0).open(CPU), 0, latent_dim=1)
    estimate = ruler.measure(lambda z: z + 5, step=0)[WASSERSTEIN]
    assert estimate.value == pytest.approx(5.0, abs=0.05)
    assert estimate.low <= 5.0 <= estimate.high


@pytest.mark.parametrize(("asked", "held_out", "got"), [(500, 40, 40), (30, 40, 30)])
def test_n_is_limited_by_what_is_held_out(asked, held_out, got):
    source = Digits(n_held_out=held_out).open(CPU)
    settings = dataclasses.replace(SETTINGS, n=asked, floor_n_repeats=2)
    ruler = Ruler(settings, source, 0, latent_dim=64)
    measured = ruler.measure(lambda z: z.tanh().reshape(-1, 1, 8, 8), step=0)
    assert ruler.n == got
    assert {estimate.n for estimate in measured.values()} == {got}


def test_finite_data_are_measured_for_copying_too():
    source = Digits().open(CPU)
    ruler = Ruler(dataclasses.replace(SETTINGS, floor_n_repeats=2), source, 0, latent_dim=1)
    train = source.real(source.n_train, torch.Generator().manual_seed(0))
    measured = ruler.measure(lambda z: train[: len(z)], step=0)
    copied = measured["samples/nearest_train_distance"]
    assert copied.value == pytest.approx(0, abs=1e-12)
    assert copied.floor is not None
    assert copied.floor > 1  # held-out digits are no copies


@pytest.mark.parametrize(
    ("key", "value"),
    [("every", 0), ("n", 1), ("n_repeats", 1), ("final_n_repeats", 1.5), ("floor_n_repeats", 0)],
)
def test_settings_that_cannot_measure_are_refused_by_name(key, value):
    with pytest.raises(ValueError, match=rf"RulerSettings\.{key}="):
        RulerSettings(**{key: value})
