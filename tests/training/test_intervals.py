"""When a run is measured and drawn follows from its length alone."""

import dataclasses
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gan_lab.runs.run_dir import RunDir
from gan_lab.training.intervals import Intervals, choose_intervals
from tests.helpers import CHEAP, rows, run_config, small_config, train


def n_times(every, steps):
    """Return how often something is done: at the start, at its interval and at the end."""
    return len({0, *range(every, steps, every), steps})


@given(st.integers(163, 10**7))
def test_a_run_has_at_least_20_points_and_10_pictures(steps):
    every = choose_intervals(run_config_of(steps))
    assert 20 <= n_times(every.evaluation, steps) <= 21
    assert n_times(every.image, steps) == 10
    assert every.landscape == every.image
    assert n_times(every.optimality_gap, steps) == 3
    assert every.optimality_gap % every.evaluation == 0


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
