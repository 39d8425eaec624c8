"""Runs -> groups of one choice over several seeds; their curves with bands over the seeds."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from gan_lab.reports.analysis.charts import CURVES, title
from gan_lab.reports.analysis.load import CLOCKS, Record, Series
from gan_lab.reports.analysis.model import Band
from gan_lab.reports.analysis.names import (
    differing_keys,
    distinct_names,
    group_name,
    value_text,
)
from gan_lab.reports.analysis.run_config import class_name, loss, regularizers
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.plots.style import SERIES, STYLES, Style
from gan_lab.runs.headline import WASSERSTEIN, headline_of, short_name

# Keys that do not change the training: where it runs, what and how often it writes and evaluates;
# and the seed, over which groups average. Hints are already in the other keys.
_NO_DIFFERENCE = re.compile(
    r"seed|n_seeds|device|(execution|hints|logger)\..*|evaluator\.(every|budget)"
    r"|trainer\.(_target_|log_every|image_every|landscape_every|checkpoint_every|keep_checkpoints|n_preview)"
)
# Numbers under different data or another evaluator must never meet in one table.
_EVALUATION = re.compile(r"(data|metrics|evaluator|neural_distance)\..*")
_MAX_POINTS = 1000
_SECONDS_POINTS = 200


@dataclass(frozen=True)
class Group:
    """Runs of one choice, one for each seed."""

    label: str  # its loss and regularizers, and what else tells it apart
    choices: Mapping[str, str]  # key that differs between the groups -> its value here, as text
    style: Style  # of its curves, everywhere
    runs: Sequence[Record]  # by seed

    @property
    def complete_runs(self) -> list[Record]:
        """The runs that reached their end."""
        return [run for run in self.runs if run.is_done]

    def finals(self, tag: str) -> dict[int, float]:
        """Return seed -> final value of a tag, of the complete runs that have it."""
        runs = (run for run in self.complete_runs if tag in run.finals)
        return {run.seed: float(run.finals[tag]["value"]) for run in runs}

    def finals_or_nan(self, tag: str) -> dict[int, float]:
        """Return the same for all its runs: nan for one that did not reach its end."""
        finals = self.finals(tag)
        return {run.seed: finals.get(run.seed, math.nan) for run in self.runs}

    def floor(self, tag: str) -> float | None:
        """Return what real samples get in the final evaluation; None where it is unknown."""
        floors = (run.finals.get(tag, {}).get("floor") for run in self.complete_runs)
        return next((float(floor) for floor in floors if floor is not None), None)

    def values_at(self, tag: str, axis: str, budget: float) -> dict[int, float]:
        """Return seed -> value of its curve at a budget, of the runs that reached it."""
        values = {run.seed: value_at(run, tag, axis, budget) for run in self.runs}
        return {seed: value for seed, value in values.items() if math.isfinite(value)}


def headline(groups: Sequence[Group]) -> str:
    """Return the tag that sums groups of one data set up; W1 where nothing was measured yet."""
    runs = [run for group in groups for run in group.runs]
    tags = {tag for run in runs for tag in (*run.finals, *run.curves)}
    return headline_of(tags, is_high_dimensional(groups)) or WASSERSTEIN


def is_high_dimensional(groups: Sequence[Group]) -> bool:
    """Return whether the samples of groups of one data set have more than 4 coordinates."""
    return any(run.is_high_dimensional for group in groups for run in group.runs)


def name_at_end(groups: Sequence[Group], tag: str) -> str:
    """Return FD, energy distance, W1 or "sample W1 (n = 500)", with the n of the end."""
    return short_name(tag, is_high_dimensional(groups), _n_at_end(groups, tag))


def title_at_end(groups: Sequence[Group], tag: str) -> str:
    """Return a curve's title for numbers at the end; of W1 above 4 dimensions with their n."""
    return title(CURVES[tag], is_high_dimensional(groups), _n_at_end(groups, tag))


def title_on_curves(groups: Sequence[Group], tag: str) -> str:
    """Return a curve's title for numbers during training; see `title_at_end`."""
    n = next((r.config.get("evaluator.n") for group in groups for r in group.runs), None)
    return title(CURVES[tag], is_high_dimensional(groups), n)


def _n_at_end(groups: Sequence[Group], tag: str) -> int | None:
    runs = (run for group in groups for run in group.complete_runs)
    return next((int(run.finals[tag]["n"]) for run in runs if tag in run.finals), None)


@dataclass(frozen=True)
class Problem:
    """Groups on the same data under the same evaluator."""

    name: str  # of the data set, and what else tells problems apart
    groups: Sequence[Group]  # in the order of their labels in `STYLES`, then as found
    duplicates: Sequence[Record]  # left out: a longer run has the same choice and seed

    @property
    def headline(self) -> str:
        """The tag that sums its groups up; see `headline`."""
        return headline(self.groups)


def group_runs(records: Sequence[Record]) -> list[Problem]:
    """Group records by data and evaluator, and within these by what differs."""
    essential = [_essential(record.config) for record in records]
    evaluations = [{k: v for k, v in e.items() if _EVALUATION.fullmatch(k)} for e in essential]
    methods = [{k: v for k, v in e.items() if not _EVALUATION.fullmatch(k)} for e in essential]
    members = _equal(evaluations)
    names = distinct_names([evaluations[m[0]] for m in members], partial(class_name, node="data"))
    problems = []
    for name, indices in zip(names, members, strict=True):
        own = [methods[i] for i in indices]
        problems.append(Problem(name, *_groups([records[i] for i in indices], own)))
    return problems


