"""Points with data, their discriminator and its gradient: a picture that a run draws many times."""

import math
from typing import Any

import matplotlib
import numpy as np
import torch
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image
from torch import Tensor

from gan_lab.regularizers.base import Score, input_gradient
from gan_lab.reports.plots.samples import collect_figure
from gan_lab.reports.plots.style import BLUE, FAKE, REAL, short

_MAP_POINTS = 40  # of the discriminator's landscape along each axis
_LINE_POINTS, _BINS = 256, 60
_ARROWS = 64
_GREENS = matplotlib.colormaps["Greens"](np.linspace(0, 0.7, 20), bytes=True)  # of the map
_LOGIT = "discriminator's logit (high = real)"
# Of a line's picture, where the ends of both scales are written.
_CORNERS = (
    *((-0.01, 0, "right", "black"), (-0.01, 1, "right", "black")),
    *((1.01, 0, "left", BLUE), (1.01, 1, "left", BLUE)),
)
_DATA, _SAMPLES = "real data (held out)", "generated"
Limits = list[tuple[float, float]]


class PointsPicture:
    """Draws samples over data; for d = 1 with the discriminator's curve, for d = 2 with its map.

    What changes with the samples is drawn over a picture of what stays (matplotlib calls that
    blitting), which takes a tenth of the time.

    Args:
        real: Data points, [N, d].
    """

    def __init__(self, real: Tensor) -> None:
        self._real = real.detach()
        self._limits: Limits = []

    def draw(self, fake: Tensor, score: Score, title: str) -> np.ndarray:
        """Draw generated points [M, d] and their discriminator, uint8 [H, W, 3]."""
        fake = fake.detach()
        limits = [_limits(self._real, fake, axis) for axis in range(min(2, self._real.shape[1]))]
        if limits != self._limits:
            self._limits = limits
            self._prepare()
        self._title.set_text(title)
        self._panel.update(fake, score)
        self._canvas.restore_region(self._background)
        pixels = np.asarray(self._canvas.buffer_rgba())
        self._panel.paint(pixels)
        for artist in (*self._panel.changing, self._title):
            artist.draw(self._canvas.renderer)
        return np.asarray(Image.fromarray(pixels).convert("RGB"))

    @collect_figure()
    def _prepare(self) -> None:
        figure = Figure(figsize=(4.8, 4.2), dpi=100)
        self._canvas: Any = FigureCanvasAgg(figure)
        # Fixed margins: to lay a figure out takes as long as to draw it.
        axes = figure.add_axes((0.14, 0.2, 0.72, 0.73))
        kinds: dict[int, type[_Line | _Scatter]] = {1: _Line, 2: _Map}
        kind = kinds.get(self._real.shape[1], _Scatter)
        self._panel = kind(axes, self._real, self._limits)
        self._title = axes.set_title("")
        for artist in (*self._panel.changing, self._title):
            artist.set_animated(True)
        self._canvas.draw()
        self._background = self._canvas.copy_from_bbox(figure.bbox)


class _Panel:
    """What a picture shows between its title and its legend.

    Attributes:
        changing: What is drawn anew for each picture, the lowest first.
    """

    changing: list[Artist]

    def paint(self, pixels: np.ndarray) -> None:
        """Change pixels, uint8 [H, W, 4], below all that is drawn."""


class _Scatter(_Panel):
    """The first two coordinates of data and samples."""

    def __init__(self, axes: Axes, real: Tensor, limits: Limits) -> None:
        look: dict[str, Any] = {"alpha": 0.75}
        x, y = real[:, :2].T.cpu().numpy()
        data = axes.scatter(x, y, s=16, c=REAL, marker="x", linewidths=0.9, label=_DATA, **look)
        self.samples = axes.scatter([], [], s=10, c=FAKE, linewidths=0, label=_SAMPLES, **look)
        axes.set(xlim=limits[0], ylim=limits[1])
        axes.set_aspect("equal", adjustable="box")
        of = "" if real.shape[1] == 2 else f" of {real.shape[1]}"
        axes.set_xlabel(f"coordinate 1{of} (data units)")
        axes.set_ylabel(f"coordinate 2{of} (data units)")
        axes.figure.legend(loc="lower center", ncols=2, frameon=False, bbox_to_anchor=(0.5, 0.025))
        self.changing = [data, self.samples]

    def update(self, fake: Tensor, score: Score) -> None:
        """Show samples [M, d]."""
        self.samples.set_offsets(fake[:, :2].cpu().numpy())


