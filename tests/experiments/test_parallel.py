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
    return SimpleNamespace(workers=workers, tell=told.append, told=told)


@pytest.mark.multiprocess
@pytest.mark.parametrize("workers", [1, 2])
def test_results_come_in_the_order_of_the_jobs(workers):
    mine = lab(workers)
    assert in_processes(mine, operator.add, JOBS) == {"b": 3, "a": 7, "c": 11}
    assert list(in_processes(lab(1), operator.add, JOBS)) == list(JOBS)
    assert [line[:6] for line in mine.told] == ["1 of 3", "2 of 3", "3 of 3"]


@pytest.mark.multiprocess
@pytest.mark.parametrize("workers", [1, 2])
def test_an_error_in_a_job_is_an_error_of_the_study(workers):
    with pytest.raises(ZeroDivisionError):
        in_processes(lab(workers), operator.truediv, {"a": (1, 1), "b": (1, 0)})


def children_of(pid):
    """Processes whose parent is pid."""
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:  # it has gone meanwhile
            continue
        if int(fields[1]) == pid and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


def alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


@pytest.mark.multiprocess
@pytest.mark.skipif(not Path("/proc").exists(), reason="looks for processes in /proc")
@pytest.mark.parametrize(
    ("signum", "code", "state"),
    [(signal.SIGKILL, -9, "running"), (signal.SIGTERM, 143, "interrupted")],
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
        workers = [pid for pid in children_of(parent.pid) if b"spawn_main" in _command_line(pid)]
    assert len(workers) == 2
    time.sleep(4.0)  # long enough for a worker to watch its parent
    os.kill(parent.pid, signum)
    assert parent.wait(30) == code
    while any(map(alive, workers)) and time.monotonic() < deadline + 30:
        time.sleep(0.2)
    assert not any(map(alive, workers))
    assert RunDir(workdir / "out").read_status()["state"] == state


def _command_line(pid):
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
