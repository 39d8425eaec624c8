"""Pictures of the study curves_that_mean_something; functions of its arrays only."""

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from gan_lab.experiments.curves_that_mean_something.read import GAMES, JS, filtered
from gan_lab.reports.analysis.statistics import median
from gan_lab.reports.plots.style import (
    BLACK,
    GREY,
    MAP,
    STYLES,
    Style,
    canvas,
    label,
    over_seeds,
    reference,
)

Arrays = Mapping[str, np.ndarray]
Summary = Mapping[tuple[str, str, str], np.ndarray]
_EVALUATOR_KEYS = Style("exact W1 to held-out data (right axis)", BLACK, (0, (4, 1.5)), "")
_ENERGY = Style("energy distance to held-out data (right axis)", GREY, (0, (1, 1)), "")
_CLAIMED = 0.8


def on_one_clock(arrays: Arrays, data: str, width: int) -> Figure:
    """Every game's own estimate and the ruler over the steps of training."""
    games = [str(game) for game in arrays["games"]]
    rows = math.ceil(len(games) / 2)
    figure, axes = canvas(
        f"What the discriminator says and what the ruler says, {data}",
        *(rows, min(2, len(games))),
        (5.6, 3.5),
        sharex=True,
    )
    handles = []
    for each, game in zip(axes.flat, games, strict=False):
        prefix, style = f"{data}/{game}", STYLES[game]
        steps = arrays[f"{prefix}/steps"]
        own = Style(f"{style.label}: own estimate", style.colour, style.line, style.marker)
        over_seeds(each, steps, filtered(arrays[f"{prefix}/estimate"], width), own)
        right = each.twinx()
        over_seeds(right, steps, arrays[f"{prefix}/ruler"], _EVALUATOR_KEYS, linewidth=1.4)
        over_seeds(right, steps, arrays[f"{prefix}/energy"], _ENERGY, linewidth=1.6)
        right.spines["top"].set_visible(False)
        right.set_ylim(bottom=min(0.0, float(np.nanmin(arrays[f"{prefix}/energy"]))))
        right.set_ylabel("W1, energy distance (data units)")
        floor = float(arrays[f"{prefix}/floor"])
        right.axhline(floor, color=GREY, linewidth=1.0, linestyle=":")
        right.annotate(
            "floor of W1",
            (0.99, floor),
            (0, -3),
            xycoords=("axes fraction", "data"),
            textcoords="offset points",
            ha="right",
            va="top",
            size="small",
            color=GREY,
        )
        is_js = GAMES[game].estimate == JS
        label(each, style.label, "", f"{'JS' if is_js else 'W'} estimate ({GAMES[game].unit})")
        each.set_ylim(bottom=min(0.0, each.get_ylim()[0]))
        each.ticklabel_format(axis="y", scilimits=(-2, 4))
        if is_js:
            reference(each, math.log(2), "log 2", at=0.01)
            each.set_ylim(top=0.82)
        each.tick_params(labelbottom=True)
        handles.append(Line2D([], [], **own.line_arguments()))
    for each in axes[-1]:
        each.set_xlabel("steps (all discriminator updates, then one of the generator)")
    for each in axes.flat[len(games) :]:
        each.set_visible(False)
    handles += [Line2D([], [], **style.line_arguments()) for style in (_EVALUATOR_KEYS, _ENERGY)]
    figure.legend(
        handles=handles, loc="outside lower center", ncols=3, frameon=False, fontsize="small"
    )
    return figure


