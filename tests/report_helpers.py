"""A comparison that nobody ran, with everything that can be shown: for tests of what shows it."""

import io

import numpy as np
from PIL import Image, ImageDraw

from gan_lab.reports.analysis.charts import QUESTIONS
from gan_lab.reports.analysis.model import Band, Chart, EventRow, Report, Section, Table
from gan_lab.reports.plots.style import STYLES

LABELS = ("minimax", "Wasserstein, gradient penalty", "hinge, regularizer=none/R1")
_STYLES = ("minimax", "wasserstein", "hinge")


def made_band(seed, n_points=50, n_seeds=4):
    """A falling curve with a band; one seed has no interval."""
    rng = np.random.default_rng(seed)
    x = np.arange(n_points) * 50.0
    mean = 0.2 + (1 + seed % 3) * np.exp(-x / 700) + 0.02 * rng.standard_normal(n_points)
    half = np.full(n_points, np.nan) if n_seeds == 1 else 0.05 + 0.05 * rng.random(n_points)
    return Band(x, mean, mean - half, mean + half, np.full(n_points, n_seeds))


def made_picture(directory, text, step):
    """A PNG that says whose samples it would be."""
    image = Image.new("RGB", (160, 120), (30 + step % 200, 90, 140))
    ImageDraw.Draw(image).text((8, 50), f"{text[:14]} {step}", fill=(255, 255, 255))
    png = io.BytesIO()
    image.save(png, format="png")
    path = directory / f"{abs(hash((text, step)))}.png"
    path.write_bytes(png.getvalue())
    return path


def made_section(directory, name="ring", labels=LABELS, n_points=50, n_curves=2):
    """A section with the first curves of every question; the last group has one seed."""
    charts = [
        Chart(
            tag=curve.tag,
            title=curve.title,
            unit=curve.unit,
            floor=0.15 if curve.interval else None,
            question=question.title,
            bands={
                "step": {
                    label: made_band(
                        i + 3 * j, n_points, 1 if label == labels[-1] and len(labels) > 2 else 4
                    )
                    for i, label in enumerate(labels)
                }
            },
        )
        for question in QUESTIONS
        for j, curve in enumerate(question.curves[:n_curves])
    ]
    table = Table(
        "Final numbers",
        "Mean and 95 % interval over seeds.",
        ("loss", "Exact W1 (data units)", "KL(data || samples)"),
        [(label, f"{0.2 + i:.2f} [0.1, 0.3]", "0.50") for i, label in enumerate(labels)],
    )
    return Section(
        name=name,
        labels=labels,
        styles={label: STYLES[key] for label, key in zip(labels, _STYLES, strict=False)},
        verdict=[f"On {name} nothing was run.", "The difference is not supported."],
        tables=[table],
        charts=charts,
        pictures={
            label: {step: made_picture(directory, label, step) for step in (0, 500, 1000)}
            for label in labels
        },
        seed=dict.fromkeys(labels, 0),
        events=[
            EventRow(labels[0], 2, 400, "saturation", "norm 1e-8", "No gradient.", "Another loss")
        ],
        cards={label: ["name: a loss", "sign: lower is better"] for label in labels},
        choices={
            label: {"loss": label.split(",")[0], "trainer.n_critic": str(1 + i)}
            for i, label in enumerate(labels)
        },
        finals={
            label: {"divergence/wasserstein": 0.25 + i, "modes/covered": 8.0 - i}
            for i, label in enumerate(labels)
        },
    )


def made_report(directory, names=("ring",), **section):
    """A report; its pictures are written into the directory."""
    return Report(
        title="A comparison",
        question="Which loss gives the better samples?",
        sections=[made_section(directory, name, **section) for name in names],
        notes=["Nothing was left out."],
        method=["Nobody measured this."],
        origin="by a test",
    )
