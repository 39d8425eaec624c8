"""The best checkpoint of a run: chosen on validation data, reported on held-out data.

The curve is measured on the validation part of the data, so choosing costs nothing beyond a copy of
the state. The copy is written with the next regular checkpoint and before it: a checkpoint never
names a best one that does not exist, and a kill loses only what the resumed run computes again.
"""

import contextlib
import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.metrics.estimate import Estimate
from gan_lab.runs import checkpoint
from gan_lab.training.callbacks.evaluation import NotFinite, measure_held_out
from gan_lab.training.run import Run

TAG = "divergence/wasserstein"


class BestCheckpoint:
    """The lowest W1 on the curve so far, and the state that had it.

    Stacked seeds share their checkpoints, so their best is that of the mean over seeds.

    Attributes:
        record: Its step, value (data units) and the estimate of each seed, as plain containers;
            None before the first finite measurement.
    """

    def __init__(self) -> None:
        self.record: dict[str, Any] | None = None
        self._content: dict[str, Any] | None = None
        self._is_saved = True

    def load(self, record: Mapping[str, Any] | None) -> None:
        """Restore the record of a checkpoint; if it is the same, its state stays in memory."""
        if self.record != record:
            self.record = None if record is None else dict(record)
            self._content, self._is_saved = None, True

    def update(
        self, run: Run, content: Callable[[], dict[str, Any]], active: Sequence[int]
    ) -> None:
        """Copy the state if its measurement, which has just been made, is the lowest so far.

        `content` returns what a checkpoint holds now, by reference, with this object's record;
        `active` are indices of the seeds that are not dropped.
        """
        estimates = {index: run.evaluator.newest[run.seeds[index]].get(TAG) for index in active}
        if not all(estimates.values()):
            return
        rows = [estimates.get(index) for index in range(len(run.seeds))]
        validation = [None if row is None else dict(vars(row)) for row in rows]
        value = _mean(validation, active)
        if not math.isfinite(value) or (self.record and value >= self.record["value"]):
            return
        self.record = {"step": run.state.step, "value": value, "validation": validation}
        self._content, self._is_saved = copy.deepcopy(content()), False

    def restrict(self, active: Sequence[int]) -> None:
        """Take the mean over the active seeds alone, once others are dropped.

        The best step of these seeds may be an earlier one, whose state was not copied.
        """
        if self.record is not None:
            self.record["value"] = _mean(self.record["validation"], active)

    def save(self, directory: Path) -> None:
        """Write the best state if it is not on the disk yet."""
        if not self._is_saved and self.record and self._content:
            checkpoint.save(checkpoint.best_path(directory, self.record["step"]), self._content)
            self._is_saved = True

    def report(
        self,
        run: Run,
        directory: Path,
        finals: Sequence[Mapping[str, Estimate]],
        active: Sequence[int],
    ) -> list[dict[str, Any] | None]:
        """Return the entry of each seed in status.json at the end of the run.

        The last step has just been measured; `finals` are its final estimates of each seed.

        Returns:
            step, tag, validation (the estimate that chose it), held_out (of the same state, as fine
            as the final one; missing where the state cannot be read or overflows), and the same
            two of the last step under `last`. None for a dropped seed, and for all where nothing
            was measured.
        """
        if self.record is None:
            return [None] * len(run.seeds)
        step, last = self.record["step"], run.state.step
        content = None if step == last else self._read(directory)
        reports: list[dict[str, Any] | None] = []
        for index, seed in enumerate(run.seeds):
            if index not in active:
                reports.append(None)
                continue
            final = vars(finals[index][TAG])
            report = {"step": step, "tag": TAG, "validation": self.record["validation"][index]}
            if step == last:
                report["held_out"] = final
            elif content is not None:
                average = content["state"]["average"]
                with contextlib.suppress(NotFinite):
                    report["held_out"] = vars(measure_held_out(run, average, index, step, TAG))
            validation = vars(run.evaluator.newest[seed][TAG])
            report["last"] = {"step": last, "validation": validation, "held_out": final}
            reports.append(report)
        return reports

    def _read(self, directory: Path) -> dict[str, Any] | None:
        assert self.record is not None
        if self._content is not None:
            return self._content
        try:
            return checkpoint.load(checkpoint.best_path(directory, self.record["step"]))
        except ConfigError as error:  # the training is whole without it
            print(f"warning: the best checkpoint is not reported on: {error}")
            return None


def _mean(validation: Sequence[Mapping[str, Any] | None], active: Sequence[int]) -> float:
    values = [each["value"] for i in active if (each := validation[i]) is not None]
    return math.fsum(values) / len(values)
