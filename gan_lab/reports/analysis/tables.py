"""The tables of a comparison: numbers at the end, differences, ranks, equal budgets, choices."""

import itertools
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gan_lab.metrics import estimate
from gan_lab.metrics.quality import LEGIBLE, MOSTLY_FLOOR, UNBIASED_DISTANCES
from gan_lab.reports.analysis import numbers
from gan_lab.reports.analysis.aggregate import (
    Group,
    headline,
    is_high_dimensional,
    name_at_end,
    on_axis,
    title_at_end,
    title_on_curves,
    value_at,
)
from gan_lab.reports.analysis.charts import CURVES, Curve
from gan_lab.reports.analysis.model import AXES, Table
from gan_lab.reports.analysis.run_config import visible
from gan_lab.reports.analysis.statistics import (
    Difference,
    Statistic,
    difference,
    holm,
    holm_levels,
    mean,
    median,
    ranking,
)
from gan_lab.reports.plots.style import short
from gan_lab.runs.headline import ENERGY, FRECHET, WASSERSTEIN, short_name

# The columns of the table of final numbers, where a run has them.
FINAL = (
    CURVES[FRECHET],
    CURVES[LEGIBLE],
    CURVES["features/coverage"],
    CURVES["features/classifier_score"],
    CURVES[ENERGY],  # where it is the headline
    CURVES[WASSERSTEIN],
    CURVES["divergence/js"],
    Curve("neural_distance/js", "JS by a fresh discriminator", "nats", -1, True, limit=math.log(2)),
    CURVES["modes/covered"],
    CURVES["modes/high_quality"],
    CURVES["samples/pairwise_distance"],
)
_DIFFERENCE_TAGS = (LEGIBLE, "divergence/js", "modes/covered")  # beside the headline
# Of samples of MNIST's digits beside others: W1 10.5 if they are blurred, 11.7 as they are.
PIXELS = "W1 is between pixels here: it is lower for blurred images than for sharp real ones. "
BUDGETS_TITLE = "At equal budgets"
MEDIANS_FROM = 8  # seeds
MIN_SEEDS = 3  # of a supported difference: two seeds' t interval is 7 times as wide as five's
_CURVE_OF_TAG = {curve.tag: curve for curve in (*FINAL, *CURVES.values())}


@dataclass(frozen=True)
class Pair:
    """One difference of a table, a - b."""

    a: str
    b: str
    difference: Difference
    among_all: bool  # whether it is supported with all pairs of the table in mind (Holm)
    level: float  # at which Holm's correction tests it; nan without a p value

    @property
    def has_few_seeds(self) -> bool:
        """Whether it has too few seeds to say anything."""
        return self.difference.n < MIN_SEEDS or math.isnan(self.difference.p)

    @property
    def verdict(self) -> str:
        """The difference in words."""
        if self.has_few_seeds:
            return "too few seeds to say"
        if self.difference.is_supported and not self.among_all:
            return "supported alone, not among all pairs"
        return "supported" if self.among_all else "not supported"


def pairs(groups: Sequence[Group], tag: str) -> list[Pair]:
    """Return every difference between two groups that both have final values of a tag."""
    return pairs_of({g.label: g.finals(tag) for g in groups})


def pairs_of(values: Mapping[str, Mapping[int, float]]) -> list[Pair]:
    """Return every difference of two groups with finite values; values: label -> seed -> value."""
    some = {label: v for label, v in values.items() if any(map(math.isfinite, v.values()))}
    each = [(a, b, difference(some[a], some[b])) for a, b in itertools.combinations(some, 2)]
    p_values = [d.p for _, _, d in each]
    holds = zip(each, holm(p_values), holm_levels(p_values), strict=True)
    return [
        Pair(a, b, d, among_all and d.n >= MIN_SEEDS, level)
        for (a, b, d), among_all, level in holds
    ]


