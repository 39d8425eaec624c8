"""kill -9 at random and at chosen moments: the resumed run equals the uninterrupted one.

A fuse hits a chosen moment: the process counts its own calls of one kind (writes to a file,
renames, removals, evaluations) and at one of them sends itself SIGKILL, in the middle of a write
after a random fraction of its bytes.
"""

import builtins
import collections
import functools
import io
import itertools
import os
import random
import re
import signal
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.campaigns.record import Campaign, Fault
from tests.campaigns.runs import (
    TRAININGS,
    difference,
    next_command,
    run_warm,
    saved_step,
    start_fresh,
    start_warm,
    training,
    wait,
)


@dataclass(frozen=True)
class Fuse:
    """One moment of a process.

    Attributes:
        call: "write", "replace", "remove" or "enter" (a function).
        path: What is written, renamed to, removed or entered: a regular expression.
        nth: Of such calls, from 1.
        fraction: Of a write's bytes that is written before the end; another call is made if it is
            over a half.
    """

    call: str
    path: str
    nth: int
    fraction: float

    def __call__(self) -> None:
        """Intercept the calls of this process."""
        numbers = itertools.count(1)

        def monitor(call: str, path: str) -> float | None:
            if call != self.call or not re.search(self.path, path):
                return None
            return self.fraction if next(numbers) == self.nth else None

        intercept(monitor)


# A moment: the call and what it is made on.
MOMENTS = {
    "in a step": ("enter", "^a step$"),
    "in an evaluation": ("enter", "^samples$"),
    "after the last save": ("enter", "^the report$"),
    "writing a checkpoint": ("write", r"/\.step_\d+\.pt\."),
    "renaming a checkpoint": ("replace", r"/step_\d+\.pt$"),
    "writing a best checkpoint": ("write", r"/\.best_\d+\.pt\."),
    "between the best checkpoint and the regular one": ("replace", r"/best_\d+\.pt$"),
    "in the rotation": ("remove", r"/(step|best)_\d+\.pt$"),
    "writing metrics.jsonl": ("write", r"/metrics\.jsonl$"),
    "writing events.jsonl": ("write", r"/events\.jsonl$"),
    "writing TensorBoard's series": ("write", r"\.series$"),
    "writing TensorBoard's table": ("write", r"/\.[^/]*hparams\."),
    "renaming TensorBoard's table": ("replace", r"hparams$"),
    "writing status.json": ("write", r"/\.status\.json\."),
    "renaming status.json": ("replace", r"/status\.json$"),
    "writing config.yaml": ("write", r"/\.?config\.yaml"),
    "writing a picture": ("write", r"/samples/"),
    "writing a landscape frame": ("write", r"/landscape/"),
    "in a resume's purge of metrics.jsonl": ("write", r"/\.metrics\.jsonl\."),
    "renaming the purged metrics.jsonl": ("replace", r"/metrics\.jsonl$"),
    "in a resume's purge of events.jsonl": ("write", r"/\.events\.jsonl\."),
    "renaming the purged events.jsonl": ("replace", r"/events\.jsonl$"),
}
_INSTANT, _REAL = "at any instant", "at any instant, python -m gan_lab"
EXPECTED = (
    "The run goes on with `resume` (with `train` before its first checkpoint) and ends as the "
    "uninterrupted one: the same weights, metrics.jsonl, events.jsonl, TensorBoard, pictures, "
    "landscape, files and status, clocks aside."
)


def campaign(
    n: int = 100,
    seed: int = 0,
    tell: Callable[[str], None] = lambda line: None,
    kinds: tuple[str, ...] = (*MOMENTS, _INSTANT, _REAL),
    trainings: tuple[str, ...] = tuple(TRAININGS),
) -> Campaign:
    """Kill runs n times, one to four times each, and compare each with the uninterrupted run."""
    rng, faults = random.Random(seed), list[Fault]()
    with tempfile.TemporaryDirectory(prefix="gan_lab_kills_") as folder:
        wholes = {name: Whole.train(name, Path(folder)) for name in trainings}
        todo = [kinds[index % len(kinds)] for index in range(n)]
        runs, limit = 0, 3 * n + 2 * len(trainings)
        while todo:
            if runs == limit:
                raise RuntimeError(f"after {runs} runs, these moments have not come: {todo}")
            whole = wholes[trainings[runs % len(trainings)]]
            runs += 1
            chain = Chain(whole, Path(folder) / f"run_{runs}", rng)
            for kind in todo[: rng.choice((1, 2, 3, 4))]:
                if chain.kill(kind):
                    todo.remove(kind)
            if chain.faults:
                faults += chain.finish()
                tell(f"{len(faults)} of {n} kills: {chain.summary()}")
    return Campaign("kills", "kill -9", EXPECTED, faults, {"runs": runs})


@dataclass(frozen=True)
class Whole:
    """An uninterrupted run of one of TRAININGS; `calls` counts how often each moment came."""

    training: str
    overrides: tuple[str, ...]
    path: Path
    calls: collections.Counter[str]
    steps: int
    seconds: float

    @classmethod
    def train(cls, name: str, folder: Path) -> "Whole":
        """Train it and count its moments."""
        path, counts, log = folder / name.replace(" ", "_"), folder / "counts", folder / "log"
        start, count = time.monotonic(), functools.partial(_count_moments, counts)
        overrides = training(name, folder)
        code = run_warm(next_command(path, overrides), log, count)
        assert code == 0, log.read_text()
        seconds = time.monotonic() - start
        calls = collections.Counter(counts.read_text().splitlines())
        counts.unlink()
        return cls(name, overrides, path, calls, saved_step(path), seconds)


