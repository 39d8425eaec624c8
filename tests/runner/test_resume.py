"""A run that was stopped and resumed is the run that was not, bit for bit."""

import contextlib
import random
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks import evaluation
from gan_lab.training.callbacks.checkpointing import Checkpointing
from gan_lab.training.callbacks.evaluation import Evaluation
from gan_lab.training.callbacks.logging import Logging, RunRecords
from tests.helpers import (
    CHEAP,
    DIGITS,
    ONE,
    RING,
    assert_same_series,
    files,
    load_checkpoint,
    main,
    rows,
    run_config,
    series,
    signal_at,
    state_digest,
    train,
)

# Boundaries that do not coincide: logs at 7, estimates at 6, checkpoints at 10, draws at 32.
CLOCK = ("trainer.log_every=7", "evaluator.every=6", "trainer.checkpoint_every=10")
VARIANTS = {
    "wasserstein": RING,
    "two_seeds": (*RING, "n_seeds=2", "seed=3"),
    "clipping": (*RING, "regularizer=[weight_clipping]", "optim=rmsprop"),
    "spectral_norm": (*RING, "loss=hinge"),
    "batch_norm": (*DIGITS, "loss=non_saturating", "network.discriminator_norm=batch"),
    "conv": (*DIGITS, "network=conv", "regularizer.gradient_penalty.every=4"),
    "conditional": ("data=digits", "network.width=16", "network.conditional=true", *CHEAP),
    "warm_up": (*RING, "trainer.warmup_steps=3", "trainer.warmup_n_critic=9", "optim.decay=linear"),
    "lazy": (
        *(*RING, "trainer.warmup_every=4", "trainer.warmup_n_critic=7"),
        "regularizer.gradient_penalty.every=4",
    ),
    "noise": (*RING, "loss=minimax", "regularizer=[dragan,instance_noise]"),
    "bf16": (*RING, "network.width=32", "execution.precision=bf16"),
    "compiled": (*RING, "execution.mode=compiled"),
}
# Steps after which a run stops: where a checkpoint is due, within the first block of draws and a
# log interval, within the second, right at the start, and before any step is made.
STOPS = {"checkpoint": 20, "interval": 12, "second_block": 37, "start": 1, "untrained": 0}


def stopped(monkeypatch, path, step, *overrides, signum=signal.SIGTERM):
    """A run that was told to stop while it made its last step; the exit code."""
    with monkeypatch.context() as patch:
        stop_after(patch, step, signum)
        return main("train", *overrides, f"hydra.run.dir={path}")


def stop_after(patch, step, signum=signal.SIGTERM):
    """Signal while the given step is made, or before 0 is completed."""
    signal_at(patch, step - 1, signum)
    start = Logging.on_fit_start

    def and_signal(self, run):
        start(self, run)
        # A resumed run does not show its first step again.
        if step == 0 or (run.is_step_complete and run.state.step == step - 1):
            signal.raise_signal(signum)

    patch.setattr(Logging, "on_fit_start", and_signal)


def homes(path):
    """The directories of a run's seeds."""
    return RunDir(Path(path)).children() or [RunDir(Path(path))]


