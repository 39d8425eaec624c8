"""What is due at which step of a run, and how the intervals that were left open are found.

How often a run may be looked at, so that looking stays a small share of its time.
"""

import contextlib
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import NamedTuple

from gan_lab.engine.distributed import World
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.config import Setup

_LADDER = tuple(2**k for k in range(4, 21))
_PICTURES = 64
CALIBRATION = (16, 32)  # steps between which a step is timed: the first ones warm caches up


@dataclass(frozen=True)
class Intervals:
    """Intervals in steps; 0 = never between the start and the end.

    Attributes:
        measure: Between two readings of the ruler.
        draw: Between two pictures.
    """

    measure: int
    draw: int

    def as_dict(self) -> dict[str, int]:
        """For the checkpoint: a resumed run keeps its pace."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, int]) -> "Intervals":
        """The inverse."""
        return Intervals(int(values["measure"]), int(values["draw"]))


@dataclass(frozen=True)
class Costs:
    """What one look costs, in seconds."""

    measure: float
    draw: float


def chosen(
    budget: float,
    asked: tuple[int, int | None],
    costs: Costs,
    step_seconds: float,
    n_steps: int,
) -> Intervals:
    """The pace that keeps to a budget; an interval that was asked for stays as it is.

    Two thirds of the budget are for measuring and a sixth for drawing; the rest is for logging,
    whose interval is fixed. A run has no more than about 64 pictures, however cheap they are.

    Args:
        budget: Share of the loop's time, in (0, 1).
        asked: Intervals for measuring (0 = choose) and drawing (None = choose, 0 = never).
        costs: Of one look.
        step_seconds: Of one step.
        n_steps: Of the run.
    """
    every, image_every = asked
    measure = every or interval(costs.measure, step_seconds, budget * 2 / 3)
    if image_every is None:
        image_every = interval(costs.draw, step_seconds, budget / 6, at_least=n_steps / _PICTURES)
    return Intervals(measure, image_every)


def interval(cost: float, step_seconds: float, share: float, at_least: float = 1) -> int:
    """The smallest power of two of steps whose time makes `cost` at most a share of it.

    Powers of two nest, so that runs of different speed still have common steps to be compared at.

    Args:
        cost: Of one look, in seconds.
        step_seconds: Of one step.
        share: In (0, 1).
        at_least: Steps, whatever the cost.

    Returns:
        16, 32, ..., 2^20.
    """
    for steps in _LADDER:
        if steps >= at_least and cost <= share * steps * step_seconds:
            return steps
    return _LADDER[-1]


class Due(NamedTuple):
    """What is done at a boundary."""

    log: bool
    measure: bool
    draw: bool
    landscape: bool
    save: bool


class IntervalCalibration:
    """The intervals of a run: those that were typed, and those that the first steps decide.

    Args:
        setup: What was chosen.

    Attributes:
        pace: The intervals for measuring and drawing; None before they are chosen.
        began_at: The step at which this process takes up the run.
    """

    def __init__(self, setup: Setup) -> None:
        self.evaluator, self.settings, self.began_at = setup.evaluator, setup.trainer, 0
        every, draw = self.evaluator.every, self.settings.image_every
        self.intervals = Intervals(every, draw) if every and draw is not None else None
        self._costs = Costs(0.0, 0.0)
        self._timed_from = 0.0

    def due(self, step: int, stop: bool) -> Due:
        """What is due after a step; a run that stops is saved."""
        settings, last = self.settings, step == self.settings.steps
        intervals = self.intervals or Intervals(self.evaluator.every, settings.image_every or 0)

        def now(every: int) -> bool:
            return every > 0 and (last or step % every == 0)

        return Due(
            log=now(settings.log_every),
            measure=last or now(intervals.measure),
            draw=now(intervals.draw) or (last and settings.image_every != 0),
            landscape=now(settings.landscape_interval),
            save=now(settings.checkpoint_every) or last or stop,
        )

    def times(self, step: int) -> bool:
        """Whether the clock has to be read at this step."""
        return self.intervals is None and step - self.began_at in CALIBRATION

    def learn(self, measure: Callable[[], None], draw: Callable[[], None], n_seeds: int) -> None:
        """Times a look at all seeds and a picture of one."""
        start = time.perf_counter()
        measure()
        middle = time.perf_counter()
        draw()
        self._costs = Costs(middle - start, (time.perf_counter() - middle) * n_seeds)

    def calibrate(self, world: World, directory: RunDir, step: int, seconds: float) -> None:
        """Times some steps, then fixes the pace for the rest of the run. Every rank has to call it.

        Args:
            world: Who else trains it.
            directory: Whose status says what was chosen.
            step: One of those that `times` names.
            seconds: Of training so far.
        """
        intervals = world.broadcast(self._chosen(step, seconds))
        if intervals is not None:
            self.intervals = intervals

            def tell() -> None:
                with contextlib.suppress(OSError):  # a full disk; the checkpoints say it too
                    directory.update_status(intervals=intervals.as_dict())

            world.run_on_main(tell)

    def _chosen(self, step: int, seconds: float) -> Intervals | None:
        if step - self.began_at == CALIBRATION[0]:
            self._timed_from = seconds
            return None
        each = (seconds - self._timed_from) / (CALIBRATION[1] - CALIBRATION[0])
        asked = (self.evaluator.every, self.settings.image_every)
        return chosen(self.evaluator.budget, asked, self._costs, each, self.settings.steps)
