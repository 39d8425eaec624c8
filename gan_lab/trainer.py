"""The trainer: steps, and at their boundaries what is checked, measured, written and saved."""

import copy
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from gan_lab import checkpoint
from gan_lab.accumulator import Accumulator
from gan_lab.best import Best
from gan_lab.clocks import Origin, clocks, rates
from gan_lab.errors import RunDiverged
from gan_lab.estimators.base import Estimate
from gan_lab.evaluation import SamplesNotFinite
from gan_lab.governor import CALIBRATION, Costs, Pace, chosen
from gan_lab.journal import Journal
from gan_lab.progress import ProgressLine
from gan_lab.regularizers.base import Tensors
from gan_lab.run_dir import RunDir
from gan_lab.schedule import learning_rate_factor
from gan_lab.setup import Run, Setup
from gan_lab.signals import Interrupted, StopSignals
from gan_lab.step import train_step


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
        self.settings = setup.trainer
        self.accumulator = Accumulator()
        self.seconds = dict.fromkeys(("time/train_seconds", "time/estimate_seconds"), 0.0)
        self.origin, self.best = origin, Best()
        self.bests: list[dict[str, Any] | None] = [None] * len(run.seeds)
        if origin is not None:
            self.seconds |= origin.seconds
        every, draw = setup.estimator.every, setup.trainer.image_every
        self.pace = Pace(every, draw) if every and draw is not None else None
        if content is not None:
            self.load(content)
        self._is_new = content is None
        self._newest: Tensors = {}
        self._finite: Tensor | None = None
        self._logged_at = self._now
        self._began_at = run.state.step
        self._timed_from = 0.0
        self._costs = Costs(0.0, 0.0)

    def train(self) -> list[dict[str, Estimate]]:
        """Trains to the last step.

        Returns:
            The final estimates of each seed, by tag.

        Raises:
            RunDiverged: A loss or gradient was not finite; the state before it is saved.
            Interrupted: A signal asked to stop; the state is saved.
        """
        parent, seeds = self.directory, self.run.seeds
        directories = [parent.child(s) for s in seeds] if self.run.stacked else [parent]
        state, n_steps = self.run.state, self.settings.steps
        resumed_at = None if self._is_new else state.step
        journal = self._journal = Journal(self.setup, self.run, directories, resumed_at)
        succeeded = False
        try:
            with StopSignals() as signals, ProgressLine(n_steps, state.step) as progress:
                journal.begin()
                self._before = copy.deepcopy(self.content())
                self._look_around(journal, progress)
                self._clock = time.perf_counter()
                while state.step < n_steps:
                    finite = self._step()
                    self._finite = finite if self._finite is None else self._finite & finite
                    # Read once: one that comes while the boundary is written waits for a step.
                    signum = signals.received
                    self._boundary(journal, progress, stop=signum is not None)
                    progress.at(state.step)
                    if signum is not None and state.step < n_steps:
                        raise Interrupted(signum)
                self.bests = self.best.report(self.run, parent.checkpoints, journal.estimates)
            succeeded = True
        except RunDiverged:
            self.best.save(parent.checkpoints)  # it may be newer than the last regular checkpoint
            raise
        finally:
            journal.end(succeeded)
            journal.close()
        return journal.estimates

    def content(self) -> dict[str, Any]:
        """All that a checkpoint holds, by reference."""
        return {
            "config": self.setup.config,
            "step": self.run.state.step,
            "state": self.run.state.state_dict(),
            "streams": self.run.streams.state_dict(),
            "accumulator": self.accumulator.state_dict(),
            "seconds": self.seconds,
            "pace": None if self.pace is None else self.pace.as_dict(),
            "best": self.best.found,
            "origin": None if self.origin is None else self.origin.as_dict(),
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Goes back to where `content` was taken."""
        self.run.state.load_state_dict_(content["state"])
        self.run.streams.load_state_dict(content["streams"])
        self.accumulator.load_state_dict(content["accumulator"])
        self.seconds = dict(content["seconds"])
        if content["pace"] is not None:
            self.pace = Pace.from_dict(content["pace"])
        self.best.go_back_to(content.get("best"))  # runs of earlier versions have neither
        origin = content.get("origin")
        self.origin = None if origin is None else Origin.from_dict(origin)

    def _look_around(self, journal: Journal, progress: ProgressLine) -> None:
        """Looks once before the first step and, where the pace is open, times what a look costs."""
        if self._is_new:
            self._measure(journal)
            journal.clock(clocks(self.setup, *self._now, self.origin))
            progress.tell(journal.write())
            journal.draw()
            if self.settings.film_interval:
                journal.film()
            self._before = copy.deepcopy(self.content())
            if self.origin is not None:  # its networks exist nowhere in this directory yet
                journal.flush()
                self._save()
        if self.pace is None:
            start = time.perf_counter()
            self._measure(journal, rehearsal=True)
            middle = time.perf_counter()
            journal.rehearse_drawing()
            end = time.perf_counter()
            journal.forget()
            self._costs = Costs(middle - start, (end - middle) * len(self.run.seeds))

    def _step(self) -> Tensor:
        state, decay = self.run.state, self.setup.optim.decay
        if decay != "constant":
            factor = learning_rate_factor(decay, state.step, self.settings.steps)
            state.discriminator.set_lr_factor_(factor)
            state.generator.set_lr_factor_(factor)
        draws = self.run.streams.draws(state.step)
        values, finite = train_step(state, draws, self.run.gradients, self.settings.ema)
        self.accumulator.add_(values)
        self._newest = values
        return finite

    def _boundary(self, journal: Journal, progress: ProgressLine, stop: bool) -> None:
        step, settings = self.run.state.step, self.settings
        last = step == settings.steps
        pace = self.pace or Pace(self.setup.estimator.every, settings.image_every or 0)
        calibrating = self.pace is None and step - self._began_at in CALIBRATION

        def due(every: int) -> bool:
            return every > 0 and (last or step % every == 0)

        log, save = due(settings.log_every), due(settings.checkpoint_every) or last or stop
        measure = last or due(pace.measure)
        draw = due(pace.draw) or (last and settings.image_every != 0)
        film = due(settings.film_interval)
        if not (log or measure or draw or film or save or calibrating):
            return
        self._settle()
        looked_from = time.perf_counter()
        if calibrating:
            self._calibrate(step)
        if log:
            journal.training(self.accumulator.means(), self._rates())
            self.accumulator.reset_()
        if measure:
            try:
                self._measure(journal, final=last)
            except RunDiverged:
                raise
            except BaseException:
                if last:  # the training is whole, whatever happened to its evaluation
                    self._save()
                raise
        if log or measure:
            journal.clock(clocks(self.setup, *self._now, self.origin))
        progress.tell(journal.write())
        if draw:
            journal.draw()
        if film:
            journal.film()
        if not last:  # the final evaluation always runs in full, and is no part of the loop
            self.seconds["time/estimate_seconds"] += time.perf_counter() - looked_from
        if save:
            journal.flush()
            self._save()
        self._before = copy.deepcopy(self.content())
        self._clock = time.perf_counter()  # what happened since _settle is no training time

    def _calibrate(self, step: int) -> None:
        """Times some steps, then fixes how often to look for the rest of the run."""
        now = self.seconds["time/train_seconds"]
        if step - self._began_at == CALIBRATION[0]:
            self._timed_from = now
            return
        seconds = (now - self._timed_from) / (CALIBRATION[1] - CALIBRATION[0])
        ruler, settings = self.setup.estimator, self.settings
        asked = (ruler.every, settings.image_every)
        self.pace = chosen(ruler.budget, asked, self._costs, seconds, settings.steps)
        self.directory.write_status(pace=self.pace.as_dict())

    def _settle(self) -> None:
        assert self._finite is not None
        finite = bool(self._healthy(self._finite).all())  # the one wait for the device
        self.seconds["time/train_seconds"] += time.perf_counter() - self._clock
        if not finite:
            self._replay()
        self._finite = None

    def _healthy(self, finite: Tensor) -> Tensor:
        """Whether losses, gradients and what they made of the weights are finite, [S]."""
        state, n_seeds = self.run.state, len(self.run.seeds)
        leaves = (*state.discriminator.params.values(), *state.average.values())
        rows = [leaf.detach().reshape(n_seeds, -1).isfinite().all(1) for leaf in leaves]
        return finite.reshape(-1) & torch.stack(rows).all(0)

    def _measure(self, journal: Journal, final: bool = False, rehearsal: bool = False) -> None:
        try:
            journal.measure()
            if not rehearsal:
                self.best.consider(self.run, self.content)
            if final:
                journal.finish()
        except SamplesNotFinite as error:
            self._replay(error)

    def _replay(self, found: SamplesNotFinite | None = None) -> NoReturn:
        """Goes through the last interval again, step by step, to the step that failed."""
        end = self.run.state.step
        self.load(self._before)
        before, healthy = self._before, [True] * len(self.run.seeds)
        while self.run.state.step < end and all(healthy):
            before = copy.deepcopy(self.content())
            healthy = self._healthy(self._step()).tolist()
        path = self.directory.checkpoints / "before_divergence.pt"
        checkpoint.save(path, before)
        seeds = [seed for seed, ok in zip(self.run.seeds, healthy, strict=True) if not ok]
        broken = [tag for tag, value in self._newest.items() if not bool(value.isfinite().all())]
        quantity = next(iter(broken), "a weight")
        if found is not None:
            quantity, seeds = "a sample", [found.seed]
        self._journal.diverged(quantity, seeds or self.run.seeds)
        raise RunDiverged(
            f"{quantity} is not finite at step {self.run.state.step} for seed "
            f"{', '.join(map(str, seeds or self.run.seeds))}. "
            f"The state before the update is in {path}; nothing was overwritten. "
            f"Try a smaller optim.lr or a stronger regularizer."
        )

    def _rates(self) -> dict[str, float]:
        before, now = self._logged_at, self._now
        self._logged_at = now
        looking, training = self.seconds["time/estimate_seconds"], now[1]
        return {
            **rates(self.setup, before, now),
            "time/estimate_share": looking / max(looking + training, 1e-9),
            "time/estimate_seconds": looking,
        }

    @property
    def _now(self) -> tuple[int, float]:
        return self.run.state.step, self.seconds["time/train_seconds"]

    def _save(self) -> Path:
        directory = self.directory.checkpoints
        self.best.save(directory)  # first, so that it is there whenever a checkpoint names it
        path = checkpoint.checkpoint_path(directory, self.run.state.step)
        checkpoint.save(path, self.content())
        checkpoint.rotate(directory, self.settings.keep_checkpoints)
        return path
