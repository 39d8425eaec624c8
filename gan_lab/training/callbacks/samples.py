"""Pictures of samples from noise that stays fixed."""

from functools import partial

import numpy as np
from torch import Tensor

from gan_lab.engine.rng import stream
from gan_lab.regularizers.base import Score
from gan_lab.reports.plots import samples
from gan_lab.training.callback import AtInterval, Interval
from gan_lab.training.callbacks.logging import RunRecords
from gan_lab.training.run import Run


class Samples(AtInterval):
    """Draws each seed's samples; points are drawn with data and discriminator."""

    def __init__(self, records: RunRecords, interval: Interval) -> None:
        super().__init__(interval)
        self._records = records

    def on_step_end(self, run: Run) -> None:
        """Draw and save."""
        step = run.state.step
        for index in run.active:
            picture = draw(run, index)
            file = self._records.directories[index].samples / f"step_{step:08d}.png"
            logger = self._records.loggers[index]
            logger.keep(file, step, partial(samples.save_png, picture))
            logger.image("samples", step, picture)


def draw(run: Run, index: int) -> np.ndarray:
    """Return a picture of one seed's samples, uint8 [H, W, 3]."""
    if len(run.source.shape) == 3:
        z = run.noise(index, "preview", run.config.trainer.n_preview)
        return samples.image_grid(run.samples(index, z))
    packing = run.objective.packing
    copies = f", logit of {packing} equal points" if packing > 1 else ""
    title = f"{type(run.config.loss).__name__}, step {run.state.step}{copies}"
    return samples.points_picture(*landscape_inputs(run, index, 512), title)


def landscape_inputs(run: Run, index: int, n: int) -> tuple[Tensor, Tensor, Score]:
    """Return data, samples of fixed noise, and the discriminator."""
    source = run.source
    generator = stream(run.seeds[index], "picture", source.device)
    real = source.held_out(min(n, source.n_held_out or n), generator)
    fake = run.samples(index, run.noise(index, "picture z", n))
    return real, fake, run.objective.landscape(*run.discriminator_leaves(index))
