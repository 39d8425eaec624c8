"""The self-check's picture: bias against the number of samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from gan_lab.reports.plots.samples import render_figure
from gan_lab.selfcheck.checks import Row

# Okabe and Ito's, without the yellow, which is faint on paper.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
_MARKERS = ("o", "s", "^", "D", "v", "P", "X")
_PANELS = (("data units", "data units"), ("nats", "nats"), ("1", "dimensionless"))


def bias_picture(rows: Sequence[Row]) -> np.ndarray:
    """Draw |bias| with its 95 % interval against n on log axes, uint8 [H, W, 3].

    A hollow marker is a bias whose interval holds 0: what it shows is noise.
    """
    panels = [(unit, label) for unit, label in _PANELS if any(r.unit == unit for r in rows)]
    figure = Figure(figsize=(5.2 * len(panels), 5.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle("Bias of the estimators (hollow: not different from 0; bars: 95 % intervals)")
    all_axes = np.atleast_1d(figure.subplots(1, len(panels)))
    for axes, (unit, label) in zip(all_axes, panels, strict=True):
        names = list(dict.fromkeys(row.estimator for row in rows if row.unit == unit))
        for i, name in enumerate(names):
            mine = [row for row in rows if row.estimator == name]
            colour, marker = _COLOURS[i % len(_COLOURS)], _MARKERS[i % len(_MARKERS)]
            n = np.array([row.n for row in mine], dtype=float) * 1.02 ** (i - len(names) / 2)
            size = np.array([max(abs(row.bias), 1e-6) for row in mine])
            half = np.array([(row.high - row.low) / 2 for row in mine])
            bars = [np.minimum(half, 0.9 * size), half]
            axes.errorbar(n, size, yerr=bars, fmt="none", ecolor=colour, alpha=0.6)
            axes.plot(n, size, color=colour, marker=marker, linewidth=1.0, alpha=0.6, label=name)
            style = {"marker": marker, "s": 34, "edgecolors": colour, "zorder": 3}
            inside = [colour if is_clear else "white" for is_clear in size > half]
            axes.scatter(n, size, facecolors=inside, **style)
        axes.set_xscale("log", base=2)
        axes.set_yscale("log")
        ticks = sorted({row.n for row in rows})
        axes.set_xticks(ticks, [str(tick) for tick in ticks])
        axes.minorticks_off()
        axes.set_xlabel("n (samples on each side)")
        axes.set_ylabel(f"|estimate - truth| ({label})")
        axes.grid(alpha=0.3)
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
        axes.legend(fontsize="small", frameon=False, ncols=2, **below)
    return render_figure(figure)
