"""kill -9 anywhere, signals at awkward moments, two processes on one run: nothing is lost."""

import os
import signal
import subprocess
import time
from functools import partial

import pytest

from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks.logging import RunRecords
from tests.campaigns import kills, runs
from tests.helpers import ROOT

SOME = (
    "writing a checkpoint",
    "between the best checkpoint and the regular one",
    "in the rotation",
    "writing TensorBoard's series",
    "writing status.json",
    "in a resume's purge of metrics.jsonl",
    "after the last save",
)


FEW = {"seed": 1, "kinds": SOME, "trainings": ("ring wasserstein",)}


@pytest.mark.parametrize(
    ("n", "keys"), [(len(SOME), FEW), pytest.param(100, {}, marks=pytest.mark.slow)]
)
def test_a_killed_run_ends_as_the_uninterrupted_one(n, keys):
    result = kills.campaign(n, **keys)
    assert len(result.faults) >= n
    assert result.lost == []


@pytest.mark.parametrize(
    ("damage", "answer"),
    [
        (lambda run: run.metrics.write_bytes(run.metrics.read_bytes() * 2), "metrics"),
        (lambda run: (run.samples / "step_00000020.png").write_bytes(b"torn"), "pictures"),
        (lambda run: (run.path / ".x.1.tmp").touch(), "names"),
        (lambda run: run.write_status(state="running"), "status"),
        (lambda run: next(run.tensorboard.glob("*.series")).write_bytes(b""), "TensorBoard"),
    ],
)
def test_the_comparison_sees_what_is_lost(damage, answer, whole, tmp_path):
    copy = tmp_path / "copy"
    subprocess.run(["cp", "-r", whole, copy], check=True)
    assert runs.difference(copy, whole) == ""
    damage(RunDir(copy))
    assert answer in runs.difference(copy, whole)


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    path = tmp_path_factory.mktemp("whole") / "run"
    assert runs.run_warm(runs.next_command(path, runs.RING_RUN), path.with_name("log")) == 0
    return path


# Signals to real processes, of a group of their own as in a terminal

LONG = (*runs.RING_RUN, "execution.mode=eager")


@pytest.fixture
def going(tmp_path):
    """A run in progress: its process, directory and log."""
    path, log = tmp_path / "run", tmp_path / "log"
    overrides = (*LONG, "trainer.steps=10000000")
    process = runs.start_fresh(runs.next_command(path, overrides), log)
    wait_for(lambda: runs.saved_step(path), process)
    yield process, path, log
    process.kill()
    process.wait()


def wait_for(condition, process):
    until = time.monotonic() + 120
    while not condition():
        assert process.poll() is None
        assert time.monotonic() < until
        time.sleep(0.01)


def test_a_second_ctrl_c_ends_at_once_and_the_run_is_whole(going):
    process, path, log = going
    os.kill(process.pid, signal.SIGSTOP)  # so that both come before the step is over
    process.send_signal(signal.SIGINT)
    os.kill(process.pid, signal.SIGCONT)
    time.sleep(0.001)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=30) in (-signal.SIGINT, 130)
    assert "Traceback" not in log.read_text()
    end = f"trainer.steps={runs.saved_step(path) + 3}"
    assert runs.run_warm(["resume", str(path), end], log) == 0


def test_a_second_process_is_refused_at_once(going, tmp_path):
    process, path, _ = going
    before = (path / "config.yaml").read_bytes()
    for name, arguments in {
        "train": ["train", *LONG, f"hydra.run.dir={path}"],
        "resume": ["resume", str(path)],
        "fork": ["fork", str(path), "loss=hinge", f"hydra.run.dir={path}"],
    }.items():
        log = tmp_path / name
        assert runs.run_warm(arguments, log) == 2
        *_, line = log.read_text().splitlines()
        assert line.startswith("ConfigError: ")
        assert "Traceback" not in log.read_text()
        assert process.poll() is None
        assert (path / "config.yaml").read_bytes() == before


def signal_on_entry(path, signum):
    """Send this process a signal when it enters a function for the first time."""
    calls = []

    def monitor(call, name):
        if (call, name) == ("enter", path) and not calls:
            calls.append(os.kill(os.getpid(), signum))

    kills.intercept(monitor)


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_in_the_first_evaluation_saves_and_exits(signum, code, tmp_path):
    path, log = tmp_path / "run", tmp_path / "log"
    plant = partial(signal_on_entry, "samples", signum)
    assert runs.run_warm(runs.next_command(path, LONG), log, plant) == code
    assert runs.saved_step(path) == RunDir(path).read_status()["step"] == 1
    assert "Traceback" not in log.read_text()


def signal_before_the_first_step():
    write = RunRecords.write_constants

    def and_signal(self, run):
        write(self, run)
        signal.raise_signal(signal.SIGTERM)

    RunRecords.write_constants = and_signal


def test_a_signal_before_the_first_step_saves_and_the_run_is_whole(whole, tmp_path):
    path, log = tmp_path / "run", tmp_path / "log"
    command = runs.next_command(path, runs.RING_RUN)
    assert runs.run_warm(command, log, signal_before_the_first_step) == 143
    assert list(checkpoint.available(RunDir(path).checkpoints)) == [0]
    assert runs.run_warm(["resume", str(path)], log) == 0
    assert runs.difference(path, whole) == ""


def test_a_signal_in_the_final_evaluation_lets_it_end(tmp_path):
    path, log = tmp_path / "run", tmp_path / "log"
    plant = partial(signal_on_entry, "the report", signal.SIGTERM)
    assert runs.run_warm(runs.next_command(path, LONG), log, plant) == 0
    assert RunDir(path).read_status()["state"] == "done"


@pytest.mark.slow
def test_ctrl_c_while_compiling_saves_and_exits(tmp_path):
    """The terminal sends it to the compiler's processes, too."""
    path, log = tmp_path / "run", tmp_path / "log"
    command = runs.command(runs.next_command(path, (*runs.RING_RUN, "execution.mode=compiled")))
    fresh = {**os.environ, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    with open(log, "wb") as file:
        process = subprocess.Popen(
            command, cwd=ROOT, env=fresh, stdout=file, stderr=file, start_new_session=True
        )
    wait_for(lambda: "compiling" in log.read_text() or (tmp_path / "cache").exists(), process)
    time.sleep(3)
    os.killpg(process.pid, signal.SIGINT)
    assert process.wait(timeout=200) == 130
    assert "Traceback" not in log.read_text()
    assert runs.saved_step(path) == 1


def test_a_run_goes_on_when_nobody_can_read_what_it_says(tmp_path):
    path = tmp_path / "run"
    command = runs.command(runs.next_command(path, LONG))
    with open("/dev/full", "wb") as full:
        code = subprocess.run(command, cwd=ROOT, stdout=full, stderr=full).returncode
    assert code in (1, 120)  # the table of results could not be shown
    assert RunDir(path).read_status()["state"] == "done"
