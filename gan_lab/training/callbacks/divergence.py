"""From a boundary at which something was not finite, back to the step that made it so.

Seeds that failed while others of the same run go on: they stay as they were before.
"""

import contextlib
import copy
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.console import announce
from gan_lab.engine.accumulator import Accumulator
from gan_lab.engine.distributed import World
from gan_lab.engine.state import TrainState
from gan_lab.regularizers.base import Tensors
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks.evaluation import NotFinite
from gan_lab.training.config import Run


@dataclass(frozen=True)
class Failure:
    """What was not finite first.

    Attributes:
        step: The update's.
        quantity: A tag, or "a weight" or "a sample".
        seeds: Those that it stopped.
        before: The checkpoint's content before the update.
    """

    step: int
    quantity: str
    seeds: tuple[int, ...]
    before: dict[str, Any]

    def recorded(self, directory: Path, others: Sequence[int], going_on: bool) -> str:
        """Saves the state before the update.

        Args:
            directory: The run's checkpoints.
            others: Seeds that are well.
            going_on: Whether they go on; the next failure then leaves this file alone.

        Returns:
            For the person: what, where, what is left, and what to try.
        """
        name = f"before_divergence_{self.step:08d}.pt" if going_on else "before_divergence.pt"
        path = (directory / name).absolute()
        checkpoint.forget(directory, after=self.step - 1)  # saved before its samples were looked at
        saved = (
            f"The state before the update is in {path}, which sample, evaluate and fork take with "
            f"step={path.stem}; nothing was overwritten."
        )
        try:
            checkpoint.save(path, self.before)
        except checkpoint.CheckpointNotSaved as error:  # must not hide what happened
            saved = f"The state before the update could not be saved: {error.strerror}."
        if going_on:
            rest = f"Seed {_listed(others)} go{'es' if len(others) == 1 else ''} on without it."
        else:
            rest = "Try a smaller optim.lr or a stronger regularizer"
            rest += ", or trainer.on_divergence=drop_seed." if others else "."
        told = f"{self.quantity} is not finite at step {self.step} for seed {_listed(self.seeds)}."
        if going_on:
            announce(f"{told} {saved} {rest}")
        return f"{told} {saved} {rest}"


def copied(content: Mapping[str, Any]) -> dict[str, Any]:
    """What a checkpoint holds, copied; but for the configuration, which nothing changes."""
    return {key: copy.deepcopy(v) if key != "config" else v for key, v in content.items()}


def healthy(run: Run, world: World, finite: Tensor) -> Tensor:
    """Whether losses, gradients and what they made of the weights are finite in every rank.

    Args:
        run: Whose weights are looked at.
        world: Who else trains it; every rank has to call this.
        finite: What the steps said, [S] or a scalar, bool.

    Returns:
        bool, [S].
    """
    state, n_seeds = run.state, len(run.seeds)
    leaves = (state.discriminator.flat, *state.average.values())
    rows = [leaf.detach().reshape(n_seeds, -1).isfinite().all(1) for leaf in leaves]
    return world.all(finite.reshape(-1) & torch.stack(rows).all(0))


def find_failing_step(
    run: Run,
    world: World,
    end: int,
    advance: Callable[[], tuple[Tensors, Tensor]],
    content: Callable[[], Mapping[str, Any]],
    found: NotFinite | None = None,
) -> Failure:
    """Goes step by step to the one that failed; the run stays there. Every rank has to call this.

    Args:
        run: Back at the last boundary where all was well.
        world: Who else trains it.
        end: The step by which something had failed.
        advance: Makes one step; its values, and whether they are finite.
        content: Gives what a checkpoint holds now, by reference.
        found: What a look at the samples found, if that is what had failed.
    """
    before, well = copied(content()), [True] * len(run.seeds)
    values: Tensors = {}
    while run.state.step < end and all(well):
        before = copied(content())
        values, finite = advance()
        well = healthy(run, world, finite).tolist()
    # A slice of the batch is seen by one rank only; a mean over ranks shows it to all.
    whole = {tag: world.mean_(value.clone()).reshape(-1) for tag, value in values.items()}
    interval = Accumulator()
    interval.load_state_dict(before["accumulator"])
    interval.reduce_(world)
    before["accumulator"] = interval.state_dict()
    if found is not None:
        return Failure(run.state.step, found.quantity, (found.seed,), before)
    lost = [index for index, ok in enumerate(well) if not ok] or list(range(len(well)))
    broken = (tag for tag, value in whole.items() if not bool(value[lost].isfinite().all()))
    seeds = tuple(run.seeds[index] for index in lost)
    return Failure(run.state.step, next(broken, "a weight"), seeds, before)


def _listed(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))


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
                parent.update_status(dropped=found)
            for seed, why in self.found.items():
                parent.child(seed).update_status(
                    state="diverged", step=why["step"], error=why["told"]
                )
