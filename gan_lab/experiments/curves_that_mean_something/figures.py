"""Pictures of the study curves_that_mean_something; functions of its arrays only."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.curves_that_mean_something.curves import METHODS, running_median
from gan_lab.reports.analysis.statistics import median
from gan_lab.reports.plots.style import (
    BLACK,
    GREY,
    MAP,
    STYLES,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

Summary = Mapping[tuple[str, str, str], np.ndarray]  # (data, method, curve) -> correlations [S]
_W1 = Style("exact W1 to held-out data (right axis)", BLACK, (0, (4, 1.5)), "")
_ENERGY = Style("energy distance to held-out data (right axis)", GREY, (0, (1, 1)), "")
_BOUND = 0.8


def on_one_clock(arrays: Arrays, data: str, width: int) -> Figure:
    """Draw every method's own estimate, W1 and the energy distance over the steps of training."""
    methods = arrays["games"].tolist()
    rows = math.ceil(len(methods) / 2)
    figure, axes = canvas(
        f"What the discriminator says and what distances to held-out data say, {data}",
        *(rows, min(2, len(methods)), (5.6, 3.5)),
        sharex=True,
    )
    looks = []
    for each, method in zip(axes.flat, methods, strict=False):
        prefix, style = f"{data}/{method}", STYLES[method]
        steps, energy = arrays[f"{prefix}/steps"], arrays[f"{prefix}/energy"]
        looks.append(Style(f"{style.label}: own estimate", style.colour, style.line, style.marker))
        over_seeds(each, steps, running_median(arrays[f"{prefix}/estimate"], width), looks[-1])
        right = each.twinx()
        over_seeds(right, steps, arrays[f"{prefix}/ruler"], _W1, linewidth=1.4)
        over_seeds(right, steps, energy, _ENERGY, linewidth=1.6)
        right.spines["top"].set_visible(False)
        right.set_ylim(bottom=min(0.0, float(np.nanmin(energy))))
        right.set_ylabel("W1, energy distance (data units)")
        floor = float(arrays[f"{prefix}/floor"])
        right.axhline(floor, color=GREY, linewidth=1.0, linestyle=":")
        at = {"transform": right.get_yaxis_transform(), "ha": "right", "va": "top"}
        remark(right, 0.99, floor, "real data (W1)", **at)
        label(each, style.label, "", METHODS[method].label)
        each.set_ylim(bottom=min(0.0, each.get_ylim()[0]))
        each.ticklabel_format(axis="y", scilimits=(-2, 4))
        if METHODS[method].is_js:
            reference(each, math.log(2), "log 2", at=0.01)
            each.set_ylim(top=0.82)
        each.tick_params(labelbottom=True)
    for each in axes[-1]:
        each.set_xlabel("steps (all discriminator updates, then one of the generator)")
    for each in axes.flat[len(methods) :]:
        each.set_visible(False)
    handles = [Line2D([], [], **style.line_arguments()) for style in (*looks, _W1, _ENERGY)]
    legend_below(figure, handles, 3)
    return figure


