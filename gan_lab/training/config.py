"""A run before it runs: everything that was chosen, checked as a whole, and opened.

`Setup` allocates nothing. `Setup.check` refuses what cannot work, with the reason; `open` reads the
data and makes the networks.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from torch import nn

from gan_lab.data.base import Data, Source
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.backends.select import build_gradients, build_step
from gan_lab.engine.distributed import ALONE, World
from gan_lab.engine.execution import Execution, resolve_device
from gan_lab.engine.objective import Objective
from gan_lab.engine.optimizers import Optimizer
from gan_lab.engine.rng import DrawSpec, Streams, stream
from gan_lab.engine.state import TrainState, leaves_of
from gan_lab.errors import ConfigError
from gan_lab.losses.base import AdversarialLoss
from gan_lab.losses.wasserstein import Wasserstein
from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings
from gan_lab.metrics.metrics import Metric
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.networks.base import NetworkPair, batch_coupling
from gan_lab.regularizers.base import Regularizer
from gan_lab.regularizers.instance_noise import InstanceNoise
from gan_lab.regularizers.spectral_norm import SpectralNorm
from gan_lab.regularizers.weight_clipping import WeightClipping
from gan_lab.training import memory
from gan_lab.training.run import Networks, Run
from gan_lab.training.trainer_settings import TrainerSettings

LEAST = 20  # samples of each part of a finite set that a run can be measured with


@dataclass(frozen=True)
class Setup:
    """Everything that was chosen for a run.

    Attributes:
        config: The resolved configuration it was built from, for the record.
        overrides: The keys that were typed, for the record, as key=value; None where unknown.
        seeds: One integer a seed; several are trained at once, stacked.
        world: Who else trains the same run.
    """

    data: Data
    network: NetworkPair
    loss: AdversarialLoss
    regularizers: Mapping[str, Regularizer]
    optim: Optimizer
    trainer: TrainerSettings
    evaluator: EvaluatorSettings
    metrics: Mapping[str, Metric]
    neural_distance: NeuralDistance
    execution: Execution
    device: str
    seeds: Sequence[int]
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    overrides: tuple[str, ...] | None = field(default=None, repr=False)
    world: World = ALONE

    def check(self, source: Source, here: bool = True) -> None:
        """Refuses what would fail or mislead later, before any parameter is allocated.

        Args:
            source: The data, on any device.
            here: Whether this machine will run it, so that its memory has to suffice.

        Raises:
            ConfigError: What, why, and what to do instead.
        """
        generator, discriminator = memory.on_meta(self.network, source.shape)
        packing, size = self.network.packing, self.trainer.batch_size
        if size % packing:
            raise ConfigError(
                f"trainer.batch_size={size} is no multiple of network.packing={packing}, whose "
                f"packs it has to fill; set trainer.batch_size={packing * max(1, size // packing)}"
            )
        coupling = batch_coupling(discriminator)
        cure = "network.packing=1" if packing > 1 else "network.discriminator_norm=layer"
        for name, regularizer in self.regularizers.items():
            if coupling and regularizer.needs_independent_samples:
                raise ConfigError(
                    f"regularizer '{name}' needs a discriminator whose samples are independent, "
                    f"but network.discriminator contains {coupling}. "
                    f"Set {cure}, or drop the penalty with regularizer=none."
                )
        parts = (source.n_train, source.n_validation, source.n_held_out)
        if min(LEAST if n is None else n for n in parts) < LEAST:
            raise ConfigError(
                f"{source.n_train} samples are left to train on, {source.n_validation} for "
                f"validation and {source.n_held_out} to hold out, but the ruler and the probe need "
                f"{LEAST} of each: change data.n_held_out, data.held_out_share or "
                f"data.n_validation, or bring more samples"
                + "".join(f"; {warning}" for warning in source.warnings)
            )
        n = min(self.evaluator.n, self.evaluator.final_n, *(n for n in parts if n is not None))
        for name, metric in self.metrics.items():
            if n < metric.least:
                raise ConfigError(
                    f"metric '{name}' needs {metric.least} samples on each side, but gets {n}: "
                    f"raise evaluator.n={self.evaluator.n} and evaluator.final_n="
                    f"{self.evaluator.final_n}, lower metrics.{name}.k, or bring more samples"
                )
        sides = ((self.evaluator.n, parts[1]), (self.evaluator.final_n, parts[2]))
        if here:
            self.execution.check(resolve_device(self.device), self.world.alone)
            memory.check(
                (generator, discriminator),
                source,
                resolve_device(self.device),
                self.network.latent_dim,
                tuple(self.regularizers.values()),
                self.optim,
                self.trainer,
                len(self.seeds),
                self.world.local_size,
                max(min(n, part or n, source.n_train or n) for n, part in sides),
            )

    def warnings(self) -> list[str]:
        """What is allowed but known to go wrong, in one sentence each."""
        found = []
        kinds = [type(regularizer) for regularizer in self.regularizers.values()]
        critic = isinstance(self.loss, Wasserstein)
        if critic and not set(kinds) - {InstanceNoise}:
            found.append(
                "loss=wasserstein without a regularizer: the critic's slope is unbounded and its "
                "value means nothing; add regularizer=[gradient_penalty]"
            )
        if critic and kinds == [SpectralNorm]:
            found.append(
                "loss=wasserstein with spectral_norm alone barely moves: each layer's slope is at "
                "most 1 and the product far below it; scale the data or prefer gradient_penalty"
            )
        momentum = getattr(self.optim, "momentum", 0.0) or getattr(self.optim, "betas", (0.0,))[0]
        if WeightClipping in kinds and momentum:
            found.append(
                "weight_clipping with momentum is unstable (Arjovsky et al. 2017, section 4); "
                "prefer optim=rmsprop"
            )
        return found

    def resolved(self, source: Source) -> "Setup":
        """The same with `execution.mode=auto` decided, in the record too: resume has to keep it."""
        regularizers = tuple(self.regularizers.values())
        objective = Objective(*self._on_meta(source), self.loss, regularizers)
        schedule, steps = self.trainer.schedule, self.trainer.steps
        n_updates = schedule.discriminator_steps(steps) + schedule.n_generator * steps
        alone = self.world.alone
        mode = self.execution.resolved(
            source.device, n_updates, AnalyticMlpGradients.knows(objective), alone
        )
        if mode == self.execution.mode:
            return self
        config = {**self.config, "execution": {**self.config.get("execution", {}), "mode": mode}}
        return replace(self, execution=replace(self.execution, mode=mode), config=config)

    def largest_weight(self, source: Source) -> int:
        """Numbers in the largest weight of both networks: what decides how they run fastest."""
        return max(p.numel() for network in self._on_meta(source) for p in network.parameters())

    def _on_meta(self, source: Source) -> tuple[nn.Module, nn.Module]:
        return memory.on_meta(self.network, source.shape)

    def open(self) -> Run:
        """Reads the data, checks the whole, makes networks, optimisers and streams.

        Raises:
            ConfigError: Something in the choice or in the data cannot be run.
        """
        source = self.data.open(resolve_device(self.device))
        self.check(source)
        return self.open_with(source)

    def networks(self, source: Source) -> Networks:
        """Freshly initialised modules for every seed."""
        return Networks(
            [self._network(source, seed, "generator") for seed in self.seeds],
            [self._network(source, seed, "discriminator") for seed in self.seeds],
        )

    def open_with(self, source: Source, networks: Networks | None = None, purpose: str = "") -> Run:
        """The same on data that are open and checked.

        Args:
            source: The data.
            networks: Modules to start from instead of fresh ones, without regularizers' buffers.
            purpose: Goes before the name of every stream of training.
        """
        stacked = len(self.seeds) > 1
        generators, discriminators = networks or self.networks(source)
        for discriminator in discriminators:
            for regularizer in self.regularizers.values():
                regularizer.prepare(discriminator)
        n_parameters = sum(
            p.numel() for m in (*generators, *discriminators) for p in m.parameters()
        )
        self.execution.set_threads(n_parameters)
        self.execution.set_precision()
        state = TrainState(
            leaves_of(discriminators, stacked, source.device),
            leaves_of(generators, stacked, source.device),
            self.optim,
        )
        regularizers = tuple(self.regularizers.values())
        objective = Objective(
            _template(generators[0]), _template(discriminators[0]), self.loss, regularizers
        )
        chosen = self.resolved(source).execution
        gradients = build_gradients(objective, stacked, chosen)
        # Those of the step are averaged over processes; what measures is one of them alone.
        moving = gradients
        if not self.world.alone:
            moving = build_gradients(objective, stacked, chosen, self.world)
        noise = {
            name: shape for r in regularizers for name, shape in r.noise_spec(source.shape).items()
        }
        spec = DrawSpec(
            self.trainer.batch_size, self.network.latent_dim, noise, self.trainer.schedule
        )
        return Run(
            tuple(self.seeds),
            stacked,
            source,
            objective,
            gradients,
            build_step(state, moving, self.trainer.ema, chosen),
            state,
            Streams(self.seeds, stacked, spec, source, purpose),
            Evaluator(self.evaluator, self.metrics, source, self.network.latent_dim),
        )

    def _network(self, source: Source, seed: int, name: str) -> nn.Module:
        module: nn.Module = getattr(self.network, name)(source.shape)
        self.network.initialise_(module, stream(seed, f"init/{name}"))
        return module


def _template(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).to("meta")