def final_numbers(groups: Sequence[Group]) -> Table:
    """Return the numbers at the end of training, by group."""
    tag = headline(groups)
    curves = [c for c in FINAL if any(g.finals(c.tag) for g in groups)]
    curves = [c for c in curves if c.tag != ENERGY or c.tag == tag]
    many = any(len(g.complete_runs) >= MEDIANS_FROM for g in groups)
    columns = ["group", "runs done", *(_title_with_unit(c, groups) for c in curves)]
    columns += [f"median, {_title_with_unit(CURVES[tag], groups)}"] if many else []
    columns.append("training (s)")
    rows = []
    for group in groups:
        row = [group.label, _runs(group), *(_final_spread(group, c.tag) for c in curves)]
        if many:
            values = list(group.finals(tag).values())
            row.append(as_text(median(values)) if len(values) >= MEDIANS_FROM else "-")
        rows.append([*row, spread(_seconds(group))])
    floors = [[f for g in groups if (f := g.floor(c.tag)) is not None] for c in curves]
    cells = [short(each[0]) if each else "-" for each in floors]
    rows.append(["real data", "-", *cells, *(["-"] if many else []), "-"])
    return Table(
        "At the end of training",
        "Mean over seeds [95 % t interval], each number from the held-out data; real data get the "
        "last row from the same estimator. Only runs that came to their end count here. "
        f"{PIXELS if has_pixels(groups) else w1_caution(groups)}A number without an interval is "
        f"the same for all seeds; {estimate.CLIPPED_NOTE}"
        f"{f'; {estimate.SKEWED_NOTE}' if _has_skewed(rows) else ''}.",
        columns,
        rows,
    )


def difference_tags(groups: Sequence[Group]) -> tuple[str, ...]:
    """Return the tags whose differences have a table each, the headline first."""
    return (headline(groups), *_DIFFERENCE_TAGS)


def has_pixels(groups: Sequence[Group]) -> bool:
    """Return whether W1 is one between pixels, beside a distance in features."""
    return headline(groups) == FRECHET and any(g.finals(WASSERSTEIN) for g in groups)


def w1_caution(groups: Sequence[Group]) -> str:
    """Say what W1 of samples is worth above 4 dimensions, with a space behind it; else "".

    That is where no difference from real data is shown, and where most of it is what they get.
    """
    values = {g.label: v for g in groups if (v := _finite(g, WASSERSTEIN))}
    floor = next((f for g in groups if (f := g.floor(WASSERSTEIN)) is not None), None)
    if not is_high_dimensional(groups) or not values or floor is None:
        return ""
    name = name_at_end(groups, WASSERSTEIN)
    shares = [min(1.0, floor / mean(each).value) for each in values.values()]
    alike = [label for label, each in values.items() if mean(each).low <= floor]
    text = (
        f"{name[0].upper()}{name[1:]} is biased upwards in so many dimensions: real data get "
        f"{short(floor)}, {_range_of_percent(shares)} of the values here. "
    )
    if alike:
        text += f"No difference from real data is shown for {', '.join(alike)}. "
    if max(shares) > MOSTLY_FLOOR:
        other = (
            "" if headline(groups) == WASSERSTEIN else f"; the {short_name(ENERGY, True)} decides"
        )
        text += f"Where that is most of it, a difference from real data means little{other}. "
    return text


def _finite(group: Group, tag: str) -> list[float]:
    return [value for value in group.finals(tag).values() if math.isfinite(value) and value > 0]


def _range_of_percent(shares: Sequence[float]) -> str:
    low, high = round(100 * min(shares)), round(100 * max(shares))
    return f"{low} %" if low == high else f"{low} to {high} %"


