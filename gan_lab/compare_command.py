"""`compare DIR...`: runs -> groups, intervals, differences; a page, TensorBoard, CSV, Markdown."""

import glob
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table as Screen

from gan_lab import stored
from gan_lab.errors import ConfigError
from gan_lab.reports import findings, overview, page, spreadsheets, tensorboard, text
from gan_lab.reports.report import Report, Table
from gan_lab.run_dir import atomic_write

_ON_SCREEN = ("group", "runs", "Exact W1", "Jensen", "Modes", "training")


def compare(arguments: list[str]) -> int:
    """Compares all runs in or below some directories; a pattern in quotes is expanded."""
    paths, given = stored.arguments(_expanded(arguments), "compare")
    options = stored.options(given, {"output": None, "title": "Comparison"})
    home = _home(options["output"])
    report, problems = findings.report(paths, str(options["title"]))
    page.write(report, home / "index.html")
    atomic_write(home / "report.md", text.markdown(report).encode())
    files = spreadsheets.write(report, problems, home / "csv")
    tensorboard.write(report, home / "tensorboard")
    picture = overview.save(report, problems, home / "overview.png")
    _say(report)
    console = Console(soft_wrap=True, highlight=False)
    console.print(f"page:      {home / 'index.html'}")
    console.print(f"picture:   {picture}")
    console.print(f"numbers:   {files[0].parent}, {home / 'report.md'}")
    console.print(f"dashboard: python -m gan_lab dashboard {home}")
    return 0


def _expanded(arguments: Sequence[str]) -> list[str]:
    found: list[str] = []
    for word in arguments:
        if "=" in word or Path(word).exists() or not glob.has_magic(word):
            found.append(word)
            continue
        matches = [m for m in sorted(glob.glob(word, recursive=True)) if Path(m).is_dir()]
        if not matches:
            raise ConfigError(f"no directory matches '{word}'")
        found += matches
    return found


def _home(output: object) -> Path:
    if output is None:
        now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
        home = Path("outputs/compare") / now
    elif isinstance(output, str) and output:
        home = Path(output)
    else:
        raise ConfigError(f"output={output!r} is no directory name")
    if home.exists() and not home.is_dir():
        raise ConfigError(f"output={home} is a file; name a directory")
    return home.absolute()


def _say(report: Report) -> None:
    console = Console()
    if not console.is_terminal:
        console.width = 140  # a log file or a pipe has no width to keep to
    for section in report.sections:
        console.print(f"\n[bold]{section.name}[/bold]")
        for sentence in section.verdict:
            console.print(sentence, highlight=False, markup=False)
        console.print(_screen(section.tables[0]))
    for note in report.notes:
        console.print(f"note: {note}", highlight=False, markup=False)


def _screen(table: Table) -> Screen:
    """The columns that a terminal has room for; the page has all."""
    shown = Screen(title=table.title, title_justify="left", box=box.SIMPLE_HEAD)
    kept = [i for i, name in enumerate(table.columns) if name.startswith(_ON_SCREEN)]
    for i in kept:
        shown.add_column(table.columns[i])
    for row in table.rows:
        shown.add_row(*(row[i].replace("[", r"\[") for i in kept))
    return shown
