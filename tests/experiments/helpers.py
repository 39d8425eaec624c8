"""What tests of studies share."""

from gan_lab.experiments.base import Lab
from gan_lab.experiments.claims import FAIL
from gan_lab.losses import Minimax, NonSaturating
from tests.helpers import CPU, run_config


def verdicts(claims):
    return {claim.id: claim.verdict for claim in claims}


def failing(claims):
    return {claim.id for claim in claims if claim.verdict == FAIL}


def small_lab(path, n_seeds=2):
    """A study's surroundings: one process, quick, silent."""
    seeds, tell = tuple(range(n_seeds)), lambda line: None
    return Lab(
        seeds, CPU, path, 1, quick=True, run_config=lambda words: run_config(*words), tell=tell
    )


def swap_generator_losses(monkeypatch):
    """Plant a bug: minimax and non-saturating exchange the generator's loss."""
    minimax, non_saturating = Minimax.generator, NonSaturating.generator
    monkeypatch.setattr(Minimax, "generator", non_saturating)
    monkeypatch.setattr(NonSaturating, "generator", minimax)
