"""Looking at a run stays within its budget, at intervals that nest."""

import yaml
from hypothesis import given
from hypothesis import strategies as st

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.intervals import Costs, Intervals, choose_intervals, shortest_interval
from tests.helpers import RING, load_checkpoint, main, train

SECONDS = st.floats(1e-5, 10.0)


@given(cost=SECONDS, step=SECONDS, share=st.floats(1e-3, 0.5))
def test_the_interval_is_the_smallest_power_of_two_within_the_share(cost, step, share):
    steps = shortest_interval(cost, step, share)
    assert steps & (steps - 1) == 0
    assert 16 <= steps <= 2**20
    if steps < 2**20:
        assert cost <= share * steps * step
    if steps > 16:
        assert cost > share * (steps // 2) * step


@given(costs=st.tuples(SECONDS, SECONDS), step=SECONDS)
def test_measuring_and_drawing_take_five_sixths_of_the_budget_at_most(costs, step):
    intervals = choose_intervals(0.03, 0, None, Costs(*costs), step, steps=1000)
    if max(intervals.measure, intervals.draw) < 2**20:
        share = (costs[0] / intervals.measure + costs[1] / intervals.draw) / step
        assert share <= 0.025 * (1 + 1e-9)


def test_what_was_asked_for_stays_and_a_long_run_has_some_64_pictures_at_most():
    assert choose_intervals(0.03, 100, 7, Costs(1, 1), 1e-3, 1000) == Intervals(100, 7)
    assert choose_intervals(0.03, 100, 0, Costs(1, 1), 1e-3, 1000).draw == 0
    assert choose_intervals(0.03, 0, None, Costs(1e-9, 1e-9), 1.0, 50_000).draw == 1024


def test_the_pace_is_chosen_once_and_kept_by_a_resumed_run(tmp_path):
    path = tmp_path / "run"
    open_pace = ("evaluator.every=0", "trainer.image_every=null", "trainer.checkpoint_every=40")
    train(path, *RING, *open_pace, "trainer.steps=40")
    intervals = RunDir(path).read_status()["intervals"]
    assert load_checkpoint(path)["pace"] == intervals
    assert intervals["measure"] & (intervals["measure"] - 1) == 0
    # A pace that no calibration would choose shows that none is made again.
    planted = {"measure": 41, "draw": 43}
    file = path / "checkpoints" / "step_00000040.pt"
    checkpoint.save(file, {**checkpoint.load(file), "pace": planted})
    assert main("resume", path, "trainer.steps=85") == 0
    lines = [row for row in read_metrics(path / "metrics.jsonl") if row["step"] > 40]
    assert [row["step"] for row in lines if "divergence/wasserstein" in row] == [41, 82, 85]
    assert yaml.safe_load((path / "config.yaml").read_text())["evaluator"]["every"] == 0
