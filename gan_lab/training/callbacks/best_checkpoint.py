"""The best checkpoint of a run: chosen on the curve, reported on data that chose nothing.

The curve is measured on the validation part of the data, so choosing costs nothing beyond a copy of
the state. The copy goes to the disk with the next regular checkpoint and before it: a checkpoint
never names a best one that is not there, and a kill loses only what the resumed run makes again.
"""

import copy
import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.metrics.estimate import Estimate
from gan_lab.runs import checkpoint
from gan_lab.training.callbacks.evaluation import NotFinite, held_out
from gan_lab.training.config import Run

TAG = "divergence/wasserstein"


class Best:
    """The lowest W1 on the curve so far, and the state that had it.

    Stacked seeds share their checkpoints, so their best is that of the mean over seeds.

    Attributes:
        found: Its step, value (data units) and the estimate of each seed, as plain containers; None
            before the first finite measurement.
    """

    def __init__(self) -> None:
        self.found: dict[str, Any] | None = None
        self._content: dict[str, Any] | None = None
        self._saved = True

    def go_back_to(self, found: Mapping[str, Any] | None) -> None:
        """Takes up what a checkpoint names; a state that is still in memory stays there."""
        if self.found != found:
            self.found = None if found is None else dict(found)
            self._content, self._saved = None, True

    def consider(
        self, run: Run, content: Callable[[], dict[str, Any]], left: Sequence[int]
    ) -> None:
        """Keeps a copy of the state if the measurement just made is the lowest.

        Args:
            run: Its ruler has just measured every seed that is left.
            content: Gives what a checkpoint holds now, by reference; this object's `found` in it.
            left: Indices of the seeds that were not dropped.
        """
        estimates = {index: run.evaluator.newest[run.seeds[index]].get(TAG) for index in left}
        known = {index: vars(estimate) for index, estimate in estimates.items() if estimate}
        if len(known) < len(estimates):
            return
        each = [dict(known[index]) if index in known else None for index in range(len(run.seeds))]
        value = _mean(each, left)
        if not math.isfinite(value) or (self.found and value >= self.found["value"]):
            return
        self.found = {"step": run.state.step, "value": value, "validation": each}
        self._content, self._saved = copy.deepcopy(content()), False

    def narrow(self, left: Sequence[int]) -> None:
        """Takes the mean of what was found over the seeds that are left, once others are dropped.

        Another of the earlier steps may have been theirs alone; it was not kept.
        """
        if self.found is not None:
            self.found["value"] = _mean(self.found["validation"], left)

    def save(self, directory: Path) -> None:
        """Writes the best state that is not on the disk yet."""
        if not self._saved and self.found and self._content:
            checkpoint.save(checkpoint.best_path(directory, self.found["step"]), self._content)
            self._saved = True

    def report(
        self,
        run: Run,
        directory: Path,
        finals: Sequence[Mapping[str, Estimate]],
        left: Sequence[int],
    ) -> list[dict[str, Any] | None]:
        """What status.json says of each seed once the run is at its end; nothing is changed.

        Args:
            run: At its last step, which has just been measured.
            directory: The checkpoints.
            finals: The final estimates of each seed.
            left: Indices of the seeds that were not dropped.

        Returns:
            step, tag, validation (the estimate that chose it), held_out (of the same state, as fine
            as the final one; missing where the state cannot be read or overflows), and the same
            two of the last step under `last`. None for a seed that was dropped, and for all where
            nothing was measured.
        """
        if self.found is None:
            return [None] * len(run.seeds)
        step, last = self.found["step"], run.state.step
        content = None if step == last else self._read(directory)
        reports: list[dict[str, Any] | None] = []
        for index, seed in enumerate(run.seeds):
            if index not in left:
                reports.append(None)
                continue
            final = vars(finals[index][TAG])
            report = {"step": step, "tag": TAG, "validation": self.found["validation"][index]}
            if step == last:
                report["held_out"] = final
            elif content is not None:
                try:
                    average = content["state"]["average"]
                    report["held_out"] = vars(held_out(run, average, index, step, TAG))
                except NotFinite:
                    pass
            now = vars(run.evaluator.newest[seed][TAG])
            report["last"] = {"step": last, "validation": now, "held_out": final}
            reports.append(report)
        return reports

    def _read(self, directory: Path) -> dict[str, Any] | None:
        assert self.found is not None
        if self._content is not None:
            return self._content
        try:
            return checkpoint.load(checkpoint.best_path(directory, self.found["step"]))
        except ConfigError as error:  # the training is whole without it
            print(f"warning: the best checkpoint is not reported on: {error}")
            return None


def _mean(validation: Sequence[Mapping[str, Any] | None], left: Sequence[int]) -> float:
    values = [each["value"] for i in left if (each := validation[i]) is not None]
    return math.fsum(values) / len(values)
