"""Saves the state of a training, from which it goes on as if it had not stopped."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callback import Callback, Interval
from gan_lab.training.run import Run


class CheckpointContent:
    """What a checkpoint holds: the training's state beside each callback's, by reference.

    Args:
        data: What identifies the data, see `checkpoint_checks.describe_data`.
    """

    def __init__(self, data: Mapping[str, Any] | None) -> None:
        self.callbacks: Sequence[Callback] = ()
        self._data = data

    def of(self, run: Run, is_complete: bool = True) -> dict[str, Any]:
        """Return the content now; `is_complete` is false while callbacks have still to act."""
        return {
            "config": run.config.resolved,
            "data": self._data,
            "device": run.source.device.type,
            "step": run.state.step,
            "is_step_complete": is_complete,
            "state": run.state.state_dict(),
            "accumulator": run.accumulator.state_dict(),
            "callbacks": self._states(),
        }

    def _states(self) -> dict[str, dict[str, Any]]:
        states: dict[str, dict[str, Any]] = {}
        for callback in self.callbacks:
            if state := callback.state_dict():
                name = type(callback).__name__
                if name in states:
                    raise ValueError(f"two callbacks with a state are called {name}; rename one")
                states[name] = state
        return states

    def restore(self, run: Run, content: Mapping[str, Any]) -> None:
        """Go back to a content, of the run and of all callbacks."""
        run.state.load_state_dict_(content["state"])
        run.accumulator.load_state_dict(content["accumulator"])
        run.is_step_complete = bool(content["is_step_complete"])
        for callback in self.callbacks:
            states, name = content["callbacks"], type(callback).__name__
            if name in states or callback.state_dict():
                callback.load_state_dict(states[name])


class Checkpointing(Callback):
    """Saves at an interval, at the end, and when the run is stopped; the newest are kept.

    Args:
        directory: Of the run.
        content: What is saved.
        interval: When.
        keep: How many.
        flush: Waits until all records up to this step are on the disk.
        save_best: Writes the best checkpoint, which this one may name.
    """

    def __init__(
        self,
        directory: RunDir,
        content: CheckpointContent,
        interval: Interval,
        keep: int,
        flush: Callable[[Run], None],
        save_best: Callable[[], None],
    ) -> None:
        self._directory, self._content, self._interval = directory.checkpoints, content, interval
        self._keep, self._flush, self._save_best = keep, flush, save_best
        self._saved_step = -1

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether the interval or the run ends, or a run starts that is saved at once."""
        return step in (self._interval.start, n_steps) or self._interval.is_due(step, n_steps)

    def on_step_end(self, run: Run) -> None:
        """Save."""
        self.save(run)

    def on_fit_end(self, run: Run) -> None:
        """Save a run that stops between; remove what a kill right after the last save left."""
        if self._saved_step != run.state.step and run.stop_requested:
            self.on_step_end(run)
        checkpoint.rotate(self._directory, self._keep)

    def save(self, run: Run, is_complete: bool = True) -> None:
        """Write the checkpoint and remove the oldest."""
        self._flush(run)
        self._save_best()
        path = checkpoint.checkpoint_path(self._directory, run.state.step)
        checkpoint.save(path, self._content.of(run, is_complete))
        checkpoint.rotate(self._directory, self._keep)
        self._saved_step = run.state.step


class CheckpointBeforeEvaluation(Callback):
    """Saves at the end before the final evaluation: the training is complete even if that fails."""

    def __init__(self, checkpointing: Checkpointing) -> None:
        self._checkpointing = checkpointing

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether this is the last step."""
        return step == n_steps

    def on_step_end(self, run: Run) -> None:
        """Save."""
        self._checkpointing.save(run, is_complete=False)
