"""kill -9 at random and at chosen moments: is the resumed run the uninterrupted one?

A chosen moment is hit by a fuse: the process counts its own calls of one kind (writes to a file,
renames, removals, evaluations) and at one of them sends itself SIGKILL, in the middle of a write
after a random share of its bytes.
"""

import builtins
import collections
import functools
import io
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
from tests.campaigns.runs import GAMES, difference, ended, forked, onward, saved_step, started


@dataclass(frozen=True)
class Fuse:
    """One moment of a process.

    Attributes:
        call: "write", "replace", "remove" or "enter" (a function).
        path: What is written, renamed to, removed or entered: a regular expression.
        nth: Of such calls, counted from 1.
        share: Of the call that is done before the end: of a write's bytes; for the others the call
            is made if it is over a half.
    """

    call: str
    path: str
    nth: int
    share: float

    def __call__(self) -> None:
        """Plants itself in this process."""
        pattern, seen = re.compile(self.path), 0

        def monitor(call: str, path: str) -> float | None:
            nonlocal seen
            if call != self.call or not pattern.search(path):
                return None
            seen += 1
            return self.share if seen == self.nth else None

        intercept(monitor)


# A moment: the call and what it is made on.
MOMENTS = {
    "in a step": ("enter", r"^Trainer\._step$"),
    "in an evaluation": ("enter", r"^Run\.samples"),
    "after the last save": ("enter", r"^Best\.report$"),
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
    games: tuple[str, ...] = tuple(GAMES),
) -> Campaign:
    """Kills runs n times, one to four times each, and compares each with the uninterrupted run.

    Args:
        n: Kills.
        seed: Of the moments.
        tell: Told of each run in one line.
        kinds: Moments, taken in turn.
        games: Names of GAMES, taken in turn.
    """
    rng, faults = random.Random(seed), list[Fault]()
    with tempfile.TemporaryDirectory(prefix="gan_lab_kills_") as folder:
        wholes = {game: Whole.made(game, Path(folder)) for game in games}
        todo = [kinds[index % len(kinds)] for index in range(n)]
        runs, most = 0, 3 * n + 2 * len(games)
        while todo:
            if runs == most:
                raise RuntimeError(f"after {runs} runs, these moments have not come: {todo}")
            whole = wholes[games[runs % len(games)]]
            runs += 1
            chain = Chain(whole, Path(folder) / f"run_{runs}", rng)
            for kind in todo[: rng.choice((1, 2, 3, 4))]:
                if chain.kill(kind):
                    todo.remove(kind)
            if chain.faults:
                faults += chain.concluded()
                tell(f"{len(faults)} of {n} kills: {chain.told()}")
    return Campaign("kills", "kill -9", EXPECTED, faults, {"runs": runs})


@dataclass(frozen=True)
class Whole:
    """The run of a game that nobody stopped.

    Attributes:
        game: Its name.
        path: Its directory.
        calls: How often each moment came.
        steps: Of the run.
        seconds: How long it took in a warm process.
    """

    game: str
    path: Path
    calls: collections.Counter[str]
    steps: int
    seconds: float

    @classmethod
    def made(cls, game: str, folder: Path) -> "Whole":
        """Runs it, counting."""
        path, counts = folder / game.replace(" ", "_"), folder / "counts"
        start = time.monotonic()
        code = ended(onward(path, GAMES[game]), folder / "log", functools.partial(_count, counts))
        assert code == 0, (folder / "log").read_text()
        seconds = time.monotonic() - start
        calls = collections.Counter(counts.read_text().splitlines())
        counts.unlink()
        return cls(game, path, calls, saved_step(path), seconds)


