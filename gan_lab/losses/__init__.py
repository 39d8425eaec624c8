"""Adversarial losses: pure, per sample, real before fake, both minimised."""

from gan_lab.losses.base import AdversarialLoss, LossCard, check_paired
from gan_lab.losses.cross_entropy import Minimax, NonSaturating
from gan_lab.losses.hinge import Hinge
from gan_lab.losses.least_squares import LeastSquares
from gan_lab.losses.relativistic import RelativisticPairing
from gan_lab.losses.wasserstein import Wasserstein

__all__ = [
    "AdversarialLoss",
    "Hinge",
    "LeastSquares",
    "LossCard",
    "Minimax",
    "NonSaturating",
    "RelativisticPairing",
    "Wasserstein",
    "check_paired",
]
