"""The answer in words: sentences made from numbers, which also say what these do not support."""

import math
from collections import Counter
from collections.abc import Sequence

from gan_lab.reports.analysis.aggregate import Group, Problem
from gan_lab.reports.analysis.best_steps import best_minus_end, last_gain_step
from gan_lab.reports.analysis.charts import CURVES, HEADLINE
from gan_lab.reports.analysis.model import Dot, Verdict
from gan_lab.reports.analysis.statistics import mean, ranking
from gan_lab.reports.analysis.tables import (
    Pair,
    as_text,
    clip_interval,
    common_budget,
    pairs,
    pairs_of,
    two_floors,
)
from gan_lab.reports.plots.style import short

_BUDGETS = {"gradient_evaluations": "gradient evaluations", "seconds": "seconds of training"}


def sentences(problem: Problem) -> list[str]:
    """Return the sentences that a problem's numbers support, the answer first."""
    groups = [g for g in problem.groups if any(map(math.isfinite, g.finals(HEADLINE).values()))]
    text = [_answer(problem.name, groups)]
    if len(groups) > 1:
        text += [_against_the_rest(groups), *_at_equal_budgets(groups), *_one_seed(groups)]
    text += _events(problem.groups) + _more_training(problem.groups)
    text += _incomplete_runs(problem.groups)
    return [sentence for sentence in text if sentence]


def verdict(problem: Problem) -> Verdict:
    """Return the badge and the headline of a problem."""
    text = sentences(problem)
    groups = [g for g in problem.groups if any(map(math.isfinite, g.finals(HEADLINE).values()))]
    if not groups:
        return Verdict("no_result", "No result", text[0])
    best = best_first(groups)[0]
    if len(groups) == 1:
        return Verdict("one_group", "One group", text[0], text[1:4])
    if min(len(_finite(g)) for g in groups) < 3:
        return Verdict("too_few_seeds", "Too few seeds", text[0], text[1:4])
    lower, _, _ = _sides(pairs(groups, HEADLINE), best.label)
    if len(lower) == len(groups) - 1:
        return Verdict("better", f"{best.label} is better", text[0], text[1:4])
    return Verdict("undecided", "Undecided", text[0], text[1:4])


def dots(problem: Problem) -> list[Dot]:
    """Return the final number of every group that has one, the best first."""
    groups = [g for g in problem.groups if _finite(g)]
    each = []
    for group in best_first(groups):
        values = _finite(group)
        value, low, high = clip_interval(mean(values), HEADLINE)
        ends = (low, high) if len(values) > 1 else (math.nan, math.nan)
        each.append(Dot(group.label, value, *ends, values))
    return each


def best_first(groups: Sequence[Group]) -> list[Group]:
    """Return groups by their mean final number, the lowest first."""
    return sorted(groups, key=lambda g: mean(_finite(g)).value)


def _answer(name: str, groups: Sequence[Group]) -> str:
    curve = CURVES[HEADLINE]
    if not groups:
        return f"On {name} no run came to its end with a finite {curve.title}."
    best = best_first(groups)[0]
    values = _finite(best)
    real = best.floor(HEADLINE)
    floor = f", where real samples get {short(real)}" if real else ""
    steps = {run.step for group in groups for run in group.complete_runs}
    end = f"after {steps.pop()} steps" if len(steps) == 1 else "at the end of its training"
    value = as_text(clip_interval(mean(values), HEADLINE)) if len(values) > 1 else short(values[0])
    seeds = f"{len(values)} seeds" if len(values) > 1 else "one seed"
    what = f"{curve.title[0].lower()}{curve.title[1:]}"
    number = f"{value} {curve.unit} over {seeds}{floor}"
    if len(groups) == 1:
        return f"On {name}, {best.label} {end} has an {what} of {number}."
    lower, _, _ = _sides(pairs(groups, HEADLINE), best.label)
    n = len(groups) - 1
    others = "the other group" if n == 1 else f"{len(lower)} of the {n} others"
    support = f"supported against {others}" if lower else "not supported against any other group"
    lengths = "" if not steps else " The groups were not trained for equally many steps."
    return f"On {name}, {best.label} has the lowest {what} {end}, {support}: {number}.{lengths}"


def _sides(table: Sequence[Pair], best: str) -> tuple[list[Pair], list[Pair], list[Pair]]:
    """Return the pairs with the best: where it is lower, where higher, both supported; the rest."""
    mine = [p for p in table if best in (p.a, p.b)]
    sign = {id(p): p.difference.measured.value * (1 if p.a == best else -1) for p in mine}
    lower = [p for p in mine if p.among_all and sign[id(p)] < 0]
    higher = [p for p in mine if p.among_all and sign[id(p)] > 0]
    return lower, higher, [p for p in mine if p not in lower and p not in higher]


