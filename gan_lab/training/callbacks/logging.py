"""The records of a run: for each seed its rows of metrics, events, texts and files."""

import math
import textwrap
from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.console import ProgressLine, announce
from gan_lab.data.base import Distribution
from gan_lab.diagnostics import Event, Monitor, not_finite
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.loggers.lost_records import LostRecordsStatus
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.reports.export import tensorboard
from gan_lab.runs.headline import FRECHET, is_high_dimensional, newest_headline
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callback import AtInterval, Callback
from gan_lab.training.callbacks.clock import TrainingClock
from gan_lab.training.compute_budget import clocks, rates
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

# TensorBoard's HParams page shows these two beside the headline and four choices: the same columns
# for every run, so that runs share a table.
_HPARAMS_METRICS = ("final/neural_distance/js", "time/train_seconds")
_WARN_AFTER = 10.0  # seconds of training, before which shares say little


class RunRecords:
    """The loggers of a run's seeds; several seeds write into children of its directory."""

    def __init__(self, config: RunConfig, directory: RunDir) -> None:
        self.config, self._directory = config, directory
        self.directories = directory.of_seeds(config.seeds)
        self.loggers: list[RunLogger] = []

    def open(self, resume_step: int | None) -> None:
        """Open the files.

        Args:
            resume_step: The last step whose records stay, of a run that goes on; None for a new
                run.

        Raises:
            OSError: They cannot be opened.
        """
        self.loggers = [
            RunLogger(child, seed, resume_step=resume_step, loggers=self.config.loggers)
            for child, seed in zip(self.directories, self.config.seeds, strict=True)
        ]
        lost_records = [logger.lost_records for logger in self.loggers]
        self.lost_records = LostRecordsStatus(self._directory, self.directories, lost_records)
        self._monitors = [Monitor(self.config.loss.card.equilibrium[0]) for _ in self.loggers]
        if resume_step is not None:  # the rows written before, so that no event is announced twice
            for monitor, child in zip(self._monitors, self.directories, strict=True):
                for row in read_metrics(child.metrics):
                    monitor.update(row)

    def write_constants(self, run: Run) -> None:
        """Write what does not change: the configuration, the loss card, the HParams row."""
        headline, is_high = run.evaluator.headline, is_high_dimensional(run.source.shape)
        columns = [*([] if headline is None else [f"final/{headline}"]), *_HPARAMS_METRICS]
        card = vars(self.config.loss.card)
        card_text = "\n".join(f"- **{name}**: {value}" for name, value in card.items())
        # Points have none, and empty charts for them would fill the page.
        has_features = not isinstance(self.config.data, Distribution)
        has_features &= any(FRECHET in metric.units for metric in self.config.metrics.values())
        for index, logger in enumerate(self.loggers):
            directory = self.directories[index]
            # Indented, not fenced: a value could close a fence.
            logger.text("config", textwrap.indent(directory.config.read_text(), "    "))
            logger.text("loss_card", card_text)
            logger.hparams(self._hparams(index), columns)
            page = tensorboard.layout(has_features, headline, is_high, run.evaluator.n())
            logger.layout(page)

    def write_rows(self, step: int, rows: Mapping[int, Mapping[str, float]]) -> None:
        """Write the rows of some seeds by index, and record and announce their new events."""
        kinds: dict[str, tuple[Event, list[int]]] = {}
        for index, row in rows.items():
            self.loggers[index].scalars(step, row)
            for event in self._monitors[index].update({"step": step, **row}):
                self.loggers[index].event(**vars(event))
                kinds.setdefault(event.kind, (event, []))[1].append(self.config.seeds[index])
        for kind, (event, seeds) in kinds.items():
            who = f", seed {', '.join(map(str, seeds))}" if len(self.config.seeds) > 1 else ""
            announce(f"step {event.step}{who}: {kind}: {event.explanation} {event.advice}")
        if self.lost_records.is_overdue:
            self.lost_records.write()

    def record_not_finite(self, step: int, quantity: str, seeds: Sequence[int]) -> None:
        """Record a number that is not finite as an event of the seeds that it stops."""
        for seed in seeds:
            logger = self.loggers[list(self.config.seeds).index(seed)]
            logger.event(**vars(not_finite(step, quantity)))

    def flush(self, run: Run) -> None:
        """Wait for the disk; before each checkpoint, so that it never has a later step."""
        for logger in self.loggers:
            logger.flush()
        self.lost_records.write(step=run.state.step)

    def close(self, complete: Sequence[int]) -> None:
        """Close all files; the HParams rows of the seeds by index that are complete say so."""
        for index, logger in enumerate(self.loggers):
            logger.session_end("success" if index in complete else "failure")
        for logger in self.loggers:
            logger.close()
        self.lost_records.write()  # the disk may have room again

    def _hparams(self, index: int) -> dict[str, Any]:
        """Return the choices that distinguish runs, under the same names in every run."""
        config = self.config
        return {
            "loss": config.method,
            "data": type(config.data).__name__,
            "lr": config.optim.lr,
            "seed": config.seeds[index],
            "steps": config.trainer.steps,
        }


