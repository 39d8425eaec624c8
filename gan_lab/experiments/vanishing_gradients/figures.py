"""Pictures of the study vanishing_gradients: functions of its arrays."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from scipy import stats

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.vanishing_gradients.claims import GRADIENTS, decades_lost
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
    error_bars,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

_BEST = 5.0  # decades, Arjovsky and Bottou 2017, fig. 2, in the best case
_BOUND = 2.0  # decades, our claim
_PLACES = (((-7, -4), "right"), ((0, -17), "center"), ((7, -4), "left"))  # of numbers at markers
_MOMENTS = ("norm", "deviation")
_MAD = float(stats.norm.ppf(0.75))  # of a standard normal


def gradient_norms(arrays: Arrays) -> Figure:
    """Draw the norm of each loss's gradient while the fresh discriminator learns."""
    names, stages = arrays["data"], arrays["stages"]
    title = "The gradient at a frozen generator while a fresh discriminator learns"
    figure, axes = canvas(title, len(names), len(stages), (4.1, 3.4), sharex=True, sharey="row")
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
    _label_ticks(axes)
    legend_below(figure, axes[0, 0], 3)
    return figure


def decades(arrays: Arrays) -> Figure:
    """Draw the decades between the first and the last norm, with ranges over seeds."""
    names, stages = arrays["data"].tolist(), arrays["stages"]
    title = f"Gradient lost in {int(arrays['steps'][-1])} updates of a fresh discriminator"
    figure, axes = canvas(title, 1, len(names), (5.4, 4.3), sharey=True)
    for panel, data in zip(axes[0], names, strict=True):
        for i, (name, (offset, side)) in enumerate(zip(GRADIENTS, _PLACES, strict=True)):
            x, seeds = np.arange(len(stages)) + 0.22 * (i - 1), decades_lost(arrays, data, name)
            middle = error_bars(panel, x, seeds.T, STYLES[name], capsize=4, markersize=7)
            look: dict[str, Any] = {"textcoords": "offset points", "ha": side, "size": "small"}
            for at in zip(x, middle, strict=True):
                panel.annotate(f"{at[1]:.1f}", at, offset, **look)
        panel.axhline(0, color=BLACK, linewidth=0.8)
        if data == "digits":
            reference(panel, _BOUND, "claimed of minimax: at least 2", at=0.01)
            reference(panel, _BEST, "Arjovsky and Bottou, best case: 5", at=0.01)
        panel.set_xticks(range(len(stages)), [str(stage) for stage in stages])
        panel.set_xlim(-0.6, len(stages) - 0.4)
        panel.margins(y=0.15)  # room for the numbers below markers
        label(panel, f"{data} (bars: all seeds)", "training of the frozen generator (steps)", "")
    axes[0, 0].set_ylabel("log10(first norm / last norm) (decades)")
    legend_below(figure, axes[0, 0], 3)
    return figure


def discriminators(arrays: Arrays) -> Figure:
    """Draw the accuracy and loss of the fresh discriminators, and the critic's estimate."""
    names, stages, steps = arrays["data"], arrays["stages"], arrays["steps"]
    title = "How good a fresh discriminator becomes (dotted: held-out data)"
    figure, axes = canvas(title, len(names), 3, (4.3, 3.3), sharex=True)
    dots: dict[str, Any] = {"linestyle": (0, (1, 1.5)), "linewidth": 2.2}
    for row, data in zip(axes, names, strict=True):
        accuracy, loss, estimate = row
        for panel, name, sign in (
            (accuracy, "discriminator/accuracy", 1),
            (loss, "discriminator/loss", 1),
            (estimate, "critic/loss", -1),
        ):
            for k, stage in enumerate(stages):
                style = _series(k, f"generator of {stage} steps")
                over_seeds(panel, steps, sign * arrays[f"{data}/{name}"][k], style)
                held_out = np.median(sign * arrays[f"{data}/{name}_held_out"][k], 0)
                panel.plot(steps, held_out, color=style.colour, **dots)
            _updates(panel, steps)
        reference(loss, 2 * math.log(2), "2 log 2: cannot tell", at=0.01)
        reference(accuracy, 1.0, "perfect", at=0.01)
        accuracy.set_ylim(0.4, 1.06)
        loss.set_yscale("log")
        loss.set_ylim(top=6.0)
        unit = "share of samples judged right"
        label(accuracy, f"{data}: discriminator's accuracy", "", unit)
        label(loss, f"{data}: discriminator's loss", "", "loss (nats)")
        label(estimate, f"{data}: critic's estimate", "", "f(real) - f(fake) (data units x slope)")
    for panel in axes[-1]:
        panel.set_xlabel("discriminator updates")
    _label_ticks(axes)
    legend_below(figure, axes[0, 0], len(stages))
    return figure


