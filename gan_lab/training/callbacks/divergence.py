"""What happens at a number that is not finite: find the step that caused it, keep the state before.

With several seeds, those that failed may be dropped while the others go on.
"""

import copy
from collections.abc import Mapping, Sequence, Set
from dataclasses import dataclass, replace
from typing import Any, Protocol

from torch import Tensor

from gan_lab.errors import RunDiverged
from gan_lab.training.callback import Callback, WithOthers
from gan_lab.training.run import Run


@dataclass(frozen=True)
class Snapshot:
    """A copy of the state of a training between two steps, on its device."""

    state: dict[str, Any]
    accumulator: list[dict[str, Any]]

    @staticmethod
    def of(run: Run) -> "Snapshot":
        """Copy the state of a run."""
        return Snapshot(_copy(run.state.state_dict()), run.accumulator.state_dict())

    @property
    def step(self) -> int:
        """The number of steps made."""
        return int(self.state["step"])

    def restore(self, run: Run) -> None:
        """Go back to it; seeds that were dropped since stay where they are."""
        run.state.load_state_dict_(self.state)
        run.state.restore_frozen_()
        run.accumulator.load_state_dict(self.accumulator)


def _copy(tree: Any) -> Any:
    """Return a copy of nested dicts of tensors and numbers; deepcopy takes three times as long."""
    if isinstance(tree, dict):
        return {name: _copy(each) for name, each in tree.items()}
    return tree.clone() if isinstance(tree, Tensor) else copy.copy(tree)


@dataclass(frozen=True)
class Failure:
    """The first update with a number that is not finite."""

    step: int
    quantity: str  # a tag, or "a weight" or "a sample"
    seeds: tuple[int, ...]  # in which it is not finite
    before: Snapshot  # the step that was not made


class FailureLog(Protocol):
    """Writes down what failed; with several processes, in one of them."""

    def record(self, failure: Failure, others: Sequence[int], going_on: bool) -> str:
        """Save the state before and return the message.

        `others` are the seeds that are finite, and `going_on` is whether they go on.
        """
        ...

    def record_dropped(self, reasons: Mapping[int, Mapping[str, Any]]) -> None:
        """Record why seeds were dropped, as `Divergence.reasons`."""
        ...


class Divergence(WithOthers):
    """Stops a run at a number that is not finite, or drops the seeds that have one.

    The flags of all steps since the others acted are read before they act again, which is the only
    wait for the device. Where one is false, those steps are made again, one by one, from a copy of
    the state; any step's randomness is known by its number. So the loop and the other callbacks
    never see a number that is not finite, and a step costs nothing more. (To mask each update
    instead takes copies of weights and moments in every update.)

    It stands in the list twice: before the others and after the evaluation, which may find samples
    that overflow.

    Attributes:
        reasons: Of each dropped seed `step` (the last one it made), `quantity` (what was not finite
            in the next) and `told` (the message), as plain containers.
    """

    def __init__(
        self, others: Sequence[Callback], failure_log: FailureLog, may_drop: bool = False
    ) -> None:
        super().__init__(others)
        self._failure_log, self._may_drop = failure_log, may_drop
        self.reasons: dict[int, dict[str, Any]] = {}

    def on_fit_start(self, run: Run) -> None:
        """Copy the state that the first steps start from."""
        run.drop(self.reasons)
        self._before = self._now = Snapshot.of(run)

    def on_step_end(self, run: Run) -> None:
        """Check the steps since the last call, or what the evaluation has found.

        Raises:
            RunDiverged: All seeds have failed, or may not be dropped.
        """
        if run.state.step > self._now.step:
            self._check_steps(run)
            return
        # The means may have been read, and started anew, since the steps were checked.
        self._now = replace(self._now, accumulator=run.accumulator.state_dict())
        if run.failures:
            self._handle_samples(run)

    def on_fit_end(self, run: Run) -> None:
        """Check the last steps of a run that was asked to stop."""
        self.on_step_end(run)

    def _check_steps(self, run: Run) -> None:
        end = run.state.step
        while not bool(run.finite_seeds()[run.active].all()):
            failure = find_failing_step(run, self._now, end)
            if failure is None:  # nothing fails the second time
                break
            self._drop_or_stop(run, failure, set(failure.seeds))
            while run.state.step < end:
                run.train_step()
        self._before = self._now  # first, so that no more than two are kept while one is made
        self._now = Snapshot.of(run)

    def _handle_samples(self, run: Run) -> None:
        now = self._now
        failing = {run.seeds[index] for index in run.failures}
        for quantity in dict.fromkeys(run.failures.values()):
            indices = [index for index, each in run.failures.items() if each == quantity]
            self._before.restore(run)
            while run.state.step < now.step - 1:
                run.train_step()
            before = Snapshot.of(run)
            seeds = tuple(run.seeds[index] for index in indices)
            self._drop_or_stop(run, Failure(now.step, quantity, seeds, before), failing)
        run.finite_seeds()  # the flags of the steps that were made again
        now.restore(run)
        run.failures = {}

    def _drop_or_stop(self, run: Run, failure: Failure, failing: Set[int]) -> None:
        """Drop the seeds of a failure, whose state is that before; the run stands there.

        `failing` are all seeds that are not finite at this step.
        """
        active = [run.seeds[index] for index in run.active]
        others = [seed for seed in active if seed not in failing]
        going_on = self._may_drop and bool(others)
        message = self._failure_log.record(failure, others, going_on)
        if not going_on:
            raise RunDiverged(message)
        why = {"step": run.state.step, "quantity": failure.quantity, "told": message}
        self.reasons |= dict.fromkeys(failure.seeds, why)
        run.drop(failure.seeds)
        self._failure_log.record_dropped(self.reasons)

    def state_dict(self) -> dict[str, Any]:
        """Return the reasons."""
        return {"reasons": self.reasons}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore the reasons."""
        self.reasons = {seed: dict(why) for seed, why in state["reasons"].items()}


def find_failing_step(run: Run, start: Snapshot, end: int) -> Failure | None:
    """Make the steps from `start` to `end` again; stop before the first that is not finite.

    With several processes, each of them has to call this.
    """
    start.restore(run)
    while run.state.step < end:
        before = Snapshot.of(run)
        run.train_step()
        finite = run.finite_seeds()
        if rows := [index for index in run.active if not finite[index]]:
            values = run.last_values()
            tags = (tag for tag, value in values.items() if not bool(value[rows].isfinite().all()))
            step, quantity = run.state.step, next(tags, "a weight")
            before.restore(run)
            return Failure(step, quantity, tuple(run.seeds[index] for index in rows), before)
    return None
