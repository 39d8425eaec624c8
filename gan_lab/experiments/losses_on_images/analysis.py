"""Who is better, by how much and how surely: paired differences of log distances over seeds."""

import itertools
import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.losses_on_images.plan import PUBLISHED_RECIPE, TUNED_RECIPE
from gan_lab.experiments.losses_on_images.tables import CLOCKS
from gan_lab.reports.analysis.statistics import (
    Difference,
    Ranking,
    Statistic,
    difference,
    holm,
    holm_levels,
    ranking,
    seeds_needed,
)

BEST, LAST = "best", "last"  # checkpoint: of the least validation distance, or the newest
# The largest that counts, and of a training that was never finite; before training it is about 1.7.
UNTRAINED_DISTANCE = 2.0
LEVEL = (0.8, 1.25)  # ratios of distances that a reader of a grid of samples does not see
Values = dict[str, dict[int, float]]  # method -> seed -> log distance


@dataclass(frozen=True)
class Pair:
    """Two losses compared.

    Attributes:
        lower, higher: The one with the smaller mean log distance, and the other.
        gap: Log distance of `higher` less that of `lower`, over paired seeds.
        is_decided: Whether the difference holds together with all others of its set (Holm).
        n_needed: Paired seeds that would show so large a difference at the pair's level.
    """

    lower: str
    higher: str
    gap: Difference
    is_decided: bool
    n_needed: float

    @property
    def ratio(self) -> Statistic:
        """How many times as large the distance of `higher` is, with its 95 % interval."""
        return ratio_of(self.gap)

    @property
    def is_level(self) -> bool:
        """Whether the whole interval of the ratio is too near 1 to matter."""
        return LEVEL[0] <= self.ratio.low and self.ratio.high <= LEVEL[1]


@dataclass(frozen=True)
class Comparison:
    """All losses on one set at one budget.

    Attributes:
        values: Method -> seed -> log of the judged distance.
        order: Methods, the least mean log distance first.
        pairs: Of any two, the first in the order against the second.
        stability: How the order changes from seed to seed.
        n_diverged: Of the losses with a seed that diverged, how many did.
    """

    values: Values
    order: list[str]
    pairs: list[Pair]
    stability: Ranking
    n_diverged: Mapping[str, int]

    def geometric_mean(self, method: str) -> float:
        """Return the distance of a loss: the geometric mean over seeds."""
        return math.exp(float(np.mean(list(self.values[method].values()))))

    @property
    def ranks(self) -> list[str]:
        """The order without the losses with a seed that diverged; all where every loss has one."""
        return [m for m in self.order if m not in self.n_diverged] or self.order

    @property
    def contenders(self) -> list[str]:
        """The first of `ranks`, and all of them that are not decided to be worse than it."""
        first, *others = self.ranks
        return [first, *(m for m in others if not self.pair(first, m).is_decided)]

    def ratio(self, above: str, below: str) -> Statistic:
        """Return how many times as large one loss's distance is, with its 95 % interval."""
        return ratio_of(difference(self.values[above], self.values[below]))

    def pair(self, lower: str, higher: str) -> Pair:
        """Return the comparison of two losses, in the direction of the order."""
        return next(p for p in self.pairs if {p.lower, p.higher} == {lower, higher})


def compare(values: Values, n_diverged: Mapping[str, int] | None = None) -> Comparison:
    """Compare any two losses; differences hold together by Holm's correction over all pairs."""
    means = {method: float(np.mean(list(each.values()))) for method, each in values.items()}
    order = sorted(values, key=lambda method: means[method])
    names = list(itertools.combinations(order, 2))
    gaps = [difference(values[higher], values[lower]) for lower, higher in names]
    p_values = [gap.p for gap in gaps]
    pairs = [
        Pair(*name, gap, holds, seeds_needed(gap.measured.value, gap.deviation, level))
        for name, gap, holds, level in zip(
            names, gaps, holm(p_values), holm_levels(p_values), strict=True
        )
    ]
    return Comparison(values, order, pairs, ranking(values, -1), n_diverged or {})


