"""Pictures of the study vanishing_gradients; functions of its arrays only."""

import math
from collections.abc import Mapping

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from gan_lab.reports.analysis.statistics import median
from gan_lab.reports.plots.samples import image_grid
from gan_lab.reports.plots.style import (
    BLACK,
    FAKE,
    GREY,
    REAL,
    SERIES,
    STYLES,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
    short,
)

Arrays = Mapping[str, np.ndarray]
GRADIENTS = ("minimax", "non_saturating", "wasserstein")
_BEST = 5.0  # decades, Arjovsky and Bottou 2017, fig. 2, in the best case
_CLAIMED = 2.0
_PLACES = (((-7, -3), "right"), ((7, -12), "left"), ((7, 5), "left"))  # of numbers at markers
_MAD = float(stats.norm.ppf(0.75))  # of a standard normal


def gradient_norms(arrays: Arrays) -> Figure:
    """Norm of each loss's gradient while the fresh discriminator learns."""
    names, stages = arrays["data"], arrays["stages"]
    figure, axes = canvas(
        "The gradient at a frozen generator while a fresh discriminator learns",
        *(len(names), len(stages)),
        (4.1, 3.4),
        sharex=True,
        sharey="row",
    )
    for row, data in zip(axes, names, strict=True):
        for k, (each, stage) in enumerate(zip(row, stages, strict=True)):
            for name in GRADIENTS:
                norm = arrays[f"{data}/{name}/norm"][k]
                over_seeds(each, arrays["steps"], norm, STYLES[name], logarithmic=True)
            _updates(each, arrays["steps"])
            each.set_yscale("log")
            unit = "norm (loss units per unit of weight)" if k == 0 else ""
            label(each, f"{data}, generator of {stage} steps", "", unit)
    for each in axes[-1]:
        each.set_xlabel("discriminator updates")
    _all_labelled(axes)
    legend_below(figure, axes[0, 0], 3)
    return figure


def decades(arrays: Arrays, lost: Mapping[tuple[str, str], np.ndarray]) -> Figure:
    """Decades between the first and the last norm, with intervals over seeds."""
    names, stages = [str(d) for d in arrays["data"]], arrays["stages"]
    n = int(arrays["steps"][-1])
    figure, axes = canvas(
        f"Gradient lost in {n} updates of a fresh discriminator",
        *(1, len(names)),
        (5.4, 4.3),
        sharey=True,
    )
    for each, data in zip(axes[0], names, strict=True):
        for i, name in enumerate(GRADIENTS):
            style = STYLES[name]
            found = [median(row) for row in lost[data, name]]
            x = np.arange(len(stages)) + 0.2 * (i - 1)
            value = np.array([m.value for m in found])
            seeds = lost[data, name]
            bars = np.stack([value - seeds.min(1), seeds.max(1) - value])
            each.errorbar(
                x,
                value,
                yerr=bars,
                fmt=style.marker,
                color=style.colour,
                label=style.label,
                capsize=4,
                markersize=7,
            )
            away, side = _PLACES[i]
            for at, y in zip(x, value, strict=True):
                each.annotate(
                    short(y), (at, y), away, textcoords="offset points", ha=side, size="small"
                )
        each.axhline(0, color=BLACK, linewidth=0.8)
        if data == "digits":
            reference(each, _CLAIMED, "claimed of minimax: at least 2", at=0.01)
            reference(each, _BEST, "Arjovsky and Bottou, best case: 5", at=0.01)
        each.set_xticks(range(len(stages)), [str(stage) for stage in stages])
        each.set_xlim(-0.5, len(stages) - 0.25)
        label(each, f"{data} (bars: all seeds)", "training of the frozen generator (steps)", "")
    axes[0, 0].set_ylabel("log10(first norm / last norm) (decades)")
    legend_below(figure, axes[0, 0], 3)
    return figure


def discriminators(arrays: Arrays) -> Figure:
    """How good the fresh discriminators become: accuracy and loss, and the critic's estimate."""
    names, stages = arrays["data"], arrays["stages"]
    figure, axes = canvas(
        "How good a fresh discriminator becomes (dotted: held-out data)",
        *(len(names), 3),
        (4.3, 3.3),
        sharex=True,
    )
    for row, data in zip(axes, names, strict=True):
        for k, stage in enumerate(stages):
            style = _series(k, f"generator of {stage} steps")
            for suffix, line in (("", style.line), ("_held_out", (0, (1, 1.5)))):
                for each, name, sign in (
                    (row[0], "discriminator/accuracy", 1),
                    (row[1], "discriminator/loss", 1),
                    (row[2], "critic/loss", -1),
                ):
                    values = sign * arrays[f"{data}/{name}{suffix}"][k]
                    shown = _series(k, style.label if not suffix else "_")
                    if suffix:
                        each.plot(
                            arrays["steps"],
                            np.median(values, 0),
                            color=style.colour,
                            linestyle=line,
                            linewidth=2.2,
                        )
                    else:
                        over_seeds(each, arrays["steps"], values, shown)
        reference(row[1], 2 * math.log(2), "2 log 2: cannot tell", at=0.01)
        reference(row[0], 1.0, "perfect", at=0.01)
        row[0].set_ylim(0.4, 1.06)
        row[1].set_yscale("log")
        row[1].set_ylim(top=6.0)
        label(row[0], f"{data}: discriminator's accuracy", "", "share of samples judged right (1)")
        label(row[1], f"{data}: discriminator's loss", "", "loss (nats)")
        label(row[2], f"{data}: critic's estimate", "", "f(real) - f(fake) (data units x slope)")
        for each in row:
            _updates(each, arrays["steps"])
    for each in axes[-1]:
        each.set_xlabel("discriminator updates")
    _all_labelled(axes)
    legend_below(figure, axes[0, 0], len(stages))
    return figure