def against(arrays: Arrays, data: str, width: int, summary: Summary) -> Figure:
    """Each game's estimate against the ruler, one point a logged step and seed."""
    games = [str(game) for game in arrays["games"]]
    figure, axes = canvas(
        f"The estimate against two rulers, {data}: does the one rank as the other?",
        *(2, len(games)),
        (4.0, 3.5),
    )
    last = max(int(arrays[f"{data}/{game}/steps"][-1]) for game in games)
    for row, judge, curve, name in (
        (axes[0], "ruler", "estimate", "exact W1"),
        (axes[1], "energy", "energy", "energy distance"),
    ):
        for each, game in zip(row, games, strict=True):
            prefix = f"{data}/{game}"
            evaluator = arrays[f"{prefix}/{judge}"]
            estimate = filtered(arrays[f"{prefix}/estimate"], width)
            steps = np.broadcast_to(arrays[f"{prefix}/steps"], evaluator.shape)
            points = each.scatter(
                *(evaluator.ravel(), estimate.ravel()),
                c=steps.ravel(),
                cmap=MAP,
                vmin=0,
                vmax=last,
                s=13,
                marker=STYLES[game].marker,
                alpha=0.8,
                linewidths=0,
            )
            values = summary[data, game, curve]
            is_js = GAMES[game].estimate == JS
            if is_js:
                reference(each, math.log(2), "log 2", at=0.01)
                each.set_ylim(min(0.55, float(np.nanmin(estimate))) - 0.02, 0.74)
            else:
                each.ticklabel_format(axis="y", scilimits=(-2, 4))
            label(
                each,
                f"{STYLES[game].label}\nSpearman {np.median(values):.2f} "
                f"({np.min(values):.2f} to {np.max(values):.2f})",
                f"{name} to held-out data (data units)",
                f"{'JS' if is_js else 'W'} estimate ({GAMES[game].unit})",
            )
    figure.colorbar(points, ax=axes[:, -1], label="step of training")
    return figure


def correlations(arrays: Arrays, summary: Summary) -> Figure:
    """Rank correlations of every game's curves with the ruler, with intervals over seeds."""
    names = [str(data) for data in arrays["data"]]
    games = [str(game) for game in arrays["games"]]
    figure, axes = canvas(
        "Which training curve ranks the generators of a run as a ruler does",
        *(1, len(names)),
        (5.6, 0.95 * len(games) + 1.2),
        sharey=True,
    )
    for each, data in zip(axes[0], names, strict=True):
        for i, game in enumerate(games):
            style, y = STYLES[game], len(games) - i
            for shift, curve, inside in (
                (0.22, "estimate", style.colour),
                (0.0, "energy", "#BBBBBB"),
                (-0.22, "generator", "white"),
            ):
                values = summary[data, game, curve]
                middle, low, high = median(values)
                if not math.isfinite(low):
                    low, high = float(np.min(values)), float(np.max(values))
                each.plot([low, high], [y + shift] * 2, color=style.colour, linewidth=2)
                each.plot(values, [y + shift] * len(values), "|", color=style.colour, markersize=8)
                each.plot(
                    *([middle], [y + shift], style.marker),
                    color=style.colour,
                    markerfacecolor=inside,
                    markersize=8,
                )
            most = float(np.nanmedian(summary[data, game, "ceiling"]))
            each.plot([most] * 2, [y - 0.38, y + 0.38], color=GREY, linewidth=1.5, linestyle=":")
        each.axvline(0, color=BLACK, linewidth=0.8)
        each.axvline(_CLAIMED, color=GREY, linewidth=1.0, linestyle=(0, (2, 2)))
        each.annotate(
            "set beforehand for W: .8 ",
            (_CLAIMED, 0.52),
            ha="right",
            va="bottom",
            size="small",
            color=GREY,
        )
        each.set_ylim(0.5, len(games) + 0.5)
        each.set_yticks(range(len(games), 0, -1), [STYLES[game].label for game in games])
        each.set_xlim(-1.05, 1.05)
        each.set_xticks([-1, -0.5, 0, 0.5, 1])
        label(each, data, "Spearman's rank correlation (1)", "")
    grey: dict[str, Any] = {"color": GREY, "linestyle": "none", "markersize": 8}
    figure.legend(
        handles=[
            Line2D([], [], marker="o", label="its own estimate against W1", **grey),
            Line2D(
                *([], []), marker="o", mfc="#BBBBBB", label="against the energy distance", **grey
            ),
            Line2D([], [], marker="o", mfc="white", label="generator's loss against W1", **grey),
            Line2D([], [], marker="|", label="single seeds", **grey),
            Line2D([], [], color=GREY, linestyle=":", label="ceiling: the ruler's own noise"),
        ],
        loc="outside lower center",
        ncols=5 if len(names) > 1 else 2,
        frameon=False,
        fontsize="small",
    )
    return figure