def differences(groups: Sequence[Group], tag: str) -> Table | None:
    """Return paired differences of a final number; None where there are no two groups."""
    table = pairs(groups, tag)
    if not table:
        return None
    rows = []
    for pair in table:
        d = pair.difference
        n, wins = (
            f"{d.n} {'' if d.is_paired else 'not '}paired",
            f"{d.lower} / {d.higher} / {d.ties}",
        )
        rows.append([f"{pair.a} - {pair.b}", as_text(d.measured), n, wins, pair.verdict])
    curve = _CURVE_OF_TAG[tag]
    name = title_at_end(groups, tag) if tag in CURVES else curve.title
    of = "the one pair" if len(table) == 1 else f"the {len(table)} pairs"
    return Table(
        f"Differences: {name}",
        "First minus second, runs of one seed paired; mean [95 % t interval]. Supported: the "
        f"interval excludes 0 also after Holm's correction for {of} of this table.",
        [
            "first - second",
            _title_with_unit(curve, groups),
            "seeds",
            "lower / higher / equal",
            "verdict",
        ],
        rows,
    )


def rank_table(groups: Sequence[Group]) -> Table | None:
    """Return how often each group comes first; None where no two groups share a seed."""
    tag = headline(groups)
    values = {g.label: g.finals_or_nan(tag) for g in groups if g.runs}
    ranks = ranking(values, CURVES[tag].better)
    if len(values) < 2 or ranks.seeds < 1:
        return None
    rows = [[name, f"{short(count)} of {ranks.seeds}"] for name, count in ranks.first.items()]
    agree = ""
    if not math.isnan(ranks.concordance):
        agree = f" Kendall's W {short(ranks.concordance)}: 1 = one order for all seeds, 0 = none."
    return Table(
        "Does the ranking hold from seed to seed?",
        f"Seeds in which a group has the lowest {title_at_end(groups, tag)}; a run that did not "
        f"finish comes last.{agree}",
        ["group", "comes first"],
        rows,
    )


def budgets(groups: Sequence[Group]) -> Table | None:
    """Return the headline at the largest budget that all groups reached, on every axis."""
    rows, tag = [], headline(groups)
    for axis, unit in AXES.items():
        if (budget := common_budget(groups, tag, axis)) is not None:
            values = [{r.seed: value_at(r, tag, axis, budget) for r in g.runs} for g in groups]
            amount = short(budget) if axis == "seconds" else f"{budget:,.0f}"
            rows.append([f"{amount} {unit}", *(spread(each, tag) for each in values)])
    if not rows or len(groups) < 2:
        return None
    on_curves, at_end = two_floors(groups, tag)
    consequence = "vary more" if tag in UNBIASED_DISTANCES else "read higher"
    quantity = _with_unit(title_on_curves(groups, tag), CURVES[tag].unit)
    return Table(
        BUDGETS_TITLE,
        f"{quantity} on the curves, where every group has spent as much; mean "
        "over seeds [95 % t interval]. Curves use fewer samples than the end and so "
        f"{consequence}: real data get {on_curves} here, {at_end} there; do not compare the two. "
        "A gradient evaluation is one gradient of one batch, a penalty's inner gradient included. "
        "Seconds are those of this machine, and left out where runs were not timed alike.",
        ["budget", *(g.label for g in groups)],
        rows,
    )


def common_budget(groups: Sequence[Group], tag: str, axis: str) -> float | None:
    """Return the largest budget that every group reached on an axis; None without such a clock.

    Seconds count only where all runs were timed alike.
    """
    if axis == "seconds" and len({run.timing for g in groups for run in g.runs}) > 1:
        return None
    ends = [end for g in groups if (end := group_budget(g, tag, axis)) is not None]
    return min(ends) if len(ends) == len(groups) and ends and min(ends) > 0 else None


def two_floors(groups: Sequence[Group], tag: str) -> tuple[str, str]:
    """Return what real samples get on the curves and at the end, each with its n, as text."""
    for run in (r for g in groups for r in g.runs):
        series, final = run.curves.get(f"{tag}_floor"), run.finals.get(tag, {})
        if series is not None and final.get("floor") is not None:
            on_curves = (
                f"{short(float(series.values[-1]))} with {run.config.get('evaluator.n', '?')}"
            )
            return f"{on_curves} samples", f"{short(float(final['floor']))} with {final['n']}"
    return "unknown", "unknown"


