"""A run whose last step is the one that it was stopped at is measured there, once."""

from pathlib import Path

import pytest

from gan_lab.runner import train as runner
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.build import open_run
from gan_lab.training.callback import Callback
from gan_lab.training.ranks import OnMain, members
from tests.helpers import load_checkpoint, main, rows, run_config, signal_at, train

KEYS = (
    *("data=ring", "network.width=8", "trainer.batch_size=16", "evaluator.every=5"),
    *("evaluator.n=32", "evaluator.final_n=32", "neural_distance.steps=0", "metrics=[wasserstein]"),
    *("trainer.log_every=5", "trainer.image_every=0", "trainer.landscape_every=0", "device=cpu"),
)


def stopped_at(step, path, *words):
    with pytest.MonkeyPatch.context() as patch:
        signal_at(patch, step - 1)
        assert main(*words, *(() if words[0] == "resume" else (f"hydra.run.dir={path}",))) == 143


@pytest.mark.parametrize("extended", [False, True])
def test_a_run_that_is_stopped_at_its_last_step_is_measured_there(extended, workdir):
    if extended:
        train("run", *KEYS, "trainer.steps=10")
        stopped_at(17, "run", "resume", "run", "trainer.steps=20")
    else:
        stopped_at(17, "run", "train", *KEYS, "trainer.steps=20")
    before = rows("run")
    assert main("resume", "run", "trainer.steps=17") == 0
    assert rows("run") == before  # its rows are written; no second one of a step
    whole = train("whole", *KEYS, "trainer.steps=17")
    status, expected = (RunDir(Path(path)).read_status() for path in ("run", whole))
    assert status["state"] == "done"
    assert status["final"] == expected["final"]
    assert status["best"]["last"] == expected["best"]["last"]
    assert main("resume", "run", "trainer.steps=17") == 2  # nothing is left to do


class Counter(Callback):
    """Ten lines of a user's: counts the steps of all starts of a run."""

    def __init__(self):
        self.n = 0

    def on_step_end(self, run):
        self.n += 1

    def state_dict(self):
        return {"n": self.n}

    def load_state_dict(self, state):
        self.n = state["n"]


def test_the_state_of_a_callback_that_is_added_to_the_list_is_saved_and_restored(tmp_path):
    run = open_run(run_config(*KEYS, "trainer.steps=4"))
    parts = runner._Parts(run, RunDir(tmp_path), 0, data=None)
    counter = Counter()
    parts.callbacks.append(OnMain([counter], run.config.world))
    parts.content.callbacks = members(parts.callbacks)
    assert members(parts.callbacks).count(parts.divergence) == 1
    counter.n = 7
    content = parts.content.of(run)
    counter.n = 0
    parts.content.restore(run, content)
    assert counter.n == 7
    parts.content.callbacks = [counter, Counter()]
    with pytest.raises(ValueError, match="two callbacks with a state are called Counter"):
        parts.content.of(run)


class StopsHere(Callback):
    def on_step_end(self, run):
        run.stop_requested = True


class TwoRanks:
    """A world whose main process is another one, which has asked to stop."""

    alone, is_main = False, False

    def run_on_main(self, function):
        return {}, True


def test_a_stop_that_the_main_process_asks_for_stops_all():
    run = open_run(run_config(*KEYS, "trainer.steps=4"))
    OnMain([StopsHere()], TwoRanks()).on_step_end(run)
    assert run.stop_requested
    run.stop_requested = False
    OnMain([StopsHere()], run.config.world).on_step_end(run)
    assert run.stop_requested


def test_checkpoints_of_a_stopped_run_name_the_step_of_its_final_estimates(workdir):
    train("run", *KEYS, "trainer.steps=10")
    assert load_checkpoint("run")["callbacks"]["Evaluation"]["final_step"] == 10