def datasets(arrays: Arrays) -> list[str]:
    """Return the names of the sets, in the order of the study."""
    return list(dict.fromkeys(map(str, arrays["finals/data"])))


def methods(arrays: Arrays, data: str, stage: str = TUNED_RECIPE) -> list[str]:
    """Return the losses with trainings of a stage on a set, in the order of the study."""
    is_chosen = (arrays["finals/data"] == data) & (arrays["finals/stage"] == stage)
    return list(dict.fromkeys(map(str, arrays["finals/method"][is_chosen])))


def budget(arrays: Arrays, data: str, clock: str) -> float:
    """Return the largest reading of a clock that all tuned trainings on a set reach."""
    is_chosen = (arrays["finals/data"] == data) & (arrays["finals/stage"] == TUNED_RECIPE)
    is_chosen &= ~arrays["finals/diverged"]
    last = arrays[f"finals/at_{clock}"][is_chosen]
    return float(np.nanmax(last, axis=1).min()) if last.size else math.nan


def log_distances(
    arrays: Arrays, data: str, clock: str = CLOCKS[0], pick: str = BEST, stage: str = TUNED_RECIPE
) -> Values:
    """Return the log of the judged distance of every loss and seed at equal budgets.

    Args:
        clock: What is equal: process seconds, updates of both players or gradient evaluations.
        pick: The checkpoint of the least validation distance until then; or the last. At the
            budget itself both distances are interpolated in the log between two measurements, so
            that a loss with few measurements until then loses nothing by it.
        stage: tuned or published.
    """
    values: Values = {}
    limit = budget(arrays, data, clock)
    is_chosen = (arrays["finals/data"] == data) & (arrays["finals/stage"] == stage)
    for row in np.flatnonzero(is_chosen):
        method, seed = str(arrays["finals/method"][row]), int(arrays["finals/seed"][row])
        distance = _distance(arrays, int(row), clock, limit, pick)
        values.setdefault(method, {})[seed] = math.log(distance)
    return values


def comparison(arrays: Arrays, data: str, clock: str = CLOCKS[0], pick: str = BEST) -> Comparison:
    """Compare the tuned losses on a set."""
    return compare(log_distances(arrays, data, clock, pick), n_diverged(arrays, data))


def n_diverged(arrays: Arrays, data: str) -> dict[str, int]:
    """Return, of the tuned losses with a seed that diverged, how many seeds did."""
    is_chosen = (arrays["finals/data"] == data) & (arrays["finals/stage"] == TUNED_RECIPE)
    names = arrays["finals/method"][is_chosen & arrays["finals/diverged"]].tolist()
    return {m: names.count(m) for m in methods(arrays, data) if m in names}


def excess_ratio(result: Comparison, above: str, below: str, real: float) -> Difference | None:
    """Return the log ratio of two losses' distances less that of real data.

    None where a distance of theirs is not above real data's.
    """
    excess = {
        m: {seed: math.exp(x) - real for seed, x in result.values[m].items()}
        for m in (above, below)
    }
    if min(x for each in excess.values() for x in each.values()) <= 0:
        return None
    logs = {m: {seed: math.log(x) for seed, x in each.items()} for m, each in excess.items()}
    return difference(logs[above], logs[below])


def rank_correlation(a: Comparison, b: Comparison) -> float:
    """Return Spearman's correlation of two orders of the same losses."""
    n = len(a.order)
    squares = sum((i - b.order.index(m)) ** 2 for i, m in enumerate(a.order))
    return 1 - 6 * squares / (n * (n * n - 1))


