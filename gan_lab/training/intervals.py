"""The intervals of a run, and what is due at a step.

Those that are not typed are chosen so that measuring and drawing take a small share of the time.
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from typing import NamedTuple

from gan_lab.engine.distributed import World
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.config import RunConfig

_INTERVALS = tuple(2**k for k in range(4, 21))
_MAX_PICTURES = 64
_CALIBRATION = (16, 32)  # steps between which a step is timed: the first ones warm caches up


@dataclass(frozen=True)
class Intervals:
    """Steps between two evaluations and two pictures; 0 = never between the start and the end."""

    measure: int
    draw: int


@dataclass(frozen=True)
class Costs:
    """Seconds of one evaluation of all seeds and of their pictures."""

    measure: float
    draw: float


def choose_intervals(
    budget: float, every: int, image_every: int | None, costs: Costs, seconds: float, steps: int
) -> Intervals:
    """Return the intervals that keep to a budget; those that were typed stay as they are.

    Two thirds of the budget are for measuring and a sixth for drawing; the rest is for logging,
    whose interval is fixed. A run has no more than about 64 pictures, however cheap they are.

    Args:
        budget: Share of the loop's time, in (0, 1).
        every: Typed interval of measuring; 0 = choose.
        image_every: Typed interval of drawing; None = choose, 0 = never.
        costs: Of measuring and drawing once.
        seconds: Of one step.
        steps: Of the run.
    """
    measure = every or shortest_interval(costs.measure, seconds, budget * 2 / 3)
    if image_every is None:
        image_every = shortest_interval(costs.draw, seconds, budget / 6, steps / _MAX_PICTURES)
    return Intervals(measure, image_every)


def shortest_interval(cost: float, step_seconds: float, share: float, at_least: float = 1) -> int:
    """Return the smallest power of two of steps, 16 to 2^20, of whose seconds `cost` is a share.

    Powers of two nest, so that runs of different speed still have common steps to be compared at.
    It is `at_least` as many steps, whatever the cost.
    """
    steps_that_do = (n for n in _INTERVALS if n >= at_least and cost <= share * n * step_seconds)
    return next(steps_that_do, _INTERVALS[-1])


class Due(NamedTuple):
    """Which actions are due at a boundary."""

    log: bool
    measure: bool
    draw: bool
    landscape: bool
    save: bool


class IntervalCalibration:
    """The intervals of a run: those that were typed, and those that the first steps decide.

    Attributes:
        intervals: Those of measuring and drawing; None before they are chosen.
        start_step: The step at which this process starts or resumes the run.
    """

    def __init__(self, config: RunConfig) -> None:
        self.evaluator, self.settings, self.start_step = config.evaluator, config.trainer, 0
        every, draw = self.evaluator.every, self.settings.image_every
        self.intervals = Intervals(every, draw) if every and draw is not None else None
        self._costs, self._start_seconds = Costs(0.0, 0.0), 0.0

    def due(self, step: int, stop: bool) -> Due:
        """Return what is due after a step; a run that stops is saved."""
        settings, last = self.settings, step == self.settings.steps
        intervals = self.intervals or Intervals(self.evaluator.every, settings.image_every or 0)

        def is_due(every: int) -> bool:
            return every > 0 and (last or step % every == 0)

        return Due(
            log=is_due(settings.log_every),
            measure=last or is_due(intervals.measure),
            draw=is_due(intervals.draw) or (last and settings.image_every != 0),
            landscape=is_due(settings.landscape_interval),
            save=is_due(settings.checkpoint_every) or last or stop,
        )

    def is_calibrating(self, step: int) -> bool:
        """Return whether `calibrate` has to be called at this step."""
        return self.intervals is None and step - self.start_step in _CALIBRATION

    def time_costs(
        self, measure: Callable[[], None], draw: Callable[[], None], n_seeds: int
    ) -> None:
        """Time an evaluation of all seeds and a picture of one."""
        start = time.perf_counter()
        measure()
        middle = time.perf_counter()
        draw()
        self._costs = Costs(middle - start, (time.perf_counter() - middle) * n_seeds)

    def calibrate(self, world: World, directory: RunDir, step: int, seconds: float) -> None:
        """Time some steps, then fix the intervals of the run and write them into its status.

        Every rank has to call it at each step for which `is_calibrating` is true, with the seconds
        of training so far.
        """
        intervals = world.broadcast(self._choose(step, seconds))
        if intervals is not None:
            self.intervals = intervals

            def write_status() -> None:
                with contextlib.suppress(OSError):  # a full disk; the checkpoints hold them too
                    directory.update_status(intervals=asdict(intervals))

            world.run_on_main(write_status)

    def _choose(self, step: int, seconds: float) -> Intervals | None:
        if step - self.start_step == _CALIBRATION[0]:
            self._start_seconds = seconds
            return None
        step_seconds = (seconds - self._start_seconds) / (_CALIBRATION[1] - _CALIBRATION[0])
        evaluator, settings = self.evaluator, self.settings
        return choose_intervals(
            *(evaluator.budget, evaluator.every, settings.image_every),
            *(self._costs, step_seconds, settings.steps),
        )
