"""How much of the time goes into steps, and how much into looking at them."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.training.callback import Callback, WithOthers
from gan_lab.training.compute_budget import Origin
from gan_lab.training.run import Run


class TrainingClock(WithOthers):
    """Seconds of steps; it is stopped before the callbacks act and started by `ClockStart` after.

    The device has to be done with the steps: `Divergence`, which waits for it, comes before.

    Attributes:
        train_seconds: Of all steps of the run, in every process that trained it.
        evaluation_seconds: Of the callbacks, without those before the first step and after the
            last.
        origin: Where a fork starts from, whose seconds are counted in.
    """

    def __init__(self, others: Sequence[Callback], origin: Origin | None = None) -> None:
        super().__init__(others)
        self.origin = origin
        self.train_seconds = self.evaluation_seconds = 0.0
        if origin is not None:
            self.train_seconds = origin.seconds["train"]
            self.evaluation_seconds = origin.seconds["evaluation"]
        self._moment = time.perf_counter()

    def on_fit_start(self, run: Run) -> None:
        """Start."""
        self._moment = time.perf_counter()

    def on_step_end(self, run: Run) -> None:
        """Stop."""
        self.train_seconds += self._lap()

    def on_fit_end(self, run: Run) -> None:
        """Count the last steps of a run that was asked to stop."""
        self.train_seconds += self._lap()

    def start(self, is_last: bool) -> None:
        """Start again; what is done once is not counted: the first evaluation and the final one.

        The first measures what real samples get, too, and the final one always runs in full.
        """
        seconds = self._lap()
        if self.train_seconds > 0 and not is_last:
            self.evaluation_seconds += seconds

    def _lap(self) -> float:
        before, self._moment = self._moment, time.perf_counter()
        return self._moment - before

    def state_dict(self) -> dict[str, Any]:
        """Return the seconds so far and the origin."""
        return {
            "seconds": {"train": self.train_seconds, "evaluation": self.evaluation_seconds},
            "origin": self.origin and vars(self.origin),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        seconds = state["seconds"]
        self.train_seconds, self.evaluation_seconds = seconds["train"], seconds["evaluation"]
        self.origin = Origin.of_state(state)


class ClockStart(WithOthers):
    """Starts a clock again after the callbacks have acted."""

    def __init__(self, clock: TrainingClock, others: Sequence[Callback]) -> None:
        super().__init__(others)
        self._clock = clock

    def on_step_end(self, run: Run) -> None:
        """Start the clock."""
        self._clock.start(is_last=run.state.step == run.config.trainer.steps)
