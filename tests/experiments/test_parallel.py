"""Work in several processes: the same results as alone, and no worker outlives its parent."""

import operator
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import SimpleNamespace

import pytest

from gan_lab.experiments.parallel import in_processes
from gan_lab.runs.run_dir import RunDir
from tests.helpers import ONE

JOBS = {"b": (1, 2), "a": (3, 4), "c": (5, 6)}


def lab(workers):
    told = []
    return SimpleNamespace(workers=workers, launcher=None, tell=told.append, told=told)


@pytest.mark.multiprocess
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_results_come_in_the_order_of_the_jobs(workers):
    mine = lab(workers)
    assert in_processes(mine, operator.add, JOBS) == {"b": 3, "a": 7, "c": 11}
    assert list(in_processes(lab(1), operator.add, JOBS)) == list(JOBS)
    assert [line[:6] for line in mine.told] == ["1 of 3", "2 of 3", "3 of 3"]


@pytest.mark.multiprocess
@pytest.mark.parametrize("workers", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_an_error_in_a_job_is_an_error_of_the_study(workers):
    with pytest.raises(ZeroDivisionError):
        in_processes(lab(workers), operator.truediv, {"a": (1, 1), "b": (1, 0)})


def process(pid, name):
    """A file of /proc; empty where the process has gone meanwhile."""
    try:
        return Path(f"/proc/{pid}/{name}").read_text()
    except OSError:
        return ""


def alive(pid, parent=""):
    """Whether a process lives, as a child of the parent if one is given."""
    state, ppid = (process(pid, "stat").rpartition(")")[2].split() or ["Z", ""])[:2]
    return state != "Z" and parent in ("", ppid)


def workers_of(parent):
    pids = (path.name for path in Path("/proc").glob("[0-9]*") if alive(path.name, str(parent)))
    return [pid for pid in pids if "spawn_main" in process(pid, "cmdline")]


@pytest.mark.multiprocess
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("signum", "code", "state"),
    [
        (signal.SIGKILL, -9, "running"),
        pytest.param(signal.SIGTERM, 143, "interrupted", marks=pytest.mark.slow),
    ],
)
def test_no_worker_outlives_its_parent(workdir, signum, code, state):
    command = [sys.executable, "-m", "gan_lab", "experiment", "parallel_segments", "workers=2"]
    parent = subprocess.Popen(
        [*command, "hydra.run.dir=out"], env=ONE, stderr=subprocess.DEVNULL, text=True
    )
    deadline = time.monotonic() + 60
    workers = []
    while len(workers) < 2 and time.monotonic() < deadline:
        time.sleep(0.2)
        workers = workers_of(parent.pid)
    assert len(workers) == 2
    time.sleep(4.0)  # long enough for a worker to watch its parent
    os.kill(parent.pid, signum)
    assert parent.wait(30) == code
    while any(map(alive, workers)) and time.monotonic() < deadline + 30:
        time.sleep(0.2)
    assert not any(map(alive, workers))
    assert RunDir(workdir / "out").read_status()["state"] == state
