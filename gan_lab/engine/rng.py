"""All randomness of training, as arguments of the step.

A stream is a torch.Generator derived from (seed, purpose). Each purpose (which real samples, which
z, which mix, ...) has its own stream, so runs of different losses with one seed see the same
batches and the same noise. Draws are made in blocks of a fixed number of steps, for few launches;
each block has streams of its own, so any step can be drawn at once and a checkpoint holds no
random state.
"""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import itemgetter
from typing import NamedTuple

import torch
from torch import Tensor

from gan_lab.data.base import Source
from gan_lab.data.host import HostSource
from gan_lab.engine.labels import LABELS, ClassLabels, join_labels
from gan_lab.engine.read_ahead import ReadAhead, n_chunk_steps
from gan_lab.engine.schedule import Schedule

_BLOCK_STEPS = 32
_BLOCK_NUMBERS = 16_000_000  # at most, a block and seed: 64 MB in float32


def stream(seed: int, purpose: str, device: torch.device | str = "cpu") -> torch.Generator:
    """Return a generator for one purpose of one seed, the same on every machine of one type."""
    digest = hashlib.sha256(f"{seed}/{purpose}".encode()).digest()
    return torch.Generator(device).manual_seed(int.from_bytes(digest[:8], "big") >> 1)


class Draws(NamedTuple):
    """Randomness of one network's updates; leading axis the updates, then seeds when stacked.

    Attributes:
        real: Real samples, [updates, (S,) N, *shape]; in a block their tickets, see `data.Source`.
        z: Standard normal, [updates, (S,) N, latent_dim]; in a step of a conditional run the labels
            follow it, [.., latent_dim + K].
        mix: Uniform on [0, 1], [updates, (S,) N].
        noise: Standard normal, for the regularizers, each [updates, (S,) N, *shape]. In a step of a
            conditional run also "labels", the classes of `real`, one-hot [updates, (S,) N, K];
            the fakes of an update have the same.
        first: Index of the first update among those of the network in the whole run, from 0: lazy
            penalties follow it. None outside of a run: every penalty at every update.
    """

    real: Tensor
    z: Tensor
    mix: Tensor
    noise: dict[str, Tensor]
    first: int | None = None

    def map(self, function: Callable[[Tensor], Tensor]) -> "Draws":
        """Return the draws with a function applied to each tensor, of the same updates."""
        noise = {name: function(tensor) for name, tensor in self.noise.items()}
        return Draws(function(self.real), function(self.z), function(self.mix), noise, self.first)

    def updates(self, start: int, stop: int) -> "Draws":
        """Return the draws of some of the updates, counted from the first of these."""
        return self.map(itemgetter(slice(start, stop)))._replace(first=self.index_in_run(start))

    def index_in_run(self, update: int) -> int | None:
        """Return the index in the run of one of the updates; None outside of a run."""
        return None if self.first is None else self.first + update

    def noise_of(self, update: int) -> dict[str, Tensor]:
        """Return the noise of one update."""
        return {name: tensor[update] for name, tensor in self.noise.items()}


class StepDraws(NamedTuple):
    """All randomness of one step."""

    discriminator: Draws
    generator: Draws


