"""The numbers of a comparison as CSV, for other programs: finals, differences, curves."""

import csv
import io
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from gan_lab.reports.analysis.aggregate import Problem
from gan_lab.reports.analysis.model import Report
from gan_lab.reports.analysis.run_config import visible
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.analysis.tables import pairs
from gan_lab.runs.run_dir import atomic_write

_Table = tuple[Sequence[str], Iterable[Sequence[Any]]]


def write(report: Report, problems: Sequence[Problem], directory: Path) -> list[Path]:
    """Write runs.csv, finals.csv, differences.csv and curves.csv; return their paths.

    runs.csv has a line a run and final number, finals.csv a line a group and final number: the mean
    of the finite ones and the number of the others. A cell is empty where there is no value: the
    interval of one seed, the final number of a diverged run. curves.csv has steps and seconds.
    """
    paths = []
    for name, (header, rows) in tables(report, problems).items():
        buffer = io.StringIO(newline="")
        out = csv.writer(buffer, lineterminator="\n")
        out.writerow(header)
        out.writerows([[_cell(value) for value in row] for row in rows])
        paths.append(directory / f"{name}.csv")
        atomic_write(paths[-1], buffer.getvalue().encode())
    return paths


def tables(report: Report, problems: Sequence[Problem]) -> dict[str, _Table]:
    """Return the header and the rows of each file by its name, values not yet texts."""
    return {
        "runs": (_RUNS, _runs(problems)),
        "finals": (_FINALS, _finals(problems)),
        "differences": (_DIFFERENCES, _differences(problems)),
        "curves": (_CURVES, _curves(report)),
    }


_RUNS = (
    *("data", "group", "seed", "state", "step", "tag", "value", "low", "high", "floor", "unit"),
    *("n", "directory"),
)
_FINALS = ("data", "group", "tag", "unit", "seeds", "not_finite", "mean", "low", "high", "floor")
_DIFFERENCES = (
    *("data", "tag", "first", "second", "difference", "low", "high", "seeds", "paired", "p"),
    *("first_lower", "first_higher", "equal", "supported", "supported_among_all"),
)
_CURVES = ("data", "group", "tag", "axis", "x", "mean", "low", "high", "seeds")


def _runs(problems: Sequence[Problem]) -> Iterable[Sequence[Any]]:
    for problem in problems:
        for group in problem.groups:
            for run in group.runs:
                head = (problem.name, group.label, run.seed, run.state, run.step)
                if not run.finals:
                    yield (*head, "", "", "", "", "", "", "", run.path)
                for tag, each in run.finals.items():
                    numbers = (each[k] for k in ("value", "low", "high", "floor", "unit", "n"))
                    yield (*head, tag, *numbers, run.path)


def _tags(problem: Problem) -> list[str]:
    return list({t: None for g in problem.groups for r in g.complete_runs for t in r.finals})


def _finals(problems: Sequence[Problem]) -> Iterable[Sequence[Any]]:
    for problem in problems:
        for group in problem.groups:
            for tag in _tags(problem):
                values = group.finals(tag).values()
                if values:
                    one = next(r.finals[tag] for r in group.complete_runs if tag in r.finals)
                    finite = [value for value in values if math.isfinite(value)]
                    head = (problem.name, group.label, tag, one["unit"], len(finite))
                    value, low, high = mean(finite) if finite else (None, None, None)
                    ends = (low, high) if len(finite) > 1 else (None, None)
                    yield (*head, len(values) - len(finite), value, *ends, one["floor"])


def _differences(problems: Sequence[Problem]) -> Iterable[Sequence[Any]]:
    for problem in problems:
        for tag in _tags(problem):
            for pair in pairs(problem.groups, tag):
                d = pair.difference
                value, low, high = d.measured
                ends = (low, high) if math.isfinite(high - low) else (None, None)
                yield (
                    *(problem.name, tag, pair.a, pair.b, value, *ends, d.n, d.is_paired, d.p),
                    *(d.lower, d.higher, d.ties, d.is_supported, pair.among_all),
                )


def _curves(report: Report) -> Iterable[Sequence[Any]]:
    for section in report.sections:
        for chart in section.charts:
            for axis in ("step", "seconds"):
                for label, band in chart.bands.get(axis, {}).items():
                    for row in zip(band.x, band.mean, band.low, band.high, band.n, strict=True):
                        yield (section.name, label, chart.tag, axis, *row)


def _cell(value: Any) -> Any:
    if isinstance(value, str | Path):
        text = visible(str(value))
        # A spreadsheet would run it as a formula.
        return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t")) else text
    if value is None or value != value:
        return ""
    return float(value) if hasattr(value, "dtype") else value
