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

from gan_lab import checkpoint
from gan_lab.errors import ConfigError
from gan_lab.estimators.base import Estimate
from gan_lab.evaluation import SamplesNotFinite, held_out
from gan_lab.setup import Run

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

    def consider(self, run: Run, content: Callable[[], dict[str, Any]]) -> None:
        """Keeps a copy of the state if the measurement just made is the lowest.

        Args:
            run: Its ruler has just measured every seed.
            content: Gives what a checkpoint holds now, by reference; this object's `found` in it.
        """
        estimates = [run.ruler.newest[seed].get(TAG) for seed in run.seeds]
        known = [estimate for estimate in estimates if estimate is not None]
        if len(known) < len(estimates):
            return
        value = math.fsum(estimate.value for estimate in known) / len(known)
        if not math.isfinite(value) or (self.found and value >= self.found["value"]):
            return
        each = [dict(vars(estimate)) for estimate in known]
        self.found = {"step": run.state.step, "value": value, "validation": each}
        self._content, self._saved = copy.deepcopy(content()), False

    def save(self, directory: Path) -> None:
        """Writes the best state that is not on the disk yet."""
        if not self._saved and self.found and self._content:
            checkpoint.save(checkpoint.best_path(directory, self.found["step"]), self._content)
            self._saved = True

    def report(
        self, run: Run, directory: Path, finals: Sequence[Mapping[str, Estimate]]
    ) -> list[dict[str, Any] | None]:
        """What status.json says of each seed once the run is at its end; nothing is changed.

        Args:
            run: At its last step, which has just been measured.
            directory: The checkpoints.
            finals: The final estimates of each seed.

        Returns:
            step, tag, validation (the estimate that chose it), held_out (of the same state, as fine
            as the final one; missing where the state cannot be read or overflows), and the same
            two of the last step under `last`. None for each seed where nothing was measured.
        """
        if self.found is None:
            return [None] * len(run.seeds)
        step, last = self.found["step"], run.state.step
        content = None if step == last else self._read(directory)
        reports: list[dict[str, Any] | None] = []
        for index, seed in enumerate(run.seeds):
            final = vars(finals[index][TAG])
            report = {"step": step, "tag": TAG, "validation": self.found["validation"][index]}
            if step == last:
                report["held_out"] = final
            elif content is not None:
                try:
                    average = content["state"]["average"]
                    report["held_out"] = vars(held_out(run, average, index, step, TAG))
                except SamplesNotFinite:
                    pass
            now = vars(run.ruler.newest[seed][TAG])
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
