"""The numbers of a section in sentences, which also say what these do not support."""

import math
from collections.abc import Sequence

from gan_lab.metrics.quality import LEGIBLE
from gan_lab.reports.analysis import numbers
from gan_lab.reports.analysis.aggregate import Group, Problem, headline, title_at_end
from gan_lab.reports.analysis.best_steps import best_minus_end, last_gain_step
from gan_lab.reports.analysis.charts import CURVES, quantity, with_unit
from gan_lab.reports.analysis.names import enumeration, key_name
from gan_lab.reports.analysis.statistics import mean, ranking
from gan_lab.reports.analysis.tables import (
    PIXELS,
    Pair,
    as_text,
    common_budget,
    group_budget,
    has_pixels,
    pairs,
    pairs_of,
    w1_caution,
)
from gan_lab.reports.plots.style import short
from gan_lab.runs.headline import WASSERSTEIN

_BUDGETS = {"gradient_evaluations": "gradient evaluations", "seconds": "seconds of training"}
_WORK = "gradient_evaluations"
_MODES, _COVERAGE = "modes/covered", "features/coverage"


def sentences(problem: Problem) -> list[str]:
    """Return the sentences on the numbers at the end, beside the verdict."""
    groups = with_result(problem.groups, problem.headline)
    text = [_answer(problem.name, problem.headline, groups)]
    if len(groups) > 1:
        text += _against_the_rest(groups, problem.headline)
    return text + _incomplete_runs(problem.groups)


def best_first(groups: Sequence[Group], tag: str) -> list[Group]:
    """Return groups by their mean final number, the lowest first."""
    return sorted(groups, key=lambda g: mean(finite(g, tag)).value)


def _answer(name: str, tag: str, groups: Sequence[Group]) -> str:
    if not groups:
        return f"On {name} no run came to its end with a finite {CURVES[tag].title}."
    best = best_first(groups, tag)[0]
    values = finite(best, tag)
    real = best.floor(tag)
    floor = f"; real data get {short(real)}" if real else ""
    steps = {run.step for group in groups for run in group.complete_runs}
    end = f"after {steps.pop()} steps" if len(steps) == 1 else "at the end of its training"
    value = as_text(mean(values), tag) if len(values) > 1 else short(values[0])
    seeds = f"{len(values)} seeds" if len(values) > 1 else "one seed"
    what = quantity(title_at_end(groups, tag))
    number = f"{with_unit(value, tag)} over {seeds}{floor}"
    if len(groups) == 1:
        article = "an" if what[0] in "aeiou" else "a"
        return f"On {name}, {best.label} {end} has {article} {what} of {number}."
    lengths = "" if not steps else " The groups were not trained for equally many steps."
    return f"On {name}, {best.label} has the lowest mean {what} {end}: {number}.{lengths}"


def _against_the_rest(groups: Sequence[Group], tag: str) -> list[str]:
    """Say against which groups the lead is supported, is not, or has too few seeds."""
    best = best_first(groups, tag)[0].label
    mine = [p for p in pairs(groups, tag) if best in (p.a, p.b)]

    def side(pair: Pair) -> str:
        if pair.has_few_seeds:
            return "few"
        if not pair.among_all:
            return "open"
        lower = (pair.difference.measured.value < 0) == (pair.a == best)
        return "lower" if lower else "higher"

    texts = {
        "lower": f"{best} is lower, supported",
        "open": f"That {best} is lower is not supported",
        "higher": f"But on the seeds that both finished {best} is higher",
        "few": "Too few seeds to say more than the means",
    }
    text = []
    for kind, start in texts.items():
        margins = [
            f"{_margin(pair, best)} to {pair.b if pair.a == best else pair.a}"
            for pair in mine
            if side(pair) == kind
        ]
        if margins:
            text.append(f"{start}: {', '.join(margins)}.")
    return text


def _margin(pair: Pair, first: str) -> str:
    """Format first minus the other, with its interval."""
    value, low, high = pair.difference.measured
    if pair.b == first:
        value, low, high = -value, -high, -low
    return numbers.as_text(value, low, high)


