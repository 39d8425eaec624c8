"""Mode collapse over training: how many modes survive, and which is lost when."""

import numpy as np
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.mode_collapse.figures import LOOKS
from gan_lab.experiments.mode_collapse.numbers import NAMES, expected_modes, modes_over_time
from gan_lab.reports.plots.style import GREY, MAP, canvas


def survival(arrays: Arrays) -> Figure:
    """Modes covered against steps: one panel a method and data set, all seeds, median, range."""
    data, methods = arrays["data"].tolist(), arrays["methods"].tolist()
    figure, axes = canvas(
        "Survival of modes over training: each thin line a seed, the thick one their median",
        len(data),
        len(methods),
        size=(2.15, 2.1),
        sharex="row",
        sharey="row",
    )
    for row, name in enumerate(data):
        counts, steps = modes_over_time(arrays, name), arrays[f"{name}/steps"]
        k, n = len(arrays[f"{name}/weights"]), int(arrays[f"{name}/n"])
        ceiling = expected_modes(arrays[f"{name}/weights"], n)
        for i, method in enumerate(methods):
            panel, style = axes[row, i], LOOKS[method]
            seeds = counts[i].T
            panel.fill_between(
                steps, seeds.min(0), seeds.max(0), color=style.colour, alpha=0.18, linewidth=0
            )
            panel.plot(steps, seeds.T, color=style.colour, linewidth=0.6, alpha=0.7)
            panel.plot(steps, np.median(seeds, 0), color=style.colour, linewidth=2.2)
            panel.axhline(ceiling, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
            panel.set_ylim(-0.04 * k, 1.25 * k)
            panel.set_yticks(np.arange(0, 26, 5) if k == 25 else np.linspace(0, k, 5))
            panel.set_xticks([0, steps[-1] // 2, steps[-1]])
            if row == 0:
                panel.set_title(_wrapped(style.label), fontsize="small")
            if row == len(data) - 1:
                panel.set_xlabel("steps")
        axes[row, 0].set_ylabel(f"{NAMES[name]}\nmodes covered of {k}")
        axes[row, 0].annotate(
            f"data: {ceiling:.0f}",
            (0.03, ceiling),
            xycoords=("axes fraction", "data"),
            xytext=(0, 2),
            textcoords="offset points",
            ha="left",
            va="bottom",
            fontsize="x-small",
            color=GREY,
        )
    return figure


def raster(arrays: Arrays, name: str) -> Figure:
    """Which mode is reached and lost when: share of samples by mode over time for one seed."""
    methods, steps = arrays["methods"].tolist(), arrays[f"{name}/steps"]
    counts, n = arrays[f"{name}/good"][:, :, 0], int(arrays[f"{name}/n"])
    k = counts.shape[-1]
    figure, axes = canvas(
        f"Modes of the {NAMES[name]} over training, seed {arrays['seeds'][0]}: "
        "white = no sample within 3 std",
        2,
        (len(methods) + 1) // 2,
        size=(3.4, 2.7),
        sharex=True,
        sharey=True,
    )
    edges = np.concatenate([[0], (steps[1:] + steps[:-1]) / 2, [steps[-1]]])
    for panel, method, each in zip(axes.flat, methods, counts, strict=False):
        shares = np.where(each > 0, each * k / n, np.nan).T
        mesh = panel.pcolormesh(
            edges,
            np.arange(k + 1),
            shares,
            cmap=f"{MAP}_r",
            norm=LogNorm(k / n, 1),
            rasterized=True,
        )
        panel.set_facecolor("white")
        panel.grid(False)
        at = range(k) if k <= 8 else range(0, k, 5)
        panel.set_yticks([i + 0.5 for i in at], [str(i) for i in at])
        panel.set_title(LOOKS[method].label, fontsize="medium")
    for panel in axes[-1]:
        panel.set_xlabel("steps")
    for panel in axes[:, 0]:
        panel.set_ylabel("mode")
    figure.colorbar(
        mesh,
        ax=axes,
        label="share of high-quality samples\n(1 = the mode's fair share)",
        extend="max",
    )
    return figure


def _wrapped(text: str) -> str:
    return text.replace(", ", ",\n")
