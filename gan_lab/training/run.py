"""An opened run: data, networks, optimiser state and evaluator on one device."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import torch
from torch import Tensor, nn

from gan_lab.data.base import Source
from gan_lab.engine.accumulator import Accumulator
from gan_lab.engine.backends.select import Step
from gan_lab.engine.gradients import Gradients
from gan_lab.engine.labels import ClassLabels, join_labels
from gan_lab.engine.objective import Objective
from gan_lab.engine.rng import Streams, stream
from gan_lab.engine.schedule import learning_rate_factor
from gan_lab.engine.state import TrainState
from gan_lab.metrics.evaluator import Evaluator
from gan_lab.regularizers.base import Tensors

if TYPE_CHECKING:
    from gan_lab.training.config import RunConfig


@dataclass
class Run:
    """An opened configuration. A seed's `index` is its place in `seeds`.

    Attributes:
        config: What was chosen.
        source: The data, on the device.
        objective: Both networks' losses, for one seed.
        gradients: How they are differentiated for all seeds.
        step: The program of one step: its draws -> values to log and whether all was finite, [S].
        state: Networks, optimisers, the generator's average, the number of steps.
        streams: All randomness of training.
        evaluator: What measures it.
        accumulator: Means of the values of steps since they were last logged.
        active: Indices of the seeds that go on; the others were dropped.
        rows: Of each seed, what the callbacks have to log at this step, by tag.
        failures: Seeds by index whose samples or estimates are not finite at this step, and which.
        stop_requested: Whether the loop ends after this step.
        is_step_complete: Whether the callbacks have acted after this step; else they will.
    """

    config: "RunConfig"
    source: Source
    objective: Objective
    gradients: Gradients
    step: Step
    state: TrainState
    streams: Streams
    evaluator: Evaluator
    accumulator: Accumulator = field(default_factory=Accumulator)
    active: list[int] = field(init=False)
    rows: list[dict[str, float]] = field(init=False)
    failures: dict[int, str] = field(default_factory=dict)
    stop_requested: bool = False
    is_step_complete: bool = False
    _values: Tensors = field(default_factory=dict)
    _finite: Tensor | None = None

    def __post_init__(self) -> None:
        self.active = list(range(len(self.seeds)))
        self.rows = [{} for _ in self.seeds]

    @property
    def seeds(self) -> tuple[int, ...]:
        """The seeds that are trained at once."""
        return tuple(self.config.seeds)

    def train_step(self) -> None:
        """Make one step with the randomness that belongs to it."""
        decay, step = self.config.optim.decay, self.state.step
        if decay != "constant":
            factor = learning_rate_factor(decay, step, self.config.trainer.steps)
            self.state.discriminator.set_lr_factor_(factor)
            self.state.generator.set_lr_factor_(factor)
        values, finite = self.step(self.config.world.shard(self.streams.draws(step)))
        self.state.restore_frozen_()
        self._values = values
        self.accumulator.add_(values)
        self._finite = finite if self._finite is None else self._finite & finite
        self.is_step_complete = False

    def drop(self, seeds: Collection[int]) -> None:
        """Keep the state of these seeds as it is now, whatever steps are made from here on.

        No seed ever reads another's numbers, so the others are, bit for bit, what they would be.
        """
        for index in [i for i in self.active if self.seeds[i] in seeds]:
            self.active.remove(index)
            self.rows[index] = {}
            self.state.freeze_(index)

    def last_values(self) -> Tensors:
        """Return the values of the last step, [S], means over processes, each of which calls it."""
        return {t: self.config.world.mean_(value.clone()) for t, value in self._values.items()}

    def finite_seeds(self) -> Tensor:
        """Return whether all numbers of each seed were finite since the last call, [S], on the CPU.

        These are losses, gradients and weights, in every process. It waits for the device, and the
        accumulator's means are then those over all processes; each of them has to call it.
        """
        state, n_seeds, world = self.state, len(self.seeds), self.config.world
        leaves = (state.discriminator.flat, *state.average.values())
        rows = [leaf.detach().reshape(n_seeds, -1).isfinite().all(1) for leaf in leaves]
        finite = torch.stack(rows).all(0)
        if self._finite is not None:
            finite = finite & self._finite
        self._finite = None
        self.accumulator.reduce_(world)
        return world.all(finite).cpu()

    @property
    def labels(self) -> ClassLabels | None:
        """The classes of the data, where both networks are given them."""
        return self.streams.labels

    def discriminator_leaves(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return parameters (detached) and buffers of one seed's discriminator."""
        return self.state.discriminator.of_seed(index)

    @torch.no_grad()
    def samples(self, index: int, z: Tensor) -> Tensor:
        """Return one seed's averaged generator at z: [N, latent_dim] -> [N, *shape].

        Of a conditional run z is followed by the classes, [N, latent_dim + K]; see `join_labels`.
        """
        return self.samples_from(self.state.average, index, z)

    @torch.no_grad()
    def samples_from(self, average: Mapping[str, Tensor], index: int, z: Tensor) -> Tensor:
        """Return `samples` of averaged generators that were saved at another step."""
        g = self.state.generator
        leaves = g.select(average, index)
        params, buffers = ({name: leaves[name] for name in part} for part in (g.params, g.buffers))
        return self.objective.samples(params, buffers, z)

    def generate(self, index: int, n: int, generator: torch.Generator) -> Tensor:
        """Return n samples of one seed's averaged generator, from a generator's randomness."""
        return self.samples(index, self.latents(n, generator))

    def latents(self, n: int, generator: torch.Generator, labels: Tensor | None = None) -> Tensor:
        """Return z, standard normal, [N, latent_dim], from a generator's randomness.

        In a conditional run it is followed by labels [N, K], those of random training samples
        unless given.
        """
        shape = (n, self.streams.spec.latent_dim)
        z = torch.randn(shape, generator=generator, device=generator.device)
        if self.labels is not None and labels is None:
            labels = self.labels.draw(n, generator)
        return join_labels(z, labels)

    def noise(self, index: int, purpose: str, n: int, labels: Tensor | None = None) -> Tensor:
        """Return `latents` for one purpose of one seed."""
        return self.latents(n, stream(self.seeds[index], purpose, self.source.device), labels)

    @torch.no_grad()
    def current_samples(self, index: int, z: Tensor) -> Tensor:
        """Return `samples` of the generator as it is, without averaging."""
        return self.objective.samples(*self.state.generator.of_seed(index), z)

    @torch.no_grad()
    def fakes(self, index: int, z: Tensor) -> Tensor:
        """Return the input of one seed's discriminator for z: the generator as it is."""
        return self.objective.fakes(*self.state.generator.of_seed(index), z)


class Networks(NamedTuple):
    """The modules of both networks, one of each for every seed."""

    generators: list[nn.Module]
    discriminators: list[nn.Module]
