"""Long trainings whose generator is judged on the way, as it is and averaged."""

from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Part
from gan_lab.data.class_modes import ClassifierModes
from gan_lab.engine.rng import stream
from gan_lab.experiments.training import open_training, record
from gan_lab.metrics.features.frechet import relative_frechet_distance
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

DATA = "mnist_5k"
# Method -> overrides of `train`: the tuned recipes of these data, and one without its penalty.
METHODS: dict[str, tuple[str, ...]] = {
    "non_saturating": ("preset=mnist_ns_r1", "regularizer=[]"),
    "r1": ("preset=mnist_ns_r1",),
    "wasserstein": ("preset=mnist_wgan_gp",),
}
GENERATORS = ("current", "average")  # as it is, and the average of its weights
_CHUNK = 500  # images at once


class LookSchedule(NamedTuple):
    """When and with how many samples the generators are judged.

    Attributes:
        steps: Steps after which both are judged, increasing; the last ends the training.
        n: Samples of one FD.
        n_preview: Images of the generator as it is that are kept of each look.
    """

    steps: tuple[int, ...]
    n: int
    n_preview: int = 10


def train_and_judge(config: RunConfig, schedule: LookSchedule) -> dict[str, np.ndarray]:
    """Train one seed, measuring FD to validation and to held-out images on the way.

    The samples are new for each look and for each of the two, so that choosing a step by the one
    biases nothing in the other.

    Returns:
        validation, held_out: FD over the trace of the real features' covariance, [2, T], of
        GENERATORS; again: the last look's held_out with other samples, [2], so that best and last
        differ by the noise of FD where they are one step; images: [T, n_preview, height, width],
        uint8.
    """
    run = open_training(config, schedule.steps[-1])
    judges = {part: _Judge(run, part) for part in ("validation", "held_out")}
    n = schedule.n

    def look(run: Run) -> tuple[list[list[float]], np.ndarray]:
        distances = [
            [_distance(run, judge, kind, f"{part} {run.state.step}", n) for kind in GENERATORS]
            for part, judge in judges.items()
        ]
        z = run.noise(0, "best_and_last/preview", schedule.n_preview)
        images = run.current_samples(0, z)[:, 0].clamp(-1, 1)
        return distances, ((images + 1) * 127.5).round().to(torch.uint8).cpu().numpy()

    rows = record(run, schedule.steps, look)
    distances = np.array([row[0] for row in rows])  # [T, part, kind]
    last = [_distance(run, judges["held_out"], kind, "last", n) for kind in GENERATORS]
    return {
        "validation": distances[:, 0].T,
        "held_out": distances[:, 1].T,
        "again": np.array(last),
        "images": np.stack([row[1] for row in rows]),
    }


def real_distances(config: RunConfig, n: int, repeats: int) -> np.ndarray:
    """Return FD of n training images, drawn anew each time, to all held-out images, [repeats]."""
    source = config.data.open(torch.device("cpu"))
    assert isinstance(source, FiniteSource)
    assert isinstance(source.modes, ClassifierModes)
    extract, generator = source.modes.classifier.extract, stream(0, "best_and_last/real")
    held_out = extract(torch.cat(list(source.batches("held_out", _CHUNK)))).last
    values = []
    for _ in range(repeats):
        rows = torch.randperm(source.n_train, generator=generator)[:n]
        values.append(relative_frechet_distance(extract(source.gather(rows)).last, held_out))
    return np.array(values)


class _Judge:
    """The features of one part's images, and those of samples."""

    def __init__(self, run: Run, part: Part) -> None:
        source = run.source
        assert isinstance(source, FiniteSource)
        assert isinstance(source.modes, ClassifierModes)
        self._extract = source.modes.classifier.extract
        self._real = self.features(torch.cat(list(source.batches(part, _CHUNK))))

    def features(self, images: Tensor) -> Tensor:
        """Return the classifier's last features, [n, 64]."""
        return torch.cat([self._extract(block).last for block in images.split(_CHUNK)])

    def distance(self, samples: Tensor) -> float:
        """Return FD of samples to the part's images; infinite where a sample is not finite."""
        if not samples.isfinite().all():
            return float("inf")
        return relative_frechet_distance(self.features(samples), self._real)


def _distance(run: Run, judge: _Judge, kind: str, purpose: str, n: int) -> float:
    z = run.noise(0, f"best_and_last/{purpose}", n)
    generate = run.current_samples if kind == "current" else run.samples
    return judge.distance(torch.cat([generate(0, part) for part in z.split(_CHUNK)]))
