"""Pictures of the study best_and_last; functions of its arrays only."""

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.best_and_last.claims import (
    KINDS,
    NAMES,
    PAPER_DECAYS,
    STAYS,
    best_looks,
    decays,
)
from gan_lab.reports.analysis.statistics import mean
from gan_lab.reports.plots.style import (
    BLACK,
    GREEN,
    GREY,
    STYLES,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

_STYLES = {
    **{name: STYLES[name] for name in ("non_saturating", "wasserstein")},
    "r1": Style("non-saturating with R1", GREEN, ":", "D"),
}


def decay(arrays: Arrays) -> Figure:
    """Draw log(FD last / FD best) of every method: seeds, mean, interval, published values."""
    methods, n_seeds = arrays["methods"].tolist(), len(arrays["seeds"])
    title = "Does FD to held-out images grow again after the best step?"
    figure, axes = canvas(title, 1, 2, (5.6, 3.8), sharex=True, sharey=True)
    for each, kind in zip(axes[0], KINDS, strict=True):
        for y, method in enumerate(methods):
            values, style = decays(arrays, method, kind), _STYLES[method]
            middle, low, high = mean(values)
            if n_seeds > 2:
                each.plot([low, high], [y, y], color=style.colour, linewidth=2.5)
            each.plot(values, [y] * n_seeds, "|", color=style.colour, markersize=14)
            each.plot([middle], [y], style.marker, color=style.colour, markersize=9)
            if kind == "current" and method in PAPER_DECAYS:
                look = {"color": BLACK, "markerfacecolor": "white", "linestyle": ""}
                each.plot([PAPER_DECAYS[method]], [y + 0.3], "D", **look)
        each.axvline(0, color=BLACK, linewidth=0.8)
        each.axvline(STAYS, color=GREY, linewidth=1.0, linestyle=(0, (2, 2)))
        remark(each, STAYS, -0.62, " a quarter worse", va="top")
        each.set_yticks(range(len(methods)), [NAMES[name] for name in methods])
        each.set_ylim(len(methods) - 0.4, -0.7)
        label(each, f"generator {KINDS[kind]}", "log(FD last / FD best)", "")
    handles = [
        axes[0, 0].plot([], [], marker, color=GREY, linestyle="", label=text)[0]
        for marker, text in (("o", "mean, 95 % interval"), ("|", "one seed"))
    ]
    look = {"color": BLACK, "markerfacecolor": "white", "linestyle": ""}
    text = "StudioGAN's log, one training (CIFAR-10: DCGAN, WGAN-GP)"
    handles.append(axes[0, 0].plot([], [], "D", label=text, **look)[0])
    legend_below(figure, handles, 3)
    return figure


def curves(arrays: Arrays) -> Figure:
    """Draw FD to held-out images over the steps; a mark on each seed's best step."""
    methods, steps = arrays["methods"].tolist(), arrays["steps"]
    title = "FD to held-out images over training: median and range of seeds, best steps marked"
    figure, axes = canvas(title, 1, 2, (5.6, 4.0), sharey=True)
    real = float(arrays["real"].mean())
    for i, (each, kind) in enumerate(zip(axes[0], KINDS, strict=True)):
        for method in methods:
            values, style = arrays[f"{method}/held_out"][:, i], _STYLES[method]
            name = Style(NAMES[method], style.colour, style.line, style.marker)
            over_seeds(each, steps, values, name, logarithmic=True)
            best = best_looks(arrays, method, kind)
            at = values[np.arange(len(best)), best]
            each.plot(steps[best], at, "*", color=style.colour, markersize=9)
        each.set_yscale("log")
        reference(each, real, "real data")
        label(each, f"generator {KINDS[kind]}", "steps", "FD / trace of real (no unit)")
    legend_below(figure, axes[0, 0], 3)
    return figure


def images(arrays: Arrays) -> Figure:
    """Draw the same z at the best and at the last step of the first seed, generator as it is."""
    methods = arrays["methods"].tolist()
    title = "The same z at the best step and at the last, first seed, generator as it is"
    figure, axes = canvas(title, len(methods), 2, (5.2, 1.0))
    for row, method in zip(axes, methods, strict=True):
        looks = {"best": int(best_looks(arrays, method, "current")[0]), "last": -1}
        for each, (word, look) in zip(row, looks.items(), strict=True):
            each.imshow(np.hstack(list(arrays[f"{method}/images"][look])), cmap="gray")
            each.set_axis_off()
            step = int(arrays["steps"][look])
            label(each, f"{NAMES[method]}: {word}, step {step}", "", "")
    return figure
