"""Pictures of the GANs on a line: moments of every game, distances, losses above their floors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gan_lab.experiments.gan_1d.figures_film import (
    Numbers,
    discriminator,
    discriminator_range,
    draw_still,
    threads,
)
from gan_lab.reports.plots.style import (
    BLUE,
    FAKE,
    STYLES,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
)

_MOMENTS = 5


def moments(arrays: Numbers, names: Sequence[str]) -> Figure:
    """A row a loss, five moments of training: the film on paper."""
    steps = arrays["step"]
    chosen = np.unique(np.linspace(0, len(steps) - 1, _MOMENTS).astype(int))
    figure, axes = canvas(
        "Data (dashed), generated (orange), discriminator (blue, on its own scale), and how z maps "
        "to x",
        len(names),
        len(chosen),
        (3.1, 2.25),
        sharex=True,
        sharey=True,
    )
    top = 2.1 * float(arrays["data_density"].max())
    x = arrays["x"]
    for row, name in zip(axes, names, strict=True):
        low, high = discriminator_range(arrays, name)
        for panel, i in zip(row, chosen, strict=True):
            draw_still(panel, arrays, top)
            density = arrays[f"{name}/density"][i]
            panel.plot(x, density, color=FAKE, linewidth=1.5)
            values = discriminator(arrays[f"{name}/logits"][i], name)
            panel.plot(
                x, (values - low) / (high - low) * 0.86 * top, color=BLUE, linestyle="-.", lw=1.2
            )
            lines, ends = threads(arrays, name, int(i), float(x[0]), float(x[-1]), top)
            panel.add_collection(LineCollection(list(lines), colors=FAKE, lw=0.6, alpha=0.75))
            panel.plot(ends, np.full(len(ends), -0.03 * top), "^", color=FAKE, ms=2.5, mec="none")
            js, w1 = arrays[f"{name}/js"][i, 0], arrays[f"{name}/wasserstein"][i, 0]
            over = f", peak {density.max():.1f}" if density.max() > top else ""
            panel.set_title(f"step {steps[i]}: JS {js:.3f}, W1 {w1:.3f}{over}", fontsize=8)
            panel.set_xlabel("x (data units)" if name == names[-1] else "", fontsize=8)
        row[0].set_ylabel(f"{STYLES[name].label}\ndensity (per unit)", fontsize=8)
    return figure


def distances(arrays: Numbers, names: Sequence[str]) -> Figure:
    """Exact JS and W1 against the step, median over seeds with least and greatest."""
    n_seeds = arrays[f"{names[0]}/js"].shape[1]
    figure, axes = canvas(
        "Exact distance between data and generator over training: median and range of "
        f"{n_seeds} seed{'s' if n_seeds > 1 else ''}",
        2,
        len(names),
        (2.5, 2.6),
        sharex=True,
        sharey="row",
    )
    for i, name in enumerate(names):
        for row, key in enumerate(("js", "wasserstein")):
            panel = axes[row, i]
            over_seeds(panel, arrays["step"], arrays[f"{name}/{key}"].T, STYLES[name])
            for other in names:  # the others as a pale background
                values = np.median(arrays[f"{other}/{key}"], axis=1)
                panel.plot(arrays["step"], values, color="#C8C8C8", linewidth=0.6, zorder=0)
            panel.set_xticks([0, int(arrays["step"][-1] // 2), int(arrays["step"][-1])])
        axes[0, i].set_title(STYLES[name].label.replace(", ", ",\n"), fontsize="medium")
        axes[1, i].set_xlabel("step")
        axes[1, i].set_yscale("log")
        reference(axes[0, i], float(np.log(2)), "log 2")
    axes[0, 0].set_ylabel("JS (nats)")
    axes[1, 0].set_ylabel("W1 (data units)")
    return figure


def floors(arrays: Numbers, names: Sequence[str]) -> Figure:
    """The discriminator's exact loss above what the exact distance allows, first seed."""
    figure, axes = canvas(
        "The discriminator's loss and the floor that the exact distance sets (first seed)",
        2,
        3,
        (4.0, 3.2),
    )
    says = {
        "minimax": ("2 log 2 - 2 JS", "nats"),
        "non_saturating": ("2 log 2 - 2 JS", "nats"),
        "least_squares": ("integral of pq/(p+q), halved", "no unit"),
        "hinge": ("2 - 2 TV", "no unit"),
        "wasserstein": ("-(largest slope) W1", "data units x slope"),
        "wasserstein_clip": ("-(largest slope) W1", "data units x slope"),
    }
    for panel, name in zip(axes.flat, names, strict=True):
        floor, unit = says[name]
        step = arrays["step"]
        panel.fill_between(
            step,
            arrays[f"{name}/floor"][:, 0],
            float(np.min(arrays[f"{name}/floor"][:, 0])),
            color="#E4E4E4",
            label="out of reach: below the floor named in each title",
        )
        panel.plot(step, arrays[f"{name}/floor"][:, 0], color="#6B6B6B", lw=1.2)
        panel.plot(
            step,
            arrays[f"{name}/loss_discriminator"][:, 0],
            color=BLUE,
            lw=1.5,
            label="exact expectation of the discriminator's loss",
        )
        label(panel, f"{STYLES[name].label}: {floor}", "step", f"loss ({unit})")
    legend_below(figure, axes[0, 0], 2)
    return figure
