"""Other systems, as far as one can stand in for them: Windows by what it lacks."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from gan_lab.cli import sweep
from gan_lab.runs import run_dir
from gan_lab.runs.run_dir import RunDir, atomic_write
from tests.helpers import RING, files, main, rows

# What Windows has not; os.uname and a few more stay, which libraries use where sys.platform is not
# win32. `mypy --platform win32` sees the names that no run of this test reaches.
MODULES = ("fcntl", "resource", "pwd", "grp", "termios", "tty", "pty", "syslog")
SYSTEM = (
    *("fork", "forkpty", "sched_getaffinity", "sched_setaffinity", "getuid", "geteuid", "getgid"),
    *("getpgid", "setsid", "killpg", "sysconf", "sysconf_names", "statvfs", "mkfifo", "nice"),
    *("getloadavg", "chown", "fchmod", "O_NOFOLLOW", "O_DIRECTORY", "O_CLOEXEC"),
)
SIGNALS = (
    *("SIGHUP", "SIGKILL", "SIGALRM", "SIGUSR1", "SIGUSR2", "SIGCHLD", "SIGQUIT", "SIGSTOP"),
    *("SIGCONT", "alarm", "setitimer", "pthread_sigmask", "pthread_kill"),
)
STAND_IN = f"""
import importlib, os, pkgutil, signal, sys
sys.modules |= dict.fromkeys({MODULES!r})
for module, names in ((os, {SYSTEM!r}), (signal, {SIGNALS!r})):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
import gan_lab
for module in pkgutil.walk_packages(gan_lab.__path__, "gan_lab."):
    if module.name != "gan_lab.__main__":
        importlib.import_module(module.name)
from gan_lab.cli.main import main
for arguments in sys.argv[1:]:
    if code := main(arguments.split()):
        sys.exit(code)
"""
REFUSED = set('<>:"|?*\\')  # in the name of a file


def test_without_what_windows_lacks_every_module_imports_and_a_run_is_the_same(workdir):
    train = ["train", *RING, "trainer.steps=4"]
    commands = [" ".join([*train, "output=there"]), "resume there trainer.steps=6"]
    ascii_only = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    done = subprocess.run(
        [sys.executable, "-c", STAND_IN, *commands],
        env={**os.environ, "OMP_NUM_THREADS": "1", **ascii_only},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    for command in commands:
        assert main(*command.replace("there", "here").split()) == 0
    assert RunDir(workdir / "there").read_status()["state"] == "done"
    assert rows("there") == rows("here") != []
    assert [path for path in files("there") if REFUSED & set(path.name)] == []


@pytest.mark.parametrize(("n_refusals", "is_written"), [(0, True), (3, True), (4, False)])
def test_on_windows_a_write_waits_for_a_reader_of_the_file(
    tmp_path, monkeypatch, n_refusals, is_written
):
    path, replace, refusals = tmp_path / "file", os.replace, [PermissionError()] * n_refusals
    path.write_bytes(b"old")

    def refuse_first(source, target):
        if refusals:
            raise refusals.pop()
        replace(source, target)

    monkeypatch.setattr(run_dir.os, "replace", refuse_first)
    monkeypatch.setattr(run_dir.time, "sleep", lambda seconds: None)
    if n_refusals:
        with pytest.raises(PermissionError):  # elsewhere it is a real refusal
            atomic_write(path, b"new")
        refusals.append(PermissionError())
    monkeypatch.setattr(sys, "platform", "win32")
    if is_written:
        atomic_write(path, b"new")
    else:
        with pytest.raises(PermissionError):
            atomic_write(path, b"new")
    assert path.read_bytes() == (b"new" if is_written else b"old")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("is_alive", [True, False])
def test_on_windows_a_sweeps_worker_asks_multiprocessing_for_its_parent(monkeypatch, is_alive):
    parent = SimpleNamespace(is_alive=lambda: is_alive)
    monkeypatch.setattr(sweep.multiprocessing, "parent_process", lambda: parent)
    assert not sweep._is_orphan(os.getppid())
    monkeypatch.setattr(sys, "platform", "win32")
    assert sweep._is_orphan(os.getppid()) is not is_alive
