"""Pictures of a run: a grid of images, or points with data, discriminator and its gradient.

Colours are Okabe and Ito's, which the colour-blind can tell apart; markers differ in shape too, so
that the pictures survive a greyscale printer.
"""

import functools
import gc
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ParamSpec

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gan_lab.regularizers.base import Score, input_gradient
from gan_lab.runs.run_dir import atomic_write
from gan_lab.runs.safe_io import read_regular

REAL_COLOUR, FAKE_COLOUR, LINE_COLOUR = "#000000", "#D55E00", "#0072B2"
_MAP_POINTS = 64  # of the discriminator's landscape along each axis
_ARROWS = 96
_MAX_PIXELS, _LARGEST = 1 << 25, 1 << 25  # of a picture of a run, and its bytes
_P = ParamSpec("_P")


def image_grid(images: Tensor, scale: int | None = None) -> np.ndarray:
    """Images [N, C, H, W] in [-1, 1] as one picture, uint8 [H', W', 3].

    Args:
        images: 1 or 3 channels.
        scale: Whole factor by which each pixel is enlarged; by default small images are brought to
            about 64 pixels, since a browser would blur them.
    """
    n, channels, height, width = images.shape
    scale = scale or max(1, 64 // max(height, width))
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    pixels = ((images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)
    if channels == 1:
        pixels = pixels.expand(-1, 3, -1, -1)
    elif channels != 3:
        pixels = pixels[:, :1].expand(-1, 3, -1, -1)
    pixels = pixels.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    gap = 2
    cell_h, cell_w = height * scale + gap, width * scale + gap
    canvas = np.full((rows * cell_h + gap, columns * cell_w + gap, 3), 96, np.uint8)
    for i, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        top, left = (i // columns) * cell_h + gap, (i % columns) * cell_w + gap
        canvas[top : top + cell_h - gap, left : left + cell_w - gap] = image
    return canvas


def _leaving_nothing(draw: Callable[_P, np.ndarray]) -> Callable[_P, np.ndarray]:
    """Collects the figure after drawing: a cycle of some MB, which otherwise stays for 30 more.

    What was there before is frozen meanwhile, so that collecting takes milliseconds.
    """

    @functools.wraps(draw)
    def drawn(*arguments: _P.args, **keys: _P.kwargs) -> np.ndarray:
        gc.freeze()
        try:
            return draw(*arguments, **keys)
        finally:
            gc.collect()
            gc.unfreeze()

    return drawn


@_leaving_nothing
def points_picture(real: Tensor, fake: Tensor, score: Score, title: str) -> np.ndarray:
    """Data and samples with the discriminator that judges them, uint8 [H, W, 3].

    Args:
        real: Data points, [N, d].
        fake: Generated points, [M, d].
        score: The discriminator; drawn for d = 1 as a curve and for d = 2 as a landscape with the
            direction in which each sample is pushed up (the gradient of the logit).
        title: Above the picture.
    """
    dimensions = real.shape[1]
    figure = Figure(figsize=(6.4, 5.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title)
    if dimensions == 1:
        _line(axes, real, fake, score)
    else:
        if dimensions == 2:
            _landscape(figure, axes, real, fake, score)
        _scatter(axes, real, fake)
        of = "" if dimensions == 2 else f" of {dimensions}"
        axes.set_xlabel(f"coordinate 1{of} (data units)")
        axes.set_ylabel(f"coordinate 2{of} (data units)")
        figure.legend(loc="outside lower center", ncols=3, fontsize="small", frameon=False)
    return render_figure(figure)


def render_figure(figure: Figure) -> np.ndarray:
    """A figure as pixels, uint8 [H, W, 3]."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(picture: np.ndarray, path: Path) -> None:
    """Writes pixels, uint8 [H, W, 3], making the directory."""
    atomic_write(path, encode_png(picture))


def read_png(path: Path) -> bytes | None:
    """The content of a PNG file, or None where it is damaged or something else.

    Of a run from elsewhere it may be a link to a file that is nobody's business, or unpack to more
    than the memory holds.
    """
    try:
        data = read_regular(path, _LARGEST)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.verify()
    except Exception:  # of damaged files: at least five types, struct.error among them
        return None
    return data


def encode_png(picture: np.ndarray) -> bytes:
    """Pixels, uint8 [H, W, 3], as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _limits(real: Tensor, fake: Tensor, axis: int) -> tuple[float, float]:
    # The frame follows the data, not the samples: pictures of a run then stay comparable, and one
    # sample far away does not shrink everything else.
    values = real[:, axis]
    low, high = float(values.min()), float(values.max())
    margin = 0.25 * max(high - low, 1e-3)
    if high - low < 1e-3:  # a degenerate data set, such as a segment seen from its end
        low, high = min(low, float(fake[:, axis].min())), max(high, float(fake[:, axis].max()))
        margin = 0.25 * max(high - low, 1.0)
    return low - margin, high + margin


def _scatter(axes: Any, real: Tensor, fake: Tensor) -> None:
    for points, colour, marker, label, size in (
        (real, REAL_COLOUR, "x", "data (held out)", 16),
        (fake, FAKE_COLOUR, "o", "generated", 10),
    ):
        xy = points.detach().cpu().numpy()
        width = 0.9 if marker == "x" else 0.0
        axes.scatter(
            xy[:, 0],
            xy[:, 1],
            s=size,
            c=colour,
            marker=marker,
            linewidths=width,
            label=label,
            alpha=0.75,
        )
    axes.set_xlim(_limits(real, fake, 0))
    axes.set_ylim(_limits(real, fake, 1))
    axes.set_aspect("equal", adjustable="box")


def _landscape(figure: Figure, axes: Any, real: Tensor, fake: Tensor, score: Score) -> None:
    x = torch.linspace(*_limits(real, fake, 0), _MAP_POINTS, device=real.device)
    y = torch.linspace(*_limits(real, fake, 1), _MAP_POINTS, device=real.device)
    points = torch.cartesian_prod(x, y)
    with torch.no_grad():
        heights = score(points).reshape(_MAP_POINTS, _MAP_POINTS).T.cpu().numpy()
    filled = axes.contourf(x.cpu(), y.cpu(), heights, levels=20, cmap="Greens", alpha=0.6, zorder=0)
    figure.colorbar(filled, ax=axes, label="discriminator's logit (higher = more real)")
    pushed = fake[:_ARROWS]
    arrows = input_gradient(score, pushed).detach().cpu().numpy()
    longest = max(float(np.linalg.norm(arrows, axis=1).max()), 1e-12)
    at = pushed.detach().cpu().numpy()
    axes.quiver(
        at[:, 0],
        at[:, 1],
        arrows[:, 0],
        arrows[:, 1],
        angles="xy",
        color=LINE_COLOUR,
        scale=12 * longest,
        width=0.003,
        zorder=4,
        label=f"logit's gradient (longest {longest:.2g}/unit)",
    )


def density(axes: Any, values: np.ndarray, bins: Sequence[float], **style: Any) -> None:
    """Draws a histogram of [n] values whose area is their share within the bins, maybe none."""
    each = 1 / (len(values) * (bins[1] - bins[0]))
    axes.hist(values, bins=bins, weights=np.full(len(values), each), histtype="step", **style)


def _line(axes: Any, real: Tensor, fake: Tensor, score: Score) -> None:
    low, high = _limits(real, fake, 0)
    bins = np.linspace(low, high, 61).tolist()
    for points, colour, style, label in (
        (real, REAL_COLOUR, "--", "data (held out)"),
        (fake, FAKE_COLOUR, "-", "generated"),
    ):
        values = points[:, 0].detach().cpu().numpy()
        density(axes, values, bins, color=colour, linestyle=style, label=label, linewidth=1.6)
    axes.set_xlabel("x (data units)")
    axes.set_ylabel("density (per data unit)")
    x = torch.linspace(low, high, 256, device=real.device)[:, None]
    with torch.no_grad():
        logits = score(x).cpu().numpy()
    right = axes.twinx()
    right.plot(x[:, 0].cpu(), logits, color=LINE_COLOUR, linestyle=":", label="logit")
    right.set_ylabel("discriminator's logit (higher = more real)", color=LINE_COLOUR)
    axes.legend(loc="upper left")
