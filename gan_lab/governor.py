"""How often a run may be looked at, so that looking stays a small share of its time."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass

_LADDER = tuple(2**k for k in range(4, 21))
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
    budget: float, every: int, image_every: int | None, costs: Costs, step_seconds: float
) -> Pace:
    """The pace that keeps to a budget; an interval that was asked for stays as it is.

    Two thirds of the budget are for measuring and a sixth for drawing; the rest is for logging,
    whose interval is fixed.
    """
    measure = every or interval(costs.measure, step_seconds, budget * 2 / 3)
    if image_every is None:
        return Pace(measure, interval(costs.draw, step_seconds, budget / 6))
    return Pace(measure, image_every)


def interval(cost: float, step_seconds: float, share: float) -> int:
    """The smallest power of two of steps whose time makes `cost` at most a share of it.

    Powers of two nest, so that runs of different speed still have common steps to be compared at.

    Args:
        cost: Of one look, in seconds.
        step_seconds: Of one step.
        share: In (0, 1).

    Returns:
        16, 32, ..., 2^20.
    """
    for steps in _LADDER:
        if cost <= share * steps * step_seconds:
            return steps
    return _LADDER[-1]