def _against_the_rest(groups: Sequence[Group]) -> str:
    best = best_first(groups)[0].label
    lower, higher, others = _sides(pairs(groups, HEADLINE), best)

    def names(sides: Sequence[Pair]) -> str:
        *firsts, last = (p.b if p.a == best else p.a for p in sides)
        return f"{', '.join(firsts)} and {last}" if firsts else last

    def margins(sides: Sequence[Pair]) -> str:
        return ", ".join(_margin(p, best) for p in sides)

    parts = []
    if lower:
        every = "every other group" if not others + higher and len(lower) > 1 else names(lower)
        parts.append(f"The difference is supported against {every} ({margins(lower)}).")
    if others:
        parts.append(f"Not supported: that it is lower than {names(others)} ({margins(others)}).")
    if higher:
        text = f"it is higher than {names(higher)} ({margins(higher)})"
        parts.append(f"But on the seeds that both finished {text}.")
    return " ".join(parts)


def _margin(pair: Pair, best: str) -> str:
    """Format best minus other, with its interval."""
    value, low, high = pair.difference.measured
    if pair.b == best:
        value, low, high = -value, -high, -low
    other = pair.b if pair.a == best else pair.a
    if math.isinf(low):
        return f"{short(value)} to {other}, too few seeds for an interval"
    return f"{short(value)} [{short(low)}, {short(high)}] to {other}"


def _at_equal_budgets(groups: Sequence[Group]) -> list[str]:
    """Name the lowest group on the curves at equal budgets, and whether that is supported."""
    text = []
    for axis, unit in _BUDGETS.items():
        if (budget := common_budget(groups, HEADLINE, axis)) is None:
            continue
        values = {g.label: g.values_at(HEADLINE, axis, budget) for g in groups}
        if not all(values.values()):
            continue
        means = {label: mean(list(v.values())).value for label, v in values.items()}
        leader, second = sorted(means, key=lambda label: means[label])[:2]
        (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, second})
        fewest, limit = min(map(len, values.values())), max(len(g.runs) for g in groups)
        count = f"{budget:,.0f}" if budget >= 100 else short(budget)
        seeds = f", over {fewest} of {limit} seeds" if fewest < limit else ""
        text.append(
            f"After equally many {unit} ({count}{seeds}) {leader} has the lowest mean on "
            f"the curves, {short(means[leader])} ({_margin(pair, leader)}: {pair.verdict}; real "
            f"samples get {two_floors(groups)[0]})."
        )
    return text


def _one_seed(groups: Sequence[Group]) -> list[str]:
    ranks = ranking({g.label: g.finals_or_nan(HEADLINE) for g in groups}, CURVES[HEADLINE].better)
    if ranks.seeds < 2:
        return []
    best = best_first(groups)[0].label
    _, _, others = _sides(pairs(groups, HEADLINE), best)
    first = ranks.first[best]
    text = f"With one seed alone, {best} would have come first in {short(first)} of {ranks.seeds}"
    if others and first == ranks.seeds:
        return [f"{text}: the seeds agree on who is first, by how much varies too much."]
    return [f"{text}."]


def _events(groups: Sequence[Group]) -> list[str]:
    """Count the runs of each group that have a kind of event."""
    counts: dict[str, Counter[str]] = {}
    for group in groups:
        for run in group.runs:
            for kind in {event["kind"] for event in run.events}:
                counts.setdefault(kind, Counter())[group.label] += 1
    sizes = {g.label: len(g.runs) for g in groups}
    parts = [
        f"{kind.replace('_', ' ')} ({', '.join(f'{n} of {sizes[g]} {g}' for g, n in each.items())})"
        for kind, each in sorted(counts.items())
    ]
    return [f"Noticed while training, in how many runs: {'; '.join(parts)}."] if parts else []


def _more_training(groups: Sequence[Group]) -> list[str]:
    """Name groups whose best checkpoint beats the end, and groups without a gain at the end."""
    worse, no_gain = [], []
    for group in groups:
        gap = best_minus_end(group)
        until, last = last_gain_step(group), max((r.step for r in group.runs), default=0)
        if gap is not None and gap.measured.high < 0:
            value, low, high = gap.measured
            worse.append(f"{group.label} by {short(-value)} [{short(-high)}, {short(-low)}]")
        elif until is not None and until < 0.75 * last and not (gap and gap.measured.low > 0):
            no_gain.append(f"{group.label} after step {until} of {last}")
    text = []
    if worse:
        text.append(
            f"Training on made it worse, from the best checkpoint (chosen on validation data) to "
            f"the end, on held-out data: {'; '.join(worse)}."
        )
    if no_gain:
        text.append(f"No gain of more training could be shown for {'; '.join(no_gain)}.")
    return text


def _incomplete_runs(groups: Sequence[Group]) -> list[str]:
    runs = [(g, r) for g in groups for r in g.runs if not r.is_done]
    if not runs:
        return []
    text = ", ".join(f"{g.label} seed {r.seed} ({r.state} at step {r.step})" for g, r in runs[:6])
    more = f" and {len(runs) - 6} more" if len(runs) > 6 else ""
    return [f"Not in these numbers, since they did not come to their end: {text}{more}."]


def _finite(group: Group) -> list[float]:
    return [value for value in group.finals(HEADLINE).values() if math.isfinite(value)]
