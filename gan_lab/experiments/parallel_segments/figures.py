"""Parallel segments on one page, fit for a lecture."""

import math
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.parallel_segments.claims import distance, norm
from gan_lab.experiments.parallel_segments.figures_acts import THETA, against_updates
from gan_lab.reports.plots.style import (
    BLUE,
    STYLES,
    VERMILLION,
    canvas,
    label,
    legend_below,
    over_seeds,
)

_SHOWN = ("minimax", "non_saturating", "wasserstein")


def summary(arrays: Arrays) -> Figure:
    """Four panels: what is exact, what is handed over, how large it is, and where it leads."""
    figure, axes = canvas(
        "Why a Wasserstein GAN learns where a GAN's gradient vanishes", 2, 2, (5.6, 3.9)
    )
    _theory(axes[0, 0], arrays)
    against_updates(axes[0, 1], arrays, _SHOWN)
    axes[0, 1].set_title(
        "2. the better the discriminator, the less minimax learns", fontsize="medium"
    )
    for loss in _SHOWN:
        values = norm(arrays, f"fit/{loss}")[-1].T
        over_seeds(axes[1, 0], arrays["theta"], values, STYLES[loss], logarithmic=True)
    axes[1, 0].set_yscale("log")
    label(
        axes[1, 0],
        f"3. gradient after {arrays['steps'][-1]} discriminator updates",
        THETA,
        "|gradient by theta| (loss per data unit)",
    )
    most = arrays["n_critic"][-1]
    for loss in _SHOWN:
        path = distance(arrays, most, loss)[:, -1].T
        over_seeds(axes[1, 1], np.arange(path.shape[1]), path, STYLES[loss])
    axes[1, 1].set_ylim(0, 1.6 * float(np.abs(arrays["starts"]).max()))
    label(
        axes[1, 1],
        f"4. a shift learns, {most} discriminator updates a move",
        "moves",
        "|theta| (data units)",
    )
    legend_below(figure, axes[0, 1], 3)
    return figure


def _theory(panel: Axes, arrays: Arrays) -> None:
    theta = arrays["exact/theta"]
    js, wasserstein = arrays["exact/0.0"][0], arrays["exact/0.0"][4]
    apart = np.where(theta == 0, np.nan, js)
    panel.plot(theta, apart, color=VERMILLION, linestyle="-", label="JS")
    panel.plot([0], [0], marker="o", color=VERMILLION, markersize=5)
    panel.plot([0], [math.log(2)], marker="o", markerfacecolor="white", color=VERMILLION)
    panel.plot(theta, wasserstein, color=BLUE, linestyle="--", label="W1")
    small: dict[str, Any] = {"fontsize": "small"}
    panel.annotate("JS = log 2\nexcept at 0", (1.05, 0.6), va="top", color=VERMILLION, **small)
    panel.annotate("W1 = |theta|", (1.25, 1.5), ha="right", color=BLUE, **small)
    panel.annotate("JS = 0", (0.08, 0.0), va="bottom", **small)
    label(panel, "1. what the distances see", THETA, "nats; data units")
