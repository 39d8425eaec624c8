"""A run's directory: its files, its lock, and writes that survive a kill.

* `atomic_write`: the whole file or the old one (status, checkpoints);
* `RunDir.lock`: one process at a time, released by the kernel whatever kills the process.
"""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import math
import os
import platform
import re
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from gan_lab import __version__
from gan_lab.console import announce
from gan_lab.errors import ConfigError
from gan_lab.runs.safe_io import NoFile, printable, read_regular

_NO_LOCKS_HERE = {errno.ENOSYS, errno.EOPNOTSUPP, errno.ENOLCK}  # some network file systems
# A link in a directory that somebody else created is not followed (Windows has no flag for that),
# and Windows writes \n as it is.
_UPDATE = os.O_RDWR | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
APPEND = _UPDATE | os.O_CREAT | os.O_APPEND
_PAUSES = (0.01, 0.1, 1.0)  # seconds that a reader of a file on Windows is waited for
_PACKAGES = ("torchvision", "numpy", "scipy", "hydra-core", "tensorboard")


def atomic_write(path: Path, data: bytes | memoryview) -> None:
    """Replace a file by `data` so that a kill at any moment leaves the old file or the new one.

    Its directory is created when missing.

    Raises:
        OSError: It could not be written (disk full, permission); the old file is untouched.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # In the same directory, since os.replace is atomic only within one file system. A leftover of a
    # killed process is never mistaken for data: the next lock of the run removes it.
    temporary = path.with_name(f".{path.name}.{secrets.token_hex(4)}.tmp")
    try:
        with open(temporary, "xb") as file:  # never through a link of that name
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # else a power cut can keep the rename and lose the bytes
        _replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    # The rename is durable only once the directory is; some file systems refuse to sync one.
    with contextlib.suppress(OSError):
        directory = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(directory)
        finally:
            os.close(directory)


def _replace(source: Path, target: Path) -> None:
    """Rename a file over another. Windows refuses that while somebody reads the other."""
    for pause in _PAUSES if sys.platform == "win32" else ():
        try:
            os.replace(source, target)
            return
        except PermissionError:
            time.sleep(pause)
    os.replace(source, target)


def plain(value: Any) -> Any:
    """Return the value as JSON can hold it: infinity and nan as "inf", "-inf" and "nan"."""
    if value is None or isinstance(value, bool | int | str):
        return value
    if isinstance(value, float):
        return float(value) if math.isfinite(value) else str(float(value))
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item) for item in value]
    return plain(value.tolist()) if hasattr(value, "tolist") else str(value)  # numpy, tensors


def to_json(value: Any, indent: int | None = None) -> bytes:
    """Return strict JSON (no NaN or Infinity tokens) in ASCII, floats at full precision."""
    return (json.dumps(plain(value), allow_nan=False, indent=indent) + "\n").encode()


class _Subpath:
    """A path below the run's directory, as a read-only attribute."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __get__(self, run: RunDir, owner: type[RunDir]) -> Path:
        return run.path / self._name


