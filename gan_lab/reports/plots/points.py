"""Points with data, their discriminator and its gradient: a picture that a run draws many times."""

import functools
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import matplotlib
import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from gan_lab.reports.plots.landscape import window
from gan_lab.reports.plots.samples import collect_figure
from gan_lab.reports.plots.style import BLUE, FAKE, REAL, short

_BINS = 60
_GREENS = matplotlib.colormaps["Greens"](np.linspace(0, 0.7, 20), bytes=True)  # of the map
_LOGIT = "discriminator's logit (high = real)"
# Of a line's picture, where the ends of both scales are written.
_CORNERS = (
    *((-0.01, 0, "rm", "black"), (-0.01, 1, "rm", "black")),
    *((1.01, 0, "lm", BLUE), (1.01, 1, "lm", BLUE)),
)
_DPI, _POINTS_PER_INCH = 100, 72
_DATA, _SAMPLES = "real data (held out)", "generated"
Limits = list[tuple[float, float]]
Content = Mapping[str, np.ndarray]


class PointsPicture:
    """Draws samples over data; for d = 1 with the discriminator's curve, for d = 2 with its map.

    What changes with the samples is drawn over a picture of what stays (matplotlib calls that
    blitting), which takes a tenth of the time. The data must stay the same.
    """

    def __init__(self) -> None:
        self._limits: Limits = []

    def draw(self, content: Content, title: str) -> np.ndarray:
        """Draw a landscape, see `landscape.compute`; beyond two dimensions "real" and "fake" alone.

        Returns:
            The picture, uint8 [H, W, 3].
        """
        axes = [content[name] for name in ("x", "y") if name in content]
        limits = [(float(axis[0]), float(axis[-1])) for axis in axes]
        limits = limits or window(content["real"][:, :2], content["fake"][:, :2])
        if limits != self._limits:
            self._limits = limits
            self._prepare(content)
        self._panel.update(content)
        self._canvas.restore_region(self._background)
        pixels = np.asarray(self._canvas.buffer_rgba())
        self._panel.paint(pixels)
        for artist in self._panel.changing:
            artist.draw(self._canvas.renderer)
        image = Image.fromarray(pixels).convert("RGB")
        pen = ImageDraw.Draw(image)
        for text in (self._title._replace(content=title), *self._panel.texts):
            text.draw(pen)
        return np.asarray(image)

    @collect_figure()
    def _prepare(self, content: Content) -> None:
        figure = Figure(figsize=(4.8, 4.2), dpi=_DPI)
        self._canvas: Any = FigureCanvasAgg(figure)
        # Fixed margins: to lay a figure out takes as long as to draw it.
        axes = figure.add_axes((0.14, 0.2, 0.72, 0.73))
        kinds: dict[int, type[_Line | _Scatter]] = {1: _Line, 2: _Map}
        kind = kinds.get(content["real"].shape[1], _Scatter)
        self._panel = kind(axes, content, self._limits)
        self._title = _text_at(axes, 0.5, 1.02, "md", size=12)
        for artist in self._panel.changing:
            artist.set_animated(True)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)


class _Panel:
    """What a picture shows between its title and its legend.

    Attributes:
        changing: What is drawn anew for each picture, the lowest first.
        texts: What is written anew for each picture.
    """

    changing: list[Artist]
    texts: "list[_Text]"

    def paint(self, pixels: np.ndarray) -> None:
        """Change pixels, uint8 [H, W, 4], below all that is drawn."""


class _Scatter(_Panel):
    """The first two coordinates of data and samples."""

    def __init__(self, axes: Axes, content: Content, limits: Limits) -> None:
        look: dict[str, Any] = {"alpha": 0.75}
        real = content["real"]
        x, y = real[:, :2].T
        data = axes.scatter(x, y, s=16, c=REAL, marker="x", linewidths=0.9, label=_DATA, **look)
        self.samples = axes.scatter([], [], s=10, c=FAKE, linewidths=0, label=_SAMPLES, **look)
        axes.set(xlim=limits[0], ylim=limits[1])
        axes.set_aspect("equal", adjustable="box")
        of = "" if real.shape[1] == 2 else f" of {real.shape[1]}"
        axes.set_xlabel(f"coordinate 1{of} (data units)")
        axes.set_ylabel(f"coordinate 2{of} (data units)")
        axes.figure.legend(loc="lower center", ncols=2, frameon=False, bbox_to_anchor=(0.5, 0.025))
        self.changing, self.texts = [data, self.samples], []

    def update(self, content: Content) -> None:
        """Show samples."""
        self.samples.set_offsets(content["fake"][:, :2])


