"""A comparison's content: what the page, Markdown, CSV and TensorBoard show."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from gan_lab.reports.plots.style import Style


@dataclass(frozen=True)
class Table:
    """A table of texts, already rounded; the first column names the row.

    Attributes:
        title: A heading of a few words.
        note: How to read it, one or two sentences.
        columns: Names, with units in brackets.
        rows: As many cells as columns.
    """

    title: str
    note: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


@dataclass(frozen=True)
class Band:
    """A curve with its interval over seeds; one seed has no interval, low and high are then nan.

    Attributes:
        x: Where, increasing, [T].
        mean: Over the seeds that have a value there, [T].
        low: Lower end of the 95 % t interval, [T].
        high: Upper end, [T].
        n: Seeds that have a value there, [T], whole numbers.
    """

    x: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray
    n: np.ndarray


@dataclass(frozen=True)
class Chart:
    """One quantity of all groups, on several x axes.

    Attributes:
        tag: As in metrics.jsonl.
        title: What it is, a few words.
        unit: Of the values; "" for none.
        floor: What real samples get, or None.
        question: Title of the question it answers; see `charts.QUESTIONS`.
        bands: Axis (a key of `AXES`) -> label of a group -> curve; groups without a value there
            are left out.
    """

    tag: str
    title: str
    unit: str
    floor: float | None
    question: str
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
    """A named event of one run.

    Attributes:
        group: Label of the run's group.
        seed: Of the run.
        step: When.
        kind: collapse, saturation, ...
        numbers: What triggered it.
        explanation: What it means, plain.
        advice: A thing to try.
    """

    group: str
    seed: int
    step: int
    kind: str
    numbers: str
    explanation: str
    advice: str


@dataclass(frozen=True)
class Section:
    """All groups on one data set, under one evaluator: what may be compared with each other.

    Attributes:
        name: Of the data set.
        labels: Of the groups, in the order of the tables.
        styles: Label -> how the group is drawn, everywhere.
        verdict: Sentences made from the numbers, the answer first.
        tables: In the order in which they are shown.
        charts: In the order in which they are shown.
        pictures: Label -> step -> PNG of the samples of one seed, where pictures were drawn.
        landscapes: Label -> step -> landscape of one seed (`landscape.load`), for data of 1 or 2
            dimensions.
        seed: Whose pictures and landscapes these are; the same in every group where they share one.
        events: Named events, by step.
        cards: Label -> lines about its loss: formulas, what it minimises, how to read it.
        choices: Label -> what tells the group apart, dotted key -> value as text; the same keys in
            every group.
        finals: Label -> tag of the final evaluation -> mean over seeds.
    """

    name: str
    labels: Sequence[str]
    styles: Mapping[str, Style]
    verdict: Sequence[str]
    tables: Sequence[Table]
    charts: Sequence[Chart]
    pictures: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    landscapes: Mapping[str, Mapping[int, Path]] = field(default_factory=dict)
    seed: Mapping[str, int] = field(default_factory=dict)
    events: Sequence[EventRow] = ()
    cards: Mapping[str, Sequence[str]] = field(default_factory=dict)
    choices: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    finals: Mapping[str, Mapping[str, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Report:
    """A whole comparison.

    Attributes:
        title: A few words.
        question: What the comparison answers, one sentence.
        sections: One for each data set.
        notes: What a reader must know: runs that diverged, were cut off or left out, and why.
        method: How the numbers were made, a paragraph each.
        origin: When, with what, from which directories, one line.
    """

    title: str
    question: str
    sections: Sequence[Section]
    notes: Sequence[str]
    method: Sequence[str]
    origin: str


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
