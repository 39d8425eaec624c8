"""When a run is measured and drawn follows from its length alone."""

import dataclasses
import math
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_lab.runs.run_dir import RunDir
from gan_lab.training.intervals import Intervals, choose_intervals, round_up
from tests.helpers import CHEAP, rows, run_config, small_config, train


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


@given(st.integers(64, 10**7))
def test_a_run_has_at_least_20_points_and_10_pictures_at_steps_that_nest(steps):
    every = choose_intervals(run_config_of(steps))
    assert 20 <= steps // every.evaluation <= 30
    assert 10 <= steps // every.image <= 15
    assert every.landscape == every.image
    assert every.optimality_gap == 8 * every.evaluation
    # One in three of an interval's steps, at least, is a step of every shorter one.
    for long in every:
        assert all(math.lcm(long, short) <= 3 * long for short in every if short < long)


@pytest.mark.parametrize("steps", [1, 7, 20])
def test_a_run_of_few_steps_is_measured_at_each(steps):
    assert choose_intervals(run_config_of(steps)).evaluation == 1


def run_config_of(steps):
    config = small_config()
    return dataclasses.replace(config, trainer=dataclasses.replace(config.trainer, steps=steps))


def test_a_run_of_any_loss_is_measured_and_drawn_at_the_same_steps():
    one, other = (choose_intervals(run_config(f"loss={name}")) for name in ("wasserstein", "hinge"))
    assert one == other


def test_typed_keys_win():
    keys = ("evaluator.every=7", "trainer.image_every=0", "trainer.landscape_every=11")
    assert choose_intervals(run_config(*keys)) == Intervals(7, 7, 0, 11)
    chosen = choose_intervals(run_config())
    assert choose_intervals(run_config(keys[0])) == chosen._replace(evaluation=7, optimality_gap=7)
    assert choose_intervals(run_config(keys[1])) == chosen._replace(image=0)
    assert choose_intervals(run_config(keys[2])) == chosen._replace(landscape=11)


# Runs


@pytest.mark.parametrize("data", ["ring", "digits"])
def test_two_runs_of_one_seed_have_the_same_rows_with_no_interval_typed(data, tmp_path):
    cheap = [key for key in CHEAP if not key.startswith(("evaluator.every", "trainer.image"))]
    keys = (f"data={data}", *cheap, "network.width=8", "trainer.steps=40")
    one, other = (train(tmp_path / name, *keys) for name in ("one", "other"))
    assert rows(one) == rows(other)
    config = run_config(*keys)
    every = choose_intervals(config)
    steps = [0, *range(every.evaluation, 40, every.evaluation), 40]
    measured = [row["step"] for row in rows(one) if "divergence/wasserstein" in row]
    assert measured == steps
    gaps = [row["step"] for row in rows(one) if "discriminator_estimate/optimality_gap" in row]
    assert gaps == [0, *range(every.optimality_gap, 40, every.optimality_gap), 40]
    drawn = {int(path.stem.removeprefix("step_")) for path in (one / "samples").iterdir()}
    assert drawn == {0, *range(every.image, 40, every.image), 40}
    assert "intervals" not in RunDir(Path(one)).read_status()
