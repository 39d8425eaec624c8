"""Seeds that failed while others of the same run go on: they stay as they were before."""

import contextlib
from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from gan_lab.engine.state import TrainState
from gan_lab.loggers.lost_records import note
from gan_lab.runs.run_dir import RunDir


class Dropped:
    """Which of several stacked seeds take no more steps.

    A step moves all seeds alike; what it made of a dropped one is put back. No seed ever reads
    another's numbers, so the others are, bit for bit, what they would have been beside a sound one.

    Args:
        seeds: Of the run.
        state: Of the run.

    Attributes:
        found: Why, by seed, as plain containers: `step` (the last one it made), `quantity` (what
            was not finite in the next) and `told` (to the person).
    """

    def __init__(self, seeds: Sequence[int], state: TrainState) -> None:
        self._seeds, self._state = tuple(seeds), state
        self.found: dict[int, dict[str, Any]] = {}
        self._kept: list[tuple[list[Tensor], list[Tensor]]] = []  # (views into the state, copies)
        self._gone: Tensor | None = None

    @property
    def left(self) -> list[int]:
        """Indices of the seeds that go on."""
        return [index for index, seed in enumerate(self._seeds) if seed not in self.found]

    @property
    def left_seeds(self) -> list[int]:
        """The seeds that go on."""
        return [self._seeds[index] for index in self.left]

    def load(self, found: Mapping[int, Mapping[str, Any]]) -> None:
        """Takes up what a checkpoint says, once the state is where the checkpoint was."""
        self.found = {seed: dict(why) for seed, why in found.items()}
        self._kept = []
        gone = [seed in self.found for seed in self._seeds]
        device = self._state.generator.flat.device
        self._gone = torch.tensor(gone, device=device) if self.found else None
        for seed in self.found:
            views = self._state.of_seed(self._seeds.index(seed))
            self._kept.append((views, [view.clone() for view in views]))

    def add(self, seeds: Sequence[int], quantity: str, told: str) -> None:
        """Drops seeds; the state is as it was before the step that they do not make."""
        why = {"step": self._state.step, "quantity": quantity, "told": told}
        self.load({**self.found, **dict.fromkeys(seeds, why)})

    @torch.no_grad()
    def hold_(self, finite: Tensor) -> Tensor:
        """Puts the dropped seeds back after a step of all.

        Args:
            finite: Which seeds made the step, [S] or a scalar, bool.

        Returns:
            The same; what a dropped seed did is no news.
        """
        for views, copies in self._kept:
            torch._foreach_copy_(views, copies)
        return finite if self._gone is None else finite | self._gone

    def note(self, parent: RunDir) -> None:
        """Writes into the status of the run and of each dropped seed what became of them.

        On a full disk it says nothing: the checkpoints say it too.
        """
        found = {str(seed): dict(why) for seed, why in self.found.items()}
        with contextlib.suppress(OSError):
            if found or parent.read_status().get("dropped"):
                note(parent, dropped=found)
            for seed, why in self.found.items():
                note(parent.child(seed), state="diverged", step=why["step"], error=why["told"])
