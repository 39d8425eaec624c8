"""`compare DIR...`: runs -> groups, intervals, differences; a page, TensorBoard, CSV, Markdown."""

import glob
import os
import shlex
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich import box
from rich.table import Table as Screen

from gan_lab.cli.arguments import check_directories, parse_options
from gan_lab.cli.commands import Compare
from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import build, load
from gan_lab.reports.analysis.aggregate import Problem
from gan_lab.reports.analysis.model import Report, Table
from gan_lab.reports.analysis.tables import w1_caution
from gan_lab.reports.export import csv, markdown, overview, tensorboard
from gan_lab.reports.export.terminal import console, say
from gan_lab.reports.html import page
from gan_lab.runs.headline import FRECHET
from gan_lab.runs.run_dir import RunDir, atomic_write
from gan_lab.validation import output_path

_ON_SCREEN = (
    "group",
    "runs",
    "Frechet",
    "Share of legible",
    "Energy",
    "Exact W1",
    "Sample W1",
    "Jensen",
    "Modes",
    "training",
)


def compare(arguments: list[str]) -> int:
    """Compare all runs in or below some directories; a pattern in quotes is expanded."""
    request = parse_options(Compare, arguments)
    paths = _expand(request.runs)
    check_directories(paths)
    home = _home(request.output)
    report, problems = build.report(paths, request.title)
    try:
        home.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"output={home} cannot be made ({error.strerror})") from error
    page.write(report, home / "index.html")
    atomic_write(home / "report.md", markdown.markdown(report).encode())
    files = csv.write(report, problems, home / "csv")
    tensorboard.write(report, home / "tensorboard")
    picture = overview.save(report, home / "overview.png")
    _say(report, problems)
    say(f"page:      {home / 'index.html'}")
    say(f"picture:   {picture}")
    say(f"numbers:   {files[0].parent}, {home / 'report.md'}")
    say(f"dashboard: python -m gan_lab dashboard {shlex.quote(str(home))}")
    return 0


def _expand(words: Sequence[str]) -> list[Path]:
    directories: list[Path] = []
    for word in words:
        runs = [Path(word)]
        if not os.path.exists(word) and glob.has_magic(word):
            matches = map(Path, sorted(glob.glob(word, recursive=True)))
            # Of a pattern only what holds runs is meant, not a checkpoints folder that it met.
            runs = [path for path in matches if path.is_dir() and load.holds_runs(path)]
        if not runs:
            raise ConfigError(f"no directory with runs matches '{word}'")
        directories += runs
    return directories


def _home(output: str | None) -> Path:
    if output is None:
        now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
        return (Path("outputs/compare") / now).absolute()
    home = output_path("output", output)
    run = RunDir(home)
    logs = run.tensorboard.glob("*tfevents*.series")
    if run.config.exists() or run.metrics.exists() or any(logs):
        problem = "is a run, whose TensorBoard log a comparison would replace"
        raise ConfigError(f"output={output} {problem}; name another directory")
    return home


def _say(report: Report, problems: Sequence[Problem]) -> None:
    screen = console(width=140)
    for section, problem in zip(report.sections, problems, strict=True):
        verdict = section.verdict
        screen.print(f"\n{section.name}: {verdict.badge}", style="bold")
        for sentence in (verdict.headline, *verdict.details):
            screen.print(sentence)
        screen.print(_screen(section.tables[0]))
        if section.headline != FRECHET and (caution := w1_caution(problem.groups)):
            screen.print(caution.rstrip())
    for note in report.notes:
        screen.print(f"note: {note}")


def _screen(table: Table) -> Screen:
    """Return the columns that a terminal has room for; the page has all."""
    on_screen: tuple[str, ...] = _ON_SCREEN
    if any(name.startswith("Frechet") for name in table.columns):  # beside which W1 decides nothing
        on_screen = tuple(name for name in on_screen if "W1" not in name)
    indices = [i for i, name in enumerate(table.columns) if name.startswith(on_screen)]
    names = [table.columns[i] for i in indices]
    screen = Screen(*names, title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    for row in table.rows:
        screen.add_row(*(row[i] for i in indices))
    return screen
