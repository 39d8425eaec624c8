"""Pictures of the study of mode collapse: functions of its arrays only."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.mode_collapse.numbers import (
    BY_SAMPLE,
    NAMES,
    QUALITY_CEILING,
    final_kl,
    final_modes,
    kl_floor,
    quality,
)
from gan_lab.reports.plots.style import (
    BLACK,
    GREY,
    ORANGE,
    STYLES,
    VERMILLION,
    Style,
    canvas,
    label,
    legend_below,
)

LOOKS = {**STYLES, "packing": Style("non-saturating, packing 2", BLACK, "-", "*")}


class Published(NamedTuple):
    """A row of a paper's table; nan where it says nothing."""

    name: str
    modes: float
    error: float
    quality: float
    kl: float


_NAN = float("nan")
# Authors' tables, read (V). VEEGAN's and PacGAN's numbers for the same method disagree: networks
# and budgets differ, so neither is a target for the other or for this study.
_PUBLISHED: dict[str, tuple[Published, ...]] = {
    "ring": (
        Published("GAN, by VEEGAN", 1, _NAN, 0.993, _NAN),
        Published("unrolled GAN, by VEEGAN", 7.6, _NAN, 0.356, _NAN),
        Published("VEEGAN", 8, _NAN, 0.529, _NAN),
        Published("GAN, by PacGAN", 6.3, 0.5, 0.982, _NAN),
        Published("PacGAN2", 7.9, 0.1, 0.956, _NAN),
    ),
    "grid": (
        Published("GAN, by VEEGAN", 3.3, _NAN, 0.005, _NAN),
        Published("unrolled GAN, by VEEGAN", 23.6, _NAN, 0.16, _NAN),
        Published("VEEGAN", 24.6, _NAN, 0.40, _NAN),
        Published("GAN, by PacGAN", 17.3, 0.8, 0.948, _NAN),
        Published("PacGAN2", 23.8, 0.7, 0.913, _NAN),
    ),
    BY_SAMPLE: (
        Published("DCGAN", 99, _NAN, _NAN, 3.40),
        Published("unrolled GAN", 48.7, _NAN, _NAN, 4.32),
        Published("VEEGAN", 150, _NAN, _NAN, 2.95),
        Published("PacDCGAN2", 1000, _NAN, _NAN, 0.06),
    ),
}


