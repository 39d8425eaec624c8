"""When a run is measured and drawn: plain numbers that follow from its length.

So runs of one length share their steps, whatever their losses, and a run has the same rows on
every machine. With its start and its end a run of 200 steps or more has at least 20 points of each
curve and 10 pictures.
"""

import math
from typing import NamedTuple

from gan_lab.training.config import RunConfig

_EVALUATIONS, _PICTURES, _GAPS = 20, 9, 2  # intervals of a run


class Intervals(NamedTuple):
    """Steps between two evaluations, optimality gaps, pictures and landscapes; 0 = never."""

    evaluation: int
    optimality_gap: int
    image: int
    landscape: int


def choose_intervals(config: RunConfig) -> Intervals:
    """Return the intervals of a run; those that were typed stay as they are.

    The optimality gap takes some updates of a copy: it is measured with every evaluation where the
    interval of these was typed, else at the start, about the middle and the end.
    """
    trainer, every = config.trainer, config.evaluator.every
    evaluation = every or math.ceil(trainer.steps / _EVALUATIONS)
    pictures = math.ceil(trainer.steps / _PICTURES)
    image, landscape = (
        pictures if choice is None else choice
        for choice in (trainer.image_every, trainer.landscape_every)
    )
    return Intervals(evaluation, every or _EVALUATIONS // _GAPS * evaluation, image, landscape)
