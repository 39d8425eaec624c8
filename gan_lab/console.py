"""What a person sees while a run trains: a bar in a terminal, a plain line elsewhere."""

import contextlib
import sys
import time
from collections.abc import Mapping
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 5.0
_SHORT = {
    "divergence/wasserstein": "W1",
    "divergence/wasserstein_floor": "floor",
    "discriminator_estimate/wasserstein": "critic W",
    "discriminator_estimate/js": "JS bound",
    "loss/discriminator": "D loss",
    "loss/generator": "G loss",
}


def announce(text: str) -> None:
    """Says one line on stderr, if anybody can hear it; a bar that is there stays below it."""
    with contextlib.suppress(OSError):  # the log it goes to may be on a full disk
        print(text, file=sys.stderr, flush=True)


class ProgressLine:
    """Steps done, step rate, time left and the newest estimates of the first seed."""

    def __init__(self, total: int, done: int = 0, console: Console | None = None) -> None:
        self.console = console or Console()
        self._total, self._start, self._began = total, done, time.perf_counter()
        self._values: dict[str, float] = {}
        self._last_line = self._began
        self._bar: Progress | None = None
        if self.console.is_terminal:
            self._bar = Progress(
                SpinnerColumn(),
                BarColumn(bar_width=24),
                TextColumn("{task.completed}/{task.total} steps  {task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[said]}"),
                console=self.console,
            )
            self._task = self._bar.add_task("train", total=total, completed=done, rate="", said="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if self._bar is not None:
            self._bar.stop()

    def tell(self, values: Mapping[str, float]) -> None:
        """Takes over new values; those without a short name are not shown."""
        self._values.update({tag: value for tag, value in values.items() if tag in _SHORT})

    def at(self, step: int) -> None:
        """Shows that a step is done, if anybody can see it; cheap enough to be called after every
        one.
        """
        # A log on a full disk, a reader that has gone (for which rich ends the program): a run goes
        # on without being watched.
        with contextlib.suppress(OSError, SystemExit):
            self._show(step)

    def _show(self, step: int) -> None:
        now = time.perf_counter()
        if self._bar is None and now - self._last_line < _LINE_SECONDS and step < self._total:
            return
        rate = (step - self._start) / max(now - self._began, 1e-9)
        said = "  ".join(f"{_SHORT[tag]} {value:.3g}" for tag, value in self._values.items())
        if self._bar is not None:
            self._bar.update(self._task, completed=step, rate=f"{rate:.0f}/s", said=said)
            return
        self._last_line = now
        left = (self._total - step) / max(rate, 1e-9)
        self.console.print(
            f"step {step}/{self._total}  {rate:.1f} steps/s  {left:.0f} s left  {said}",
            highlight=False,
            soft_wrap=True,
        )
