"""When a run is measured follows from its configuration alone, and stays cheap."""

import dataclasses
import math
from pathlib import Path

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from gan_lab.networks.base import on_meta
from gan_lab.networks.dcgan import Dcgan
from gan_lab.networks.mlp import Mlp
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.intervals import Intervals, choose_intervals, count_products, round_up
from tests.helpers import CHEAP, rows, run_config, small_config, train

SHAPES = {"ring": (2,), "digits": (1, 8, 8)}


@given(st.integers(1, 2**40))
def test_an_interval_is_a_power_of_two_or_one_and_a_half_times_one_and_less_than_half_too_long(n):
    interval = round_up(n)
    odd = interval
    while odd % 2 == 0:
        odd //= 2
    assert odd in (1, 3)
    assert n <= interval < 1.5 * n


def test_the_grid_rounds_up():
    numbers = [0.1, 1, 1.1, 2.5, 3.1, 4, 4.5, 6.1, 9, 13, 17]
    assert list(map(round_up, numbers)) == [1, 1, 2, 3, 4, 4, 6, 8, 12, 16, 24]


@pytest.mark.parametrize("data", SHAPES)
@pytest.mark.parametrize("steps", [1, 31, 33, 1000, 4097, 10**6])
def test_a_run_is_measured_and_drawn_32_times_at_most_at_steps_that_nest(data, steps):
    config = run_config(f"data={data}", f"trainer.steps={steps}")
    intervals = choose_intervals(config, SHAPES[data])
    assert intervals == choose_intervals(config, SHAPES[data])
    assert max(steps // interval for interval in intervals) <= 32
    # One in three of an interval's steps, at least, is a step of every shorter one.
    for long in intervals:
        assert all(math.lcm(long, short) <= 3 * long for short in intervals if short < long)


def test_a_long_run_is_measured_some_32_times():
    intervals = choose_intervals(run_config("trainer.steps=100000"), (2,))
    assert all(16 <= 100_000 / interval <= 32 for interval in intervals)


def test_typed_keys_win():
    keys = ("evaluator.every=7", "trainer.image_every=0", "trainer.landscape_every=11")
    assert choose_intervals(run_config(*keys), (2,)) == Intervals(7, 0, 11)
    chosen = choose_intervals(run_config(), (2,))
    assert choose_intervals(run_config(keys[0]), (2,)) == chosen._replace(evaluation=7)
    assert choose_intervals(run_config(keys[1]), (2,)) == chosen._replace(image=0)
    assert choose_intervals(run_config(keys[2]), (2,)) == chosen._replace(landscape=11)


def intervals_of(width=8, batch=8, n=256, repeats=4, **trainer):
    config = small_config(network=Mlp(2, width, 2), batch_size=batch, steps=64, **trainer)
    settings = dataclasses.replace(config.evaluator, n=n, n_repeats=repeats)
    return choose_intervals(dataclasses.replace(config, evaluator=settings), (2,))


def test_dearer_measurements_are_rarer_and_dearer_steps_make_them_no_rarer():
    base = intervals_of()
    assert intervals_of(n=512).evaluation == pytest.approx(4 * base.evaluation, rel=0.5)
    assert intervals_of(repeats=8).evaluation == pytest.approx(2 * base.evaluation, rel=0.5)
    assert intervals_of(n=512, repeats=8)[1:] == base[1:]
    for dear in ({"width": 2048}, {"batch": 65536}, {"n_critic": 50}, {"n_generator": 50}):
        assert all(a < b for a, b in zip(intervals_of(**dear), base, strict=True)), dear


@given(*[st.integers(3, 11)] * 2, *[st.integers(4, 10)] * 2, st.integers(1, 9), st.integers(1, 9))
def test_the_cost_model_is_monotone(width, batch, n, more_n, critic, more_critic):
    sizes = {"width": 2**width, "batch": 2**batch, "n": 2**n, "n_critic": critic}
    base = intervals_of(**sizes)
    assert intervals_of(**{**sizes, "n": 2**n + more_n}).evaluation >= base.evaluation
    slower = intervals_of(**{**sizes, "n_critic": critic + more_critic})
    assert all(a <= b for a, b in zip(slower, base, strict=True))


# Multiplications


def products_of(network, shape):
    modules = zip(on_meta(network, shape), ((network.latent_dim,), shape), strict=True)
    n = 2 * network.packing
    return [count_products(m, torch.empty(n, *size, device="meta")) for m, size in modules]


def test_the_products_of_a_perceptron_are_its_weights():
    generator = 3 * 5 + 5 * 5 + 5 * 2
    assert products_of(Mlp(3, 5, 2), (2,)) == [generator, 2 * 5 + 5 * 5 + 5]
    # A pack of two samples makes one pass: half of it counts for each.
    assert products_of(Mlp(3, 5, 2, packing=2), (2,)) == [generator, (4 * 5 + 5 * 5 + 5) // 2]
    assert products_of(Mlp(3, 6, 2, packing=3), (2,))[1] == (6 * 6 + 6 * 6 + 6) // 3


def test_the_products_of_convolutions_are_weights_times_positions():
    """Of 8 by 8 pixels: 4 by 4 weights at each of 4 by 4 positions, then once for all."""
    z, width = 7, 5
    generator = z * width * 16 + 4 * 4 * width * 16  # from 1 position to 4 by 4, to 8 by 8
    discriminator = 4 * 4 * width * 16 + width * 16
    assert products_of(Dcgan(z, width), (1, 8, 8)) == [generator, discriminator]


# Runs


@pytest.mark.parametrize("data", ["ring", "digits"])
def test_two_runs_of_one_seed_have_the_same_rows_with_no_interval_typed(data, tmp_path):
    cheap = [key for key in CHEAP if not key.startswith(("evaluator.every", "trainer.image"))]
    keys = (f"data={data}", *cheap, "network.width=8", "trainer.steps=40")
    one, other = (train(tmp_path / name, *keys) for name in ("one", "other"))
    assert rows(one) == rows(other)
    config = run_config(*keys)
    every = choose_intervals(config, SHAPES[data])
    steps = [0, *range(every.evaluation, 40, every.evaluation), 40]
    measured = [row["step"] for row in rows(one) if "divergence/wasserstein" in row]
    assert measured == steps
    drawn = {int(path.stem.removeprefix("step_")) for path in (one / "samples").iterdir()}
    assert drawn == {0, *range(every.image, 40, every.image), 40}
    assert "intervals" not in RunDir(Path(one)).read_status()
