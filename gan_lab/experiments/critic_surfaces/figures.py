"""The pictures of critic_surfaces: functions of its arrays."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.critic_surfaces.claims import NAMES, ratios
from gan_lab.experiments.critic_surfaces.transport import HALF_WIDTH, PIXELS
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    FAKE,
    GREY,
    MAP,
    ORANGE,
    PURPLE,
    SKY,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

_ROWS = {
    "exact": "exact potential",
    "clip": "clipping",
    "one_sided": "penalty, one-sided",
    "light": "penalty, light",
}
KINDS = {
    "clip": Style("clipping", SKY, "-.", "v"),
    "penalty": Style("penalty, two-sided", BLUE, "-", "^"),
    "one_sided": Style("penalty, one-sided", PURPLE, "--", "D"),
    "light": Style("penalty, light", ORANGE, ":", "s"),
}
_DEEP = (
    Style("", FAKE, "--", "s"),
    Style("", ORANGE, "-.", "D"),
    Style("", SKY, ":", "v"),
    Style("", PURPLE, (0, (5, 1)), "P"),
)


def surfaces(arrays: Arrays) -> Figure:
    """Draw figure 1a: contours of the exact potential and of critics, the first seed's."""
    title = "What critics see of data (crosses) and data plus noise (dots)"
    figure, axes = canvas(title, len(_ROWS), 3, (3.5, 3.1), sharex=True, sharey=True)
    axis = np.linspace(-HALF_WIDTH, HALF_WIDTH, PIXELS)
    for row, (kind, words) in enumerate(_ROWS.items()):
        for k, (name, title) in enumerate(NAMES.items()):
            exact = arrays[f"exact/{name}/surface"]
            surface = exact if kind == "exact" else arrays[f"{kind}/surface"][k, 0]
            heights = surface.reshape(PIXELS, PIXELS).T
            each = axes[row, k]
            contours = each.contourf(axis, axis, heights, levels=14, cmap=MAP)
            each.contour(axis, axis, heights, levels=14, colors="white", linewidths=0.35)
            bar = figure.colorbar(contours, ax=each, shrink=0.9)
            bar.ax.tick_params(labelsize="x-small")
            real, fake = arrays[f"exact/{name}/real"], arrays[f"exact/{name}/fake"]
            each.plot(*fake[:96].T, ".", color=FAKE, markersize=2.5)
            each.plot(*real.T, "x", color=BLACK, markersize=2.6, markeredgewidth=0.7)
            each.grid(False)
            each.set_aspect("equal")
            each.set_xlim(-HALF_WIDTH, HALF_WIDTH)
            each.set_ylim(-HALF_WIDTH, HALF_WIDTH)
            x = "coordinate 1 (data units)" if row == len(_ROWS) - 1 else ""
            y = f"{words}\ncoordinate 2 (data units)" if k == 0 else ""
            label(each, title if row == 0 else "", x, y)
            if k == 2:
                bar.set_label(f"f - mean ({'data' if kind == 'exact' else 'critic'} units)")
    return figure


def gradient_norms(arrays: Arrays) -> Figure:
    """Draw figure 1b, left: norms by layer of the deep critics."""
    title = "Deep critics on the swiss roll: clipped gradients explode or vanish"
    figure, axes = canvas(title, size=(7.4, 4.8))
    only = axes[0, 0]
    norms = arrays["deep/penalty/norms"]
    layers = np.arange(1, norms.shape[1] + 1)
    style = Style("gradient penalty", BLUE, "-", "^")
    over_seeds(only, layers, norms, style, logarithmic=True)
    for i, bound in enumerate(arrays["deep_bounds"]):
        look = _DEEP[i % len(_DEEP)]
        style = Style(f"clipping at {bound:g}", look.colour, look.line, look.marker)
        over_seeds(only, layers, arrays[f"deep/clip_{i}/norms"], style, logarithmic=True)
    only.set_yscale("log")
    only.set_xticks(layers)
    title = "Median over seeds, band from least to greatest"
    x, y = "hidden layer (1 = nearest the samples)", "|d critic's loss / d activations|"
    label(only, title, x, y)
    legend_below(figure, only, 4)
    return figure


