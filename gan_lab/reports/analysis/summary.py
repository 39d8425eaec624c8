"""The answer in words. Every sentence is made from numbers, and says what they do not support."""

import math
from collections.abc import Sequence

from gan_lab.reports.analysis.aggregate import Group, Problem
from gan_lab.reports.analysis.best_steps import gained_until, since_the_best
from gan_lab.reports.analysis.charts import CURVES, HEADLINE
from gan_lab.reports.analysis.statistics import mean, ranking
from gan_lab.reports.analysis.tables import (
    Pair,
    as_text,
    common_budget,
    inside,
    pairs,
    pairs_of,
    two_floors,
)
from gan_lab.reports.plots.style import short

_BUDGETS = {"gradient_evaluations": "gradient evaluations", "seconds": "seconds of training"}


def sentences(problem: Problem) -> list[str]:
    """What may be said of a problem's groups, the answer first."""
    groups = [g for g in problem.groups if any(map(math.isfinite, g.finals(HEADLINE).values()))]
    said = [_answer(problem.name, groups)] if groups else [_nothing(problem)]
    if len(groups) > 1:
        said += [_against_the_rest(groups), *_elsewhere(groups), *_one_seed(groups)]
    said += _noticed(problem.groups)
    said += _longer(problem.groups)
    said += _lost(problem.groups)
    return [sentence for sentence in said if sentence]


def best_first(groups: Sequence[Group]) -> list[Group]:
    """Groups by their mean final number, the lowest first."""
    return sorted(groups, key=lambda g: mean(_finite(g)).value)


def _answer(name: str, groups: Sequence[Group]) -> str:
    best = best_first(groups)[0]
    curve, values = CURVES[HEADLINE], _finite(best)
    floors = [r.finals[HEADLINE].get("floor") for r in best.done if HEADLINE in r.finals]
    floor = f", where real samples get {short(float(floors[0]))}" if floors and floors[0] else ""
    steps = {run.step for group in groups for run in group.done}
    end = f"after {steps.pop()} steps" if len(steps) == 1 else "at the end of its training"
    value = as_text(inside(mean(values), HEADLINE)) if len(values) > 1 else short(values[0])
    seeds = f"{len(values)} seeds" if len(values) > 1 else "one seed"
    what = f"{curve.title[0].lower()}{curve.title[1:]}"
    number = f"{value} {curve.unit} over {seeds}{floor}"
    if len(groups) == 1:
        return f"On {name}, {best.label} {end} has an {what} of {number}."
    held, _, _ = _sides(pairs(groups, HEADLINE), best.label)
    n = len(groups) - 1
    others = "the other group" if n == 1 else f"{len(held)} of the {n} others"
    support = f"supported against {others}" if held else "not supported against any other group"
    lengths = "" if not steps else " The groups were not trained for equally many steps."
    return f"On {name}, {best.label} has the lowest {what} {end}, {support}: {number}.{lengths}"


