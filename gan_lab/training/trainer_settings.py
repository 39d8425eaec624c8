"""The clock of a run: how long, who moves when, and how often to look, show and save."""

import math
from dataclasses import dataclass
from functools import cached_property

from gan_lab.engine.schedule import Schedule
from gan_lab.validation import check_choice, check_count, check_interval

_MAX_LANDSCAPES = 48


@dataclass(frozen=True)
class TrainerSettings:
    """The keys of `trainer` in the config; intervals are in steps.

    Attributes:
        steps: Rounds of the game.
        batch_size: Samples of one update.
        n_critic: Discriminator updates of a step.
        n_generator: Generator updates of a step.
        warmup_steps: First steps with `warmup_n_critic` discriminator updates.
        warmup_every: Steps divisible by it have as many.
        warmup_n_critic: See `Schedule`.
        ema: Decay of the generator's moving average, whose samples are measured and shown.
        log_every: Steps between two lines of metrics.
        image_every: Steps between two pictures; 0 = never, None = chosen once, to keep
            evaluator.budget.
        landscape_every: Steps between two saved landscapes of the discriminator; 0 = never, None =
            at most 48 of them, at powers of two, so that runs of different losses share their
            steps.
        checkpoint_every: Steps between two checkpoints; 0 = at the end only.
        keep_checkpoints: Newest checkpoints that stay.
        on_divergence: What a number that is not finite stops: "stop" the run, or with "drop_seed"
            its seed alone; the run goes on as long as a seed is left.
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
        """Steps between two frames of the film; 0 = never."""
        if self.landscape_every is not None:
            return self.landscape_every
        return 1 << max(0, math.ceil(math.log2(self.steps / _MAX_LANDSCAPES)))

    @cached_property
    def schedule(self) -> Schedule:
        """When each player moves."""
        return Schedule(
            self.n_critic,
            self.n_generator,
            self.warmup_steps,
            self.warmup_every,
            self.warmup_n_critic,
        )