class StepMeans(AtInterval):
    """Adds the means of the steps since the last time to the rows, and metrics of the weights."""

    def on_step_end(self, run: Run) -> None:
        """Add them and start new means."""
        means = run.accumulator.means()
        if not means:  # of a fork, whose first step this is
            return
        run.accumulator.reset_()
        for index in run.active:
            run.rows[index] |= {tag: float(mean[index]) for tag, mean in means.items()}
            weights, _ = run.discriminator_leaves(index)
            for regularizer in run.config.regularizers.values():
                run.rows[index] |= {t: float(v) for t, v in regularizer.measure(weights).items()}


class Logging(Callback):
    """Adds the clocks to each seed's row, and writes the rows that something was added to before.

    Args:
        records: The loggers.
        sources: The callbacks that add to the rows; `StepMeans` first.
        clock: Of the training.
        progress: Shows the newest row of the first seed.
    """

    def __init__(
        self,
        records: RunRecords,
        sources: Sequence[Callback],
        clock: TrainingClock,
        progress: ProgressLine,
    ) -> None:
        self._records, self._sources = records, sources
        self._clock, self._progress = clock, progress
        self._least_share = math.inf  # of the time so far, whenever it was logged

    def on_fit_start(self, run: Run) -> None:
        """Note when the first rates begin."""
        self._previous = (run.state.step, self._clock.train_seconds)

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether something was added to the rows."""
        return any(source.is_due(step, n_steps) for source in self._sources)

    def on_step_end(self, run: Run) -> None:
        """Complete the rows, write them and start new ones."""
        config, clock, step = run.config, self._clock, run.state.step
        common = clocks(config, step, clock.train_seconds, clock.origin)
        if self._sources[0].is_due(step, config.trainer.steps) and step > self._previous[0]:
            now = (step, clock.train_seconds)
            common |= rates(config, self._previous, now, clock.evaluation_seconds)
            self._previous = now
            if clock.train_seconds > _WARN_AFTER:
                self._least_share = min(self._least_share, common["time/evaluation_share"])
        rows = {index: {**run.rows[index], **common} for index in run.active}
        self._records.write_rows(step, rows)
        newest = rows[run.active[0]]
        is_high, n = is_high_dimensional(run.source.shape), run.evaluator.n()
        self._progress.update(newest, newest_headline(newest, step, is_high, n))
        run.rows = [{} for _ in run.seeds]

    def warnings(self, config: RunConfig) -> list[str]:
        """Return what to say at the end: that intervals that were typed cost too much all along.

        Those that are chosen make a short run's curve as full as a long one's, whatever it costs.
        """
        trainer, budget = config.trainer, config.evaluator.budget
        images, landscapes = trainer.image_every, trainer.landscape_every
        is_typed = bool(config.evaluator.every or images or landscapes)
        if not is_typed or not budget < self._least_share < math.inf:
            return []
        return [
            f"measuring and drawing took {100 * self._least_share:.0f} % of the time or more all "
            f"along (evaluator.budget={budget:g}); raise evaluator.every or trainer.image_every"
        ]


class Progress(Callback):
    """Shows each step; `Logging` adds the newest row of the first seed."""

    def __init__(self, line: ProgressLine) -> None:
        self._line = line

    def on_step_end(self, run: Run) -> None:
        """Show the step."""
        self._line.show(run.state.step)
