"""More pictures of optimal_discriminator: slopes between two Gaussians, values of critics."""

import math

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.optimal_discriminator.claims import branch
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    FAKE,
    GREY,
    REAL,
    STYLES,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
)


def slopes(arrays: Arrays) -> Figure:
    """WGAN fig. 2: along the line through two Gaussians, outputs and slopes."""
    far = float(arrays["far"])
    x = arrays["line"]
    figure, axes = canvas(
        f"Between two Gaussians {far:g} stds apart D saturates; a critic goes on pushing",
        1,
        2,
        (6.2, 4.6),
    )
    left, right = axes[0]
    for mean, colour, words in ((0.0, REAL, "real density"), (far, FAKE, "fake density")):
        bell = np.exp(-((x - mean) ** 2) / 2) / math.sqrt(2 * math.pi)
        left.fill_between(x, bell, color=colour, alpha=0.22, linewidth=0, label=words)
    d = 1 / (1 + np.exp(-arrays["discriminator/logit"]))
    left.plot(
        x, 1 / (1 + np.exp(-arrays["line_best"])), color=GREY, linewidth=3.5, alpha=0.6, label="D*"
    )
    over_seeds(left, x, d, Style("D trained", STYLES["minimax"].colour, "-", "o"))
    for kind in ("penalty", "clip"):
        style = STYLES["wasserstein" if kind == "penalty" else "wasserstein_clip"]
        values = arrays[f"{kind}/logit"]
        zero = values[:, [int(np.argmin(np.abs(x - far)))]]
        one = values[:, [int(np.argmin(np.abs(x)))]]
        over_seeds(
            left,
            x,
            (values - zero) / (one - zero),
            Style(
                f"critic, {style.label.split(', ')[1]}",
                style.colour,
                style.line,
                style.marker,
            ),
        )
    left.set_ylim(-0.3, 1.4)
    label(left, "Outputs", "x (stds)", "D; critic, scaled at the means; density (per std)")
    best = 1 / (1 + np.exp(-arrays["line_best"]))
    not_best = 1 / (1 + np.exp(arrays["line_best"]))
    right.plot(x, far * best * not_best, color=GREY, linewidth=3.5, alpha=0.6, label="D*")
    over_seeds(
        right,
        x,
        np.abs(arrays["discriminator/slope"]) * d * (1 - d),
        Style("D trained", STYLES["minimax"].colour, "-", "o"),
        logarithmic=True,
    )
    for kind in ("penalty", "clip"):
        style = STYLES["wasserstein" if kind == "penalty" else "wasserstein_clip"]
        over_seeds(right, x, np.abs(arrays[f"{kind}/slope"]), style, logarithmic=True)
    right.set_yscale("log")
    right.set_ylim(1e-9, 30)
    for mean, words in ((0.0, "real mean"), (far, "fake mean")):
        right.axvline(mean, color=GREY, linewidth=0.8, linestyle=":")
        right.annotate(words, (mean, 12), fontsize="small", color=GREY, ha="center")
    legend_below(figure, left, 6)
    label(right, "Slope that a fake feels", "x (stds)", "|d output / dx| (per std)")
    return figure


def branches(arrays: Arrays) -> Figure:
    """What the penalised critics report, with the two stationary values of the problem."""
    figure, axes = canvas(
        "On a line the two-sided penalty has a second maximum of the wrong sign", size=(7.6, 4.6)
    )
    only = axes[0, 0]
    t = arrays["two_sided/shifts"]
    right = arrays["two_sided/value_formula"]
    only.plot(t, t, color=GREY, linestyle=":", label="W1 = t")
    only.plot(t, right, color=BLACK, label="optimum: W1 + penalty's bias")
    only.plot(
        t,
        right - 2 * t,
        color=BLACK,
        linestyle="--",
        label="second maximum: optimum - 2 W1",
    )
    for kind, colour, marker, off, words in (
        ("two_sided", FAKE, "o", -0.03, "two-sided penalty, one dot a critic (counted)"),
        ("penalty", BLUE, "^", 0.03, "one-sided penalty, one triangle a critic"),
    ):
        at = [int(np.flatnonzero(arrays[f"{kind}/shifts"] == each)[0]) for each in t]
        values = arrays[f"{kind}/value"][at]
        only.plot(
            np.repeat(t * (1 + off), values.shape[1]),
            values.ravel(),
            marker,
            color=colour,
            markersize=6,
            alpha=0.7,
            label=words,
            markeredgecolor="white",
            markeredgewidth=0.5,
        )
    found = branch(arrays)
    for i, each in enumerate(t):
        for sign, height, off in ((1, right[i], 16), (-1, right[i] - 2 * each, -20)):
            only.annotate(
                f"{int((found[i] == sign).sum())} of {found.shape[1]}",
                (each, height),
                xytext=(0, off),
                textcoords="offset points",
                ha="center",
                fontsize="small",
                color=FAKE,
            )
    only.set_ylim(-7.5, 18)
    only.axhline(0, color=GREY, linewidth=0.8)
    only.set_xscale("log")
    only.set_xticks(t, [f"{v:g}" for v in t])
    only.minorticks_off()
    only.legend(fontsize="small", loc="upper left")
    label(
        only,
        "N(0, 1) against N(t, 1), weight 10",
        "shift t (stds)",
        "critic's value, real mean - fake mean (data units)",
    )
    return figure
