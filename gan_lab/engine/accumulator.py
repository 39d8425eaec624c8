"""Means of the values of a step, on the device until they are read."""

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor

from gan_lab.engine.devices import to_float64
from gan_lab.engine.distributed import World


class Accumulator:
    """Means over a log interval, kept on the device: one copy to the CPU an interval.

    A value is a scalar per seed, shape [S]. A tag that ends in "_max" keeps the maximum, any other
    the mean, of the additions that have it. Sums are float64: ten thousand float32 steps lose
    nothing.
    `add_` counts its calls on the CPU, so it belongs after the replay of a CUDA graph, not inside.
    """

    def __init__(self) -> None:
        # By set of tags, since not every step has each (a lazy penalty): (totals, shape [tags, S];
        # number of additions). A tag may be in several sets.
        self._groups: dict[tuple[str, ...], tuple[Tensor, int]] = {}

    def add_(self, values: Mapping[str, Tensor]) -> None:
        """Add one value per tag without waiting for the device: a few launches for any tags."""
        if not values:
            return
        # Maxima last, so that either kind is one slice.
        tags = tuple(sorted(values, key=lambda tag: (_is_maximum(tag), tag)))
        new = to_float64(torch.stack([values[tag].detach() for tag in tags]))
        if tags not in self._groups:
            self._groups[tags] = (new, 1)
            return
        old, count = self._groups[tags]
        n_sums = sum(not _is_maximum(tag) for tag in tags)
        total = old.to(new.device)  # a state that was loaded comes from the CPU
        total[:n_sums] += new[:n_sums]
        torch.maximum(total[n_sums:], new[n_sums:], out=total[n_sums:])
        self._groups[tags] = (total, count + 1)

    def means(self) -> dict[str, Tensor]:
        """Return the mean or maximum per tag since `reset_`: float64 on the CPU, shape [S]."""
        if not self._groups:
            return {}
        rows = iter(torch.cat([total for total, _ in self._groups.values()]).cpu())
        totals: dict[str, Tensor] = {}
        counts = Counter[str]()
        for tags, (_, count) in self._groups.items():
            for tag in tags:
                row, before = next(rows), totals.get(tag)
                counts[tag] += count
                if before is None:
                    totals[tag] = row
                else:
                    totals[tag] = torch.maximum(before, row) if _is_maximum(tag) else before + row
        return {tag: x / (1 if _is_maximum(tag) else counts[tag]) for tag, x in totals.items()}

    def reduce_(self, world: World) -> None:
        """Take the means (or maxima) over ranks, each of which has a slice of the batch.

        Every rank has to call it, at the same step; a second call changes nothing.
        """
        for tags, (total, _) in self._groups.items():
            n_sums = sum(not _is_maximum(tag) for tag in tags)
            for rows, reduce_ in ((total[:n_sums], world.mean_), (total[n_sums:], world.maximum_)):
                if len(rows):
                    reduce_(rows)

    def reset_(self) -> None:
        """Start a new interval."""
        self._groups.clear()

    def state_dict(self) -> list[dict[str, Any]]:
        """Return the unfinished interval; a run resumed with it reports the same means."""
        groups = self._groups.items()
        return [{"tags": list(g), "total": t.clone(), "count": n} for g, (t, n) in groups]

    def load_state_dict(self, state: Iterable[Mapping[str, Any]]) -> None:
        """Replace the interval by a copy of `state`."""
        self._groups = {tuple(g["tags"]): (g["total"].clone(), g["count"]) for g in state}


def _is_maximum(tag: str) -> bool:
    return tag.endswith("_max")
