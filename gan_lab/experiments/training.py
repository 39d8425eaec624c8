"""Trainings that a study measures on the way, in its own process and without a run directory."""

from collections.abc import Iterator, Sequence

from gan_lab.engine.schedule import learning_rate_factor
from gan_lab.engine.step import train_step
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run


def train_to(run: Run, config: RunConfig, steps: Sequence[int], ema_decay: float) -> Iterator[int]:
    """Train to each of the increasing steps, all seeds at once; yield a step when it is reached."""
    last = steps[-1]
    for step in range(last + 1):
        if step in steps:
            yield step
        if step < last:
            factor = learning_rate_factor(config.optim.decay, step, last)
            run.state.discriminator.set_lr_factor_(factor)
            run.state.generator.set_lr_factor_(factor)
            train_step(run.state, run.streams.draws(step), run.gradients, ema_decay)
