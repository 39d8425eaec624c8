"""The answer of a section in one badge and one sentence, and the dots of its first picture."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from gan_lab.reports.analysis import numbers, summary
from gan_lab.reports.analysis.aggregate import (
    Group,
    Problem,
    headline,
    is_high_dimensional,
    name_at_end,
    on_axis,
)
from gan_lab.reports.analysis.best_steps import best_steps, best_values
from gan_lab.reports.analysis.charts import with_unit
from gan_lab.reports.analysis.model import Dot, Verdict
from gan_lab.reports.analysis.names import enumeration
from gan_lab.reports.analysis.statistics import Statistic, mean, seeds_needed
from gan_lab.reports.analysis.summary import finite, with_result
from gan_lab.reports.analysis.tables import (
    MIN_SEEDS,
    Pair,
    clip_interval,
    is_skewed,
    pairs,
    pairs_of,
)
from gan_lab.reports.plots.style import short
from gan_lab.runs.headline import ENERGY, FRECHET, WASSERSTEIN

_MAX_SEEDS = 100  # more seeds than that are only said to be many
_QUANTITIES = {
    WASSERSTEIN: "W1, the distance to unseen data,",
    FRECHET: "FD, the Frechet distance to unseen data,",
    ENERGY: "the energy distance to unseen data",
}
_PERFECT = "as a perfect generator would on average"


@dataclass(frozen=True)
class _Rival:
    """A group beside the best one."""

    label: str
    pair: Pair
    gap: Statistic  # its headline minus the best group's, over common seeds
    tag: str  # of the headline
    quantity: str  # what is compared; see `_quantity`

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
    groups, tag = best_first(problem), problem.headline
    incomplete = _incomplete_runs(problem)
    if not groups:
        text = f"No run came to its end with a finite {name_at_end(problem.groups, tag)}."
        return Verdict("no_result", "No result", text, incomplete)
    best, value = groups[0], _value(groups[0], tag)
    if len(groups) == 1:
        alone = len(problem.groups) == 1
        badge = "One group only" if alone else f"Only {best.label} finished"
        n = _seeds(len(finite(best, tag)))
        text = f"{best.label}: {_quantity(groups, tag)} is {value} over {n}."
        return Verdict("one_group", badge, text, [*_against_real_data(best, tag), *incomplete][:3])
    quantity = _quantity(groups, tag)
    rivals = [_rival(pair, best.label, tag, quantity) for pair in pairs(groups, tag)]
    by_label = {rival.label: rival for rival in rivals if rival is not None}
    rivals_by_mean = [by_label[group.label] for group in groups[1:]]
    own = _own_value(best, tag)
    if len(finite(best, tag)) < MIN_SEEDS or all(rival.has_few_seeds for rival in rivals_by_mean):
        text = _early_answer(best, rivals_by_mean[0])
        return Verdict("too_few_seeds", "Too few seeds", text, [*own, *incomplete][:3])
    crossing = _other_at_best_step(groups)
    open_rivals = [rival for rival in rivals_by_mean if not rival.is_worse]
    lengths = _lengths(groups)
    work = summary.at_equal_work(groups, best.label, is_better=not open_rivals)
    if open_rivals:
        details = [*_worse(best, rivals_by_mean), *_only_few(open_rivals), *incomplete]
        details = _first([*details, *crossing.sentences, *lengths, *work], own)
        return Verdict("undecided", "Undecided", _open_answer(best, open_rivals), details)
    badge = f"{best.label} is better{' at the end' if crossing.is_supported else ''}"
    text = _clear_answer(best, rivals_by_mean, crossing, end_of_training(problem))
    details = _first([*crossing.sentences, *incomplete, *lengths, *work], own)
    return Verdict("better", badge, text, details)


def _first(details: Sequence[str], own: Sequence[str]) -> list[str]:
    """Return at most three details; the best group's own number, a dot too, where there is room."""
    return [*details, *(own if len(details) < 2 else [])][:3]


