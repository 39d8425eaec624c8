"""The command `reproduce`: published and derived claims, measured again."""

import json
import shutil
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
from gan_lab.cli.experiment import COLOURS, perform, study_of
from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.experiments import registry as claims
from gan_lab.experiments.claims import CHECK, FAIL, expectation, finding
from gan_lab.experiments.registry import Outcome, Row
from gan_lab.experiments.runner import PAGE, RESULT, load_record
from gan_lab.reports.export.terminal import say
from gan_lab.runs.run_dir import RunDir, to_json

# Of a checkout of the repository.
_KEPT_STUDIES = Path(__file__).parents[2] / "docs" / "experiments"


def reproduce(arguments: list[str]) -> int:
    """Run the studies that the rows name, and judge the rows; return 1 where one failed.

    A study that was done into the output before, by a command that was killed, is kept. A long one
    whose result is kept beside the code is read from there.
    """
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
    kept_paths = {} if request.all else {row.id: path for row in rows if (path := kept_study(row))}
    rows_to_run = [row for row in rows if row.runs(everything) and row.id not in kept_paths]
    commands = list(dict.fromkeys(row.command for row in rows_to_run))
    studies: dict[str, Path] = {}
    progress = Console(stderr=True)
    began = time.perf_counter()
    with RunDir(home).create().lock():
        for number, command in enumerate(commands, 1):
            assert command is not None
            _, name, *overrides = command.split()
            overrides.append(f"seed={request.seed}")
            path = studies[command] = home / "studies" / f"{number:02d}_{name}"
            is_done = _is_done(path, name, overrides)
            line = f"{number} of {len(commands)}: {command}{', done before' if is_done else ''}"
            progress.print(f"[{time.perf_counter() - began:.0f} s] {line}", markup=False)
            if not is_done:
                perform(name, overrides, path, tell=lambda line: None)
        paths = {row.id: studies.get(row.command or "", kept_paths.get(row.id)) for row in rows}
        outcomes = [claims.outcome(row, paths[row.id], _why(row)) for row in rows]
        claims.save(outcomes, studies, home, request.seed)
    _console().print(_outcomes_table(outcomes))
    _console().print(claims.counts([each.record() for each in outcomes]), highlight=False)
    for label, file in (("result", "result.json"), ("page", PAGE)):
        say(f"{label + ':':8} {home / file}")
    return int(any(each.verdict == FAIL for each in outcomes))


def _is_done(path: Path, name: str, overrides: Sequence[str]) -> bool:
    """Tell whether a study was done into its directory before; what a kill left of one is removed.

    Raises:
        ConfigError: It holds a study of another name, seed or configuration.
    """
    status = RunDir(path).read_status()
    if not status:
        return False
    if status.get("state") != "done":
        shutil.rmtree(path)
        return False
    cfg = compose.compose_config("experiment", [f"experiment={name}", *overrides])
    record = load_record(path)
    config = json.loads(to_json(study_of(cfg)[1]))
    if (record["experiment"], record.get("config")) != (name, config):
        raise ConfigError(
            f"{path} holds a study of another name, seed or configuration than `experiment {name} "
            f"{' '.join(overrides)}`; choose another output=DIR"
        )
    return True


def rows_of_the_registry() -> list[Row]:
    """Return all rows of conf/reproduce."""
    entries: list[Any] = []
    for path in sorted((compose.config_dir() / "reproduce").glob("*.yaml")):
        rows = OmegaConf.to_container(OmegaConf.load(path))
        if not isinstance(rows, list):
            raise ConfigError(f"{path} is no list of rows")
        entries += rows
    return claims.parse_rows(entries)


def kept_study(row: Row) -> Path | None:
    """Return where the result of a row's long study is kept beside the code, or None.

    It is read instead of repeated, unless all=true: hours of two cores.
    """
    path = _KEPT_STUDIES / str(row.study)
    return path if row.needs == "long" and (path / RESULT).exists() else None


def _why(row: Row) -> str:
    if row.needs == "long":
        return f"takes about {row.cost / 60:.0f} min; all=true, or name it"
    return f"needs {row.needs}"


def _outcomes_table(outcomes: Sequence[Outcome]) -> Table:
    headers = [Column("statement"), *(Column(name, no_wrap=True) for name in ("from", "protocol"))]
    headers += [Column(name, justify="right") for name in ("expected", "measured")]
    headers.append(Column("verdict"))
    table = Table(*headers, title="Claims", title_justify="left", box=box.SIMPLE_HEAD)
    for each in sorted(outcomes, key=lambda each: each.kind == CHECK):
        record = each.record()
        colour = COLOURS.get(each.verdict.partition(":")[0], "dim")
        cells = (each.row.statement, each.row.evidence, each.row.protocol)
        numbers = (expectation(record), finding(record))
        word = "check: " if each.kind == CHECK else ""
        table.add_row(*cells, *numbers, f"{word}[{colour}]{each.verdict}[/]")
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
