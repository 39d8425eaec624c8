"""What happens in a training besides its steps: the interface of a callback."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gan_lab.training.run import Run


class Callback:
    """Something that is done after some of the steps; each method does nothing unless overridden.

    A callback that has to go on where it was stopped gives `state_dict`, which every checkpoint
    holds under the name of its class, and takes it back in `load_state_dict`.
    """

    def on_fit_start(self, run: Run) -> None:
        """Prepare, before the first step of this process."""

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether `on_step_end` is called after this step; nothing else may decide it.

        Of several processes that train one run all have to agree.
        """
        return True

    def on_step_end(self, run: Run) -> None:
        """Act after a step, which `run.state.step` counts already."""

    def on_fit_end(self, run: Run) -> None:
        """Finish, after the last step or one at which the run was asked to stop."""

    def state_dict(self) -> dict[str, Any]:
        """Return what a resumed run needs, in plain containers, numbers, strings and tensors."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore a `state_dict`."""


@dataclass(frozen=True)
class Interval:
    """Every n-th step and the last one, and the one that a run starts from if it is named.

    Attributes:
        every: Steps between two; 0 = never.
        start: The step that a run starts from, where something is due there too.
    """

    every: int
    start: int | None = None

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether this step is one of them."""
        if self.every == 0:
            return False
        is_multiple = step != (self.start or 0) and step % self.every == 0
        return step in (self.start, n_steps) or is_multiple


class AtInterval(Callback):
    """A callback that is due at an interval."""

    def __init__(self, interval: Interval) -> None:
        self._interval = interval

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether the interval ends, or the run ends, or starts where that is named."""
        return self._interval.is_due(step, n_steps)


class WithOthers(Callback):
    """A callback that is due whenever one of some others is."""

    def __init__(self, others: Sequence[Callback]) -> None:
        self._others = others

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether one of the others is due."""
        return any(callback.is_due(step, n_steps) for callback in self._others)


def act_where_due(callbacks: Iterable[Callback], run: Run, n_steps: int) -> None:
    """Let the callbacks act, in order, that are due after the step that the run has made."""
    step = run.state.step
    for callback in callbacks:
        if callback.is_due(step, n_steps):
            callback.on_step_end(run)
