"""The four acts of parallel segments, one figure each (two for the second)."""

import math
from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.parallel_segments.claims import at, cosine, distance, norm, norm_noise
from gan_lab.information import smoothed_segments
from gan_lab.reports.plots.style import (
    GREY,
    SERIES,
    STYLES,
    canvas,
    heat,
    label,
    legend_below,
    over_seeds,
    reference,
)

THETA = "theta (data units)"
_LEAST = -6.0  # decades at which the maps of gradients end
_TOP = 9.0  # nats at the upper end of the KL panel


def exact(arrays: Arrays) -> Figure:
    """Act one: divergences and their gradients, sharp and blurred."""
    figure, axes = canvas(
        "Act 1. Two parallel segments: what each divergence sees of their distance", 2, 3
    )
    theta, sigmas = arrays["exact/theta"], arrays["exact/sigma"]
    names = ("JS", "KL, both ways", "total variation", "W1")
    for panel, (row, name) in zip(axes.flat, zip((0, 1, 3, 4), names, strict=True), strict=False):
        for sigma, style in zip(sigmas, SERIES, strict=False):
            values = arrays[f"exact/{sigma}"][row].copy()
            values[np.isinf(values) | ((name.startswith("KL")) & (values > 0.88 * _TOP))] = np.nan
            if sigma == 0 and name != "W1":  # it jumps: a point at 0, no line down to it
                panel.plot([0], [0], marker="o", color=style.colour, markersize=4)
                values[theta == 0] = np.nan
            panel.plot(theta, values, color=style.colour, linestyle=style.line, label=_blur(sigma))
        unit = {"W1": "data units", "total variation": "probability"}.get(name, "nats")
        label(panel, name, THETA, f"{name.split(',')[0]} ({unit})")
    _infinite(axes[0, 1])
    reference(axes[0, 0], math.log(2), "log 2")
    axes[0, 0].set_ylim(-0.03, 0.85)
    for panel, row, title, unit in (
        (axes[1, 1], 5, "gradient of the minimax game: 2 dJS/dtheta", "nats"),
        (axes[1, 2], 7, "gradient of the non-saturating loss", "nats"),
    ):
        for sigma, style in zip(sigmas, SERIES, strict=False):
            values = arrays[f"exact/{sigma}"][row] * (2 if row == 5 else 1)
            if np.isnan(values).all():
                continue
            panel.plot(theta, values, color=style.colour, linestyle=style.line)
        label(panel, title, THETA, f"gradient ({unit} per data unit)")
    axes[1, 1].plot(
        theta,
        arrays["exact/0.0"][6],
        color=GREY,
        linewidth=3,
        alpha=0.5,
        label="dW1/dtheta = sign(theta), every blur",
    )
    axes[1, 1].set_ylim(top=2.6)
    axes[1, 1].legend(frameon=False, fontsize="small", loc="upper left")
    axes[1, 2].annotate(
        "without blur it is infinite:\nKL(fake, real) is",
        (0.03, 0.95),
        xycoords="axes fraction",
        va="top",
        fontsize="small",
        color=GREY,
    )
    legend_below(figure, axes[0, 0])
    return figure


def maps(arrays: Arrays, losses: Sequence[str]) -> Figure:
    """Act two as maps: theta x discriminator updates."""
    figure, axes = canvas(
        "Act 2. What a discriminator in training hands the generator",
        len(losses),
        2,
        (6.2, 1.75),
        sharex=True,
    )
    theta, steps = arrays["theta"], arrays["steps"]
    for (left, right), loss in zip(axes, losses, strict=True):
        size = np.median(norm(arrays, f"fit/{loss}"), -1)
        with np.errstate(divide="ignore"):
            decades = np.log10(size)
        heat(
            figure,
            left,
            decades,
            theta,
            steps,
            f"log10 |gradient|\n({_LEAST:g} or less)",
            _LEAST,
            2.0,
        )
        way = np.median(cosine(arrays, f"fit/{loss}", theta), -1)
        heat(figure, right, way, theta, steps, "cosine", -1.0, 1.0)
        left.set_title(f"{STYLES[loss].label}: size", fontsize="medium")
        right.set_title(f"{STYLES[loss].label}: direction (1 = home)", fontsize="medium")
        left.set_ylabel("updates")
    for panel in axes[-1]:
        panel.set_xlabel(THETA)
    return figure


