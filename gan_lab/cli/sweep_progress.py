"""The running jobs of a sweep, a line each with its step and headline, read from their files."""

import contextlib
import json
import os
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn

from gan_lab.reports.export.terminal import console
from gan_lab.runs.compatibility import has_high_dimension
from gan_lab.runs.headline import newest_headline
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import printable

_POLL_SECONDS = 0.5
_LINE_SECONDS = 15.0  # between two lines about one job where there is no terminal
_TAIL_BYTES = 1 << 16  # of metrics.jsonl: many rows


class Job(NamedTuple):
    """How far a job is."""

    name: str
    step: int
    steps: int
    text: str  # its headline, at which step it was measured, and what real data get

    def __str__(self) -> str:
        if not self.steps:
            return f"{self.name}: starting"
        return f"{self.name}: step {self.step}/{self.steps}" + f"  {self.text}".rstrip()


class SweepProgress:
    """Shows the running jobs while its block lasts: bars in a terminal, lines elsewhere.

    Args:
        path: The sweep's directory, which holds a directory a job.
        lines: Returns the sentences about jobs that have ended since the last call.
        screen: Where it is shown; None = stdout.
    """

    def __init__(
        self, path: Path, lines: Callable[[], list[str]], screen: Console | None = None
    ) -> None:
        self._path, self._lines = path, lines
        self._screen = screen or console()
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._tasks: dict[str, TaskID] = {}
        self._last_lines: dict[str, tuple[float, str]] = {}
        self._bars: Progress | None = None
        if self._screen.is_terminal:
            self._bars = Progress(
                TextColumn("{task.description}", markup=False),
                BarColumn(bar_width=16),
                TextColumn("{task.completed}/{task.total}  {task.fields[text]}", markup=False),
                console=self._screen,
                transient=True,
            )

    def __enter__(self) -> Self:
        if self._bars is not None:
            self._bars.start()
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._end.set()
        self._thread.join()
        if self._bars is not None:
            self._bars.stop()

    def _follow(self) -> None:
        while not self._end.wait(_POLL_SECONDS):
            with contextlib.suppress(OSError):  # a full disk or a closed pipe ends no sweep
                self.update()
        with contextlib.suppress(OSError):
            self._say_ended()

    def update(self) -> None:
        """Say which jobs have ended, and show those that run."""
        self._say_ended()
        jobs = list(running_jobs(self._path))
        if self._bars is None:
            self._print(jobs)
            return
        for name in self._tasks.keys() - {job.name for job in jobs}:
            self._bars.remove_task(self._tasks.pop(name))
        for job in jobs:
            if job.name not in self._tasks:
                name = printable(job.name)
                self._tasks[job.name] = self._bars.add_task(name, total=job.steps, text="")
            task, text = self._tasks[job.name], job.text if job.steps else "starting"
            self._bars.update(task, completed=job.step, total=job.steps, text=text)

    def _say_ended(self) -> None:
        for line in self._lines():
            self._say(line)

    def _say(self, line: str) -> None:
        text = printable(line)
        self._screen.print(text, soft_wrap=True, markup=False, emoji=False, highlight=False)

    def _print(self, jobs: list[Job]) -> None:
        now = time.monotonic()
        for job in jobs:
            moment, before = self._last_lines.setdefault(job.name, (now, ""))
            if now - moment >= _LINE_SECONDS and str(job) != before:
                self._last_lines[job.name] = (now, str(job))
                self._say(str(job))


def running_jobs(path: Path) -> Iterator[Job]:
    """Yield the jobs of a sweep that run, in the order of their numbers."""
    with contextlib.suppress(OSError):
        for home in sorted(filter(Path.is_dir, path.iterdir()), key=_number):
            status = RunDir(home).read_status() if (home / "status.json").exists() else {}
            if status.get("state") not in ("starting", "running"):
                continue
            run = next(iter(RunDir(home).children()), RunDir(home))  # of several seeds the first
            step, text = 0, ""
            for row in newest_rows(run.metrics):
                step = int(row.get("step", step))
                text = newest_headline(row, step, has_high_dimension(status, {})) or text
            yield Job(home.name, step, int(status.get("steps", 0)), text)


def newest_rows(path: Path) -> list[dict[str, Any]]:
    """Return the last rows of a metrics.jsonl that another process is writing, the newest last."""
    try:
        with open(path, "rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - _TAIL_BYTES))
            lines = file.read().split(b"\n")[1 if size > _TAIL_BYTES else 0 : -1]
    except OSError:
        return []
    rows = []
    for line in lines:
        with contextlib.suppress(ValueError):
            rows.append(json.loads(line))
    return [row for row in rows if isinstance(row, dict)]


def _number(path: Path) -> tuple[int, str]:
    head = path.name.partition("_")[0]
    return (int(head) if head.isdecimal() else 0, path.name)