def generators(arrays: Arrays) -> Figure:
    """Draw samples of the frozen generators beside the data."""
    names, stages = arrays["data"], arrays["stages"]
    title = "The generators that are held still (first seed)"
    figure, axes = canvas(title, len(names), len(stages) + 1, (3.1, 3.1))
    for row, data in zip(axes, names, strict=True):
        real = arrays[f"{data}/real"]
        samples_of = [*zip(stages, arrays[f"{data}/samples"], strict=True), (None, real)]
        for each, (stage, samples) in zip(row, samples_of, strict=True):
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
    """Draw the non-saturating gradient: mean and deviation, tails, and the effect of averaging."""
    title = f"The non-saturating gradient on {data}: its noise, its tails, what averaging helps"
    figure, axes = canvas(title, 1, 3, (4.6, 4.0))
    size, tails, averages = axes[0]
    steps, last = arrays["steps"], int(arrays["steps"][-1])
    at, n = arrays["tail_at"], arrays["batches"].astype(float)
    for k, stage in enumerate(arrays["stages"]):
        style = _series(k, f"generator of {stage} steps")
        norm, deviation = (arrays[f"{data}/non_saturating/{key}"][k] for key in _MOMENTS)
        tail, spread = (arrays[f"{data}/discriminator/{key}"][k] for key in ("tail", "spread"))
        over_seeds(size, steps, norm, style, logarithmic=True)
        dots: dict[str, Any] = {"color": style.colour, "linestyle": (0, (1, 1.5)), "lw": 2.2}
        size.plot(steps, np.median(deviation, 0), **dots)
        over_seeds(tails, at, tail.mean(0, keepdims=True), style, logarithmic=True)  # seeds pooled
        over_seeds(averages, n, spread, style, logarithmic=True)
    _updates(size, steps)
    size.set_yscale("log")
    title = "norm of the mean (dotted: deviation of one batch)"
    label(size, title, "discriminator updates", "gradient (nats per unit of weight)")
    thin: dict[str, Any] = {"color": GREY, "linewidth": 1.2, "zorder": 1}
    tails.plot(at, 2 * stats.norm.sf(at * _MAD), linestyle="--", label="normal", **thin)
    cauchy = 1 - 2 / math.pi * np.arctan(at)
    tails.plot(at, cauchy, linestyle="-.", label="Cauchy", **thin)
    remark(tails, 4.6, 1.2e-4, "normal", ha="right", va="bottom")
    remark(tails, at[-1], 7e-3, "Cauchy", ha="right", va="bottom")
    tails.set(xscale="log", yscale="log", ylim=(1e-4, 1.5))
    title, unit = f"tails over samples, {last} updates", "share of samples beyond"
    label(tails, title, "distance from the median (MADs)", unit)
    averages.plot(n, n**-0.5, linestyle="--", **thin)
    averages.plot(n, n**0.0, linestyle="-.", **thin)
    remark(averages, n[-1], 1.05, "Cauchy: averaging is vain", ha="right", va="bottom")
    text, inside = "dashed: finite variance, n^(-1/2)", {"va": "bottom", "clip_on": True}
    remark(averages, n[0], 0.03, text, **inside)
    averages.set(xscale="log", yscale="log", ylim=(0.02, 2.0))
    title = f"spread of a mean over n samples, {last} updates"
    label(averages, title, "n (samples)", "spread (multiple of one sample's)")
    legend_below(figure, size, len(arrays["stages"]))
    return figure


def _series(k: int, text: str) -> Style:
    return replace(SERIES[k % len(SERIES)], label=text)


def _updates(axes: Axes, steps: np.ndarray) -> None:
    """Give the axis of updates a logarithmic scale with a place for 0."""
    axes.set_xscale("symlog", linthresh=1, linscale=0.5)
    axes.set_xlim(0, int(steps[-1]) * 1.1)
    tens = [10**i for i in range(int(math.log10(steps[-1])) + 1)]
    axes.set_xticks([0, *tens], ["0", *(f"{t:,}".replace(",", " ") for t in tens)])


def _label_ticks(axes: np.ndarray) -> None:
    for each in axes.flat:
        each.tick_params(labelbottom=True)
        if each.get_yscale() == "linear":
            each.yaxis.set_major_locator(MaxNLocator(6))
