"""Pictures of cross entropy beside squared error."""

import math

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.cross_entropy_gradients.learning import flow_time
from gan_lab.reports.plots.style import (
    BLACK,
    BLUE,
    GREEN,
    GREY,
    ORANGE,
    VERMILLION,
    Style,
    canvas,
    label,
    legend_below,
    over_seeds,
    reference,
    remark,
)

CROSS_ENTROPY = Style("cross entropy", BLUE, "-", "o")
SQUARED_ERROR = Style("squared error (a - y)$^2$", VERMILLION, "--", "s")
BOTH = {"cross_entropy": CROSS_ENTROPY, "squared": SQUARED_ERROR}
_FORMS = (
    Style("from logits", BLUE, "-", "o"),
    Style("probability clipped at 1e-7, computed in float32", ORANGE, (0, (5, 1)), "s"),
    Style("the same, computed in the dtype", VERMILLION, ":", "^"),
)


def gradients(arrays: Arrays) -> Figure:
    """Draw loss and gradient against the logit."""
    title = "Surely wrong: cross entropy pulls with full force, squared error hardly at all"
    figure, axes = canvas(title, 1, 3)
    x = arrays["sigmoid/logit"]
    for name, style in BOTH.items():
        axes[0, 0].plot(x, arrays[f"sigmoid/{name}_loss"][0], **style.line_arguments())
        axes[0, 1].plot(x, arrays[f"sigmoid/{name}_gradient"][0], **style.line_arguments())
        line = arrays["softmax/logit"]
        axes[0, 2].plot(line, arrays[f"softmax/{name}_line"], **style.line_arguments())
    logit, unit = "logit x (log-odds)", "loss (nats; squared error: no unit)"
    label(axes[0, 0], "sigmoid output, target 0", logit, unit)
    axes[0, 0].set_ylim(-0.2, 6)
    axes[0, 0].plot([0], [math.log(2)], "o", color=BLACK, markersize=5)
    arrow = {"arrowstyle": "-"}
    axes[0, 0].annotate("log 2 at a = .5", (0, math.log(2)), (-9.5, 1.35), arrowprops=arrow)
    title = "its gradient: a - y against 2(a - y)a(1 - a)"
    label(axes[0, 1], title, logit, "gradient (per logit)")
    reference(axes[0, 1], 8 / 27, "8/27, the steepest", at=0.01)
    for each in axes[0, 1:]:
        reference(each, 1, "1", at=0.01)
        each.set_ylim(-0.05, 1.12)
    title, x_label = "softmax of three, a wrong class ahead by x", "lead x of the wrong class"
    label(axes[0, 2], title, x_label, "gradient by its logit (per logit)")
    legend_below(figure, axes[0, 0], 2)
    return figure


def one_neuron(arrays: Arrays, learning_rate: float) -> Figure:
    """Draw one neuron that should answer 0."""
    title = f"One neuron, input 1, target 0, learning rate {learning_rate:g}: a wrong start is no"
    figure, axes = canvas(f"{title} obstacle to cross entropy", 1, 3)
    for name, style in BOTH.items():
        for which, (text, width) in enumerate((("w = .6, b = .9", 1.0), ("w = b = 2", 2.4))):
            output = arrays[f"neuron/{name}_output"][which][:601]
            look = style.line_arguments(linewidth=width, label=f"{style.label}, {text}")
            axes[0, 0].plot(output, **look)
    threshold = float(arrays["neuron/learned"])
    reference(axes[0, 0], threshold, f"learned: a = {threshold:g}")
    axes[0, 0].set_ylim(0, 1.02)
    label(axes[0, 0], "thin: start .6, .9; thick: start 2, 2", "step", "output a")
    flow = flow_time(start := arrays["neuron/start"], threshold)
    for name, style in BOTH.items():
        axes[0, 1].plot(start, flow[name] / learning_rate, **style.line_arguments())
        steps = arrays[f"neuron/{name}_steps"].astype(float)
        steps[steps < 0] = np.nan  # not learned
        look = {"color": style.colour, "markersize": 4, "markerfacecolor": "white"}
        axes[0, 1].plot(start, steps, style.marker, **look)
    axes[0, 1].set_yscale("log")
    title, at_start = "lines: gradient flow; marks: counted", "logit at the start, w + b"
    label(axes[0, 1], title, at_start, f"steps until a <= {threshold:g}")
    logits = arrays["neuron/random_logit"].ravel()
    quick, slow = (arrays[f"neuron/{name}_random_steps"].ravel() for name in BOTH)
    fair = (quick >= 10) & (slow >= 0)
    ratios = slow[fair] / quick[fair]
    axes[0, 2].plot(logits[fair], ratios, ".", color=GREY, markersize=3, alpha=0.5)
    axes[0, 2].set_yscale("log")
    reference(axes[0, 2], 2, "never below 2 = 1/(2 a(1 - a)) at a = .5")
    axes[0, 2].set_ylim(1.5, None)
    ticks = [t for t in (2, 3, 4, 6, 10, 20, 50, 100) if t <= axes[0, 2].get_ylim()[1]]
    axes[0, 2].set_yticks(ticks, [str(t) for t in ticks])
    axes[0, 2].minorticks_off()
    title = f"{fair.sum()} random starts, all seeds"
    label(axes[0, 2], title, at_start, "steps, squared error / cross entropy")
    legend_below(figure, axes[0, 1], 2)
    return figure


