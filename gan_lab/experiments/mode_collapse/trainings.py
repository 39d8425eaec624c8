"""The trainings of the study of mode collapse, with counts of samples by mode on the way."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from gan_lab.data.base import Modes
from gan_lab.experiments.mode_collapse.coverage import count
from gan_lab.experiments.training import open_training, record
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

# Method -> overrides of `train`; what a loss's config file brings with it stays as it is.
METHODS: dict[str, tuple[str, ...]] = {
    "minimax": ("loss=minimax",),
    "non_saturating": ("loss=non_saturating",),
    "packing": ("loss=non_saturating", "network.packing=2"),
    "wasserstein": ("loss=wasserstein",),
    "wasserstein_clip": ("loss=wasserstein", "regularizer=[weight_clipping]", "optim=rmsprop"),
    "least_squares": ("loss=least_squares",),
    "hinge": ("loss=hinge",),
    "relativistic": ("loss=relativistic",),
}


@dataclass(frozen=True)
class CountSchedule:
    """When and with how many samples modes are counted.

    Attributes:
        n_steps: Rounds of the training.
        interval: Steps between two counts; the start and the end are always counted.
        n: Samples of one count.
        n_final: Samples of the last count.
        decay: Of the generator's average.
    """

    n_steps: int
    interval: int
    n: int
    n_final: int
    decay: float = 0.99

    @property
    def steps(self) -> list[int]:
        """Steps after which samples are counted."""
        return sorted({*range(0, self.n_steps, self.interval), self.n_steps})


def train_and_count(config: RunConfig, schedule: CountSchedule) -> dict[str, np.ndarray]:
    """Train all seeds of one method at once, counting samples by mode on the way.

    Returns:
        nearest, good: Samples nearest to each mode at each count, and those of high quality among
        them, [T, S, K]; final_*: the same at the end from `n_final` samples, [S, K]; average_*: of
        the generator's moving average at the end, from `n` samples, [S, K].
    """
    run = open_training(config, schedule.n_steps, schedule.decay)
    modes = run.source.modes
    assert modes is not None

    def counts_now(run: Run) -> tuple[np.ndarray, np.ndarray]:
        purpose = f"modes {run.state.step}"
        return _counts(run, modes, run.current_samples, schedule.n, purpose)

    rows = record(run, schedule.steps, counts_now)
    purpose = f"modes {schedule.n_steps}"
    counts = {
        "": tuple(np.stack([row[i] for row in rows]) for i in (0, 1)),
        "final_": _counts(run, modes, run.current_samples, schedule.n_final, purpose),
        "average_": _counts(run, modes, run.samples, schedule.n, purpose),
    }
    kinds = ("nearest", "good")
    return {f"{p}{kind}": pair[i] for p, pair in counts.items() for i, kind in enumerate(kinds)}


def _counts(
    run: Run, modes: Modes, generate: Callable[[int, Tensor], Tensor], n: int, purpose: str
) -> tuple[np.ndarray, np.ndarray]:
    """Count every seed's samples, [S, K] each; the z are the same for every method."""
    z = [run.noise(index, purpose, n) for index in range(len(run.seeds))]
    rows = [count(generate(index, each), modes) for index, each in enumerate(z)]
    return np.stack([row[0] for row in rows]), np.stack([row[1] for row in rows])
