"""Pictures of the study of mode collapse: functions of its arrays only."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.mode_collapse import coverage
from gan_lab.experiments.mode_collapse.coverage import BY_SAMPLE, NAMES, QUALITY_CEILING
from gan_lab.reports.plots.style import (
    BLACK,
    GREY,
    MAP,
    ORANGE,
    STYLES,
    VERMILLION,
    Style,
    canvas,
    label,
    legend_below,
    note_below,
)

_STYLES = {**STYLES, "packing": Style("non-saturating, packing 2", BLACK, "-", "*")}


class PaperRow(NamedTuple):
    """A row of a paper's table; nan where it says nothing."""

    name: str
    modes: float
    error: float
    quality: float
    kl: float


_NAN = float("nan")
_MARK: dict[str, Any] = {"color": GREY, "linewidth": 1, "linestyle": (0, (2, 2)), "zorder": 1}
_DIAMOND: dict[str, Any] = {"marker": "D", "markerfacecolor": "white", "color": BLACK, "capsize": 3}
# Authors' tables, read (V). VEEGAN's and PacGAN's numbers for the same method disagree: networks
# and budgets differ, so neither is a target for the other or for this study.
_PAPERS: dict[str, tuple[PaperRow, ...]] = {
    "ring": (
        PaperRow("GAN, by VEEGAN", 1, _NAN, 0.993, _NAN),
        PaperRow("unrolled GAN, by VEEGAN", 7.6, _NAN, 0.356, _NAN),
        PaperRow("VEEGAN", 8, _NAN, 0.529, _NAN),
        PaperRow("GAN, by PacGAN", 6.3, 0.5, 0.982, _NAN),
        PaperRow("PacGAN2", 7.9, 0.1, 0.956, _NAN),
    ),
    "grid": (
        PaperRow("GAN, by VEEGAN", 3.3, _NAN, 0.005, _NAN),
        PaperRow("unrolled GAN, by VEEGAN", 23.6, _NAN, 0.16, _NAN),
        PaperRow("VEEGAN", 24.6, _NAN, 0.40, _NAN),
        PaperRow("GAN, by PacGAN", 17.3, 0.8, 0.948, _NAN),
        PaperRow("PacGAN2", 23.8, 0.7, 0.913, _NAN),
    ),
    BY_SAMPLE: (
        PaperRow("DCGAN", 99, _NAN, _NAN, 3.40),
        PaperRow("unrolled GAN", 48.7, _NAN, _NAN, 4.32),
        PaperRow("VEEGAN", 150, _NAN, _NAN, 2.95),
        PaperRow("PacDCGAN2", 1000, _NAN, _NAN, 0.06),
    ),
}


def modes(arrays: Arrays) -> Figure:
    """Draw the modes covered at the end: seeds, median, range, beside the papers' numbers."""
    data, title = arrays["data"].tolist(), "How many modes are covered at the end of training"
    figure, axes = canvas(title, 1, len(data), size=(5.6, 5.6))
    for panel, name in zip(axes[0], data, strict=True):
        k, n = len(arrays[f"{name}/weights"]), int(arrays[f"{name}/n_final"])
        _rows(panel, arrays, coverage.final_modes(arrays, name), name, "modes")
        panel.axvline(k, **_MARK)
        panel.set_xlim(-0.04 * k, 1.06 * k)
        panel.set_xticks(np.linspace(0, k, 5) if k != 25 else np.arange(0, 26, 5))
        rule = "of any quality" if name == BY_SAMPLE else "within 3 std"
        title = f"{NAMES[name]}: {k} modes, {arrays[f'{name}/steps'][-1]} steps"
        label(panel, title, f"modes with a sample {rule}\n(of {n} samples)", "")
    return figure


def quality_and_kl(arrays: Arrays) -> Figure:
    """Draw the high-quality share with its ceiling, and the KL of the modes with its floor."""
    data = arrays["data"].tolist()
    title = "How good the samples are, and how evenly they visit the modes"
    figure, axes = canvas(title, 2, len(data), (5.6, 4.8))
    for (top, below), name in zip(axes.T, data, strict=True):
        n, weights = int(arrays[f"{name}/n_final"]), arrays[f"{name}/weights"]
        if name == BY_SAMPLE:
            ceiling = float(arrays[f"{name}/real_good"] / arrays[f"{name}/real_n"])
            text = f"held-out data: {ceiling:.1%}"
        else:
            ceiling, text = QUALITY_CEILING, f"the data: {QUALITY_CEILING:.3%}"
        _rows(top, arrays, 100 * coverage.quality(arrays, name), name, "quality")
        top.set_xlim(-4, 108)
        _vertical(top, 100 * ceiling, text)
        label(top, NAMES[name], "high-quality samples (%)", "")
        floor, kl = coverage.kl_floor(weights, n), coverage.final_kl(arrays, name)
        _rows(below, arrays, kl, name, "kl")
        values = np.append(kl, [row.kl for row in _PAPERS[name]])
        least = np.min(values, initial=floor, where=values > 0)
        below.set_xlim(least / 1.6, 2.2 * np.log(len(weights)))
        below.set_xscale("log")
        _vertical(below, floor, f"real data: {floor:.2g}", side="left")
        _vertical(below, float(np.log(len(weights))), "one mode: log K")
        label(below, NAMES[name], "KL of the modes' shares\nfrom the data's (nats)", "")
    return figure


