"""The pictures of optimal_discriminator: functions of its arrays."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.optimal_discriminator.claims import branch
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
    error_bars,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

_METHODS = ("minimax", "non_saturating")
_CRITICS = {"penalty": STYLES["wasserstein"], "clip": STYLES["wasserstein_clip"]}
_D = Style("D trained", STYLES["minimax"].colour, "-", "o")
_OPTIMUM: dict[str, Any] = {"color": GREY, "linewidth": 3.5, "label": "D*"}
_DOT: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5}


def densities(arrays: Arrays) -> Figure:
    """Draw both pairs: densities, D* = p/(p+q) and the D that training reached."""
    title = "A trained discriminator finds D* = p/(p+q) where there are samples"
    figure, axes = canvas(title, 1, 4, (4.2, 3.9))
    _line_pair(axes[0, 0], arrays)
    n = round(math.sqrt(len(arrays["pair_2d/points"])))
    x, y = (arrays["pair_2d/points"][:, i].reshape(n, n) for i in (0, 1))
    best, median = arrays["pair_2d/shown_best"], np.median(arrays["pair_2d/shown"], 0)
    look: dict[str, Any] = {"cmap": MAP, "rasterized": True}
    for panel, values, title in (
        (axes[0, 1], best, "D*, 2-D pair"),
        (axes[0, 2], median, "D trained (median over seeds)"),
        (axes[0, 3], np.maximum(np.abs(median - best), 1e-4), "|D - D*|: small near samples"),
    ):
        scale: dict[str, Any] = {"vmin": 0, "vmax": 1}
        bar: dict[str, Any] = {"label": "probability of real"}
        if panel is axes[0, 3]:
            scale = {"norm": LogNorm(1e-3, 1.0)}
            bar = {"label": "|D - D*| (probability)", "extend": "min"}
        mesh = panel.pcolormesh(x, y, values.reshape(n, n), **look, **scale)
        if panel is not axes[0, 1]:
            figure.colorbar(mesh, ax=panel, **bar)
        label(panel, title, "coordinate 1 (data units)", "coordinate 2 (data units)")
        panel.grid(False)
        for name, colour, line in (("real", "white", "--"), ("fake", FAKE, "-")):
            density = arrays[f"pair_2d/{name}"].reshape(n, n)
            levels = density.max() * np.array([0.1, 0.5])
            lines: dict[str, Any] = {"colors": colour, "linewidths": 1.2, "linestyles": line}
            panel.contour(x, y, density, levels, **lines)
        panel.set_aspect("equal")
    first = axes[0, 1]
    text = "white dashes: real\nred: fake (10, 50 % of peak)"
    box = {"facecolor": "black", "alpha": 0.55, "linewidth": 0}
    inside = {"fontsize": "small", "color": "white", "transform": first.transAxes}
    remark(first, 0.02, 0.02, text, bbox=box, **inside)
    return figure


def _line_pair(axes: Axes, arrays: Arrays) -> None:
    x = arrays["pair_1d/points"][:, 0]
    axes.fill_between(x, arrays["pair_1d/real"], color=REAL, alpha=0.18, linewidth=0)
    axes.plot(x, arrays["pair_1d/real"], color=REAL, label="real density")
    axes.plot(x, arrays["pair_1d/fake"], color=FAKE, linestyle="-.", label="fake density")
    axes.plot(x, arrays["pair_1d/shown_best"], alpha=0.7, **_OPTIMUM)
    over_seeds(axes, x, arrays["pair_1d/shown"], Style("D trained", BLUE, "--", "s"))
    axes.set_ylim(0, 1.35)
    axes.legend(fontsize="small", ncols=2, loc="upper center")
    label(axes, "1-D pair", "x (data units)", "probability of real; density (per data unit)")


def identities(arrays: Arrays) -> Figure:
    """Draw every component of every gradient: formula, autograd at D*, autograd at a trained D."""
    title = "At a trained D the minimax gradient is that at D*; the non-saturating one is too small"
    figure, axes = canvas(title, 1, 2, (6.4, 4.2), width_ratios=(6, 6))
    cross: dict[str, Any] = {"color": BLACK, "markersize": 8, "markeredgewidth": 1.8}
    pairs = {
        "1d": ("1-D pair", ("shift", "scale"), (*_METHODS, "wasserstein")),
        "2d": ("2-D pair", ("shift 1", "shift 2", "scale"), _METHODS),
    }
    for panel, (pair, (title, parts, methods)) in zip(axes[0], pairs.items(), strict=True):
        rows = [(method, i) for method in methods for i in range(len(parts))]
        for at, (method, i) in enumerate(rows):
            texts = ("autograd, D trained (range over seeds)", "autograd at D*")
            seeds, exact = (None if at else text for text in texts)
            formula = None if at else "formula (grad of divergences)"
            if f"pair_{pair}/{method}" in arrays:
                spread = arrays[f"pair_{pair}/{method}"][:, i]
                ends = [spread.min(), spread.max()]
                panel.plot([at + 0.25] * 2, ends, color=BLUE, linewidth=2)
                middle = [np.median(spread)]
                panel.plot([at + 0.25], middle, "s", color=BLUE, markersize=6, label=seeds)
            value = [arrays[f"{pair}/{method}_gradient_formula"][i]]
            panel.plot([at], value, "o", color=GREY, markersize=13, alpha=0.55, label=formula)
            panel.plot([at], [arrays[f"{pair}/{method}_gradient"][i]], "x", label=exact, **cross)
        names = {m: STYLES[m].label.split(",")[0].replace("non-", "non-\n") for m in methods}
        ticks = [f"{names[method]}\nby {parts[i]}" for method, i in rows]
        panel.axhline(0, color=GREY, linewidth=0.8)
        panel.set_xticks(range(len(ticks)), ticks, fontsize="small")
        panel.set_xlim(-0.6, len(ticks) - 0.4)
        label(panel, title, "", "generator's gradient (per data unit)")
    legend_below(figure, axes[0, 0], 3)
    return figure


def gradients(arrays: Arrays) -> Figure:
    """Draw, for Gaussians at distance t, JS and the minimax loss, and all gradients."""
    title = "Two Gaussians t stds apart: JS saturates, and with it the minimax gradient"
    figure, axes = canvas(title, 1, 2, (6.2, 4.6))
    t, shifts = arrays["curve/t"], arrays["shifts"]
    values, pulls = axes[0]
    order = np.argsort(shifts)
    order = order[shifts[order] > 0]

    def dots(panel: Axes, key: str, style: Style, text: str | None = None) -> None:
        seeds = arrays[key] if key != "js" else arrays["discriminator/value"] / 2 + math.log(2)
        look = {"markersize": 5.5, "capsize": 2.5, "label": text, **_DOT}
        error_bars(panel, shifts[order], seeds[order].T, style, **look)

    values.plot(t, arrays["curve/js"], color=BLACK, label="JS, exact")
    dots(values, "js", Style("", BLUE, "", "s"), "log 2 + V(D)/2, D trained")
    reference(values, math.log(2), "log 2", at=0.02)
    own = {"color": STYLES["minimax"].colour, "linestyle": "-."}
    text = "minimax generator's own loss at D*"
    values.plot(t, arrays["curve/js"] - math.log(2), label=text, **own)
    reference(values, -math.log(2), "-log 2, at equilibrium", at=0.99)
    values.set_xscale("log")
    values.set_ylim(-0.85, 0.95)
    values.legend(fontsize="small", loc="center left", bbox_to_anchor=(0.0, 0.32))
    label(values, "Values", "shift t (stds)", "nats")
    for name in (*_METHODS, "wasserstein"):
        style = STYLES[name]
        line = style.line_arguments() | {"label": style.label.split(",")[0]}
        pulls.plot(t, arrays[f"curve/{name}"], **line)
        kind = "penalty" if name == "wasserstein" else "discriminator"
        dots(pulls, f"{kind}/{name}", style)
    clip = STYLES["wasserstein_clip"]
    dots(pulls, "clip/wasserstein", clip)
    text = f"{clip.label} (trained)"
    pulls.plot([], [], color=clip.colour, marker="v", linestyle="", label=text)
    pulls.set_xscale("log")
    pulls.set_yscale("log")
    pulls.set_ylim(1e-6, 60)
    title = "Generator's gradient: lines at D*, dots at trained networks"
    label(pulls, title, "shift t (stds)", "gradient by t (per data unit)")
    pulls.legend(fontsize="small", loc="lower left")
    return figure


def derivatives(arrays: Arrays) -> Figure:
    """Draw outputs and derivatives along the line through two Gaussians: WGAN fig. 2."""
    far, x = float(arrays["far"]), arrays["line"]
    title = f"Between two Gaussians {far:g} stds apart D saturates; a critic goes on pushing"
    figure, axes = canvas(title, 1, 2, (6.2, 4.6))
    outputs, pushes = axes[0]
    for mean, colour, text in ((0.0, REAL, "real density"), (far, FAKE, "fake density")):
        bell = np.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)
        outputs.fill_between(x, bell, color=colour, alpha=0.22, linewidth=0, label=text)
    best = 1 / (1 + np.exp(-arrays["line_best"]))
    not_best = 1 / (1 + np.exp(arrays["line_best"]))
    d = 1 / (1 + np.exp(-arrays["discriminator/logit"]))
    outputs.plot(x, best, alpha=0.6, **_OPTIMUM)
    over_seeds(outputs, x, d, _D)
    pushes.plot(x, far * best * not_best, alpha=0.6, **_OPTIMUM)
    push = np.abs(arrays["discriminator/slope"]) * d * (1 - d)
    over_seeds(pushes, x, push, _D, logarithmic=True)
    for kind, style in _CRITICS.items():
        logits = arrays[f"{kind}/logit"]
        zero, one = (logits[:, [int(np.argmin(np.abs(x - mean)))]] for mean in (far, 0.0))
        look = replace(style, label=f"critic, {style.label}")
        over_seeds(outputs, x, (logits - zero) / (one - zero), look)
        over_seeds(pushes, x, np.abs(arrays[f"{kind}/slope"]), style, logarithmic=True)
    outputs.set_ylim(-0.3, 1.4)
    label(outputs, "Outputs", "x (stds)", "D; critic, scaled at the means; density (per std)")
    pushes.set_yscale("log")
    pushes.set_ylim(1e-9, 30)
    for mean, text in ((0.0, "real mean"), (far, "fake mean")):
        pushes.axvline(mean, color=GREY, linewidth=0.8, linestyle=":")
        back = {"facecolor": "white", "linewidth": 0, "pad": 1.5}
        remark(pushes, mean, 12, text, ha="center", va="center", bbox=back)
    legend_below(figure, outputs, 6)
    label(pushes, "Slope that a fake feels", "x (stds)", "|d output / dx| (per std)")
    return figure


def branches(arrays: Arrays) -> Figure:
    """Draw the penalised critics' values, with the two stationary values of the problem."""
    title = "On a line the two-sided penalty has a second maximum of the wrong sign"
    figure, axes = canvas(title, size=(7.6, 4.6))
    panel, t, best = axes[0, 0], arrays["two_sided/shifts"], arrays["two_sided/value_formula"]
    second = best - 2 * t
    panel.plot(t, t, color=GREY, linestyle=":", label="W1 = t")
    panel.plot(t, best, color=BLACK, label="optimum: W1 + penalty's bias")
    text = "second maximum: optimum - 2 W1"
    panel.plot(t, second, color=BLACK, linestyle="--", label=text)
    for kind, colour, marker, off, text in (
        ("two_sided", FAKE, "o", -0.03, "two-sided penalty, one dot a critic (counted)"),
        ("penalty", BLUE, "^", 0.03, "one-sided penalty, one triangle a critic"),
    ):
        at = [int(np.flatnonzero(arrays[f"{kind}/shifts"] == each)[0]) for each in t]
        values = arrays[f"{kind}/value"][at]
        look = {"color": colour, "markersize": 6, "alpha": 0.7, "label": text, **_DOT}
        x = np.repeat(t * (1 + off), values.shape[1])
        panel.plot(x, values.ravel(), marker, **look)
    signs = branch(arrays)
    for sign, heights, off in ((1, best, 16), (-1, second, -20)):
        for x, height, row in zip(t, heights, signs, strict=True):
            look = {"textcoords": "offset points", "ha": "center", "fontsize": "small"}
            count = f"{int((row == sign).sum())} of {len(row)}"
            panel.annotate(count, (x, height), xytext=(0, off), color=FAKE, **look)
    panel.set_ylim(-7.5, 18)
    panel.axhline(0, color=GREY, linewidth=0.8)
    panel.set_xscale("log")
    panel.set_xticks(t, [f"{v:g}" for v in t])
    panel.minorticks_off()
    panel.legend(fontsize="small", loc="upper left")
    value = "critic's value, real mean - fake mean (data units)"
    label(panel, "N(0, 1) against N(t, 1), weight 10", "shift t (stds)", value)
    return figure