class Chain:
    """A run that is killed, resumed, killed again, and in the end compared."""

    def __init__(self, whole: Whole, path: Path, rng: random.Random) -> None:
        self.whole, self.path, self.rng = whole, path, rng
        self.log = path.with_suffix(".log")
        self.faults: list[Fault] = []

    def _command(self) -> list[str]:
        return next_command(self.path, self.whole.overrides)

    def kill(self, kind: str) -> bool:
        """Continue the run until the moment comes; return whether it came before the end."""
        if self._is_done():
            return False
        arguments = self._command()
        if kind in MOMENTS:
            if arguments[0] == "train" and not self.whole.calls[kind]:
                if not self.kill("in the rotation"):
                    return False
                arguments = self._command()
            remaining = 1 - saved_step(self.path) / self.whole.steps
            n_calls = max(1, int(remaining * self.whole.calls[kind]))
            fuse = Fuse(*MOMENTS[kind], self.rng.randint(1, n_calls), self.rng.random())
            code = run_warm(arguments, self.log, fuse)
            moment = f"call {fuse.nth}, {fuse.fraction:.2f}"
        else:
            start = start_fresh if kind == _REAL else start_warm
            delay = self.rng.uniform(0, self.whole.seconds) + (2.5 if kind == _REAL else 0)
            process = start(arguments, self.log)
            time.sleep(delay)
            process.kill()
            code = process.wait() if kind == _REAL else wait(process)
            moment = f"after {delay:.2f} s"
        if code != -signal.SIGKILL:
            return False
        self.faults.append(Fault(kind, f"{self.whole.training}: {arguments[0]}, {moment}"))
        return True

    def finish(self) -> list[Fault]:
        """Continue the run to its end; return the faults, the last one with what was lost."""
        lost = ""
        if not self._is_done():
            code = run_warm(self._command(), self.log)
            lost = f"exit code {code}: {self.log.read_text()[-300:]}" if code else ""
        lost = lost or difference(self.path, self.whole.path)
        if lost and self.faults:
            last = self.faults.pop()
            self.faults.append(Fault(last.kind, f"{self.summary()}; {last.what}", lost))
        return self.faults

    def summary(self) -> str:
        """Return every kill and what it cost."""
        return "; ".join(f"{f.kind} ({f.what}) {f.lost}" for f in self.faults)

    def _is_done(self) -> bool:
        status = self.path / "status.json"
        return status.exists() and '"state": "done"' in status.read_text()


def _count_moments(path: Path) -> None:
    """Write each moment of this process to a file."""
    file, write = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), os.write

    def monitor(call: str, where: str) -> None:
        for kind, (each, pattern) in MOMENTS.items():
            if each == call and re.search(pattern, where):
                write(file, f"{kind}\n".encode())

    intercept(monitor)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def intercept(monitor: Callable[[str, str], float | None]) -> None:
    """Call `monitor` with each call of this process.

    A number that it returns is the fraction of the call that is made before the process kills
    itself.
    """
    from gan_lab.training.callbacks.best_checkpoint import BestCheckpoint
    from gan_lab.training.run import Run

    real_write, real_open = os.write, io.open

    def write(fd: int, data: bytes) -> int:
        fraction = monitor("write", os.readlink(f"/proc/self/fd/{fd}"))
        if fraction is not None:
            real_write(fd, bytes(data)[: int(fraction * len(data))])
            _end()
        return real_write(fd, data)

    def whole(call: str, real: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        @functools.wraps(real)
        def called(*arguments: Any, **keys: Any) -> Any:
            fraction = monitor(call, name(*arguments))
            if fraction is not None and fraction < 0.5:
                _end()
            result = real(*arguments, **keys)
            if fraction is not None:
                _end()
            return result

        return called

    def open_(file: Any, mode: str = "r", *arguments: Any, **keys: Any) -> Any:
        if not ({*"wx"} & {*mode} and isinstance(file, str | os.PathLike)):
            return real_open(file, mode, *arguments, **keys)
        monitor("open", os.fspath(file))
        result = real_open(file, mode, *arguments, **keys)
        return _Monitored(result, os.fspath(file), monitor)

    os.write = write  # type: ignore[assignment]
    builtins.open = io.open = open_  # type: ignore[assignment]
    os.replace = whole("replace", os.replace, lambda old, new: os.fspath(new))
    os.unlink = whole("remove", os.unlink, lambda path, **_: os.fspath(path))
    for owner, method, name in (
        (Run, "train_step", "a step"),
        (Run, "samples", "samples"),
        (BestCheckpoint, "_report", "the report"),
    ):
        call = whole("enter", getattr(owner, method), lambda *_, name=name: name)
        setattr(owner, method, call)


class _Monitored:
    """An open file whose writes `monitor` sees."""

    def __init__(self, file: Any, path: str, monitor: Callable[[str, str], float | None]) -> None:
        self._file, self._path, self._monitor = file, path, monitor

    def write(self, data: Any) -> Any:
        fraction = self._monitor("write", self._path)
        if fraction is not None:
            self._file.write(data[: int(fraction * len(data))])
            self._file.flush()
            _end()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __enter__(self) -> Any:
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
