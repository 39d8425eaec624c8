"""Pictures of the study; functions of its arrays only."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.losses_on_images import analysis
from gan_lab.experiments.losses_on_images.analysis import Comparison
from gan_lab.experiments.losses_on_images.methods import METHODS
from gan_lab.experiments.losses_on_images.plan import PUBLISHED_RECIPE, TUNED_RECIPE
from gan_lab.experiments.losses_on_images.tables import CLOCKS
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Style,
    canvas,
    label,
    legend_below,
    remark,
)

_LOOKS = {
    "minimax": (VERMILLION, "-", "o"),
    "non_saturating": (ORANGE, "--", "s"),
    "non_saturating_r1": (ORANGE, "-", "s"),
    "least_squares": (GREEN, ":", "D"),
    "hinge_sn": (PURPLE, (0, (5, 1)), "P"),
    "relativistic": (GREY, (0, (3, 1, 1, 1)), "X"),
    "wgan_clip": (SKY, "-.", "v"),
    "wgan_gp": (BLUE, "-", "^"),
    "wgan_one_sided": (BLUE, "--", "<"),
}
_STYLES = {name: Style(METHODS[name].label, *look) for name, look in _LOOKS.items()}
_CLOCKS = {
    "seconds": "process seconds of training",
    "updates": "updates of both players",
    "gradient_evaluations": "gradient evaluations",
}
_DISTANCE = "Frechet distance to judged images / variance"


def figures(arrays: Arrays) -> Mapping[str, Figure]:
    """Return all pictures, the answer first."""
    pictures = {"comparison": comparison(arrays)}
    pictures["curves"] = curves(arrays)
    pictures["pairs"] = pairs(arrays)
    if any(analysis.prices(arrays, data) for data in analysis.datasets(arrays)):
        pictures["price_of_not_tuning"] = prices(arrays)
    pictures["trials"] = trials(arrays)
    return pictures


def comparison(arrays: Arrays) -> Figure:
    """Draw the distance of each loss with its seeds and interval, and real data's."""
    names = analysis.datasets(arrays)
    results = {data: analysis.comparison(arrays, data) for data in names}
    n_rows = max(len(result.order) for result in results.values())
    figure, axes = canvas(
        "Tuned alike, equal process seconds, best checkpoint: filled = not decided to be farther",
        *(1, len(names), (6.4, 0.36 * n_rows + 1.6)),
    )
    for each, (data, result) in zip(axes[0], results.items(), strict=True):
        real = analysis.real_distance(arrays, data)
        _rows(each, result, real)
        each.axvline(real, color=BLACK, linewidth=1.2, linestyle=(0, (4, 2)))
        remark(each, real, 0.03, " real data", transform=each.get_xaxis_transform(), ha="left")
        label(each, data, _DISTANCE, "")
    return figure


def _log_axis(axes: Axes, low: float, high: float) -> None:
    """Make x logarithmic from low to high, with few and plain numbers at it."""
    axes.set_xscale("log")
    axes.set_xlim(low, high)
    each = [m * 10.0**e for e in range(-4, 3) for m in (1, 2, 5)]
    ticks = [x for x in each if low <= x <= high]
    axes.set_xticks(ticks, [f"{x:g}" for x in ticks])
    axes.minorticks_off()


