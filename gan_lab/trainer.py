"""The trainer: steps, and at their boundaries what is checked, measured, written and saved."""

import copy
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NoReturn

import torch
from torch import Tensor

from gan_lab import checkpoint
from gan_lab.accumulator import Accumulator
from gan_lab.errors import RunDiverged
from gan_lab.estimators.base import Estimate
from gan_lab.journal import Journal, SamplesNotFinite
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
    """

    def __init__(
        self, setup: Setup, run: Run, directory: RunDir, content: Mapping[str, Any] | None = None
    ) -> None:
        self.setup, self.run, self.directory = setup, run, directory
        self.settings = setup.trainer
        self.accumulator = Accumulator()
        self.seconds = {"time/train_seconds": 0.0, "time/estimate_seconds": 0.0}
        if content is not None:
            self.load(content)
        self._is_new = content is None
        self._newest: Tensors = {}
        self._finite: Tensor | None = None
        self._logged_at = (run.state.step, self.seconds["time/train_seconds"])

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
        journal = Journal(self.setup, self.run, directories, None if self._is_new else state.step)
        succeeded = False
        try:
            with StopSignals() as signals, ProgressLine(n_steps, state.step) as progress:
                journal.begin()
                if self._is_new:
                    self._timed(journal.measure, final=False)
                    progress.tell(journal.write())
                self._before = copy.deepcopy(self.content())
                self._clock = time.perf_counter()
                while state.step < n_steps:
                    finite = self._step()
                    self._finite = finite if self._finite is None else self._finite & finite
                    # Read once: a signal that comes while the boundary is written is obeyed, and
                    # saved, one step later.
                    signum = signals.received
                    self._boundary(journal, progress, stop=signum is not None)
                    progress.at(state.step)
                    if signum is not None and state.step < n_steps:
                        raise Interrupted(signum)
            succeeded = True
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
        }

    def load(self, content: Mapping[str, Any]) -> None:
        """Goes back to where `content` was taken."""
        self.run.state.load_state_dict_(content["state"])
        self.run.streams.load_state_dict(content["streams"])
        self.accumulator.load_state_dict(content["accumulator"])
        self.seconds = dict(content["seconds"])

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

        def due(every: int) -> bool:
            return every > 0 and (last or step % every == 0)

        log, measure = due(settings.log_every), due(self.setup.estimator.every)
        draw, save = due(settings.image_every), due(settings.checkpoint_every) or last or stop
        if not (log or measure or draw or save):
            return
        self._settle()
        if log:
            journal.training(self.accumulator.means(), self._rates())
            self.accumulator.reset_()
        if measure:
            self._measure(journal, last)
        progress.tell(journal.write())
        if draw:
            journal.draw()
        if save:
            journal.flush()
            self._save()
        self._before = copy.deepcopy(self.content())
        self._clock = time.perf_counter()  # what happened since _settle is no training time

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

    def _measure(self, journal: Journal, final: bool) -> None:
        try:
            self._timed(journal.measure, final=final)
        except SamplesNotFinite as error:
            self._replay(error)

    def _replay(self, found: SamplesNotFinite | None = None) -> NoReturn:
        """Goes through the last interval again, step by step, to the step that failed."""
        end = self.run.state.step
        self.load(self._before)
        healthy = [True] * len(self.run.seeds)
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
        raise RunDiverged(
            f"{quantity} is not finite at step {self.run.state.step} for seed "
            f"{', '.join(map(str, seeds or self.run.seeds))}. "
            f"The state before the update is in {path}; nothing was overwritten. "
            f"Try a smaller optim.lr or a stronger regularizer."
        )

    def _rates(self) -> dict[str, float]:
        step, now = self.run.state.step, self.seconds["time/train_seconds"]
        before_step, before = self._logged_at
        self._logged_at = (step, now)
        rate = (step - before_step) / max(now - before, 1e-9)
        updates = self.settings.n_critic + self.settings.n_generator
        images = rate * updates * self.settings.batch_size * len(self.run.seeds)
        return {
            "time/steps_per_second": rate,
            "time/images_per_second": images,
            **self.seconds,
        }

    def _timed(self, measure: Callable[..., None], **arguments: Any) -> None:
        start = time.perf_counter()
        measure(**arguments)
        self.seconds["time/estimate_seconds"] += time.perf_counter() - start

    def _save(self) -> Path:
        directory = self.directory.checkpoints
        path = checkpoint.checkpoint_path(directory, self.run.state.step)
        checkpoint.save(path, self.content())
        checkpoint.rotate(directory, self.settings.keep_checkpoints)
        return path
