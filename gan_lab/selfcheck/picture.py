"""The self-check's figure: bias against the number of samples."""

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure

from gan_lab.reports.plots.style import SERIES, canvas, label
from gan_lab.selfcheck.checks import Row

_PANELS = (("data units", "data units"), ("nats", "nats"), ("1", "no unit"))


def bias_figure(rows: Sequence[Row]) -> Figure:
    """Draw |bias| with its 95 % interval against n on log axes, inside `style.house_style()`.

    A hollow marker is a bias whose interval holds 0: what it shows is noise.
    """
    panels = [(unit, words) for unit, words in _PANELS if any(r.unit == unit for r in rows)]
    title = "Bias of the estimators (hollow: not different from 0; bars: 95 % intervals)"
    figure, grid = canvas(title, 1, len(panels), (5.2, 5.6))
    for axes, (unit, words) in zip(grid[0], panels, strict=True):
        names = list(dict.fromkeys(row.estimator for row in rows if row.unit == unit))
        for i, name in enumerate(names):
            mine = [row for row in rows if row.estimator == name]
            colour, marker = SERIES[i % len(SERIES)].colour, SERIES[i % len(SERIES)].marker
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
        label(axes, "", "n (samples on each side)", f"|estimate - truth| ({words})")
        below = {"loc": "upper center", "bbox_to_anchor": (0.5, -0.13)}
        axes.legend(fontsize="small", frameon=False, ncols=2, **below)
    return figure