@dataclass(frozen=True)
class DrawSpec:
    """The sizes of a step's draws, which all seeds share.

    Attributes:
        batch_size: Samples of one update.
        latent_dim: Dimensions of z.
        noise: Name -> shape of the regularizers' noise for one sample.
        schedule: How many updates a step has.
        max_steps: Steps drawn at once, unless they are too large for that.
        generator_sees_real: Whether the generator's updates depend on their real samples; else
            those of a set outside of the device are zeros and are not read.
        conditional: Whether the classes of the real samples are drawn with them.
    """

    batch_size: int
    latent_dim: int
    noise: Mapping[str, tuple[int, ...]]
    schedule: Schedule
    max_steps: int = _BLOCK_STEPS
    generator_sees_real: bool = True
    conditional: bool = False

    @property
    def block_steps(self) -> int:
        """Steps drawn at once: fixed by the configuration, never by the number of seeds."""
        per_sample = self.latent_dim + 2 + sum(torch.Size(s).numel() for s in self.noise.values())
        updates = self.schedule.max_discriminator_updates + self.schedule.n_generator
        per_step = updates * self.batch_size * per_sample
        return max(1, min(self.max_steps, _BLOCK_NUMBERS // per_step))

    def step_bytes(self, sample_bytes: int) -> int:
        """Return the bytes of the real samples of one seed and step, at most."""
        n_generator = self.schedule.n_generator if self.generator_sees_real else 0
        updates = self.schedule.max_discriminator_updates + n_generator
        return updates * self.batch_size * sample_bytes


class Streams:
    """The draws of any step, for one seed or stacked for several.

    Attributes:
        labels: The classes of the data, of a conditional run; else None.

    They have no state: each block's generators are derived from (seed, purpose, block), so a step
    has the same draws whichever was drawn before it.
    """

    def __init__(
        self, seeds: Sequence[int], spec: DrawSpec, source: Source, purpose: str = ""
    ) -> None:
        self.seeds, self.spec, self.source, self.purpose = tuple(seeds), spec, source, purpose
        self._block_start = -1
        self._block: dict[str, Draws] = {}
        self._ahead: dict[str, ReadAhead] = {}
        self.labels = ClassLabels(source) if spec.conditional else None
        if isinstance(source, HostSource):
            self._read_ahead(source)

    def draws(self, step: int) -> StepDraws:
        """Return the randomness of a step; steps in order draw each block once."""
        start = step - step % self.spec.block_steps
        if start != self._block_start:
            self._draw_block(start)
        updates = self.spec.schedule.discriminator_updates
        before = sum(updates(s) for s in range(start, step))
        n_generator = self.spec.schedule.n_generator
        offset = (step - start) * n_generator
        return StepDraws(
            self._slice("discriminator", step, before, before + updates(step)),
            self._slice("generator", step, offset, offset + n_generator),
        )

    def _draw_block(self, start: int) -> None:
        steps = range(start, start + self.spec.block_steps)
        n_discriminator = sum(self.spec.schedule.discriminator_updates(s) for s in steps)
        n_generator = len(steps) * self.spec.schedule.n_generator
        first = self.spec.schedule.discriminator_steps(start)
        self._block = {
            "discriminator": self._draw("discriminator", start, n_discriminator)._replace(
                first=first
            ),
            "generator": self._draw("generator", start, n_generator),
        }
        self._block_start = start

    def _draw(self, network: str, start: int, updates: int) -> Draws:
        seeds = [self._draw_seed(seed, network, start, updates) for seed in self.seeds]
        if len(seeds) == 1:
            return seeds[0]
        real, z, mix, noises, _ = zip(*seeds, strict=True)
        noise = {name: _stack_seeds([each[name] for each in noises]) for name in self.spec.noise}
        return Draws(_stack_seeds(real), _stack_seeds(z), _stack_seeds(mix), noise)

    def _draw_seed(self, seed: int, network: str, start: int, updates: int) -> Draws:
        n, device = self.spec.batch_size, self.source.device

        def generator(of: str) -> torch.Generator:
            return stream(seed, f"{self.purpose}{network}/{of}/{start}", device)

        def normal(of: str, *shape: int) -> Tensor:
            return torch.randn(updates, n, *shape, generator=generator(of), device=device)

        return Draws(
            self._tickets(seed, network, start, updates),
            normal("z", self.spec.latent_dim),
            torch.rand(updates, n, generator=generator("mix"), device=device),
            {name: normal(f"noise/{name}", *shape) for name, shape in self.spec.noise.items()},
        )

    def _tickets(self, seed: int, network: str, start: int, updates: int) -> Tensor:
        n, purpose = self.spec.batch_size, f"{self.purpose}{network}/real/{start}"
        real = self.source.draw(updates * n, stream(seed, purpose, self.source.device))
        return real.reshape(updates, n, *real.shape[1:])

    def _read_ahead(self, source: HostSource) -> None:
        spec, schedule = self.spec, self.spec.schedule
        step_bytes = spec.step_bytes(source.sample_bytes) * len(self.seeds)
        chunk_steps = n_chunk_steps(spec.block_steps, step_bytes)
        updates_before: dict[str, Callable[[int], int]] = {
            "discriminator": schedule.discriminator_steps
        }
        if spec.generator_sees_real:
            updates_before["generator"] = lambda step: step * schedule.n_generator

        def reader(network: str, before: Callable[[int], int]) -> ReadAhead:
            def tickets(start: int) -> Tensor:
                updates = before(start + spec.block_steps) - before(start)
                rows = [self._tickets(seed, network, start, updates) for seed in self.seeds]
                return rows[0] if len(rows) == 1 else _stack_seeds(rows)

            return ReadAhead(source, spec.block_steps, chunk_steps, before, tickets)

        self._ahead = {network: reader(network, b) for network, b in updates_before.items()}

    def _slice(self, network: str, step: int, start: int, stop: int) -> Draws:
        draws = self._block[network].updates(start, stop)
        if self.labels is not None:  # by the tickets: no draw of an unconditional run changes
            labels = self.labels.of(draws.real)
            noise = {**draws.noise, LABELS: labels}
            draws = draws._replace(z=join_labels(draws.z, labels), noise=noise)
        return draws._replace(real=self._real(network, step, draws.real))

    def _real(self, network: str, step: int, tickets: Tensor) -> Tensor:
        if network in self._ahead:
            return self._ahead[network].samples(step)
        if self._ahead:
            zero = torch.zeros((), device=self.source.device)
            return zero.expand(*tickets.shape, *self.source.shape)
        return self.source.gather(tickets)


def _stack_seeds(seeds: Sequence[Tensor]) -> Tensor:
    """Stack S tensors [updates, ...] as [updates, S, ...]; torch.stack takes ten times as long."""
    first = seeds[0]
    together = first.new_empty(first.shape[0], len(seeds), *first.shape[1:])
    for index, tensor in enumerate(seeds):
        together[:, index] = tensor
    return together
