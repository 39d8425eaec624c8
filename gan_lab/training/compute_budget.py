"""The clocks that runs of different losses can be compared on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_lab.training.config import Setup


@dataclass(frozen=True)
class Origin:
    """Where the networks of a fork come from: its clocks go on from there.

    Attributes:
        step: Of the run it was forked from.
        clocks: What that run's clocks showed at this step.
        seconds: What it had spent training and looking.
    """

    step: int
    clocks: Mapping[str, float]
    seconds: Mapping[str, float]

    def as_dict(self) -> dict[str, Any]:
        """For the checkpoint."""
        return {"step": self.step, "clocks": dict(self.clocks), "seconds": dict(self.seconds)}

    @staticmethod
    def from_dict(values: Mapping[str, Any]) -> "Origin":
        """The inverse."""
        return Origin(int(values["step"]), values["clocks"], values["seconds"])


def clocks(
    setup: Setup, step: int, seconds: float, origin: Origin | None = None
) -> dict[str, float]:
    """What a run has cost up to a step, that of a fork's origin included.

    Args:
        setup: The run's.
        step: Where it is.
        seconds: Of training, all seeds together.
        origin: Of a fork.

    Returns:
        time/train_seconds and, for one seed,
        clock/discriminator_steps, clock/generator_steps, clock/gradient_evaluations (of both, with
        the inner gradients of penalties) and clock/images (real samples seen).
    """
    schedule, since = setup.trainer.schedule, 0 if origin is None else origin.step
    n_discriminator = schedule.discriminator_steps(step) - schedule.discriminator_steps(since)
    n_generator = schedule.n_generator * (step - since)
    inner = sum(regularizer.inner_gradients for regularizer in setup.regularizers.values())
    spent = {
        "clock/discriminator_steps": n_discriminator,
        "clock/generator_steps": n_generator,
        "clock/gradient_evaluations": n_discriminator * (1 + inner) + n_generator,
        "clock/images": n_discriminator * setup.trainer.batch_size,
    }
    before = {} if origin is None else origin.clocks
    summed = {tag: value + before.get(tag, 0) for tag, value in spent.items()}
    return {**summed, "time/train_seconds": seconds}


def rates(
    setup: Setup,
    before: tuple[int, float],
    now: tuple[int, float],
    spent: Mapping[str, float],
) -> dict[str, float]:
    """Steps and images a second between two moments, each a step and seconds of training.

    And what measuring and drawing have cost since the start, in seconds as in `spent`, and their
    share.
    """
    (first, began), (step, ended) = before, now
    looking = spent["time/estimate_seconds"]
    settings, seconds = setup.trainer, max(ended - began, 1e-9)
    schedule = settings.schedule
    updates = schedule.discriminator_steps(step) - schedule.discriminator_steps(first)
    updates += schedule.n_generator * (step - first)
    n_images = updates * settings.batch_size * len(setup.seeds)
    return {
        "time/steps_per_second": (step - first) / seconds,
        "time/images_per_second": n_images / seconds,
        "time/estimate_share": looking / max(looking + ended, 1e-9),
        "time/estimate_seconds": looking,
    }