def labels_and_slips(arrays: Arrays) -> Figure:
    """Draw soft labels and what is often said wrongly."""
    figure, axes = canvas("Soft labels, and three slips that are often made", 1, 3)
    soft, middle, right = axes[0]
    outputs = np.linspace(0.002, 0.998, 499)
    for y, line in ((0.05, ":"), (0.3, "-."), (0.5, "-"), (0.8, "--")):
        loss = -y * np.log(outputs) - (1 - y) * np.log(1 - outputs)
        soft.plot(outputs, loss, color=BLUE, linestyle=line, linewidth=1.3, label=f"y = {y:g}")
    least = arrays["soft/best_output"], arrays["soft/least_loss"]
    soft.plot(*least, color=BLACK, linewidth=2.2, label="least, at a = y: H(y)")
    soft.set_ylim(0, 2.5)
    look = {"ha": "center", "fontsize": "small", "arrowprops": {"arrowstyle": "->"}}
    text = "y = a = .5 costs\nlog 2 = .693, not 0"
    soft.annotate(text, (0.5, math.log(2)), (0.5, 0.2), **look)
    label(soft, "the floor of cross entropy is H(y)", "output a (probability)", "loss (nats)")
    soft.legend(fontsize="small", loc="upper center")
    q = arrays["asymmetry/q"]
    floor = float(arrays["asymmetry/entropy_p"][0])
    middle.plot(q, arrays["asymmetry/pq"], color=BLUE, label="H(p, q)")
    middle.plot(q, arrays["asymmetry/qp"], color=VERMILLION, linestyle="--", label="H(q, p)")
    middle.plot(q, arrays["asymmetry/entropy_q"], color=GREY, linestyle=":", label="H(q)")
    middle.axhline(floor, color=GREY, linewidth=1.0, linestyle=(0, (2, 2)))
    remark(middle, 0.5, floor - 0.04, "H(p), the floor of H(p, q)", ha="center", va="top")
    middle.axvline(0.9, color=GREY, linewidth=0.8)
    remark(middle, 0.89, 2.85, "q = p", ha="right")
    middle.set_ylim(0, 3.1)
    middle.legend(fontsize="small", loc="upper center")
    label(middle, "not symmetric: p = (.9, .1) against q", "q of heads (probability)", "nats")
    share = arrays["js/share"]
    right.plot(1 - share, arrays["js/bits"], color=GREEN, linestyle="--", label="JS in bits")
    right.plot(1 - share, arrays["js/nats"], color=BLUE, label="JS in nats")
    reference(right, math.log(2), "log 2, the most in nats", at=0.01)
    reference(right, 1, "1, the most in bits", at=0.01)
    right.set_ylim(-0.03, 1.12)
    right.legend(fontsize="small", loc="lower right")
    title, x_label = "JS lies in [0, 1] in bits only", "mass moved off: 0 equal, 1 disjoint"
    label(right, title, x_label, "JS (bits or nats)")
    return figure


