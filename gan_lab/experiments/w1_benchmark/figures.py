"""The pictures of w1_benchmark: functions of its arrays."""

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.data.funnels import HALF_SIDE
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.w1_benchmark.claims import (
    AUTHORS,
    bound,
    debiased_distance,
    has_neural,
    ratio,
)
from gan_lab.experiments.w1_benchmark.critics import PIXELS
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    FAKE,
    GREEN,
    GREY,
    MAP,
    ORANGE,
    PURPLE,
    SKY,
    VERMILLION,
    Style,
    canvas,
    label,
    legend_below,
    reference,
)

CRITICS = {
    "one_sided": Style("one-sided penalty", PURPLE, "--", "D"),
    "penalty": Style("two-sided penalty", BLUE, "-", "^"),
    "lipschitz": Style("orthonormal layers", GREEN, "-", "o"),
    "spectral": Style("spectral norm", ORANGE, ":", "s"),
    "clip": Style("clipped at .1", VERMILLION, "-.", "v"),
    "clip_half": Style("clipped at .05", SKY, "-.", "v"),
}
_SAMPLES = {
    "exact": Style("sample W1", BLACK, "-", "o"),
    "real": Style("sample W1, real data", GREY, "--", "s"),
    "debiased": Style("sample W1 less real data", BLUE, "-", "^"),
    "sliced": Style("sliced W1", ORANGE, "-.", "D"),
}
_LEAST = 0.02  # of the logarithmic axis; what is less stands on its edge
_TICKS = (0.02, 0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20)


def estimates(arrays: Arrays) -> Figure:
    """Draw every estimate over the truth, samples on the left and critics on the right."""
    title = (
        "In high dimension sample W1 is noise; penalised critics come near, orthonormal layers "
        "stay below"
    )
    figure, axes = canvas(title, 1, 2, (6.4, 4.7), sharey=True)
    values = {name: ratio(arrays, f"samples/{name}") for name in ("exact", "real", "sliced")}
    values["debiased"] = debiased_distance(arrays)
    n = int(arrays["n_samples"])
    for panel, styles, words in (
        (axes[0, 0], _SAMPLES, f"{n} samples of either side"),
        (axes[0, 1], CRITICS, "critics, value on fresh samples"),
    ):
        for i, (name, style) in enumerate(styles.items()):
            each = values[name] if styles is _SAMPLES else ratio(arrays, f"{name}/value")
            _marks(panel, np.maximum(each, _LEAST), style, _offset(i, len(styles)))
        panel.set_yscale("log")
        panel.set_ylim(_LEAST * 0.9, 30)
        panel.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        panel.minorticks_off()
        reference(panel, 1.0, "")
        _pairs(panel, arrays)
        y = f"estimate over true W1 ({_LEAST:g}: or less)" if panel is axes[0, 0] else ""
        label(panel, words, "dimensions / funnels", y)
        panel.legend(fontsize="small", ncols=2, loc="upper left", frameon=False)
    return figure


def bounds(arrays: Arrays) -> Figure:
    """Draw value over largest gradient norm, and the cosine with the true gradient."""
    title = "Over its largest gradient norm each value is a lower bound; gradients are less near"
    figure, axes = canvas(title, 1, 2, (6.4, 4.3))
    for i, (kind, style) in enumerate(CRITICS.items()):
        _marks(axes[0, 0], bound(arrays, kind), style, _offset(i, len(CRITICS)))
        _marks(axes[0, 1], arrays[f"{kind}/cosine"], style, _offset(i, len(CRITICS)))
    for panel, words, y in (
        (axes[0, 0], "Lower bound", "bound over true W1"),
        (axes[0, 1], "Direction", "mean cosine with the true gradient"),
    ):
        panel.set_ylim(0, 1.12)
        reference(panel, 1.0, "")
        _pairs(panel, arrays)
        label(panel, words, "dimensions / funnels", y)
    legend_below(figure, axes[0, 0], 6)
    return figure