def finalist_ratios(arrays: Arrays, data: str) -> dict[str, float]:
    """Return by loss the second-best validation distance of the last rung over the best.

    Empty where the last rung has one trial; inf where the second diverged.
    """
    ratios = {}
    rungs = arrays["trials/rung"]
    for method in methods(arrays, data):
        is_chosen = (arrays["trials/data"] == data) & (arrays["trials/method"] == method)
        distances = arrays["trials/at_validation"][is_chosen & (rungs == rungs.max()), -1]
        if len(distances) > 1:
            best, second = sorted(np.where(np.isnan(distances), math.inf, distances))[:2]
            ratios[method] = float(second / best) if math.isfinite(best) else math.nan
    return ratios


def speed_spreads(arrays: Arrays, data: str) -> dict[str, float]:
    """Return by loss by how much the most updates a second exceed the fewest, over seeds."""
    spreads = {}
    for method in methods(arrays, data):
        is_chosen = (arrays["finals/data"] == data) & (arrays["finals/method"] == method)
        is_chosen &= (arrays["finals/stage"] == TUNED_RECIPE) & ~arrays["finals/diverged"]
        speeds = arrays["finals/at_updates"][is_chosen, -1]
        speeds = speeds / arrays["finals/at_seconds"][is_chosen, -1]
        if speeds.size:
            spreads[method] = float(speeds.max() / speeds.min()) - 1
    return spreads


def prices(arrays: Arrays, data: str) -> dict[str, Difference]:
    """Return by loss the log distance of its published recipe less that of its tuned one."""
    tuned_values = log_distances(arrays, data)
    published_values = log_distances(arrays, data, stage=PUBLISHED_RECIPE)
    return {
        m: difference(published_values[m], tuned_values[m])
        for m in tuned_values
        if m in published_values
    }


def final_numbers(arrays: Arrays, data: str, method: str, key: str) -> np.ndarray:
    """Return a judged number of the best checkpoint of each seed's tuned training, [S]."""
    is_chosen = (arrays["finals/data"] == data) & (arrays["finals/stage"] == TUNED_RECIPE)
    is_chosen &= arrays["finals/method"] == method
    rows = np.flatnonzero(is_chosen)
    best = [_best(arrays["finals/at_validation"][row]) for row in rows]
    values = [
        math.nan if at is None else float(arrays[f"finals/at_{key}"][row, at])
        for row, at in zip(rows, best, strict=True)
    ]
    return np.array(values)


def ratio_of(gap: Difference) -> Statistic:
    """Return a difference of logs as a ratio with its interval."""
    return Statistic(*(math.exp(x) if math.isfinite(x) else x for x in gap.measured))


def real_distance(arrays: Arrays, data: str) -> float:
    """Return the judged distance of real data."""
    return float(arrays[f"real/{data}/judged_distance"])


def _distance(arrays: Arrays, row: int, clock: str, limit: float, pick: str) -> float:
    at, distances = arrays[f"finals/at_{clock}"][row], arrays["finals/at_judged_distance"][row]
    validation = arrays["finals/at_validation"][row]
    finite = np.isfinite(distances) & np.isfinite(validation)
    if not finite.any() or (pick == LAST and bool(arrays["finals/diverged"][row])):
        return UNTRAINED_DISTANCE
    at, distances, validation = at[finite], np.log(distances[finite]), np.log(validation[finite])
    # A first look beyond the limit, or a last before it, is all there is; without a limit, all.
    limit = float(np.fmin(limit, at[-1]))
    distance = float(np.interp(limit, at, distances))
    if pick == BEST:
        within = at < limit
        choices = np.append(validation[within], np.interp(limit, at, validation))
        distance = float(np.append(distances[within], distance)[choices.argmin()])
    return min(math.exp(distance), UNTRAINED_DISTANCE)


def _best(validation: np.ndarray) -> int | None:
    finite = np.isfinite(validation)
    return int(np.nanargmin(validation)) if finite.any() else None


def summary(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Return the geometric mean of the distances of each loss."""
    return {m: math.exp(float(np.mean(list(each.values())))) for m, each in values.items()}
