"""What tests of studies share."""

import torch

from gan_lab.experiments.base import Lab
from tests.run_helpers import setup


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
