"""The trainings of the study of Stacked MNIST, and the counts of their samples."""

import numpy as np
from torch import Tensor

from gan_lab.experiments.mode_collapse.coverage import count
from gan_lab.experiments.training import open_training, record
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

DATA = "stacked_mnist"
_PLAIN = ("loss=non_saturating", "regularizer=[]", "optim.betas=[0.0,0.99]")
# Method -> overrides of `train`: the recipes tuned on single digits, and one with packing.
METHODS: dict[str, tuple[str, ...]] = {
    "non_saturating": _PLAIN,
    "packing": (*_PLAIN, "network.packing=2"),
    "r1": (*_PLAIN, "regularizer=[r1]"),
    "wasserstein": ("loss=wasserstein", "optim.betas=[0.0,0.9]", "optim.lr=3.0e-3"),
}
GENERATORS = ("current", "average")  # as it is, and the average of its weights
N_PREVIEW = 10
_CHUNK = 500  # images at once


def train_and_count(config: RunConfig, steps: int, n: int) -> dict[str, np.ndarray]:
    """Train one seed and count n samples of its generators by mode.

    Returns:
        nearest: Samples that the classifier puts into each mode, [2, K], of GENERATORS; good: those
        of them of whose three digits it is confident; images: [N_PREVIEW, height, width, 3], uint8,
        of the generator as it is.
    """
    run = open_training(config, steps)
    modes = run.source.modes
    assert modes is not None

    def look(run: Run) -> dict[str, np.ndarray]:
        z = run.noise(0, "stacked_mnist/count", n)
        pairs = []
        for generate in (run.current_samples, run.samples):
            parts = [count(generate(0, part), modes) for part in z.split(_CHUNK)]
            pairs.append(tuple(np.sum([part[i] for part in parts], 0) for i in (0, 1)))
        return {
            "nearest": np.stack([pair[0] for pair in pairs]),
            "good": np.stack([pair[1] for pair in pairs]),
            "images": as_pictures(run.current_samples(0, z[:N_PREVIEW])),
        }

    return record(run, [steps], look)[0]


def as_pictures(images: Tensor) -> np.ndarray:
    """Return images [N, 3, height, width] in [-1, 1] as uint8 [N, height, width, 3]."""
    levels = (images.clamp(-1, 1) + 1) * 127.5
    return levels.round().byte().permute(0, 2, 3, 1).cpu().numpy()
