"""What is written down while a run trains: for each seed one row a boundary, and pictures."""

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
from gan_lab.training.callbacks.divergence import Dropped
from gan_lab.training.callbacks.evaluation import evaluated, measured
from gan_lab.training.callbacks.optimality_gap import optimality
from gan_lab.training.config import Run, Setup

# The columns of TensorBoard's HParams page: the same for every run, so that runs share a table.
_TABLE = (
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
    """Collects a row for each seed, writes it, and draws what the generators make.

    Args:
        setup: What was chosen.
        run: The same, opened.
        directory: The run's; several seeds write into its children.
        resumed_at: Step of the checkpoint a run continues from; None for a new run.
        dropped: Seeds of which nothing more is to be said.

    Attributes:
        estimates: The final estimates of each seed, by tag.
    """

    def __init__(
        self,
        setup: Setup,
        run: Run,
        directory: RunDir,
        resumed_at: int | None,
        dropped: Dropped,
    ) -> None:
        self.setup, self.run, self._dropped = setup, run, dropped
        children = [directory.child(seed) for seed in run.seeds]
        self.directories = children if run.stacked else [directory]
        self.estimates: list[dict[str, Estimate]] = [{} for _ in run.seeds]
        self.loggers = [
            RunLogger(directory, seed, resume_step=resumed_at)
            for directory, seed in zip(self.directories, run.seeds, strict=True)
        ]
        lost_records = [logger.lost_records for logger in self.loggers]
        self._lost_records = LostRecordsStatus(directory, self.directories, lost_records)
        self._rows: list[dict[str, float]] = [{} for _ in run.seeds]
        self._monitors = [Monitor(setup.loss.card.equilibrium[0]) for _ in run.seeds]
        if resumed_at is not None:
            self._catch_up()
        self._preview = [
            self._normal(index, "preview", setup.trainer.n_preview)
            for index in range(len(run.seeds))
        ]

    def begin(self) -> None:
        """Writes what does not change: the configuration, the loss card, the HParams row."""
        card = vars(self.setup.loss.card)
        told = "\n".join(f"- **{name}**: {value}" for name, value in card.items())
        for index, logger in enumerate(self.loggers):
            directory = self.directories[index]
            # Indented, not fenced: a value could close a fence.
            logger.text("config", textwrap.indent(directory.config.read_text(), "    "))
            logger.text("loss_card", told)
            logger.hparams(self._choices(index), _TABLE)
            logger.layout(tensorboard.layout())

    def training(self, means: Mapping[str, Tensor], rates: Mapping[str, float]) -> None:
        """Adds what the optimisers saw since the last row, and what the discriminators are now."""
        for index, row in self._open_rows():
            row.update(_of_seed(means, index))
            weights, _ = self.run.discriminator_leaves(index)
            for regularizer in self.setup.regularizers.values():
                row.update({t: float(v) for t, v in regularizer.measure(weights).items()})
            row.update(rates)

    def clock(self, clocks: Mapping[str, float]) -> None:
        """Adds where every clock stands, the same for all seeds."""
        for _, row in self._open_rows():
            row.update(clocks)

    def measure(self) -> None:
        """Adds the ruler's estimates, the slope that the discriminators have, and how far they are
        from their optimum.

        Raises:
            NotFinite: A generator's samples overflow, or a number that has to be finite.
        """
        light = {tag: value.cpu() for tag, value in optimality(self.setup, self.run).items()}
        for index, row in self._open_rows():
            for tag, estimate in measured(self.run, index, self.run.state.step).items():
                row.update(estimate.scalars(tag))
            row.update(_of_seed(light, index))
            row.update(self._gradient_norms(index))
            fresh = row.get(f"{_OWN}wasserstein_fresh")
            if fresh is not None and row.get(f"{_OWN}gradient_norm_max", 0.0) > 0:
                # A lower bound of W1 whatever held the critic, if the largest slope that was found
                # is the largest there is.
                row[f"{_OWN}wasserstein_per_gradient_norm"] = (
                    fresh / row[f"{_OWN}gradient_norm_max"]
                )

    def finish(self) -> None:
        """Adds the final evaluation: the ruler in full and the probe, as final/*.

        Raises:
            NotFinite: A generator's samples overflow, or a number that has to be finite.
        """
        left = self._dropped.left
        everything = evaluated(self.setup, self.run, self.run.state.step, left)
        for index, found in zip(left, everything, strict=True):
            self.estimates[index] = found
            for tag, estimate in found.items():
                self._rows[index].update(estimate.scalars(f"final/{tag}"))

    def write(self) -> dict[str, float]:
        """Writes the rows, tells what they show, starts new ones; returns the first one."""
        step = self.run.state.step
        happened: list[tuple[int, Event]] = []
        for index, row in self._open_rows():
            if row:
                self.loggers[index].scalars(step, row)
                found = self._monitors[index].update({"step": step, **row})
                happened += [(index, event) for event in found]
        self._tell(happened)
        if self._lost_records.is_overdue:
            self._lost_records.write()
        _, first = next(self._open_rows())
        self.forget()
        return first

    def diverged(self, quantity: str, seeds: Sequence[int]) -> None:
        """Records that a number is not finite, as an event of the seeds that it stopped.

        Whoever stops them tells the person. Rows that were begun are of a step that is undone.
        """
        self.forget()
        event = not_finite(self.run.state.step, quantity)
        for seed in seeds:
            self._record(self.run.seeds.index(seed), event)

    def forget(self) -> None:
        """Drops the rows that were not written."""
        self._rows = [{} for _ in self.run.seeds]

    def draw(self) -> None:
        """Draws samples from noise that stays fixed; points come with data and discriminator."""
        step = self.run.state.step
        for index in self._dropped.left:
            picture = self.picture(index)
            file = self.directories[index].samples / f"step_{step:08d}.png"
            self.loggers[index].keep(file, step, partial(samples.save_png, picture))
            self.loggers[index].image("samples", step, picture)

    def save_landscape(self) -> None:
        """Keeps a frame of each seed's landscape, where data are points of 1 or 2 dimensions."""
        source, step = self.run.source, self.run.state.step
        if source.shape not in ((1,), (2,)):
            return
        for index in self._dropped.left:
            content = landscape.compute(*self._scene(index, 256))
            file = self.directories[index].landscape / f"step_{step:08d}.npz"
            self.loggers[index].keep(file, step, partial(landscape.save, content))

    def rehearse_drawing(self) -> None:
        """Does one seed's share of `draw` without writing anything, to see what it costs."""
        picture = self.picture(self._dropped.left[0])
        for _ in range(2):  # for the file and for TensorBoard
            samples.encode_png(picture)

    def picture(self, index: int) -> np.ndarray:
        """What one seed's generator makes, uint8 [H, W, 3]."""
        if len(self.run.source.shape) == 3:
            return samples.image_grid(self.run.samples(index, self._preview[index]))
        return self._points(index)

    def flush(self) -> None:
        """Waits for the disk; before each checkpoint, so that it never knows a later step."""
        for logger in self.loggers:
            logger.flush()
        self._lost_records.write(step=self.run.state.step)

    def end(self, succeeded: bool) -> None:
        """Closes the HParams rows."""
        for index, logger in enumerate(self.loggers):
            well = succeeded and index in self._dropped.left
            logger.session_end("success" if well else "failure")

    def close(self) -> None:
        """Closes all files and, if the disk has room again, says in the status what was lost."""
        for logger in self.loggers:
            logger.close()
        self._lost_records.write()

    def _open_rows(self) -> Iterator[tuple[int, dict[str, float]]]:
        return ((index, self._rows[index]) for index in self._dropped.left)

    def _catch_up(self) -> None:
        """Shows the watches what was written before: they say again what comes, not what was."""
        for monitor, directory in zip(self._monitors, self.directories, strict=True):
            for row in read_metrics(directory.metrics):
                monitor.update(row)

    def _record(self, index: int, event: Event) -> None:
        self.loggers[index].event(
            event.step,
            event.kind,
            numbers=event.numbers,
            explanation=event.explanation,
            advice=event.advice,
        )

    def _tell(self, happened: Sequence[tuple[int, Event]]) -> None:
        """Records events of seeds by index, and shows a person one line a kind."""
        said: dict[str, tuple[Event, list[int]]] = {}
        for index, event in happened:
            self._record(index, event)
            said.setdefault(event.kind, (event, []))[1].append(self.run.seeds[index])
        for kind, (event, seeds) in said.items():
            who = f", seed {', '.join(map(str, seeds))}" if self.run.stacked else ""
            announce(f"step {event.step}{who}: {kind}: {event.explanation} {event.advice}")

    def _choices(self, index: int) -> dict[str, Any]:
        """What tells runs apart, under the same names in every run."""
        setup = self.setup
        return {
            "loss": type(setup.loss).__name__,
            "regularizer": " + ".join(setup.regularizers) or "none",
            "data": type(setup.data).__name__,
            "network": type(setup.network).__name__,
            "optim": type(setup.optim).__name__,
            "optim.lr": setup.optim.lr,
            "trainer.n_critic": setup.trainer.n_critic,
            "trainer.batch_size": setup.trainer.batch_size,
            "trainer.steps": setup.trainer.steps,
            "seed": setup.seeds[index],
        }

    def _points(self, index: int) -> np.ndarray:
        packing = self.run.objective.packing
        copies = f", logit of {packing} equal points" if packing > 1 else ""
        title = f"{type(self.setup.loss).__name__}, step {self.run.state.step}{copies}"
        return samples.points_picture(*self._scene(index, 512), title)

    def _scene(self, index: int, n: int) -> tuple[Tensor, Tensor, Score]:
        """Data, samples from noise that stays fixed, and the discriminator that judges them."""
        source = self.run.source
        generator = stream(self.run.seeds[index], "picture", source.device)
        real = source.held_out(min(n, source.n_held_out or n), generator)
        fake = self.run.samples(index, self._normal(index, "picture z", n))
        return real, fake, self.run.objective.landscape(*self.run.discriminator_leaves(index))

    def _gradient_norms(self, index: int) -> dict[str, float]:
        if not self.run.objective.independent:
            return {}  # with batch norm or packing "the slope at a sample" depends on others
        source, n = self.run.source, self.setup.trainer.batch_size
        generator = stream(self.run.seeds[index], f"slope {self.run.state.step}", source.device)
        real = source.gather(source.draw(n, generator))
        fake = self.run.fakes(index, self._normal(index, f"slope z {self.run.state.step}", n))
        mix = torch.rand(n, generator=generator, device=source.device)
        gradient_norms = self.run.objective.gradient_norms(
            *self.run.discriminator_leaves(index), real, fake, mix
        )
        return _of_seed(gradient_norms, 0)

    def _normal(self, index: int, purpose: str, n: int) -> Tensor:
        device = self.run.source.device
        generator = stream(self.run.seeds[index], purpose, device)
        return torch.randn(n, self.setup.network.latent_dim, generator=generator, device=device)


def _of_seed(values: Mapping[str, Tensor], index: int) -> dict[str, float]:
    """One seed's part of values that are [S], or scalars for a single seed."""
    return {tag: float(value.reshape(-1)[index]) for tag, value in values.items()}
