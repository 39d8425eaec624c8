"""The updates of each network in a step, and the learning rate: pure functions of the step."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gan_lab.validation import check_count


@dataclass(frozen=True)
class Schedule:
    """The updates of each network in a step; step t is the t-th round, counted from 0.

    Attributes:
        n_critic: Discriminator updates of an ordinary step.
        n_generator: Generator updates of every step.
        warmup_steps: The first steps with `warmup_n_critic` discriminator updates instead.
        warmup_every: Every step divisible by it has as many; 0 = none after the start.
        warmup_n_critic: See above; the WGAN authors' code has 100, for 25 steps and every 500th.
    """

    n_critic: int = 1
    n_generator: int = 1
    warmup_steps: int = 0
    warmup_every: int = 0
    warmup_n_critic: int = 100

    def __post_init__(self) -> None:
        for name in ("n_critic", "n_generator", "warmup_n_critic"):
            check_count(self, name)
        check_count(self, "warmup_steps", at_least=0)
        check_count(self, "warmup_every", at_least=0)

    @property
    def max_discriminator_updates(self) -> int:
        """The largest number of discriminator updates that any step has."""
        warms_up = self.warmup_steps > 0 or self.warmup_every > 0
        return max(self.n_critic, self.warmup_n_critic) if warms_up else self.n_critic

    def discriminator_updates(self, step: int) -> int:
        """Return the discriminator updates of the given step."""
        warm = step < self.warmup_steps or (self.warmup_every > 0 and step % self.warmup_every == 0)
        return self.warmup_n_critic if warm else self.n_critic

    def discriminator_steps(self, step: int) -> int:
        """Return the discriminator updates of all steps before the given one."""
        warm = min(step, self.warmup_steps)
        if self.warmup_every > 0:  # multiples of it in [warmup_steps, step)
            warm += max(0, -(-step // self.warmup_every) - -(-warm // self.warmup_every))
        return warm * self.warmup_n_critic + (step - warm) * self.n_critic


DECAYS: dict[str, Callable[[float], float]] = {
    "constant": lambda progress: 1.0,
    "linear": lambda progress: 1.0 - progress,
    "cosine": lambda progress: (1.0 + math.cos(math.pi * progress)) / 2,
}


def learning_rate_factor(decay: str, step: int, n_steps: int) -> float:
    """Return the factor of the learning rate in a step: 1 at the start, see `DECAYS`."""
    return DECAYS[decay](min(1.0, step / max(1, n_steps)))
