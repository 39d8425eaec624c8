"""Pictures of the Dirac-GAN: vector fields, eigenvalues, final norms."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Circle

from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    SERIES,
    VERMILLION,
    canvas,
    label,
    legend_below,
    remark,
)

_SCHEMES = ("simultaneous", "alternating, 1 discriminator update", "alternating, 5")
_COLOURS = (VERMILLION, BLUE, GREEN)
_LINES: tuple[Any, ...] = ("-", (0, (4, 1.5)), (0, (1, 1)))
_MARKERS = ("o", "s", "^")


def fields(
    titles: Sequence[str], paths: np.ndarray, vectors: np.ndarray, limits: np.ndarray
) -> Figure:
    """Draw a panel a method: minus both gradients, and the trajectories of the schedules.

    Args:
        titles: Of the methods.
        paths: (theta, psi), [method, scheme, step, 2].
        vectors: On a square grid of each method, [method, 2, n, n].
        limits: Half the side of that grid, [method].
    """
    title = f"Dirac-GAN: {paths.shape[2] - 1} steps from the star; undamped games circle (0, 0)"
    figure, axes = canvas(title, 3, 3, (3.9, 3.75))
    for i, (panel, title) in enumerate(zip(axes.flat, titles, strict=True)):
        line = np.linspace(-limits[i], limits[i], vectors.shape[-1])
        look = {"color": "#BDBDBD", "linewidth": 0.7, "arrowsize": 0.8, "density": 0.9}
        panel.streamplot(line, line, *vectors[i], **look)
        for j in range(paths.shape[1]):
            theta, psi = paths[i, j].T
            panel.plot(theta, psi, color=_COLOURS[j], linestyle=_LINES[j], linewidth=1.1)
        for j in range(paths.shape[1]):
            end = paths[i, j, -1]
            panel.plot(*end, _MARKERS[j], color=_COLOURS[j], mec="white", ms=8, zorder=6)
        panel.plot(*paths[i, 0, 0], "*", color=BLACK, mec="white", ms=14, zorder=5)
        panel.plot(0, 0, "+", color=BLACK, ms=12, mew=1.6, zorder=7)
        panel.set_xlim(-limits[i], limits[i])
        panel.set_ylim(-limits[i], limits[i])
        panel.set_aspect("equal")
        panel.grid(False)
        label(panel, title, "generator theta (data units)", "discriminator psi (nats per unit)")
    legend_below(figure, _legend(True), 5, fontsize="medium")
    return figure


def eigenvalues(titles: Sequence[str], automatic: np.ndarray, formulas: np.ndarray) -> Figure:
    """Draw eigenvalues of one step at the equilibrium, by autograd and in closed form.

    Both are complex, [method, scheme, 2]; nan for none.
    """
    title = "Eigenvalues of one step at the equilibrium: inside the unit circle it attracts"
    figure, axes = canvas(f"{title}, outside it repels", 1, 3, (4.6, 5.2))
    for j, panel in enumerate(axes.flat):
        panel.add_patch(Circle((0, 0), 1, fill=True, facecolor="#F1F1F1", edgecolor=GREY, lw=1.2))
        panel.set_axisbelow(True)
        smooth = [i for i in range(len(titles)) if not np.isnan(automatic[i, j]).any()]
        for k, i in enumerate(smooth):
            style = SERIES[k % len(SERIES)]
            both = automatic[i, j].real, automatic[i, j].imag
            look = {"mfc": "none", "mec": style.colour, "mew": 1.7, "ms": 13, "label": titles[i]}
            panel.plot(*both, style.marker, **look)
            exact = formulas[i, j]
            panel.plot(exact.real, exact.imag, ".", color=BLACK, ms=4, zorder=9)
        every = np.concatenate([automatic[:, j].ravel(), [1.0]])
        every = every[np.isfinite(every)]
        panel.set_xlim(min(0.75, float(every.real.min()) - 0.08), 1.05)
        height = max(0.3, 1.2 * float(np.abs(every.imag).max()))
        panel.set_ylim(-height, height)
        label(panel, _SCHEMES[j], "real part", "imaginary part")
        remark(panel, 0.03, 0.03, "inside: |eigenvalue| < 1", transform=panel.transAxes)
    handles = axes[0, 0].get_legend_handles_labels()[0]
    handles += [
        Line2D([], [], color=BLACK, ls="", marker=".", label="closed form (marker: autograd)"),
        Line2D([], [], ls="", label="WGAN-GP: none, a kink at psi = 0"),
    ]
    legend_below(figure, handles, 4)
    return figure


def final_norms(titles: Sequence[str], norms: np.ndarray, table: Sequence[Sequence[str]]) -> Figure:
    """Draw the distance that ends a run, [method, scheme], on the table's number (hollow)."""
    title = "Where the nine methods end: distance from the equilibrium"
    figure, axes = canvas(title, 1, 2, (7.0, 5.4), sharey=True, width_ratios=[2.1, 1])
    panel, numbers = axes[0]
    numbers.set_axis_off()
    for i in range(len(titles)):
        row = len(titles) - 1 - i
        for j in range(norms.shape[1]):
            y = row + 0.24 * (1 - j)
            panel.plot(float(table[i][j]), y, _MARKERS[j], mfc="none", mec=BLACK, ms=11, mew=1.0)
            panel.plot(norms[i, j], y, _MARKERS[j], color=_COLOURS[j], ms=6)
            text = f"{norms[i, j]:.4g}" if norms[i, j] >= 1e-6 else f"{norms[i, j]:.1e}"
            numbers.text(0.36 * j, row, text, color=_COLOURS[j], va="center", fontsize="small")
        if i % 2:
            for each in (panel, numbers):
                each.axhspan(row - 0.5, row + 0.5, color="#F3F3F3", zorder=0)
    for j, name in enumerate(("simulta-\nneous", "alter-\nnating, 1", "alter-\nnating, 5")):
        numbers.text(0.36 * j, len(titles) - 0.45, name, color=_COLOURS[j], fontsize="small")
    numbers.set_xlim(-0.02, 1.1)
    panel.set_xscale("log")
    panel.set_yticks(range(len(titles)), titles[::-1])
    panel.set_ylim(-0.6, len(titles) - 0.4)
    panel.tick_params(axis="y", length=0)
    low, high = panel.get_xlim()
    areas = [
        panel.axvspan(low, 1e-3, color=GREEN, alpha=0.12, lw=0, label="converged: below .001"),
        panel.axvspan(0.1, high, color=VERMILLION, alpha=0.12, lw=0, label="stays away: above .1"),
    ]
    panel.set_xlim(low, high)
    look = {"color": GREY, "linestyle": (0, (2, 2)), "linewidth": 1.0}
    line = panel.axvline(1e-6, label="digits are compared above 1e-6", **look)
    label(panel, "", "|(theta, psi)| after the last step (log scale)", "method")
    hollow = Line2D([], [], ls="", marker="o", mfc="none", mec=BLACK, ms=11, label="the table")
    legend_below(figure, [*_legend(False), hollow, *areas, line], 4)
    return figure


def _legend(lines: bool) -> list[Line2D]:
    handles = []
    for j, name in enumerate(_SCHEMES):
        text = name + (" (marker: end)" if lines and j == 0 else "")
        look: dict[str, Any] = {"linestyle": _LINES[j] if lines else "", "marker": _MARKERS[j]}
        handles.append(Line2D([], [], color=_COLOURS[j], label=text, **look))
    if lines:
        handles.append(Line2D([], [], color=BLACK, ls="", marker="*", ms=12, label="start"))
        handles.append(Line2D([], [], color=BLACK, ls="", marker="+", ms=11, label="equilibrium"))
    return handles
