"""Saves the discriminator's landscape, from which the report makes an animation."""

from functools import partial

from gan_lab.reports.plots import landscape
from gan_lab.training.callback import AtInterval, Interval
from gan_lab.training.callbacks.logging import RunRecords
from gan_lab.training.callbacks.samples import landscape_inputs
from gan_lab.training.run import Run


class Landscape(AtInterval):
    """Saves each seed's landscape, where data are points of 1 or 2 dimensions."""

    def __init__(self, records: RunRecords, interval: Interval) -> None:
        super().__init__(interval)
        self._records = records

    def on_step_end(self, run: Run) -> None:
        """Compute and save."""
        if run.source.shape not in ((1,), (2,)):
            return
        step = run.state.step
        for index in run.active:
            content = landscape.compute(*landscape_inputs(run, index, 256))
            file = self._records.directories[index].landscape / f"step_{step:08d}.npz"
            self._records.loggers[index].keep(file, step, partial(landscape.save, content))