def _rows(axes: Axes, result: Comparison, real: float) -> None:
    contenders = result.contenders
    for y, method in enumerate(reversed(result.order)):
        style, values = _STYLES[method], np.array(list(result.values[method].values()))
        middle, low, high = (math.exp(x) if math.isfinite(x) else math.nan for x in mean(values))
        axes.plot(np.exp(values), [y - 0.25] * len(values), "|", color=style.colour, markersize=7)
        axes.plot([low, high], [y, y], color=style.colour, linewidth=2)
        fill = style.colour if method in contenders else "white"
        axes.plot([middle], [y], "o", color=style.colour, markerfacecolor=fill, markersize=8)
        words = f" {middle:.3f}"
        if method != contenders[0]:
            pair = result.pair(contenders[0], method)
            mark = "" if pair.is_decided else ", level" if pair.is_level else ", undecided"
            words += f" (x {result.ratio(method, contenders[0]).value:.2f}{mark})"
        if method in result.n_diverged:
            words += f" {result.n_diverged[method]} diverged"
        remark(axes, max(high, middle) if math.isfinite(high) else middle, y, words, va="center")
    every = np.exp([x for values in result.values.values() for x in values.values()])
    low, high = 0.8 * min(real, float(every.min())), 1.2 * max(real, float(every.max()))
    _log_axis(axes, low, high * (high / low) ** 0.6)  # with room for the words
    axes.set_yticks(range(len(result.order)), [_STYLES[m].label for m in reversed(result.order)])
    axes.set_ylim(-0.7, len(result.order) - 0.4)


def curves(arrays: Arrays) -> Figure:
    """Draw the median judged distance over each clock."""
    names = analysis.datasets(arrays)
    figure, axes = canvas(
        "The same trainings on three clocks: median over seeds, the last checkpoint",
        *(len(names), len(CLOCKS), (4.6, 3.6)),
        sharey="row",
    )
    for row, data in zip(axes, names, strict=True):
        for each, clock in zip(row, CLOCKS, strict=True):
            for method in analysis.methods(arrays, data):
                rows = (arrays["finals/data"] == data) & (arrays["finals/method"] == method)
                rows &= arrays["finals/stage"] == TUNED_RECIPE
                x = np.nanmedian(_finite(arrays[f"finals/at_{clock}"][rows]), axis=0)
                y = np.nanmedian(_finite(arrays["finals/at_judged_distance"][rows]), axis=0)
                each.plot(x, y, **_STYLES[method].line_arguments())
            each.axvline(analysis.budget(arrays, data, clock), color=GREY, linewidth=1.0)
            each.axhline(analysis.real_distance(arrays, data), color=BLACK, linestyle=":")
            each.set_yscale("log")
            label(each, f"{data}", _CLOCKS[clock], _DISTANCE if clock == CLOCKS[0] else "")
    methods_shown = dict.fromkeys(m for data in names for m in analysis.methods(arrays, data))
    handles = [Line2D([], [], **_STYLES[m].line_arguments()) for m in methods_shown]
    handles.append(Line2D([], [], color=BLACK, linestyle=":", label="real data"))
    handles.append(Line2D([], [], color=GREY, label="the largest that all reach"))
    legend_below(figure, handles, 4)
    return figure


def _finite(values: np.ndarray) -> np.ndarray:
    """Return values of which no column is empty: where all have diverged the last value stays."""
    values = values.copy()
    for t in range(1, values.shape[1]):
        if np.isnan(values[:, t]).all():
            values[:, t] = values[:, t - 1]
    return values


def pairs(arrays: Arrays) -> Figure:
    """Draw the ratio of any two losses' distances and whether it is decided."""
    names = analysis.datasets(arrays)
    figure, axes = canvas(
        "How many times as far as the loss of the column is the loss of the row (bold: decided)",
        *(1, len(names), (6.6, 5.6)),
    )
    for each, data in zip(axes[0], names, strict=True):
        result = analysis.comparison(arrays, data)
        n = len(result.order)
        table = np.full((n, n), np.nan)
        for pair in result.pairs:
            i, j = result.order.index(pair.higher), result.order.index(pair.lower)
            table[i, j] = pair.ratio.value
            weight = "bold" if pair.is_decided else "normal"
            each.text(j, i, f"{pair.ratio.value:.2f}", ha="center", va="center", weight=weight)
        shade = np.ma.masked_invalid(np.log(table))
        each.imshow(shade, cmap="Blues", vmin=0, vmax=max(1.0, 2 * float(shade.max())))
        texts = [_STYLES[m].label for m in result.order]
        each.set_xticks(range(n), texts, rotation=45, ha="right")
        each.set_yticks(range(n), texts)
        each.grid(visible=False)
        label(each, data, "", "")
    return figure


