"""The pictures of parallel segments: a summary for a lecture, and the four acts."""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.parallel_segments.claims import at, cosine, distance, norm, norm_noise
from gan_lab.information import smoothed_segments
from gan_lab.reports.plots.style import (
    BLUE,
    GREY,
    SERIES,
    STYLES,
    VERMILLION,
    Style,
    canvas,
    error_bars,
    heat,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

_THETA = "theta (data units)"
_IN_SUMMARY = ("minimax", "non_saturating", "wasserstein")
_LEAST = -6.0  # decades at which the maps of gradients end
_TOP = 9.0  # nats at the upper end of the KL panel


def summary(arrays: Arrays) -> Figure:
    """Draw the theory, the gradients of trained discriminators, their sizes and where they lead."""
    title = "Why a Wasserstein GAN learns where a GAN's gradient vanishes"
    figure, axes = canvas(title, 2, 2, (5.6, 3.9))
    (theory, updates), (gradient, learning) = axes
    _theory(theory, arrays)
    _against_updates(updates, arrays, _IN_SUMMARY)
    updates.set_title("2. the better the discriminator, the less minimax learns", fontsize="medium")
    _against_theta(gradient, arrays, _IN_SUMMARY)
    title = f"3. gradient after {arrays['steps'][-1]} discriminator updates"
    label(gradient, title, _THETA, "|gradient by theta| (loss per data unit)")
    n_critic = arrays["n_critic"][-1]
    for loss in _IN_SUMMARY:
        path = distance(arrays, n_critic, loss)[:, -1].T
        over_seeds(learning, np.arange(path.shape[1]), path, STYLES[loss])
    learning.set_ylim(0, 1.6 * float(np.abs(arrays["starts"]).max()))
    title = f"4. a shift learns, {n_critic} discriminator updates a move"
    label(learning, title, "moves", "|theta| (data units)")
    legend_below(figure, updates, 3)
    return figure


def _theory(panel: Axes, arrays: Arrays) -> None:
    theta = arrays["exact/theta"]
    js, wasserstein = arrays["exact/0.0"][0], arrays["exact/0.0"][4]
    apart = np.where(theta == 0, np.nan, js)
    panel.plot(theta, apart, color=VERMILLION, linestyle="-", label="JS")
    panel.plot([0], [0], marker="o", color=VERMILLION, markersize=5)
    panel.plot([0], [math.log(2)], marker="o", markerfacecolor="white", color=VERMILLION)
    panel.plot(theta, wasserstein, color=BLUE, linestyle="--", label="W1")
    remark(panel, 1.05, 0.6, "JS = log 2\nexcept at 0", va="top", color=VERMILLION)
    remark(panel, 1.25, 1.5, "W1 = |theta|", ha="right", color=BLUE)
    remark(panel, 0.08, 0.0, "JS = 0", va="bottom", color="black")
    label(panel, "1. what the distances see", _THETA, "nats; data units")


def exact(arrays: Arrays) -> Figure:
    """Draw act one: divergences and their gradients, sharp and blurred."""
    title = "Act 1. Two parallel segments: what each divergence sees of their distance"
    figure, axes = canvas(title, 2, 3)
    theta, sigmas = arrays["exact/theta"], arrays["exact/sigma"]
    rows = (
        *(("JS", 0, "nats"), ("KL, both ways", 1, "nats")),
        *(("total variation", 3, "probability"), ("W1", 4, "data units")),
    )
    for panel, (name, row, unit) in zip(axes.flat, rows, strict=False):
        for sigma, style in zip(sigmas, SERIES, strict=False):
            values = arrays[f"exact/{sigma}"][row].copy()
            values[np.isinf(values) | ((row == 1) & (values > 0.88 * _TOP))] = np.nan
            if sigma == 0 and name != "W1":  # it jumps: a point at 0, no line down to it
                panel.plot([0], [0], marker="o", color=style.colour, markersize=4)
                values[theta == 0] = np.nan
            blur = "no blur" if sigma == 0 else f"blur sigma = {sigma:g}"
            panel.plot(theta, values, color=style.colour, linestyle=style.line, label=blur)
        label(panel, name, _THETA, f"{name.split(',')[0]} ({unit})")
    _infinity(axes[0, 1])
    reference(axes[0, 0], math.log(2), "log 2")
    axes[0, 0].set_ylim(-0.03, 0.85)
    minimax, non_saturating = axes[1, 1:]
    for panel, row, title in (
        (minimax, 5, "gradient of the minimax game: 2 dJS/dtheta"),
        (non_saturating, 7, "gradient of the non-saturating loss"),
    ):
        for sigma, style in zip(sigmas, SERIES, strict=False):
            values = arrays[f"exact/{sigma}"][row] * (2 if row == 5 else 1)
            if not np.isnan(values).all():
                panel.plot(theta, values, color=style.colour, linestyle=style.line)
        label(panel, title, _THETA, "gradient (nats per data unit)")
    pale: dict[str, Any] = {"color": GREY, "linewidth": 3, "alpha": 0.5}
    text = "dW1/dtheta = sign(theta), every blur"
    minimax.plot(theta, arrays["exact/0.0"][6], label=text, **pale)
    minimax.set_ylim(top=2.6)
    minimax.legend(frameon=False, fontsize="small", loc="upper left")
    text = "without blur it is infinite:\nKL(fake, real) is"
    remark(non_saturating, 0.03, 0.95, text, transform=non_saturating.transAxes, va="top")
    legend_below(figure, axes[0, 0])
    return figure


def _infinity(panel: Axes) -> None:
    """Draw infinity as such: hatched above a broken axis, not a large number."""
    colour = SERIES[0].colour
    panel.set_ylim(-0.1, _TOP)
    panel.axhspan(0.9 * _TOP, _TOP, facecolor="none", edgecolor=colour, hatch="///")
    text = "infinite without blur,\nat every theta but 0"
    remark(panel, 0.0, 0.86 * _TOP, text, ha="center", va="top", color=colour)
    panel.set_yticks([0, 2, 4, 6, 0.95 * _TOP], ["0", "2", "4", "6", "inf"])


def maps(arrays: Arrays, losses: Sequence[str]) -> Figure:
    """Draw act two as maps: theta x discriminator updates."""
    title = "Act 2. What a discriminator in training hands the generator"
    height = max(1.75, 0.23 * len(arrays["steps"]))
    figure, axes = canvas(title, len(losses), 2, (6.2, height), sharex=True)
    theta, steps = arrays["theta"], arrays["steps"]
    unit = f"log10 |gradient|\n({_LEAST:g} or less)"
    for (size, direction), loss in zip(axes, losses, strict=True):
        with np.errstate(divide="ignore"):
            decades = np.log10(np.median(norm(arrays, f"fit/{loss}"), -1))
        heat(figure, size, decades, theta, steps, unit, _LEAST, 2.0)
        cosines = np.median(cosine(arrays, f"fit/{loss}", theta), -1)
        heat(figure, direction, cosines, theta, steps, "cosine", -1.0, 1.0)
        size.set_title(f"{STYLES[loss].label}: size", fontsize="medium")
        direction.set_title(f"{STYLES[loss].label}: direction (1 = home)", fontsize="medium")
        size.set_ylabel("updates")
    for panel in axes[-1]:
        panel.set_xlabel(_THETA)
    return figure


def gradients(arrays: Arrays, losses: Sequence[str]) -> Figure:
    """Draw act two as curves: gradients against updates and theta, and the estimates."""
    title = "Act 2. Minimax vanishes, non-saturating grows, Wasserstein stays near 1"
    figure, axes = canvas(title, 1, 3, (5.4, 4.6))
    theta, line = arrays["theta"], np.abs(arrays["theta"])
    updates, gradient, estimate = axes[0]
    _against_updates(updates, arrays, losses)
    _against_theta(gradient, arrays, losses)
    gradient.plot(theta, 1 + line / (2 * float(arrays["weight"])), color="black", linewidth=0.8)
    title = f"after {arrays['steps'][-1]} updates (thin line: 1 + |theta|/(2 weight))"
    label(gradient, title, _THETA, "|gradient| (loss per data unit)")
    for method in ("cross_entropy", "wasserstein", "wasserstein_clip"):
        style = STYLES["minimax" if method == "cross_entropy" else method]
        values = arrays[f"fit/{method}/estimate"][-1].T
        if method == "cross_entropy":  # JS jumps at 0, as in act one
            _over_sides(estimate, theta, values, style)
            over_seeds(estimate, theta[theta == 0], values[:, theta == 0], style)
        else:
            over_seeds(estimate, theta, values, style)
    estimate.plot(theta, line, color="black", linewidth=0.8)
    remark(estimate, 0.0, 0.95 * line.max(), "thin line:\nW1 = |theta|", ha="center", va="top")
    reference(estimate, math.log(2), "log 2")
    title = "the discriminators' own estimates: JS, and W1 x slope"
    label(estimate, title, _THETA, "estimate (nats; data units x slope)")
    legend_below(figure, updates)
    return figure


def _against_theta(panel: Axes, arrays: Arrays, losses: Sequence[str]) -> None:
    for loss in losses:
        values = norm(arrays, f"fit/{loss}")[-1].T
        _over_sides(panel, arrays["theta"], values, STYLES[loss], logarithmic=True)
    panel.set_yscale("log")


def _over_sides(
    panel: Axes, theta: np.ndarray, values: np.ndarray, style: Style, **more: Any
) -> None:
    """Draw both sides of theta = 0, where the shift is home, without a line across it."""
    for side in (theta < 0, theta > 0):
        over_seeds(panel, theta[side], values[:, side], style, **more)


def _against_updates(panel: Axes, arrays: Arrays, losses: Sequence[str]) -> None:
    """Draw gradient norms at theta = 1 against discriminator updates."""
    one = at(arrays["theta"], 1.0)
    for loss in losses:
        values = norm(arrays, f"fit/{loss}")[:, one].T
        over_seeds(panel, arrays["steps"], values, STYLES[loss], logarithmic=True)
    panel.set_xscale("log")
    panel.set_yscale("log")
    unit = "|gradient by theta| (loss per data unit)"
    label(panel, "theta = 1 (band: least to greatest seed)", "discriminator updates", unit)


def learning(arrays: Arrays, losses: Sequence[str]) -> Figure:
    """Draw act three: shifts that learn."""
    counts = arrays["n_critic"]
    title = "Act 3. A shift learns by plain descent: does it come home?"
    title += "\n(number: median |shift| at the end, from the farthest start; band: all seeds)"
    size = (2.45, 2.5)
    figure, axes = canvas(title, len(counts), len(losses), size, sharex=True, sharey=True)
    for row, n_critic in zip(axes, counts, strict=True):
        for panel, loss in zip(row, losses, strict=True):
            path = distance(arrays, n_critic, loss)
            for start in range(path.shape[1]):
                over_seeds(panel, np.arange(len(path)), path[:, start].T, STYLES[loss])
            end, corner = f"{np.median(path[-1, -1]):.2f}", {"ha": "right", "va": "top"}
            remark(panel, 0.97, 0.95, end, transform=panel.transAxes, color="black", **corner)
        row[0].set_ylabel(f"n_critic = {n_critic}\n|shift| (data units)")
    for panel, loss in zip(axes[0], losses, strict=True):
        panel.set_title(STYLES[loss].label.replace(", ", ",\n"), fontsize="medium")
        panel.set_ylim(0, 1.35 * float(np.abs(arrays["starts"]).max()))
    for panel in axes[-1]:
        panel.set_xlabel("moves of the shift")
    return figure


def dimensions(arrays: Arrays) -> Figure:
    """Draw act four: the plane of the segments in R^d, and noise as the cure."""
    figure, axes = canvas("Act 4. More dimensions, and noise as the cure", 1, 3, (5.0, 4.4))
    size, direction, cure = axes[0]
    dims, thetas = arrays["dims"], arrays["asked"]
    one = at(thetas, 1.0)
    for loss in ("minimax", "non_saturating", "wasserstein", "wasserstein_clip"):
        keys = [f"embedded/{d}/{loss}" for d in dims]
        norms = np.stack([norm(arrays, key)[-1, one] for key in keys], 1)
        over_seeds(size, dims, norms, STYLES[loss], logarithmic=True)
        cosines = np.stack([cosine(arrays, key, thetas)[-1, one] for key in keys], 1)
        over_seeds(direction, dims, cosines, STYLES[loss])
    noisy, noise = np.stack([norm_noise(arrays, d)[-1, one] for d in dims], 1), SERIES[2]
    over_seeds(size, dims, noisy, noise, logarithmic=True)
    below: dict[str, Any] = {"xytext": (0, -13), "textcoords": "offset points", "ha": "right"}
    end = (dims[-1], np.median(noisy[:, -1]))
    size.annotate("minimax with noise", end, fontsize="small", color=noise.colour, **below)
    for panel in (size, direction):
        panel.set_xscale("log", base=2)
        panel.set_xticks(dims, [str(d) for d in dims])
    size.set_yscale("log")
    label(size, "size at theta = 1", "dimensions d", "|gradient| (loss per data unit)")
    label(direction, "direction at theta = 1", "dimensions d", "cosine with the way home")
    reference(direction, 1.0, "", at=0.0)
    sigma, line = float(arrays["sigma"]), np.linspace(0.02, 2.2, 120)
    truth = [smoothed_segments(float(t), sigma).minimax_gradient / sigma for t in line]
    cure.plot(line, truth, color="black", linewidth=1, label="exact, 2 dJS/dtheta of the blur")
    for i, (d, style) in enumerate(zip(dims, SERIES, strict=False)):
        x = thetas * (1 + 0.015 * (i - 1.5))
        look = replace(style, label=f"trained, d = {d}")
        error_bars(cure, x, norm_noise(arrays, d)[-1].T, look, capsize=2)
    cure.set_ylim(bottom=0)
    cure.legend(frameon=False, fontsize="small")
    title = f"minimax with instance noise of std {sigma:g}"
    label(cure, title, _THETA, "|gradient| (nats per data unit)")
    legend_below(figure, size)
    return figure
