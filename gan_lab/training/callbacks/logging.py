"""The records of a run: for each seed one row of metrics a boundary, events and pictures."""

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_lab.console import announce
from gan_lab.diagnostics import Event, Monitor, not_finite
from gan_lab.engine.rng import stream
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.loggers.lost_records import LostRecordsStatus
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.metrics.estimate import Estimate
from gan_lab.regularizers.base import Score
from gan_lab.reports.export import tensorboard
from gan_lab.reports.plots import landscape, samples
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks.divergence import DroppedSeeds
from gan_lab.training.callbacks.evaluation import evaluate, measure
from gan_lab.training.callbacks.optimality_gap import measure_optimality_gap
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

# The columns of TensorBoard's HParams page: the same for every run, so that runs share a table.
_HPARAMS_METRICS = (
    "final/divergence/wasserstein",
    "final/divergence/wasserstein_floor",
    "final/divergence/js",
    "final/neural_distance/js",
    "final/modes/covered",
    "final/samples/pairwise_distance",
    "time/train_seconds",
)

_OWN = "discriminator_estimate/"


class LoggingCallback:
    """Collects a row for each seed, writes it, and draws the generators' samples.

    Several seeds write into children of the run's directory. `resume_step` is the step of the
    checkpoint a run continues from, None for a new run; `estimates` are the final ones of each
    seed, by tag.
    """

    def __init__(
        self,
        config: RunConfig,
        run: Run,
        directory: RunDir,
        resume_step: int | None,
        dropped_seeds: DroppedSeeds,
    ) -> None:
        self.config, self.run, self._dropped_seeds = config, run, dropped_seeds
        children = [directory.child(seed) for seed in run.seeds]
        self.directories = children if run.stacked else [directory]
        self.estimates: list[dict[str, Estimate]] = [{} for _ in run.seeds]
        self.loggers = [
            RunLogger(child, seed, resume_step=resume_step)
            for child, seed in zip(self.directories, run.seeds, strict=True)
        ]
        lost_records = [logger.lost_records for logger in self.loggers]
        self._lost_records = LostRecordsStatus(directory, self.directories, lost_records)
        self._rows: list[dict[str, float]] = [{} for _ in run.seeds]
        self._monitors = [Monitor(config.loss.card.equilibrium[0]) for _ in run.seeds]
        if resume_step is not None:  # the rows written before, so that no event is announced twice
            for monitor, child in zip(self._monitors, self.directories, strict=True):
                for row in read_metrics(child.metrics):
                    monitor.update(row)
        indices, n_preview = range(len(run.seeds)), config.trainer.n_preview
        self._preview = [self._normal(index, "preview", n_preview) for index in indices]

    def begin(self) -> None:
        """Write what does not change: the configuration, the loss card, the HParams row."""
        card = vars(self.config.loss.card)
        card_text = "\n".join(f"- **{name}**: {value}" for name, value in card.items())
        for index, logger in enumerate(self.loggers):
            directory = self.directories[index]
            # Indented, not fenced: a value could close a fence.
            logger.text("config", textwrap.indent(directory.config.read_text(), "    "))
            logger.text("loss_card", card_text)
            logger.hparams(self._hparams(index), _HPARAMS_METRICS)
            logger.layout(tensorboard.layout())

    def add_training(self, means: Mapping[str, Tensor], rates: Mapping[str, float]) -> None:
        """Add the means over the steps since the last row, and metrics of the weights."""
        for index, row in self._open_rows():
            row.update(_of_seed(means, index))
            weights, _ = self.run.discriminator_leaves(index)
            for regularizer in self.config.regularizers.values():
                row.update({t: float(v) for t, v in regularizer.measure(weights).items()})
            row.update(rates)

    def add_clocks(self, clocks: Mapping[str, float]) -> None:
        """Add the clocks, which are the same for all seeds."""
        for _, row in self._open_rows():
            row.update(clocks)

    def measure(self) -> None:
        """Add the evaluator's estimates, the discriminators' gradient norms and optimality gaps.

        Raises:
            NotFinite: A generator's samples overflow, or an estimate that has to be finite.
        """
        gap = measure_optimality_gap(self.config, self.run)
        gap = {tag: value.cpu() for tag, value in gap.items()}
        for index, row in self._open_rows():
            for tag, estimate in measure(self.run, index, self.run.state.step).items():
                row.update(estimate.scalars(tag))
            row.update(_of_seed(gap, index))
            row.update(self._gradient_norms(index))
            fresh = row.get(f"{_OWN}wasserstein_fresh")
            largest = row.get(f"{_OWN}gradient_norm_max", 0.0)
            if fresh is not None and largest > 0:
                # A lower bound of W1 however the critic is regularized, if the largest gradient
                # norm of these samples is the largest of all.
                row[f"{_OWN}wasserstein_per_gradient_norm"] = fresh / largest

    def evaluate(self) -> None:
        """Add the final evaluation: all metrics and the neural distance, as final/*.

        Raises:
            NotFinite: A generator's samples overflow, or an estimate that has to be finite.
        """
        active = self._dropped_seeds.active
        results = evaluate(self.config, self.run, self.run.state.step, active)
        for index, estimates in zip(active, results, strict=True):
            self.estimates[index] = estimates
            for tag, estimate in estimates.items():
                self._rows[index].update(estimate.scalars(f"final/{tag}"))

    def write(self) -> dict[str, float]:
        """Write the rows, announce their events, start new rows; return the first one."""
        step = self.run.state.step
        events: list[tuple[int, Event]] = []
        for index, row in self._open_rows():
            if row:
                self.loggers[index].scalars(step, row)
                new = self._monitors[index].update({"step": step, **row})
                events += [(index, event) for event in new]
        self._announce(events)
        if self._lost_records.is_overdue:
            self._lost_records.write()
        _, first = next(self._open_rows())
        self.discard_rows()
        return first

    def record_divergence(self, quantity: str, seeds: Sequence[int]) -> None:
        """Record a number that is not finite as an event of the seeds that it stops.

        It is not announced. Rows that were begun are discarded: their step is undone.
        """
        self.discard_rows()
        event = not_finite(self.run.state.step, quantity)
        for seed in seeds:
            self.loggers[self.run.seeds.index(seed)].event(**vars(event))

    def discard_rows(self) -> None:
        """Discard the rows that were not written."""
        self._rows = [{} for _ in self.run.seeds]

    def save_samples(self) -> None:
        """Draw samples of fixed noise; points are drawn with data and discriminator."""
        step = self.run.state.step
        for index in self._dropped_seeds.active:
            picture = self.picture(index)
            file = self.directories[index].samples / f"step_{step:08d}.png"
            self.loggers[index].keep(file, step, partial(samples.save_png, picture))
            self.loggers[index].image("samples", step, picture)

    def save_landscape(self) -> None:
        """Save each seed's landscape, where data are points of 1 or 2 dimensions."""
        source, step = self.run.source, self.run.state.step
        if source.shape not in ((1,), (2,)):
            return
        for index in self._dropped_seeds.active:
            content = landscape.compute(*self._landscape_inputs(index, 256))
            file = self.directories[index].landscape / f"step_{step:08d}.npz"
            self.loggers[index].keep(file, step, partial(landscape.save, content))

    def encode_samples(self) -> None:
        """Do one seed's work of `save_samples` without writing anything, to time it."""
        picture = self.picture(self._dropped_seeds.active[0])
        for _ in range(2):  # for the file and for TensorBoard
            samples.encode_png(picture)

    def picture(self, index: int) -> np.ndarray:
        """Return a picture of one seed's samples, uint8 [H, W, 3]."""
        if len(self.run.source.shape) == 3:
            return samples.image_grid(self.run.samples(index, self._preview[index]))
        return self._points(index)

    def flush(self) -> None:
        """Wait for the disk; before each checkpoint, so that it never has a later step."""
        for logger in self.loggers:
            logger.flush()
        self._lost_records.write(step=self.run.state.step)

    def end(self, is_complete: bool) -> None:
        """Close the HParams rows."""
        for index, logger in enumerate(self.loggers):
            success = is_complete and index in self._dropped_seeds.active
            logger.session_end("success" if success else "failure")

    def close(self) -> None:
        """Close all files and, if the disk has room again, write the lost records' status."""
        for logger in self.loggers:
            logger.close()
        self._lost_records.write()

    def _open_rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        return ((index, self._rows[index]) for index in self._dropped_seeds.active)

    def _announce(self, events: Sequence[tuple[int, Event]]) -> None:
        """Record events of seeds by index, and announce one line a kind."""
        kinds: dict[str, tuple[Event, list[int]]] = {}
        for index, event in events:
            self.loggers[index].event(**vars(event))
            kinds.setdefault(event.kind, (event, []))[1].append(self.run.seeds[index])
        for kind, (event, seeds) in kinds.items():
            who = f", seed {', '.join(map(str, seeds))}" if self.run.stacked else ""
            announce(f"step {event.step}{who}: {kind}: {event.explanation} {event.advice}")

    def _hparams(self, index: int) -> dict[str, Any]:
        """Return the choices that distinguish runs, under the same names in every run."""
        config = self.config
        return {
            "loss": type(config.loss).__name__,
            "regularizer": " + ".join(config.regularizers) or "none",
            "data": type(config.data).__name__,
            "network": type(config.network).__name__,
            "optim": type(config.optim).__name__,
            "optim.lr": config.optim.lr,
            "trainer.n_critic": config.trainer.n_critic,
            "trainer.batch_size": config.trainer.batch_size,
            "trainer.steps": config.trainer.steps,
            "seed": config.seeds[index],
        }

    def _points(self, index: int) -> np.ndarray:
        packing = self.run.objective.packing
        copies = f", logit of {packing} equal points" if packing > 1 else ""
        title = f"{type(self.config.loss).__name__}, step {self.run.state.step}{copies}"
        return samples.points_picture(*self._landscape_inputs(index, 512), title)

    def _landscape_inputs(self, index: int, n: int) -> tuple[Tensor, Tensor, Score]:
        """Return data, samples of fixed noise, and the discriminator."""
        source = self.run.source
        generator = stream(self.run.seeds[index], "picture", source.device)
        real = source.held_out(min(n, source.n_held_out or n), generator)
        fake = self.run.samples(index, self._normal(index, "picture z", n))
        return real, fake, self.run.objective.landscape(*self.run.discriminator_leaves(index))

    def _gradient_norms(self, index: int) -> dict[str, float]:
        if not self.run.objective.independent:
            return {}  # with batch norm or packing the gradient at a sample depends on others
        source, n = self.run.source, self.config.trainer.batch_size
        generator = stream(self.run.seeds[index], f"slope {self.run.state.step}", source.device)
        real = source.gather(source.draw(n, generator))
        fake = self.run.fakes(index, self._normal(index, f"slope z {self.run.state.step}", n))
        mix = torch.rand(n, generator=generator, device=source.device)
        leaves = self.run.discriminator_leaves(index)
        return _of_seed(self.run.objective.gradient_norms(*leaves, real, fake, mix), 0)

    def _normal(self, index: int, purpose: str, n: int) -> Tensor:
        device = self.run.source.device
        generator = stream(self.run.seeds[index], purpose, device)
        return torch.randn(n, self.config.network.latent_dim, generator=generator, device=device)


def _of_seed(values: Mapping[str, Tensor], index: int) -> dict[str, float]:
    """Return one seed's part of values that are [S], or scalars for a single seed."""
    return {tag: float(value.reshape(-1)[index]) for tag, value in values.items()}
