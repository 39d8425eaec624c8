"""When a run is measured and drawn: plain numbers that follow from its configuration.

So runs of one length share their steps, whatever their losses, and a run has the same rows on
every machine. Every run of 64 steps or more has at least 20 points of each curve and 10 pictures.
"""

from typing import NamedTuple

from gan_lab.training.config import RunConfig

_EVALUATIONS, _PICTURES = 30, 15  # a run; at least two thirds of them
_GAPS = 8  # evaluations for one optimality gap


class Intervals(NamedTuple):
    """Steps between two evaluations, optimality gaps, pictures and landscapes; 0 = never."""

    evaluation: int
    optimality_gap: int
    image: int
    landscape: int


def choose_intervals(config: RunConfig) -> Intervals:
    """Return the intervals of a run; those that were typed stay as they are.

    The optimality gap takes some updates of a copy: it is measured with every evaluation where the
    interval of these was typed, else with every eighth.
    """
    trainer, every = config.trainer, config.evaluator.every
    evaluation = every or round_up(trainer.steps / _EVALUATIONS)
    pictures = round_up(trainer.steps / _PICTURES)
    image, landscape = (
        pictures if choice is None else choice
        for choice in (trainer.image_every, trainer.landscape_every)
    )
    return Intervals(evaluation, every or _GAPS * evaluation, image, landscape)


def round_up(n_steps: float) -> int:
    """Return the smallest of 1, 2, 3, 4, 6, 8, 12, 16, ... that is at least this.

    These are the powers of two and their sums with their halves: some of the steps of one interval
    are those of any other.
    """
    power = 1
    while True:
        for interval in (power, power + power // 2):
            if interval >= n_steps:
                return interval
        power *= 2
