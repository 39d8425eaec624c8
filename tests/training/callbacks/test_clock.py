"""Seconds of steps and seconds of looking at them are told apart, in every process of a run."""

import pytest

from gan_lab.training.callback import Callback, Interval
from gan_lab.training.callbacks import clock
from gan_lab.training.callbacks.clock import ClockStart, TrainingClock
from gan_lab.training.compute_budget import Origin
from gan_lab.training.loop import fit
from gan_lab.training.run import Run
from tests.helpers import small_run

STEP, LOOK = 1.0, 100.0  # seconds


class Look(Callback):
    """Takes time at an interval."""

    def __init__(self, passed):
        self.passed = passed

    def is_due(self, step, n_steps):
        return Interval(3, start=0).is_due(step, n_steps)

    def on_step_end(self, run):
        self.passed[0] += LOOK


class StopAt(Callback):
    """Ends the loop after a step."""

    def __init__(self, step):
        self.step = step

    def on_step_end(self, run):
        run.stop_requested = run.state.step == self.step


@pytest.fixture
def passed(monkeypatch):
    """The seconds that have passed, as the only number of a list."""
    seconds, step = [50.0], Run.train_step

    def timed(self):
        step(self)
        seconds[0] += STEP

    monkeypatch.setattr(clock.time, "perf_counter", lambda: seconds[0])
    monkeypatch.setattr(Run, "train_step", timed)
    return seconds


def train(passed, run, stop=None, state=None, origin=None):
    look = Look(passed)
    training_clock = TrainingClock([look], origin)
    if state is not None:
        training_clock.load_state_dict(state)
    fit(run, 10, [StopAt(stop), training_clock, look, ClockStart(training_clock, [look])])
    return training_clock


def seconds_of(training_clock):
    return training_clock.train_seconds, training_clock.evaluation_seconds


def test_the_first_and_the_last_evaluation_count_as_neither(passed):
    run = small_run()
    # At steps 3, 6 and 9; those at steps 0 and 10 are made in any run.
    assert seconds_of(train(passed, run)) == (10 * STEP, 3 * LOOK)


def test_a_run_that_stops_between_two_looks_counts_its_steps(passed):
    run = small_run()
    stopped = train(passed, run, stop=5)
    assert seconds_of(stopped) == (5 * STEP, LOOK)
    passed[0] += 1e6  # nobody trains
    run.stop_requested = False
    resumed = train(passed, run, state=stopped.state_dict())
    assert seconds_of(resumed) == (10 * STEP, 3 * LOOK)


def test_a_fork_goes_on_from_the_seconds_of_its_origin(passed):
    origin = Origin(0, {"clock/images": 5}, {"train": 7.0, "evaluation": 9.0})
    forked = train(passed, small_run(), origin=origin)
    assert seconds_of(forked) == (7 + 10 * STEP, 9 + 4 * LOOK)
    restored = TrainingClock([])
    restored.load_state_dict(forked.state_dict())
    assert (restored.origin, *seconds_of(restored)) == (origin, *seconds_of(forked))
