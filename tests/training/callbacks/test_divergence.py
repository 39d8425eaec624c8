"""A run that stops being finite says where, and keeps the state from before."""

import math
import re
from pathlib import Path

import pytest
import torch
from torch.utils._pytree import tree_leaves

from gan_lab.regularizers import R1
from gan_lab.runs.checkpoint import available, digest, load
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callback import Callback, Interval
from gan_lab.training.callbacks.divergence import Divergence
from gan_lab.training.callbacks.logging import StepMeans
from gan_lab.training.loop import fit
from tests.helpers import (
    RING,
    assert_same,
    infinite_data_at,
    infinite_weight_at,
    load_checkpoint,
    main,
    rows,
    small_run,
    state_digest,
    train,
)

LATE = (*RING, "trainer.steps=60", "trainer.checkpoint_every=10")


def diverged(capsys, *overrides, path="run"):
    """The message and the state before, of a run that has to diverge."""
    capsys.readouterr()
    assert main("train", *overrides, f"hydra.run.dir={path}") == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    (line,) = [line for line in err.splitlines() if line.startswith("RunDiverged: ")]
    file = Path(path).absolute() / "checkpoints" / "before_divergence.pt"
    assert str(file) in line
    content = load(file)
    leaves = (leaf for leaf in tree_leaves(content["state"]) if isinstance(leaf, torch.Tensor))
    assert all(bool(leaf.isfinite().all()) for leaf in leaves)
    step = int(re.search(r"at step (\d+)", line)[1])
    assert content["step"] == content["state"]["step"] == step - 1
    status = RunDir(Path(path)).read_status()
    assert status["state"] == "diverged"
    assert status["error"] in line
    return line, content


@pytest.mark.parametrize("log_every", [1, 50])
def test_the_failing_step_is_found_however_late_one_looks(log_every, workdir, capsys, monkeypatch):
    infinite_data_at(monkeypatch, 23)
    clock = (f"trainer.log_every={log_every}", "evaluator.every=1000", "trainer.checkpoint_every=0")
    line, content = diverged(capsys, *LATE, *clock, "seed=5")
    assert "loss/discriminator is not finite at step 24 for seed 5." in line
    monkeypatch.undo()
    monkeypatch.chdir(workdir)
    whole = train("whole", *RING, "trainer.steps=23", "seed=5", *clock)
    assert digest(content["state"]) == digest(load_checkpoint(whole)["state"])
    assert list(available(Path("run/checkpoints"))) == []
    assert all(math.isfinite(v) for row in rows("run") for v in row.values())


def test_the_seed_among_several_is_named(workdir, capsys, monkeypatch):
    infinite_data_at(monkeypatch, 7, seed=1)
    line, _ = diverged(capsys, *LATE, "seed=3", "n_seeds=3")
    assert "loss/discriminator is not finite at step 8 for seed 4." in line
    for seed in (3, 4, 5):
        assert RunDir(Path("run")).child(seed).read_status()["state"] == "diverged"


# The generator's only update is far too large; its loss was finite, its weights still are.
OVERFLOW = ("loss=non_saturating", "optim.lr=1e15", "optim.discriminator_lr=1e-9")


@pytest.mark.parametrize(
    ("keys", "quantity"),
    [
        (("loss=wasserstein", "optim.lr=1e10"), r"(loss|gradient)/\w+"),
        (("loss=minimax", "optim.lr=1e20"), "loss/generator"),
        ((*OVERFLOW, "evaluator.every=1"), "a sample"),
    ],
)
def test_a_rate_that_is_far_too_large_ends_the_run_and_the_quantity_is_named(
    keys, quantity, workdir, capsys
):
    line, content = diverged(capsys, *LATE, "optim=sgd", *keys, "seed=2")
    assert re.match(f"RunDiverged: {quantity} is not finite at step 1 for seed 2.", line)
    assert content["step"] == 0


@pytest.mark.parametrize("every", [1, 50])
def test_weights_that_overflow_are_never_saved_as_a_checkpoint(every, workdir, capsys, monkeypatch):
    infinite_weight_at(monkeypatch, 13)
    clock = ("evaluator.every=1000", "trainer.checkpoint_every=13")
    line, _ = diverged(capsys, *LATE, *clock, f"trainer.log_every={every}")
    assert "a weight is not finite at step 13 for seed 0." in line
    assert list(available(Path("run/checkpoints"))) == []


