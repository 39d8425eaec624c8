"""A comparison's content: what the page, Markdown, CSV and TensorBoard show."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import numpy as np

from gan_lab.reports.plots.style import Style

_MAX_LEVELS = 5


@dataclass(frozen=True)
class Table:
    """A table of texts, already rounded; the first column names the row."""

    title: str
    note: str  # how to read it, one or two sentences
    columns: Sequence[str]  # names, with units in brackets
    rows: Sequence[Sequence[str]]  # as many cells as columns


@dataclass(frozen=True)
class Band:
    """A curve with its interval over seeds; one seed has no interval, low and high are then nan."""

    x: np.ndarray  # where, increasing, [T]
    mean: np.ndarray  # over the seeds that have a value there, [T]
    low: np.ndarray  # lower end of the 95 % t interval, [T]
    high: np.ndarray  # upper end, [T]
    n: np.ndarray  # seeds that have a value there, [T], whole numbers


@dataclass(frozen=True)
class Chart:
    """One quantity of all groups, on several x axes."""

    tag: str  # as in metrics.jsonl
    title: str
    unit: str  # of the values; "" for none
    floor: float | None  # what real samples get, or None
    question: str  # title of the question it answers; see `charts.QUESTIONS`
    # Axis (a key of `AXES`) -> label of a group -> curve, of the groups that have values there.
    bands: Mapping[str, Mapping[str, Band]]


# Name of an axis -> what it counts. The first is the clock that every other table uses.
AXES = {
    "step": "steps (rounds of the game)",
    "discriminator_steps": "discriminator updates",
    "generator_steps": "generator updates",
    "gradient_evaluations": "gradient evaluations (batches)",
    "images": "real samples shown to the discriminator",
    "seconds": "seconds of training",
}


@dataclass(frozen=True)
class EventRow:
    """A named event of one run."""

    group: str  # label of the run's group
    seed: int
    step: int
    kind: str  # collapse, saturation, ...
    numbers: str  # what triggered it
    explanation: str  # what it means
    advice: str  # a thing to try


@dataclass(frozen=True)
class Verdict:
    """The answer of a section in one badge and one sentence."""

    kind: Literal["better", "undecided", "too_few_seeds", "one_group", "no_result"]
    badge: str  # a few words: "WGAN-GP is better", "Undecided", "Too few seeds"
    headline: str  # one sentence: which, by how much with interval and unit, how many seeds
    details: Sequence[str] = ()  # at most three short sentences


@dataclass(frozen=True)
class Dot:
    """One group in the plot of dots and intervals: its number at the end, on held-out data."""

    label: str
    value: float  # mean over seeds
    low: float  # lower end of the 95 % t interval; nan for one seed
    high: float  # upper end
    seeds: Sequence[float]  # the final value of every seed
    is_skewed: bool = False  # whether the interval is marked as too narrow


@dataclass(frozen=True)
class Part:
    """One part of a section below its first screen."""

    kind: Literal["curves", "budgets", "why", "details"]
    title: str
    sentences: Sequence[str] = ()  # what it means here, made from the numbers
    charts: Sequence[Chart] = ()  # of `Section.charts`
    tables: Sequence[Table] = ()  # of `Section.tables`
    events: Sequence[EventRow] = ()  # of `Section.events`


@dataclass(frozen=True)
class Section:
    """All groups on one data set, under one evaluator: what may be compared with each other."""

    name: str
    labels: Sequence[str]  # of the groups, in the order of the tables
    styles: Mapping[str, Style]  # label -> how the group is drawn, everywhere
    verdict: Verdict
    sentences: Sequence[str]  # more sentences made from the numbers, for who unfolds them
    tables: Sequence[Table]  # in the order in which they are shown
    charts: Sequence[Chart]  # in the order in which they are shown
    # Label -> step -> PNG of the samples, or landscape (`landscape.load`) for data of 1 or 2
    # dimensions, of one seed: the same in every group where they share one.
    pictures: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    landscapes: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    seed: Mapping[str, int] = field(default_factory=dict)
    events: Sequence[EventRow] = ()  # by step
    # The plot of the first screen: the best group first, and what real data get.
    dots: Sequence[Dot] = ()
    real_data: float | None = None
    dots_title: str = ""  # of the quantity: "Exact W1 to unseen data"
    dots_unit: str = ""
    parts: Sequence[Part] = ()  # all charts, tables and events below the first screen, in order
    # Label -> lines about its loss; label -> dotted key that differs -> value as text, in every
    # group; label -> tag of the final evaluation -> mean over seeds.
    cards: Mapping[str, Sequence[str]] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    finals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)
    end: str = ""  # when the dots' numbers were taken: "at the end of training (step 2000)"
    is_paired: bool = False  # whether differences are taken seed by seed
    real_picture: Path | None = None  # PNG of held-out images, like those of the samples
    # Images in a row and in a column of each picture; 0 where these differ.
    grid_side: int = 0
    headline: str = ""  # tag of the number that sums its groups up, which the dots show
    is_high_dimensional: bool = False  # whether a sample has more than 4 coordinates
    # Label -> what the run that is pictured has at its end: "93 % legible; 10 of 10 modes".
    modes: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A whole comparison."""

    title: str
    question: str  # what the comparison answers, one sentence
    sections: Sequence[Section]  # one for each data set
    notes: Sequence[str]  # which runs diverged, were cut off or left out, and why
    method: Sequence[str]  # how the numbers were made, a paragraph each
    origin: str  # when, with what, from which directories, one line
    has_own_title: bool = True  # False where its title only lists the groups


def stack_levels(places: Sequence[float], near: float) -> list[int]:
    """Return the level, from 0 to 4, on which each dot stands, so that none covers another.

    Dots of one level are at least `near` apart, unless more than five stand in one place.
    """
    levels, ends = [0] * len(places), [-math.inf] * _MAX_LEVELS
    for i in sorted(range(len(places)), key=lambda i: places[i]):
        free = (k for k, end in enumerate(ends) if places[i] - end >= near)
        levels[i] = next(free, ends.index(min(ends)))
        ends[levels[i]] = places[i]
    return levels


def events_table(events: Sequence[EventRow]) -> Table:
    """Return a table of events: a row for each kind of each group, with the first's numbers."""
    kinds: dict[tuple[str, str], list[EventRow]] = {}
    for event in events:
        kinds.setdefault((event.group, event.kind), []).append(event)
    rows = []
    for (group, kind), events_of_kind in kinds.items():
        seeds = ", ".join(map(str, sorted({e.seed for e in events_of_kind})))
        first, last = events_of_kind[0].step, events_of_kind[-1].step
        steps = f"{first} - {last}" if last > first else f"{first}"
        rows.append([group, kind, seeds, steps, events_of_kind[0].numbers])
    return Table(
        "Events",
        "Noticed during training; the numbers are those that triggered the first of each row.",
        ("group", "what", "seeds", "steps", "numbers"),
        rows,
    )
