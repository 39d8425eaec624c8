"""Pictures of the zoo of divergences."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.divergence_zoo.fits import FIT_DIVERGENCES, best, best_at_1
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    FAKE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    REAL,
    VERMILLION,
    Style,
    canvas,
    label,
    legend_below,
    reference,
    remark,
    short,
)

TITLES = {"kl": "KL(p||q)", "reverse_kl": "KL(q||p)", "js": "JS", "tv": "TV", "w1": "W1"}
STYLES = {
    "kl": Style(TITLES["kl"], VERMILLION, "--", "s"),
    "reverse_kl": Style(TITLES["reverse_kl"], ORANGE, "-.", "D"),
    "js": Style(TITLES["js"], GREEN, (0, (5, 1)), "o"),
    "tv": Style(TITLES["tv"], PURPLE, ":", "v"),
    "w1": Style(TITLES["w1"], BLUE, "-", "^"),
}
# Open and large, since the fits of reverse KL and JS agree where the modes are far apart.
_MARKS: dict[str, dict[str, Any]] = {"reverse_kl": {"markersize": 9, "fillstyle": "none"}}
_ROWS = ("H(p)", "H(q)", "H(p, q)", *TITLES.values())


def pairs(arrays: Arrays) -> Figure:
    """Draw every pair with all its numbers."""
    names = arrays["pairs/name"].tolist()
    columns = min(4, len(names))
    rows = -(-len(names) // columns)
    title = "From entropy to Wasserstein: value, and slope as q moves to the right"
    size = (4.2, 2.35) if columns > 1 else (7, 2.8)
    figure, axes = canvas(title, 2 * rows, columns, size=size)
    for i in range(rows * columns):
        panel, below = axes[2 * (i // columns) : 2 * (i // columns) + 2, i % columns]
        below.set_axis_off()
        if i >= len(names):
            panel.set_axis_off()
            continue
        x, p, q = (arrays[f"pair/{names[i]}/{part}"] for part in ("x", "p", "q"))
        discrete = bool(arrays["pairs/discrete"][i])
        _pair(panel, x, p, q, discrete)
        panel.set_ylim(0, 1.45 * max(p.max(), q.max()))
        panel.legend(loc="upper right", fontsize="small", ncols=2, frameon=False)
        unit = "probability" if discrete else "density (per unit)"
        label(panel, names[i].replace("_", " "), "x (data units)", unit)
        _numbers(below, arrays["pairs/values"][i], arrays["pairs/slopes"][i])
    return figure


def _pair(axes: Axes, x: np.ndarray, p: np.ndarray, q: np.ndarray, discrete: bool) -> None:
    if not discrete:
        axes.plot(x, p, color=REAL, linestyle="--", label="p")
        axes.fill_between(x, q, color=FAKE, alpha=0.25, linewidth=0)
        axes.plot(x, q, color=FAKE, label="q")
        return
    places = np.unique(x)
    width = 0.36 * (float(np.diff(places).min()) if len(places) > 1 else 1.0)
    axes.bar(x - width / 2, p, width, color="white", edgecolor=REAL, hatch="///", label="p")
    axes.bar(x + width / 2, q, width, color=FAKE, label="q")
    if len(places) <= 12:
        axes.set_xticks(places)


def _numbers(axes: Axes, values: np.ndarray, derivatives: np.ndarray) -> None:
    """Draw values and derivatives as a table."""
    pad = len(_ROWS) - len(derivatives)
    cells = []
    for i, (name, value) in enumerate(zip(_ROWS, values, strict=True)):
        unit = {"TV": "", "W1": " data units"}.get(name, " nats")
        text = "infinite" if np.isinf(value) else short(value) + unit
        derivative = "" if i < pad else _derivative(derivatives[i - pad])
        cells.append([name, text, derivative])
    look: dict[str, Any] = {"loc": "center", "cellLoc": "right", "edges": "horizontal"}
    columns = ["", "value", "slope per unit"]
    table = axes.table(cells, colLabels=columns, colWidths=[0.24, 0.4, 0.36], **look)
    table.auto_set_font_size(False)
    table.set_fontsize(9)
    table.scale(1, 1.05)


def _derivative(value: float) -> str:
    """Return a derivative in words where only its rounding is left."""
    return "below 1e-12" if 0 < abs(value) < 1e-12 else short(value)


def distance(arrays: Arrays) -> Figure:
    """Draw values and derivatives of blocks and of Gaussians moved apart."""
    title = "Which divergences see distance without overlap? Only W1"
    figure, axes = canvas(title, 2, 2, size=(5.8, 3.5))
    shift, cell = arrays["blocks/shift"], arrays["blocks/shift"][1]
    halfway = (shift[1:] + shift[:-1]) / 2
    for name in ("w1", "kl", "js", "tv"):  # TV last: it lies on W1 where the blocks overlap
        style, values = STYLES[name], arrays[f"blocks/{name}"]
        finite = np.where(np.isfinite(values), values, np.nan)
        axes[0, 0].plot(shift, finite, **style.line_arguments())
        if name != "kl":
            axes[0, 1].plot(halfway, np.diff(values) / cell, **style.line_arguments())
    infinite = shift[~np.isfinite(arrays["blocks/kl"])][:: len(shift) // 24]
    axes[0, 0].plot(infinite, np.full(len(infinite), 3.0), "^", color=VERMILLION, markersize=5)
    at: dict[str, Any] = {"xytext": (0, -6), "textcoords": "offset points"}
    look: dict[str, Any] = {"va": "top", "ha": "center", "color": VERMILLION, "fontsize": "small"}
    axes[0, 0].annotate("KL, both ways: infinite", (1.5, 3.0), **at, **look)
    axes[0, 0].set_ylim(0, 3.15)
    axes[0, 1].set_ylim(-0.05, 1.15)
    for each in axes[0]:
        each.axvspan(1, shift[-1], color=GREY, alpha=0.1, linewidth=0)
        remark(each, 2.97, 0.5, "no overlap", ha="right", transform=each.get_xaxis_transform())
    reference(axes[0, 0], math.log(2), "log 2")
    unit = "distance (block lengths)"
    label(axes[0, 0], "two uniform blocks", unit, "nats; TV: no unit; W1: block lengths")
    label(axes[0, 1], "two uniform blocks: slope", unit, "change per block length")
    remark(axes[0, 1], 0.03, 1.05, "KL: no slope, it is infinite", color=VERMILLION)
    t = arrays["gaussians/shift"]
    for name in ("kl", "js", "tv", "w1"):
        style = STYLES[name]
        axes[1, 0].plot(t, arrays[f"gaussians/{name}"], **style.line_arguments())
        axes[1, 1].plot(t, arrays[f"gaussians/{name}_slope"], **style.line_arguments())
    axes[1, 0].set_yscale("log")
    axes[1, 1].set_yscale("log")
    axes[1, 0].set_ylim(1e-3, 100)
    axes[1, 1].set_ylim(1e-7, 100)
    remark(axes[1, 0], 9.9, 0.6, "log 2, the most of JS", ha="right", va="top")
    unit = "distance (standard deviations)"
    label(axes[1, 0], "two Gaussians, which always overlap", unit, "nats; TV: no unit; W1: std")
    label(axes[1, 1], "two Gaussians: slope", unit, "change per standard deviation")
    legend_below(figure, axes[1, 0], 4)
    return figure


def fits(arrays: Arrays) -> Figure:
    """Draw the best Gaussian under each divergence, and where other starts ended."""
    title = "One Gaussian for a mixture: what is best depends on the divergence"
    figure, axes = canvas(title, 1, 4, size=(4.2, 3.6), sharey=True)
    x, density = arrays["target/x"], arrays["target/density"]
    middle = len(arrays["fits/scale"]) // 2
    tops: list[float] = []
    for each, name in zip(axes[0], FIT_DIVERGENCES, strict=True):
        style = STYLES[name]
        each.plot(x, density, color=BLACK, linestyle="--", label="mixture p")
        ends = np.stack([arrays[f"fits/{name}_{what}"][middle] for what in ("mean", "std")], -1)
        for mean, std in np.unique(ends.round(2), axis=0):
            each.plot(x, _normal(x, mean, std), color=GREY, linewidth=0.9, alpha=0.8)
        mean, std = best_at_1(arrays, name)
        best_fit = _normal(x, mean, std)
        each.plot(x, best_fit, color=style.colour, linewidth=2, label="best q")
        each.fill_between(x, best_fit, color=style.colour, alpha=0.2, linewidth=0)
        least = arrays[f"fits/{name}_loss"][middle].min()
        unit = "data units" if name == "w1" else "nats"
        tops += [best_fit.max(), density.max()]
        title = f"least {style.label} = {least:.3f} {unit}\nmean {mean:.2f}, std {std:.2f}"
        label(each, title, "x (data units)", "")
    axes[0, 0].set_ylim(0, 1.1 * max(tops))
    axes[0, 0].set_ylabel("density (per data unit)")
    handles = [
        Line2D([], [], color=BLACK, linestyle="--", linewidth=1.5, label="mixture p"),
        Line2D([], [], color=BLUE, linewidth=2, label="best Gaussian q (coloured)"),
        Line2D([], [], color=GREY, linewidth=0.9, label="where other starts end"),
    ]
    legend_below(figure, handles, 3)
    return figure


def fits_by_distance(arrays: Arrays) -> Figure:
    """Draw mean and standard deviation of the best fit as the modes move apart."""
    title = "As the modes move apart: covering both, or choosing one"
    figure, axes = canvas(title, 1, 2, size=(5.8, 3.9))
    means, stds, weights = (arrays[f"target/{name}"] for name in ("means", "stds", "weights"))
    scale = arrays["fits/scale"]
    apart = scale * (means.max() - means.min()) / stds.mean()
    middle = float(weights @ means)
    for each, line in zip((means.min(), means.max()), ("lowest", "highest"), strict=True):
        axes[0, 0].plot(apart, middle + scale * (each - middle), color=GREY, linewidth=0.9)
        at = (apart[-1], middle + scale[-1] * (each - middle))
        look: dict[str, Any] = {"textcoords": "offset points", "fontsize": "small", "color": GREY}
        va = "bottom" if each > middle else "top"
        axes[0, 0].annotate(f"{line} mode", at, (-12, 0), ha="right", va=va, **look)
    for name in FIT_DIVERGENCES:
        style = STYLES[name]
        mean, std = best(arrays, name)
        for panel, values in ((axes[0, 0], mean), (axes[0, 1], std)):
            look = {"marker": style.marker, **_MARKS.get(name, {})}
            panel.plot(apart, values, **style.line_arguments(**look))
    axes[0, 1].axhline(stds.mean(), color=GREY, linewidth=1.0, linestyle=(0, (2, 2)))
    remark(axes[0, 1], apart[-1], stds.mean() / 2, "std of one mode", ha="right")
    unit = "distance of the outer modes (standard deviations of one)"
    label(axes[0, 0], "mean of the best Gaussian", unit, "data units")
    label(axes[0, 1], "its standard deviation", unit, "data units")
    axes[0, 1].set_ylim(0, None)
    legend_below(figure, axes[0, 0], 4)
    return figure


def _normal(x: np.ndarray, mean: float, std: float) -> np.ndarray:
    return np.exp(-(((x - mean) / std) ** 2) / 2) / (std * math.sqrt(2 * math.pi))