def against(arrays: Arrays, data: str, width: int, summary: Summary) -> Figure:
    """Draw each estimate against W1 and the energy distance, a point a logged step and seed."""
    methods = arrays["games"].tolist()
    figure, axes = canvas(
        f"The estimate against two distances, {data}: does the one rank as the other?",
        *(2, len(methods), (4.0, 3.5)),
    )
    last = max(int(arrays[f"{data}/{method}/steps"][-1]) for method in methods)
    for row, judge, curve, name in (
        (axes[0], "ruler", "estimate", "exact W1"),
        (axes[1], "energy", "energy", "energy distance"),
    ):
        for each, method in zip(row, methods, strict=True):
            prefix, style = f"{data}/{method}", STYLES[method]
            distance = arrays[f"{prefix}/{judge}"]
            estimate = running_median(arrays[f"{prefix}/estimate"], width)
            steps = np.broadcast_to(arrays[f"{prefix}/steps"], distance.shape)
            look: dict[str, Any] = {"cmap": MAP, "s": 13, "alpha": 0.8, "linewidths": 0}
            colours = {"c": steps.ravel(), "vmin": 0, "vmax": last, "marker": style.marker}
            points = each.scatter(distance.ravel(), estimate.ravel(), **look, **colours)
            if METHODS[method].is_js:
                reference(each, math.log(2), "log 2", at=0.01)
                each.set_ylim(min(0.55, float(np.nanmin(estimate))) - 0.02, 0.74)
            else:
                each.ticklabel_format(axis="y", scilimits=(-2, 4))
            values = summary[data, method, curve]
            words = f"Spearman {np.median(values):.2f} ({values.min():.2f} to {values.max():.2f})"
            x = f"{name} to held-out data (data units)"
            label(each, f"{style.label}\n{words}", x, METHODS[method].label)
    figure.colorbar(points, ax=axes[:, -1], label="step of training")
    return figure


def correlations(arrays: Arrays, summary: Summary) -> Figure:
    """Draw rank correlations of every method's curves with W1, with intervals over seeds."""
    names, methods = arrays["data"].tolist(), arrays["games"].tolist()
    figure, axes = canvas(
        "Which training curve ranks the generators of a run as a distance to held-out data does",
        *(1, len(names), (5.6, 0.95 * len(methods) + 1.2)),
        sharey=True,
    )
    for each, data in zip(axes[0], names, strict=True):
        for y, method in zip(range(len(methods), 0, -1), methods, strict=True):
            _intervals(each, y, STYLES[method], data, method, summary)
        each.axvline(0, color=BLACK, linewidth=0.8)
        each.axvline(_BOUND, color=GREY, linewidth=1.0, linestyle=(0, (2, 2)))
        remark(each, _BOUND, 0.52, "bar for W: .8 ", ha="right", va="bottom")
        each.set_ylim(0.5, len(methods) + 0.5)
        each.set_yticks(range(len(methods), 0, -1), [STYLES[name].label for name in methods])
        each.set_xlim(-1.05, 1.05)
        each.set_xticks([-1, -0.5, 0, 0.5, 1])
        label(each, data, "Spearman's rank correlation (no unit)", "")
    marks: dict[str, dict[str, Any]] = {
        "its own estimate against W1": {"marker": "o"},
        "against the energy distance": {"marker": "o", "mfc": "#BBBBBB"},
        "generator's loss against W1": {"marker": "o", "mfc": "white"},
        "single seeds": {"marker": "|"},
    }
    look: dict[str, Any] = {"color": GREY, "linestyle": "none", "markersize": 8}
    handles = [Line2D([], [], label=text, **look, **mark) for text, mark in marks.items()]
    handles.append(Line2D([], [], color=GREY, linestyle=":", label="ceiling: W1's own noise"))
    legend_below(figure, handles, 5 if len(names) > 1 else 2)
    return figure


def _intervals(
    axes: Axes, y: float, style: Style, data: str, method: str, summary: Summary
) -> None:
    """Draw the medians of a method's correlations with their intervals, seeds and ceiling."""
    for shift, curve, inside in (
        (0.22, "estimate", style.colour),
        (0.0, "energy", "#BBBBBB"),
        (-0.22, "generator", "white"),
    ):
        values = summary[data, method, curve]
        middle, low, high = median(values)
        if not math.isfinite(low):
            low, high = float(np.min(values)), float(np.max(values))
        look: dict[str, Any] = {"color": style.colour, "markersize": 8}
        axes.plot([low, high], [y + shift] * 2, color=style.colour, linewidth=2)
        axes.plot(values, [y + shift] * len(values), "|", **look)
        axes.plot([middle], [y + shift], style.marker, markerfacecolor=inside, **look)
    best = float(np.nanmedian(summary[data, method, "ceiling"]))
    axes.plot([best] * 2, [y - 0.38, y + 0.38], color=GREY, linewidth=1.5, linestyle=":")
