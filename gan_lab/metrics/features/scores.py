"""The score of a classifier's probabilities: sure about each sample, varied over all."""

import math

import torch
from torch import Tensor


def classifier_score(log_probabilities: Tensor) -> float:
    """Return exp of the mean KL(p(y|x) || p(y)), p(y) the mean over the samples.

    It is 1 where all samples get the same probabilities and K where each is put into one class for
    sure and all classes are as frequent. It never sees real data: one image a class, repeated, gets
    K, and noise that a classifier is sure about gets a high score.

    Args:
        log_probabilities: Shape [n, K], each row the logs of K probabilities, in nats; -inf is
            probability 0.

    Returns:
        The score, dimensionless, in [1, min(n, K)]; biased downwards by order 1/n.

    Raises:
        ValueError: Not of shape [n, K] with n >= 1, an entry is nan or +inf, or probabilities do
            not sum to 1.

    Reference: Salimans et al. 2016, arXiv:1606.03498, section 4; Barratt and Sharma 2018,
    arXiv:1801.01973, on what it does not see.
    """
    if log_probabilities.ndim != 2 or not len(log_probabilities):
        shape = list(log_probabilities.shape)
        raise ValueError(f"log_probabilities have shape {shape}; take [n, K] with n >= 1")
    p = log_probabilities.detach().cpu().double().exp()
    # nan fails the comparison too.
    off = ~((p.sum(dim=1) - 1).abs() < 1e-4)
    if off.any():
        row = int(off.double().argmax())
        raise ValueError(
            f"the probabilities of sample {row} sum to {float(p[row].sum()):g}, not 1; "
            "take log_softmax of the logits"
        )
    p = p / p.sum(dim=1, keepdim=True)
    # xlogy is 0 for probability 0.
    own, mean = torch.xlogy(p, p).sum(dim=1).mean(), p.mean(dim=0)
    return math.exp(max(0.0, float(own - torch.xlogy(mean, mean).sum())))