def gradients(arrays: Arrays, losses: Sequence[str]) -> Figure:
    """Act two as curves: gradients against updates and theta, and the estimates."""
    figure, axes = canvas(
        "Act 2. Minimax vanishes, non-saturating grows, Wasserstein stays near 1", 1, 3, (5.4, 4.6)
    )
    theta, steps = arrays["theta"], arrays["steps"]
    against_updates(axes[0, 0], arrays, losses)
    for loss in losses:
        values = norm(arrays, f"fit/{loss}")[-1].T
        over_seeds(axes[0, 1], theta, values, STYLES[loss], logarithmic=True)
    axes[0, 1].set_yscale("log")
    line = np.abs(theta)
    axes[0, 1].plot(theta, 1 + line / (2 * float(arrays["weight"])), color="black", linewidth=0.8)
    label(
        axes[0, 1],
        f"after {steps[-1]} updates (thin line: 1 + |theta|/(2 weight))",
        THETA,
        "|gradient| (loss per data unit)",
    )
    panel = axes[0, 2]
    for loss, name in (
        ("cross_entropy", "minimax"),
        ("wasserstein",) * 2,
        ("wasserstein_clip",) * 2,
    ):
        over_seeds(panel, theta, arrays[f"fit/{loss}/estimate"][-1].T, STYLES[name])
    panel.plot(theta, line, color="black", linewidth=0.8)
    panel.annotate("W1 = |theta|", (1.5, 1.35), fontsize="small", ha="left", va="top")
    reference(panel, math.log(2), "log 2")
    label(
        panel,
        "the discriminators' own estimates: JS, and W1 x slope",
        THETA,
        "estimate (nats; data units x slope)",
    )
    legend_below(figure, axes[0, 0])
    return figure


def against_updates(panel: Axes, arrays: Arrays, losses: Sequence[str]) -> None:
    """Gradient norms at theta = 1 against discriminator updates."""
    one = at(arrays["theta"], 1.0)
    for loss in losses:
        values = norm(arrays, f"fit/{loss}")[:, one].T
        over_seeds(panel, arrays["steps"], values, STYLES[loss], logarithmic=True)
    panel.set_xscale("log")
    panel.set_yscale("log")
    label(
        panel,
        "theta = 1 (band: least to greatest seed)",
        "discriminator updates",
        "|gradient by theta| (loss per data unit)",
    )


def learning(arrays: Arrays, losses: Sequence[str]) -> Figure:
    """Act three: shifts that learn."""
    counts = arrays["n_critic"]
    figure, axes = canvas(
        "Act 3. A shift learns by plain descent: does it come home?",
        len(counts),
        len(losses),
        (2.45, 2.5),
        sharex=True,
        sharey=True,
    )
    for row, n_critic in zip(axes, counts, strict=True):
        for panel, loss in zip(row, losses, strict=True):
            path = distance(arrays, n_critic, loss)
            for start in range(path.shape[1]):
                over_seeds(panel, np.arange(len(path)), path[:, start].T, STYLES[loss])
            end = np.median(path[-1, -1])
            panel.annotate(
                f"{end:.2f}",
                (0.97, 0.95),
                xycoords="axes fraction",
                ha="right",
                va="top",
                fontsize="small",
            )
        row[0].set_ylabel(f"n_critic = {n_critic}\n|shift| (data units)")
    for panel, loss in zip(axes[0], losses, strict=True):
        panel.set_title(STYLES[loss].label.replace(", ", ",\n"), fontsize="small")
        panel.set_ylim(0, 1.35 * float(np.abs(arrays["starts"]).max()))
    for panel in axes[-1]:
        panel.set_xlabel("moves of the shift")
    figure.supxlabel(
        "Numbers: median |shift| at the end, from the farthest start. Bands: least to greatest "
        "seed. With few updates the minimax loss moves too: its discriminator is far from optimal "
        "(Fedus et al. 2018).",
        fontsize="small",
        color=GREY,
    )
    return figure


