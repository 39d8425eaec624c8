"""The pictures of optimal_discriminator: functions of its arrays."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    FAKE,
    GREY,
    MAP,
    REAL,
    STYLES,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
)

_TRAINED = Style("D trained (median, least to greatest)", BLUE, "--", "s")
_METHODS = ("minimax", "non_saturating")
_GRADIENT = "gradient of the generator's loss (per data unit)"


def densities(arrays: Arrays) -> Figure:
    """Both pairs: densities, D* = p/(p+q) and the D that training found."""
    figure, axes = canvas(
        "A trained discriminator finds D* = p/(p+q) where there are samples", 1, 4, (4.2, 3.9)
    )
    _line_pair(axes[0, 0], arrays)
    n = round(math.sqrt(len(arrays["pair_2d/points"])))
    x = arrays["pair_2d/points"][:, 0].reshape(n, n)
    y = arrays["pair_2d/points"][:, 1].reshape(n, n)
    best = arrays["pair_2d/shown_best"]
    found = np.median(arrays["pair_2d/shown"], 0)
    for i, (values, title) in enumerate(((best, "D*, 2-D pair"), (found, "D trained (median)"))):
        mesh = axes[0, 1 + i].pcolormesh(
            x, y, values.reshape(n, n), cmap=MAP, vmin=0, vmax=1, rasterized=True
        )
        label(axes[0, 1 + i], title, "coordinate 1 (data units)", "coordinate 2 (data units)")
    figure.colorbar(mesh, ax=axes[0, 2], label="probability of real")
    error = axes[0, 3].pcolormesh(
        x,
        y,
        np.maximum(np.abs(found - best), 1e-4).reshape(n, n),
        cmap=MAP,
        norm=LogNorm(1e-3, 1.0),
        rasterized=True,
    )
    figure.colorbar(error, ax=axes[0, 3], label="|D - D*|", extend="min")
    label(axes[0, 3], "Error", "coordinate 1 (data units)", "coordinate 2 (data units)")
    for each in axes[0, 1:]:
        each.grid(False)
        for name, colour in (("real", "white"), ("fake", FAKE)):
            density = arrays[f"pair_2d/{name}"].reshape(n, n)
            levels = density.max() * np.array([0.1, 0.5])
            each.contour(
                x,
                y,
                density,
                levels,
                colors=colour,
                linewidths=1.2,
                linestyles="--" if name == "real" else "-",
            )
        each.set_aspect("equal")
    axes[0, 1].text(
        0.02,
        0.02,
        "white dashes: real\nred: fake (10, 50 % of peak)",
        fontsize="x-small",
        transform=axes[0, 1].transAxes,
        color="white",
        bbox={"facecolor": "black", "alpha": 0.55, "linewidth": 0},
    )
    return figure


def _line_pair(axes: Axes, arrays: Arrays) -> None:
    x = arrays["pair_1d/points"][:, 0]
    axes.fill_between(x, arrays["pair_1d/real"], color=REAL, alpha=0.18, linewidth=0)
    axes.plot(x, arrays["pair_1d/real"], color=REAL, label="real density")
    axes.plot(x, arrays["pair_1d/fake"], color=FAKE, linestyle="-.", label="fake density")
    axes.plot(x, arrays["pair_1d/shown_best"], color=GREY, linewidth=3.5, label="D*", alpha=0.7)
    over_seeds(axes, x, arrays["pair_1d/shown"], Style("D trained", BLUE, "--", "s"))
    axes.set_ylim(0, 1.35)
    axes.legend(fontsize="small", ncols=2, loc="upper center")
    label(axes, "1-D pair", "x (data units)", "probability of real; density (per data unit)")


def identities(arrays: Arrays) -> Figure:
    """Every component of every gradient: formula, autograd at D*, autograd at a trained D."""
    figure, axes = canvas(
        "The generator's gradient at D*: by formula, by autograd, and at a trained D",
        1,
        2,
        (6.4, 4.2),
        width_ratios=(6, 6),
    )
    for axis, name, title in ((axes[0, 0], "1d", "1-D pair"), (axes[0, 1], "2d", "2-D pair")):
        names = ["scale"] if name == "1d" else ["shift 2", "scale"]
        names = ["shift" if name == "1d" else "shift 1", *names]
        methods = [*_METHODS, "wasserstein"] if name == "1d" else list(_METHODS)
        ticks: list[str] = []
        at = 0
        for method in methods:
            formula = arrays[f"{name}/{method}_gradient_formula"]
            exact = arrays[f"{name}/{method}_gradient"]
            trained = arrays.get(f"pair_{name}/{method}")
            for i, part in enumerate(names):
                first = not ticks
                if trained is not None:
                    spread = trained[:, i]
                    axis.plot(
                        [at + 0.18] * 2,
                        [spread.min(), spread.max()],
                        color=BLUE,
                        linewidth=2,
                    )
                    axis.plot(
                        [at + 0.18],
                        [np.median(spread)],
                        "s",
                        color=BLUE,
                        markersize=6,
                        label="autograd, D trained (range over seeds)" if first else None,
                    )
                axis.plot(
                    [at],
                    [formula[i]],
                    "o",
                    color=GREY,
                    markersize=13,
                    alpha=0.55,
                    label="formula (grad of divergences)" if first else None,
                )
                axis.plot(
                    [at],
                    [exact[i]],
                    "x",
                    color=BLACK,
                    markersize=8,
                    markeredgewidth=1.8,
                    label="autograd at D*" if first else None,
                )
                shown = STYLES[method].label.split(",")[0].replace("non-", "non-\n")
                ticks.append(f"{shown}\nby {part}")
                at += 1
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.set_xticks(range(len(ticks)), ticks, fontsize="small")
        axis.set_xlim(-0.6, len(ticks) - 0.4)
        label(axis, title, "", _GRADIENT)
    legend_below(figure, axes[0, 0], 3)
    return figure


def gradients(arrays: Arrays) -> Figure:
    """Gaussians at distance t: JS and the minimax loss; the three gradients; what is trained."""
    figure, axes = canvas(
        "Two Gaussians t stds apart: JS saturates, and with it the minimax gradient",
        1,
        2,
        (6.2, 4.6),
    )
    t, shifts = arrays["curve/t"], arrays["shifts"]
    left, right = axes[0]
    order = np.argsort(shifts)
    order = order[shifts[order] > 0]
    left.plot(t, arrays["curve/js"], color=BLACK, label="JS, exact")
    found = arrays["discriminator/value"] / 2 + math.log(2)
    _dots(left, shifts[order], found[order], Style("log 2 + V(D)/2, D trained", BLUE, "", "s"))
    reference(left, math.log(2), "log 2", at=0.02)
    left.plot(
        t,
        arrays["curve/js"] - math.log(2),
        color=STYLES["minimax"].colour,
        linestyle="-.",
        label="minimax generator's own loss at D*",
    )
    reference(left, -math.log(2), "-log 2, at equilibrium", at=0.99)
    left.set_xscale("log")
    left.set_ylim(-0.85, 0.95)
    left.legend(fontsize="small", loc="center left", bbox_to_anchor=(0.0, 0.60))
    label(left, "Values", "shift t (stds)", "nats")
    for name in (*_METHODS, "wasserstein"):
        style = STYLES[name]
        shown = style.label.split(",")[0]
        right.plot(t, arrays[f"curve/{name}"], **{**style.line_arguments(), "label": shown})
        kind = "penalty" if name == "wasserstein" else "discriminator"
        _dots(right, shifts[order], arrays[f"{kind}/{name}"][order], style)
    _dots(
        right,
        shifts[order],
        arrays["clip/wasserstein"][order],
        STYLES["wasserstein_clip"],
    )
    right.plot(
        [],
        [],
        color=STYLES["wasserstein_clip"].colour,
        marker="v",
        linestyle="",
        label="Wasserstein, clipping (trained)",
    )
    right.set_xscale("log")
    right.set_yscale("log")
    right.set_ylim(1e-6, 60)
    label(
        right,
        "Generator's gradient: lines at D*, dots at trained networks",
        "shift t (stds)",
        "gradient by t (per data unit)",
    )
    right.legend(fontsize="small", loc="lower left")
    return figure


def _dots(axes: Axes, x: np.ndarray, values: np.ndarray, style: Style) -> None:
    """Median over seeds with the range; values [T, S]."""
    middle = np.median(values, 1)
    off = [middle - values.min(1), values.max(1) - middle]
    axes.errorbar(
        x,
        middle,
        off,
        color=style.colour,
        marker=style.marker,
        linestyle="",
        markersize=5.5,
        capsize=2.5,
        label=style.label if style.line == "" else None,
        markeredgecolor="white",
        markeredgewidth=0.5,
    )
