"""The step after which training no longer helps, and how good the best checkpoint is."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_lab.reports.analysis.aggregate import Group, headline, name_at_end, on_axis
from gan_lab.reports.analysis.charts import CURVES
from gan_lab.reports.analysis.load import Record
from gan_lab.reports.analysis.model import Table
from gan_lab.reports.analysis.statistics import Difference, difference, mean
from gan_lab.reports.analysis.tables import as_text, spread
from gan_lab.runs.headline import WASSERSTEIN

_GAIN_FROM = 5  # seeds
_MAX_STEPS = 80


def gains(groups: Sequence[Group]) -> Table | None:
    """Return the table of last gains and best checkpoints; None where there are none."""
    rows, tag = [], headline(groups)
    name, unit = name_at_end(groups, tag), CURVES[tag].unit
    unit = f" ({unit})" if unit else ""
    for group in groups:
        until = last_gain_step(group, tag)
        if until is None and not best_values(group, tag):
            continue
        last = max((r.step for r in group.runs), default=0)
        cell = "-" if until is None else str(until)
        if until is not None and until >= last:
            cell += " (still gaining at the end)"
        rows.append([group.label, str(last), cell, *_best_cells(group, tag)])
    if not rows:
        return None
    return Table(
        "When did more training stop helping?",
        "The first step from which on no later measurement is lower by a supported margin (paired "
        "over seeds, 95 % t interval); with few seeds a slow gain goes on unseen. The best "
        "checkpoint is chosen on validation data and read here on held-out data, so choosing does "
        "not flatter it.",
        [
            *("group", "last step", "no supported gain after step"),
            *("best step, median [least, most]", f"{name} there{unit}"),
            f"{name} there - at the end{unit}",
        ],
        rows,
    )


def last_gain_step(group: Group, tag: str) -> int | None:
    """Return the first evaluated step from which on no later one is lower by a supported margin.

    None for fewer than five seeds or three estimates. Few seeds support few gains, so a slow gain
    ends later than this step.
    """
    curves = [c for run in group.complete_runs if (c := on_axis(run, tag, "step")) is not None]
    if len(curves) < _GAIN_FROM:
        return None
    steps = curves[0][0]
    for x, _ in curves[1:]:
        steps = np.intersect1d(steps, x)
    if len(steps) < 3:
        return None
    steps = steps[:: -(-len(steps) // _MAX_STEPS)]
    table = np.stack([y[np.searchsorted(x, steps)] for x, y in curves])
    for i in range(len(steps) - 1):
        if not any(mean(later).high < 0 for later in (table[:, i + 1 :] - table[:, i : i + 1]).T):
            return int(steps[i])
    return int(steps[-1])


def best_values(group: Group, tag: str) -> dict[int, float]:
    """Return seed -> headline of its best checkpoint on held-out data, where that chose it."""
    best = {r.seed: (_best_by(r, tag) or {}).get("held_out") for r in group.complete_runs}
    values = {seed: float(estimate["value"]) for seed, estimate in best.items() if estimate}
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def best_steps(group: Group, tag: str) -> list[int]:
    """Return the steps of the best checkpoints that a headline chose, in order."""
    bests = (_best_by(run, tag) for run in group.complete_runs)
    return sorted(int(best["step"]) for best in bests if best)


def best_minus_end(group: Group, tag: str) -> Difference | None:
    """Return a headline of the best checkpoints minus at the end, on held-out data, if known."""
    there = best_values(group, tag)
    ends = group.finals(tag)
    return difference(there, ends) if len(there.keys() & ends.keys()) >= _GAIN_FROM else None


def _best_by(run: Record, tag: str) -> Mapping[str, Any] | None:
    """Return a run's best checkpoint if it was chosen by a tag; without a tag it was by W1."""
    return run.best if run.best and run.best.get("tag", WASSERSTEIN) == tag else None


def _best_cells(group: Group, tag: str) -> list[str]:
    there = best_values(group, tag)
    if not there:
        return ["-", "-", "-"]
    finals = group.finals(tag).items()
    ends = {seed: value for seed, value in finals if seed in there and math.isfinite(value)}
    steps = best_steps(group, tag)
    where = f"{float(np.median(steps)):g} [{steps[0]}, {steps[-1]}]"
    gap = as_text(difference(there, ends).measured) if ends else "-"
    return [where, spread(there), gap]
