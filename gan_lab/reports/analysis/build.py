"""From run directories to a report: runs are read, grouped, compared and put into words."""

import dataclasses
import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import numpy as np

from gan_lab import __version__
from gan_lab.metrics.quality import LEGIBLE
from gan_lab.reports.analysis import (
    best_steps,
    load,
    names,
    numbers,
    parts,
    run_config,
    summary,
    tables,
    verdict,
)
from gan_lab.reports.analysis.aggregate import (
    Group,
    Problem,
    band,
    group_runs,
    is_high_dimensional,
    title_at_end,
    title_on_curves,
)
from gan_lab.reports.analysis.charts import CURVES, QUESTIONS, Curve, first
from gan_lab.reports.analysis.load import Record
from gan_lab.reports.analysis.model import (
    AXES,
    Band,
    Chart,
    EventRow,
    Report,
    Section,
    Table,
)

_MAX_LABELS = 4  # groups in a title
_METHOD = (
    "Groups are runs that differ in nothing but their seed; everything in which the groups differ "
    "is in the table 'What differs'. Runs on other data or under another evaluator are never "
    "averaged or compared with each other: each has a section of its own.",
    "Numbers at the end come from data that were held out from training and from every choice; "
    "curves come from a validation part. Where the data are a distribution, both are drawn afresh.",
    "Intervals are 95 % t intervals over seeds. They assume nearly normal values: for skewed ones "
    "they cover less (exponential values: 88 % for 5 seeds, 92 % for 20). From 8 seeds on the "
    "median with its distribution-free interval stands beside the mean.",
    "Differences are paired by seed: runs with one seed begin with the same weights and see the "
    "same batches and noise, where shapes agree. A difference is called supported when Holm's "
    "correction over all pairs of its table leaves it below 5 %.",
    "Between two measurements of a run a straight line is read where seeds or budgets ask for it; "
    "nothing is read before the first measurement or after the last.",
)


def report(paths: Sequence[Path], title: str = "") -> tuple[Report, list[Problem]]:
    """Return the report on some run directories, and the groups behind it.

    Without a title it is named for the groups and the data sets.

    Raises:
        ConfigError: A path holds no run, or a run cannot be read.
    """
    records = [load.read_run(path) for path in load.find_runs(paths)]
    problems = group_runs(records)
    n_groups = max(len(problem.groups) for problem in problems)
    data = ", ".join(problem.name for problem in problems)
    question = f"Which of {n_groups} choices makes the best samples on {data}, and by how much?"
    if n_groups == 1:
        question = f"How good are the samples on {data}, and how sure is that?"
    origin = (
        f"Made {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by gan_lab {__version__} from "
        f"{len(records)} runs in {', '.join(map(str, paths))}."
    )
    has_own_title = bool(title)
    title = title or _title(problems)
    sections = [section(problem) for problem in problems]
    # Also the notes have paths, whose names may be anything.
    title, question, origin = map(run_config.visible, (title, question, origin))
    notes = run_config.visible(_notes(problems, sections))
    content = Report(title, question, sections, notes, _METHOD, origin, has_own_title)
    return content, problems


def _title(problems: Sequence[Problem]) -> str:
    """Return a title that tells comparisons apart: the groups and the data sets."""
    labels = list(dict.fromkeys(g.label for problem in problems for g in problem.groups))
    what = names.enumeration(labels) if len(labels) <= _MAX_LABELS else f"{len(labels)} choices"
    return f"{what} on {names.enumeration([problem.name for problem in problems])}"


