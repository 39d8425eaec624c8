import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import AppendFile
from gan_lab.runs import run_dir
from gan_lab.runs.run_dir import RunDir, atomic_write, environment, plain, to_json

HOLD = """
import sys, time
from pathlib import Path
from gan_lab.runs.run_dir import RunDir
with RunDir(Path(sys.argv[1])).lock():
    print("locked", flush=True)
    time.sleep(60)
"""


def process(pid):
    """How a refusal calls the holder of a lock: Windows lets nobody write into its file."""
    return "another process" if sys.platform == "win32" else f"process {pid} on "


def strict(text):
    """JSON without nan and infinity."""
    return json.loads(text, parse_constant=pytest.fail)


def test_children_are_sorted_by_number_not_by_name(tmp_path):
    run = RunDir(tmp_path)
    for name in ["seed_10", "seed_2", "seed_0", "seed_x", "seeds", "seed_1_old"]:
        (tmp_path / name).mkdir()
    (tmp_path / "seed_3").write_text("a file is no run")
    assert [child.path.name for child in run.children()] == ["seed_0", "seed_2", "seed_10"]
    assert run.child(2) == run.children()[1]
    assert run.child(7).path == tmp_path / "seed_7"


def test_a_run_directory_is_empty_until_something_is_written(tmp_path):
    run = RunDir(tmp_path / "a" / "b").create()
    assert run.create() == run
    assert list(run.path.iterdir()) == []
    assert run.config == run.path / "config.yaml"
    assert run.checkpoints == run.path / "checkpoints"
    atomic_write(run.figures / "x.png", b"1")
    assert [entry.name for entry in run.path.iterdir()] == ["figures"]


def test_status_merges_and_is_strict_json(tmp_path):
    run = RunDir(tmp_path)
    assert run.read_status() == {}
    run.write_status(state="running", step=1, path=tmp_path)
    run.write_status(state="done", low=-np.inf, high=np.float32("inf"), bad=float("nan"))
    expected = {"state": "done", "step": 1, "path": str(tmp_path)}
    assert run.read_status() == expected | {"low": "-inf", "high": "inf", "bad": "nan"}
    assert strict(run.status.read_text()) == run.read_status()
    assert [entry.name for entry in tmp_path.iterdir()] == ["status.json"]


@pytest.mark.parametrize("text", ["{", "[1]", ""])
def test_an_edited_status_is_the_users_error(tmp_path, text):
    run = RunDir(tmp_path)
    run.status.write_text(text)
    with pytest.raises(ConfigError, match=r"status\.json is not a JSON object.*Repair"):
        run.read_status()


def test_plain_keeps_every_float_bit_and_never_writes_a_nan_token():
    value = {"x": [0.1, 1e-323, np.float64(1 / 3)], 1: (True, None), "t": torch.tensor([2.5])}
    assert strict(to_json(value)) == {"x": [0.1, 1e-323, 1 / 3], "1": [True, None], "t": [2.5]}
    assert plain([np.inf, -np.inf, np.nan, np.int64(3)]) == ["inf", "-inf", "nan", 3]