def generators(arrays: Arrays) -> Figure:
    """What the frozen generators make, beside the data."""
    names, stages = arrays["data"], arrays["stages"]
    figure, axes = canvas(
        "The generators that are held still (first seed)",
        *(len(names), len(stages) + 1),
        (3.1, 3.1),
    )
    for row, data in zip(axes, names, strict=True):
        real = arrays[f"{data}/real"]
        shown = [*zip(stages, arrays[f"{data}/samples"], strict=True), (None, real)]
        for each, (stage, samples) in zip(row, shown, strict=True):
            title = "the data" if stage is None else f"after {stage} steps"
            if samples.ndim == 4:
                each.imshow(image_grid(torch.as_tensor(samples[:25]), 4))
                each.set_axis_off()
                each.set_title(f"{data}: {title}", fontsize="medium")
                continue
            points = samples.reshape(len(samples), -1)
            each.scatter(real[:, 0], real[:, 1], s=14, c=REAL, marker="x", linewidths=0.7)
            if stage is not None:
                each.scatter(points[:, 0], points[:, 1], s=8, c=FAKE, alpha=0.6)
            low, high = real.min() - 0.5, real.max() + 0.5
            each.set(xlim=(low, high), ylim=(low, high), aspect="equal")
            label(each, f"{data}: {title}", "x1 (data units)", "x2 (data units)")
    return figure


def noise(arrays: Arrays, data: str) -> Figure:
    """The non-saturating gradient: mean and deviation, tails, and what averaging helps."""
    figure, axes = canvas(
        f"The non-saturating gradient on {data}: its noise, its tails, what averaging helps",
        *(1, 3),
        (4.6, 4.0),
    )
    steps, last = arrays["steps"], int(arrays["steps"][-1])
    for k, stage in enumerate(arrays["stages"]):
        style = _series(k, f"generator of {stage} steps")
        prefix = f"{data}/non_saturating"
        over_seeds(axes[0, 0], steps, arrays[f"{prefix}/norm"][k], style, logarithmic=True)
        deviation = np.median(arrays[f"{prefix}/deviation"][k], 0)
        axes[0, 0].plot(steps, deviation, color=style.colour, linestyle=(0, (1, 1.5)), lw=2.2)
        tail = arrays[f"{data}/discriminator/tail"][k].mean(0, keepdims=True)  # seeds pooled
        over_seeds(axes[0, 1], arrays["tail_at"], tail, style, logarithmic=True)
        spread = arrays[f"{data}/discriminator/spread"][k]
        over_seeds(axes[0, 2], arrays["batches"], spread, style, logarithmic=True)
    _updates(axes[0, 0], steps)
    axes[0, 0].set_yscale("log")
    label(
        axes[0, 0],
        "norm of the mean (dotted: deviation of one batch)",
        "discriminator updates",
        "gradient (nats per unit of weight)",
    )
    at = arrays["tail_at"]
    for values, line, text in (
        (2 * stats.norm.sf(at * _MAD), "--", "normal"),
        (1 - 2 / math.pi * np.arctan(at), "-.", "Cauchy"),
    ):
        axes[0, 1].plot(at, values, color=GREY, linestyle=line, label=text, linewidth=1.2, zorder=1)
    _near(axes[0, 1], (4.6, 1.2e-4), "normal", "right")
    _near(axes[0, 1], (at[-1], 7e-3), "Cauchy", "right")
    axes[0, 1].set(xscale="log", yscale="log", ylim=(1e-4, 1.5))
    label(
        axes[0, 1],
        f"tails over samples, {last} updates",
        "distance from the median (MADs)",
        "share of samples beyond (1)",
    )
    n = arrays["batches"].astype(float)
    axes[0, 2].plot(n, n**-0.5, color=GREY, linestyle="--", linewidth=1.2, zorder=1)
    axes[0, 2].plot(n, n**0.0, color=GREY, linestyle="-.", linewidth=1.2, zorder=1)
    _near(axes[0, 2], (n[-1], 1.05), "Cauchy: averaging is vain", "right")
    _near(axes[0, 2], (n[0], 0.03), "dashed: finite variance, n^(-1/2)", "left")
    axes[0, 2].set(xscale="log", yscale="log")
    label(
        axes[0, 2],
        f"spread of a mean over n samples, {last} updates",
        "n (samples)",
        "MAD, relative to one sample (1)",
    )
    legend_below(figure, axes[0, 0], len(arrays["stages"]))
    return figure


def _near(axes: Axes, at: tuple[float, float], text: str, side: str) -> None:
    axes.annotate(text, at, ha=side, va="bottom", size="small", color=GREY)


def _series(k: int, text: str) -> Style:
    style = SERIES[k % len(SERIES)]
    return Style(text, style.colour, style.line, style.marker)


def _updates(axes: Axes, steps: np.ndarray) -> None:
    """A logarithmic axis of updates that has a place for 0."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.set_xlim(0, int(steps[-1]) * 1.1)
    tens = [10**i for i in range(int(math.log10(steps[-1])) + 1)]
    axes.set_xticks([0, *tens], ["0", *(f"{t:,}".replace(",", " ") for t in tens)])


def _all_labelled(axes: np.ndarray) -> None:
    for each in axes.flat:
        each.tick_params(labelbottom=True)
        if each.get_yscale() == "linear":
            each.yaxis.set_major_locator(MaxNLocator(6))
