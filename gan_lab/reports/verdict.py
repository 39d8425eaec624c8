"""The answer in words. Every sentence is made from numbers, and says what they do not support."""

import math
from collections.abc import Sequence

from gan_lab.reports.aggregate import Group, Problem, at
from gan_lab.reports.best_steps import gained_until
from gan_lab.reports.comparison_tables import Pair, as_text, common_budget, pairs, pairs_of
from gan_lab.reports.plots import short
from gan_lab.reports.questions import CURVES, HEADLINE
from gan_lab.reports.statistics import mean, ranking

_BUDGETS = {"gradient_evaluations": "gradient evaluations", "seconds": "seconds of training"}


def sentences(problem: Problem) -> list[str]:
    """What may be said of a problem's groups, the answer first."""
    groups = [g for g in problem.groups if any(map(math.isfinite, g.finals(HEADLINE).values()))]
    said = [_answer(problem.name, groups)] if groups else [_nothing(problem)]
    if len(groups) > 1:
        said += [_against_the_rest(groups), *_elsewhere(groups), *_one_seed(groups)]
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
    steps = {run.step for run in best.done}
    end = f"after {steps.pop()} steps" if len(steps) == 1 else "at their ends"
    value = as_text(mean(values)) if len(values) > 1 else short(values[0])
    seeds = f"{len(values)} seeds" if len(values) > 1 else "one seed"
    what = f"{curve.title[0].lower()}{curve.title[1:]}"
    number = f"{value} {curve.unit} over {seeds}{floor}"
    if len(groups) > 1:
        return f"On {name}, {best.label} has the lowest {what} {end}: {number}."
    return f"On {name}, {best.label} {end} has an {what} of {number}."


def _against_the_rest(groups: Sequence[Group]) -> str:
    best = best_first(groups)[0].label
    mine = [p for p in pairs(groups, HEADLINE) if best in (p.a, p.b)]
    held = [p for p in mine if p.among_all]
    open_ = [p for p in mine if not p.among_all]
    parts = []
    if held:
        every = "every other group" if not open_ and len(held) > 1 else _listed(held, best)
        wins = ", ".join(_margin(p, best) for p in held)
        parts.append(f"The difference is supported against {every} ({wins}).")
    if open_:
        gaps = ", ".join(_margin(p, best) for p in open_)
        parts.append(f"Not supported: that it is lower than {_listed(open_, best)} ({gaps}).")
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
        values = {
            g.label: {
                r.seed: v for r in g.runs if math.isfinite(v := at(r, HEADLINE, axis, budget))
            }
            for g in groups
        }
        if not all(values.values()):
            continue
        means = {label: mean(list(v.values())).value for label, v in values.items()}
        leader, second = sorted(means, key=lambda label: means[label])[:2]
        (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, second})
        said.append(
            f"After equally many {unit} ({budget:,.4g}) {leader} has the lowest mean, "
            f"{short(means[leader])} ({_margin(pair, leader)}: {pair.verdict})."
        )
    return said


def _one_seed(groups: Sequence[Group]) -> list[str]:
    found = ranking({g.label: _padded(g) for g in groups}, CURVES[HEADLINE].better)
    if found.seeds < 2:
        return []
    best = best_first(groups)[0].label
    return [
        f"With one seed alone, {best} would have come first in {short(found.first[best])} of "
        f"{found.seeds} cases."
    ]


def _longer(groups: Sequence[Group]) -> list[str]:
    stopped = []
    for group in groups:
        until, last = gained_until(group), max((r.step for r in group.runs), default=0)
        if until is not None and until < 0.75 * last:
            stopped.append(f"{group.label} after step {until} of {last}")
    if not stopped:
        return []
    return [f"More training brought no supported gain to {'; '.join(stopped)}."]


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


def _padded(group: Group) -> dict[int, float]:
    finals = group.finals(HEADLINE)
    return {run.seed: finals.get(run.seed, math.nan) for run in group.runs}