FULL = OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize(
    ("call", "error"), [("replace", FULL), ("fsync", FULL), ("replace", KeyboardInterrupt())]
)
def test_a_failed_atomic_write_leaves_the_old_file_and_no_other(tmp_path, monkeypatch, call, error):
    path = tmp_path / "file"
    atomic_write(path, b"old")

    def fail(*_):
        raise error

    monkeypatch.setattr(run_dir.os, call, fail)
    with pytest.raises(type(error)):
        atomic_write(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_append_file_holds_whole_records_when_the_disk_fills_inside_one(tmp_path, monkeypatch):
    file = AppendFile(tmp_path / "log")
    file.write(b"one\n")
    real = os.write
    budget = [5]

    def nearly_full(fd, data):
        if not budget[0]:
            raise OSError(errno.ENOSPC, "No space left on device")
        n = real(fd, bytes(data[: budget[0]]))
        budget[0] -= n
        return n

    monkeypatch.setattr(run_dir.os, "write", nearly_full)
    with pytest.raises(OSError, match="No space left"):
        file.write(b"a long record\n")
    assert file.path.read_bytes() == b"one\n"
    budget[0] = 100  # somebody made room
    file.write(b"two\n")
    file.sync()
    file.close()
    file.close()
    assert file.path.read_bytes() == b"one\ntwo\n"


def test_a_lock_refuses_a_second_process_and_dies_with_its_holder(tmp_path):
    run = RunDir(tmp_path / "run")
    command = [sys.executable, "-c", HOLD, str(run.path)]
    holder = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert holder.stdout.readline() == "locked\n"
        refused = rf"in use by {process(holder.pid)}.*\. Wait until it ends"
        with pytest.raises(ConfigError, match=refused) as error, run.lock():
            pass
        assert "\n" not in str(error.value)
        holder.kill()  # SIGKILL, or what Windows has for it
        holder.wait()
        with run.lock(), pytest.raises(ConfigError, match=process(os.getpid())), run.lock():
            pass
    finally:
        holder.kill()
        holder.communicate()


def test_a_lock_is_free_again_after_the_block_even_when_it_fails(tmp_path):
    run = RunDir(tmp_path)
    for _ in range(2):
        with pytest.raises(KeyError), run.lock():
            raise KeyError
    with run.lock(), pytest.raises(ConfigError, match=process(os.getpid())), run.lock():
        pass


def test_whoever_locks_a_run_sweeps_what_killed_writers_left(tmp_path):
    run = RunDir(tmp_path)
    torn = [
        run.path / ".status.json.1.tmp",
        run.tensorboard / ".events.out.tfevents.0000000000.hparams.1.tmp",  # TensorBoard reads it
        run.checkpoints / ".step_00000010.pt.1.tmp",
        run.child(3).landscape / ".step_00000008.npz.1.tmp",
        run.child(3).samples / ".step_00000008.png.1.tmp",
    ]
    kept = [run.path / "notes.tmp", run.tensorboard / "events.out.tfevents.0000000001.series"]
    for path in (*torn, *kept):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    with run.lock():
        assert not any(path.exists() for path in torn)
        assert all(path.exists() for path in kept)


def test_a_directory_that_cannot_be_written_to_is_refused_in_one_line(tmp_path):
    (tmp_path / "file").touch()
    message = r"nothing can be written .*file.*: .+ choose another"
    with pytest.raises(ConfigError, match=message), RunDir(tmp_path / "file").lock():
        pass


def test_a_file_system_without_locks_warns_and_runs(tmp_path, monkeypatch, capsys):
    def unsupported(*_):
        raise OSError(errno.EOPNOTSUPP, "Operation not supported")

    monkeypatch.setattr(pytest.importorskip("fcntl"), "flock", unsupported)
    with RunDir(tmp_path).lock():
        pass
    assert "cannot be locked: Operation not supported" in capsys.readouterr().err


@pytest.fixture
def fresh_git():
    """Let git be asked, which the other tests do once."""
    run_dir._git.cache_clear()
    yield
    run_dir._git.cache_clear()


@pytest.mark.usefixtures("fresh_git")
def test_environment_is_json_and_names_what_a_number_depends_on():
    facts = environment()
    assert strict(to_json(facts)) == facts
    assert facts["versions"]["torch"] == torch.__version__
    assert facts["threads"] == torch.get_num_threads()
    assert facts["command"] == sys.argv
    assert facts["started"].endswith("+00:00")
    root = Path(__file__).parents[2]
    if (root / ".git").exists() and facts["git"]:
        assert len(facts["git"]["commit"]) == 40
        assert isinstance(facts["git"]["dirty"], bool)


@pytest.mark.usefixtures("fresh_git")
@pytest.mark.parametrize("failure", [FileNotFoundError, subprocess.TimeoutExpired])
def test_environment_does_without_git(monkeypatch, failure):
    def missing(*_, **__):
        raise failure("git", 5)

    monkeypatch.setattr(run_dir.subprocess, "run", missing)
    assert environment()["git"] is None


@pytest.mark.usefixtures("fresh_git")
def test_a_package_inside_somebody_elses_repository_has_no_commit(monkeypatch):
    elsewhere = subprocess.CompletedProcess([], 0, stdout="/somewhere/else\n" + "0" * 40 + "\n")
    monkeypatch.setattr(run_dir.subprocess, "run", lambda *_, **__: elsewhere)
    assert environment()["git"] is None