def modes(arrays: Arrays) -> Figure:
    """Modes covered at the end: every seed, median and range, beside the papers' numbers."""
    data = arrays["data"].tolist()
    figure, axes = canvas(
        "How many modes are covered at the end of training", 1, len(data), size=(5.6, 5.6)
    )
    for panel, name in zip(axes[0], data, strict=True):
        k, n = len(arrays[f"{name}/weights"]), int(arrays[f"{name}/n_final"])
        _rows(panel, arrays, final_modes(arrays, name), name, "modes")
        panel.axvline(k, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        panel.set_xlim(-0.04 * k, 1.06 * k)
        panel.set_xticks(np.linspace(0, k, 5) if k != 25 else np.arange(0, 26, 5))
        rule = "of any quality" if name == BY_SAMPLE else "within 3 std"
        label(
            panel,
            f"{NAMES[name]}: {k} modes, {arrays[f'{name}/steps'][-1]} steps",
            f"modes with a sample {rule}\n(of {n} samples)",
            "",
        )
    return figure


def quality_and_kl(arrays: Arrays) -> Figure:
    """High-quality share with its ceiling above, KL of the modes with its floor below."""
    data = arrays["data"].tolist()
    figure, axes = canvas(
        "How good the samples are, and how evenly they visit the modes",
        2,
        len(data),
        size=(5.6, 4.8),
    )
    for column, name in enumerate(data):
        n, weights = int(arrays[f"{name}/n_final"]), arrays[f"{name}/weights"]
        top, below = axes[0, column], axes[1, column]
        if name == BY_SAMPLE:
            ceiling = float(arrays[f"{name}/real_good"] / arrays[f"{name}/real_n"])
            said = f"held-out data: {ceiling:.1%}"
        else:
            ceiling, said = QUALITY_CEILING, f"the data: {QUALITY_CEILING:.3%}"
        _rows(top, arrays, 100 * quality(arrays, name), name, "quality")
        top.set_xlim(-4, 108)
        _vertical(top, 100 * ceiling, said)
        label(top, f"{NAMES[name]}", "high-quality samples (%)", "")
        floor = kl_floor(weights, n)
        _rows(below, arrays, final_kl(arrays, name), name, "kl")
        theirs = [row.kl for row in _PUBLISHED[name] if not np.isnan(row.kl)]
        seen = np.append(final_kl(arrays, name), theirs)
        least = np.min(seen, initial=floor, where=seen > 0)
        below.set_xlim(least / 1.6, 2.2 * np.log(len(weights)))
        below.set_xscale("log")
        _vertical(below, floor, f"floor of {n} samples: {floor:.2g}", left=True)
        _vertical(below, float(np.log(len(weights))), "one mode: log K")
        label(below, f"{NAMES[name]}", "KL of the modes' shares from the data's (nats)", "")
    return figure


def packing(arrays: Arrays) -> Figure:
    """Modes without and with packing, one line a seed, beside PacGAN's table."""
    data, methods = arrays["data"].tolist(), arrays["methods"].tolist()
    figure, axes = canvas(
        "Packing: the discriminator judges two samples at once (non-saturating loss)",
        1,
        len(data),
        size=(4.6, 4.2),
    )
    for panel, name in zip(axes[0], data, strict=True):
        found, k = final_modes(arrays, name), len(arrays[f"{name}/weights"])
        pair = found[[methods.index("non_saturating"), methods.index("packing")]].astype(float)
        spread = np.linspace(-0.04, 0.04, pair.shape[1])
        at = np.array([[0.0], [1.0]]) + spread
        panel.plot(at, pair, color=ORANGE, linewidth=1, marker="o", markersize=5, alpha=0.8)
        panel.plot([], [], color=ORANGE, marker="o", label="ours, one line a seed")
        panel.plot([0, 1], pair.mean(1), color=BLACK, linewidth=2.5, marker="s", label="ours, mean")
        _papers_pair(panel, name)
        panel.axhline(k, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
        panel.set_xlim(-0.3, 1.3)
        panel.set_ylim(-0.03 * k, 1.08 * k)
        panel.set_xticks([0, 1], ["without", "packing 2"])
        label(panel, NAMES[name], "", f"modes covered of {k}")
    legend_below(figure, axes[0, 0], columns=3)
    return figure


def _papers_pair(panel: Axes, name: str) -> None:
    rows = {row.name: row for row in _PUBLISHED[name]}
    names = ("DCGAN", "PacDCGAN2") if name == BY_SAMPLE else ("GAN, by PacGAN", "PacGAN2")
    found = [rows[each] for each in names]
    panel.errorbar(
        [0.0, 1.0],
        [row.modes for row in found],
        yerr=None if name == BY_SAMPLE else [row.error for row in found],
        color=VERMILLION,
        linestyle="--",
        marker="D",
        markerfacecolor="white",
        capsize=4,
        label="PacGAN's table (their networks and budget)",
    )


def _rows(panel: Axes, arrays: Arrays, values: np.ndarray, data: str, what: str) -> None:
    """One row a method, [methods, seeds]: each seed, median, least to greatest; papers below."""
    methods = arrays["methods"].tolist()
    names = []
    for y, (method, each) in enumerate(zip(methods, values, strict=True)):
        style, finite = LOOKS[method], each[np.isfinite(each)]
        names.append(style.label)
        if len(finite):
            panel.hlines(y, finite.min(), finite.max(), color=style.colour, linewidth=3, alpha=0.35)
            offsets = y + np.linspace(-0.18, 0.18, len(finite))
            panel.scatter(finite, offsets, s=14, color=style.colour, alpha=0.7, linewidths=0)
            panel.scatter(
                np.median(finite), y, s=70, color=style.colour, marker=style.marker, zorder=3
            )
        if len(finite) < len(each):
            panel.annotate(
                f"infinite for {len(each) - len(finite)} of {len(each)} seeds",
                (0.98, y),
                xycoords=("axes fraction", "data"),
                ha="right",
                va="center",
                fontsize="small",
                color=style.colour,
            )
    y = len(methods)
    for row in _PUBLISHED[data]:
        value = getattr(row, what) * (100 if what == "quality" else 1)
        if np.isnan(value):
            continue
        error = row.error if what == "modes" else _NAN
        panel.errorbar(
            value,
            y + 0.2,
            xerr=None if np.isnan(error) else error,
            color=BLACK,
            marker="D",
            markersize=6,
            markerfacecolor="white",
            capsize=3,
        )
        names.append(row.name)
        y += 1
    positions: list[Any] = [*range(len(methods)), *(i + 0.2 for i in range(len(methods), y))]
    panel.set_yticks(positions, names, fontsize="small")
    panel.set_ylim(y - 0.2, -0.6)
    if y > len(methods):
        panel.axhline(len(methods) - 0.4, color=BLACK, linewidth=0.8)
        panel.annotate(
            "published, other networks and budgets:",
            (0.01, len(methods) - 0.36),
            xycoords=("axes fraction", "data"),
            va="top",
            fontsize="x-small",
            color=GREY,
        )


def _vertical(panel: Axes, x: float, text: str, *, left: bool = False) -> None:
    panel.axvline(x, color=GREY, linewidth=1, linestyle=(0, (2, 2)), zorder=1)
    panel.annotate(
        text,
        (x, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(2 if left else -2, -2),
        textcoords="offset points",
        ha="left" if left else "right",
        va="top",
        fontsize="x-small",
        color=GREY,
    )
