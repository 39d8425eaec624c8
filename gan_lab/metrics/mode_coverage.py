"""Modes: how many a generator reaches, how good its samples are, how evenly it visits them."""

import math

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
    indices, is_good = modes.classify(samples)
    k = len(modes.weights)
    good = torch.bincount(indices[is_good], minlength=k)
    shares = torch.bincount(indices, minlength=k).cpu().double() / len(samples)
    weights = modes.weights.cpu().double()
    positive = shares > 0
    ratio = shares[positive] / weights[positive]
    kl = float((shares[positive] * ratio.log()).sum())
    return {
        "modes/covered": float((good > 0).sum()),
        "modes/high_quality": float(is_good.cpu().double().mean()),
        "modes/kl": kl if math.isfinite(kl) else math.inf,
        **({} if modes.accuracy is None else {"modes/classifier_accuracy": modes.accuracy}),
    }