def band(group: Group, tag: str, axis: str) -> Band | None:
    """Return a curve of a group over its seeds; unfinished runs count as far as they went.

    Values are interpolated linearly between two estimates of a seed, and never extrapolated, so
    that seeds evaluated at different steps or seconds can be averaged.
    None where no run has the tag, or none has the axis (a key of `model.AXES`).
    """
    curves = [c for run in group.runs if (c := on_axis(run, tag, axis)) is not None]
    if not curves:
        return None
    grid = _grid([x for x, _ in curves], exact=axis != "seconds")
    table = np.stack([_interpolate(x, y, grid) for x, y in curves])
    n = (~np.isnan(table)).sum(0)
    grid, table, n = grid[n > 0], table[:, n > 0], n[n > 0]
    if not len(grid):
        return None
    spans = [mean(column[~np.isnan(column)]) for column in table.T]
    value, low, high = (np.array(part) for part in zip(*spans, strict=True))
    alone = n < 2
    low[alone] = high[alone] = np.nan
    return Band(grid, value, low, high, n)


def on_axis(run: Record, tag: str, axis: str) -> tuple[np.ndarray, np.ndarray] | None:
    """Return x and y of a run's curve on an axis, x increasing; None where it has none."""
    series = run.curves.get(tag)
    if series is None:
        return None
    if axis == "step":
        return series.steps.astype(float), series.values
    clock = run.curves.get(CLOCKS[axis])
    return None if clock is None else (at_step(clock, series.steps), series.values)


def at_step(clock: Series, steps: np.ndarray) -> np.ndarray:
    """Return a clock's values at some steps; at step 0 every clock is 0."""
    if clock.steps[0] > 0:
        clock = Series(np.r_[0, clock.steps], np.r_[0.0, clock.values])
    return np.interp(steps, clock.steps, clock.values)


def value_at(run: Record, tag: str, axis: str, budget: float) -> float:
    """Return a run's value at a budget; nan where it did not reach it."""
    curve = on_axis(run, tag, axis)
    return np.nan if curve is None else float(_interpolate(*curve, np.array([budget]))[0])


def _interpolate(x: np.ndarray, y: np.ndarray, grid: np.ndarray) -> np.ndarray:
    with np.errstate(invalid="ignore"):  # a line to infinity has no middle
        return np.interp(grid, x, y, left=np.nan, right=np.nan)


def _grid(places: Sequence[np.ndarray], exact: bool) -> np.ndarray:
    if exact or all(np.array_equal(places[0], x) for x in places):
        grid = np.unique(np.concatenate(places))
        stride = -(-len(grid) // _MAX_POINTS)
        return np.unique(np.r_[grid[::stride], grid[-1]])
    return np.linspace(min(x[0] for x in places), max(x[-1] for x in places), _SECONDS_POINTS)


def _groups(
    records: Sequence[Record], methods: Sequence[dict[str, Any]]
) -> tuple[list[Group], list[Record]]:
    members = _equal(methods)
    each = [methods[indices[0]] for indices in members]
    labels, differing = distinct_names(each, group_name), differing_keys(each)
    styles = _styles(list(map(_style_key, each)))
    groups, duplicates = [], []
    for label, indices, style, choice in zip(labels, members, styles, each, strict=True):
        by_seed: dict[int, Record] = {}
        for record in (records[i] for i in indices):
            if record.seed in by_seed:
                both = (by_seed[record.seed], record)
                old, record = sorted(both, key=lambda r: (r.is_done, r.step, str(r.path)))
                duplicates.append(old)
            by_seed[record.seed] = record
        choices = {key: value_text(choice.get(key, "none")) for key in differing}
        groups.append(Group(label, choices, style, [by_seed[seed] for seed in sorted(by_seed)]))
    order = list(STYLES.values())
    groups.sort(key=lambda g: order.index(g.style) if g.style in order else len(order))
    return groups, duplicates


def _essential(config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the keys that change the training, whole numbers as floats."""
    left_out = {key for key in config if _NO_DIFFERENCE.fullmatch(key)}
    if not str(config.get("data._target_", "")).endswith("ImageFolder"):
        left_out |= {"data.root", "data.download"}  # where the files are, unless they are the data
    return {k: float(v) if type(v) is int else v for k, v in config.items() if k not in left_out}


def _equal(configs: Sequence[Mapping[str, Any]]) -> list[list[int]]:
    """Return the indices of equal configurations, a list for each."""
    indices: dict[str, list[int]] = {}
    for i, config in enumerate(configs):
        indices.setdefault(repr(sorted(config.items())), []).append(i)
    return list(indices.values())


def _style_key(config: Mapping[str, Any]) -> str:
    if "fork.step" in config:
        return ""
    name, penalties = loss(config), regularizers(config)
    usual = {"wasserstein": ["gradient_penalty"], "hinge": ["spectral_norm"]}.get(name, [])
    if name == "relativistic_pairing":
        name, usual = "relativistic", ["r1", "r2"]
    if name == "wasserstein" and penalties == ["weight_clipping"]:
        return "wasserstein_clip"
    return name if penalties == usual else ""


def _styles(keys: Sequence[str]) -> list[Style]:
    """Return a method's own style for its first group, an unused one for every other group."""
    own = [STYLES[k] if k in STYLES and keys.index(k) == i else None for i, k in enumerate(keys)]
    used = {style.colour for style in own if style is not None}
    rest = iter([s for s in SERIES if s.colour not in used] + list(SERIES) * len(keys))
    return [style if style is not None else next(rest) for style in own]