def weights(arrays: Arrays) -> Figure:
    """Draw figure 1b, right: histograms of weights."""
    deep = [f"deep/clip_{i}" for i in range(len(arrays["deep_bounds"]))]
    bounds = [*arrays["deep_bounds"], arrays["bound"]]
    title = "Clipping leaves a critic's weights at two values, the penalty does not"
    figure, axes = canvas(title, 1, len(deep) + 2, (3.5, 3.4), sharey=True)
    for i, kind in enumerate([*deep, "inside", "deep/penalty"]):
        only = axes[0, i]
        clips = kind != "deep/penalty"
        colour = _DEEP[i % len(_DEEP)].colour if clips else BLUE
        shares, edges = arrays[f"{kind}/histogram"], arrays[f"{kind}/edges"]
        only.stairs(shares, edges, fill=True, color=colour, alpha=0.75)
        only.stairs(shares, edges, color=BLACK, linewidth=0.6)
        only.set_yscale("log")
        only.set_ylim(1e-4, 3)
        words = "|weights| above 0.5 are\nin the outermost bars"
        title = "deep, gradient penalty"
        if clips:
            first = np.median(arrays[f"{kind}/at_bounds_first"])
            share = np.median(arrays[f"{kind}/at_bounds"])
            words = f"on a bound: {share:.0%}\nafter the first update: {first:.0%}"
            title = f"{'3 layers, inside' if kind == 'inside' else 'deep'}, clipping at"
            title = f"{title} {bounds[i]:g}"
            ticks = [-bounds[i], 0, bounds[i]]
            only.set_xticks(ticks, [f"{tick:g}" for tick in ticks], fontsize="small")
        at = {"transform": only.transAxes, "ha": "center", "va": "top"}
        remark(only, 0.5, 0.97, words, color=BLACK, **at)
        label(only, title, "weight", "share of weights in a bar" if i == 0 else "")
    return figure


def values(arrays: Arrays) -> Figure:
    """Draw every critic's value over the exact W1, and the contrast of its surface."""
    title = "A critic's value is not W1: clipping scales it, a light penalty inflates it"
    figure, axes = canvas(title, 1, 2, (6.4, 4.5))
    by_w1, by_value = axes[0]
    k = np.arange(len(NAMES))
    edge: dict[str, Any] = {"markeredgecolor": "white", "markeredgewidth": 0.5}
    for i, (kind, style) in enumerate(KINDS.items()):
        upright = np.where(arrays[f"{kind}/value"] > 0, arrays[f"{kind}/contrast"], np.nan)
        for axis, numbers in ((by_w1, ratios(arrays, kind)), (by_value, upright)):
            at = k[:, None] + 0.16 * (i - 1.5) + np.zeros_like(numbers)
            look = {"color": style.colour, "markersize": 6, "alpha": 0.75, "label": style.label}
            axis.plot(at.ravel(), numbers.ravel(), style.marker, **look, **edge)
    exact = [float(arrays[f"exact/{name}/contrast"]) for name in NAMES]
    look = {"color": BLACK, "linewidth": 2, "label": "exact potential", "zorder": 1}
    by_value.hlines(exact, k - 0.4, k + 0.4, **look)
    by_w1.set_yscale("symlog", linthresh=0.1, linscale=0.5)
    ticks = [-1, -0.5, -0.1, 0, 0.1, 0.5, 1, 2, 5]
    by_w1.set_yticks(ticks, [f"{tick:g}" for tick in ticks])
    by_w1.minorticks_off()
    reference(by_w1, 1.0, "exact W1", at=0.01)
    for axis in (by_w1, by_value):
        axis.axhline(0, color=GREY, linewidth=0.8)
        axis.set_xticks(range(len(NAMES)), NAMES.values())
        axis.set_xlim(-0.55, len(NAMES) - 0.45)
    title = "Value, one mark a critic (below 0: upside down)"
    label(by_w1, title, "", "critic's value (multiple of exact W1)")
    title = "Does it tell modes from gaps? (upside-down critics left out)"
    label(by_value, title, "", "contrast (share of critic's value)")
    legend_below(figure, by_value, 5)
    return figure