def section(problem: Problem) -> Section:
    """Return a problem's section of the report."""
    groups, tag = problem.groups, problem.headline
    seeds = _picture_seeds(groups)
    runs = {g.label: next(r for r in g.runs if r.seed == seeds[g.label]) for g in groups}
    curves = [(curve, q.title) for q in QUESTIONS for curve in first(q.curves, tag)]
    charts = [c for curve, question in curves if (c := chart(groups, curve, question))]
    floors = (floor for g in groups if (floor := g.floor(tag)) is not None)
    table_list, events = _tables(groups), _events(groups)
    return Section(
        name=problem.name,
        labels=[g.label for g in groups],
        styles={g.label: g.style for g in groups},
        verdict=verdict.verdict(problem),
        sentences=summary.sentences(problem),
        tables=table_list,
        charts=charts,
        pictures={label: run.pictures() for label, run in runs.items()},
        landscapes={label: f for label, run in runs.items() if (f := run.landscapes())},
        seed=seeds,
        events=events,
        dots=verdict.dots(problem),
        real_data=next(floors, None),
        real_picture=next(filter(None, (run.real_picture() for run in runs.values())), None),
        grid_side=_grid_side(list(runs.values())),
        headline=tag,
        is_high_dimensional=is_high_dimensional(groups),
        dots_title=title_at_end(groups, tag),
        dots_unit=CURVES[tag].unit,
        parts=parts.parts(problem, charts, table_list, events),
        cards={g.label: run_config.card_lines(g.runs[0].config) for g in groups},
        choices={g.label: g.choices for g in groups},
        finals={g.label: _means(g) for g in groups},
        end=verdict.end_of_training(problem),
        is_paired=verdict.is_paired(problem),
        modes={label: text for label, run in runs.items() if (text := _good(run))},
    )


def chart(groups: Sequence[Group], curve: Curve, question: str) -> Chart | None:
    """Return one quantity on all axes; None where no group has it."""
    bands: dict[str, dict[str, Band]] = {}
    for axis, group in itertools.product(AXES, groups):
        if (b := band(group, curve.tag, axis)) is not None:
            low, high = np.maximum(b.low, curve.least), np.minimum(b.high, curve.limit)
            bands.setdefault(axis, {})[group.label] = dataclasses.replace(b, low=low, high=high)
    if "step" not in bands:
        return None
    floor = next((f for g in groups for r in g.runs if (f := _floor(r, curve.tag))), None)
    title = title_on_curves(groups, curve.tag)
    return Chart(curve.tag, title, curve.unit, floor, question, bands)


def _floor(run: Record, tag: str) -> float | None:
    series = run.curves.get(f"{tag}_floor")
    value = math.nan if series is None or not len(series.values) else float(series.values[-1])
    return value if math.isfinite(value) else None


def _tables(groups: Sequence[Group]) -> list[Table]:
    differences = (tables.differences(groups, tag) for tag in tables.difference_tags(groups))
    each = [tables.final_numbers(groups), *differences, tables.rank_table(groups)]
    each += [tables.budgets(groups), best_steps.gains(groups)]
    each += [tables.incomplete_runs(groups), tables.choices(groups)]
    return [table for table in each if table is not None]


def _picture_seeds(groups: Sequence[Group]) -> dict[str, int]:
    """Return the least seed that is complete in all groups, or in all, or else each its own."""
    complete = set.intersection(*({r.seed for r in g.complete_runs} for g in groups))
    common = complete or set.intersection(*({r.seed for r in g.runs} for g in groups))
    return {g.label: min(common) if common else g.runs[0].seed for g in groups}


def _events(groups: Sequence[Group]) -> list[EventRow]:
    rows = []
    for label, run in [(group.label, run) for group in groups for run in group.runs]:
        for event in run.events:
            numbers = ", ".join(
                f"{name} {value:.4g}" if isinstance(value, float) else f"{name} {value}"
                for name, value in event["numbers"].items()
            )
            texts = (str(event.get(name, "")) for name in ("explanation", "advice"))
            row = (label, run.seed, event["step"], event["kind"], numbers, *texts)
            rows.append(EventRow(*row))
    return sorted(rows, key=lambda e: (e.step, e.group, e.seed))


