"""One picture of a comparison for a projector: each data set's verdict, dots, curve and samples."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.image import imread
from matplotlib.ticker import NullFormatter

from gan_lab.metrics.quality import SQUARED_DISTANCES
from gan_lab.reports.analysis.model import Report, Section, stack_levels
from gan_lab.reports.plots import samples
from gan_lab.reports.plots.landscape import load_or_none
from gan_lab.reports.plots.style import GREY, REAL, house_style, short, wrap_text

_WIDTH, _ROW = 16.0, 6.2  # inches; a row holds one data set
_DPI = 120
_MAX_SHOWN = 4  # groups with samples, the best first
_MANY = 8  # groups above which a row grows
_LOGARITHMIC_FROM = 20.0  # ratio of the greatest mean to the least
_NAME = 22  # characters of a group's name on one line


def save(report: Report, path: Path) -> Path:
    """Draw every section as a row of three panels and write a PNG."""
    with house_style(), rc_context({"text.parse_math": False}):  # a name may hold two dollars
        samples.save_png(samples.render_figure(draw(report)), path)
    return path


def draw(report: Report) -> Figure:
    """Return the figure; call and render it inside `house_style()`."""
    heights = [_ROW + 0.35 * max(0, len(s.labels) - _MANY) for s in report.sections]
    figure = Figure(figsize=(_WIDTH, sum(heights)), dpi=_DPI, layout="constrained")
    FigureCanvasAgg(figure)
    if report.has_own_title:
        figure.suptitle(wrap_text(report.title, _WIDTH - 1, 13.0), fontsize=13, color=GREY)
    rows = figure.subfigures(len(heights), 1, squeeze=False, height_ratios=heights)
    for row, section in zip(rows[:, 0], report.sections, strict=True):
        _row(row, section)
    return figure


def _row(row: SubFigure, section: Section) -> None:
    verdict = section.verdict
    row.suptitle(wrap_text(f"{section.name}: {verdict.headline}", _WIDTH - 1, 16.0), fontsize=16)
    panels = row.subplots(1, 3, width_ratios=(1.1, 1.0, 1.0))
    for axes in panels:
        axes.grid(alpha=0.25)
        axes.spines[["top", "right"]].set_visible(False)
    _dots(panels[0], section)
    _curves(panels[1], section)
    _samples(panels[2], section)


def _dots(axes: Axes, section: Section) -> None:
    """Draw a group a line, the best on top: a small dot a seed, the mean and its interval."""
    axes.set_title(section.end.capitalize(), pad=22)
    axes.set_xlabel(f"{_quantity(section)}: left is better")
    dots = [dot for dot in section.dots if np.isfinite(dot.value)]
    real, values = section.real_data, [dot.value for dot in dots]
    if real is not None and np.isfinite(real):
        values.append(real)
    is_log = min(values, default=0) > 0 and max(values) / min(values) > _LOGARITHMIC_FROM
    everyone = np.array([v for dot in dots for v in dot.seeds if np.isfinite(v)])
    near = 0.02 * (
        np.log10(max(values) / min(values)) if is_log else np.abs(everyone).max(initial=0)
    )
    for i, dot in enumerate(dots):
        style = section.styles[dot.label]
        seeds = [value for value in dot.seeds if np.isfinite(value)]
        places = [np.log10(max(value, 1e-300)) for value in seeds] if is_log else seeds
        heights = [i + 0.22 + 0.07 * level for level in stack_levels(places, near)]
        axes.scatter(seeds, heights, s=24, color=style.colour, edgecolors="white", linewidths=0.6)
        axes.plot([dot.low, dot.high], [i, i], color=style.colour, linewidth=3.5)
        axes.plot([dot.value], [i], marker=style.marker, color=style.colour, markersize=11)
    names = [wrapped_name(dot.label) for dot in dots]
    axes.set_yticks(range(len(names)), names)
    for text, dot in zip(axes.get_yticklabels(), dots, strict=True):
        text.set_color(section.styles[dot.label].colour)
        text.set_fontweight("bold")
    axes.set_ylim(max(len(names), 1) - 0.4, -0.6)
    if real is not None and np.isfinite(real):
        axes.axvline(real, color=GREY, linestyle=(0, (2, 2)), linewidth=1.5)
        look: dict[str, Any] = {"ha": "center", "va": "bottom", "color": GREY}
        at: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
        axes.annotate("real data", (real, 1.0), xytext=(0, 3), **look, **at)
    if is_log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(lambda x, _: short(x))  # no power of ten: text is no math
        axes.xaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_xlim(left=min(0.0, 1.1 * min([*values, *everyone], default=0.0)))


def _curves(axes: Axes, section: Section) -> None:
    chart = next((c for c in section.charts if c.tag == section.headline), None)
    axes.set_title("While training: mean and 95 % interval", pad=22)
    axes.set_xlabel("step")
    axes.set_ylabel(_quantity(section))
    if chart is None:
        return
    highest = 0.0
    for name, band in chart.bands["step"].items():
        style = section.styles[name]
        marker = {"marker": style.marker, "markersize": 7, "markevery": max(1, len(band.x) // 6)}
        axes.plot(band.x, band.mean, **style.line_arguments(linewidth=2.4, **marker))
        low = np.maximum(band.low, 0.0)
        axes.fill_between(band.x, low, band.high, color=style.colour, alpha=0.16, linewidth=0)
        highest = max(highest, *band.mean[np.isfinite(band.mean)].tolist(), 0.0)
    if section.headline in SQUARED_DISTANCES and highest > 0:  # it falls by decades
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter(lambda y, _: short(y))
        axes.yaxis.set_minor_formatter(NullFormatter())
    else:
        axes.set_ylim(0.0, 1.1 * highest if highest > 0 else 1.0)
    axes.margins(x=0)
    if chart.floor is not None and (chart.floor > 0 or axes.get_yscale() == "linear"):
        axes.axhline(chart.floor, color=GREY, linestyle=(0, (2, 2)), linewidth=1.5)
        look: dict[str, Any] = {"ha": "left", "va": "center", "color": GREY}
        at: dict[str, Any] = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
        axes.annotate("real\ndata", (1.0, chart.floor), xytext=(4, 0), **look, **at)


def _quantity(section: Section) -> str:
    unit = f" ({section.dots_unit})" if section.dots_unit else ""
    return f"{section.dots_title}{unit}"


def _samples(axes: Axes, section: Section) -> None:
    with_samples = [
        n for n in section.labels if section.landscapes.get(n) or section.pictures.get(n)
    ]
    best = [dot.label for dot in section.dots]
    names = sorted(with_samples, key=lambda n: best.index(n) if n in best else len(best))
    names = names[:_MAX_SHOWN]
    axes.axis("off")
    if not names:
        return
    points = any(section.landscapes.get(name) for name in names)
    key = ": dots, real data: crosses" if points else ""
    axes.set_title(f"Samples at the end{key}", pad=22)
    real = None if points or section.real_picture is None else section.real_picture
    n = len(names) + (real is not None and len(names) < _MAX_SHOWN)
    columns = 1 if n == 1 else 2
    rows = -(-n // columns)
    tall = 0.70 if any("; " in section.modes.get(name, "") for name in names) else 0.76
    for i in range(n):
        width, height = 1 / columns, 1 / rows
        box = (i % columns * width, 1 - (i // columns + 1) * height, 0.94 * width, tall * height)
        inset = axes.inset_axes(box)
        inset.set_xticks([])
        inset.set_yticks([])
        if i == len(names):
            inset.set_title("real data", fontsize=11, pad=3, color=GREY, fontweight="bold")
            if real is not None and (png := samples.read_png(real)):
                inset.imshow(imread(io.BytesIO(png), format="png"))
            continue
        name = names[i]
        colour = section.styles[name].colour
        inset.set_title(wrapped_name(name), fontsize=11, pad=3, color=colour, fontweight="bold")
        if modes := section.modes.get(name):
            inset.set_xlabel(modes.replace("; ", "\n"), fontsize=11, labelpad=3)
        if section.landscapes.get(name):
            _points(inset, section.landscapes[name][max(section.landscapes[name])], colour)
        else:
            pictures = section.pictures[name]
            if png := samples.read_png(pictures[max(pictures)]):  # a torn file costs itself
                inset.imshow(imread(io.BytesIO(png), format="png"))


def wrapped_name(name: str) -> str:
    """Return a group's name in lines that stand beside an axis."""
    return wrap_text(name, _NAME * 0.52 * 12 / 72, 12.0)


def _points(axes: Axes, path: Path, colour: str) -> None:
    content = load_or_none(path)
    if content is None or not all(np.isfinite(content[axis]).all() for axis in ("x", "real")):
        return
    real, fake = content["real"], content["fake"]
    if "y" not in content:
        bins = np.linspace(content["x"][0], content["x"][-1], 40).tolist()
        samples.density(axes, real[:, 0], bins, color=REAL)
        samples.density(axes, fake[:, 0], bins, color=colour)
        return
    axes.scatter(real[:, 0], real[:, 1], s=22, color=REAL, marker="x", linewidths=0.8)
    axes.scatter(fake[:, 0], fake[:, 1], s=9, color=colour, linewidths=0)
    axes.set_xlim(content["x"][0], content["x"][-1])
    axes.set_ylim(content["y"][0], content["y"][-1])
    axes.set_aspect("equal")
