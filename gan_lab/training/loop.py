"""The training loop: steps, and at their boundaries checks, evaluations, records and checkpoints.

Several processes run the same loop: all of them step and agree on what is finite, on the intervals
and on when to stop; the main one alone measures, draws, prints and writes.
"""

import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from gan_lab.console import ProgressLine
from gan_lab.engine.accumulator import Accumulator
from gan_lab.engine.schedule import learning_rate_factor
from gan_lab.errors import RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.regularizers.base import Tensors
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted, StopSignals
from gan_lab.training.callbacks.best_checkpoint import BestCheckpoint
from gan_lab.training.callbacks.divergence import (
    DroppedSeeds,
    copy_content,
    find_failing_step,
    finite_seeds,
)
from gan_lab.training.callbacks.evaluation import NotFinite
from gan_lab.training.callbacks.logging import LoggingCallback
from gan_lab.training.compute_budget import Origin, clocks, rates
from gan_lab.training.config import RunConfig
from gan_lab.training.intervals import Due, IntervalCalibration, Intervals
from gan_lab.training.run import Run


class Trainer:
    """Trains one run to its last step.

    A new run has no `content` of a checkpoint to go on from, and only a fork has an `origin`.
    """

    def __init__(
        self,
        config: RunConfig,
        run: Run,
        directory: RunDir,
        content: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.config, self.run, self.directory = config, run, directory
        self.settings, self.world = config.trainer, config.world
        self.accumulator, self.calibration = Accumulator(), IntervalCalibration(config)
        self.seconds = dict.fromkeys(("time/train_seconds", "time/estimate_seconds"), 0.0)
        self.origin, self.best = origin, BestCheckpoint()
        self.dropped_seeds = DroppedSeeds(run.seeds, run.state)
        # The best measurement's entry of each seed in status.json, at the end.
        self.best_reports: list[dict[str, Any] | None] = [None] * len(run.seeds)
        if origin is not None:
            self.seconds |= origin.seconds
        if content is not None:
            self.load(content)
        self._is_new, self._data = content is None, checkpoint_checks.describe_data(run.source)
        self.calibration.start_step = run.state.step
        # Whether the boundary of this step is done: false where a kill came in the last evaluation.
        self._is_boundary_done = content is None or bool(content.get("looked", True))
        self._finite: Tensor | None = None
        self._last_log = self._now

    def train(self) -> list[dict[str, Estimate]]:
        """Train to the last step; return the final estimates of each seed, by tag.

        Raises:
            RunDiverged: A loss or gradient was not finite; the state before it is saved.
            Interrupted: A signal asked to stop; the state is saved.
        """
        state, n_steps, world = self.run.state, self.settings.steps, self.world
        is_complete, signals = False, StopSignals(patient=not world.alone)
        try:
            with signals, ProgressLine(n_steps, state.step) as progress:
                world.run_on_main(lambda: self._logging.begin())
                self._snapshot = copy_content(self.content())
                while not self._run_on_main(lambda: self._begin(progress)):
                    pass  # as often as a seed is dropped at the start
                self._snapshot = copy_content(self.content())
                self._clock = time.perf_counter()
                if not self._is_boundary_done:
                    self._finite = torch.ones((), dtype=torch.bool, device=self.run.source.device)
                    self._boundary(progress, stop=False)
                while state.step < n_steps:
                    _, finite = self._step()
                    self._finite = finite if self._finite is None else self._finite & finite
                    # Read once: one that comes while the boundary is written waits for a step.
                    signum = world.max_over_ranks(signals.signum or 0)
                    is_finite = self._boundary(progress, stop=signum > 0)
                    progress.show(state.step)
                    if signum and is_finite and state.step < n_steps:
                        raise Interrupted(signum)
                estimates = world.run_on_main(self._report)
            is_complete = True
        finally:
            if world.is_main:
                self._logging.end(is_complete)
                self._logging.close()
        return estimates

    def open_logging(self) -> None:
        """Open the records, before `train` and in the main process; may raise OSError."""
        step = None if self._is_new else self.run.state.step - (not self._is_boundary_done)
        context = (self.config, self.run, self.directory)
        self._logging = LoggingCallback(*context, step, self.dropped_seeds)

    def _report(self) -> list[dict[str, Estimate]]:
        finals, active = self._logging.estimates, self.dropped_seeds.active
        self.best_reports = self.best.report(self.run, self.directory.checkpoints, finals, active)
        return finals

    def _run_on_main(self, action: Callable[[], None]) -> bool:
        """Measure and write in the main process; on NotFinite replay in all and return False."""

        def attempt() -> tuple[str, int] | None:
            try:
                action()
            except NotFinite as error:
                return error.quantity, error.seed
            return None

        failure = self.world.run_on_main(attempt)
        if failure is not None:
            self._replay(NotFinite(*failure))
        return failure is None

    def content(self) -> dict[str, Any]:
        """Return the content of a checkpoint, by reference."""
        return {
            "config": self.config.resolved,
            "data": self._data,
            "step": self.run.state.step,
            "state": self.run.state.state_dict(),
            "streams": self.run.streams.state_dict(),
            "accumulator": self.accumulator.state_dict(),
            "seconds": self.seconds,
            "pace": self.calibration.intervals and asdict(self.calibration.intervals),
            "best": self.best.record,
            "origin": self.origin and asdict(self.origin),
            "dropped": self.dropped_seeds.reasons,
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Go back to the step of a `content`."""
        self.run.state.load_state_dict_(content["state"])
        self.run.streams.load_state_dict(content["streams"])
        self.accumulator.load_state_dict(content["accumulator"])
        self.seconds = dict(content["seconds"])
        if (steps := content["pace"]) is not None:
            self.calibration.intervals = Intervals(int(steps["measure"]), int(steps["draw"]))
        # Checkpoints of earlier versions have none of these.
        self.dropped_seeds.load(content.get("dropped", {}))
        self.best.load(content.get("best"))
        self.origin = Origin.of_checkpoint(content)

    def _begin(self, progress: ProgressLine) -> None:
        """Measure before the first step and, where intervals are open, time what it costs."""
        logging = self._logging
        # The last boundary is done, but the kill came before the status said so.
        if self.run.state.step == self.settings.steps and self._is_boundary_done:
            self._measure(final=True)
            logging.discard_rows()  # these rows are written
            self._save()  # the kill may have come before the rotation
            return
        if self._is_new:
            self._measure()
            logging.add_clocks(clocks(self.config, *self._now, self.origin))
            progress.update(logging.write())
            logging.save_samples()
            if self.settings.landscape_interval:
                logging.save_landscape()
            if self.origin is not None:  # its networks exist nowhere in this directory yet
                logging.flush()
                self._save()
        if self.calibration.intervals is None:
            n_seeds = len(self.run.seeds)
            self.calibration.time_costs(logging.measure, logging.encode_samples, n_seeds)
            logging.discard_rows()

    def _step(self) -> tuple[Tensors, Tensor]:
        state, decay = self.run.state, self.config.optim.decay
        if decay != "constant":
            factor = learning_rate_factor(decay, state.step, self.settings.steps)
            state.discriminator.set_lr_factor_(factor)
            state.generator.set_lr_factor_(factor)
        draws = self.world.shard(self.run.streams.draws(state.step), self.run.stacked)
        values, finite = self.run.step(draws)
        self.accumulator.add_(values)
        return values, self.dropped_seeds.restore_(finite)

    def _boundary(self, progress: ProgressLine, stop: bool) -> bool:
        """Do what is due after a step; return False where the run is replayed instead."""
        step = self.run.state.step
        due = self.calibration.due(step, stop)
        is_calibrating = self.calibration.is_calibrating(step)
        if not (any(due) or is_calibrating):
            return True
        if not self._check_finite():
            return False
        if is_calibrating:
            self.calibration.calibrate(self.world, self.directory, *self._now)
        if due.log or due.save:
            self.accumulator.reduce_(self.world)
        if not self._run_on_main(lambda: self._log(progress, due)):
            return False
        if due.log:
            self.accumulator.reset_()
        self._snapshot = copy_content(self.content())
        self._clock = time.perf_counter()  # the time since _check_finite is no training time
        return True

    def _log(self, progress: ProgressLine, due: Due) -> None:
        """Measure, write and save what is due at a boundary."""
        is_last = self.run.state.step == self.settings.steps
        start, logging = time.perf_counter(), self._logging
        if due.log:
            previous, self._last_log = self._last_log, self._now
            estimate_seconds = self.seconds["time/estimate_seconds"]
            speeds = rates(self.config, previous, self._last_log, estimate_seconds)
            logging.add_training(self.accumulator.means(), speeds)
        if is_last:  # the training is complete even if its evaluation fails
            self._save(is_boundary_done=False)
        if due.log:
            self.accumulator.reset_()
        if due.measure:
            self._measure(final=is_last)
        if due.log or due.measure:
            logging.add_clocks(clocks(self.config, *self._now, self.origin))
        progress.update(logging.write())
        if due.draw:
            logging.save_samples()
        if due.landscape:
            logging.save_landscape()
        if not is_last:  # the final evaluation always runs in full, and is no part of the loop
            self.seconds["time/estimate_seconds"] += time.perf_counter() - start
        if due.save:
            logging.flush()
            self._save()

    def _check_finite(self) -> bool:
        """Return whether all steps since the last boundary are finite; else replay them.

        This is the loop's only wait for the device.
        """
        assert self._finite is not None
        finite = bool(finite_seeds(self.run, self.world, self._finite).all())
        self.seconds["time/train_seconds"] += time.perf_counter() - self._clock
        if not finite:
            self._replay()
        self._finite = None
        return finite

    def _measure(self, final: bool = False) -> None:
        self._logging.measure()
        self.best.update(self.run, self.content, self.dropped_seeds.active)
        if final:
            self._logging.evaluate()

    def _replay(self, error: NotFinite | None = None) -> None:
        """Repeat the last interval up to the step that failed, and save the state before it.

        There the run stops, or goes on without the seeds that failed. Every rank has to call this.
        """
        end, self._clock = self.run.state.step, time.perf_counter()
        self.load(self._snapshot)
        self._last_log = min(self._last_log, self._now)  # it may be of a step that is undone
        failure = find_failing_step(self.run, self.world, end, self._step, self.content, error)
        others = [s for s in self.dropped_seeds.active_seeds if s not in failure.seeds]
        going_on = self.settings.on_divergence == "drop_seed" and bool(others)

        def record() -> str:
            self._logging.record_divergence(failure.quantity, failure.seeds)
            return failure.save(self.directory.checkpoints, others, going_on)

        message = self.world.run_on_main(record)
        if not going_on:
            raise RunDiverged(message)
        self.load(failure.before)
        self.dropped_seeds.add(failure.seeds, failure.quantity, message)
        self.best.restrict(self.dropped_seeds.active)
        self.world.run_on_main(lambda: self.dropped_seeds.write_status(self.directory))
        self._snapshot, self._finite = copy_content(self.content()), None

    @property
    def _now(self) -> tuple[int, float]:
        return self.run.state.step, self.seconds["time/train_seconds"]

    def _save(self, is_boundary_done: bool = True) -> None:
        directory = self.directory.checkpoints
        self.best.save(directory)  # first, so that it exists whenever a checkpoint names it
        path = checkpoint.checkpoint_path(directory, self.run.state.step)
        checkpoint.save(path, {**self.content(), "looked": is_boundary_done})
        checkpoint.rotate(directory, self.settings.keep_checkpoints)
