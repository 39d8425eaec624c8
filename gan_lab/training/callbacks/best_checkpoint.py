"""The best checkpoint of a run: chosen on validation data, reported on held-out data.

The curve is measured on the validation part of the data, so choosing costs nothing beyond a copy of
the state. The copy is written with the next regular checkpoint and before it: a checkpoint never
names a best one that does not exist, and a kill loses only what the resumed run computes again.
"""

import contextlib
import math
from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.runs import checkpoint
from gan_lab.runs.headline import WASSERSTEIN, headline_of, is_high_dimensional
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callback import Callback
from gan_lab.training.callbacks.checkpointing import CheckpointContent
from gan_lab.training.callbacks.evaluation import Evaluation, NotFinite, measure_held_out
from gan_lab.training.run import Run


class BestCheckpoint(Callback):
    """The lowest headline on the curve so far, and the state that had it.

    The first measurement settles which that is, by the rule of `runs.headline`: FD on images, the
    energy distance of other data above 4 dimensions, else W1. Several seeds share their
    checkpoints, so their best is that of the mean over seeds.

    Attributes:
        record: Its step, tag, value and the estimate of each seed, as plain containers; None before
            the first finite measurement. Former checkpoints have no tag: their best is by W1.
        reports: The entry of each seed in status.json, once the run is complete: step, tag,
            validation (the estimate that chose it), held_out (of the same state, as fine as the
            final one; missing where the state cannot be read or overflows), and the same two of the
            last step under `last`. None for a dropped seed, and for all where nothing was measured.
    """

    def __init__(
        self, directory: RunDir, content: CheckpointContent, evaluation: Evaluation
    ) -> None:
        self.record: dict[str, Any] | None = None
        self.reports: list[dict[str, Any] | None] = []
        self._tag: str | None = None
        self._directory, self._content, self._evaluation = directory, content, evaluation
        self._best: dict[str, Any] | None = None  # the content that is not lost with the process
        self._is_saved = True

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether something was measured."""
        return self._evaluation.is_due(step, n_steps)

    def on_step_end(self, run: Run) -> None:
        """Copy the state if its measurement is the lowest so far."""
        self._update(run)
        if run.state.step == run.config.trainer.steps:
            self.reports = self._report(run)

    def _update(self, run: Run) -> None:
        if self.record is not None:  # of the seeds that were not dropped since
            self.record["value"] = _mean(self.record["validation"], run.active)
        newest = {index: run.evaluator.newest[run.seeds[index]] for index in run.active}
        is_high = is_high_dimensional(run.source.shape)
        self._tag = self._tag or headline_of(next(iter(newest.values()), {}), is_high)
        if self._tag is None or not all(self._tag in each for each in newest.values()):
            return
        estimates = {index: each[self._tag] for index, each in newest.items()}
        rows = [estimates.get(index) for index in range(len(run.seeds))]
        validation = [None if row is None else dict(vars(row)) for row in rows]
        value = _mean(validation, run.active)
        if not math.isfinite(value) or (self.record and value >= self.record["value"]):
            return
        self.record = {"step": run.state.step, "tag": self._tag}
        self.record |= {"value": value, "validation": validation}
        self._best = None  # first, so that no more than one is kept
        self._best, self._is_saved = checkpoint.to_cpu(self._content.of(run)), False

    def save(self) -> None:
        """Write the best state if it is not on the disk yet, before a checkpoint names it."""
        if not self._is_saved and self.record and self._best:
            path = checkpoint.best_path(self._directory.checkpoints, self.record["step"])
            checkpoint.save(path, self._best)
            self._is_saved = True

    def _report(self, run: Run) -> list[dict[str, Any] | None]:
        tag = self._tag
        if self.record is None or tag is None:
            return [None] * len(run.seeds)
        step, last = self.record["step"], run.state.step
        content = None if step == last else self._read()
        reports: list[dict[str, Any] | None] = []
        for index, seed in enumerate(run.seeds):
            if index not in run.active:
                reports.append(None)
                continue
            final = dict(vars(self._evaluation.final[index][tag]))
            report = {"step": step, "tag": tag, "validation": self.record["validation"][index]}
            if step == last:
                report["held_out"] = final
            elif content is not None:
                average = content["state"]["average"]
                with contextlib.suppress(NotFinite):
                    held_out = measure_held_out(run, average, index, step, tag)
                    report["held_out"] = dict(vars(held_out))
            validation = dict(vars(run.evaluator.newest[seed][tag]))
            report["last"] = {"step": last, "validation": validation, "held_out": final}
            reports.append(report)
        return reports

    def _read(self) -> dict[str, Any] | None:
        assert self.record is not None
        if self._best is not None:
            return self._best
        try:
            path = checkpoint.best_path(self._directory.checkpoints, self.record["step"])
            return checkpoint.load(path)
        except ConfigError as error:  # the training is whole without it
            print(f"warning: the best checkpoint is not reported on: {error}")
            return None

    def state_dict(self) -> dict[str, Any]:
        """Return the record and the reports; the state is a file of its own."""
        return {"record": self.record, "reports": self.reports}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them; the state is on the disk."""
        self.record = None
        if state["record"] is not None:
            self.record = {"tag": WASSERSTEIN, **state["record"]}
            self._tag = self.record["tag"]
        self.reports = list(state["reports"])


def _mean(validation: Sequence[Mapping[str, Any] | None], active: Sequence[int]) -> float:
    values = [each["value"] for i in active if (each := validation[i]) is not None]
    return math.fsum(values) / len(values)
