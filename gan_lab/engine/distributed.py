"""Several processes that train one run: each takes a slice of every batch, gradients are averaged.

Every rank draws the global batch from the same streams and takes its slice, and gradients are
averaged by one explicit all-reduce of a flat tensor (torch's DDP wrapper has a record of wrong
gradients where a loss differentiates twice). So 2 processes with N/2 samples each are 1 process
with N, up to the rounding of a mean of means. Only rank 0 measures, draws, prints and writes.

The processes are started by torchrun, or by anything that sets its environment.
"""

import contextlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import torch
import torch.distributed as dist
from torch import Tensor

from gan_lab.engine.rng import StepDraws
from gan_lab.errors import ConfigError

T = TypeVar("T")

_TIMEOUT = timedelta(days=2)  # ranks wait while rank 0 measures; a dead rank is noticed at once
_VARIABLES = ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT")


class RankFailed(RuntimeError):
    """Another rank failed and says how."""


class RankGone(RuntimeError):
    """Another rank has gone, perhaps without a message."""


@contextlib.contextmanager
def _collective() -> Iterator[None]:
    """Raise RankGone where the library's collective operation fails, since a rank has gone."""
    try:
        yield
    except RuntimeError as error:
        why = str(error).partition("] ")[2].partition(". ")[0] or str(error)
        raise RankGone(
            f"another process of this training has gone ({' '.join(why.split())[:120]}); resume "
            f"goes on from the last checkpoint"
        ) from error


@dataclass(frozen=True)
class World:
    """The processes of one training. Alone, every method returns its argument at no cost.

    All methods but the properties are collective: every rank has to call them, in the same order.

    Attributes:
        rank, size: Of this process, 0 to size - 1, among all.
        local_rank, local_size: Likewise among the processes of this machine.
    """

    rank: int = 0
    size: int = 1
    local_rank: int = 0
    local_size: int = 1

    @property
    def alone(self) -> bool:
        """Whether this is the only process."""
        return self.size == 1

    @property
    def is_main(self) -> bool:
        """Whether this process writes, prints and measures."""
        return self.rank == 0

    def mean_(self, flat: Tensor) -> Tensor:
        """Take the mean over ranks of a float tensor, in place, the same bits in every rank."""
        if self.size > 1:
            with _collective():
                dist.all_reduce(flat)
            flat /= self.size
        return flat

    def maximum_(self, values: Tensor) -> Tensor:
        """Take the maximum over ranks, entry by entry, in place."""
        if self.size > 1:
            with _collective():
                dist.all_reduce(values, op=dist.ReduceOp.MAX)
        return values

    def all(self, flags: Tensor) -> Tensor:
        """Return which flags are set in every rank: bool, any shape."""
        if self.size == 1:
            return flags
        return self.maximum_((~flags).to(torch.uint8)) == 0

    def max_over_ranks(self, number: int) -> int:
        """Return the maximum of one integer a rank."""
        return number if self.size == 1 else int(self.maximum_(torch.tensor(number)))

    def broadcast(self, value: T) -> T:
        """Return rank 0's value."""
        if self.size == 1:
            return value
        box = [value]
        with _collective():
            dist.broadcast_object_list(box, device=torch.device("cpu"))
        return box[0]

    def gather(self, value: T) -> list[T]:
        """Return every rank's value, by rank."""
        if self.size == 1:
            return [value]
        values: list[Any] = [None] * self.size
        # all_gather_object would send it through the GPU where there is one.
        for rank in range(self.size):
            box = [value]
            with _collective():
                dist.broadcast_object_list(box, src=rank, device=torch.device("cpu"))
            values[rank] = box[0]
        return values

    def run_on_main(self, function: Callable[[], T]) -> T:
        """Run a function in rank 0 alone; return its result in every rank.

        Raises:
            ConfigError: In every rank, where the function raises one.
            RankFailed: In the other ranks, where it raises anything else.
        """
        if self.size == 1:
            return function()
        failure: BaseException | None = None
        outcome: tuple[Any, str | None, bool] = (None, None, False)
        if self.is_main:
            try:
                outcome = (function(), None, False)
            except BaseException as error:
                failure = error
                outcome = (None, str(error), isinstance(error, ConfigError))
        result, message, is_config_error = self.broadcast(outcome)
        if failure is not None:
            raise failure
        if message is not None:
            if is_config_error:
                raise ConfigError(message)
            raise RankFailed(f"rank 0 failed: {message}")
        return result

    def run_on_all(self, function: Callable[[], T]) -> T:
        """Run a function in every rank, first in one of each machine (which may download).

        Raises:
            ConfigError: In every rank, where it raises one in any.
        """
        if self.size == 1:
            return function()
        result: T | None = None
        for turn in (self.local_rank == 0, self.local_rank > 0):
            message = None
            if turn:
                try:
                    result = function()
                except ConfigError as error:
                    message = str(error)
            for other in self.gather(message):
                if other is not None:
                    raise ConfigError(other)
        return result  # type: ignore[return-value]

    def shard(self, draws: StepDraws) -> StepDraws:
        """Return this rank's slice of the N axis of a step's draws, [updates, (S,) N, ...]."""
        if self.size == 1:
            return draws
        axis = draws.generator.mix.ndim - 1

        def own_slice(tensor: Tensor) -> Tensor:
            n = tensor.shape[axis] // self.size
            return tensor.narrow(axis, self.rank * n, n)

        return StepDraws(*(updates.map(own_slice) for updates in draws))

    def device(self, name: str) -> str:
        """Return the device of this rank for the typed `name`: one GPU a process.

        Raises:
            ConfigError: It names one GPU for several processes, or there are too few.
        """
        if self.size == 1:
            return name
        if name.startswith("cuda:"):
            raise ConfigError(
                f"device={name} is one GPU for {self.size} processes; take device=cuda, where each "
                f"process takes one of its own"
            )
        if name == "cpu" or not torch.cuda.is_available():
            return name
        if self.local_size > torch.cuda.device_count():
            raise ConfigError(
                f"{self.local_size} processes on this machine, but {torch.cuda.device_count()} "
                f"CUDA devices; start as many processes, or take device=cpu"
            )
        return f"cuda:{self.local_rank}"


