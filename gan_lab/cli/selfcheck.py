"""The command `selfcheck`: the ruler and the probe against what is known exactly."""

import difflib
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Table

from gan_lab import selfcheck as checks
from gan_lab.errors import ConfigError
from gan_lab.reports.export.terminal import say
from gan_lab.reports.plots.samples import save_png
from gan_lab.runs.run_dir import atomic_write, to_json
from gan_lab.selfcheck.bias import bias_cases
from gan_lab.selfcheck.checks import Row
from gan_lab.selfcheck.coverage import Coverage, coverage
from gan_lab.selfcheck.picture import bias_picture
from gan_lab.validation import is_whole, place

_KEYS = ("quick", "seeds", "output")
_SIMULATIONS = 400
_MAX_SEEDS = 1000  # each takes seconds


def selfcheck(arguments: list[str]) -> int:
    """Checks every estimator and the probe; prints a table, writes JSON and a picture.

    Args:
        arguments: quick=true (fewer samples, no coverage), seeds=N (5; quick: 1), output=DIR.

    Returns:
        The exit code: 0, or 1 where any row lies outside of its band.

    Raises:
        ConfigError: Anything that cannot be read, in one line.
    """
    quick, seeds, output = _parsed(arguments)
    console = Console()
    if not console.is_terminal:
        console.width = 175  # a log file or a pipe has no width to keep to
    known, by_size = checks.cases(quick), list(bias_cases(quick))
    work = [(case, seed) for seed in range(seeds) for case in known]
    rows, sizes, covered = [], [], []
    progress: dict[str, Any] = {"console": Console(stderr=True), "transient": True}
    for case, seed in track(work, "estimators", **progress):
        rows += checks.check([case], seed)
    for case in track(by_size, "bias", **progress):
        sizes += checks.check([case], 0)
    if not quick:
        covered = coverage(_SIMULATIONS)
    console.print(_table(rows, seeds))
    console.print(_sizes_table(sizes))
    if covered:
        console.print(_coverage_table(covered))
    failed = [row for row in [*rows, *sizes] if not row.passed]
    missed = [row for row in covered if not row.passed]
    result = {
        "passed": not failed and not missed,
        "quick": quick,
        "seeds": seeds,
        "rows": [asdict(row) for row in rows],
        "bias": [asdict(row) for row in sizes],
        "coverage": [{**asdict(row), "passed": row.passed} for row in covered],
    }
    atomic_write(output / "result.json", to_json(result, indent=2))
    save_png(bias_picture(sizes), output / "figures" / "bias.png")
    for row in failed:
        got = f"FAIL {row.estimator}: {row.case}, n = {row.n}, seed {row.seed}: {row.estimate:.6g}"
        say(f"{got} is not in {row.band[0]:.6g} to {row.band[1]:.6g}: {row.reason}")
    for each in missed:
        say(f"FAIL {each.estimator}: intervals of {each.repeats} repeats cover {each.share:.1%}")
    n_rows = len(rows) + len(sizes) + len(covered)
    n_failed = len(failed) + len(missed)
    console.print(f"{n_rows - n_failed} of {n_rows} checks passed", highlight=False)
    say(f"result:  {output / 'result.json'}")
    say(f"picture: {output / 'figures' / 'bias.png'}")
    return 1 if n_failed else 0


def _parsed(arguments: Sequence[str]) -> tuple[bool, int, Path]:
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals:
            raise ConfigError(
                f"selfcheck takes key=value, got '{argument}'; say "
                "`python -m gan_lab selfcheck quick=true`"
            )
        if key not in _KEYS:
            close = difflib.get_close_matches(key.lower(), _KEYS, n=1)
            hint = f"did you mean '{close[0]}'?" if close else f"known are {', '.join(_KEYS)}"
            raise ConfigError(f"unknown key '{key}'; {hint}")
        if key in given:
            raise ConfigError(f"{key} is given twice; give it once")
        given[key] = value.strip()
    quick = given.get("quick", "false").lower()
    if quick not in ("true", "false"):
        raise ConfigError(f"quick={quick} is neither true nor false")
    seeds = given.get("seeds", "1" if quick == "true" else "5")
    if not (is_whole(seeds) and int(seeds) >= 1):
        raise ConfigError(f"seeds={seeds} is not a whole number >= 1")
    if int(seeds) > _MAX_SEEDS:
        raise ConfigError(f"seeds={seeds} is more than {_MAX_SEEDS}, the most")
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    output = place("output", given.get("output", f"outputs/selfcheck/{stamp}"))
    if output.is_file():
        raise ConfigError(f"output={output} is a file; name a directory")
    return quick == "true", int(seeds), output


def _table(rows: Sequence[Row], seeds: int) -> Table:
    """One line a case: the first seed's numbers, and how many seeds passed."""
    passed = Counter((row.estimator, row.case) for row in rows if row.passed)
    table = Table(
        title="Estimators against known answers", title_justify="left", box=box.SIMPLE_HEAD
    )
    table.add_column("estimator", no_wrap=True)
    table.add_column("case", no_wrap=True)
    for column in ("n", "truth", "estimate", "95 % interval", "bias", "has to be in", "passed"):
        table.add_column(column, justify="right", no_wrap=True)
    for row in sorted((row for row in rows if row.seed == 0), key=lambda row: row.estimator):
        count = passed[row.estimator, row.case]
        verdict = "[green]pass[/]" if count == seeds else "[red]FAIL[/]"
        if seeds > 1:
            verdict += f" {count}/{seeds}"
        table.add_row(
            row.estimator,
            row.case,
            str(row.n),
            f"{row.truth:.3g}",
            f"{row.estimate:.3g}",
            f"{row.low:.3g} to {row.high:.3g}",
            f"{row.bias:+.1e}",
            f"{row.band[0]:.3g} to {row.band[1]:.3g}",
            verdict,
        )
    return table


def _sizes_table(rows: Sequence[Row]) -> Table:
    table = Table(title="Bias against n (red: outside)", title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("estimator", no_wrap=True)
    table.add_column("truth", justify="right")
    sizes = sorted({row.n for row in rows})
    for n in sizes:
        table.add_column(f"n = {n}", justify="right", no_wrap=True)
    for name in dict.fromkeys(row.estimator for row in rows):
        mine = {row.n: row for row in rows if row.estimator == name}
        cells = []
        for n in sizes:
            row = mine.get(n)
            text = "" if row is None else f"{row.bias:+.3g}"
            cells.append(text if row is None or row.passed else f"[red]{text}[/]")
        first = next(iter(mine.values()))
        table.add_row(f"{name} ({first.unit})", f"{first.truth:.4g}", *cells)
    return table


def _coverage_table(rows: Sequence[Coverage]) -> Table:
    title = "Share of nominal 95 % intervals that hold the expectation"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("estimator", no_wrap=True)
    for column in ("n", "repeats", "simulations", "covers", "passed"):
        table.add_column(column, justify="right")
    table.add_column("label")
    for row in rows:
        numbers = (str(row.n), str(row.repeats), str(row.simulations))
        verdict = "[green]pass[/]" if row.passed else "[red]FAIL[/]"
        table.add_row(row.estimator, *numbers, f"{row.share:.1%}", verdict, row.label)
    return table
