"""The configuration of a run as objects; `validate` checks it as a whole, `build` opens it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from gan_lab.data.base import Data, Source
from gan_lab.engine.distributed import ALONE, World
from gan_lab.engine.execution import Execution
from gan_lab.engine.labels import ClassLabels
from gan_lab.engine.optimizers import Optimizer
from gan_lab.engine.rng import DrawSpec
from gan_lab.engine.schedule import Schedule
from gan_lab.loggers.base import LoggerFactory
from gan_lab.loggers.run_logger import DEFAULT_LOGGERS
from gan_lab.losses.base import AdversarialLoss
from gan_lab.metrics.evaluator import EvaluatorSettings
from gan_lab.metrics.metrics import Metric
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.networks.base import NetworkPair
from gan_lab.networks.conditional import Conditional
from gan_lab.regularizers.base import Regularizer
from gan_lab.reports.analysis.names import method_name
from gan_lab.reports.analysis.run_config import flat_keys
from gan_lab.validation import check_choice, check_count, check_interval


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
        ema: Decay of the generator's moving average, whose samples are measured and drawn; less
            at first, see `TrainState.average_`.
        log_every: Steps between two lines of metrics.
        image_every: Steps between two pictures; 0 = never, None = chosen: see `intervals`.
        landscape_every: Steps between two saved landscapes of the discriminator, likewise.
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
    checkpoint_every: int = 1000
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

    @cached_property
    def schedule(self) -> Schedule:
        """How many updates of each network a step makes."""
        warmup = (self.warmup_steps, self.warmup_every, self.warmup_n_critic)
        return Schedule(self.n_critic, self.n_generator, *warmup)


@dataclass(frozen=True)
class RunConfig:
    """All choices of a run. Nothing is allocated or checked."""

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
    seeds: Sequence[int]  # several are trained at once
    resolved: dict[str, Any] = field(default_factory=dict, repr=False)  # for config.yaml
    overrides: tuple[str, ...] | None = field(default=None, repr=False)  # typed; None: unknown
    world: World = ALONE  # the processes that train the same run
    loggers: Sequence[LoggerFactory] = field(default=DEFAULT_LOGGERS, repr=False)

    @property
    def method(self) -> str:
        """What a person calls the loss with its regularizers: "WGAN-GP"."""
        if not self.resolved:
            return type(self.loss).__name__
        return method_name(flat_keys(self.resolved))

    @property
    def inner_gradients(self) -> int:
        """Gradients by the discriminator's inputs that an update with all penalties takes."""
        return sum(regularizer.inner_gradients for regularizer in self.regularizers.values())

    def pair(self, source: Source) -> NetworkPair:
        """Return the pair of networks for some data: that of `network`, or with their classes.

        Raises:
            ConfigError: They have no classes, and the pair needs them.
        """
        if not self.network.conditional:
            return self.network
        return Conditional(self.network, ClassLabels(source).n_classes)

    def draw_spec(self, shape: tuple[int, ...]) -> DrawSpec:
        """Return what each step draws, for samples of a shape."""
        specs = [regularizer.noise_spec(shape) for regularizer in self.regularizers.values()]
        noise = {name: each for spec in specs for name, each in spec.items()}
        trainer = self.trainer
        regularizers = self.regularizers.values()
        sees_real = self.loss.compares_real or any(
            type(regularizer).inputs is not Regularizer.inputs for regularizer in regularizers
        )
        return DrawSpec(
            trainer.batch_size,
            self.network.latent_dim,
            noise,
            trainer.schedule,
            generator_sees_real=sees_real,
            conditional=self.network.conditional,
        )