def dots(problem: Problem) -> list[Dot]:
    """Return the number at the end of every group that has one, the best first."""
    result = []
    tag = problem.headline
    for group in best_first(problem):
        values = finite(group, tag)
        value, low, high = clip_interval(mean(values), tag)
        ends = (low, high) if len(values) > 1 else (math.nan, math.nan)
        result.append(Dot(group.label, value, *ends, values, is_skewed(group, tag)))
    return result


def end_of_training(problem: Problem) -> str:
    """Return when the numbers at the end were taken: "at the end of training (step 2000)"."""
    steps = {run.step for group in problem.groups for run in group.complete_runs}
    step = f" (step {next(iter(steps))})" if len(steps) == 1 else ""
    return f"at the end of training{step}"


def is_paired(problem: Problem) -> bool:
    """Whether every difference is taken seed by seed."""
    differences = [pair.difference for pair in pairs(problem.groups, problem.headline)]
    return bool(differences) and all(difference.is_paired for difference in differences)


def best_first(problem: Problem) -> list[Group]:
    """Return the groups that have a number at the end, the lowest mean first."""
    return summary.best_first(with_result(problem.groups, problem.headline), problem.headline)


def _quantity(groups: Sequence[Group], tag: str) -> str:
    """Return a headline with what it is, as the subject of a sentence."""
    if tag == WASSERSTEIN and is_high_dimensional(groups):
        return f"{name_at_end(groups, tag)}, mostly its own bias, to unseen data"
    return _QUANTITIES[tag]


def _rival(pair: Pair, best: str, tag: str, quantity: str) -> _Rival | None:
    if best not in (pair.a, pair.b):
        return None
    value, low, high = pair.difference.measured
    if pair.b == best:
        return _Rival(pair.a, pair, Statistic(value, low, high), tag, quantity)
    return _Rival(pair.b, pair, Statistic(-value, -high, -low), tag, quantity)


def _clear_answer(best: Group, rivals: Sequence[_Rival], crossing: "_Crossing", end: str) -> str:
    rival = min(rivals, key=lambda r: r.gap.value)
    name = rival.label if len(rivals) == 1 else f"the next ({rival.label})"
    seeds = f"in {rival.wins} of {_seeds(rival.n)}"
    if not rival.pair.difference.is_paired:
        seeds = f"over {_seeds(rival.n)} each"
    at_end, turn = "", ""
    if crossing.is_supported:
        at_end, turn = f" {end}", f", but {crossing.label} was better at its best step"
    answer = f"{best.label} is better{at_end}: {rival.quantity} is lower by {_gap(rival)}"
    return f"{answer} than for {name}, {seeds}{turn}."


def _open_answer(best: Group, open_rivals: Sequence[_Rival]) -> str:
    names = [best.label, *(rival.label for rival in open_rivals)]
    rival = next((r for r in open_rivals if not r.has_few_seeds), open_rivals[0])
    start = f"Undecided between {enumeration(names)}: {rival.quantity} is lower for {best.label}"
    than = f" than for {rival.label}" if len(open_rivals) > 1 else ""
    if rival.has_few_seeds:
        return f"{start}{than}, but of {rival.label} too few seeds came to their end."
    if rival.gap.value <= 0:
        return (
            f"{start} on average over its own seeds, but higher by "
            f"{with_unit(short(-rival.gap.value), rival.tag)}{than} on the {_seeds(rival.n)} that "
            "both finished."
        )
    more = math.ceil(rival.more_seeds) if math.isfinite(rival.more_seeds) else _MAX_SEEDS + 1
    count = f"more than {_MAX_SEEDS}" if more > _MAX_SEEDS else f"about {more}"
    need = (
        f"if the true difference is this size, {count} more seed{'s' * (more > 1)} of each "
        "would show it (4 times in 5)"
    )
    seeds = f" and in {rival.wins} of {_seeds(rival.n)}"
    if not rival.pair.difference.is_paired:
        seeds = f" over {_seeds(rival.n)} each"
    chance = "which may be chance"
    if rival.fails_only_holm:
        chance = "enough if these two alone were compared, not among all pairs"
    return f"{start}{than} by {_gap(rival)} on average{seeds}, {chance}; {need}."


