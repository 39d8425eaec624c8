"""The step as CUDA graphs: recorded once, then started with one call instead of hundreds.

A step has no fixed number of discriminator updates (a warm-up has many), so it is not one graph:
one records a chunk of discriminator updates with its fakes, one for each size of chunk; another
holds the generator's updates. A lazy penalty takes one for each pattern of updates that have it as
well: for a chunk of n updates, n + 1 at most and no more than `every`. A step copies its draws into
tensors whose addresses stay, replays the graphs, and copies their results out.

The code for GPUs only is behind `Capture`; the tests have one that works on any device.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from gan_lab.engine.gradients import Gradients
from gan_lab.engine.rng import Draws, StepDraws
from gan_lab.engine.state import TrainState
from gan_lab.engine.step import (
    Update,
    by_seed,
    chunks,
    update_discriminator_,
    update_generator_,
)
from gan_lab.regularizers.base import Tensors

Program = Callable[[], Tensor]  # reads and writes only tensors whose addresses stay
_WARM_UPS = 3  # runs before a capture, in which libraries choose kernels and allocate workspaces


class Capture(Protocol):
    """A way to record a program."""

    def warm_up(self, program: Program) -> None:
        """Run it, so that first-time work is done; the caller undoes its writes."""
        ...

    def record(self, program: Program, static: Sequence[Tensor]) -> Program:
        """Record it without running it.

        Args:
            program: What to record.
            static: Every tensor that exists before and that the program may read or write.

        Returns:
            The replay; the tensor that it returns is overwritten by the next replay of any program.
        """
        ...


class CudaGraphs:
    """Recording with torch.cuda.graph, all graphs in one pool of memory: they never overlap."""

    def __init__(self, device: torch.device) -> None:
        self.device = device
        self._pool = torch.cuda.graph_pool_handle()

    def warm_up(self, program: Program) -> None:
        """Run it on a stream of its own, as a capture is."""
        with torch.cuda.device(self.device):
            side, main = torch.cuda.Stream(), torch.cuda.current_stream()
            side.wait_stream(main)
            with torch.cuda.stream(side):
                for _ in range(_WARM_UPS):
                    program()
            main.wait_stream(side)

    def record(self, program: Program, static: Sequence[Tensor]) -> Program:
        """See `Capture.record`."""
        graph = torch.cuda.CUDAGraph()
        # thread_local: the writer of TensorBoard's events may use the device meanwhile.
        with (
            torch.cuda.device(self.device),
            torch.cuda.graph(graph, pool=self._pool, capture_error_mode="thread_local"),
        ):
            output = program()

        def replay() -> Tensor:
            graph.replay()
            return output

        return replay


@dataclass(frozen=True)
class _Graph:
    inputs: Draws
    replay: Program
    names: list[str]


class GraphedStep:
    """One step from recorded graphs: the same as `step.train_step`.

    Graphs are made when they are first needed. The state may be loaded at any time, since that is
    done in place; learning rates have to be tensors if they change. Without a capture: CUDA's.
    """

    def __init__(
        self,
        state: TrainState,
        gradients: Gradients,
        ema_decay: float,
        capture: Capture | None = None,
    ) -> None:
        self.state, self.gradients, self.ema_decay = state, gradients, ema_decay
        self._device = next(iter(state.generator.params.values())).device
        self._capture = capture or CudaGraphs(self._device)
        self._graphs: dict[tuple[str, tuple[tuple[int, ...], ...]], _Graph] = {}
        self._finite: Tensor | None = None

    def __call__(self, draws: StepDraws) -> tuple[Tensors, Tensor]:
        """Take one step; see `step.train_step` for what it returns."""
        if self._finite is None:
            seeds = draws.generator.z.shape[1:2] if self.gradients.stacked else ()
            self._finite = torch.ones(seeds, dtype=torch.bool, device=self._device)
        self._finite.fill_(True)
        values: Tensors = {}
        for chunk in chunks(draws.discriminator):
            values.update(self._run("discriminator", chunk))
        values.update(self._run("generator", draws.generator))
        self.state.average_(self.ema_decay)  # outside of the graph: its weight changes
        self.state.step += 1
        return by_seed(values), self._finite.reshape(-1).clone()

    def _run(self, network: str, draws: Draws) -> Tensors:
        factors_at, updates = self.gradients.objective.factors_at, range(len(draws.z))
        key = (network, tuple(factors_at(draws.index_in_run(i)) for i in updates))
        if key not in self._graphs:
            self._graphs[key] = self._record(network, draws)
        graph = self._graphs[key]
        _copy_draws_(graph.inputs, draws)
        # Graphs share memory, so the next one may overwrite the values.
        values = graph.replay().clone()
        return dict(zip(graph.names, values.unbind(), strict=True))

    def _record(self, network: str, draws: Draws) -> _Graph:
        inputs, names = _empty_like(draws), list[str]()
        make_updates_ = self._discriminator_ if network == "discriminator" else self._generator_
        finite = self._finite
        assert finite is not None

        def program() -> Tensor:
            results = make_updates_(inputs)
            finite.logical_and_(torch.stack([each.size for each in results]).isfinite().all(0))
            values = {tag: value for each in results for tag, value in each.values.items()}
            names[:] = values
            return torch.stack(list(values.values()))

        _copy_draws_(inputs, draws)
        state = [*_tensors(self.state), finite]
        before = [leaf.clone() for leaf in state]
        self._capture.warm_up(program)
        for leaf, value in zip(state, before, strict=True):
            leaf.copy_(value)
        replay = self._capture.record(program, [*state, *_parts(inputs)])
        return _Graph(inputs, replay, names)

    def _discriminator_(self, inputs: Draws) -> list[Update]:
        d = self.state.discriminator
        fakes = self.gradients.fakes(self.state, inputs.z)
        gradients = self.gradients
        return [update_discriminator_(d, gradients, inputs, i, x) for i, x in enumerate(fakes)]

    def _generator_(self, inputs: Draws) -> list[Update]:
        state, gradients = self.state, self.gradients
        return [update_generator_(state, gradients, inputs, i) for i in range(len(inputs.z))]


def _parts(draws: Draws) -> list[Tensor]:
    return [draws.real, draws.z, draws.mix, *draws.noise.values()]


def _empty_like(draws: Draws) -> Draws:
    return draws.map(torch.empty_like)


def _copy_draws_(inputs: Draws, draws: Draws) -> None:
    for target, source in zip(_parts(inputs), _parts(draws), strict=True):
        target.copy_(source)


def _tensors(state: TrainState) -> list[Tensor]:
    """Return everything that an update reads or writes, without a graph."""
    tensors: list[Tensor] = []
    for network in (state.discriminator, state.generator):
        optimizer = network.optimizer  # with its rate, if that is a tensor
        tensors += [network.flat, network.gradient, *network.buffers.values()]
        tensors += optimizer.state.values()
        if isinstance(optimizer.rate, Tensor):
            tensors.append(optimizer.rate)
    return [tensor.detach() for tensor in tensors]
