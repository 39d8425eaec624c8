"""The step after which training no longer helps, and how good the best checkpoint is."""

import math
from collections.abc import Sequence

import numpy as np

from gan_lab.reports.analysis.aggregate import Group, on_axis
from gan_lab.reports.analysis.charts import HEADLINE
from gan_lab.reports.analysis.model import Table
from gan_lab.reports.analysis.statistics import Difference, difference, mean
from gan_lab.reports.analysis.tables import as_text, spread

_GAIN_FROM = 5  # seeds
_MAX_STEPS = 80


def gains(groups: Sequence[Group]) -> Table | None:
    """Return the table of last gains and best checkpoints; None where there are none."""
    rows = []
    for group in groups:
        until = last_gain_step(group)
        if until is None and not best_values(group):
            continue
        last = max((r.step for r in group.runs), default=0)
        cell = "-" if until is None else str(until)
        if until is not None and until >= last:
            cell += " (still gaining at the end)"
        rows.append([group.label, str(last), cell, *_best_cells(group)])
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
            *("best step, median [least, most]", "W1 there (data units)"),
            "W1 there - at the end (data units)",
        ],
        rows,
    )


def last_gain_step(group: Group, tag: str = HEADLINE) -> int | None:
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


def best_values(group: Group) -> dict[int, float]:
    """Return seed -> W1 of its best checkpoint on held-out data, where it is known."""
    best = {r.seed: (r.best or {}).get("held_out") for r in group.complete_runs}
    values = {seed: float(estimate["value"]) for seed, estimate in best.items() if estimate}
    return {seed: value for seed, value in values.items() if math.isfinite(value)}


def best_minus_end(group: Group) -> Difference | None:
    """Return W1 of the best checkpoints minus at the end, on held-out data; None if unknown."""
    there = best_values(group)
    ends = group.finals(HEADLINE)
    return difference(there, ends) if len(there.keys() & ends.keys()) >= _GAIN_FROM else None


def _best_cells(group: Group) -> list[str]:
    there = best_values(group)
    if not there:
        return ["-", "-", "-"]
    finals = group.finals(HEADLINE).items()
    ends = {seed: value for seed, value in finals if seed in there and math.isfinite(value)}
    steps = sorted(int(r.best["step"]) for r in group.complete_runs if r.best and r.seed in there)
    where = f"{float(np.median(steps)):g} [{steps[0]}, {steps[-1]}]"
    gap = as_text(difference(there, ends).measured) if ends else "-"
    return [where, spread(there), gap]
