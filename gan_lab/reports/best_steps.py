"""When more training stopped to help, and what the best checkpoint is worth."""

from collections.abc import Sequence

import numpy as np

from gan_lab.reports.aggregate import Group, on_axis
from gan_lab.reports.comparison_tables import as_text, spread
from gan_lab.reports.load import Record
from gan_lab.reports.plots import short
from gan_lab.reports.questions import HEADLINE
from gan_lab.reports.report import Table
from gan_lab.reports.statistics import difference, mean

_GAIN_FROM = 3  # seeds


def gains(groups: Sequence[Group]) -> Table | None:
    """When more training stopped to help, and what the best checkpoint is worth."""
    rows = []
    for group in groups:
        until = gained_until(group)
        best = [r for r in group.done if r.best and "held_out" in r.best]
        if until is None and not best:
            continue
        last = max((r.step for r in group.runs), default=0)
        still = (
            "-"
            if until is None
            else (f"{until} (still gaining at the end)" if until >= last else str(until))
        )
        rows.append([group.label, str(last), still, *_best_cells(best)])
    if not rows:
        return None
    return Table(
        "When did more training stop helping?",
        "The first step that the best later measurement does not undercut by a supported margin "
        "(paired over seeds, 95 % t interval). The best checkpoint is chosen on "
        "validation data and read here on held-out data, so choosing does not flatter it.",
        [
            "group",
            "last step",
            "no supported gain after step",
            "best step, median [least, most]",
            "W1 there (data units)",
            "W1 there - at the end (data units)",
        ],
        rows,
    )


def gained_until(group: Group, tag: str = HEADLINE) -> int | None:
    """The first measured step that no later one betters by a supported margin; None if unknown.

    It is held against the later step with the lowest mean, which was picked from many and so looks
    better than it is: the step that is found is too late rather than too early.
    """
    curves = [c for run in group.done if (c := on_axis(run, tag, "step")) is not None]
    if len(curves) < _GAIN_FROM:
        return None
    steps = curves[0][0]
    for x, _ in curves[1:]:
        steps = np.intersect1d(steps, x)
    if len(steps) < 3:
        return None
    table = np.stack([y[np.searchsorted(x, steps)] for x, y in curves])
    for i in range(len(steps) - 1):
        best = i + 1 + int(table[:, i + 1 :].mean(0).argmin())
        if not mean(table[:, best] - table[:, i]).high < 0:
            return int(steps[i])
    return int(steps[-1])


def _best_cells(runs: Sequence[Record]) -> list[str]:
    if not runs:
        return ["-", "-", "-"]
    best = [run.best for run in runs if run.best]
    steps = sorted(int(b["step"]) for b in best)
    where = f"{short(float(np.median(steps)))} [{steps[0]}, {steps[-1]}]"
    there = {r.seed: float(b["held_out"]["value"]) for r, b in zip(runs, best, strict=True)}
    end = {r.seed: float(r.finals[HEADLINE]["value"]) for r in runs if HEADLINE in r.finals}
    gap = as_text(difference(there, end).measured) if end else "-"
    return [where, spread(there), gap]