class Chain:
    """One run that is killed, resumed, killed again, and in the end compared."""

    def __init__(self, whole: Whole, path: Path, rng: random.Random) -> None:
        self.whole, self.path, self.rng = whole, path, rng
        self.log = path.with_suffix(".log")
        self.faults: list[Fault] = []

    def kill(self, kind: str) -> bool:
        """Takes the run on until the moment comes; whether it came before the end."""
        if self._finished():
            return False
        arguments = onward(self.path, GAMES[self.whole.game])
        if kind in MOMENTS:
            if arguments[0] == "train" and not self.whole.calls[kind]:
                if not self.kill("in the rotation"):
                    return False
                arguments = onward(self.path, GAMES[self.whole.game])
            call, pattern = MOMENTS[kind]
            left = 1 - saved_step(self.path) / self.whole.steps
            most = max(1, int(left * self.whole.calls[kind]))
            fuse = Fuse(call, pattern, self.rng.randint(1, most), self.rng.random())
            code, moment = ended(arguments, self.log, fuse), f"call {fuse.nth}, {fuse.share:.2f}"
        else:
            start = started if kind == _REAL else forked
            delay = self.rng.uniform(0, self.whole.seconds) + (2.5 if kind == _REAL else 0)
            process = start(arguments, self.log)
            time.sleep(delay)
            process.kill()
            code = process.wait() if kind == _REAL else _joined(process)
            moment = f"after {delay:.2f} s"
        if code != -signal.SIGKILL:
            return False
        self.faults.append(Fault(kind, f"{self.whole.game}: {arguments[0]}, {moment}"))
        return True

    def concluded(self) -> list[Fault]:
        """Takes the run to its end; the faults, the last of which tells what they cost."""
        lost = ""
        if not self._finished():
            code = ended(onward(self.path, GAMES[self.whole.game]), self.log)
            lost = f"exit code {code}: {self.log.read_text()[-300:]}" if code else ""
        lost = lost or difference(self.path, self.whole.path)
        if lost and self.faults:
            last = self.faults.pop()
            self.faults.append(Fault(last.kind, f"{self.told()}; {last.what}", lost))
        return self.faults

    def told(self) -> str:
        """Every kill and what it came to."""
        return "; ".join(f"{f.kind} ({f.what}) {f.lost}" for f in self.faults)

    def _finished(self) -> bool:
        status = self.path / "status.json"
        return status.exists() and '"state": "done"' in status.read_text()


def _joined(process: Any) -> int:
    process.join()
    return int(process.exitcode)


def _count(path: Path) -> None:
    """Notes each moment of this process in a file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    write = os.write

    def monitor(call: str, where: str) -> None:
        for kind, (each, pattern) in MOMENTS.items():
            if each == call and re.search(pattern, where):
                write(file, f"{kind}\n".encode())

    intercept(monitor)


def _end() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def intercept(monitor: Callable[[str, str], float | None]) -> None:
    """Shows each call to `watch`, in this process; a number from it is the share that is done
    before the process kills itself.
    """
    from gan_lab.training import config, loop
    from gan_lab.training.callbacks import best_checkpoint

    real_write, real_open = os.write, io.open

    def write(fd: int, data: bytes) -> int:
        share = monitor("write", os.readlink(f"/proc/self/fd/{fd}"))
        if share is not None:
            real_write(fd, bytes(data)[: int(share * len(data))])
            _end()
        return real_write(fd, data)

    def whole(call: str, real: Callable[..., Any], name: Callable[..., str]) -> Callable[..., Any]:
        @functools.wraps(real)
        def called(*arguments: Any, **keys: Any) -> Any:
            share = monitor(call, name(*arguments))
            if share is not None and share < 0.5:
                _end()
            result = real(*arguments, **keys)
            if share is not None:
                _end()
            return result

        return called

    def open_(file: Any, mode: str = "r", *arguments: Any, **keys: Any) -> Any:
        watched = bool({*"wx"} & {*mode}) and isinstance(file, str | os.PathLike)
        if watched:
            monitor("open", os.fspath(file))
        opened = real_open(file, mode, *arguments, **keys)
        return _Written(opened, os.fspath(file), monitor) if watched else opened

    os.write = write  # type: ignore[assignment]
    builtins.open = io.open = open_  # type: ignore[assignment]
    os.replace = whole("replace", os.replace, lambda old, new: os.fspath(new))
    os.unlink = whole("remove", os.unlink, lambda path, **_: os.fspath(path))
    for owner, name in (
        (loop.Trainer, "_step"),
        (config.Run, "samples"),
        (best_checkpoint.Best, "report"),
    ):
        entered = f"{owner.__name__}.{name}"
        call = whole("enter", getattr(owner, name), lambda *_, entered=entered: entered)
        setattr(owner, name, call)


class _Written:
    """An open file whose writes are watched."""

    def __init__(self, file: Any, path: str, monitor: Callable[[str, str], float | None]) -> None:
        self._file, self._path, self._monitor = file, path, monitor

    def write(self, data: Any) -> Any:
        share = self._monitor("write", self._path)
        if share is not None:
            self._file.write(data[: int(share * len(data))])
            self._file.flush()
            _end()
        return self._file.write(data)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __enter__(self) -> "_Written":
        return self

    def __exit__(self, *error: object) -> None:
        self._file.close()
