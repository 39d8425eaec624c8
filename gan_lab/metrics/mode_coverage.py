"""Modes: how many a generator reaches, how good its samples are, how evenly it visits them."""

import math

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import Modes


def mode_statistics(samples: Tensor, modes: Modes) -> dict[str, float]:
    """Count samples by their nearest mode.

    Args:
        samples: Shape [n, *shape].
        modes: The classifier of the data's modes, and their true weights.

    Returns:
        modes/covered: modes with at least one high-quality sample, in modes.
        modes/high_quality: share of samples of high quality; for a perfect two-dimensional Gaussian
        mixture 1 - exp(-4.5) = .98889 within 3 standard deviations, so more means collapse within
        modes.
        modes/kl: KL in nats of the modes' shares among all samples from their true weights; its
        floor is about (K - 1)/(2 n) for K modes.
        modes/classifier_accuracy, where the classifier is fitted: its share of held-out samples put
        into their true mode.

    Raises:
        ValueError: A sample is not finite.

    Reference: Srivastava et al. 2017 (VEEGAN), arXiv:1705.07761; Lin et al. 2018 (PacGAN),
    arXiv:1712.04086.
    """
    if not bool(torch.isfinite(samples).all()):
        raise ValueError("samples hold non-finite entries; modes cannot be counted")
    # In numpy: of few samples each operation of torch takes as long as all of these.
    indices, is_good = (each.cpu().numpy() for each in modes.classify(samples))
    weights = modes.weights.cpu().double().numpy()
    n_good = np.bincount(indices[is_good], minlength=len(weights))
    shares = np.bincount(indices, minlength=len(weights)) / len(samples)
    positive = shares > 0
    with np.errstate(divide="ignore"):  # a mode of no weight
        ratio = shares[positive] / weights[positive]
    kl = float((shares[positive] * np.log(ratio)).sum())
    return {
        "modes/covered": float((n_good > 0).sum()),
        "modes/high_quality": float(is_good.mean()),
        "modes/kl": kl if math.isfinite(kl) else math.inf,
        **({} if modes.accuracy is None else {"modes/classifier_accuracy": modes.accuracy}),
    }