def assert_same_run(actual, expected):
    """Everything that can be told apart, but for the clock."""
    assert state_digest(actual) == state_digest(expected)
    for mine, yours in zip(homes(actual), homes(expected), strict=True):
        assert mine.path.relative_to(actual) == yours.path.relative_to(expected)
        assert rows(mine.path) == rows(yours.path)
        assert_same_series(series(mine.path), series(yours.path))
        assert mine.config.read_text() == yours.config.read_text()
        for status in (mine.read_status(), yours.read_status()):
            assert status["state"] == "done"
            assert (status["error"], status["signal"]) == (None, None)
        assert mine.read_status()["final"] == yours.read_status()["final"]


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The run of each variant that nobody stopped, made once."""
    made = {}

    def run(name, steps=45):
        if name not in made:
            path = tmp_path_factory.mktemp("uninterrupted") / name
            made[name] = train(path, *VARIANTS[name], *CLOCK, f"trainer.steps={steps}")
        return made[name]

    return run


RESUMED = [(name, stop) for name in ("wasserstein", "two_seeds") for stop in STOPS]
RESUMED += [(name, "second_block") for name in VARIANTS if (name, "start") not in RESUMED]
RESUMED[-1] = pytest.param(*RESUMED[-1], marks=pytest.mark.slow)  # compiled


@pytest.mark.parametrize(("name", "stop"), RESUMED)
def test_stopped_and_resumed_is_uninterrupted(name, stop, workdir, monkeypatch, uninterrupted):
    choice = (*VARIANTS[name], *CLOCK, "trainer.steps=45")
    assert stopped(monkeypatch, "run", STOPS[stop], *choice) == 143
    status, step = RunDir(Path("run")).read_status(), STOPS[stop]
    assert (status["state"], status["signal"]) == ("interrupted", "SIGTERM")
    assert (status["step"], load_checkpoint("run")["step"]) == (step, step)
    assert main("resume", "run") == 0
    assert_same_run("run", uninterrupted(name))


def test_a_run_may_be_stopped_many_times(workdir, monkeypatch, uninterrupted):
    choice = (*VARIANTS["wasserstein"], *CLOCK, "trainer.steps=45")
    assert stopped(monkeypatch, "run", 3, *choice) == 143
    for step in (4, 20, 33, 44):
        with monkeypatch.context() as patch:
            stop_after(patch, step)
            assert main("resume", "run") == 143
        assert load_checkpoint("run")["step"] == step
    assert main("resume", "run") == 0
    assert_same_run("run", uninterrupted("wasserstein"))


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_run_with_its_code_after_saving(
    signum, code, workdir, monkeypatch, capsys
):
    choice = (*RING, "trainer.steps=30", "trainer.checkpoint_every=0")
    assert stopped(monkeypatch, "run", 9, *choice, signum=signum) == code
    assert load_checkpoint("run")["step"] == 9
    err = capsys.readouterr().err
    assert f"stopped by {signal.Signals(signum).name}" in err
    assert "Traceback" not in err


@pytest.mark.parametrize("callback", [Evaluation, Logging, Checkpointing])
def test_a_signal_amid_the_callbacks_is_obeyed_after_saving(callback, workdir, monkeypatch):
    """Whenever it comes, what was said to be saved is saved."""
    act = callback.on_step_end

    def and_signal(self, run):
        act(self, run)
        if run.state.step == 6:
            signal.raise_signal(signal.SIGTERM)

    every = ("evaluator.every=6", "trainer.log_every=6", "trainer.checkpoint_every=6")
    with monkeypatch.context() as patch:
        patch.setattr(callback, "on_step_end", and_signal)
        assert main("train", *RING, *every, "trainer.steps=20", "hydra.run.dir=run") == 143
    status = RunDir(Path("run")).read_status()
    assert status["state"] == "interrupted"
    assert load_checkpoint("run")["step"] == status["step"] == 7
    assert main("resume", "run") == 0
    assert_same_run("run", train("whole", *RING, *every, "trainer.steps=20"))


def test_the_rate_after_a_resume_counts_only_what_came_after(workdir, monkeypatch):
    choice = (*RING, "trainer.log_every=10", "trainer.steps=20")
    assert stopped(monkeypatch, "run", 10, *choice) == 143
    content = load_checkpoint("run")
    content["callbacks"]["TrainingClock"]["seconds"]["train"] = 1e6
    checkpoint.save(checkpoint.checkpoint_path(Path("run") / "checkpoints", 10), content)
    assert main("resume", "run") == 0
    last = read_metrics(Path("run/metrics.jsonl"))[-1]
    assert last["step"] == 20
    assert last["time/train_seconds"] > 1e6
    assert last["time/steps_per_second"] > 0.1


# Killed


@contextlib.contextmanager
def long_run(path, *choice):
    """A process that trains and has saved a checkpoint."""
    keys = (*choice, "trainer.steps=1000000", "execution.mode=eager")  # a long run compiles
    command = [sys.executable, "-m", "gan_lab", "train", *keys, f"hydra.run.dir={path}"]
    child = subprocess.Popen(command, cwd=path.parent, env=ONE, stdout=subprocess.DEVNULL)
    try:
        until = time.monotonic() + 120  # on a busy machine, too
        while not list(path.glob("checkpoints/step_*.pt")):
            assert child.poll() is None
            assert time.monotonic() < until
            time.sleep(0.01)
        yield child
    finally:
        child.kill()
        child.wait()


DELAYS = [random.Random(n).uniform(0, 0.6 if n < 3 else 1.5) for n in range(15)]


@pytest.mark.parametrize(
    "delay", [DELAYS[0], *(pytest.param(d, marks=pytest.mark.slow) for d in DELAYS[1:])]
)
def test_a_killed_run_is_resumed_from_its_last_checkpoint(delay, workdir):
    """kill -9 at a moment, then resume to a few steps beyond the last checkpoint."""
    path, choice = workdir / "run", (*RING, *CLOCK)
    with long_run(path, *choice) as child:
        time.sleep(delay)
        child.kill()
        assert child.wait() == -signal.SIGKILL
    step = load_checkpoint(path)["step"]
    assert RunDir(path).read_status()["state"] == "running"
    end = f"trainer.steps={step + 13}"
    assert main("resume", path, end) == 0
    assert_same_run(path, train(workdir / "whole", *choice, "execution.mode=eager", end))


def test_the_process_of_an_interrupted_run_ends_with_its_code(tmp_path):
    with long_run(tmp_path / "run", *RING, "trainer.checkpoint_every=20") as child:
        child.terminate()
        assert child.wait(timeout=30) == 143
    status = RunDir(tmp_path / "run").read_status()
    assert status["state"] == "interrupted"
    assert load_checkpoint(tmp_path / "run")["step"] == status["step"]


# What resume extends, refuses and passes over


def looked(path):
    """The rows but for the evaluation in full."""
    return [{t: v for t, v in row.items() if not t.startswith("final/")} for row in rows(path)]


def test_more_steps_extend_a_run_as_if_it_had_been_longer_from_the_start(workdir):
    choice = (*RING, "trainer.log_every=5", "evaluator.every=5", "trainer.checkpoint_every=5")
    train("run", *choice, "trainer.steps=20")
    assert main("resume", "run", "trainer.steps=40") == 0
    train("whole", *choice, "trainer.steps=40")
    # The shorter run was evaluated in full at its own end, too; nothing else differs.
    for row in rows("run")[:-1]:
        assert any(tag.startswith("final/") for tag in row) == (row["step"] == 20)
    assert state_digest("run") == state_digest("whole")
    assert looked("run") == looked("whole")
    assert rows("run")[-1] == rows("whole")[-1]
    assert run_config(*choice, "trainer.steps=40").trainer.steps == 40
    assert RunDir(Path("run")).read_status()["steps"] == 40


def refused(capsys, *arguments):
    """The one line with which a command refuses."""
    capsys.readouterr()
    assert main(*arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    return err


def test_what_cannot_be_resumed_is_refused_with_what_to_do(workdir, monkeypatch, capsys):
    """A complete run (a signal in its last step is no interruption), a child, one in use."""
    assert stopped(monkeypatch, "run", 4, *RING, "trainer.steps=4", "n_seeds=2") == 0
    assert RunDir(Path("run")).read_status()["state"] == "done"
    err = refused(capsys, "resume", "run")
    assert "run is complete at step 4; to extend it say trainer.steps=8" in err
    assert f"resume {workdir / 'run'}" in refused(capsys, "resume", "run/seed_1", "trainer.steps=8")
    before = rows("run/seed_0")
    with RunDir(workdir / "run").lock():
        err = refused(capsys, "resume", "run", "trainer.steps=8")
    assert "is in use by process" in err
    assert "stop it, or, for a new run, choose" in err  # resume itself has no such key
    assert rows("run/seed_0") == before
    assert main("resume", "run", "trainer.steps=8") == 0


def test_a_damaged_newest_checkpoint_is_passed_over(workdir, capsys):
    choice = (*RING, "trainer.log_every=5", "evaluator.every=5", "trainer.checkpoint_every=5")
    train("run", *choice, "trainer.steps=20")
    (workdir / "run" / "checkpoints" / "step_00000020.pt").write_bytes(b"torn")
    assert main("resume", "run", "trainer.steps=30") == 0
    assert "step_00000020.pt" in capsys.readouterr().out
    assert_same_run("run", train("whole", *choice, "trainer.steps=30"))


def test_a_run_that_was_stopped_before_its_first_checkpoint_starts_again(workdir):
    whole = train("whole", *RING, *CLOCK, "trainer.steps=12")
    train("run", *RING, *CLOCK, "trainer.steps=12")
    for file in (workdir / "run" / "checkpoints").iterdir():
        file.unlink()  # what a kill -9 before the first checkpoint leaves: records and no state
    train("run", *RING, *CLOCK, "trainer.steps=12")
    assert_same_run("run", whole)


def test_a_checkpoint_under_the_name_of_another_step_is_refused(workdir, capsys):
    train("run", *RING, *CLOCK, "trainer.steps=20")
    folder = workdir / "run" / "checkpoints"
    shutil.copy(folder / "step_00000010.pt", folder / "step_00000030.pt")
    for command in (["resume", "run", "trainer.steps=40"], ["sample", "run"], ["evaluate", "run"]):
        err = refused(capsys, *command)
        assert "step_00000030.pt is damaged: it is of step 10 under the name of another" in err
    (folder / "step_00000030.pt").unlink()
    assert main("resume", "run", "trainer.steps=22") == 0


def test_other_data_under_the_same_path_are_refused_with_what_differs(workdir, capsys):
    points = np.random.default_rng(0).normal(size=(400, 2)).astype(np.float32)
    np.save("points.npy", points)
    keys = ("data=array", f"data.path={workdir}/points.npy", *RING[1:])
    train("run", *keys, *CLOCK, "trainer.steps=20")
    np.save("points.npy", points + 1e-3)
    for command in (["resume", "run", "trainer.steps=30"], ["fork", "run", "loss=hinge"]):
        err = refused(capsys, *command)
        assert "the training data are not those that run" in err
        assert "sha256: " in err
        assert "n_train" not in err
    np.save("points.npy", points[:300])
    err = refused(capsys, "resume", "run", "trainer.steps=30")
    assert re.search(r"n_train: \d+ / \d+", err)
    np.save("points.npy", points)
    assert main("resume", "run", "trainer.steps=30") == 0
    content = load_checkpoint("run")
    del content["data"]  # as an earlier version has saved it
    checkpoint.save(checkpoint.checkpoint_path(Path("run/checkpoints"), 30), content)
    np.save("points.npy", points + 1e-3)
    assert main("fork", "run", "loss=hinge", "trainer.steps=32") == 0


def test_a_status_that_is_emptied_under_the_run_is_written_anew(workdir, monkeypatch, capsys):
    act = Evaluation.on_step_end

    def and_empty(self, run):
        act(self, run)
        if run.state.step == 12:
            RunDir(Path("run")).status.write_bytes(b"")

    whole = RunDir(train("whole", *RING, *CLOCK, "trainer.steps=12")).read_status()
    with monkeypatch.context() as patch:
        patch.setattr(Evaluation, "on_step_end", and_empty)
        train("run", *RING, *CLOCK, "trainer.steps=12")
    assert capsys.readouterr().err.count("status.json was damaged; it is written anew") == 1
    status = RunDir(Path("run")).read_status()
    assert (status["state"], status["step"], status["lost"]) == ("done", 12, None)
    assert set(whole) == set(status)
    assert main("resume", "run", "trainer.steps=14") == 0


def test_the_status_of_a_run_that_goes_on_tells_the_step_of_its_last_checkpoint(
    workdir, monkeypatch
):
    statuses, save = [], checkpoint.save

    def and_note(path, content):
        save(path, content)
        statuses.append((content["step"], RunDir(Path("run")).read_status()))

    monkeypatch.setattr(checkpoint, "save", and_note)
    train("run", *RING, *CLOCK, "trainer.steps=25")
    regular = [(step, status) for step, status in statuses if step in (10, 20)]
    assert [step for step, _ in regular] == [10, 20]
    assert all((each["state"], each["step"]) == ("running", step) for step, each in regular)


def test_a_run_is_not_continued_on_another_kind_of_device(workdir, capsys):
    train("run", *RING, *CLOCK, "trainer.steps=12")
    file = workdir / "run" / "checkpoints" / "step_00000012.pt"
    checkpoint.save(file, {**checkpoint.load(file), "device": "cuda"})
    before = (workdir / "run" / "config.yaml").read_text()
    assert "another kind of device" in refused(capsys, "resume", "run", "trainer.steps=20")
    assert (workdir / "run" / "config.yaml").read_text() == before


def test_a_failed_evaluation_loses_no_training(workdir, monkeypatch):
    def broken(*arguments):
        raise ValueError("planted")

    with monkeypatch.context() as patch:
        patch.setattr(evaluation, "evaluate_seed", broken)
        with pytest.raises(ValueError, match="planted"):
            main("train", *RING, *CLOCK, "trainer.steps=12", "hydra.run.dir=run")
    assert load_checkpoint("run")["step"] == 12
    assert main("evaluate", "run") == 0
    assert main("resume", "run") == 0
    assert_same_run("run", train("whole", *RING, *CLOCK, "trainer.steps=12"))


def test_a_kill_right_after_the_last_save_leaves_no_file_too_many(workdir, monkeypatch):
    """The state of the former best measurement; the last one is the best."""
    keys = (*RING, *CLOCK, "optim.lr=1e-2", "trainer.ema=0.5", "trainer.steps=22")
    keys += ("trainer.keep_checkpoints=1",)
    rotate, whole = checkpoint.rotate, train("whole", *keys)

    def rotate_or_die(folder, keep):
        if load_checkpoint("run")["step"] == 22 and load_checkpoint("run")["is_step_complete"]:
            raise KeyboardInterrupt
        rotate(folder, keep)

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "rotate", rotate_or_die)
        assert main("train", *keys, "hydra.run.dir=run") == 130
    saved = set(files("run/checkpoints"))
    assert saved > set(files(whole / "checkpoints")), "choose another run"
    assert main("resume", "run") == 0
    assert_same_run("run", whole)
    assert set(files("run/checkpoints")) == set(files(whole / "checkpoints"))


def test_a_full_disk_is_one_line_and_exit_code_1(workdir, monkeypatch, capsys):
    def full(path, data):
        raise OSError(28, "No space left on device", str(path))

    write = RunRecords.write_constants

    def write_and_fill(self, run):
        write(self, run)
        monkeypatch.setattr("gan_lab.runs.checkpoint.atomic_write", full)
        monkeypatch.setattr("gan_lab.runs.run_dir.atomic_write", full)

    monkeypatch.setattr(RunRecords, "write_constants", write_and_fill)
    assert main("train", *RING, *CLOCK, "trainer.steps=12", "hydra.run.dir=run") == 1
    err = capsys.readouterr().err
    assert "CheckpointNotSaved" in err
    assert "Traceback" not in err