def prices(arrays: Arrays) -> Figure:
    """Draw the distance of each loss with the tuned and with the published recipe."""
    names = [data for data in analysis.datasets(arrays) if analysis.prices(arrays, data)]
    n_rows = max(len(analysis.methods(arrays, data)) for data in names)
    figure, axes = canvas(
        "The price of not tuning: each loss with its published and with its tuned recipe",
        *(1, len(names), (6.4, 0.42 * n_rows + 1.9)),
    )
    for each, data in zip(axes[0], names, strict=True):
        order = analysis.comparison(arrays, data).order
        published_logs = analysis.log_distances(arrays, data, stage=PUBLISHED_RECIPE)
        published_values = analysis.summary(published_logs)
        tuned_logs = analysis.log_distances(arrays, data)
        tuned_values = analysis.summary(  # of the same seeds
            {m: {seed: tuned_logs[m][seed] for seed in each} for m, each in published_logs.items()}
        )
        for y, method in enumerate(reversed(order)):
            colour = _STYLES[method].colour
            ends = [tuned_values[method], published_values[method]]
            each.plot(ends, [y, y], color=colour, linewidth=1.5)
            each.plot(ends[:1], [y], "o", color=colour, markersize=8)
            each.plot(ends[1:], [y], "o", color=colour, markerfacecolor="white", markersize=8)
        real = analysis.real_distance(arrays, data)
        each.axvline(real, color=BLACK, linestyle=(0, (4, 2)))
        every = [real, *tuned_values.values(), *published_values.values()]
        _log_axis(each, 0.8 * min(every), 1.25 * max(every))
        each.set_yticks(range(len(order)), [_STYLES[m].label for m in reversed(order)])
        label(each, data, _DISTANCE, "")
    look: dict[str, Any] = {"color": GREY, "marker": "o", "linestyle": "none"}
    handles = [
        Line2D([], [], label="tuned", **look),
        Line2D([], [], label="published recipe", markerfacecolor="white", **look),
        Line2D([], [], color=BLACK, linestyle=(0, (4, 2)), label="real data"),
    ]
    legend_below(figure, handles, 3)
    return figure


def trials(arrays: Arrays) -> Figure:
    """Draw the validation distance of every trial by loss, one colour a rung."""
    names = analysis.datasets(arrays)
    n_rows = max(len(analysis.methods(arrays, data)) for data in names)
    figure, axes = canvas(
        "All trials of the tuning: the distance to validation images at the end of each",
        *(1, len(names), (6.4, 0.42 * n_rows + 1.9)),
    )
    colours = (SKY, ORANGE, VERMILLION, PURPLE, BLACK)
    seconds: dict[int, float] = {}
    for each, data in zip(axes[0], names, strict=True):
        methods = analysis.methods(arrays, data)
        for y, method in enumerate(reversed(methods)):
            rows = (arrays["trials/data"] == data) & (arrays["trials/method"] == method)
            for rung in sorted(set(arrays["trials/rung"][rows].tolist())):
                mine = rows & (arrays["trials/rung"] == rung)
                seconds[rung] = float(arrays["trials/seconds"][mine][0])
                values = arrays["trials/at_validation"][mine, -1]
                height = y + 0.2 - 0.2 * rung
                look: dict[str, Any] = {"color": colours[rung % len(colours)], "markersize": 5}
                each.plot(values, [height] * len(values), "o", alpha=0.7, **look)
        every = arrays["trials/at_validation"][arrays["trials/data"] == data, -1]
        _log_axis(each, 0.8 * float(np.nanmin(every)), 1.25 * float(np.nanmax(every)))
        each.set_yticks(range(len(methods)), [_STYLES[m].label for m in reversed(methods)])
        each.set_ylim(-0.7, len(methods) - 0.3)
        label(each, data, "distance to validation images", "")
    handles = [
        Line2D([], [], color=colours[r % len(colours)], marker="o", linestyle="none", label=text)
        for r, s in sorted(seconds.items())
        for text in (f"{s:g} process seconds",)
    ]
    legend_below(figure, handles, max(1, len(handles)))
    return figure
