"""Base classes: an event is reported once, and again only after it was clearly over."""

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, NamedTuple

Row = Mapping[str, Any]  # one object of metrics.jsonl: tag -> number

_HUGE = 1e100  # whose square still is a number


@dataclass(frozen=True)
class Event:
    """A named problem of one seed."""

    kind: str  # saturation, collapse, critic_drift, sign_flip, oscillation, divergence or plateau
    step: int  # of the row that settles it
    numbers: Mapping[
        str, float
    ]  # what triggers it; a name says its unit in brackets, but of ratios
    explanation: str  # what it means
    advice: str  # what to try, as keys to type


class Verdict(NamedTuple):
    """One row's verdict: whether the event is on, whether it is clearly over, and why.

    Between the two thresholds it is neither, which keeps an event from being reported twice.
    """

    on: bool
    over: bool
    numbers: Mapping[str, float]


class Detector(ABC):
    """Follows one seed's rows for one kind of event, with the fields of `Event`."""

    kind: ClassVar[str]
    patience: ClassVar[int] = 2  # verdicts in a row that settle it, and that end it
    explanation: ClassVar[str]
    advice: ClassVar[str]

    def __init__(self) -> None:
        self._is_on = False
        self._n_agreeing = 0

    @abstractmethod
    def check(self, step: int, row: Row) -> Verdict | None:
        """Take a row into account; None where it says nothing about this kind."""

    def update(self, step: int, row: Row) -> Event | None:
        """Return the event if this row is the one that settles it."""
        verdict = self.check(step, row)
        if verdict is None:
            return None
        agrees = verdict.over if self._is_on else verdict.on
        self._n_agreeing = self._n_agreeing + 1 if agrees else 0
        if self._n_agreeing < self.patience:
            return None
        self._is_on, self._n_agreeing = not self._is_on, 0
        if not self._is_on:
            return None
        return Event(self.kind, step, dict(verdict.numbers), self.explanation, self.advice)


def number(row: Row, tag: str) -> float:
    """Return a value of the row; nan where it is missing or no number, infinity beyond any use."""
    value = row.get(tag)
    if not isinstance(value, int | float):
        return math.nan
    return float(value) if not abs(value) > _HUGE else math.copysign(math.inf, value)


class Measurement(NamedTuple):
    """One estimate of the evaluator with its interval and floor; nan where unknown."""

    step: int
    value: float
    low: float
    high: float
    floor: float

    @property
    def has_interval(self) -> bool:
        """Whether it has an interval: one repeat has none."""
        return math.isfinite(self.low) and math.isfinite(self.high)


def measurement(step: int, row: Row, tag: str) -> Measurement | None:
    """Return the estimate of a tag with its interval; None where the row has none."""
    if tag not in row:
        return None
    ends = (number(row, f"{tag}_{end}") for end in ("low", "high", "floor"))
    return Measurement(step, number(row, tag), *ends)
