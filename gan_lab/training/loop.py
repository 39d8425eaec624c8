"""The trainer: steps, and at their boundaries what is checked, measured, written and saved.

Several processes run the same loop: all of them step, agree on what is finite, on the pace and on
when to stop; the first one alone measures, draws, prints and writes.
"""

import time
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from gan_lab.console import ProgressLine
from gan_lab.engine.accumulator import Accumulator
from gan_lab.engine.schedule import learning_rate_factor
from gan_lab.errors import RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.regularizers.base import Tensors
from gan_lab.runs import checkpoint, compatibility
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted, StopSignals
from gan_lab.training.callbacks.best_checkpoint import Best
from gan_lab.training.callbacks.divergence import Dropped, copied, find_failing_step, healthy
from gan_lab.training.callbacks.evaluation import NotFinite
from gan_lab.training.callbacks.logging import LoggingCallback
from gan_lab.training.compute_budget import Origin, clocks, rates
from gan_lab.training.config import Run, Setup
from gan_lab.training.intervals import Due, IntervalCalibration, Intervals


class Trainer:
    """Trains one run directory's game to its last step.

    Args:
        setup: What was chosen.
        run: The same, opened.
        directory: The run directory; several seeds write into its children.
        content: What a checkpoint held, to go on from; None for a new run.
        origin: Where the networks of a new run come from, if it is a fork.

    Attributes:
        best: The best measurement so far.
        dropped: The seeds that failed while the others went on.
        bests: What there is to say of it at the end, for each seed.
    """

    def __init__(
        self,
        setup: Setup,
        run: Run,
        directory: RunDir,
        content: Mapping[str, Any] | None = None,
        origin: Origin | None = None,
    ) -> None:
        self.setup, self.run, self.directory = setup, run, directory
        self.settings, self.world = setup.trainer, setup.world
        self.accumulator, self.calibration = Accumulator(), IntervalCalibration(setup)
        self.seconds = dict.fromkeys(("time/train_seconds", "time/estimate_seconds"), 0.0)
        self.origin, self.best = origin, Best()
        self.dropped = Dropped(run.seeds, run.state)
        self.bests: list[dict[str, Any] | None] = [None] * len(run.seeds)
        if origin is not None:
            self.seconds |= origin.seconds
        if content is not None:
            self.load(content)
        self._is_new, self._data = content is None, compatibility.data_of(run.source)
        self.calibration.began_at = run.state.step
        self._looked = content is None or bool(content.get("looked", True))  # at this step
        self._finite: Tensor | None = None
        self._logged_at = self._now

    def train(self) -> list[dict[str, Estimate]]:
        """Trains to the last step.

        Returns:
            The final estimates of each seed, by tag.

        Raises:
            RunDiverged: A loss or gradient was not finite; the state before it is saved.
            Interrupted: A signal asked to stop; the state is saved.
        """
        state, n_steps, world = self.run.state, self.settings.steps, self.world
        succeeded, signals = False, StopSignals(patient=not world.alone)
        try:
            with signals, ProgressLine(n_steps, state.step) as progress:
                world.run_on_main(lambda: self._logging.begin())
                self._before = copied(self.content())
                while not self._led(lambda: self._look_around(progress)):
                    pass  # as often as a seed is dropped at the start
                self._before = copied(self.content())
                self._clock = time.perf_counter()
                if not self._looked:
                    self._finite = torch.ones((), dtype=torch.bool, device=self.run.source.device)
                    self._boundary(progress, stop=False)
                while state.step < n_steps:
                    _, finite = self._step()
                    self._finite = finite if self._finite is None else self._finite & finite
                    # Read once: one that comes while the boundary is written waits for a step.
                    signum = world.max_over_ranks(signals.received or 0)
                    passed = self._boundary(progress, stop=signum > 0)
                    progress.at(state.step)
                    if signum and passed and state.step < n_steps:
                        raise Interrupted(signum)
                estimates = world.run_on_main(self._report)
            succeeded = True
        finally:
            if world.is_main:
                self._logging.end(succeeded)
                self._logging.close()
        return estimates

    def open_logging(self) -> None:
        """Opens the records, before `train` and in the process that leads; may raise OSError."""
        at = None if self._is_new else self.run.state.step - (not self._looked)
        self._logging = LoggingCallback(self.setup, self.run, self.directory, at, self.dropped)

    def _report(self) -> list[dict[str, Estimate]]:
        finals = self._logging.estimates
        where, left = self.directory.checkpoints, self.dropped.left
        self.bests = self.best.report(self.run, where, finals, left)
        return finals

    def _led(self, look: Callable[[], None]) -> bool:
        """Lets rank 0 look and write; what is not finite sends all ranks back and gives False."""

        def seen() -> tuple[str, int] | None:
            try:
                look()
            except NotFinite as error:
                return error.quantity, error.seed
            return None

        found = self.world.run_on_main(seen)
        if found is not None:
            self._replay(NotFinite(*found))
        return found is None

    def content(self) -> dict[str, Any]:
        """All that a checkpoint holds, by reference."""
        return {
            "config": self.setup.config,
            "data": self._data,
            "step": self.run.state.step,
            "state": self.run.state.state_dict(),
            "streams": self.run.streams.state_dict(),
            "accumulator": self.accumulator.state_dict(),
            "seconds": self.seconds,
            "pace": self.calibration.intervals and self.calibration.intervals.as_dict(),
            "best": self.best.found,
            "origin": None if self.origin is None else self.origin.as_dict(),
            "dropped": self.dropped.found,
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Goes back to where `content` was taken."""
        self.run.state.load_state_dict_(content["state"])
        self.run.streams.load_state_dict(content["streams"])
        self.accumulator.load_state_dict(content["accumulator"])
        self.seconds = dict(content["seconds"])
        if content["pace"] is not None:
            self.calibration.intervals = Intervals.from_dict(content["pace"])
        self.dropped.load(content.get("dropped", {}))  # runs of earlier versions have none of these
        self.best.go_back_to(content.get("best"))
        origin = content.get("origin")
        self.origin = None if origin is None else Origin.from_dict(origin)

    def _look_around(self, progress: ProgressLine) -> None:
        """Looks once before the first step and, where the pace is open, times what a look costs."""
        logging = self._logging
        if self.run.state.step == self.settings.steps and self._looked:  # but it was not told
            self._measure(final=True)
            logging.forget()  # these rows are written
            self._save()  # the kill may have come before the rotation
            return
        if self._is_new:
            self._measure()
            logging.clock(clocks(self.setup, *self._now, self.origin))
            progress.tell(logging.write())
            logging.draw()
            if self.settings.landscape_interval:
                logging.save_landscape()
            if self.origin is not None:  # its networks exist nowhere in this directory yet
                logging.flush()
                self._save()
        if self.calibration.intervals is None:
            self.calibration.learn(logging.measure, logging.rehearse_drawing, len(self.run.seeds))
            logging.forget()

    def _step(self) -> tuple[Tensors, Tensor]:
        state, decay = self.run.state, self.setup.optim.decay
        if decay != "constant":
            factor = learning_rate_factor(decay, state.step, self.settings.steps)
            state.discriminator.set_lr_factor_(factor)
            state.generator.set_lr_factor_(factor)
        draws = self.world.shard(self.run.streams.draws(state.step), self.run.stacked)
        values, finite = self.run.step(draws)
        self.accumulator.add_(values)
        return values, self.dropped.hold_(finite)

    def _boundary(self, progress: ProgressLine, stop: bool) -> bool:
        """Does what is due after a step; False where the run went back instead."""
        step = self.run.state.step
        now, times = self.calibration.due(step, stop), self.calibration.times(step)
        if not (any(now) or times):
            return True
        if not self._settled():
            return False
        if times:
            self.calibration.calibrate(self.world, self.directory, *self._now)
        if now.log or now.save:
            self.accumulator.reduce_(self.world)
        if not self._led(lambda: self._look(progress, now)):
            return False
        if now.log:
            self.accumulator.reset_()
        self._before = copied(self.content())
        self._clock = time.perf_counter()  # what happened since _settled is no training time
        return True

    def _look(self, progress: ProgressLine, now: Due) -> None:
        """What a boundary measures, writes and saves."""
        last = self.run.state.step == self.settings.steps
        looked_from, logging = time.perf_counter(), self._logging
        if now.log:
            before, self._logged_at = self._logged_at, self._now
            speeds = rates(self.setup, before, self._logged_at, self.seconds)
            logging.training(self.accumulator.means(), speeds)
        if last:  # the training is whole, whatever becomes of its evaluation
            self._save(looked=False)
        if now.log:
            self.accumulator.reset_()
        if now.measure:
            self._measure(final=last)
        if now.log or now.measure:
            logging.clock(clocks(self.setup, *self._now, self.origin))
        progress.tell(logging.write())
        if now.draw:
            logging.draw()
        if now.landscape:
            logging.save_landscape()
        if not last:  # the final evaluation always runs in full, and is no part of the loop
            self.seconds["time/estimate_seconds"] += time.perf_counter() - looked_from
        if now.save:
            logging.flush()
            self._save()

    def _settled(self) -> bool:
        """Whether all steps since the last boundary were sound; the one wait for the device."""
        assert self._finite is not None
        finite = bool(healthy(self.run, self.world, self._finite).all())
        self.seconds["time/train_seconds"] += time.perf_counter() - self._clock
        if not finite:
            self._replay()
        self._finite = None
        return finite

    def _measure(self, final: bool = False) -> None:
        self._logging.measure()
        self.best.consider(self.run, self.content, self.dropped.left)
        if final:
            self._logging.finish()

    def _replay(self, found: NotFinite | None = None) -> None:
        """Goes through the last interval again to the step that failed, and keeps what was before.

        There the run stops, or goes on without the seeds that failed. Every rank has to call this.
        """
        end, self._clock = self.run.state.step, time.perf_counter()
        self.load(self._before)
        self._logged_at = min(self._logged_at, self._now)  # that of a step that is undone is none
        failure = find_failing_step(self.run, self.world, end, self._step, self.content, found)
        others = [s for s in self.dropped.left_seeds if s not in failure.seeds]
        going_on = self.settings.on_divergence == "drop_seed" and bool(others)

        def record() -> str:
            self._logging.diverged(failure.quantity, failure.seeds)
            return failure.recorded(self.directory.checkpoints, others, going_on)

        told = self.world.run_on_main(record)
        if not going_on:
            raise RunDiverged(told)
        self.load(failure.before)
        self.dropped.add(failure.seeds, failure.quantity, told)
        self.best.narrow(self.dropped.left)
        self.world.run_on_main(lambda: self.dropped.note(self.directory))
        self._before, self._finite = copied(self.content()), None

    @property
    def _now(self) -> tuple[int, float]:
        return self.run.state.step, self.seconds["time/train_seconds"]

    def _save(self, looked: bool = True) -> None:
        directory = self.directory.checkpoints
        self.best.save(directory)  # first, so that it is there whenever a checkpoint names it
        path = checkpoint.checkpoint_path(directory, self.run.state.step)
        checkpoint.save(path, {**self.content(), "looked": looked})
        checkpoint.rotate(directory, self.settings.keep_checkpoints)
