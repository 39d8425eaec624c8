"""All detectors of one seed together."""

import math
from dataclasses import replace

from gan_lab.diagnostics.detector import Detector, Event, Row
from gan_lab.diagnostics.loss_detectors import CriticDrift, Oscillation, Saturation, SignFlip
from gan_lab.diagnostics.metric_detectors import Collapse, Divergence, Plateau


class Monitor:
    """Follows the rows of one seed.

    Args:
        equilibrium: The discriminator's loss where it cannot tell real from fake, as on the loss
            card; 0 for a loss that is linear in the logits and so cannot saturate.
    """

    def __init__(self, equilibrium: float) -> None:
        self._detectors: list[Detector] = [Saturation(equilibrium)] if equilibrium > 0 else []
        self._detectors += [Collapse(), CriticDrift(), SignFlip(), Oscillation(), Divergence()]
        self._detectors.append(Plateau())
        self._first: int | None = None

    def update(self, row: Row) -> list[Event]:
        """Return the events that a row of metrics.jsonl settles; rows come in order of steps."""
        value = row.get("step")
        step = int(value) if isinstance(value, int | float) and math.isfinite(value) else 0
        self._first = step if self._first is None else self._first
        # Detectors count from the first row: a fork's clock begins late, its history does not.
        events = (detector.update(step - self._first, row) for detector in self._detectors)
        return [_shift(event, self._first) for event in events if event is not None]


def not_finite(step: int, quantity: str) -> Event:
    """Return the event of a run that stops since a quantity, mostly a tag, is not finite."""
    explanation = "is not finite: the run stopped here, with the state before this update saved."
    advice = (
        "Try a smaller optim.lr=1e-4, or a stronger regularizer: 'regularizer=[gradient_penalty]'."
    )
    numbers = {"failed at step": float(step)}
    return Event("divergence", step, numbers, f"{quantity} {explanation}", advice)


def _shift(event: Event, by: int) -> Event:
    numbers = {k: v + by if k.endswith(" step") else v for k, v in event.numbers.items()}
    return replace(event, step=event.step + by, numbers=numbers)
