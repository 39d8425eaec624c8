"""One look for all figures: fonts, a colour, line style and marker for each loss, and helpers.

Okabe and Ito's colours, which the colour-blind can tell apart; every loss has a line style and a
marker of its own besides, so that figures survive a greyscale printer. Maps use cividis, whose
lightness is monotone. Whoever makes and draws figures does both inside `house_style()`.
"""

import contextlib
import io
import math
import textwrap
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

MAP = "cividis"
DPI = 150
VECTOR_FORMATS = ("svg", "pdf")
_TITLE, _TEXT = 15.0, 12.0  # points
# The last row of a room reads titles, labels and ticks of 11 points and more.
_PARAMETERS = {
    "font.size": _TEXT,
    "axes.titlesize": _TEXT,
    "axes.labelsize": _TEXT,
    "xtick.labelsize": 11.0,
    "ytick.labelsize": 11.0,
    "legend.fontsize": 11.0,
    "figure.titlesize": _TITLE,
    "figure.dpi": DPI,
    "svg.hashsalt": "gan_lab",  # the same figure, the same bytes
}
_CHARACTER = 0.52  # mean width of a character in font sizes
BLACK, ORANGE, SKY, GREEN, YELLOW, BLUE, VERMILLION, PURPLE, GREY = (
    *("#000000", "#E69F00", "#56B4E9", "#009E73", "#F0E442"),
    *("#0072B2", "#D55E00", "#CC79A7", "#6B6B6B"),
)
REAL, FAKE = BLACK, VERMILLION
_NOTE = "#9A4300"  # vermillion, dark enough for words


@dataclass(frozen=True)
class Style:
    """How one thing is drawn in every figure."""

    label: str
    colour: str
    line: Any
    marker: str

    def line_arguments(self, **more: Any) -> dict[str, Any]:
        """Return arguments for `plot`."""
        return {"color": self.colour, "linestyle": self.line, "label": self.label, **more}


# Name of a method -> how it looks, the same in every figure of the project.
STYLES: dict[str, Style] = {
    "minimax": Style("minimax", VERMILLION, "-", "o"),
    "non_saturating": Style("non-saturating", ORANGE, "--", "s"),
    "wasserstein": Style("WGAN-GP", BLUE, "-", "^"),
    "wasserstein_clip": Style("WGAN clip", SKY, "-.", "v"),
    "least_squares": Style("least squares", GREEN, ":", "D"),
    "hinge": Style("hinge", PURPLE, (0, (5, 1)), "P"),
    "relativistic": Style("relativistic", GREY, (0, (3, 1, 1, 1)), "X"),
}
# For series that are no losses, in this order.
SERIES = tuple(
    Style("", colour, line, marker)
    for colour, line, marker in (
        (BLUE, "-", "o"),
        (VERMILLION, "--", "s"),
        (GREEN, ":", "^"),
        (PURPLE, "-.", "D"),
        (ORANGE, (0, (5, 1)), "v"),
        (SKY, (0, (3, 1, 1, 1)), "P"),
        (BLACK, (0, (1, 1)), "X"),
        (GREY, (0, (7, 2)), "*"),
    )
)


@contextlib.contextmanager
def house_style() -> Iterator[None]:
    """Give what is made and drawn inside the project's fonts and resolution."""
    with matplotlib.rc_context(_PARAMETERS):  # type: ignore[arg-type]
        yield


def canvas(
    title: str,
    rows: int = 1,
    columns: int = 1,
    size: tuple[float, float] = (5.0, 3.8),
    *,
    dpi: int = DPI,
    **more: Any,
) -> tuple[Figure, np.ndarray]:
    """Return a figure and its axes, [rows, columns], ready to be rendered without a display.

    The title, one sentence, stands above all panels, in as many lines as it needs; `size` is that
    of one panel in inches.
    """
    figsize = (size[0] * columns, size[1] * rows + 0.5)
    figure = Figure(figsize=figsize, dpi=dpi, layout="constrained")
    FigureCanvasAgg(figure)
    points = _TITLE if columns > 1 else 13.0
    figure.suptitle(wrap_text(title, figsize[0], points), fontsize=points)
    axes = np.atleast_2d(figure.subplots(rows, columns, squeeze=False, **more))
    for each in axes.flat:
        each.grid(alpha=0.25)
        each.spines[["top", "right"]].set_visible(False)
    return figure, axes


def label(axes: Axes, title: str, x: str, y: str) -> None:
    """Set title and axis labels of one panel, in as many lines as its size asks for.

    Units belong into the labels, in brackets and in words: "(share)", not "(1)".
    """
    width, height = _panel_inches(axes)
    axes.set_title(wrap_text(title, width, _TEXT), fontsize="medium")
    axes.set_xlabel(wrap_text(x, width, _TEXT))
    axes.set_ylabel(wrap_text(y, height, _TEXT))


def _panel_inches(axes: Axes) -> tuple[float, float]:
    """Return about the size of a panel without its labels."""
    figure, grid = axes.get_figure(root=True), axes.get_gridspec()
    if figure is None or grid is None:
        return math.inf, math.inf
    box, inches = axes.get_position(), figure.get_size_inches()
    between, (whole, tall) = 0.2, (0.775, 0.77)  # matplotlib's, before the layout is computed
    n, m = grid.ncols, grid.nrows
    width = inches[0] * box.width / whole * (1 + between * (n - 1) / n)
    height = inches[1] * box.height / tall * (1 + between * (m - 1) / m)
    return max(0.9, width - 0.75), max(0.9, height - 0.55)


