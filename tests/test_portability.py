"""Other systems, by stand-ins: Windows by what it lacks, an Apple GPU by its lack of float64."""

import os
import subprocess
import sys
from types import SimpleNamespace

import pytest
import torch

from gan_lab.cli import main as cli
from gan_lab.cli import sweep
from gan_lab.engine.devices import resolve_device, to_float64
from gan_lab.engine.execution import Execution
from gan_lab.errors import ConfigError
from gan_lab.runs import run_dir
from gan_lab.runs.run_dir import RunDir, atomic_write
from tests.helpers import DIGITS, ONE, RING, ROOT, files, main, rows

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
import asyncio  # its half for Unix, which Windows does not import, needs os.sysconf
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


ALL_METRICS = ("metrics=[wasserstein,sliced_wasserstein,kl,js,kernel,modes,neighbours]",)


@pytest.mark.parametrize(
    "keys",
    [
        pytest.param(
            (*RING, *ALL_METRICS, "neural_distance.steps=10", "loss=wasserstein"),
            marks=pytest.mark.slow,
        ),
        pytest.param((*DIGITS, *ALL_METRICS, "n_seeds=2"), marks=pytest.mark.slow),
    ],
    ids=["ring", "digits"],
)
def test_a_device_without_float64_trains_as_the_cpu(keys, workdir):
    command = ["train", *keys, "trainer.steps=4"]
    done = subprocess.run(
        [sys.executable, "-m", "tests.float32_device", *command, "output=there"],
        env={**ONE, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert main(*command, "output=here") == 0
    for place in [path for path in files("there") if path.name == "metrics.jsonl"]:
        there, here = rows(f"there/{place.parent}"), rows(f"here/{place.parent}")
        assert len(there) == len(here) > 0
        for left, right in zip(there, here, strict=True):
            assert left == pytest.approx(right, rel=1e-3, abs=1e-5, nan_ok=True)


def test_numbers_widen_on_the_cpu_where_their_device_has_no_float64():
    x = torch.tensor([0.1], requires_grad=True)
    assert to_float64(x).tolist() == [torch.tensor(0.1).item()]
    assert to_float64(x.half()).dtype == torch.float64


@pytest.mark.parametrize("is_there", [True, False])
def test_mps_is_taken_where_torch_has_it_and_auto_never_takes_it(monkeypatch, is_there):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: is_there)
    assert resolve_device("auto").type in ("cpu", "cuda")
    if is_there:
        assert resolve_device("mps") == torch.device("mps")
    else:
        with pytest.raises(ConfigError, match=r"device='mps' .* no Apple GPU; take device=cpu"):
            resolve_device("mps")


def test_what_mps_cannot_do_is_refused_before_it_begins(monkeypatch, workdir, capsys):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(ConfigError, match=r"device=mps trains in one process"):
        Execution().check(torch.device("mps"), alone=False)
    Execution().check(torch.device("mps"))
    assert main("experiment", "dirac_gan", "device=mps", "output=study") == 2
    assert capsys.readouterr().err == (
        "ConfigError: device=mps has no float64, in which studies measure; take device=cpu\n"
    )
    assert files(workdir) == []


MISSING = (
    "The operator 'aten::linalg_qr.out' is not currently implemented for the MPS device. If you "
    "want this op to be considered, please comment. As a temporary fix, you can set ..."
)


@pytest.mark.parametrize(
    ("error", "start"),
    [
        (NotImplementedError(MISSING), "device=mps: The operator 'aten::linalg_qr.out' is not "),
        (TypeError("Cannot convert a MPS Tensor to float64 dtype as"), "device=mps: Cannot "),
        (NotImplementedError("a method of ours"), None),
    ],
)
def test_an_operator_that_mps_lacks_is_one_line(monkeypatch, capsys, error, start):
    def fail(arguments):
        raise error

    monkeypatch.setattr(cli, "_command", lambda name: fail)
    if start is None:
        with pytest.raises(NotImplementedError):
            main("train")
        return
    assert main("train") == 1
    line = capsys.readouterr().err
    assert line.startswith(f"{type(error).__name__}: {start}")
    assert "PYTORCH_ENABLE_MPS_FALLBACK=1" in line
    assert "device=cpu" in line
    assert line.count("\n") == 1