def incomplete_runs(groups: Sequence[Group]) -> Table | None:
    """Return the runs that did not reach their end; None where all did."""
    rows = []
    for label, r in ((g.label, r) for g in groups for r in g.runs if not r.is_done):
        end = [f"{r.step} of {r.steps}", r.error or "-", visible(str(r.path))]
        rows.append([label, str(r.seed), r.state, *end])
    if not rows:
        return None
    return Table(
        "Runs that did not come to their end",
        "They are in the curves as far as they came, in no number at the end, last in ranks.",
        ["group", "seed", "state", "step", "why", "directory"],
        rows,
    )


def choices(groups: Sequence[Group]) -> Table | None:
    """Return every key in which the groups differ; None where there is none."""
    rows = [[key, *(g.choices[key] for g in groups)] for key in groups[0].choices]
    note = "Every key in which the groups differ; all others are the same."
    return Table("What differs", note, ["key", *(g.label for g in groups)], rows) if rows else None


def spread(values: Mapping[int, float], tag: str = "") -> str:
    """Return the mean over seeds with its interval and the number of finite values, as text."""
    finite = [v for v in values.values() if math.isfinite(v)]
    if not finite:
        return short(next(iter(values.values()))) if values else "-"
    count = f" ({len(finite)} of {len(values)})" if len(finite) < len(values) else ""
    return as_text(mean(finite), tag) + count


def _final_spread(group: Group, tag: str) -> str:
    """Return `spread` of a group's final numbers, with the mark of skewed ones."""
    text = spread(group.finals(tag), tag)
    return text.replace("]", f"]{estimate.SKEWED_MARK}") if is_skewed(group, tag) else text


def is_skewed(group: Group, tag: str) -> bool:
    """Return whether the final numbers of a group, or the draws of one, are skewed."""
    values = [value for value in group.finals(tag).values() if math.isfinite(value)]
    is_marked = any(run.finals.get(tag, {}).get("is_skewed") for run in group.complete_runs)
    return is_marked or (bool(values) and estimate.have_skew(values))


def _has_skewed(rows: Sequence[Sequence[str]]) -> bool:
    return any(f"]{estimate.SKEWED_MARK}" in cell for row in rows for cell in row)


def clip_interval(m: Statistic, tag: str) -> Statistic:
    """Clip an interval to the bounds of its quantity; see `estimate.clip_interval`."""
    interval = estimate.clip_interval(tag, *m)
    return Statistic(m.value, interval.low, interval.high)


def as_text(m: Statistic, tag: str = "") -> str:
    """Format a number with its interval for a table; see `numbers.as_text`."""
    if math.isinf(m.low) and math.isinf(m.high) and math.isfinite(m.value):
        return f"{short(m.value)} (no interval)"
    return numbers.as_text(*m, tag)


def _title_with_unit(curve: Curve, groups: Sequence[Group]) -> str:
    title = title_at_end(groups, curve.tag) if curve.tag in CURVES else curve.title
    return _with_unit(title, curve.unit)


def _with_unit(title: str, unit: str) -> str:
    return f"{title} ({unit})" if unit else title


def _runs(group: Group) -> str:
    states = Counter(run.state for run in group.runs if not run.is_done)
    counts = ", ".join(f"{count} {state}" for state, count in sorted(states.items()))
    n = len(group.runs)
    return f"{n - states.total()} of {n} ({counts})" if states else str(n)


def _seconds(group: Group) -> dict[int, float]:
    clocks = {r.seed: r.curves.get("time/train_seconds") for r in group.complete_runs}
    return {seed: float(clock.values[-1]) for seed, clock in clocks.items() if clock is not None}


def group_budget(group: Group, tag: str, axis: str) -> float | None:
    """Return the budget that every complete run of a group reached; of incomplete ones, half."""
    runs = group.complete_runs or group.runs
    ends = sorted(c[0][-1] for r in runs if (c := on_axis(r, tag, axis)) is not None)
    at = 0 if group.complete_runs else (len(ends) - 1) // 2
    return float(ends[at]) if ends else None