def dimensions(arrays: Arrays) -> Figure:
    """Act four: the plane of the segments in R^d, and noise as the cure."""
    figure, axes = canvas("Act 4. More dimensions, and noise as the cure", 1, 3, (5.0, 4.4))
    dims, asked = arrays["dims"], arrays["asked"]
    one = at(asked, 1.0)

    def series(function, key: str) -> np.ndarray:  # type: ignore[no-untyped-def]
        return np.stack([function(arrays, f"embedded/{d}/{key}")[-1, one] for d in dims], 1)

    for loss in ("minimax", "non_saturating", "wasserstein", "wasserstein_clip"):
        over_seeds(axes[0, 0], dims, series(norm, loss), STYLES[loss], logarithmic=True)
        over_seeds(
            axes[0, 1],
            dims,
            series(lambda a, key: cosine(a, key, asked), loss),
            STYLES[loss],
        )
    noisy = np.stack([norm_noise(arrays, d)[-1, one] for d in dims], 1)
    noise = SERIES[2]
    over_seeds(axes[0, 0], dims, noisy, noise, logarithmic=True)
    axes[0, 0].annotate(
        "minimax with noise",
        (dims[-1], np.median(noisy[:, -1])),
        xytext=(0, -13),
        textcoords="offset points",
        ha="right",
        fontsize="small",
        color=noise.colour,
    )
    for panel in axes[0, :2]:
        panel.set_xscale("log", base=2)
        panel.set_xticks(dims, [str(d) for d in dims])
    axes[0, 0].set_yscale("log")
    label(axes[0, 0], "size at theta = 1", "dimensions d", "|gradient| (loss per data unit)")
    label(axes[0, 1], "direction at theta = 1", "dimensions d", "cosine with the way home")
    reference(axes[0, 1], 1.0, "", at=0.0)
    sigma = float(arrays["sigma"])
    line = np.linspace(0.02, 2.2, 120)
    truth = [smoothed_segments(float(t), sigma).minimax_gradient / sigma for t in line]
    panel = axes[0, 2]
    panel.plot(line, truth, color="black", linewidth=1, label="exact, 2 dJS/dtheta of the blur")
    for d, style in zip(dims, SERIES, strict=False):
        values = norm_noise(arrays, d)[-1]
        middle = np.median(values, -1)
        panel.errorbar(
            asked * (1 + 0.015 * (list(dims).index(d) - 1.5)),
            middle,
            yerr=np.stack([middle - values.min(-1), values.max(-1) - middle]),
            fmt=style.marker,
            color=style.colour,
            label=f"trained, d = {d}",
            capsize=2,
        )
    panel.set_ylim(bottom=0)
    panel.legend(frameon=False, fontsize="small")
    label(
        panel,
        f"minimax with instance noise of std {sigma:g}",
        THETA,
        "|gradient| (nats per data unit)",
    )
    legend_below(figure, axes[0, 0])
    return figure


def _blur(sigma: float) -> str:
    return "no blur" if sigma == 0 else f"blur sigma = {sigma:g}"


def _infinite(panel: Axes) -> None:
    """Infinity as such: hatched above a broken axis, not a large number."""
    colour = SERIES[0].colour
    panel.set_ylim(-0.1, _TOP)
    panel.axhspan(0.9 * _TOP, _TOP, facecolor="none", edgecolor=colour, hatch="///")
    panel.annotate(
        "infinite without blur,\nat every theta but 0",
        (0.0, 0.86 * _TOP),
        ha="center",
        va="top",
        fontsize="small",
        color=colour,
    )
    panel.set_yticks([0, 2, 4, 6, 0.95 * _TOP], ["0", "2", "4", "6", "inf"])
