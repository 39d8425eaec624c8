"""The answer of a section in one badge and one sentence, and the dots of its first picture."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gan_lab.reports.analysis.aggregate import Group, Problem, on_axis
from gan_lab.reports.analysis.best_steps import best_values
from gan_lab.reports.analysis.charts import CURVES, HEADLINE
from gan_lab.reports.analysis.model import Dot, Verdict
from gan_lab.reports.analysis.names import enumeration
from gan_lab.reports.analysis.statistics import Statistic, mean, seeds_needed
from gan_lab.reports.analysis.tables import (
    MIN_SEEDS,
    Pair,
    as_text,
    clip_interval,
    pairs,
    pairs_of,
)
from gan_lab.reports.plots.style import short

_MAX_SEEDS = 100  # more seeds than that are only said to be many
_UNIT = CURVES[HEADLINE].unit


@dataclass(frozen=True)
class _Rival:
    """A group beside the best one."""

    label: str
    pair: Pair
    gap: Statistic  # its W1 minus the best group's, over common seeds

    @property
    def n(self) -> int:
        """The number of seeds behind the difference."""
        return self.pair.difference.n

    @property
    def wins(self) -> int:
        """The number of common seeds in which the best group is lower."""
        d = self.pair.difference
        return d.higher if self.pair.a == self.label else d.lower

    @property
    def has_few_seeds(self) -> bool:
        """Whether nothing can be said."""
        return self.pair.has_few_seeds

    @property
    def is_worse(self) -> bool:
        """Whether the best group is lower, with all pairs in mind."""
        return self.pair.among_all and self.gap.value > 0

    @property
    def fails_only_holm(self) -> bool:
        """Whether the interval excludes no difference and the correction undoes it."""
        return not self.has_few_seeds and self.gap.low > 0 and not self.pair.among_all

    @property
    def more_seeds(self) -> float:
        """How many more seeds would show a gap of this size at the level that Holm uses.

        By `seeds_needed` with power 0.8; where all seeds differ by the same, as many as a sign
        test needs, n = 1 - log2(level).
        """
        d = self.pair.difference
        total = seeds_needed(d.measured.value, d.deviation, self.pair.level)
        if math.isinf(d.measured.high):
            total = 1 - math.log2(self.pair.level)
        return max(1.0, total - self.n)


def verdict(problem: Problem) -> Verdict:
    """Return the badge, the headline and at most three more sentences.

    Better: the group with the lowest mean is lower than every other one, supported over the pairs
    of all groups (Holm). Undecided: it is not, from one of them at least. Fewer than three seeds
    decide nothing.
    """
    groups = best_first(problem)
    incomplete = _incomplete_runs(problem)
    if not groups:
        return Verdict(
            "no_result", "No result", "No run came to its end with a finite W1.", incomplete
        )
    best, value = groups[0], _value(groups[0])
    if len(groups) == 1:
        alone = len(problem.groups) == 1
        badge = "One group only" if alone else f"Only {best.label} finished"
        text = f"{best.label} has a W1 of {value} over {_seeds(len(_finite(best)))}."
        return Verdict("one_group", badge, text, [*_against_real_data(best), *incomplete][:3])
    rivals = [_rival(pair, best.label) for pair in pairs(groups, HEADLINE)]
    by_label = {rival.label: rival for rival in rivals if rival is not None}
    rivals_by_mean = [by_label[group.label] for group in groups[1:]]
    own = _own_value(best)
    if len(_finite(best)) < MIN_SEEDS or all(rival.has_few_seeds for rival in rivals_by_mean):
        text = _early_answer(best, rivals_by_mean[0])
        return Verdict("too_few_seeds", "Too few seeds", text, [*own, *incomplete][:3])
    crossing = _other_at_best_step(groups)
    open_rivals = [rival for rival in rivals_by_mean if not rival.is_worse]
    lengths = _lengths(groups)
    if open_rivals:
        details = [*_worse(best, rivals_by_mean), *_only_few(open_rivals), *crossing.sentences]
        details = [*details, *incomplete, *lengths, *own]
        return Verdict("undecided", "Undecided", _open_answer(best, open_rivals), details[:3])
    badge = f"{best.label} is better{' at the end' if crossing.is_supported else ''}"
    text = _clear_answer(best, rivals_by_mean, crossing)
    return Verdict("better", badge, text, [*crossing.sentences, *incomplete, *lengths, *own][:3])


def dots(problem: Problem) -> list[Dot]:
    """Return the number at the end of every group that has one, the best first."""
    result = []
    for group in best_first(problem):
        values = _finite(group)
        value, low, high = clip_interval(mean(values), HEADLINE)
        ends = (low, high) if len(values) > 1 else (math.nan, math.nan)
        result.append(Dot(group.label, value, *ends, values))
    return result


def best_first(problem: Problem) -> list[Group]:
    """Return the groups that have a number at the end, the lowest mean first."""
    groups = [group for group in problem.groups if _finite(group)]
    return sorted(groups, key=lambda group: mean(_finite(group)).value)


def _rival(pair: Pair, best: str) -> _Rival | None:
    if best not in (pair.a, pair.b):
        return None
    value, low, high = pair.difference.measured
    if pair.b == best:
        return _Rival(pair.a, pair, Statistic(value, low, high))
    return _Rival(pair.b, pair, Statistic(-value, -high, -low))


def _clear_answer(best: Group, rivals: Sequence[_Rival], crossing: "_Crossing") -> str:
    rival = min(rivals, key=lambda r: r.gap.value)
    name = rival.label if len(rivals) == 1 else f"the next ({rival.label})"
    seeds = f"in {rival.wins} of {_seeds(rival.n)}"
    if not rival.pair.difference.is_paired:
        seeds = f"over {_seeds(rival.n)} each"
    at_end, turn = "", ""
    if crossing.is_supported:
        at_end, turn = " at the end", f"; at its best step {crossing.label} was better"
    return f"{best.label} is better{at_end}: W1 lower by {_gap(rival)} than {name}, {seeds}{turn}."


def _open_answer(best: Group, open_rivals: Sequence[_Rival]) -> str:
    names = [best.label, *(rival.label for rival in open_rivals)]
    rival = next((r for r in open_rivals if not r.has_few_seeds), open_rivals[0])
    start = f"Undecided between {enumeration(names)}: W1 of {best.label} is lower"
    than = f" than {rival.label}" if len(open_rivals) > 1 else ""
    gap = _gap(rival)
    if rival.has_few_seeds:
        return f"{start}{than}, but of {rival.label} too few seeds came to their end."
    if rival.gap.value <= 0:
        return (
            f"{start} on average over its own seeds, but higher by {short(-rival.gap.value)} "
            f"{_UNIT}{than} on the {_seeds(rival.n)} that both finished."
        )
    more = math.ceil(rival.more_seeds) if math.isfinite(rival.more_seeds) else _MAX_SEEDS + 1
    count = f"more than {_MAX_SEEDS}" if more > _MAX_SEEDS else f"about {more}"
    need = f"{count} more seed{'s' * (more > 1)} would show a difference of this size"
    chance = "which may be chance"
    if rival.fails_only_holm:
        chance = "enough if these two alone were compared, not among all pairs"
    return f"{start} by {gap}{than} over {_seeds(rival.n)}, {chance}; {need}."


def _early_answer(best: Group, rival: _Rival) -> str:
    n = len(_finite(best))
    gap = f"{short(abs(rival.gap.value))} {_UNIT}"
    side = "below" if rival.gap.value > 0 else "above"
    return (
        f"Too few seeds to tell: so far {best.label} has the lowest W1, {gap} {side} "
        f"{rival.label}, with {_seeds(min(n, rival.n))}; train at least {MIN_SEEDS}, better 5."
    )


def _worse(best: Group, rivals: Sequence[_Rival]) -> list[str]:
    worse = [f"{r.label} (by {_gap(r)})" for r in rivals if r.is_worse]
    verb = "is" if len(worse) == 1 else "are"
    return [f"{enumeration(worse)} {verb} worse than {best.label}."] if worse else []


def _only_few(open_rivals: Sequence[_Rival]) -> list[str]:
    few = [f"{r.label} ({_seeds(r.n)})" for r in open_rivals if r.has_few_seeds]
    return [f"Too few seeds to place {enumeration(few)}."] if few else []


@dataclass(frozen=True)
class _Crossing:
    """Another group than the best at the end is the best at its best step."""

    label: str = ""  # of that group
    sentences: Sequence[str] = ()
    is_supported: bool = False


def _other_at_best_step(groups: Sequence[Group]) -> _Crossing:
    """Say so where the order at the best steps is not that at the end; groups: best first.

    Best steps are chosen on validation data and judged on held-out data; without stored best
    checkpoints the lowest point of the mean curve is both chosen and judged on validation data.
    """
    values: dict[str, Mapping[int, float]] = {g.label: best_values(g) for g in groups}
    has_checkpoints = all(values.values())
    if not has_checkpoints:
        values = {g.label: _lowest_of_curve(g) for g in groups}
    if not all(values.values()):
        return _Crossing()
    means = {label: mean(list(each.values())).value for label, each in values.items()}
    leader, end = min(means, key=lambda label: means[label]), groups[0].label
    if leader == end:
        return _Crossing()
    (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, end})
    rival = _rival(pair, leader)
    assert rival is not None
    group = next(g for g in groups if g.label == leader)
    step = _best_step(group) if has_checkpoints else ""
    text = (
        f"At its best step{step} {leader} is lower than {end} at its own: "
        f"{short(means[leader])} against {short(means[end])} {_UNIT}"
    )
    if not rival.is_worse:
        text += ", which may be chance"
    ends = f"at the end {end} is lower"
    if has_checkpoints:  # a curve has fewer samples than the end, which read higher
        finals = {g.label: mean(_finite(g)).value for g in groups}
        ends += f": {short(finals[end])} against {short(finals[leader])}"
    return _Crossing(leader, [f"{text}; {ends}."], rival.is_worse)


def _best_step(group: Group) -> str:
    steps = [int(run.best["step"]) for run in group.complete_runs if run.best]
    return f" (about {float(np.median(steps)):g})" if steps else ""


def _lowest_of_curve(group: Group) -> dict[int, float]:
    """Return seed -> value at the step where the mean over all seeds is lowest."""
    curves = {r.seed: c for r in group.complete_runs if (c := on_axis(r, HEADLINE, "step"))}
    if not curves:
        return {}
    steps, *others = (x for x, _ in curves.values())
    for x in others:
        steps = np.intersect1d(steps, x)
    if not len(steps):
        return {}
    table = np.stack([y[np.searchsorted(x, steps)] for x, y in curves.values()])
    lowest = table[:, int(np.argmin(np.where(np.isfinite(table), table, np.inf).mean(0)))]
    return {s: float(v) for s, v in zip(curves, lowest, strict=True) if math.isfinite(v)}


def _incomplete_runs(problem: Problem) -> list[str]:
    """Name the runs that are in no number at the end."""
    parts = []
    for group in problem.groups:
        states = Counter(run.state for run in group.runs if not run.is_done)
        if states:
            counts = ", ".join(f"{n} {state}" for state, n in sorted(states.items()))
            parts.append(f"{group.label} ({counts} of {len(group.runs)})")
    return [f"Not at their end and not counted: {', '.join(parts)}."] if parts else []


def _lengths(groups: Sequence[Group]) -> list[str]:
    steps = {run.step for group in groups for run in group.complete_runs}
    return ["The groups were not trained for equally many steps."] if len(steps) > 1 else []


def _own_value(best: Group) -> list[str]:
    floor = best.floor(HEADLINE)
    real = f"; real data get {short(floor)}, the best possible" if floor else ""
    return [f"W1 (distance to unseen data) of {best.label} is {_value(best)}{real}."]


def _against_real_data(best: Group) -> list[str]:
    floor = best.floor(HEADLINE)
    return [f"Real data get {short(floor)}, the best possible."] if floor else []


def _value(group: Group) -> str:
    values = _finite(group)
    number = short(values[0]) if len(values) == 1 else as_text(mean(values), HEADLINE)
    return f"{number} {_UNIT}"


def _gap(rival: _Rival) -> str:
    value, low, high = rival.gap
    interval = "" if math.isinf(low) else f" [{short(low)}, {short(high)}]"
    return f"{short(value)}{interval} {_UNIT}"


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"


def _finite(group: Group) -> list[float]:
    return [value for value in group.finals(HEADLINE).values() if math.isfinite(value)]
