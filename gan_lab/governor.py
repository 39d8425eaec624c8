"""How often a run may be looked at, so that looking stays a small share of its time."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

_LADDER = tuple(2**k for k in range(4, 21))
_PICTURES = 64
CALIBRATION = (16, 32)  # steps between which a step is timed: the first ones warm caches up


@dataclass(frozen=True)
class Pace:
    """Intervals in steps; 0 = never between the start and the end.

    Attributes:
        measure: Between two readings of the ruler.
        draw: Between two pictures.
    """

    measure: int
    draw: int

    def as_dict(self) -> dict[str, int]:
        """For the checkpoint: a resumed run keeps its pace."""
        return asdict(self)

    @staticmethod
    def from_dict(values: Mapping[str, int]) -> "Pace":
        """The inverse."""
        return Pace(int(values["measure"]), int(values["draw"]))


@dataclass(frozen=True)
class Costs:
    """What one look costs, in seconds."""

    measure: float
    draw: float


def chosen(
    budget: float,
    asked: tuple[int, int | None],
    costs: Costs,
    step_seconds: float,
    n_steps: int,
) -> Pace:
    """The pace that keeps to a budget; an interval that was asked for stays as it is.

    Two thirds of the budget are for measuring and a sixth for drawing; the rest is for logging,
    whose interval is fixed. A run has no more than about 64 pictures, however cheap they are.

    Args:
        budget: Share of the loop's time, in (0, 1).
        asked: Intervals for measuring (0 = choose) and drawing (None = choose, 0 = never).
        costs: Of one look.
        step_seconds: Of one step.
        n_steps: Of the run.
    """
    every, image_every = asked
    measure = every or interval(costs.measure, step_seconds, budget * 2 / 3)
    if image_every is None:
        image_every = interval(costs.draw, step_seconds, budget / 6, at_least=n_steps / _PICTURES)
    return Pace(measure, image_every)


def interval(cost: float, step_seconds: float, share: float, at_least: float = 1) -> int:
    """The smallest power of two of steps whose time makes `cost` at most a share of it.

    Powers of two nest, so that runs of different speed still have common steps to be compared at.

    Args:
        cost: Of one look, in seconds.
        step_seconds: Of one step.
        share: In (0, 1).
        at_least: Steps, whatever the cost.

    Returns:
        16, 32, ..., 2^20.
    """
    for steps in _LADDER:
        if steps >= at_least and cost <= share * steps * step_seconds:
            return steps
    return _LADDER[-1]
