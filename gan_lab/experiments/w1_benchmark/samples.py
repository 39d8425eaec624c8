"""Estimators that need no network, on pairs of known W1."""

from collections.abc import Sequence

import numpy as np
import torch

from gan_lab.data.funnels import Funnels
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.metrics.wasserstein import exact_wasserstein, sliced_wasserstein


def samples_of_pair(dim: int, n_funnels: int, n: int, seeds: Sequence[int]) -> Arrays:
    """Return the truth of the pair of each seed and what n samples of either side say of it.

    Returns:
        truth, truth_low, truth_high: W1 and its interval, data units, [S].
        certificate: |E|x - y| - (E u(y) - E u(x))| over W1, in float64, [S].
        exact: W1 of n real and n fake samples, [S]. real, fake: of n and n more of one side, [S].
        sliced, sliced_real: the same by random directions, [S].
    """
    rows = [_of_seed(Funnels(dim, n_funnels, seed), n, seed) for seed in seeds]
    return {name: np.array([row[name] for row in rows]) for name in rows[0]}


def _of_seed(pair: Funnels, n: int, seed: int) -> dict[str, float]:
    generator = stream(seed, f"w1_benchmark/{pair.dim}/{pair.n_funnels}/samples")
    real, other_real = pair.sample(n, generator), pair.sample(n, generator)
    fake, other_fake = pair.sample_uniform(n, generator), pair.sample_uniform(n, generator)
    truth = pair.wasserstein(seed=seed)
    y = fake.to(torch.float64)
    x = pair.pull(y)
    gap = (x - y).norm(dim=1).mean() - (pair.potential(x) - pair.potential(y)).mean()
    return {
        "truth": truth.value,
        "truth_low": truth.low,
        "truth_high": truth.high,
        "certificate": abs(float(gap)) / truth.value,
        "exact": exact_wasserstein(real, fake),
        "real": exact_wasserstein(real, other_real),
        "fake": exact_wasserstein(fake, other_fake),
        "sliced": sliced_wasserstein(real, fake),
        "sliced_real": sliced_wasserstein(real, other_real),
    }
