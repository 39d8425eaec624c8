"""The evaluator's neural distance on pairs of known W1."""

import numpy as np
import torch

from gan_lab.data.funnels import Funnels
from gan_lab.experiments.base import Arrays
from gan_lab.metrics.neural_distance import NeuralDistance

_PARTS = {"bound": "neural_distance/wasserstein", "value": "neural_distance/wasserstein_penalized"}


def neural_distance_of_pair(
    dim: int, n_funnels: int, seed: int, design: NeuralDistance, device: torch.device
) -> Arrays:
    """Measure a seed's pair as the evaluator does, with uniform points as the generated side.

    Returns:
        bound, bound_low, bound_high: the lower bound of W1 and its interval, data units, [].
        value, value_low, value_high: the same of the penalised critic, which is no bound.
    """
    pair = Funnels(dim, n_funnels, seed)
    estimates = design.measure(pair.sample_uniform, pair.open(device))
    arrays: Arrays = {}
    for name, tag in _PARTS.items():
        each = estimates[tag]
        arrays |= {name: np.array(each.value)}
        arrays |= {f"{name}_low": np.array(each.low), f"{name}_high": np.array(each.high)}
    return arrays