class _Map(_Scatter):
    """Data and samples in two dimensions over the logit, with its gradient at some samples."""

    def __init__(self, axes: Axes, content: Content, limits: Limits) -> None:
        super().__init__(axes, content, limits)
        axes.set_position((0.14, 0.2, 0.64, 0.73))
        figure = axes.figure
        axes.apply_aspect()
        self._box = np.round(axes.bbox.extents).astype(int)
        start = np.zeros((4, len(content["arrow"])))
        look: dict[str, Any] = {"angles": "uv", "color": BLUE, "scale": 12, "width": 0.003}
        self._arrows = axes.quiver(*start, **look)
        figure.text(0.04, 0.01, "arrows: logit's gradient; longest, per data unit:", color=BLUE)
        x, y = axes.transAxes.inverted().transform(figure.transFigure.transform((0.78, 0.01)))
        self._longest = _text_at(axes, x, y, "ls", BLUE)
        bar = figure.add_axes((0.83, 0.25, 0.03, 0.62))
        bar.imshow(_GREENS[:, None], origin="lower", aspect="auto", extent=(0, 1, 0, 1))
        bar.set(xticks=[], yticks=[], ylabel=_LOGIT)
        bar.yaxis.set_label_position("right")
        self._low, self._high = _text_at(bar, 0.5, -0.01, "ma"), _text_at(bar, 0.5, 1.01, "md")
        self.changing = [*self.changing, self._arrows, *axes.spines.values()]

    def update(self, content: Content) -> None:
        """Show samples and the discriminator."""
        super().update(content)
        logits = content["logit"].astype(np.float64)
        low, high = float(logits.min()), float(logits.max())
        with np.errstate(all="ignore"):  # a diverging discriminator's logits may be infinite
            level = (logits - low) / (high - low) * len(_GREENS)
        self._map = np.nan_to_num(level).clip(0, len(_GREENS) - 1).astype(int)
        arrows = content["arrow"]
        longest = max(float(np.linalg.norm(arrows, axis=1).max()), 1e-12)
        self._arrows.set_offsets(content["fake"][: len(arrows)])
        self._arrows.set_UVC(*(arrows / longest).T)
        self.texts = [
            self._low._replace(content=short(low)),
            self._high._replace(content=short(high)),
            self._longest._replace(content=f"{longest:.2g}"),
        ]

    def paint(self, pixels: np.ndarray) -> None:
        """Paint the map: as an image of matplotlib's it would take most of the time."""
        x, bottom, right, top = self._box
        sizes = (top - bottom, right - x)
        rows, columns = (np.arange(n) * m // n for n, m in zip(sizes, self._map.shape, strict=True))
        words = pixels.view(np.uint32)[..., 0]  # a pixel each
        area = words[len(pixels) - top : len(pixels) - bottom, x:right]
        area[:] = _GREENS.view(np.uint32)[:, 0][self._map[:, columns]][rows[::-1]]


class _Line(_Panel):
    """Densities of data and samples in one dimension, and the logit along the line."""

    def __init__(self, axes: Axes, content: Content, limits: Limits) -> None:
        (limit,) = limits
        self._bins = np.linspace(*limit, _BINS + 1)
        self._axes, self._right = axes, axes.twinx()
        axes.set(xlim=limit, yticks=[], xlabel="x (data units)", ylabel="density (per data unit)")
        self._right.set(yticks=[])
        self._right.set_ylabel(_LOGIT, color=BLUE, labelpad=20)
        axes.yaxis.labelpad = 20
        self._density = self._density_of(content["real"])
        look: dict[str, Any] = {"linewidth": 1.6}
        data = axes.stairs(self._density, self._bins, ls="--", ec=REAL, label=_DATA, **look)
        blank = np.zeros(_BINS)
        self._samples: Any = axes.stairs(blank, self._bins, ec=FAKE, label=_SAMPLES, **look)
        (self._logit,) = self._right.plot([], [], color=BLUE, linestyle=":", label="logit")
        axes.figure.legend(loc="lower center", ncols=3, frameon=False)
        self.changing: list[Artist] = [data, self._samples, self._logit]
        self._corners = [_text_at(axes, *place) for place in _CORNERS]

    def _density_of(self, points: np.ndarray) -> np.ndarray:
        counts = np.histogram(points[:, 0], self._bins)[0]
        return np.asarray(counts / (len(points) * (self._bins[1] - self._bins[0])))

    def update(self, content: Content) -> None:
        """Show samples and the discriminator."""
        density = self._density_of(content["fake"])
        self._samples.set_data(density)
        highest = float(max(self._density.max(), density.max()))
        self._axes.set_ylim(0, highest)
        logits = content["logit"].astype(np.float64)
        self._logit.set_data(content["x"], logits)
        finite = logits[np.isfinite(logits)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        self._right.set_ylim(low, high if high > low else low + 1)
        values = (0.0, highest, low, high)
        self.texts = [
            text._replace(content=short(value))
            for text, value in zip(self._corners, values, strict=True)
        ]


class _Text(NamedTuple):
    """A text that is written on the pixels: matplotlib takes ten times as long.

    Attributes:
        place: In pixels from the left and from the top.
        anchor: Which point of the text is there, as Pillow says it.
        colour: Of the letters.
        size: In points.
    """

    place: tuple[float, float]
    anchor: str
    colour: str = "black"
    size: float = 10
    content: str = ""

    def draw(self, pen: ImageDraw.ImageDraw) -> None:
        """Write it."""
        font = _font(self.size)
        pen.text(self.place, self.content, fill=self.colour, font=font, anchor=self.anchor)


def _text_at(
    axes: Axes, x: float, y: float, anchor: str, colour: str = "black", size: float = 10
) -> _Text:
    """Return an empty text at a place of the axes, (0, 0) to (1, 1)."""
    right, up = axes.transAxes.transform((x, y))
    return _Text((float(right), float(axes.figure.bbox.height - up)), anchor, colour, size)


@functools.cache
def _font(size: float) -> ImageFont.FreeTypeFont:
    """Return matplotlib's own font, size in points."""
    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / "DejaVuSans.ttf"
    pixels = size * _DPI / _POINTS_PER_INCH
    return ImageFont.truetype(path, pixels, layout_engine=ImageFont.Layout.BASIC)
