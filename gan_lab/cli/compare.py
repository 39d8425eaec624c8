"""`compare DIR...`: runs -> groups, intervals, differences; a page, TensorBoard, CSV, Markdown."""

import glob
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich import box
from rich.table import Table as Screen

from gan_lab.cli import open_run
from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import build, load
from gan_lab.reports.analysis.model import Report, Table
from gan_lab.reports.export import csv, markdown, overview, tensorboard
from gan_lab.reports.export.terminal import console, say
from gan_lab.reports.html import page
from gan_lab.runs.run_dir import RunDir, atomic_write
from gan_lab.validation import place

_ON_SCREEN = ("group", "runs", "Exact W1", "Jensen", "Modes", "training")


def compare(arguments: list[str]) -> int:
    """Compares all runs in or below some directories; a pattern in quotes is expanded."""
    texts = {key: value for key, value in map(_text, arguments) if key in ("title", "output")}
    rest = [word for word in arguments if _text(word)[0] not in texts]
    paths, given = open_run.arguments(_expanded(rest), "compare")
    open_run.parse_options(given, {"output": None, "title": None})
    home = _home(texts.get("output"))
    report, problems = build.report(paths, texts.get("title") or "Comparison")
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output={home} cannot be made ({error.strerror})") from error
    page.write(report, home / "index.html")
    atomic_write(home / "report.md", markdown.markdown(report).encode())
    files = csv.write(report, problems, home / "csv")
    tensorboard.write(report, home / "tensorboard")
    picture = overview.save(report, problems, home / "overview.png")
    _say(report)
    say(f"page:      {home / 'index.html'}")
    say(f"picture:   {picture}")
    say(f"numbers:   {files[0].parent}, {home / 'report.md'}")
    say(f"dashboard: python -m gan_lab dashboard {shlex.quote(str(home))}")
    return 0


def _text(word: str) -> tuple[str, str]:
    """key=value taken as it is typed: a title may hold what YAML and paths may not."""
    key, sign, value = word.partition("=")
    return (key, value) if sign else ("", "")


def _expanded(arguments: Sequence[str]) -> list[str]:
    found: list[str] = []
    for word in arguments:
        if "=" in word or open_run.exists(word) or not glob.has_magic(word):
            found.append(word)
            continue
        matches = [Path(m) for m in sorted(glob.glob(word, recursive=True))]
        # Of a pattern only what holds runs is meant, not a checkpoints folder that it met.
        some = [str(m) for m in matches if m.is_dir() and load.holds_runs(m)]
        if not some:
            raise ConfigError(f"no directory with runs matches '{word}'")
        found += some
    return found


def _home(output: str | None) -> Path:
    if output is None:
        now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
        return (Path("outputs/compare") / now).absolute()
    home = place("output", output)
    run = RunDir(home)
    if (
        run.config.exists()
        or run.metrics.exists()
        or any(run.tensorboard.glob("*tfevents*.series"))
    ):
        raise ConfigError(
            f"output={output} is a run, whose TensorBoard log a comparison would replace; name "
            f"another directory"
        )
    return home


def _say(report: Report) -> None:
    screen = console(width=140)
    for section in report.sections:
        screen.print(f"\n{section.name}", style="bold")
        for sentence in section.verdict:
            screen.print(sentence)
        screen.print(_screen(section.tables[0]))
    for note in report.notes:
        screen.print(f"note: {note}")


def _screen(table: Table) -> Screen:
    """The columns that a terminal has room for; the page has all."""
    shown = Screen(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    kept = [i for i, name in enumerate(table.columns) if name.startswith(_ON_SCREEN)]
    for i in kept:
        shown.add_column(table.columns[i])
    for row in table.rows:
        shown.add_row(*(row[i] for i in kept))
    return shown