def packing(arrays: Arrays, too_few: Sequence[str] = ()) -> Figure:
    """Draw modes without and with packing, one line a seed, beside PacGAN's table.

    `too_few` are the data sets whose seeds are too few to tell which of the two covers more.
    """
    data, methods = arrays["data"].tolist(), arrays["methods"].tolist()
    title = "Packing: the discriminator judges two samples at once (non-saturating loss)"
    figure, axes = canvas(title, 1, len(data), (4.6, 4.2))
    for panel, name in zip(axes[0], data, strict=True):
        counts, k = coverage.final_modes(arrays, name), len(arrays[f"{name}/weights"])
        pair = counts[[methods.index("non_saturating"), methods.index("packing")]].astype(float)
        spread = np.linspace(-0.04, 0.04, pair.shape[1])
        at = np.array([[0.0], [1.0]]) + spread
        panel.plot(at, pair, color=ORANGE, linewidth=1, marker="o", markersize=5, alpha=0.8)
        panel.plot([], [], color=ORANGE, marker="o", label="ours, one line a seed")
        panel.plot([0, 1], pair.mean(1), color=BLACK, linewidth=2.5, marker="s", label="ours, mean")
        of_paper = ("DCGAN", "PacDCGAN2") if name == BY_SAMPLE else ("GAN, by PacGAN", "PacGAN2")
        rows = [row for row in _PAPERS[name] if row.name in of_paper]
        error = None if name == BY_SAMPLE else [row.error for row in rows]
        text = "PacGAN's table (their networks and budget)"
        look = {**_DIAMOND, "color": VERMILLION, "capsize": 4, "linestyle": "--", "label": text}
        panel.errorbar([0.0, 1.0], [row.modes for row in rows], yerr=error, **look)
        panel.axhline(k, **_MARK)
        panel.set_xlim(-0.3, 1.3)
        panel.set_ylim(-0.03 * k, 1.08 * k)
        panel.set_xticks([0, 1], ["without", "packing 2"])
        label(panel, NAMES[name], "", f"modes covered of {k}")
    legend_below(figure, axes[0, 0], columns=3)
    if too_few:
        names = " and ".join(NAMES[name] for name in too_few)
        note_below(figure, f"Too few seeds to tell whether packing adds modes on the {names}.")
    return figure


