"""The progress of a run: a bar in a terminal or notebook, a plain line elsewhere; and warnings."""

import contextlib
import html
import sys
import time
from collections.abc import Mapping
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeRemainingColumn

_LINE_SECONDS = 5.0
_BAR_WIDTH = 12
_NOTEBOOK_SECONDS = 0.25
# A training network's own numbers bear its name: they are no estimates of the same on its samples.
_SHORT_NAMES = {
    "discriminator_estimate/wasserstein": "training critic's W",
    "discriminator_estimate/js": "training discriminator's JS",
    "loss/discriminator": "D loss",
    "loss/generator": "G loss",
}


def announce(text: str) -> None:
    """Print one line on stderr; a progress bar stays below it."""
    with contextlib.suppress(OSError):  # stderr may be a log on a full disk
        print(text, file=sys.stderr, flush=True)


def _format_rate(rate: float, n_steps: int) -> str:
    """Return "9.8 steps/s  10 s left  "; "" before the first step is done."""
    return f"{rate:.1f} steps/s  {n_steps / rate:.0f} s left  " if rate > 0 else ""


class _NotebookBar:
    """A bar below a notebook's cell, replaced in place; it needs no widgets."""

    def __init__(self, total: int) -> None:
        from IPython import display

        self._total = total
        # A handle, since without one every bar would stand below the last.
        self._handle = display.display(self._content(0, ""), raw=True, display_id=True)

    def update(self, step: int, text: str) -> None:
        """Show a step and a text beside the bar."""
        if self._handle is not None:
            self._handle.update(self._content(step, text), raw=True)

    def _content(self, step: int, text: str) -> dict[str, str]:
        bar = f'<progress value="{step}" max="{self._total}"></progress>'
        return {"text/plain": text, "text/html": f"{bar} {html.escape(text)}"}


class ProgressLine:
    """Steps done, step rate, time left and the newest estimates of the first seed."""

    def __init__(self, total: int, start: int = 0, console: Console | None = None) -> None:
        self.console = console or Console()
        self._total, self._start_step, self._start_time = total, start, time.perf_counter()
        self._headline = ""
        self._values: dict[str, float] = {}
        self._last_line = self._start_time
        self._bar: Progress | None = None
        # rich's own bar needs widgets in a notebook, which few have.
        self._notebook_bar = _NotebookBar(total) if self.console.is_jupyter else None
        if self.console.is_terminal and self._notebook_bar is None:
            self._bar = Progress(
                SpinnerColumn(),
                BarColumn(bar_width=_BAR_WIDTH),
                TextColumn("{task.completed}/{task.total}  {task.fields[rate]}"),
                TimeRemainingColumn(),
                TextColumn("{task.fields[values]}"),
                console=self.console,
            )
            self._task = self._bar.add_task("train", True, total, start, rate="", values="")

    def __enter__(self) -> Self:
        if self._bar is not None:
            self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._bar is not None:
            self._bar.stop()

    def update(self, values: Mapping[str, float], headline: str = "") -> None:
        """Take over the values of a step; those without a short name are not shown.

        Args:
            values: Tag -> value.
            headline: The newest measurement in words, shown first; "" leaves the last one.
        """
        self._headline = headline or self._headline
        self._values.update({tag: value for tag, value in values.items() if tag in _SHORT_NAMES})

    def show(self, step: int) -> None:
        """Show that a step is done; cheap enough to be called after every one."""
        # On a full disk or a closed pipe (for which rich ends the program) the run goes on.
        with contextlib.suppress(OSError, SystemExit):
            self._show(step)

    def _show(self, step: int) -> None:
        now = time.perf_counter()
        pause = _LINE_SECONDS if self._notebook_bar is None else _NOTEBOOK_SECONDS
        if self._bar is None and now - self._last_line < pause and step < self._total:
            return
        rate = (step - self._start_step) / max(now - self._start_time, 1e-9)
        own = [f"{_SHORT_NAMES[tag]} {value:.3g}" for tag, value in self._values.items()]
        parts = [*filter(None, [self._headline]), *own]
        if self._bar is not None:
            text = f"{rate:.0f}/s"
            # Else rich would cut the bar and the step; beside them and 4 spaces is the time left.
            width = 1 + _BAR_WIDTH + 2 * len(str(self._total)) + 3 + len(text) + 7 + 4
            while parts[1:] and width + len("  ".join(parts)) > self.console.width:
                parts.pop()
            self._bar.update(self._task, completed=step, rate=text, values="  ".join(parts))
            return
        values = "  ".join(parts)
        self._last_line = now
        line = f"step {step}/{self._total}  {_format_rate(rate, self._total - step)}{values}"
        if self._notebook_bar is not None:
            self._notebook_bar.update(step, line)
        else:
            self.console.print(line, highlight=False, soft_wrap=True)