def neural_distance(arrays: Arrays) -> Figure:
    """Draw the evaluator's bound and value beside the study's critics and the authors'."""
    title = "The evaluator's neural distance: its bound stays below the truth, its value is near"
    figure, axes = canvas(title, 1, 1, (9.6, 4.6))
    panel, where = axes[0, 0], np.flatnonzero(has_neural(arrays))
    names = arrays["pairs"][where].tolist()
    ours = {
        "bound": (ratio(arrays, "neural/bound"), Style("neural distance, bound", GREEN, "-", "o")),
        "value": (ratio(arrays, "neural/value"), Style("the same, value", PURPLE, "-", "D")),
        "lipschitz": (bound(arrays, "lipschitz"), Style("orthonormal layers", SKY, "-", "v")),
        "one_sided": (ratio(arrays, "one_sided/value"), Style("one-sided", ORANGE, "-", "^")),
    }
    marks = {"penalty": ("the authors' GP", "s"), "one_sided": ("the authors' LP", "P")}
    n = len(ours) + len(marks)
    for i, (values, style) in enumerate(ours.values()):
        _marks(panel, values[where], style, _offset(i, n))
    look: dict[str, Any] = {"markersize": 7, "markerfacecolor": "white", "color": BLACK}
    for i, (kind, (words, marker)) in enumerate(marks.items(), len(ours)):
        at = [k for k, name in enumerate(names) if name in AUTHORS[kind]]
        theirs = [AUTHORS[kind][names[k]] for k in at]
        panel.plot(np.array(at) + _offset(i, n), theirs, marker, label=words, **look)
    panel.set_ylim(0, 1.25)
    reference(panel, 1.0, "")
    panel.set_xticks(range(len(names)), names)
    panel.set_xlim(-0.5, len(names) - 0.5)
    label(panel, "", "dimensions / funnels", "estimate over true W1")
    legend_below(figure, panel, 6)
    return figure


def authors(arrays: Arrays) -> Figure:
    """Draw our critics beside the authors', each over the truth of its own pair."""
    title = "Our critics and the authors' on pairs of one construction, centres of their own"
    figure, axes = canvas(title, 1, 3, (4.3, 3.9), sharey=True)
    for panel, (kind, theirs) in zip(axes[0], AUTHORS.items(), strict=True):
        style = CRITICS[kind]
        ours = ratio(arrays, f"{kind}/value")
        ours_style = Style("ours", style.colour, style.line, style.marker)
        _marks(panel, np.maximum(ours, _LEAST), ours_style, -0.12)
        at = [i for i, pair in enumerate(arrays["pairs"]) if pair in theirs]
        their_ratios = [theirs[arrays["pairs"][i]] for i in at]
        look: dict[str, Any] = {"markersize": 8, "markerfacecolor": "white", "color": BLACK}
        panel.plot(np.array(at) + 0.12, their_ratios, "o", label="Korotin et al. 2022", **look)
        panel.set_yscale("log")
        panel.set_ylim(_LEAST * 0.9, 30)
        panel.set_yticks(_TICKS, [f"{tick:g}" for tick in _TICKS])
        panel.minorticks_off()
        reference(panel, 1.0, "")
        _pairs(panel, arrays)
        first = panel is axes[0, 0]
        label(panel, style.label, "dimensions / funnels", "value over true W1" if first else "")
        panel.legend(fontsize="small", loc="upper left", frameon=False)
    return figure


def plane(arrays: Arrays) -> Figure:
    """Draw a pair of the plane with the best critic, and critics that were trained on it."""
    title = "A pair in the plane: each fake (dot) moves along its ray to a real sample (cross)"
    figure, axes = canvas(title, 1, 4, (3.7, 3.6), sharex=True, sharey=True)
    axis = np.linspace(-HALF_SIDE, HALF_SIDE, PIXELS)
    names = {"plane": "best critic"}
    names |= {kind: CRITICS[kind].label for kind in ("lipschitz", "one_sided", "clip")}
    real, fake = arrays["plane/real"], arrays["plane/fake"]
    for panel, (name, words) in zip(axes[0], names.items(), strict=True):
        heights = arrays[f"{name}/surface"].reshape(PIXELS, PIXELS).T
        panel.contourf(axis, axis, heights, levels=14, cmap=MAP)
        panel.contour(axis, axis, heights, levels=14, colors="white", linewidths=0.4)
        if name == "plane":
            rays = np.stack([fake, real], 1)[:60]
            panel.plot(*rays.T, color=BLACK, linewidth=0.6)
        panel.plot(*fake[:60].T, ".", color=FAKE, markersize=4)
        panel.plot(*real[:60].T, "x", color=BLACK, markersize=4)
        panel.grid(False)
        panel.set_aspect("equal")
        y = "coordinate 2 (data units)" if name == "plane" else ""
        label(panel, words, "coordinate 1 (data units)", y)
    return figure


def _marks(axes: Axes, values: np.ndarray, style: Style, shift: float) -> None:
    """Draw the mean over seeds of [P, S] as a marker, least to greatest as a bar."""
    middle = values.mean(1)
    bars = np.stack([middle - values.min(1), values.max(1) - middle])
    look: dict[str, Any] = {"marker": style.marker, "linestyle": "", "color": style.colour}
    axes.errorbar(np.arange(len(values)) + shift, middle, bars, label=style.label, **look)


def _offset(i: int, n: int) -> float:
    return 0.11 * (i - (n - 1) / 2)


def _pairs(axes: Axes, arrays: Arrays) -> None:
    axes.set_xticks(range(len(arrays["pairs"])), arrays["pairs"].tolist())
    axes.set_xlim(-0.5, len(arrays["pairs"]) - 0.5)