def at_equal_budgets(groups: Sequence[Group]) -> list[str]:
    """Name the lowest group on the curves at equal budgets, and whether that is supported."""
    tag, text = headline(groups), []
    groups = with_result(groups, tag)
    for axis, unit in _BUDGETS.items() if len(groups) > 1 else ():
        if (budget := common_budget(groups, tag, axis)) is None:
            continue
        values = {g.label: g.values_at(tag, axis, budget) for g in groups}
        if not all(values.values()):
            continue
        means = {label: mean(list(v.values())).value for label, v in values.items()}
        leader, second = sorted(means, key=lambda label: means[label])[:2]
        (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, second})
        fewest, limit = min(map(len, values.values())), max(len(g.runs) for g in groups)
        count = f"{budget:,.0f}" if budget >= 100 else short(budget)
        seeds = f" (over {fewest} of {limit} seeds)" if fewest < limit else ""
        text.append(
            f"After {count} {unit} each{seeds}, {leader} is lowest with {short(means[leader])}, "
            f"below {second} by {_margin(pair, second)} ({pair.verdict})."
        )
    return text


def at_equal_work(groups: Sequence[Group], best: str, *, is_better: bool) -> list[str]:
    """Say whether the order at the end holds where all spent equally many gradient evaluations.

    Nothing where a step is the same work for all, or seeds are too few.

    Args:
        groups: All groups with a result.
        best: Label of the lowest one at the end.
        is_better: Whether it is better there.
    """
    tag = headline(groups)
    budget, values = common_budget(groups, tag, _WORK), {}
    if budget is not None:
        values = {g.label: g.values_at(tag, _WORK, budget) for g in groups}
    ends = {group_budget(g, tag, _WORK) for g in groups}
    if len(ends) < 2 or not values or not all(values.values()):
        return []
    means = {label: mean(list(v.values())).value for label, v in values.items()}
    leader, second = sorted(means, key=lambda label: means[label])[:2]
    other = second if leader == best else best
    (pair,) = (p for p in pairs_of(values) if {p.a, p.b} == {leader, other})
    if pair.has_few_seeds:
        return []
    margin = f"{with_unit(_margin(pair, other), tag)} than {other}"
    if not pair.among_all:
        text = f"no difference is shown ({leader} is lower by {margin}: it may be chance)"
    elif leader != best:
        text = f"the order turns: {leader} is lower by {margin}"
    else:
        text = f"{leader} is lower{', too' if is_better else ''}: by {margin}"
    recipes = "; ".join(unequal_choices(groups))
    start = f"Whole recipes are compared ({recipes}); at" if recipes else "At"
    return [f"{start} equal work ({budget:,.0f} gradient evaluations each) {text}."]


def unequal_choices(groups: Sequence[Group]) -> list[str]:
    """Return what makes a step unequal work: "n_critic 3 of WGAN-GP, 1 of the others"."""
    texts = []
    for key in ("trainer.n_critic", "trainer.batch_size", "optim._target_"):
        by_value: dict[str, list[str]] = {}
        for group in groups:
            if key in group.choices:
                by_value.setdefault(group.choices[key], []).append(group.label)
        if len(by_value) < 2:
            continue
        usual = max(by_value, key=lambda value: len(by_value[value]))
        others = "the others" if len(by_value[usual]) > 1 else by_value[usual][0]
        parts = [f"{value} of {enumeration(n)}" for value, n in by_value.items() if value != usual]
        texts.append(f"{key_name(key)} {', '.join(parts)}, {usual} of {others}")
    return texts


def one_seed(groups: Sequence[Group]) -> list[str]:
    """Say how often the best group would have come first with one seed alone."""
    tag = headline(groups)
    groups = with_result(groups, tag)
    if len(groups) < 2:
        return []
    ranks = ranking({g.label: g.finals_or_nan(tag) for g in groups}, CURVES[tag].better)
    if ranks.seeds < 2:
        return []
    best = best_first(groups, tag)[0].label
    first = f"{short(ranks.first[best])} of {ranks.seeds}"
    return [f"With one seed alone, {best} would have come first in {first}."]


