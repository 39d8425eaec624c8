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
UNTRAINED_DISTANCE = 2.0  # of a training that was never finite; before training it is about 1.7
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
        return Statistic(*(math.exp(x) if math.isfinite(x) else x for x in self.gap.measured))


@dataclass(frozen=True)
class Comparison:
    """All losses on one set at one budget.

    Attributes:
        values: Method -> seed -> log of the judged distance.
        order: Methods, the least mean log distance first.
        pairs: Of any two, the first in the order against the second.
        stability: How the order changes from seed to seed.
    """

    values: Values
    order: list[str]
    pairs: list[Pair]
    stability: Ranking

    def geometric_mean(self, method: str) -> float:
        """Return the distance of a loss: the geometric mean over seeds."""
        return math.exp(float(np.mean(list(self.values[method].values()))))

    @property
    def contenders(self) -> list[str]:
        """The first of the order, and all that are not decided to be worse than it."""
        first = self.order[0]
        worse = {p.higher for p in self.pairs if p.lower == first and p.is_decided}
        return [method for method in self.order if method not in worse]

    def pair(self, lower: str, higher: str) -> Pair:
        """Return the comparison of two losses, in the direction of the order."""
        return next(p for p in self.pairs if {p.lower, p.higher} == {lower, higher})


def compare(values: Values) -> Comparison:
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
    return Comparison(values, order, pairs, ranking(values, -1))


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
        pick: The checkpoint of the least validation distance until then; or the last: between two
            measurements interpolated in the log.
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
    return compare(log_distances(arrays, data, clock, pick))


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
    finite = np.isfinite(distances)
    if not finite.any() or (pick == LAST and bool(arrays["finals/diverged"][row])):
        return UNTRAINED_DISTANCE
    at, distances = at[finite], distances[finite]
    if pick == LAST:
        return math.exp(float(np.interp(limit, at, np.log(distances))))
    # Seconds of one look differ by a step's; a first look beyond the limit is all there is.
    within = at <= limit * 1.02
    within[0] = True
    best = _best(arrays["finals/at_validation"][row][finite][within])
    assert best is not None
    return float(distances[within][best])


def _best(validation: np.ndarray) -> int | None:
    finite = np.isfinite(validation)
    return int(np.nanargmin(validation)) if finite.any() else None


def summary(values: Mapping[str, Mapping[int, float]]) -> dict[str, float]:
    """Return the geometric mean of the distances of each loss."""
    return {m: math.exp(float(np.mean(list(each.values())))) for m, each in values.items()}
