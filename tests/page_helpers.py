"""Comparisons without runs, with everything that a page, Markdown and TensorBoard can show."""

import itertools
from dataclasses import replace

import numpy as np
import torch
from PIL import Image

from gan_lab.reports.analysis.charts import QUESTIONS
from gan_lab.reports.analysis.model import (
    AXES,
    Band,
    Chart,
    Dot,
    EventRow,
    Part,
    Report,
    Section,
    Table,
    Verdict,
)
from gan_lab.reports.plots import landscape
from gan_lab.reports.plots.style import SERIES

NASTY = 'a "quoted" </script><b>@DATA@ & co'
LABELS = ("minimax", "Wasserstein, gradient penalty", "hinge, regularizer=none/R1")


def band(x, level, n=3):
    x = np.asarray(x, dtype=float)
    mean = level + 1 / (1 + x / x.max())
    half = np.nan if n == 1 else 0.2  # one seed has no interval
    return Band(x, mean, mean - half, mean + half, np.full(len(x), n))


def chart(labels, tag="divergence/wasserstein", points=30, question=0, **more):
    curve = next(c for c in QUESTIONS[question].curves if c.tag == tag)
    bands = {axis: {} for axis in AXES}
    for (k, axis), (i, label) in itertools.product(enumerate(AXES), enumerate(labels)):
        bands[axis][label] = band(np.linspace(1, 100 * (1 + i * k), points), 0.5 + i)
    fields = (tag, curve.title, curve.unit, 0.25, QUESTIONS[question].title, bands)
    return replace(Chart(*fields), **more)


def landscapes(directory, dims, steps=(0, 10, 20), shift=0.0):
    """Landscapes that are -|x - step / 10|^2 / 2: its gradient is known."""
    real = torch.linspace(-1, 1, 8 * dims).reshape(8, dims)
    paths = {}
    for step in steps:
        centre = shift + step / 10
        content = landscape.compute(
            real, real * 0.5, lambda x, c=centre: -0.5 * ((x - c) ** 2).flatten(1).sum(1)
        )
        paths[step] = directory / f"landscape_{dims}_{shift}_{step}.npz"
        landscape.save(content, paths[step])
    return paths


