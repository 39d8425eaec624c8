"""Ctrl-C and SIGTERM while torch.compile works: soon, in one line, and not counted as a failure."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from torch._dynamo.exc import BackendCompilerFailed, InternalTorchDynamoError

from gan_lab.engine.devices import has_compiler
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.run import Run
from tests.helpers import ONE, RING, main

KEYS = (
    *(*RING, "execution.mode=compiled", "trainer.steps=6", "trainer.checkpoint_every=3"),
    "hydra.run.dir=run",
)
UNSAVED = "nothing was saved yet, so begin it again"
SAVED = "the state is saved, resume continues it"

pytestmark = pytest.mark.skipif(not has_compiler(), reason="needs a C++ compiler")


def killed():
    """What is raised where Ctrl-C kills the C++ compiler."""
    return subprocess.CalledProcessError(-signal.SIGINT, "g++", b"generated code\n" * 1000)


@pytest.fixture
def compiler(monkeypatch):
    """Put a slow compiler in place of the steps from `at` on, which a signal or an error ends."""

    def compile_at(at, signum=None, error=None):
        train_step = Run.train_step

        def compile_and_step(run):
            if run.state.step < at:
                return train_step(run)
            try:
                if signum:
                    signal.raise_signal(signum)
                if error:
                    raise error
            except KeyboardInterrupt as interrupt:  # both kinds are torch's
                raise InternalTorchDynamoError("KeyboardInterrupt\n" * 1000) from interrupt
            except subprocess.CalledProcessError as dead:
                raise BackendCompilerFailed(compile_at, dead, None) from dead
            pytest.fail("the signal did not end the compiler")

        monkeypatch.setattr(Run, "train_step", compile_and_step)

    return compile_at


def status():
    return RunDir(Path("run")).read_status()


@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_the_first_step_at_once(signum, code, compiler, workdir, capsys):
    before = signal.getsignal(signum)
    compiler(0, signum)
    assert main("train", *KEYS) == code
    name = signal.Signals(signum).name
    assert capsys.readouterr().err == f"stopped by {name}; {UNSAVED}\n"
    assert (status()["state"], status()["signal"]) == ("interrupted", name)
    assert not checkpoint.available(RunDir(Path("run")).checkpoints)
    assert signal.getsignal(signum) == before


@pytest.mark.parametrize("at", [0, 4])
def test_a_compiler_that_dies_of_the_same_signal_is_no_failure(at, compiler, workdir, capsys):
    mode = "execution.mode=eager" if at else "execution.mode=compiled"  # whose signal waits
    compiler(at, signal.SIGINT, killed())
    assert main("train", *KEYS, mode) == 130
    assert capsys.readouterr().err == f"stopped by SIGINT; {SAVED if at else UNSAVED}\n"
    assert status()["state"] == "interrupted"
    if at:
        assert max(checkpoint.available(RunDir(Path("run")).checkpoints)) == 3


def test_a_compiler_that_fails_by_itself_is_a_failure(compiler, workdir):
    compiler(0, error=killed())
    with pytest.raises(BackendCompilerFailed):
        main("train", *KEYS)
    assert status()["state"] == "failed"


def test_another_error_after_a_signal_is_a_failure(compiler, workdir):
    compiler(0, signal.SIGINT, ValueError("a shape"))
    with pytest.raises(ValueError, match="a shape"):
        main("train", *KEYS, "execution.mode=eager")
    assert status()["state"] == "failed"


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [2, 8])
@pytest.mark.parametrize(("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_real_compiler_is_stopped_in_one_line(signum, code, seconds, tmp_path):
    command = [sys.executable, "-m", "gan_lab", "train", *KEYS]
    env = {**ONE, "TORCHINDUCTOR_CACHE_DIR": str(tmp_path / "cache")}
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    child = subprocess.Popen(command, cwd=tmp_path, env=env, start_new_session=True, **pipes)
    assert "compiling" in child.stdout.readline()
    time.sleep(seconds)
    os.killpg(child.pid, signum)  # as the terminal does
    _, err = child.communicate(timeout=120)
    assert child.returncode == code
    name = signal.Signals(signum).name
    assert err in (f"stopped by {name}; {UNSAVED}\n", f"stopped by {name}; {SAVED}\n")
    assert RunDir(tmp_path / "run").read_status()["state"] == "interrupted"