def wrap_text(text: str, inches: float, points: float) -> str:
    """Return a text in lines that fit into a width; its own line ends stay."""
    if not math.isfinite(inches):
        return text
    n_characters = max(8, int(72 * inches / (_CHARACTER * points)))
    lines = (textwrap.wrap(line, n_characters) or [""] for line in text.split("\n"))
    return "\n".join(part for parts in lines for part in parts)


def over_seeds(
    axes: Axes,
    x: np.ndarray,
    values: np.ndarray,
    style: Style,
    *,
    logarithmic: bool = False,
    **more: Any,
) -> None:
    """Draw the median over seeds of values [S, T] at x [T], least to greatest as a band.

    nan is left out; so is what a logarithmic axis cannot show.
    """
    values = np.where(values > 0, values, np.nan) if logarithmic else values
    has_value = np.isfinite(values).any(0)
    x, values = np.asarray(x)[has_value], values[:, has_value]
    if not len(x):
        return
    low, high = np.nanmin(values, 0), np.nanmax(values, 0)
    axes.fill_between(x, low, high, color=style.colour, alpha=0.18, linewidth=0)
    markers = {"marker": style.marker, "markersize": 4} if len(x) <= 16 else {}
    axes.plot(x, np.nanmedian(values, 0), **style.line_arguments(**markers, **more))


def error_bars(
    axes: Axes, x: np.ndarray, values: np.ndarray, style: Style, **more: Any
) -> np.ndarray:
    """Draw the median over seeds as a marker, least to greatest as a bar; values are [S, T].

    Returns:
        The medians, [T].
    """
    middle = np.median(values, 0)
    bars = np.stack([middle - values.min(0), values.max(0) - middle])
    look = {"marker": style.marker, "linestyle": "", "color": style.colour}
    axes.errorbar(x, middle, bars, **{**look, "label": style.label, **more})
    return middle


def reference(axes: Axes, y: float, text: str, *, at: float = 0.99) -> None:
    """Draw a horizontal line at a known value (log 2, -log 4, a floor) with its name."""
    axes.axhline(y, color=GREY, linewidth=1.0, linestyle=(0, (2, 2)), zorder=1)
    side = "right" if at > 0.5 else "left"
    look: dict[str, Any] = {"ha": side, "va": "bottom", "fontsize": "small", "color": GREY}
    look |= {"xycoords": ("axes fraction", "data"), "textcoords": "offset points"}
    axes.annotate(text, (at, y), xytext=(0, 2), **look)


def remark(axes: Axes, x: float, y: float, text: str, **more: Any) -> None:
    """Write small grey text at a point, in data units unless a transform is given."""
    axes.text(x, y, text, **{"color": GREY, "fontsize": "small", **more})


def legend_below(
    figure: Figure, entries: Axes | Sequence[Artist], columns: int = 4, **more: Any
) -> None:
    """Draw one legend for all panels, below them, of one panel's labels or of given handles.

    It has fewer columns than asked for where they would leave the figure.
    """
    handles = entries.get_legend_handles_labels()[0] if isinstance(entries, Axes) else entries
    lengths = [4 + max(map(len, str(handle.get_label()).split("\n"))) for handle in handles]
    n_fit = int(72 * figure.get_size_inches()[0] / (_CHARACTER * _TEXT * max(lengths, default=1)))
    look = {"ncols": max(1, min(columns, n_fit)), "frameon": False, "fontsize": "small", **more}
    figure.legend(handles=handles, loc="outside lower center", **look)


def note_below(figure: Figure, text: str) -> None:
    """Write a sentence below all panels and above their common legend, once all else is drawn.

    For what a figure cannot show: "Too few seeds to tell: 1, the full study has 9."
    """
    if not text:
        return
    if not figure.legends:
        figure.legend(handles=[], loc="outside lower center", frameon=False)
    legend = figure.legends[0]
    before = legend.get_title().get_text()
    lines = wrap_text(text, 0.9 * figure.get_size_inches()[0], _TEXT)
    legend.set_title(f"{before}\n{lines}" if before else lines)
    legend.get_title().set(color=_NOTE, multialignment="center", fontsize=_TEXT)


def vector_graphics(figure: Figure, kind: str) -> bytes:
    """Return a figure as the content of an SVG or a PDF; the same figure gives the same bytes."""
    date = {"svg": "Date", "pdf": "CreationDate"}[kind]
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind, metadata={date: None})
    return buffer.getvalue()


def heat(
    figure: Figure,
    axes: Axes,
    values: np.ndarray,
    x: Sequence[Any] | np.ndarray,
    y: Sequence[Any] | np.ndarray,
    bar: str | None,
    low: float,
    high: float,
) -> None:
    """Draw [len(y), len(x)] values as a map with cell borders between the measured x and y.

    x increases; y are equally spaced labels; nan is a hole. The colours span low to high; `bar`
    labels a colour bar, if there is to be one.
    """
    edges = _edges(np.asarray(x, dtype=float))
    mesh = axes.pcolormesh(
        edges, np.arange(len(y) + 1), values, cmap=MAP, vmin=low, vmax=high, rasterized=True
    )
    axes.set_facecolor("#BBBBBB")
    axes.grid(False)
    axes.set_yticks(np.arange(len(y)) + 0.5, [str(each) for each in y])
    if bar is not None:
        figure.colorbar(mesh, ax=axes, label=bar)


def _edges(x: np.ndarray) -> np.ndarray:
    if len(x) == 1:
        return np.array([x[0] - 0.5, x[0] + 0.5])
    middle = (x[1:] + x[:-1]) / 2
    return np.concatenate([[2 * x[0] - middle[0]], middle, [2 * x[-1] - middle[-1]]])


def short(value: float) -> str:
    """Format a number for a figure or a table."""
    if math.isnan(value):
        return "undefined"
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return f"{value:.3g}"
