"""The clocks that runs of different losses can be compared on."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from gan_lab.training.config import RunConfig


@dataclass(frozen=True)
class Origin:
    """The run and step that a fork starts from: its clocks go on from there."""

    step: int
    clocks: Mapping[str, float]  # of that run at this step
    seconds: Mapping[str, float]  # of its training and measuring until then

    @property
    def purpose(self) -> str:
        """Prefix of the names of a fork's random streams: forks of one step share them."""
        return f"fork/{self.step}/"

    @staticmethod
    def of_state(state: Mapping[str, Any]) -> "Origin | None":
        """Return the origin in the state of a training's clock; only a fork's has one."""
        if (origin := state.get("origin")) is None:
            return None
        return Origin(int(origin["step"]), origin["clocks"], origin["seconds"])


def clocks(
    config: RunConfig, step: int, seconds: float, origin: Origin | None = None
) -> dict[str, float]:
    """Return the compute of a run up to a step, with that of a fork's origin.

    These are time/train_seconds, of all seeds together, and, for one seed,
    clock/discriminator_steps, clock/generator_steps, clock/gradient_evaluations (of both, with the
    inner gradients of the penalties that were due) and clock/images (real samples seen).
    """
    schedule, since = config.trainer.schedule, 0 if origin is None else origin.step
    updates = range(schedule.discriminator_steps(since), schedule.discriminator_steps(step))
    n_discriminator = len(updates)
    n_generator = schedule.n_generator * (step - since)
    n_inner = sum(
        each.inner_gradients * _count_multiples(each.every, updates)
        for each in config.regularizers.values()
    )
    own = {
        "clock/discriminator_steps": n_discriminator,
        "clock/generator_steps": n_generator,
        "clock/gradient_evaluations": n_discriminator + n_inner + n_generator,
        "clock/images": n_discriminator * config.trainer.batch_size,
    }
    before = {} if origin is None else origin.clocks
    totals = {tag: value + before.get(tag, 0) for tag, value in own.items()}
    return {**totals, "time/train_seconds": seconds}


def _count_multiples(of: int, numbers: range) -> int:
    """Return how many of consecutive numbers it divides."""
    return -(-numbers.stop // of) + -numbers.start // of  # ceil(stop / of) - ceil(start / of)


def rates(
    config: RunConfig, start: tuple[int, float], end: tuple[int, float], evaluation_seconds: float
) -> dict[str, float]:
    """Return steps and images a second between two moments, each (step, seconds of training).

    With `evaluation_seconds`, of measuring and drawing since the start, and their share of time.
    """
    (first, start_seconds), (step, end_seconds) = start, end
    settings, seconds = config.trainer, max(end_seconds - start_seconds, 1e-9)
    schedule = settings.schedule
    updates = schedule.discriminator_steps(step) - schedule.discriminator_steps(first)
    updates += schedule.n_generator * (step - first)
    n_images = updates * settings.batch_size * len(config.seeds)
    return {
        "time/steps_per_second": (step - first) / seconds,
        "time/images_per_second": n_images / seconds,
        "time/evaluation_share": evaluation_seconds / max(evaluation_seconds + end_seconds, 1e-9),
        "time/evaluation_seconds": evaluation_seconds,
    }