class _Map(_Scatter):
    """Data and samples in two dimensions over the logit, with its gradient at some samples."""

    def __init__(self, axes: Axes, real: Tensor, limits: Limits) -> None:
        super().__init__(axes, real, limits)
        axes.set_position((0.14, 0.2, 0.64, 0.73))
        device, figure = real.device, axes.figure
        x, y = (torch.linspace(*each, _MAP_POINTS, device=device) for each in limits)
        self._grid = torch.cartesian_prod(y, x).flip(1)  # a row of the map is a row of pixels
        axes.apply_aspect()
        self._box = np.round(axes.bbox.extents).astype(int)
        start = np.zeros((4, _ARROWS))
        look: dict[str, Any] = {"angles": "uv", "color": BLUE, "scale": 12, "width": 0.003}
        self._arrows = axes.quiver(*start, **look)
        figure.text(0.04, 0.01, "arrows: logit's gradient; longest, per data unit:", color=BLUE)
        self._longest = figure.text(0.78, 0.01, "", color=BLUE)  # short: texts are dear
        bar = figure.add_axes((0.83, 0.25, 0.03, 0.62))
        bar.imshow(_GREENS[:, None], origin="lower", aspect="auto", extent=(0, 1, 0, 1))
        bar.set(xticks=[], yticks=[], ylabel=_LOGIT)
        bar.yaxis.set_label_position("right")
        self._low = bar.text(0.5, -0.01, "", ha="center", va="top")
        self._high = bar.text(0.5, 1.01, "", ha="center", va="bottom")
        texts, frame = [self._longest, self._low, self._high], axes.spines.values()
        self.changing = [*self.changing, self._arrows, *frame, *texts]

    def update(self, fake: Tensor, score: Score) -> None:
        """Show samples [M, 2] and the discriminator."""
        super().update(fake, score)
        with torch.no_grad():
            logits = score(self._grid).cpu().double().numpy()
        low, high = float(logits.min()), float(logits.max())
        with np.errstate(all="ignore"):  # a diverging discriminator's logits may be infinite
            level = (logits - low) / (high - low) * len(_GREENS)
        index = np.nan_to_num(level).clip(0, len(_GREENS) - 1).astype(int)
        self._map = index.reshape(_MAP_POINTS, _MAP_POINTS)
        self._low.set_text(short(low))
        self._high.set_text(short(high))
        origins = fake[torch.arange(_ARROWS, device=fake.device) % len(fake)]
        arrows = input_gradient(score, origins).detach().cpu().numpy()
        longest = max(float(np.linalg.norm(arrows, axis=1).max()), 1e-12)
        self._arrows.set_offsets(origins.cpu().numpy())
        self._arrows.set_UVC(*(arrows / longest).T)
        self._longest.set_text(f"{longest:.2g}")

    def paint(self, pixels: np.ndarray) -> None:
        """Paint the map: as an image of matplotlib's it would take most of the time."""
        x, bottom, right, top = self._box
        rows, columns = (np.arange(n) * _MAP_POINTS // n for n in (top - bottom, right - x))
        words = pixels.view(np.uint32)[..., 0]  # a pixel each
        area = words[len(pixels) - top : len(pixels) - bottom, x:right]
        area[:] = _GREENS.view(np.uint32)[:, 0][self._map[:, columns]][rows[::-1]]


class _Line(_Panel):
    """Densities of data and samples in one dimension, and the logit along the line."""

    def __init__(self, axes: Axes, real: Tensor, limits: Limits) -> None:
        (limit,) = limits
        self._bins = np.linspace(*limit, _BINS + 1)
        self._x = torch.linspace(*limit, _LINE_POINTS, device=real.device)[:, None]
        self._axes, self._right = axes, axes.twinx()
        axes.set(xlim=limit, yticks=[], xlabel="x (data units)", ylabel="density (per data unit)")
        self._right.set(yticks=[])
        self._right.set_ylabel(_LOGIT, color=BLUE, labelpad=20)
        axes.yaxis.labelpad = 20
        self._density = self._density_of(real)
        look: dict[str, Any] = {"linewidth": 1.6}
        data = axes.stairs(self._density, self._bins, ls="--", ec=REAL, label=_DATA, **look)
        blank = np.zeros(_BINS)
        self._samples: Any = axes.stairs(blank, self._bins, ec=FAKE, label=_SAMPLES, **look)
        (self._logit,) = self._right.plot([], [], color=BLUE, linestyle=":", label="logit")
        axes.figure.legend(loc="lower center", ncols=3, frameon=False)
        self.changing: list[Artist] = [data, self._samples, self._logit]
        self._numbers = [_number_at(axes, *place) for place in _CORNERS]
        self.changing += self._numbers

    def _density_of(self, points: Tensor) -> np.ndarray:
        counts = np.histogram(points[:, 0].cpu().numpy(), self._bins)[0]
        return np.asarray(counts / (len(points) * (self._bins[1] - self._bins[0])))

    def update(self, fake: Tensor, score: Score) -> None:
        """Show samples [M, 1] and the discriminator."""
        density = self._density_of(fake)
        self._samples.set_data(density)
        highest = float(max(self._density.max(), density.max()))
        self._axes.set_ylim(0, highest)
        with torch.no_grad():
            logits = score(self._x).cpu().double().numpy()
        self._logit.set_data(self._x[:, 0].cpu().numpy(), logits)
        finite = logits[np.isfinite(logits)]
        low, high = (finite.min(), finite.max()) if len(finite) else (0.0, 0.0)
        self._right.set_ylim(low, high if high > low else low + 1)
        for text, value in zip(self._numbers, (0.0, highest, low, high), strict=True):
            text.set_text(short(value))


def _number_at(axes: Axes, x: float, y: float, side: Any, colour: str) -> Text:
    return axes.text(x, y, "", transform=axes.transAxes, ha=side, va="center", color=colour)


def _limits(real: Tensor, fake: Tensor, axis: int) -> tuple[float, float]:
    # The limits follow the data, not the samples: pictures of a run then stay comparable, and one
    # sample far away does not shrink everything else.
    values = real[:, axis]
    low, high = float(values.min()), float(values.max())
    if high - low < 1e-3:  # a degenerate data set, such as a segment seen from its end
        low, high = min(low, float(fake[:, axis].min())), max(high, float(fake[:, axis].max()))
        # In steps of a half, so that not every picture has limits of its own.
        return math.floor(2 * low - 0.5) / 2, math.ceil(2 * high + 0.5) / 2
    margin = 0.25 * (high - low)
    return low - margin, high + margin