def pictures(directory, steps=(0, 10, 20), size=(24, 24), name="picture"):
    noise = np.random.default_rng(0)
    paths = {}
    for step in steps:
        paths[step] = directory / f"{name}_{step}.png"
        pixels = noise.integers(0, 255, (*size[::-1], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(paths[step])
    return paths


def section(name, labels, **more):
    rows = [(label, "0.5 [0.4, 0.6]") for label in labels]
    fields = {
        "name": name,
        "labels": labels,
        "styles": dict(zip(labels, SERIES, strict=False)),
        "verdict": Verdict("better", "The first is better", f"On {name} the first is better."),
        "sentences": (f"On {name} the first is better.", "By little."),
        "tables": [Table("At the end", "Mean [95 %].", ("group", "W1 (data units)"), rows)],
        "charts": [chart(labels), chart(labels, "modes/covered", question=1)],
        "seed": dict.fromkeys(labels, 0),
        "cards": {labels[0]: ("generator: log(1 - D(G(z)))", "A remark.")},
    }
    result = Section(**{**fields, **more})
    dots = [
        Dot(label, 0.5 + i, 0.4 + i, 0.6 + i, [0.45 + i, 0.55 + i])
        for i, label in enumerate(labels)
    ]
    plot = {"dots": dots, "real_data": 0.1, "dots_title": "W1", "dots_unit": "data units"}
    plot["headline"] = "divergence/wasserstein"
    return replace(result, parts=parts_of(result), **plot)


def parts_of(section):
    """All charts, tables and events of a section, in parts of every kind."""
    questions = dict.fromkeys(chart.question for chart in section.charts)
    parts = [
        Part(
            "curves" if i < 2 else "why",
            question,
            [f"{question} Here, yes."],
            [chart for chart in section.charts if chart.question == question],
        )
        for i, question in enumerate(questions)
    ]
    parts.append(Part("budgets", "At equal budgets", tables=section.tables[:1]))
    parts.append(Part("why", "What happened", ["One event."], events=section.events))
    words = ["One seed alone says as much."]
    parts.append(Part("details", "Tables and configuration", words, tables=section.tables[1:]))
    return parts


def wide_section(directory, name="ring", labels=LABELS, n_points=50, n_curves=2):
    """A section with the first curves of every question; the third of three groups has one seed."""
    x = np.arange(n_points) * 50.0
    charts = []
    for question in QUESTIONS:
        of_points = [curve for curve in question.curves if not curve.is_of_features]
        for j, curve in enumerate(of_points[:n_curves]):
            bands = {
                label: band(x, i + 3 * j, (4, 4, 1, 4)[i % 4]) for i, label in enumerate(labels)
            }
            floor = 0.15 if curve.interval else None
            content = (curve.tag, curve.title, curve.unit, floor, question.title, {"step": bands})
            charts.append(Chart(*content))
    images, choices, finals = {}, {}, {}
    for i, label in enumerate(labels):
        images[label] = pictures(directory, (0, 500, 1000), (160, 120), f"picture_{i}")
        choices[label] = {"loss": label.split(",")[0], "trainer.n_critic": str(1 + i)}
        finals[label] = {"divergence/wasserstein": 0.25 + i, "modes/covered": 8.0 - i}
    event = EventRow(labels[0], 2, 400, "saturation", "norm 1e-8", "No gradient.", "Wait")
    result = section(name, labels, charts=charts, pictures=images, events=[event])
    table = replace(result.tables[0], columns=("group", "KL(data || samples)"))
    result = replace(result, tables=[table], choices=choices, finals=finals)
    return replace(result, parts=parts_of(result))


def wide_report(directory, names=("ring",), **more):
    """A report of such sections; its pictures are written into the directory."""
    sections = [wide_section(directory, name, **more) for name in names]
    return Report("A comparison", "Which is better?", sections, ["A note."], ["Means."], "By hand.")


def report(directory, labels=("minimax", NASTY)):
    """Three sections: points of a plane, of a line, and images; the second group ends early."""
    each = (landscapes(directory, 2), landscapes(directory, 2, (0, 10), shift=1.0))
    plane = dict(zip(labels, each, strict=True))
    event = EventRow(labels[1], 0, 10, "collapse", "1 of 8", "Few modes.", "Fewer steps.")
    sections = [
        section("plane", labels, landscapes=plane, events=[event]),
        section("line", labels, landscapes={label: landscapes(directory, 1) for label in labels}),
        section("images", labels, pictures={labels[0]: pictures(directory)}),
    ]
    words = (["minimax, seed 3: diverged at step 7 (loss is nan)."], ["Means over seeds."])
    return Report("A comparison", "Which is better?", sections, *words, "Made by hand.")


def hostile(comparison, name):
    """A report in which every text that may come from a run or a person is `name`."""
    texts = {"title": name, "question": name, "notes": [name], "method": [name], "origin": name}
    sections = [_rename(section, name) for section in comparison.sections]
    return replace(comparison, **texts, sections=sections)


def _rename(section, name):
    """A section in which every text that may come from a run or a person is `name`."""
    old = section.labels[1]

    def keys(mapping):
        return {name if key == old else key: value for key, value in mapping.items()}

    texts = dict.fromkeys(("group", "kind", "numbers", "explanation", "advice"), name)
    charts = [
        replace(c, title=name, unit=name, bands={a: keys(b) for a, b in c.bands.items()})
        for c in section.charts
    ]
    dots = [replace(dot, label=keys({dot.label: 0}).popitem()[0]) for dot in section.dots]
    by_label = ("styles", "landscapes", "pictures", "seed")
    result = replace(
        section,
        name=name,
        labels=("minimax", name),
        verdict=Verdict("undecided", name, name, [name]),
        sentences=(name, name),
        dots=dots,
        dots_title=name,
        dots_unit=name,
        tables=[Table(name, name, [name, name], [("minimax", name), (name, name)])],
        events=[replace(event, **texts) for event in section.events],
        cards={name: (name, f"reading: {name}")},
        charts=charts,
        **{field: keys(getattr(section, field)) for field in by_label},
    )
    parts = [replace(part, title=name, sentences=[name]) for part in parts_of(result)]
    return replace(result, parts=parts)