def survival(arrays: Arrays) -> Figure:
    """Draw modes covered against steps: one panel a method and data set, all seeds, median."""
    data, methods = arrays["data"].tolist(), arrays["methods"].tolist()
    title = "Survival of modes over training: each thin line a seed, the thick one their median"
    figure, axes = canvas(title, len(data), len(methods), (2.3, 2.4), sharex="row", sharey="row")
    for row, name in zip(axes, data, strict=True):
        steps, weights, n = (arrays[f"{name}/{key}"] for key in ("steps", "weights", "n"))
        k, ceiling = len(weights), coverage.expected_modes(weights, int(n))
        over_time = coverage.modes_over_time(arrays, name)
        for panel, method, counts in zip(row, methods, over_time, strict=True):
            seeds, colour = counts.T, _STYLES[method].colour
            band = {"color": colour, "alpha": 0.18, "linewidth": 0}
            panel.fill_between(steps, seeds.min(0), seeds.max(0), **band)
            panel.plot(steps, seeds.T, color=colour, linewidth=0.6, alpha=0.7)
            panel.plot(steps, np.median(seeds, 0), color=colour, linewidth=2.2)
            panel.axhline(ceiling, **_MARK)
            panel.set_ylim(-0.04 * k, 1.25 * k)
            panel.set_yticks(np.arange(0, 26, 5) if k == 25 else np.linspace(0, k, 5))
            panel.set_xticks([0, steps[-1] // 2, steps[-1]])
        row[0].set_ylabel(f"{NAMES[name]}\nmodes covered of {k}")
        above: dict[str, Any] = {"xytext": (0, 2), "textcoords": "offset points", "va": "bottom"}
        _note(row[0], f"data: {ceiling:.0f}", (0.03, ceiling), ha="left", **above)
    for panel, method in zip(axes[0], methods, strict=True):
        panel.set_title(_STYLES[method].label.replace(", ", ",\n"), fontsize="medium")
    for panel in axes[-1]:
        panel.set_xlabel("steps")
    return figure


def raster(arrays: Arrays, name: str) -> Figure:
    """Draw each mode's share of samples over time for one seed: when it is reached and lost."""
    methods, steps = arrays["methods"].tolist(), arrays[f"{name}/steps"]
    counts, n = arrays[f"{name}/good"][:, :, 0], int(arrays[f"{name}/n"])
    k = counts.shape[-1]
    seed, columns = arrays["seeds"][0], (len(methods) + 1) // 2
    title = f"Modes of the {NAMES[name]} over training, seed {seed}: white = no sample within 3 std"
    figure, axes = canvas(title, 2, columns, (3.4, 2.7), sharex=True, sharey=True)
    edges = np.concatenate([[0], (steps[1:] + steps[:-1]) / 2, [steps[-1]]])
    look: dict[str, Any] = {"cmap": f"{MAP}_r", "norm": LogNorm(k / n, 1), "rasterized": True}
    for panel, method, each in zip(axes.flat, methods, counts, strict=False):
        shares = np.where(each > 0, each * k / n, np.nan).T
        mesh = panel.pcolormesh(edges, np.arange(k + 1), shares, **look)
        panel.set_facecolor("white")
        panel.grid(False)
        at = range(k) if k <= 8 else range(0, k, 5)
        panel.set_yticks([i + 0.5 for i in at], [str(i) for i in at])
        panel.set_title(_STYLES[method].label, fontsize="medium")
    for panel in axes[-1]:
        panel.set_xlabel("steps")
    for panel in axes[:, 0]:
        panel.set_ylabel("mode")
    unit = "share of high-quality samples\n(1 = the mode's fair share)"
    figure.colorbar(mesh, ax=axes, label=unit, extend="max")
    return figure


def _rows(panel: Axes, arrays: Arrays, values: np.ndarray, data: str, what: str) -> None:
    """Draw a row for each method, [methods, seeds]: seeds, median, range; the papers' below."""
    names, positions = [], list[float]()
    for y, (method, each) in enumerate(zip(arrays["methods"].tolist(), values, strict=True)):
        style, finite = _STYLES[method], each[np.isfinite(each)]
        names.append(style.label)
        positions.append(y)
        colour = style.colour
        if len(finite):
            panel.hlines(y, finite.min(), finite.max(), color=colour, linewidth=3, alpha=0.35)
            offsets = y + np.linspace(-0.18, 0.18, len(finite))
            panel.scatter(finite, offsets, s=14, color=colour, alpha=0.7, linewidths=0)
            panel.scatter(np.median(finite), y, s=70, color=colour, marker=style.marker, zorder=3)
        if len(finite) < len(each):
            text = f"infinite for {len(each) - len(finite)} of {len(each)} seeds"
            look = {"ha": "right", "va": "center", "fontsize": "small", "color": colour}
            _note(panel, text, (0.98, y), **look)
    n_methods = len(names)
    for row in _PAPERS[data]:
        value = getattr(row, what) * (100 if what == "quality" else 1)
        if np.isnan(value):
            continue
        positions.append(len(names) + 0.2)
        names.append(row.name)
        error = None if what != "modes" or np.isnan(row.error) else row.error
        panel.errorbar(value, positions[-1], xerr=error, markersize=6, **_DIAMOND)
    panel.set_yticks(positions, names, fontsize="small")
    panel.set_ylim(len(names) - 0.2, -0.6)
    if len(names) > n_methods:
        panel.axhline(n_methods - 0.4, color=BLACK, linewidth=0.8)
        text = "published, other networks and budgets:"
        _note(panel, text, (0.01, n_methods - 0.36), va="top")


def _vertical(panel: Axes, x: float, text: str, *, side: str = "right") -> None:
    panel.axvline(x, **_MARK)
    where = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points"}
    offset = (2 if side == "left" else -2, -2)
    _note(panel, text, (x, 1.0), xytext=offset, ha=side, va="top", **where)


def _note(panel: Axes, text: str, at: tuple[float, float], **more: Any) -> None:
    """Write a small grey text; `at` is a fraction of the width, and a height in data units."""
    look = {"xycoords": ("axes fraction", "data"), "fontsize": "x-small", "color": GREY}
    panel.annotate(text, at, **{**look, **more})