@dataclass(frozen=True)
class RunDir:
    """The files of one run. Sub-directories appear with the first file written into them."""

    path: Path

    config = _Subpath("config.yaml")  # resolved: every value as the run used it
    status = _Subpath("status.json")  # state, versions, hardware, command
    metrics = _Subpath("metrics.jsonl")  # one object a log step
    events = _Subpath("events.jsonl")  # what happened, and when
    tensorboard = _Subpath("tensorboard")
    checkpoints = _Subpath("checkpoints")  # step_*.pt
    figures = _Subpath("figures")  # *.png, drawn from the other files
    samples = _Subpath("samples")
    real = _Subpath("real.png")  # held-out images beside which samples are looked at
    landscape = _Subpath("landscape")  # step_*.npz, the discriminator on a grid

    def create(self) -> RunDir:
        """Create the directory and its parents; one that exists stays as it is."""
        self.path.mkdir(parents=True, exist_ok=True)
        return self

    def child(self, seed: int) -> RunDir:
        """Return the run directory of one seed among several, whether it exists or not."""
        return RunDir(self.path / f"seed_{seed}")

    def of_seeds(self, seeds: Sequence[int]) -> list[RunDir]:
        """Return each seed's directory: this one for a single seed, a child each for several."""
        return [self.child(seed) for seed in seeds] if len(seeds) > 1 else [self]

    def children(self) -> list[RunDir]:
        """Return the existing seed_* directories by seed; empty for a run of one seed."""
        seeds = {
            int(match[1]): entry
            for entry in self.path.glob("seed_*")
            if (match := re.fullmatch(r"seed_(-?\d+)", entry.name)) and entry.is_dir()
        }
        return [RunDir(seeds[seed]) for seed in sorted(seeds)]

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Exclude every other process while the block runs.

        Raises:
            ConfigError: Another process holds the lock, or nothing can be written here.
        """
        # An object each: a kept one would let the same process in a second time.
        lock = FileLock(self._lock_file())
        try:
            lock.acquire(blocking=False)
        except Timeout:
            raise ConfigError(
                f"run directory {self.path} is in use by {self._read_lock_holder()}. Wait until it "
                "ends, stop it, or, for a new run, choose another directory with hydra.run.dir=..."
            ) from None
        except OSError as error:
            if error.errno not in _NO_LOCKS_HERE:
                raise self._cannot_write(error) from error
            print(f"warning: {self.path} cannot be locked: {error.strerror}", file=sys.stderr)
        else:  # without a lock, the temporary files of another process look like leftovers
            for run in (self, *self.children()):
                for leftover in (*run.path.glob(".*.tmp"), *run.path.glob("*/.*.tmp")):
                    leftover.unlink(missing_ok=True)
        try:
            self._write_lock_holder()
            yield
        finally:
            lock.release()  # the kernel does that too, after kill -9

    def _lock_file(self) -> Path:
        try:
            return self.create().path / ".lock"
        except OSError as error:
            raise self._cannot_write(error) from error

    def _cannot_write(self, error: OSError) -> ConfigError:
        return ConfigError(
            f"nothing can be written to run directory {self.path}: {error.strerror}. Mend that, "
            "or, for a new run, choose another directory with hydra.run.dir=..."
        )

    def _write_lock_holder(self) -> None:
        """Write who holds the lock, for a message. Windows refuses that, and a full disk does."""
        with contextlib.suppress(OSError):
            file = os.open(self._lock_file(), _UPDATE)
            try:
                os.ftruncate(file, 0)
                os.write(file, f"{os.getpid()} on {platform.node()}".encode())
            finally:
                os.close(file)

    def _read_lock_holder(self) -> str:
        with contextlib.suppress(OSError):
            if holder := read_regular(self._lock_file(), 4096).decode(errors="replace"):
                return f"process {printable(holder)}"
        return "another process"

    def write_status(self, **fields: Any) -> None:
        """Merge `fields` into status.json, atomically.

        Raises:
            OSError: It could not be written, or the directory is gone; an old status is untouched.
            ConfigError: The old status is not valid JSON.
        """
        self.path.stat()
        atomic_write(self.status, to_json({**self.read_status(), **fields}, indent=2))

    def update_status(self, **fields: Any) -> None:
        """Merge fields into status.json like `write_status`, but replace one that is damaged.

        Raises:
            OSError: It could not be written.
        """
        try:
            self.write_status(**fields)
        except ConfigError:
            announce(f"warning: {self.status} was damaged; it is written anew")
            self.status.unlink(missing_ok=True)
            self.write_status(**fields)

    def read_status(self) -> dict[str, Any]:
        """Return the content of status.json; empty when there is none.

        Raises:
            ConfigError: It is not a JSON object (it is written atomically: somebody edited it).
        """
        try:
            status = json.loads(read_regular(self.status, 1 << 24))
        except FileNotFoundError:
            return {}
        except (NoFile, ValueError, RecursionError) as error:
            status = error
        if isinstance(status, dict):
            return status
        raise ConfigError(f"{self.status} is not a JSON object ({status}). Repair or remove it.")


def environment() -> dict[str, Any]:
    """Return what a number depends on besides the configuration; an unknown fact is None."""
    import torch  # takes two seconds, and commands that only read run directories need none of it

    versions = {"python": platform.python_version(), "gan_lab": __version__}
    versions["torch"] = str(torch.__version__)  # with its build (+cpu, +cu130), unlike metadata
    for package in _PACKAGES:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            versions[package] = importlib.metadata.version(package)
    devices = range(torch.cuda.device_count()) if torch.cuda.is_available() else range(0)
    return {
        "versions": versions,
        "git": _git(),
        "hardware": {
            "cpu": _cpu_model(),
            "cores": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else None,
            "cuda": [torch.cuda.get_device_name(index) for index in devices],
        },
        "threads": torch.get_num_threads(),  # 1 and 2 threads differ in the 8th digit
        "hostname": platform.node(),
        "command": list(sys.argv),
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def _cpu_model() -> str | None:
    with contextlib.suppress(OSError):
        if match := re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text()):
            return match[1]
    return platform.processor() or None


def _git() -> dict[str, Any] | None:
    """Return commit and dirty flag of the checkout this package runs from; None outside of one."""
    root = Path(__file__).resolve().parents[2]

    def git(*arguments: str) -> str:
        return subprocess.run(
            ["git", "-C", str(root), *arguments],
            check=True,
            capture_output=True,
            text=True,
            timeout=5,
            env={**os.environ, "GIT_OPTIONAL_LOCKS": "0"},  # status must not touch the index
        ).stdout

    try:
        top, commit = git("rev-parse", "--show-toplevel", "HEAD").split("\n")[:2]
        if Path(top).resolve() != root:  # installed in a .venv inside somebody else's repository
            return None
        return {"commit": commit, "dirty": bool(git("status", "--porcelain"))}
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
