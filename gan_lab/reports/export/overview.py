"""One picture of a comparison: for each data set the curve, the end, and samples."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.image import imread

from gan_lab.reports.analysis.aggregate import Group, Problem
from gan_lab.reports.analysis.charts import CURVES, HEADLINE
from gan_lab.reports.analysis.model import Report, Section
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.plots import samples
from gan_lab.reports.plots.landscape import load_or_none
from gan_lab.reports.plots.style import FAKE, GREY, REAL, canvas, label, reference

_MAX_SHOWN = 4
_TITLE = f"{CURVES[HEADLINE].title} ({CURVES[HEADLINE].unit})"


def save(report: Report, problems: Sequence[Problem], path: Path) -> Path:
    """Draw every section as a row of three panels and write a PNG."""
    with matplotlib.rc_context({"text.parse_math": False}):  # a name may hold two dollars
        figure, axes = canvas(report.title, len(report.sections), 3, size=(5.4, 4.2))
        for row, section, problem in zip(axes, report.sections, problems, strict=True):
            _curves(row[0], section)
            _ends(row[1], section, problem.groups)
            _samples(row[2], section)
        samples.save_png(samples.render_figure(figure), path)
    return path


def _curves(axes: Axes, section: Section) -> None:
    chart = next((c for c in section.charts if c.tag == HEADLINE), None)
    label(axes, f"{section.name}: mean and 95 % interval", "step", _TITLE)
    if chart is None:
        return
    highest = 0.0
    for name, band in chart.bands["step"].items():
        style = section.styles[name]
        arguments = style.line_arguments(label=name, linewidth=1.8)
        axes.plot(band.x, band.mean, **arguments)
        low, high = np.maximum(band.low, 0.0), band.high
        axes.fill_between(band.x, low, high, color=style.colour, alpha=0.16, linewidth=0)
        highest = max(highest, *band.mean[np.isfinite(band.mean)].tolist(), 0.0)
    axes.set_ylim(0.0, 1.15 * highest if highest > 0 else 1.0)
    if chart.floor is not None:
        reference(axes, chart.floor, "floor: real samples", at=0.01)
    axes.legend(frameon=False, fontsize="small")


def _ends(axes: Axes, section: Section, groups: Sequence[Group]) -> None:
    label(axes, "at the end, held-out data: seeds, mean, 95 % interval", _TITLE, "")
    names = []
    for i, group in enumerate(groups):
        values = [v for v in group.finals(HEADLINE).values() if np.isfinite(v)]
        n_lost = len(group.runs) - len(group.complete_runs)
        seeds = f"{len(values)} seed{'' if len(values) == 1 else 's'}"
        names.append(f"{group.label}\n{seeds}{f', {n_lost} lost' if n_lost else ''}")
        if not values:
            continue
        style = group.style
        axes.scatter(values, [i + 0.18] * len(values), s=14, color=style.colour, alpha=0.5)
        m = mean(values)
        if len(values) > 1:
            axes.plot([m.low, m.high], [i, i], color=style.colour, linewidth=2.5)
        axes.plot([m.value], [i], marker=style.marker, color=style.colour, markersize=8)
        floor = group.floor(HEADLINE)
        if i == 0 and floor is not None:
            axes.axvline(floor, color=GREY, linestyle=(0, (2, 2)), linewidth=1)
            look: dict[str, Any] = {"va": "top", "fontsize": "small", "color": GREY}
            look |= {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
            axes.annotate("floor", (floor, 0.99), xytext=(3, 0), **look)
    axes.set_yticks(range(len(names)), names, fontsize="small")
    axes.set_ylim(len(names) - 0.5, -0.5)


def _samples(axes: Axes, section: Section) -> None:
    names = [n for n in section.labels if section.landscapes.get(n) or section.pictures.get(n)]
    names = names[:_MAX_SHOWN]
    label(axes, "samples of one seed at the end", "", "")
    axes.axis("off")
    columns = int(np.ceil(np.sqrt(len(names)))) if names else 1
    rows = -(-len(names) // columns) if names else 1
    for i, name in enumerate(names):
        width, height = 1 / columns, 1 / rows
        box = ((i % columns) * width, 1 - (i // columns + 1) * height, 0.96 * width, 0.88 * height)
        inset = axes.inset_axes(box)
        inset.set_title(name, fontsize="x-small", pad=2)
        inset.set_xticks([])
        inset.set_yticks([])
        if section.landscapes.get(name):
            _points(inset, section.landscapes[name][max(section.landscapes[name])])
        else:
            pictures = section.pictures[name]
            if png := samples.read_png(pictures[max(pictures)]):  # a torn file costs itself
                inset.imshow(imread(io.BytesIO(png), format="png"))


def _points(axes: Axes, path: Path) -> None:
    content = load_or_none(path)
    if content is None or not all(np.isfinite(content[axis]).all() for axis in ("x", "real")):
        return
    real, fake = content["real"], content["fake"]
    if "y" not in content:
        bins = np.linspace(content["x"][0], content["x"][-1], 40).tolist()
        samples.density(axes, real[:, 0], bins, color=REAL)
        samples.density(axes, fake[:, 0], bins, color=FAKE)
        return
    axes.scatter(real[:, 0], real[:, 1], s=5, color=REAL, marker="x", linewidths=0.6)
    axes.scatter(fake[:, 0], fake[:, 1], s=4, color=FAKE, alpha=0.7)
    axes.set_xlim(content["x"][0], content["x"][-1])
    axes.set_ylim(content["y"][0], content["y"][-1])
    axes.set_aspect("equal")