def precision(arrays: Arrays) -> Figure:
    """Draw loss and gradient of sure answers in float32 and float16."""
    title = "A sure answer in low precision: logits are right, clipped probabilities are not"
    figure, axes = canvas(title, 2, 3, size=(4.8, 3.1))
    x = arrays["precision/logit"]
    panels = (
        ("float32", 1, "label 1, sure of 0 to the left"),
        ("float16", 1, "label 1, sure of 1 to the right"),
        ("float16", 0, "label 0, sure of 1 to the right"),
    )
    for column, (dtype, which, text) in enumerate(panels):
        for row, quantity in enumerate(("loss", "gradient")):
            each = axes[row, column]
            for form, style in enumerate(_FORMS):
                values = arrays[f"precision/{dtype}_{quantity}"][form, which]
                _with_holes(each, x, values, style, top=42.0 if row == 0 else None)
            each.set_xlim(-41, 41)
            unit = "loss (nats)" if row == 0 else "gradient (per logit)"
            label(each, f"{dtype}, {text}" if row == 0 else "", "logit x (log-odds)", unit)
        axes[0, column].set_ylim(-2, 45)
        low = -1.15 if which == 1 else -0.15
        axes[1, column].set_ylim(low, low + 1.3)
    for each in axes[0, :2]:
        reference(each, -math.log(1e-7), "-log 1e-7 = 16.118")
    reference(axes[0, 2], 23 * math.log(2), "23 log 2 = 15.942", at=0.01)
    legend_below(figure, axes[0, 0], 3)
    return figure


def overfitting(arrays: Arrays, stop: np.ndarray, n_train: int, rate: float) -> Figure:
    """Draw training against held-out cross entropy and accuracy."""
    title = f"Overfitting {n_train} digits: training cross entropy falls on, held-out turns round"
    figure, axes = canvas(title, 1, 2, size=(5.6, 3.9))
    step = arrays["fit/step"]
    for part, style in (
        ("train", Style("training digits", BLUE, "-", "o")),
        ("judge", Style("held-out digits", VERMILLION, "--", "s")),
    ):
        over_seeds(axes[0, 0], step, arrays[f"fit/{part}_loss"], style, logarithmic=True)
        over_seeds(axes[0, 1], step, arrays[f"fit/{part}_accuracy"], style)
    best = float(np.median(step[stop]))
    for each in axes[0]:
        each.axvline(best, color=GREY, linewidth=1, linestyle=(0, (2, 2)))
        each.set_xscale("symlog", linthresh=1)
        each.set_xlim(0, step[-1])
    axes[0, 0].set_yscale("log")
    reference(axes[0, 0], math.log(10), "log 10: ten equal guesses")
    at = {"xycoords": ("data", "axes fraction"), "xytext": (-4, 0), "textcoords": "offset points"}
    text = f"other held-out digits\nwould stop at {best:.0f}"
    axes[0, 0].annotate(text, (best, 0.02), **at, ha="right", fontsize="small", color=GREY)
    step_label = f"step of Adam, rate {rate:g}"
    label(axes[0, 0], "median and range over seeds", step_label, "cross entropy (nats a digit)")
    label(axes[0, 1], "accuracy stays", step_label, "share of right answers")
    reference(axes[0, 1], 0.1, "guessing")
    legend_below(figure, axes[0, 0], 2)
    return figure


def _with_holes(
    axes: Axes, x: np.ndarray, values: np.ndarray, style: Style, top: float | None
) -> None:
    """Draw a line; infinite and nan values are marks at `top`, or a shaded stretch."""
    axes.plot(x, np.where(np.isfinite(values), values, np.nan), **style.line_arguments())
    holes = x[~np.isfinite(values)]
    if top is None and len(holes):
        axes.axvspan(holes.min(), holes.max(), color=style.colour, alpha=0.15, linewidth=0)
        text = "not finite" if style is _FORMS[-1] else ""
        at = {"ha": "center", "transform": axes.get_xaxis_transform()}
        remark(axes, holes.mean(), 0.5, text, color=style.colour, **at)
    for is_hole, marker, text in ((np.isposinf, "^", "infinite"), (np.isnan, "x", "nan")):
        where = x[is_hole(values)]
        if top is not None and len(where):
            axes.plot(where[::24], np.full(len(where[::24]), top), marker, color=style.colour, ms=4)
            remark(axes, where.mean(), top - 5, text, ha="center", color=style.colour)
