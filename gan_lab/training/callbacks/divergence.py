"""What happens at a number that is not finite: find the step that caused it, save the state before.

With several seeds, those that failed may be dropped while the others go on.
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
from gan_lab.training.run import Run


@dataclass(frozen=True)
class Failure:
    """The first update with a number that is not finite."""

    step: int
    quantity: str  # a tag, or "a weight" or "a sample"
    seeds: tuple[int, ...]  # in which it is not finite
    before: dict[str, Any]  # the checkpoint's content before the update

    def save(self, directory: Path, others: Sequence[int], going_on: bool) -> str:
        """Save the state before the update among the run's checkpoints.

        If the other seeds, which are finite, go on, the next failure leaves this file alone.

        Returns:
            The message: what, where, which file holds the state, and what to try.
        """
        name = f"before_divergence_{self.step:08d}.pt" if going_on else "before_divergence.pt"
        path = (directory / name).absolute()
        # A checkpoint of this step was saved before its samples were checked.
        checkpoint.remove_later(checkpoint.available(directory), self.step - 1)
        file = (
            f"The state before the update is in {path}, which sample, evaluate and fork take with "
            f"step={path.stem}; nothing was overwritten."
        )
        try:
            checkpoint.save(path, self.before)
        except checkpoint.CheckpointNotSaved as error:  # must not hide what happened
            file = f"The state before the update could not be saved: {error.strerror}."
        names = ", ".join(map(str, others))
        if going_on:
            advice = f"Seed {names} go{'es' if len(others) == 1 else ''} on without it."
        else:
            advice = "Try a smaller optim.lr or a stronger regularizer"
            advice += ", or trainer.on_divergence=drop_seed." if others else "."
        seeds = ", ".join(map(str, self.seeds))
        message = f"{self.quantity} is not finite at step {self.step} for seed {seeds}."
        message = f"{message} {file} {advice}"
        if going_on:
            announce(message)
        return message


def copy_content(content: Mapping[str, Any]) -> dict[str, Any]:
    """Copy a checkpoint's content, but for the configuration, which nothing changes."""
    return {key: copy.deepcopy(v) if key != "config" else v for key, v in content.items()}


def finite_seeds(run: Run, world: World, finite: Tensor) -> Tensor:
    """Return whether losses, gradients and weights of each seed are finite in every rank: [S].

    Every rank has to call this with the flags of its steps, [S] or a scalar.
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
    error: NotFinite | None = None,
) -> Failure:
    """Go step by step to the one that failed and stay there. Every rank has to call this.

    Args:
        run: Back at the last boundary where all was finite.
        world: The processes that train it.
        end: The step by which something had failed.
        advance: Makes one step; its values, and whether they are finite.
        content: Returns what a checkpoint holds now, by reference.
        error: The failure of an evaluation, if that is what had failed.
    """
    before, is_finite = copy_content(content()), [True] * len(run.seeds)
    values: Tensors = {}
    while run.state.step < end and all(is_finite):
        before = copy_content(content())
        values, finite = advance()
        is_finite = finite_seeds(run, world, finite).tolist()
    # One rank alone has a slice of the batch; a mean over ranks makes its nan known to all.
    means = {tag: world.mean_(value.clone()).reshape(-1) for tag, value in values.items()}
    interval = Accumulator()
    interval.load_state_dict(before["accumulator"])
    interval.reduce_(world)
    before["accumulator"] = interval.state_dict()
    if error is not None:
        return Failure(run.state.step, error.quantity, (error.seed,), before)
    rows = [i for i, ok in enumerate(is_finite) if not ok] or list(range(len(is_finite)))
    tags = (tag for tag, value in means.items() if not bool(value[rows].isfinite().all()))
    seeds = tuple(run.seeds[index] for index in rows)
    return Failure(run.state.step, next(tags, "a weight"), seeds, before)


class DroppedSeeds:
    """Those of several stacked seeds that take no more steps.

    A step updates all seeds; a dropped one is then restored. No seed ever reads another's numbers,
    so the others are, bit for bit, what they would have been beside a finite one.

    Attributes:
        reasons: By seed, as plain containers: `step` (the last one it made), `quantity` (what was
            not finite in the next) and `told` (the message).
    """

    def __init__(self, seeds: Sequence[int], state: TrainState) -> None:
        self._seeds, self._state = tuple(seeds), state
        self.reasons: dict[int, dict[str, Any]] = {}
        self._copies: list[tuple[list[Tensor], list[Tensor]]] = []  # (views into the state, copies)
        self._is_dropped: Tensor | None = None

    @property
    def active(self) -> list[int]:
        """Indices of the seeds that go on."""
        return [index for index, seed in enumerate(self._seeds) if seed not in self.reasons]

    @property
    def active_seeds(self) -> list[int]:
        """The seeds that go on."""
        return [self._seeds[index] for index in self.active]

    def load(self, reasons: Mapping[int, Mapping[str, Any]]) -> None:
        """Restore what a checkpoint holds, once the state is that of the checkpoint."""
        self.reasons = {seed: dict(reason) for seed, reason in reasons.items()}
        self._copies = []
        flags = [seed in self.reasons for seed in self._seeds]
        device = self._state.generator.flat.device
        self._is_dropped = torch.tensor(flags, device=device) if self.reasons else None
        for seed in self.reasons:
            views = self._state.of_seed(self._seeds.index(seed))
            self._copies.append((views, [view.clone() for view in views]))

    def add(self, seeds: Sequence[int], quantity: str, message: str) -> None:
        """Drop seeds; the state is that before the step that they do not make."""
        reason = {"step": self._state.step, "quantity": quantity, "told": message}
        self.load({**self.reasons, **dict.fromkeys(seeds, reason)})

    @torch.no_grad()
    def restore_(self, finite: Tensor) -> Tensor:
        """Restore the dropped seeds after a step; return the flags with true for them.

        `finite` are the flags of all seeds after the step, [S] or a scalar, bool.
        """
        for views, copies in self._copies:
            torch._foreach_copy_(views, copies)
        return finite if self._is_dropped is None else finite | self._is_dropped

    def write_status(self, parent: RunDir) -> None:
        """Write the reasons into status.json of the run and of each dropped seed.

        A full disk is ignored: the checkpoints hold them too.
        """
        reasons = {str(seed): dict(reason) for seed, reason in self.reasons.items()}
        with contextlib.suppress(OSError):
            if reasons or parent.read_status().get("dropped"):
                parent.update_status(dropped=reasons)
            for seed, why in self.reasons.items():
                child = parent.child(seed)
                child.update_status(state="diverged", step=why["step"], error=why["told"])
