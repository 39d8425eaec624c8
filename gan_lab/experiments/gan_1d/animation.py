"""The animation of the GANs on a line: one panel a loss, as in figure 1 of the first GAN paper."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection

from gan_lab.experiments.base import Arrays
from gan_lab.reports.plots.animation import Animation, render_moving
from gan_lab.reports.plots.style import BLACK, BLUE, FAKE, GREY, STYLES, canvas, legend_below

_PROBABILITIES = ("minimax", "non_saturating")  # sigmoid(f) is "the probability of real"
_Z_AXIS, _Z_END = -0.75, 3.0  # where the z axis is drawn, below the densities; its last tick
_BOTTOM = 1.22 * _Z_AXIS  # of a panel
_OUTPUTS = {"minimax": "D", "non_saturating": "D", "least_squares": "f", "hinge": "f"}


def animation(arrays: Arrays, methods: Sequence[str]) -> Animation:
    """Draw all losses over training, the exact JS and W1 under each."""
    figure, axes = canvas("", 2, 4, (3.75, 3.2), dpi=110)
    figure.set_dpi(92)  # 40 pictures then stay below 6 MB
    steps, top = arrays["step"], 2.1 * float(arrays["data_density"].max())
    parts: list[_Panel | _Overview] = [
        _Panel(panel, name, arrays, top) for panel, name in zip(axes.flat, methods, strict=False)
    ]
    parts.append(_Overview(axes.flat[-1], arrays, methods))
    legend_below(figure, axes[0, 0], 5)

    def move(i: int) -> list[Artist]:
        return [artist for part in parts for artist in part.move(i)]

    figure.suptitle("GANs on a line: one generator, one z, seven losses", fontsize="x-large")
    return Animation(
        "GANs on a line",
        render_moving(figure, move, len(steps)),
        [f"step {step} of {steps[-1]}" for step in steps],
        120,
        "After figure 1 of Goodfellow et al. 2014. Upper line: x, with the density of the data "
        "(black, dashed), of the generator (orange) and the discriminator (blue, right "
        "axis). Lower line: z; each thread carries the same mass from z to x. All trainings of a "
        "seed share data, z, initial weights, schedule and learning rate. JS and W1 are integrals "
        "of the generator's own distribution function, not estimates from samples. A generated "
        "density that leaves the panel says how high its peak is.",
    )


class _Panel:
    """Data, generated density, discriminator and map of one loss."""

    def __init__(self, axes: Axes, name: str, arrays: Arrays, top: float) -> None:
        self.arrays, self.name, self.top, self.x = arrays, name, top, arrays["x"]
        draw_background(axes, arrays, top)
        axes.set_ylabel("density (per data unit)", fontsize=8, y=0.7)
        axes.set_title(STYLES[name].label, fontsize="medium", loc="left")
        (self.density,) = axes.plot(self.x, self.x, color=FAKE, linewidth=1.6, label="generated")
        self.threads = LineCollection([], colors=FAKE, linewidths=0.7, alpha=0.75)
        axes.add_collection(self.threads)
        (self.ends,) = axes.plot([], [], "^", color=FAKE, ms=3.5, mec="none")
        axes.set_xlabel("x (data units)\n", fontsize=8)
        inside: dict[str, Any] = {"transform": axes.transAxes}
        self.text = axes.text(0.5, -0.22, "", ha="center", fontsize=9.5, **inside)
        output = _OUTPUTS.get(name, "f, centred")
        axes.text(0.99, 1.03, output, ha="right", color=BLUE, fontsize=8, **inside)
        self.peak = axes.text(0, 0.93 * top, "", fontsize=8, color=FAKE, ha="left", va="top")
        right: Any = axes.twinx()
        low, high = discriminator_range(arrays, name)
        # The zero of both scales need not agree; the range fills the part above the x axis.
        span = (high - low) / 0.86
        right.set_ylim(low + _BOTTOM * span, low + span)
        right.set_yticks(np.linspace(low, high, 3))
        right.tick_params(axis="y", colors=BLUE, labelsize=8)
        right.spines[["top", "left", "bottom"]].set_visible(False)
        right.spines["right"].set_color(BLUE)
        (self.output,) = right.plot(self.x, self.x, color=BLUE, linestyle="-.", linewidth=1.4)
        axes.plot([], [], color=BLUE, linestyle="-.", label="discriminator (right axis)")

    def move(self, i: int) -> list[Artist]:
        density, logits = (self.arrays[f"{self.name}/{key}"][i] for key in ("density", "logits"))
        js, w1 = (self.arrays[f"{self.name}/{key}"][i, 0] for key in ("js", "wasserstein"))
        self.density.set_ydata(density)
        segments, ends = threads(self.arrays, self.name, i, self.top)
        self.threads.set_segments(list(segments))
        self.ends.set_data(ends, np.zeros(len(ends)) - 0.03 * self.top)
        self.output.set_ydata(discriminator_output(logits, self.name))
        self.text.set_text(f"JS {js:.3f} nats     W1 {w1:.3f} data units")
        at = int(density.argmax())
        self.peak.set_text(f" peak {density[at]:.1f}" if density[at] > self.top else "")
        self.peak.set_x(float(self.x[at]))
        return [self.threads, self.ends, self.density, self.output, self.text, self.peak]


class _Overview:
    """W1 of all losses, with a line at the present step."""

    def __init__(self, axes: Axes, arrays: Arrays, methods: Sequence[str]) -> None:
        self.step = arrays["step"]
        for name in methods:
            w1 = arrays[f"{name}/wasserstein"][:, 0]
            axes.plot(self.step, w1, **STYLES[name].line_arguments())
        axes.set_yscale("log")
        axes.set_xlim(0, self.step[-1])
        axes.set_title("W1 (data units) against the step", fontsize="medium", loc="left")
        axes.legend(fontsize=6.5, ncols=2, loc="upper right", framealpha=0.8, handlelength=2.2)
        axes.tick_params(labelsize=8)
        low, high = axes.get_ylim()
        axes.set_ylim(low, high * 6)  # room for the legend
        self.now = axes.axvline(0, color=BLACK, linewidth=1.0)
        self.text = axes.text(0.02, 0.03, "", transform=axes.transAxes, fontsize=9)

    def move(self, i: int) -> list[Artist]:
        self.now.set_xdata([self.step[i], self.step[i]])
        self.text.set_text(f"step {self.step[i]}")
        return [self.now, self.text]


def draw_background(axes: Axes, arrays: Arrays, top: float) -> None:
    """Draw the data density, the x axis and the z axis below it."""
    x = arrays["x"]
    axes.fill_between(x, arrays["data_density"], color="#D9D9D9", linewidth=0)
    axes.plot(x, arrays["data_density"], color=BLACK, linestyle="--", label="data")
    axes.axhline(0, color=GREY, linewidth=1.0)
    axes.axhline(_Z_AXIS * top, color=GREY, linewidth=1.0)
    for z in (-_Z_END, 0.0, _Z_END):
        at = _position(np.array(z), x)
        axes.plot(at, _Z_AXIS * top, "|", color=GREY, ms=6)
        axes.text(float(at), _Z_AXIS * 1.05 * top, f"z = {z:g}", ha="center", va="top", fontsize=10)
    axes.set_xlim(x[0], x[-1])
    axes.set_ylim(_BOTTOM * top, top)
    axes.set_yticks([tick for tick in axes.get_yticks() if 0 <= tick < top])


def threads(arrays: Arrays, name: str, i: int, top: float) -> tuple[np.ndarray, np.ndarray]:
    """Return lines from z to x, [A, 2, 2], and where they end, for those that end inside."""
    x, ends = arrays["x"], arrays[f"{name}/map"][i]
    inside = (ends >= x[0]) & (ends <= x[-1])
    starts, ends = _position(arrays["z"], x)[inside], ends[inside]
    below = np.stack([starts, np.full(len(starts), _Z_AXIS * top)], axis=1)
    above = np.stack([ends, np.full(len(ends), -0.03 * top)], axis=1)
    return np.stack([below, above], axis=1), ends


def discriminator_output(logits: np.ndarray, name: str) -> np.ndarray:
    """Return D in [0, 1] where the loss makes it a probability, the centred logit elsewhere."""
    if name in _PROBABILITIES:
        return np.asarray(1 / (1 + np.exp(-logits)))
    if name in _OUTPUTS:
        return logits
    return np.asarray(logits - logits.mean(axis=-1, keepdims=True))  # a constant means nothing


def discriminator_range(arrays: Arrays, name: str) -> tuple[float, float]:
    """Return least and greatest output over the whole training, rounded outward; [0, 1] for a D."""
    if name in _PROBABILITIES:
        return 0.0, 1.0
    values = discriminator_output(arrays[f"{name}/logits"], name)
    low, high = float(values.min()), float(values.max())
    unit = 10.0 ** np.floor(np.log10(max(high - low, 1e-6)))
    return float(np.floor(low / unit) * unit), float(np.ceil(high / unit) * unit)


def _position(z: np.ndarray, x: np.ndarray) -> np.ndarray:
    """Map z onto the drawn line, with a margin of 8 % on either side."""
    low, high = float(x[0]), float(x[-1])
    margin = 0.08 * (high - low)
    return np.asarray(low + margin + (z + _Z_END) / (2 * _Z_END) * (high - low - 2 * margin))