def _sides(found: Sequence[Pair], best: str) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Pairs with the best: where it is lower, where higher, both supported; and the rest."""
    mine = [p for p in found if best in (p.a, p.b)]
    sign = {id(p): p.difference.measured.value * (1 if p.a == best else -1) for p in mine}
    lower = [p for p in mine if p.among_all and sign[id(p)] < 0]
    higher = [p for p in mine if p.among_all and sign[id(p)] > 0]
    return lower, higher, [p for p in mine if p not in lower and p not in higher]


def _against_the_rest(groups: Sequence[Group]) -> str:
    best = best_first(groups)[0].label
    held, worse, open_ = _sides(pairs(groups, HEADLINE), best)
    parts = []
    if held:
        every = "every other group" if not open_ + worse and len(held) > 1 else _listed(held, best)
        wins = ", ".join(_margin(p, best) for p in held)
        parts.append(f"The difference is supported against {every} ({wins}).")
    if open_:
        gaps = ", ".join(_margin(p, best) for p in open_)
        parts.append(f"Not supported: that it is lower than {_listed(open_, best)} ({gaps}).")
    if worse:
        gaps = ", ".join(_margin(p, best) for p in worse)
        parts.append(
            f"But on the seeds that both finished it is higher than {_listed(worse, best)} "
            f"({gaps})."
        )
    return " ".join(parts)


def _margin(pair: Pair, best: str) -> str:
    """Best minus other, with its interval."""
    value, low, high = pair.difference.measured
    if pair.b == best:
        value, low, high = -value, -high, -low
    other = pair.b if pair.a == best else pair.a
    if math.isinf(low):
        return f"{short(value)} to {other}, too few seeds for an interval"
    return f"{short(value)} [{short(low)}, {short(high)}] to {other}"


def _listed(found: Sequence[Pair], best: str) -> str:
    names = [p.b if p.a == best else p.a for p in found]
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _elsewhere(groups: Sequence[Group]) -> list[str]:
    """Who leads on the curves where all have spent the same, and whether that is supported."""
    said = []
    for axis, unit in _BUDGETS.items():
        budget = common_budget(groups, HEADLINE, axis)
        if budget is None:
            continue
        values = {g.label: g.read_at(HEADLINE, axis, budget) for g in groups}
        if not all(values.values()):
            continue
        means = {label: mean(list(v.values())).value for label, v in values.items()}
        leader, second = sorted(means, key=lambda label: means[label])[:2]
        (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, second})
        fewest = min(len(v) for v in values.values())
        limit = max(len(g.runs) for g in groups)
        seeds = f", over {fewest} of {limit} seeds" if fewest < limit else ""
        said.append(
            f"After equally many {unit} ({_count(budget)}{seeds}) {leader} has the lowest mean on "
            f"the curves, {short(means[leader])} ({_margin(pair, leader)}: {pair.verdict}; real "
            f"samples get {two_floors(groups)[0]})."
        )
    return said


def _count(budget: float) -> str:
    return f"{budget:,.0f}" if budget >= 100 else short(budget)


def _one_seed(groups: Sequence[Group]) -> list[str]:
    found = ranking({g.label: g.ranked(HEADLINE) for g in groups}, CURVES[HEADLINE].better)
    if found.seeds < 2:
        return []
    best = best_first(groups)[0].label
    _, _, open_ = _sides(pairs(groups, HEADLINE), best)
    first = found.first[best]
    said = f"With one seed alone, {best} would have come first in {short(first)} of {found.seeds}"
    if open_ and first == found.seeds:
        return [f"{said}: the seeds agree on who is first, by how much varies too much."]
    return [f"{said}."]


def _noticed(groups: Sequence[Group]) -> list[str]:
    """Named events, by kind: in how many runs of which group."""
    counts: dict[str, dict[str, int]] = {}
    for group in groups:
        for run in group.runs:
            for kind in {event["kind"] for event in run.events}:
                at_kind = counts.setdefault(kind, {})
                at_kind[group.label] = at_kind.get(group.label, 0) + 1
    sizes = {g.label: len(g.runs) for g in groups}
    parts = [
        f"{kind.replace('_', ' ')} ({', '.join(f'{n} of {sizes[g]} {g}' for g, n in each.items())})"
        for kind, each in sorted(counts.items())
    ]
    return [f"Noticed while training, in how many runs: {'; '.join(parts)}."] if parts else []


def _longer(groups: Sequence[Group]) -> list[str]:
    """What training on brought: a loss, where the best checkpoint beats the end, or no gain."""
    worse, stopped = [], []
    for group in groups:
        gap = since_the_best(group)
        until, last = gained_until(group), max((r.step for r in group.runs), default=0)
        if gap is not None and gap.measured.high < 0:
            value, low, high = gap.measured
            worse.append(f"{group.label} by {short(-value)} [{short(-high)}, {short(-low)}]")
        elif until is not None and until < 0.75 * last and not (gap and gap.measured.low > 0):
            stopped.append(f"{group.label} after step {until} of {last}")
    said = []
    if worse:
        said.append(
            f"Training on made it worse, from the best checkpoint (chosen on validation data) to "
            f"the end, on held-out data: {'; '.join(worse)}."
        )
    if stopped:
        said.append(f"No gain of more training could be shown for {'; '.join(stopped)}.")
    return said


def _lost(groups: Sequence[Group]) -> list[str]:
    lost = [(g, r) for g in groups for r in g.runs if not r.done]
    if not lost:
        return []
    said = ", ".join(f"{g.label} seed {r.seed} ({r.state} at step {r.step})" for g, r in lost[:6])
    more = f" and {len(lost) - 6} more" if len(lost) > 6 else ""
    return [f"Not in these numbers, since they did not come to their end: {said}{more}."]


def _nothing(problem: Problem) -> str:
    return f"On {problem.name} no run came to its end with a finite {CURVES[HEADLINE].title}."


def _finite(group: Group) -> list[float]:
    return [value for value in group.finals(HEADLINE).values() if math.isfinite(value)]
