"""Pictures of the study of Stacked MNIST; functions of its arrays only."""

from typing import Any, NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.mode_collapse.coverage import kl_floor
from gan_lab.experiments.stacked_mnist import claims
from gan_lab.experiments.stacked_mnist.claims import NAMES
from gan_lab.reports.plots.style import (
    BLACK,
    GREEN,
    GREY,
    PURPLE,
    STYLES,
    Style,
    canvas,
    label,
    legend_below,
    remark,
)

_STYLES = {
    **{name: STYLES[name] for name in ("non_saturating", "wasserstein")},
    "packing": Style("", PURPLE, "-", "*"),
    "r1": Style("", GREEN, ":", "D"),
}


class PaperRow(NamedTuple):
    """A row of a paper's table."""

    name: str
    modes: float
    kl: float


# The first four read in the authors' tables (V), the others second-hand (V2).
PAPERS = (
    PaperRow("DCGAN, by VEEGAN", 99, 3.40),
    PaperRow("unrolled GAN, by VEEGAN", 48.7, 4.32),
    PaperRow("VEEGAN", 150, 2.95),
    PaperRow("PacDCGAN2", 1000, 0.06),
    PaperRow("StyleGAN2 (second-hand)", 940, 0.42),
    PaperRow("R3GAN (second-hand)", 1000, 0.029),
)


def modes(arrays: Arrays) -> Figure:
    """Draw modes, KL and the confident share of every seed, beside published numbers."""
    n, k = int(arrays["n"]), len(arrays["weights"])
    title = f"Of {n} samples: modes with one of them, how evenly, and how many are legible"
    figure, axes = canvas(title, 1, 3, (5.0, 5.2), sharey=True)
    scores = (claims.modes, claims.kl, claims.confident_share)
    for panel, score in zip(axes[0], scores, strict=True):
        _seeds(panel, arrays, score)
    names = [NAMES[name] for name in arrays["methods"].tolist()]
    for y, row in enumerate(PAPERS, len(names)):
        look: dict[str, Any] = {"color": BLACK, "markerfacecolor": "white", "linestyle": ""}
        axes[0, 0].plot([row.modes], [y + 0.4], "D", **look)
        axes[0, 1].plot([row.kl], [y + 0.4], "D", **look)
    positions = [*range(len(names)), *(len(names) + 0.4 + i for i in range(len(PAPERS)))]
    axes[0, 0].set_yticks(positions, [*names, *(row.name for row in PAPERS)])
    axes[0, 0].set_ylim(positions[-1] + 0.6, -0.9)
    for panel in axes[0]:
        panel.axhline(len(names) - 0.3, color=GREY, linewidth=0.8)
    below = {"transform": axes[0, 2].get_yaxis_transform(), "va": "top"}
    text = "published: other networks,\nlonger, all of MNIST;\nthey give no such share"
    remark(axes[0, 2], 0.03, len(names), text, **below)
    _vertical(axes[0, 0], k, "all ", "right")
    label(axes[0, 0], "modes covered", f"modes with a sample, of {k}", "")
    floor = kl_floor(arrays["weights"], n)
    axes[0, 1].set_xscale("log")
    _vertical(axes[0, 1], floor, f" real data {floor:.2g}", "left")
    label(axes[0, 1], "evenness", "KL of modes' shares from the data's (nats)", "")
    real = 100 * claims.real_confident_share(arrays)
    axes[0, 2].set_xlim(-3, 103)
    _vertical(axes[0, 2], real, f"real data {real:.0f} ", "right")
    label(axes[0, 2], "legibility", "confident samples (%)", "")
    mark: dict[str, Any] = {"color": GREY, "linestyle": ""}
    handles = [
        axes[0, 0].plot([], [], "o", markerfacecolor=inside, label=text, **mark)[0]
        for inside, text in ((GREY, "a seed, generator as it is"), ("white", "averaged"))
    ]
    legend_below(figure, handles, 2)
    return figure


def samples(arrays: Arrays) -> Figure:
    """Draw samples of the first seed of every method, and real ones."""
    rows = {NAMES[name]: arrays[f"{name}/images"] for name in arrays["methods"].tolist()}
    rows["real data (held out)"] = arrays["real_images"]
    title = f"Samples after {int(arrays['steps'])} steps, generator as it is: a digit a colour"
    figure, axes = canvas(title, len(rows), 1, (7.2, 1.1))
    for (name, images), panel in zip(rows.items(), axes[:, 0], strict=True):
        panel.imshow(np.hstack(list(images)))
        panel.set_axis_off()
        label(panel, name, "", "")
    return figure


def _seeds(panel: Axes, arrays: Arrays, score: Any) -> None:
    """Draw each seed's score, full for the generator as it is, open for its average."""
    factor = 100 if score is claims.confident_share else 1
    for y, method in enumerate(arrays["methods"].tolist()):
        style = _STYLES[method]
        for kind, inside in enumerate((style.colour, "white")):
            values = factor * score(arrays, method, kind)
            look: dict[str, Any] = {
                "color": style.colour,
                "markerfacecolor": inside,
                "linestyle": "",
            }
            at = np.full(len(values), y - 0.15 + 0.3 * kind)
            panel.plot(values, at, style.marker, markersize=7, **look)


def _vertical(panel: Axes, x: float, text: str, side: str) -> None:
    panel.axvline(x, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
    remark(panel, x, -0.85, text, ha=side, va="top")
