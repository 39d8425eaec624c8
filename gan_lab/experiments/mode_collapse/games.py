"""The games of the study of mode collapse: which are played, and what is counted while they are."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import Modes
from gan_lab.engine.rng import stream
from gan_lab.engine.schedule import learning_rate_factor
from gan_lab.engine.step import train_step
from gan_lab.training.config import Run, Setup

# Method -> overrides of `train`; what a loss's config file brings with it stays as it is.
METHODS: dict[str, tuple[str, ...]] = {
    "minimax": ("loss=minimax",),
    "non_saturating": ("loss=non_saturating",),
    "packing": ("loss=non_saturating", "network.packing=2"),
    "wasserstein": ("loss=wasserstein",),
    "wasserstein_clip": (
        "loss=wasserstein",
        "regularizer=[weight_clipping]",
        "optim=rmsprop",
    ),
    "least_squares": ("loss=least_squares",),
    "hinge": ("loss=hinge",),
    "relativistic": ("loss=relativistic",),
}
_CHUNK = 2048  # samples that are told apart at once; bounds the memory of a nearest neighbour


@dataclass(frozen=True)
class Monitor:
    """When and how finely a game is watched.

    Attributes:
        steps: Rounds of the game.
        every: Steps between two looks; the start and the end are always looked at.
        n: Samples of one look.
        n_final: Samples of the last count.
        decay: Of the generator's average.
    """

    steps: int
    every: int
    n: int
    n_final: int
    decay: float = 0.99

    @property
    def looks(self) -> list[int]:
        """The steps after which the samples are counted."""
        return sorted({*range(0, self.steps, self.every), self.steps})


def count(samples: Tensor, modes: Modes) -> tuple[np.ndarray, np.ndarray]:
    """Samples [n, *shape] -> how many are nearest to each mode, and how many of those are good.

    Both are [K]; good means of high quality. A sample that is not finite is nearest to none.
    """
    k = len(modes.weights)
    nearest, good = torch.zeros(k, dtype=torch.int64), torch.zeros(k, dtype=torch.int64)
    finite = samples[samples.flatten(1).isfinite().all(1)]
    for part in finite.split(_CHUNK):
        mode, is_good = modes.classify(part)
        nearest += torch.bincount(mode, minlength=k).cpu()
        good += torch.bincount(mode[is_good], minlength=k).cpu()
    return nearest.numpy().astype(np.int32), good.numpy().astype(np.int32)


def play(setup: Setup, monitor: Monitor) -> dict[str, np.ndarray]:
    """Trains one game, all of its seeds at once, and counts samples by mode on the way.

    Returns:
        nearest, good: Samples nearest to each mode at each look, and those of them of high quality,
        [T, S, K]; final_*: the same at the end from `n_final` samples, [S, K]; average_*: of the
        generator's moving average at the end, from `n` samples, [S, K].
    """
    source = setup.data.open(torch.device(setup.device))
    setup.check(source)
    run = setup.open_with(source)
    modes = source.modes
    assert modes is not None
    rows = []
    looks = monitor.looks
    for step in range(monitor.steps + 1):
        if step in looks:
            rows.append(_counts(run, modes, run.now, monitor.n, f"modes {step}"))
        if step < monitor.steps:
            factor = learning_rate_factor(setup.optim.decay, step, monitor.steps)
            run.state.discriminator.set_lr_factor_(factor)
            run.state.generator.set_lr_factor_(factor)
            train_step(run.state, run.streams.draws(step), run.gradients, monitor.decay)
    nearest, good = (np.stack([row[i] for row in rows]) for i in (0, 1))
    found = {"nearest": nearest, "good": good}
    last = f"modes {monitor.steps}"
    for name, make, n in (("final", run.now, monitor.n_final), ("average", run.samples, monitor.n)):
        found[f"{name}_nearest"], found[f"{name}_good"] = _counts(run, modes, make, n, last)
    return found


def _counts(
    run: Run, modes: Modes, make: Callable[[int, Tensor], Tensor], n: int, purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    """Every seed's counts, [S, K] each; the same z for every method."""
    rows: list[Sequence[np.ndarray]] = []
    for index, seed in enumerate(run.seeds):
        generator = stream(seed, purpose, run.source.device)
        shape = (n, run.streams.spec.latent_dim)
        z = torch.randn(shape, generator=generator, device=run.source.device)
        rows.append(count(make(index, z), modes))
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
