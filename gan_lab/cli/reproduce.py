"""The command `reproduce`: published and derived claims, measured again."""

import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf
from rich import box
from rich.console import Console
from rich.table import Column, Table

from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Reproduce
from gan_lab.cli.experiment import COLOURS, perform
from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.experiments import registry as claims
from gan_lab.experiments.claims import FAIL, expectation, finding
from gan_lab.experiments.registry import Outcome, Row
from gan_lab.experiments.runner import PAGE
from gan_lab.reports.export.terminal import say


def reproduce(arguments: list[str]) -> int:
    """Run the studies that the rows name, and judge the rows; return 1 where one failed."""
    request = parse_options(Reproduce, arguments)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    home = directory("output", request.output or f"outputs/reproduce/{stamp}")
    rows = claims.select_rows(rows_of_the_registry(), request.names)
    if request.list:
        _console().print(_registry_table(rows))
        return 0
    everything = request.all or bool(request.names)
    if (home / "result.json").exists():
        raise ConfigError(f"{home} holds a result already; choose another output=DIR")
    commands = list(dict.fromkeys(row.command for row in rows if row.runs(everything)))
    studies: dict[str, Path] = {}
    progress = Console(stderr=True)
    began = time.perf_counter()
    for number, command in enumerate(commands, 1):
        assert command is not None
        _, name, *overrides = command.split()
        seconds = time.perf_counter() - began
        progress.print(f"[{seconds:.0f} s] {number} of {len(commands)}: {command}", markup=False)
        studies[command] = home / "studies" / f"{number:02d}_{name}"
        perform(name, overrides, studies[command], tell=lambda line: None)
    outcomes = [claims.outcome(row, studies.get(row.command or ""), _why(row)) for row in rows]
    claims.save(outcomes, studies, home)
    _console().print(_outcomes_table(outcomes))
    _console().print(claims.counts([each.record() for each in outcomes]), highlight=False)
    for label, file in (("result", "result.json"), ("page", PAGE)):
        say(f"{label + ':':8} {home / file}")
    return int(any(each.verdict == FAIL for each in outcomes))


def rows_of_the_registry() -> list[Row]:
    """Return all rows of conf/reproduce."""
    entries: list[Any] = []
    for path in sorted((compose.config_dir() / "reproduce").glob("*.yaml")):
        rows = OmegaConf.to_container(OmegaConf.load(path))
        if not isinstance(rows, list):
            raise ConfigError(f"{path} is no list of rows")
        entries += rows
    return claims.parse_rows(entries)


def _why(row: Row) -> str:
    if row.needs == "long":
        return f"takes about {row.cost / 60:.0f} min; all=true, or name it"
    return f"needs {row.needs}"


def _outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    headers = [Column("claim"), *(Column(name, no_wrap=True) for name in ("from", "protocol"))]
    headers += [Column(name, justify="right") for name in ("expected", "measured")]
    headers.append(Column("verdict"))
    table = Table(*headers, title="Claims", title_justify="left", box=box.SIMPLE_HEAD)
    for each in outcomes:
        record = each.record()
        colour = COLOURS.get(each.verdict.partition(":")[0], "dim")
        cells = (each.row.statement, each.row.evidence, each.row.protocol)
        numbers = (expectation(record), finding(record))
        table.add_row(*cells, *numbers, f"[{colour}]{each.verdict}[/]")
    return table


def _registry_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Registry", title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("id", "statement", "from", "protocol", "command", "cost"):
        table.add_column(column, no_wrap=column in ("id", "from", "protocol"))
    for row in rows:
        cost = f"{row.cost:.0f} s" if row.command else ""
        needs = "" if row.needs in (None, "long") else f"needs {row.needs}"
        cells = (row.evidence, row.protocol, row.command or needs, cost)
        table.add_row(row.id, row.statement, *cells)
    return table


def _console() -> Console:
    console = Console()
    if not console.is_terminal:
        console.width = 170  # a log file or a pipe has no width to keep to
    return console