def modes(groups: Sequence[Group]) -> list[str]:
    """Say how many modes each group covers at the end."""
    means = {g.label: mean(list(v.values())).value for g in groups if (v := g.finals(_MODES))}
    means = {label: value for label, value in means.items() if math.isfinite(value)}
    if not means:
        return []
    limit = next((f for g in groups if (f := g.floor(_MODES)) is not None), None)
    first, *others = sorted(means, key=lambda label: -means[label])
    of = "" if limit is None else f" of {short(limit)}"
    rest = "".join(f", {label} {short(means[label])}" for label in others)
    return [f"At the end {first} covers {short(means[first])}{of} modes{rest}.", *_coverage(groups)]


def _coverage(groups: Sequence[Group]) -> list[str]:
    """Say what counted modes cannot on images: how much of the real images has a sample near."""
    means = {g.label: mean(v).value for g in groups if (v := finite(g, _COVERAGE))}
    if not means:
        return []
    floor = next((f for g in groups if (f := g.floor(_COVERAGE)) is not None), None)
    real = "" if floor is None else f" (real data {_percent(floor)})"
    shares = [f"{_percent(means[n])} for {n}" for n in sorted(means, key=lambda n: -means[n])]
    return [f"Real images that have a sample near them: {enumeration(shares)}{real}."]


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"


def legible(group: Group) -> str:
    """Return "93 % of its samples are legible (real data 99 %)"; "" where that is unknown."""
    values, floor = finite(group, LEGIBLE), group.floor(LEGIBLE)
    if not values:
        return ""
    real = "" if floor is None else f" (real data {_percent(floor)})"
    return f"{_percent(mean(values).value)} of its samples are legible{real}"


def sample_w1(groups: Sequence[Group]) -> list[str]:
    """Say what W1 of samples is worth above 4 dimensions; of pixels that it decides nothing."""
    if not has_pixels(groups):
        return [text.rstrip()] if (text := w1_caution(groups)) else []
    groups = with_result(groups, WASSERSTEIN)
    if not groups:
        return []
    first = best_first(groups, WASSERSTEIN)[0]
    floor = first.floor(WASSERSTEIN)
    real = "" if floor is None else f" (real data {short(floor)})"
    value = short(mean(finite(first, WASSERSTEIN)).value)
    return [f"{PIXELS}FD decides. The lowest W1 is {value} of {first.label}{real}."]


def more_training(groups: Sequence[Group]) -> list[str]:
    """Name groups whose best checkpoint beats the end, and groups without a gain at the end."""
    worse, no_gain, tag = [], [], headline(groups)
    for group in groups:
        gap = best_minus_end(group, tag)
        until, last = last_gain_step(group, tag), max((r.step for r in group.runs), default=0)
        if gap is not None and gap.measured.high < 0:
            value, low, high = gap.measured
            worse.append(f"{group.label} by {numbers.as_text(-value, -high, -low)}")
        elif until is not None and until < 0.75 * last and not (gap and gap.measured.low > 0):
            no_gain.append(f"{group.label} after step {until} of {last}")
    text = []
    if worse:
        text.append(
            f"Training on made it worse, from the best step (chosen on validation data) to the "
            f"end, on held-out data: {'; '.join(worse)}."
        )
    if no_gain:
        text.append(f"No gain of more training is seen for {'; '.join(no_gain)}.")
    return text


def _incomplete_runs(groups: Sequence[Group]) -> list[str]:
    runs = [(g, r) for g in groups for r in g.runs if not r.is_done]
    if not runs:
        return []
    text = ", ".join(f"{g.label} seed {r.seed} ({r.state} at step {r.step})" for g, r in runs[:6])
    more = f" and {len(runs) - 6} more" if len(runs) > 6 else ""
    return [f"Not in these numbers, since they did not come to their end: {text}{more}."]


def with_result(groups: Sequence[Group], tag: str) -> list[Group]:
    """Return the groups that have a finite number at the end."""
    return [group for group in groups if finite(group, tag)]


def finite(group: Group, tag: str) -> list[float]:
    """Return a group's finite final values."""
    return [value for value in group.finals(tag).values() if math.isfinite(value)]