def _early_answer(best: Group, rival: _Rival) -> str:
    n = len(finite(best, rival.tag))
    gap = with_unit(short(abs(rival.gap.value)), rival.tag)
    side = "below" if rival.gap.value > 0 else "above"
    return (
        f"Too few seeds to tell: so far {rival.quantity} is lowest for {best.label}, {gap} {side} "
        f"{rival.label}, with {_seeds(min(n, rival.n))}; train at least {MIN_SEEDS}, better 5."
    )


def _worse(best: Group, rivals: Sequence[_Rival]) -> list[str]:
    worse = [r for r in rivals if r.is_worse]
    if len(worse) == 1:
        return [f"{worse[0].label} is worse than {best.label}, by {_gap(worse[0])}."]
    if not worse:
        return []
    *firsts, last = [f"{r.label} (by {_gap(r)})" for r in worse]
    return [f"{', '.join(firsts)} and {last} are worse than {best.label}."]


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
    tag = headline(groups)
    values: dict[str, Mapping[int, float]] = {g.label: best_values(g, tag) for g in groups}
    has_checkpoints = all(values.values())
    if has_checkpoints:
        steps = {g.label: float(np.median(best_steps(g, tag))) for g in groups}
    else:
        lowest = {g.label: _lowest_of_curve(g, tag) for g in groups}
        values = {label: each for label, (each, _) in lowest.items()}
        steps = {label: step for label, (_, step) in lowest.items()}
    if not all(values.values()):
        return _Crossing()
    means = {label: mean(list(each.values())) for label, each in values.items()}
    leader, end = min(means, key=lambda label: means[label].value), groups[0].label
    if leader == end:
        return _Crossing()
    (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, end})
    rival = _rival(pair, leader, tag, _quantity(groups, tag))
    assert rival is not None
    over = "paired over" if pair.difference.is_paired else "over"
    gap, at = _gap(rival), {label: f"(step {step:g})" for label, step in steps.items()}
    text = (
        f"At its best step {leader} {at[leader]} is lower than {end} at its own {at[end]}: by "
        f"{gap}, {over} {_seeds(rival.n)}{'' if rival.is_worse else ', which may be chance'}"
    )
    how = "these are the lowest points of the curves, which flatters"
    if has_checkpoints:
        how = "steps are chosen on validation data, values are of other, held-out samples"
    return _Crossing(leader, [f"{text}; {how}."], rival.is_worse)


def _lowest_of_curve(group: Group, tag: str) -> tuple[dict[int, float], float]:
    """Return seed -> value at the step where the mean over all seeds is lowest, and that step."""
    curves = {r.seed: c for r in group.complete_runs if (c := on_axis(r, tag, "step"))}
    if not curves:
        return {}, math.nan
    steps, *others = (x for x, _ in curves.values())
    for x in others:
        steps = np.intersect1d(steps, x)
    if not len(steps):
        return {}, math.nan
    table = np.stack([y[np.searchsorted(x, steps)] for x, y in curves.values()])
    at = int(np.argmin(np.where(np.isfinite(table), table, np.inf).mean(0)))
    lowest = zip(curves, table[:, at], strict=True)
    return {s: float(v) for s, v in lowest if math.isfinite(v)}, float(steps[at])


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


def _own_value(best: Group, tag: str) -> list[str]:
    floor, legible = best.floor(tag), summary.legible(best)
    real = f"; real data get {short(floor)}, {_PERFECT}" if floor else ""
    legible = f"; {legible}" if legible else ""
    name = name_at_end([best], tag)
    return [f"{name[0].upper()}{name[1:]} of {best.label} is {_value(best, tag)}{real}{legible}."]


def _against_real_data(best: Group, tag: str) -> list[str]:
    floor, legible = best.floor(tag), summary.legible(best)
    text = [f"Real data get {short(floor)}, {_PERFECT}."] if floor else []
    return [*text, f"{legible}."] if legible else text


def _value(group: Group, tag: str) -> str:
    return with_unit(numbers.as_text(*mean(finite(group, tag)), tag), tag)


def _gap(rival: _Rival) -> str:
    return with_unit(numbers.as_text(*rival.gap), rival.tag)


def _seeds(n: int) -> str:
    return "1 seed" if n == 1 else f"{n} seeds"
