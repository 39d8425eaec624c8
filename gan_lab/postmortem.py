"""From a boundary at which something was not finite, back to the step that made it so."""

import copy
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_lab.accumulator import Accumulator
from gan_lab.distributed import World
from gan_lab.regularizers.base import Tensors
from gan_lab.setup import Run


@dataclass(frozen=True)
class Failure:
    """What was not finite first.

    Attributes:
        quantity: A tag, or "a weight" or "a sample".
        seeds: Those that it stopped.
        before: The checkpoint's content before the update.
    """

    quantity: str
    seeds: tuple[int, ...]
    before: dict[str, Any]

    def told(self, step: int, path: Any) -> str:
        """For the person: what, where, what is left, and what to try."""
        return (
            f"{self.quantity} is not finite at step {step} for seed "
            f"{', '.join(map(str, self.seeds))}. "
            f"The state before the update is in {path}; nothing was overwritten. "
            f"Try a smaller optim.lr or a stronger regularizer."
        )


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


def retraced(
    run: Run,
    world: World,
    end: int,
    advance: Callable[[], tuple[Tensors, Tensor]],
    content: Callable[[], Mapping[str, Any]],
    sample_of: int | None = None,
) -> Failure:
    """Goes step by step to the one that failed; the run stays there. Every rank has to call this.

    Args:
        run: Back at the last boundary where all was well.
        world: Who else trains it.
        end: The step by which something had failed.
        advance: Makes one step; its values, and whether they are finite.
        content: Gives what a checkpoint holds now, by reference.
        sample_of: The seed whose samples overflow, if that is what was found.
    """
    before, well = copy.deepcopy(dict(content())), [True] * len(run.seeds)
    values: Tensors = {}
    while run.state.step < end and all(well):
        before = copy.deepcopy(dict(content()))
        values, finite = advance()
        well = healthy(run, world, finite).tolist()
    # A slice of the batch is seen by one rank only; a mean over ranks shows it to all.
    broken = [t for t, v in values.items() if not bool(world.mean_(v.clone()).isfinite().all())]
    interval = Accumulator()
    interval.load_state_dict(before["accumulator"])
    interval.agree_(world)
    before["accumulator"] = interval.state_dict()
    if sample_of is not None:
        return Failure("a sample", (sample_of,), before)
    stopped = tuple(seed for seed, ok in zip(run.seeds, well, strict=True) if not ok)
    return Failure(next(iter(broken), "a weight"), stopped or run.seeds, before)
