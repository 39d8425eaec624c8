"""The configuration of a run as objects, checked as a whole, and opened.

`RunConfig` allocates nothing. `RunConfig.check` refuses what cannot work, with the reason; `open`
reads the data and builds the networks.
"""

import copy
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

from torch import nn

from gan_lab.data.base import Data, Source
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.backends.select import build_gradients, build_step
from gan_lab.engine.devices import resolve_device
from gan_lab.engine.distributed import ALONE, World
from gan_lab.engine.execution import Execution
from gan_lab.engine.objective import Objective
from gan_lab.engine.optimizers import Optimizer
from gan_lab.engine.rng import DrawSpec, Streams, stream
from gan_lab.engine.schedule import Schedule
from gan_lab.engine.state import TrainState, build_network
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
from gan_lab.validation import check_choice, check_count, check_interval

_MIN_SAMPLES = 20  # of each part of a finite set that a run can be measured with
_MAX_LANDSCAPES = 48


@dataclass(frozen=True)
class TrainerSettings:
    """The keys of `trainer` in the config; intervals are in steps.

    Attributes:
        steps: Each with n_critic discriminator updates, then n_generator generator updates.
        batch_size: Samples of one update.
        n_critic: Discriminator updates of a step.
        n_generator: Generator updates of a step.
        warmup_steps: First steps with `warmup_n_critic` discriminator updates.
        warmup_every: Steps divisible by it have as many.
        warmup_n_critic: See `Schedule`.
        ema: Decay of the generator's moving average, whose samples are measured and drawn.
        log_every: Steps between two lines of metrics.
        image_every: Steps between two pictures; 0 = never, None = once the cost of a picture is
            known, so that evaluator.budget is kept.
        landscape_every: Steps between two saved landscapes of the discriminator; 0 = never, None =
            a power of two that gives at most 48 of them, so that runs of different losses share
            their steps.
        checkpoint_every: Steps between two checkpoints; 0 = at the end only.
        keep_checkpoints: Newest checkpoints that are kept.
        on_divergence: "stop" ends the run at a number that is not finite; "drop_seed" stops its
            seed alone, as long as another seed goes on.
        n_preview: Samples in a picture, from noise that stays fixed.
    """

    steps: int
    batch_size: int
    n_critic: int = 1
    n_generator: int = 1
    warmup_steps: int = 0
    warmup_every: int = 0
    warmup_n_critic: int = 100
    ema: float = 0.99
    log_every: int = 50
    image_every: int | None = None
    landscape_every: int | None = None
    checkpoint_every: int = 500
    keep_checkpoints: int = 2
    n_preview: int = 64
    on_divergence: str = "stop"

    def __post_init__(self) -> None:
        for name in ("steps", "log_every", "keep_checkpoints"):
            check_count(self, name)
        check_count(self, "n_preview", at_most=10_000)
        check_count(self, "batch_size", at_least=2)
        check_count(self, "checkpoint_every", at_least=0)
        for name in ("image_every", "landscape_every"):
            if getattr(self, name) is not None:
                check_count(self, name, at_least=0)
        check_choice(self, "on_divergence", ["stop", "drop_seed"])
        check_interval(self, "ema", self.ema, low_open=False, high=1.0)
        _ = self.schedule

    @property
    def landscape_interval(self) -> int:
        """Steps between two saved landscapes; 0 = never."""
        if self.landscape_every is not None:
            return self.landscape_every
        return 1 << max(0, math.ceil(math.log2(self.steps / _MAX_LANDSCAPES)))

    @cached_property
    def schedule(self) -> Schedule:
        """How many updates of each network a step makes."""
        warmup = (self.warmup_steps, self.warmup_every, self.warmup_n_critic)
        return Schedule(self.n_critic, self.n_generator, *warmup)


