"""Pictures of samples from noise that stays fixed, and the discriminator's landscape with them."""

from functools import partial

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource
from gan_lab.engine.labels import ClassLabels, labels_of
from gan_lab.engine.rng import stream
from gan_lab.reports.plots import landscape, samples
from gan_lab.reports.plots.points import PointsPicture
from gan_lab.runs.run_dir import atomic_write
from gan_lab.training.callback import Callback, Interval
from gan_lab.training.callbacks.logging import RunRecords
from gan_lab.training.run import Run

_N_POINTS = 256  # of data and of samples


class Samples(Callback):
    """Draws each seed's samples; those of points from the landscape, which it saves as well.

    Points of one or two dimensions have a landscape, from which the report makes an animation. It
    is computed once for both.

    Args:
        records: Where both are written.
        image: When samples are drawn.
        landscape: When landscapes are saved.
    """

    def __init__(self, records: RunRecords, image: Interval, landscape: Interval) -> None:
        self._records, self._image, self._landscape = records, image, landscape
        self._pictures: dict[int, PointsPicture] = {}  # by index of a seed

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether one of both is due."""
        return self._image.is_due(step, n_steps) or self._landscape.is_due(step, n_steps)

    def on_step_end(self, run: Run) -> None:
        """Draw and save what is due."""
        step, n_steps = run.state.step, run.config.trainer.steps
        is_image, has_landscape = len(run.source.shape) == 3, run.source.shape in ((1,), (2,))
        for index in run.active:
            logger, directory = self._records.loggers[index], self._records.directories[index]
            content = {} if is_image else landscape_of(run, index)
            if self._image.is_due(step, n_steps):
                png = _draw_images(run, index) if is_image else self._draw(run, index, content)
                file = directory.samples / f"step_{step:08d}.png"
                logger.keep(file, step, partial(atomic_write, data=png))
                logger.image("samples", step, png)
                if is_image and not directory.real.exists():
                    logger.keep(directory.real, step, partial(atomic_write, data=_draw_real(run)))
            if has_landscape and self._landscape.is_due(step, n_steps):
                file = directory.landscape / f"step_{step:08d}.npz"
                logger.keep(file, step, partial(landscape.save, content))

    def _draw(self, run: Run, index: int, content: landscape.Landscape) -> bytes:
        """Return a picture of one seed's points, the content of a PNG file."""
        packing = run.objective.packing
        copies = f", logit of {packing} equal points" if packing > 1 else ""
        title = f"{run.config.method}, step {run.state.step}{copies}"
        picture = self._pictures.setdefault(index, PointsPicture())
        return samples.encode_png(picture.draw(content, title), n_colours=64)


def _draw_images(run: Run, index: int) -> bytes:
    """Return a picture of one seed's images, the content of a PNG file; a row a class, if given."""
    n = run.config.trainer.n_preview
    if run.labels is None:
        z = run.noise(index, "preview", n)
        return samples.encode_png(samples.image_grid(run.samples(index, z)))
    labels = run.labels.rows(n)
    z = run.noise(index, "preview", len(labels), run.labels.one_hot(labels))
    grid = samples.image_grid(run.samples(index, z), columns=_columns(labels))
    return samples.encode_png(grid)


def _columns(labels: Tensor) -> int:
    """Return the number of samples of the first class: of rows of one class each."""
    return int((labels == labels[0]).sum())


def _draw_real(run: Run) -> bytes:
    """Return a picture of as many held-out images, the same for every run on these data."""
    if run.labels is not None:
        return _draw_real_by_class(run, run.labels)
    source, n = run.source, run.config.trainer.n_preview
    generator = stream(0, "picture of real images", source.device)
    real = source.held_out(min(n, source.n_held_out or n), generator)
    return samples.encode_png(samples.image_grid(real))


def _draw_real_by_class(run: Run, labels: ClassLabels) -> bytes:
    """Return a picture of held-out images by class, with the rows of the samples' picture."""
    source, parts = run.source, labels_of(run.source)
    assert isinstance(source, FiniteSource)
    assert parts is not None
    classes, rows = parts[2], labels.rows(run.config.trainer.n_preview)
    generator = stream(0, "picture of real images", source.device)
    order = torch.randperm(len(classes), generator=generator, device=source.device)
    n_each, blank = _columns(rows), torch.full((1, *source.shape), -1.0, device=source.device)
    images = []
    for k in rows.unique().tolist():
        of_class = source.take("held_out", order[classes[order] == k][:n_each])
        images += [of_class, *[blank] * (n_each - len(of_class))]
    return samples.encode_png(samples.image_grid(torch.cat(images), columns=n_each))


def landscape_of(run: Run, index: int) -> landscape.Landscape:
    """Return the landscape of a seed with samples of fixed noise.

    Beyond two dimensions, where there is none, it is data and samples, "real" and "fake", alone.
    """
    source, n = run.source, _N_POINTS
    generator = stream(run.seeds[index], "picture", source.device)
    real = source.held_out(min(n, source.n_held_out or n), generator)
    fake = run.samples(index, run.noise(index, "picture z", n))
    if source.shape not in ((1,), (2,)):
        return {name: x.float().cpu().numpy() for name, x in (("real", real), ("fake", fake))}
    score = run.objective.landscape(*run.discriminator_leaves(index))
    return landscape.compute(real, fake, score)
