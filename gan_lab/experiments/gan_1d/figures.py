"""Pictures of the GANs on a line: moments of every training, distances, losses and their floors."""

from collections.abc import Sequence

import numpy as np
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.gan_1d.animation import (
    discriminator_output,
    discriminator_range,
    draw_background,
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


def moments(arrays: Arrays, methods: Sequence[str]) -> Figure:
    """Draw a row for each loss, five moments of training: the animation on paper."""
    steps, x = arrays["step"], arrays["x"]
    indices = np.unique(np.linspace(0, len(steps) - 1, _MOMENTS).astype(int))
    title = (
        "Data (dashed), generated (orange), discriminator (blue, on its own scale), and how z maps "
        "to x, of the first seed; JS in nats, W1 in data units"
    )
    figure, axes = canvas(title, len(methods), len(indices), (3.1, 2.6), sharex=True, sharey=True)
    top = 2.1 * float(arrays["data_density"].max())
    for row, name in zip(axes, methods, strict=True):
        low, high = discriminator_range(arrays, name)
        for panel, i in zip(row, indices, strict=True):
            draw_background(panel, arrays, top)
            density = arrays[f"{name}/density"][i]
            panel.plot(x, density, color=FAKE, linewidth=1.5)
            values = discriminator_output(arrays[f"{name}/logits"][i], name)
            heights = (values - low) / (high - low) * 0.86 * top
            panel.plot(x, heights, color=BLUE, linestyle="-.", lw=1.2)
            lines, ends = threads(arrays, name, int(i), top)
            panel.add_collection(LineCollection(list(lines), colors=FAKE, lw=0.6, alpha=0.75))
            panel.plot(ends, np.full(len(ends), -0.03 * top), "^", color=FAKE, ms=2.5, mec="none")
            js, w1 = arrays[f"{name}/js"][i, 0], arrays[f"{name}/wasserstein"][i, 0]
            over = f", peak {density.max():.0f}" if density.max() > top else ""
            panel.set_title(f"step {steps[i]}{over}\nJS {js:.3f}, W1 {w1:.3f}", fontsize="medium")
            panel.set_xlabel("x (data units)" if name == methods[-1] else "")
        row[0].set_ylabel(f"{STYLES[name].label}\ndensity per unit")
    return figure


def distances(arrays: Arrays, methods: Sequence[str]) -> Figure:
    """Draw exact JS and W1 against the step, median over seeds with least and greatest."""
    steps, n_seeds = arrays["step"], arrays[f"{methods[0]}/js"].shape[1]
    of = f"median and range of {n_seeds} seed{'s' if n_seeds > 1 else ''}"
    title = f"Exact distance between data and generator over training: {of}"
    figure, axes = canvas(title, 2, len(methods), (2.5, 2.6), sharex=True, sharey="row")
    for (top, bottom), name in zip(axes.T, methods, strict=True):
        for panel, key in ((top, "js"), (bottom, "wasserstein")):
            over_seeds(panel, steps, arrays[f"{name}/{key}"].T, STYLES[name])
            for other in methods:  # the others as a pale background
                values = np.median(arrays[f"{other}/{key}"], axis=1)
                panel.plot(steps, values, color="#C8C8C8", linewidth=0.6, zorder=0)
            panel.set_xticks([0, int(steps[-1] // 2), int(steps[-1])])
        top.set_title(STYLES[name].label.replace(", ", ",\n"), fontsize="medium")
        bottom.set_xlabel("step")
        bottom.set_yscale("log")
        reference(top, float(np.log(2)), "log 2")
    axes[0, 0].set_ylabel("JS (nats)")
    axes[1, 0].set_ylabel("W1 (data units)")
    return figure


def floors(arrays: Arrays) -> Figure:
    """Draw the discriminator's exact loss above what the exact distance allows, first seed."""
    title = "The discriminator's loss and the bound that the exact distance sets (first seed)"
    figure, axes = canvas(title, 2, 3, (4.0, 3.2))
    units = {
        "minimax": ("2 log 2 - 2 JS", "nats"),
        "non_saturating": ("2 log 2 - 2 JS", "nats"),
        "least_squares": ("integral of pq/(p+q), halved", "no unit"),
        "hinge": ("2 - 2 TV", "no unit"),
        "wasserstein": ("-(largest slope) W1", "data units x slope"),
        "wasserstein_clip": ("-(largest slope) W1", "data units x slope"),
    }
    step = arrays["step"]
    for panel, (name, (formula, unit)) in zip(axes.flat, units.items(), strict=True):
        floor, loss = arrays[f"{name}/floor"][:, 0], arrays[f"{name}/loss_discriminator"][:, 0]
        below = "out of reach: below the bound named in each title"
        panel.fill_between(step, floor, float(floor.min()), color="#E4E4E4", label=below)
        panel.plot(step, floor, color="#6B6B6B", lw=1.2)
        exact = "exact expectation of the discriminator's loss"
        panel.plot(step, loss, color=BLUE, lw=1.5, label=exact)
        label(panel, f"{STYLES[name].label}: {formula}", "step", f"loss ({unit})")
    legend_below(figure, axes[0, 0], 2)
    return figure
