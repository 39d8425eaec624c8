"""What tests of studies share."""

import torch

from gan_lab.experiments.base import Lab
from gan_lab.losses import Minimax, NonSaturating
from tests.helpers import setup


def small_lab(path, n_seeds=2):
    """A study's surroundings: one process, quick, silent."""
    return Lab(
        seeds=tuple(range(n_seeds)),
        device=torch.device("cpu"),
        directory=path,
        workers=1,
        quick=True,
        setup=lambda overrides: setup(*overrides),
        tell=lambda line: None,
    )


def swap_generator_losses(monkeypatch):
    """Plant a bug: minimax and non-saturating exchange the generator's loss."""
    minimax, non_saturating = Minimax.generator, NonSaturating.generator
    monkeypatch.setattr(Minimax, "generator", non_saturating)
    monkeypatch.setattr(NonSaturating, "generator", minimax)
