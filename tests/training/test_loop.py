"""The loop: steps, and after each of them the callbacks that are due, in the order of the list."""

import ast
import math
import re

import pytest

from gan_lab.training.build import open_run
from gan_lab.training.callback import Callback, Interval
from gan_lab.training.callbacks.evaluation import Evaluation
from gan_lab.training.loop import fit, fit_stepwise
from tests.helpers import RING, ROOT, assert_same, n_updates, run_config, small_run

LOOP = ROOT / "gan_lab" / "training" / "loop.py"


class Notes(Callback):
    """Notes its calls in a list that it shares."""

    def __init__(self, name, calls, interval=Interval(1, start=0), act=lambda run: None):  # noqa: B008
        self.name, self.calls, self.interval, self.act = name, calls, interval, act

    def on_fit_start(self, run):
        self.calls.append((self.name, "start"))

    def is_due(self, step, n_steps):
        return self.interval.is_due(step, n_steps)

    def on_step_end(self, run):
        self.calls.append((self.name, run.state.step))
        self.act(run)

    def on_fit_end(self, run):
        self.calls.append((self.name, "end"))


def steps_of(calls, name):
    return [when for who, when in calls if who == name]


def leaves(run):
    state = run.state
    optimizers = [network.optimizer.state for network in (state.discriminator, state.generator)]
    moments = {
        f"{i} {name}": tensor for i, of in enumerate(optimizers) for name, tensor in of.items()
    }
    return {**state.discriminator.params, **state.average, **moments}


# Order


def test_each_step_is_followed_by_the_callbacks_that_are_due_in_the_order_of_the_list():
    calls = []
    fit(small_run(), 3, [Notes("a", calls), Notes("b", calls, Interval(2)), Notes("c", calls)])
    assert calls == [
        *(("a", "start"), ("b", "start"), ("c", "start")),
        *(("a", 0), ("c", 0)),
        *(("a", 1), ("c", 1)),
        *(("a", 2), ("b", 2), ("c", 2)),
        *(("a", 3), ("b", 3), ("c", 3)),  # the last step ends each interval
        *(("a", "end"), ("b", "end"), ("c", "end")),
    ]


@pytest.mark.parametrize(
    ("interval", "start", "steps"),
    [
        (Interval(3), 0, [3, 6, 7]),
        (Interval(3, start=0), 0, [0, 3, 6, 7]),
        (Interval(3, start=2), 2, [2, 3, 6, 7]),  # a fork
        (Interval(3, start=3), 3, [3, 6, 7]),
        (Interval(7), 0, [7]),
        (Interval(9, start=0), 0, [0, 7]),
        (Interval(0), 0, []),
        (Interval(0, start=0), 0, []),
    ],
)
def test_an_interval_ends_at_its_multiples_and_at_the_last_step(interval, start, steps):
    assert [step for step in range(start, 8) if interval.is_due(step, 7)] == steps


def test_without_callbacks_it_is_the_steps_alone():
    looped, stepped = small_run(), small_run()
    fit(looped, 5)
    for _ in range(5):
        stepped.train_step()
    assert looped.state.step == stepped.state.step == 5
    assert_same(leaves(looped), leaves(stepped))


def test_callbacks_that_look_change_nothing():
    looked, alone = (open_run(run_config(*RING, "n_seeds=2")) for _ in range(2))
    fit(looked, 4, [Evaluation(Interval(1, start=0))])
    fit(alone, 4)
    assert_same(leaves(looked), leaves(alone))


def test_stepwise_it_stands_still_at_each_step_the_first_included():
    run = small_run()
    assert [(step, run.state.step) for step in fit_stepwise(run, 3)] == [(n, n) for n in range(4)]
    assert list(fit_stepwise(run, 5)) == [4, 5]
    assert list(fit_stepwise(run, 5)) == []


# Stopped and resumed


@pytest.mark.parametrize("at", [0, 2])
def test_a_stop_lets_the_step_be_completed_and_the_loop_goes_on_from_there(at):
    calls, run, whole = [], small_run(), small_run()

    def stop(run):
        run.stop_requested = run.state.step == at

    fit(run, 5, [Notes("stop", calls, act=stop), Notes("after", calls)])
    assert run.state.step == at
    assert steps_of(calls, "after") == ["start", *range(at + 1), "end"]
    calls.clear()
    run.stop_requested = False
    fit(run, 5, [Notes("again", calls)])
    assert steps_of(calls, "again") == ["start", *range(at + 1, 6), "end"]  # no step twice
    fit(whole, 5)
    assert_same(leaves(run), leaves(whole))


@pytest.mark.parametrize("at", [0, 3])
def test_a_run_that_ended_amid_the_callbacks_has_them_act_again_before_it_goes_on(at):
    def fail(run):
        if run.state.step == at:
            raise RuntimeError("planted")

    calls, run, whole = [], small_run(), small_run()
    with pytest.raises(RuntimeError, match="planted"):
        fit(run, 5, [Notes("a", calls, act=fail), Notes("b", calls)])
    assert steps_of(calls, "b") == ["start", *range(at)]
    calls.clear()
    fit(run, 5, [Notes("a", calls), Notes("b", calls)])
    assert steps_of(calls, "b") == ["start", *range(at, 6), "end"]
    fit(whole, 5)
    assert_same(leaves(run), leaves(whole))


# One class and one list entry


class CountUpdates(Callback):
    """Counts the updates of the discriminators."""

    def __init__(self):
        self.n_updates = 0

    def on_step_end(self, run):
        if run.state.step > 0:
            self.n_updates += run.config.trainer.schedule.discriminator_updates(run.state.step - 1)


def test_a_new_callback_is_one_class_and_one_entry_of_the_list():
    keys = ("trainer.n_critic=2", "trainer.warmup_steps=3", "trainer.warmup_n_critic=7")
    run, count = open_run(run_config(*RING, *keys)), CountUpdates()
    fit(run, 10, [Evaluation(Interval(5)), count])
    assert count.n_updates == n_updates(run.state.discriminator) == 3 * 7 + 7 * 2
    assert all(math.isfinite(value) for row in run.rows for value in row.values())


# One screen


def test_the_loop_fits_on_a_screen_and_knows_runs_and_callbacks_alone():
    text = LOOP.read_text()
    assert len(text.splitlines()) <= 100
    nodes = [node for node in ast.walk(ast.parse(text)) if isinstance(node, ast.Import)]
    modules = {alias.name for node in nodes for alias in node.names}
    modules |= {n.module for n in ast.walk(ast.parse(text)) if isinstance(n, ast.ImportFrom)}
    assert modules == {"collections.abc", "gan_lab.training.callback", "gan_lab.training.run"}


def test_how_seeds_share_a_tensor_is_said_in_the_engine_alone():
    """Stacked MNIST is a data set, and studies ask the engine for networks of several seeds."""
    folders = ("training", "runner", "cli", "config", "experiments", "reports")
    files = [file for folder in folders for file in (ROOT / "gan_lab" / folder).rglob("*.py")]
    assert len(files) > 50
    mention = re.compile(r"\bstacked\b(?! digits| MNIST|=True\))", re.IGNORECASE)
    assert [file for file in files if mention.search(file.read_text())] == []