def _cautions(problem: Problem, verdict_details: Sequence[str]) -> list[str]:
    """Return reasons why groups are less comparable than a table suggests, if not said already."""
    groups, notes = problem.groups, []
    recipes = "; ".join(summary.unequal_choices(groups))
    if recipes and not any(recipes in detail for detail in verdict_details):
        notes.append(f"whole recipes are compared, not losses alone ({recipes}).")
    timings = {run.timing for g in groups for run in g.runs}
    together = {n_seeds for n_seeds, _, _ in timings}
    if len(timings) > 1:
        notes.append(
            "the runs were not timed alike (the seeds of a process, threads or machines "
            "differ), so seconds are compared nowhere."
        )
    if together != {1}:
        notes.append(
            f"seeds were trained together ({max(together)} in one process): they share one clock, "
            "so seconds are those of all of them together, and one best step."
        )
    if forks := [g.label for g in groups if "fork.step" in g.runs[0].config]:
        inside = "a fork, whose steps and budgets include those of the run it continues."
        notes.append(f"{'; '.join(forks)}: {inside}")
    return [f"{problem.name}: {note}" for note in notes]


def _means(group: Group) -> dict[str, float]:
    tags = {tag: None for run in group.complete_runs for tag in run.finals}
    finite = {tag: list(filter(math.isfinite, group.finals(tag).values())) for tag in tags}
    return {tag: math.fsum(values) / len(values) for tag, values in finite.items() if values}


def _grid_side(runs: Sequence[Record]) -> int:
    """Return the images in a row and in a column of the pictures of runs; see `image_grid`.

    0 where pictures differ, and of points, whose picture is one.
    """
    if any(run.has_points for run in runs):
        return 0
    numbers = {run.config.get("trainer.n_preview", 64) for run in runs}  # 64 before the key was
    n = numbers.pop() if len(numbers) == 1 else 0
    side = math.isqrt(n) if isinstance(n, int) and n > 0 else 0
    return side if side**2 == n else 0


def _good(run: Record) -> str:
    """Return what a run's pictures should show: "93 % legible; 10 of 10 modes"."""
    share = run.finals.get(LEGIBLE, {}).get("value", math.nan)
    legible = f"{100 * share:.0f} % legible" if math.isfinite(share) else ""
    return "; ".join(filter(None, [legible, _modes(run)]))


def _modes(run: Record) -> str:
    final = run.finals.get("modes/covered", {})
    value, limit = final.get("value"), final.get("floor")
    if value is None or not math.isfinite(float(value)):
        return ""
    of = f" of {numbers.short(float(limit))}" if limit is not None else ""
    return f"{numbers.short(float(value))}{of} modes"


def _notes(problems: Sequence[Problem], sections: Sequence[Section]) -> list[str]:
    notes = []
    if len(problems) > 1:
        notes.append(
            f"The runs are on {len(problems)} different data sets or evaluators "
            f"({', '.join(p.name for p in problems)}); each has a section of its own."
        )
    for problem, own in zip(problems, sections, strict=True):
        runs = [run for group in problem.groups for run in group.runs]
        if states := [run.state for run in runs if not run.is_done]:
            notes.append(
                f"{problem.name}: {len(states)} of {len(runs)} runs did not come to their end "
                f"({', '.join(sorted(set(states)))}); see the table of them."
            )
        for run in problem.duplicates:
            notes.append(f"{run.path} was left out: another run has the same choices and seed.")
        ends = {g.label: g.runs[0].steps for g in problem.groups}
        if len(set(ends.values())) > 1:
            lengths = ", ".join(f"{label} {steps}" for label, steps in ends.items())
            notes.append(
                f"{problem.name}: the groups were trained for different numbers of steps "
                f"({lengths}); read the table 'At equal budgets'."
            )
        notes += _cautions(problem, own.verdict.details)
        if single := ", ".join(g.label for g in problem.groups if len(g.runs) == 1):
            rest = "which allows no interval and supports no difference."
            notes.append(f"{problem.name}: one seed only of {single}, {rest}")
    return notes
