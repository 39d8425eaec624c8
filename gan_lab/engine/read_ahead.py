"""Real samples of training steps from a set outside of the device, read a chunk of steps ahead."""

from collections.abc import Callable

import torch
from torch import Tensor

from gan_lab.data.base import to_float
from gan_lab.data.host import Fetch, HostSource

_CHUNK_BYTES = 1 << 24  # of a chunk, unless one step has more


def n_chunk_steps(block_steps: int, step_bytes: int) -> int:
    """Return how many steps are read at once; two such chunks lie on the device."""
    return max(1, min(block_steps, _CHUNK_BYTES // max(1, step_bytes)))


class ReadAhead:
    """The real samples of one network's updates, step by step.

    While the steps of one chunk are made, a thread reads the next. What a step gets is named by its
    tickets alone: one that is asked for out of turn, as after a resume, is read when it is asked
    for.
    """

    def __init__(
        self,
        source: HostSource,
        block_steps: int,
        chunk_steps: int,
        updates_before: Callable[[int], int],
        tickets: Callable[[int], Tensor],
    ) -> None:
        """Take the source and what names its samples.

        Args:
            source: The set.
            block_steps: Steps that are drawn at once.
            chunk_steps: Steps that are read at once, at most.
            updates_before: Step -> updates of the network in all steps before it.
            tickets: First step of a block -> tickets of all its updates, [updates, (S,) N]; called
                in the thread that reads.
        """
        self._source, self._updates_before, self._tickets = source, updates_before, tickets
        self._block_steps, self._chunk_steps = block_steps, chunk_steps
        self._fetches: dict[int, Fetch] = {}  # by the first step of their chunk
        self._last_step: int | None = None
        self._block: tuple[int, Tensor] = (-1, torch.empty(0))  # tickets, of the thread alone

    def samples(self, step: int) -> Tensor:
        """Return the samples of a step's updates, [updates, (S,) N, *shape], float32.

        Raises:
            OSError: They cannot be read.
        """
        start, stop = self._chunk(step)
        starts = [start]
        if self._last_step is not None and step == self._last_step + 1:  # steps are made in turn
            starts.append(stop)
        self._last_step = step
        self._fetches = {first: self._fetches.get(first) or self._fetch(first) for first in starts}
        before = self._updates_before
        rows = slice(before(step) - before(start), before(step + 1) - before(start))
        return to_float(self._fetches[start].result()[rows])

    def _chunk(self, step: int) -> tuple[int, int]:
        """Return the first step of the chunk that has a step, and that of the next chunk."""
        block = step - step % self._block_steps
        start = step - (step - block) % self._chunk_steps
        return start, min(start + self._chunk_steps, block + self._block_steps)

    def _fetch(self, first: int) -> Fetch:
        start, stop = self._chunk(first)
        return self._source.fetch(lambda: self._tickets_of(start, stop))

    def _tickets_of(self, start: int, stop: int) -> Tensor:
        block = start - start % self._block_steps
        if self._block[0] != block:
            self._block = (block, self._tickets(block).cpu())
        before = self._updates_before
        return self._block[1][before(start) - before(block) : before(stop) - before(block)]
