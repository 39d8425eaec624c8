"""Pictures of samples from noise that stays fixed."""

from functools import partial

from torch import Tensor

from gan_lab.engine.rng import stream
from gan_lab.regularizers.base import Score
from gan_lab.reports.plots import samples
from gan_lab.reports.plots.points import PointsPicture
from gan_lab.runs.run_dir import atomic_write
from gan_lab.training.callback import AtInterval, Interval
from gan_lab.training.callbacks.logging import RunRecords
from gan_lab.training.run import Run


class Samples(AtInterval):
    """Draws each seed's samples; points are drawn with data and discriminator."""

    def __init__(self, records: RunRecords, interval: Interval) -> None:
        super().__init__(interval)
        self._records = records
        self._pictures: dict[int, PointsPicture] = {}  # by index of a seed

    def on_step_end(self, run: Run) -> None:
        """Draw and save."""
        step = run.state.step
        for index in run.active:
            png = self._draw(run, index)
            file = self._records.directories[index].samples / f"step_{step:08d}.png"
            logger = self._records.loggers[index]
            logger.keep(file, step, partial(atomic_write, data=png))
            logger.image("samples", step, png)

    def _draw(self, run: Run, index: int) -> bytes:
        """Return a picture of one seed's samples, the content of a PNG file."""
        if len(run.source.shape) == 3:
            z = run.noise(index, "preview", run.config.trainer.n_preview)
            return samples.encode_png(samples.image_grid(run.samples(index, z)))
        packing = run.objective.packing
        copies = f", logit of {packing} equal points" if packing > 1 else ""
        title = f"{run.config.method}, step {run.state.step}{copies}"
        real, fake, score = landscape_inputs(run, index, 256)
        if index not in self._pictures:
            self._pictures[index] = PointsPicture(real)
        return samples.encode_png(self._pictures[index].draw(fake, score, title), n_colours=64)


def landscape_inputs(run: Run, index: int, n: int) -> tuple[Tensor, Tensor, Score]:
    """Return data, samples of fixed noise, and the discriminator."""
    source = run.source
    generator = stream(run.seeds[index], "picture", source.device)
    real = source.held_out(min(n, source.n_held_out or n), generator)
    fake = run.samples(index, run.noise(index, "picture z", n))
    return real, fake, run.objective.landscape(*run.discriminator_leaves(index))