@dataclass(frozen=True)
class RunConfig:
    """All choices of a run."""

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
    seeds: Sequence[int]  # several are trained at once, stacked
    resolved: dict[str, Any] = field(default_factory=dict, repr=False)  # for config.yaml
    overrides: tuple[str, ...] | None = field(default=None, repr=False)  # typed; None: unknown
    world: World = ALONE  # the processes that train the same run

    def check(self, source: Source, here: bool = True) -> None:
        """Refuse what would fail or mislead later, before any parameter is allocated.

        If this machine will run it (`here`), its memory has to suffice.

        Raises:
            ConfigError: What, why, and what to do instead.
        """
        networks = memory.on_meta(self.network, source.shape)
        packing, size = self.network.packing, self.trainer.batch_size
        if size % packing:
            raise ConfigError(
                f"trainer.batch_size={size} is no multiple of network.packing={packing}, whose "
                f"packs it has to fill; set trainer.batch_size={packing * max(1, size // packing)}"
            )
        coupling = batch_coupling(networks[1])
        cure = "network.packing=1" if packing > 1 else "network.discriminator_norm=layer"
        for name, regularizer in self.regularizers.items():
            if coupling and regularizer.needs_independent_samples:
                raise ConfigError(
                    f"regularizer '{name}' needs a discriminator whose samples are independent, "
                    f"but network.discriminator contains {coupling}. "
                    f"Set {cure}, or drop the penalty with regularizer=none."
                )
        parts = (source.n_train, source.n_validation, source.n_held_out)
        if min(_MIN_SAMPLES if n is None else n for n in parts) < _MIN_SAMPLES:
            raise ConfigError(
                f"{source.n_train} samples are left to train on, {source.n_validation} for "
                f"validation and {source.n_held_out} to hold out, but the evaluator and the neural "
                f"distance need {_MIN_SAMPLES} of each: change data.n_held_out, "
                f"data.held_out_share or data.n_validation, or bring more samples"
                + "".join(f"; {warning}" for warning in source.warnings)
            )
        n = min(self.evaluator.n, self.evaluator.final_n, *(n for n in parts if n is not None))
        for name, metric in self.metrics.items():
            if n < metric.min_samples:
                raise ConfigError(
                    f"metric '{name}' needs {metric.min_samples} samples on each side, but gets "
                    f"{n}: raise evaluator.n={self.evaluator.n} and evaluator.final_n="
                    f"{self.evaluator.final_n}, lower metrics.{name}.k, or bring more samples"
                )
        sides = ((self.evaluator.n, parts[1]), (self.evaluator.final_n, parts[2]))
        if here:
            device = resolve_device(self.device)
            self.execution.check(device, self.world.alone)
            n_compared = max(min(n, part or n, source.n_train or n) for n, part in sides)
            need = self.memory_need(source, n_compared)
            memory.check(need, device, len(self.seeds), self.world.local_size)

    def memory_need(self, source: Source, n_compared: int = 0) -> memory.Need:
        """Return the memory it takes, with the distances of n samples on each side."""
        networks = memory.on_meta(self.network, source.shape)
        spec, regularizers = self._draw_spec(source), tuple(self.regularizers.values())
        needs = (spec, regularizers, self.optim, len(self.seeds), n_compared)
        return memory.estimate(networks, source, *needs)

    def warnings(self) -> list[str]:
        """Return what is allowed but known to go wrong, in one sentence each."""
        warnings = []
        kinds = [type(regularizer) for regularizer in self.regularizers.values()]
        critic = isinstance(self.loss, Wasserstein)
        if critic and not set(kinds) - {InstanceNoise}:
            warnings.append(
                "loss=wasserstein without a regularizer: the critic's slope is unbounded and its "
                "value means nothing; add regularizer=[gradient_penalty]"
            )
        if critic and kinds == [SpectralNorm]:
            warnings.append(
                "loss=wasserstein with spectral_norm alone barely moves: each layer's slope is at "
                "most 1 and the product far below it; scale the data or prefer gradient_penalty"
            )
        momentum = getattr(self.optim, "momentum", 0.0) or getattr(self.optim, "betas", (0.0,))[0]
        if WeightClipping in kinds and momentum:
            warnings.append(
                "weight_clipping with momentum is unstable (Arjovsky et al. 2017, section 4); "
                "prefer optim=rmsprop"
            )
        return warnings

    def with_mode(self, source: Source) -> "RunConfig":
        """Return it with `execution.mode=auto` decided, in `resolved` too: resume keeps it."""
        networks = memory.on_meta(self.network, source.shape)
        objective = Objective(*networks, self.loss, tuple(self.regularizers.values()))
        schedule, steps = self.trainer.schedule, self.trainer.steps
        n_updates = schedule.discriminator_steps(steps) + schedule.n_generator * steps
        choice = (n_updates, AnalyticMlpGradients.supports(objective), self.world.alone)
        mode = self.execution.choose_mode(source.device, *choice)
        if mode == self.execution.mode:
            return self
        execution = {**self.resolved.get("execution", {}), "mode": mode}
        resolved = {**self.resolved, "execution": execution}
        return replace(self, execution=replace(self.execution, mode=mode), resolved=resolved)

    def largest_weight(self, source: Source) -> int:
        """Return the size of the largest weight: it decides whether stacked seeds run faster."""
        networks = memory.on_meta(self.network, source.shape)
        return max(p.numel() for network in networks for p in network.parameters())

    def open(self) -> Run:
        """Read the data, check the whole, build networks, optimisers and streams.

        Raises:
            ConfigError: Something in the choice or in the data cannot be run.
        """
        source = self.data.open(resolve_device(self.device))
        self.check(source)
        return self.open_with(source)

    def build_networks(self, source: Source) -> Networks:
        """Return freshly initialised modules for every seed."""

        def build(name: str, seed: int) -> nn.Module:
            module: nn.Module = getattr(self.network, name)(source.shape)
            self.network.initialise_(module, stream(seed, f"init/{name}"))
            return module

        names = ("generator", "discriminator")
        return Networks(*([build(name, seed) for seed in self.seeds] for name in names))

    def open_with(self, source: Source, networks: Networks | None = None, purpose: str = "") -> Run:
        """Open it on data that are open and checked.

        Args:
            source: The data.
            networks: Modules to start from instead of fresh ones, without regularizers' buffers.
            purpose: Prefix of the name of every random stream of training.
        """
        stacked = len(self.seeds) > 1
        generators, discriminators = networks or self.build_networks(source)
        for discriminator in discriminators:
            for regularizer in self.regularizers.values():
                regularizer.prepare(discriminator)
        modules = (*generators, *discriminators)
        self.execution.set_threads(sum(p.numel() for m in modules for p in m.parameters()))
        self.execution.set_precision()
        state = TrainState(
            build_network(discriminators, stacked, source.device),
            build_network(generators, stacked, source.device),
            self.optim,
        )
        regularizers = tuple(self.regularizers.values())
        g, d = (copy.deepcopy(modules[0]).to("meta") for modules in (generators, discriminators))
        objective = Objective(g, d, self.loss, regularizers)
        execution = self.with_mode(source).execution
        gradients = build_gradients(objective, stacked, execution)
        # A step averages its gradients over processes; one process alone measures.
        step_gradients = gradients
        if not self.world.alone:
            step_gradients = build_gradients(objective, stacked, execution, self.world)
        return Run(
            tuple(self.seeds),
            stacked,
            source,
            objective,
            gradients,
            build_step(state, step_gradients, self.trainer.ema, execution),
            state,
            Streams(self.seeds, stacked, self._draw_spec(source), source, purpose),
            Evaluator(self.evaluator, self.metrics, source, self.network.latent_dim),
        )

    def _draw_spec(self, source: Source) -> DrawSpec:
        specs = [r.noise_spec(source.shape) for r in self.regularizers.values()]
        noise = {name: shape for spec in specs for name, shape in spec.items()}
        settings = self.trainer
        return DrawSpec(settings.batch_size, self.network.latent_dim, noise, settings.schedule)