def test_a_run_can_go_on_from_before_once_the_cause_is_gone(workdir, capsys, monkeypatch):
    """As long as it is there, a resume meets the same divergence again."""
    with monkeypatch.context() as patch:
        infinite_data_at(patch, 23)
        line, content = diverged(capsys, *LATE)
        assert list(available(Path("run/checkpoints"))) == [10, 20]
        assert main("resume", "run") == 1
        again = capsys.readouterr().err
        assert line.partition(" The state")[0].partition("is not")[2] in again
        second = load(Path("run/checkpoints/before_divergence.pt"))
        assert digest(second["state"]) == digest(content["state"])
    assert list(available(Path("run/checkpoints"))) == [10, 20]
    assert main("resume", "run") == 0
    status = RunDir(Path("run")).read_status()
    assert (status["state"], status["error"]) == ("done", None)
    whole = train("whole", *LATE)
    assert state_digest("run") == state_digest(whole)
    assert rows("run") == rows(whole)


# Seeds that are dropped


class Reports:
    """Keeps what failed."""

    def __init__(self):
        self.failures, self.dropped = [], []

    def record(self, failure, others, going_on):
        self.failures.append((failure.step, failure.quantity, failure.seeds, others, going_on))
        return "told"

    def record_dropped(self, reasons):
        self.dropped.append(set(reasons))


class Rows(Callback):
    """Keeps each row of the means."""

    def __init__(self, means):
        self.rows, self.is_due = {}, means.is_due

    def on_step_end(self, run):
        self.rows[run.state.step], run.rows = run.rows, [{} for _ in run.seeds]


class BadSamples(Callback):
    """Finds at one step that samples of the second seed are not finite."""

    def __init__(self, at):
        self.at = at

    def on_step_end(self, run):
        if run.state.step == self.at:
            run.failures[1] = "a sample"


def trained(n_steps=20, bad_samples_at=None, **choice):
    """A run of three seeds, of which those that fail are dropped; the rows and the reports."""
    run, reports, means = small_run(seeds=(3, 4, 5), **choice), Reports(), StepMeans(Interval(6))
    divergence, kept = Divergence([means], reports, may_drop=True), Rows(means)
    fit(run, n_steps, [divergence, means, BadSamples(bad_samples_at), divergence, kept])
    return run, kept.rows, reports, divergence


def leaves_of(run, index):
    params, buffers = run.discriminator_leaves(index)
    average = run.state.generator.select(run.state.average, index)
    return {**params, **buffers, **{f"average {name}": leaf for name, leaf in average.items()}}


LAZY = {"regularizers": {"r1": R1(every=4)}, "n_critic": 3}


@pytest.mark.parametrize("choice", [{}, LAZY], ids=["plain", "lazy"])
@pytest.mark.parametrize("at", [6, 8, 11, 19])
def test_the_other_seeds_and_their_means_are_those_of_a_run_that_met_nothing(
    at, choice, monkeypatch
):
    """At the first, within, and at the last step of an interval, and at the end of the run."""
    whole, whole_rows, *_ = trained(**choice)
    before, *_ = trained(at, **choice)
    with monkeypatch.context() as patch:
        infinite_data_at(patch, at, seed=1)
        run, kept, reports, divergence = trained(**choice)
    assert reports.failures == [(at + 1, "loss/discriminator", (4,), [3, 5], True)]
    assert reports.dropped == [{4}]
    assert (divergence.reasons[4]["step"], run.active) == (at, [0, 2])
    for index in (0, 2):
        assert_same(leaves_of(run, index), leaves_of(whole, index))
        assert all(kept[step][index] == whole_rows[step][index] for step in (6, 12, 18, 20))
    assert_same(leaves_of(run, 1), leaves_of(before, 1))
    assert [step for step, row in kept.items() if row[1]] == [s for s in (6, 12, 18) if s <= at]


@pytest.mark.parametrize("at", [12, 20])
def test_a_seed_whose_samples_overflow_stays_where_it_was_before_that_step(at):
    """Between two steps, and at the end, after which nothing brings it back."""
    whole, before = trained()[0], trained(at - 1)[0]
    run, _, reports, _ = trained(bad_samples_at=at)
    assert reports.failures == [(at, "a sample", (4,), [3, 5], True)]
    assert_same(leaves_of(run, 1), leaves_of(before, 1))
    for index in (0, 2):
        assert_same(leaves_of(run, index), leaves_of(whole, index))


def test_a_seed_that_is_dropped_after_its_run_was_extended_has_no_final_numbers(
    workdir, monkeypatch
):
    keys = (*RING, "n_seeds=2", "trainer.on_divergence=drop_seed", "trainer.steps=10")
    train("run", *keys)
    assert RunDir(Path("run/seed_1")).read_status()["final"]
    infinite_data_at(monkeypatch, 14, seed=1)
    assert main("resume", "run", "trainer.steps=20") == 1
    dropped, other = (RunDir(Path("run")).child(seed).read_status() for seed in (1, 0))
    assert (dropped["final"], dropped["best"], dropped["step"]) == ({}, None, 14)
    assert other["final"]
    assert (other["state"], other["step"]) == ("done", 20)
