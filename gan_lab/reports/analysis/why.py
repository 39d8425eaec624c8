"""Why the groups differ: what gradient norms, optimality gaps and events mean in these runs."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np

from gan_lab.metrics.quality import CLOSE_SHARE, SQUARED_DISTANCES, UNBIASED_DISTANCES
from gan_lab.reports.analysis.aggregate import Group, band, headline, name_at_end
from gan_lab.reports.analysis.model import EventRow
from gan_lab.reports.analysis.names import enumeration
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.plots.style import short

_NORM = "gradient/generator_norm"
_NEAR_OPTIMAL = "discriminator_estimate/near_optimal"
_CHANGE = 10.0  # a gradient that falls or grows by this factor is worth a word
_CLOSE = 2.0  # times what real data get: samples that have near; of a squared distance its square
_OFTEN = 0.8  # share of measurements near the optimum from which a curve may be read
_ENDS = 3  # measurements that make the start and the end of a curve


def gradients(groups: Sequence[Group]) -> list[str]:
    """Say whose generator's gradient falls or grows, and whether that is arriving or stalling."""
    changes = {g.label: change for g in groups if (change := _fall(g)) is not None}
    if not changes:
        return []
    far, near, growths, tag = [], [], [], headline(groups)
    for group in groups:
        fall = changes.get(group.label, 1.0)
        if fall >= _CHANGE:
            distance = _distance(group, tag)
            text = f"{_fold(fall)} for {group.label}"
            if distance is None:
                far.append(text)
            elif not _is_close(group, tag, *distance):
                values = f"{short(distance[0])}, real data {short(distance[1])}"
                real = f"({name_at_end(groups, tag)} {values})"
                far.append(f"{text} while its samples are far from the data {real}")
            else:
                near.append(f"{text}, whose samples have come close to the data")
        elif fall <= 1 / _CHANGE:
            growths.append(f"{_fold(1 / fall)} for {group.label}")
    parts = []
    if far:
        parts.append(f"it falls {' and '.join(far)}: little is left to learn from")
    if near:
        parts.append(f"it falls {' and '.join(near)}: that is no loss")
    if growths:
        parts.append(f"it grows {' and '.join(growths)}: steps become larger and less stable")
    steady = [c for c in changes.values() if 1 / _CHANGE < c < _CHANGE]
    if steady:
        factor = max(max(c, 1 / c) for c in steady)
        who = "every group" if len(steady) == len(changes) else "the others"
        parts.append(f"it stays within a factor of {factor:.2g} for {who}")
    return [f"The generator's gradient: {'; '.join(parts)}."]


def reliability(groups: Sequence[Group]) -> list[str]:
    """Say whose discriminator was near its optimum, so that its own curve may be read."""
    shares = {g.label: share for g in groups if (share := _share_near_optimal(g)) is not None}
    good = [f"{label} ({_percent(s)})" for label, s in shares.items() if s >= _OFTEN]
    poor = [f"{label} ({_percent(s)})" for label, s in shares.items() if s < _OFTEN]
    if not good + poor:
        return []
    parts = [f"may be read as a distance for {enumeration(good)}"] if good else []
    if poor:
        verb = "may not" if good else "may not be read as a distance"
        parts.append(f"{verb} for {enumeration(poor)}")
    how = "share of measurements in the second half of training with a nearly optimal discriminator"
    return [f"A discriminator's own curve {', and '.join(parts)}: {how}."]


def events(groups: Sequence[Group], rows: Sequence[EventRow]) -> list[str]:
    """Count the runs of each group that have a kind of event; explain the most frequent kind."""
    counts: dict[str, Counter[str]] = {}
    for group in groups:
        for run in group.runs:
            for kind in {event["kind"] for event in run.events}:
                counts.setdefault(kind, Counter())[group.label] += 1
    if not counts:
        return []
    sizes = {g.label: len(g.runs) for g in groups}
    first, *others = sorted(counts, key=lambda kind: (-counts[kind].total(), kind))
    meaning = next((row.explanation for row in rows if row.kind == first), "").strip()
    text = f"Most often {_in_runs(first, counts[first], sizes)}"
    text += f": {meaning[0].lower()}{meaning[1:].rstrip('.')}." if meaning else "."
    if others:
        also = "; ".join(_in_runs(kind, counts[kind], sizes) for kind in others)
        text += f" Also {also}."
    return [text]


def _in_runs(kind: str, counts: Mapping[str, int], sizes: Mapping[str, int]) -> str:
    groups = [f"{n} of {sizes[label]} runs of {label}" for label, n in counts.items()]
    return f"{kind.replace('_', ' ')} in {enumeration(groups)}"


def _fall(group: Group) -> float | None:
    """Return the generator's gradient norm at the start over that at the end, medians of three."""
    curve = band(group, _NORM, "step")
    if curve is None:
        return None
    norms = curve.mean[(curve.mean > 0) & np.isfinite(curve.mean)]
    if len(norms) < 2 * _ENDS:
        return None
    return float(np.median(norms[:_ENDS]) / np.median(norms[-_ENDS:]))


def _distance(group: Group, tag: str) -> tuple[float, float] | None:
    """Return a group's headline at the end and what real data get."""
    values = [value for value in group.finals(tag).values() if math.isfinite(value)]
    floor = group.floor(tag)
    return (mean(values).value, floor) if values and floor else None


def _is_close(group: Group, tag: str, distance: float, floor: float) -> bool:
    """Return whether samples are near the data: by what real data get, or where that is 0.

    Of an unbiased distance, a squared one, a hundredth of that at the start is near: a tenth of it.
    """
    if tag not in UNBIASED_DISTANCES:
        return distance <= (_CLOSE**2 if tag in SQUARED_DISTANCES else _CLOSE) * floor
    curve = band(group, tag, "step")
    return curve is not None and distance - floor <= CLOSE_SHARE**2 * float(curve.mean[0])


def _share_near_optimal(group: Group) -> float | None:
    curve = band(group, _NEAR_OPTIMAL, "step")
    if curve is None:
        return None
    second_half = curve.mean[curve.x >= curve.x[-1] / 2]
    second_half = second_half[np.isfinite(second_half)]
    return float(second_half.mean()) if len(second_half) else None


def _fold(factor: float) -> str:
    return f"{float(f'{factor:.1g}'):,.0f}-fold"


def _percent(share: float) -> str:
    return f"{100 * share:.0f} %"