ALONE = World()
_world = ALONE


def world() -> World:
    """Return the processes that this one has joined."""
    return _world


def _read_integer(
    environment: Mapping[str, str],
    name: str,
    at_least: int,
    at_most: int | None = None,
    default: int | None = None,
) -> int:
    """Return an integer of torchrun's environment; refuse one that is none or out of range."""
    text = environment.get(name, str(default))
    number = int(text) if text.isdecimal() else -1
    if number < at_least or (at_most is not None and number > at_most):
        end = "" if at_most is None else f" to {at_most}"
        raise ConfigError(
            f"{name}={text!r} is no whole number from {at_least}{end}; start the processes with "
            f"torchrun"
        )
    return number


@contextlib.contextmanager
def join_world(environment: Mapping[str, str] = os.environ) -> Iterator[World]:
    """Join the processes of the environment; alone where it names none.

    Raises:
        ConfigError: The environment is half of one, or makes no sense.
    """
    global _world
    if (environment.get("WORLD_SIZE") or "1") == "1" or not _world.alone:
        yield _world
        return
    missing = [name for name in _VARIABLES if name not in environment]
    if missing:
        raise ConfigError(
            f"WORLD_SIZE={environment['WORLD_SIZE']} says that several processes train together, "
            f"but {', '.join(missing)} is not set; start them with torchrun"
        )
    size = _read_integer(environment, "WORLD_SIZE", 1)
    rank = _read_integer(environment, "RANK", 0, size - 1)
    _read_integer(environment, "MASTER_PORT", 0, 65535)
    _world = World(
        rank,
        size,
        _read_integer(environment, "LOCAL_RANK", 0, size - 1, rank),
        _read_integer(environment, "LOCAL_WORLD_SIZE", 1, size, size),
    )
    # Either device can be reduced: flags and objects go through the CPU.
    has_nccl = torch.cuda.is_available() and dist.is_nccl_available()
    backend = "cpu:gloo,cuda:nccl" if has_nccl else "gloo"
    if torch.cuda.is_available() and _world.local_rank < torch.cuda.device_count():
        torch.cuda.set_device(_world.local_rank)
    dist.init_process_group(backend, rank=rank, world_size=size, timeout=_TIMEOUT)
    try:
        yield _world
    finally:
        _world = ALONE
        dist.destroy_process_group()
