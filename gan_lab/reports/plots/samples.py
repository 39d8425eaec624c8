"""Pictures of samples: a grid of images, or points with data, discriminator and its gradient."""

import contextlib
import gc
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image
from torch import Tensor

from gan_lab.regularizers.base import Score, input_gradient
from gan_lab.reports.plots.style import BLUE, FAKE, REAL
from gan_lab.runs.run_dir import atomic_write
from gan_lab.runs.safe_io import read_regular

_MAP_POINTS = 64  # of the discriminator's landscape along each axis
_ARROWS = 96
_MAX_PIXELS, _MAX_BYTES = 1 << 25, 1 << 25  # of a picture of a run


def image_grid(images: Tensor, scale: int | None = None) -> np.ndarray:
    """Draw images [N, C, H, W] in [-1, 1] as one picture, uint8 [H', W', 3].

    Args:
        images: 1 or 3 channels.
        scale: Whole factor that enlarges each pixel; by default small images get about 64 pixels,
            since a browser would blur them.
    """
    n, channels, height, width = images.shape
    scale = scale or max(1, 64 // max(height, width))
    columns = int(np.ceil(np.sqrt(n)))
    rows = -(-n // columns)
    pixels = pixels_of(images)
    if channels != 3:
        pixels = pixels[:, :1].expand(-1, 3, -1, -1)
    pixels = pixels.repeat_interleave(scale, 2).repeat_interleave(scale, 3)
    gap = 2
    cell_h, cell_w = height * scale + gap, width * scale + gap
    canvas = np.full((rows * cell_h + gap, columns * cell_w + gap, 3), 96, np.uint8)
    for i, image in enumerate(pixels.permute(0, 2, 3, 1).numpy()):
        y, x = (i // columns) * cell_h + gap, (i % columns) * cell_w + gap
        canvas[y : y + cell_h - gap, x : x + cell_w - gap] = image
    return canvas


def pixels_of(images: Tensor) -> Tensor:
    """Return images in [-1, 1] as uint8 on the CPU: -1 is 0 and 1 is 255; others are clipped."""
    return ((images.detach().float().cpu().clamp(-1, 1) + 1) * 127.5).round().to(torch.uint8)


@contextlib.contextmanager
def _collect_figure() -> Iterator[None]:
    """Collect the figure after drawing: a cycle of some MB, which otherwise stays for 30 more.

    Older objects are frozen meanwhile, so that collecting takes milliseconds.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


@_collect_figure()
def points_picture(real: Tensor, fake: Tensor, score: Score, title: str) -> np.ndarray:
    """Draw data and samples with the discriminator that judges them, uint8 [H, W, 3].

    Args:
        real: Data points, [N, d].
        fake: Generated points, [M, d].
        score: The discriminator; drawn for d = 1 as a curve and for d = 2 as a landscape with the
            gradient of the logit at each sample.
        title: Above the picture.
    """
    dimensions = real.shape[1]
    figure = Figure(figsize=(6.4, 5.6), dpi=100)
    # Fixed margins: to lay a figure out takes as long as to draw it.
    figure.subplots_adjust(left=0.12, bottom=0.15, top=0.94, right=0.98 if dimensions > 2 else 0.88)
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
        figure.legend(loc="lower center", ncols=3, fontsize="small", frameon=False)
    return render_figure(figure)


@_collect_figure()
def paths_picture(real: Tensor, paths: Tensor, title: str) -> np.ndarray:
    """Draw paths of samples over data, uint8 [H, W, 3]; a path is darker where it begins.

    Args:
        real: Data points, [N, d].
        paths: Generated points along each path, [n_paths, n_steps, d]; for d = 1 against the
            place on the path, else by the first two coordinates.
        title: Above the picture.
    """
    data, points = real.detach().cpu().numpy(), paths.detach().cpu().numpy()
    dimensions, steps = data.shape[1], np.linspace(0, 1, points.shape[1])
    figure = Figure(figsize=(6.4, 5.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    axes.set_title(title)
    heights = data[:, 1] if dimensions > 1 else np.zeros(len(data))
    axes.scatter(data[:, 0], heights, s=16, c=REAL, marker="x", alpha=0.3, label="data (held out)")
    label = "generated along paths, dark where they begin"
    for path in points:
        x, y = path[:, 0], path[:, 1] if dimensions > 1 else steps
        axes.plot(x, y, color=FAKE, linewidth=0.8, alpha=0.5, label=label)
        axes.scatter(x, y, c=steps, cmap="copper", s=14, zorder=3)
        label = ""
    of = "" if dimensions <= 2 else f" of {dimensions}"
    if dimensions == 1:
        axes.set_xlabel("x (data units)")
        axes.set_ylabel("place on the path, 0 to 1")
    else:
        axes.set_xlabel(f"coordinate 1{of} (data units)")
        axes.set_ylabel(f"coordinate 2{of} (data units)")
        axes.set_aspect("equal", adjustable="datalim")
    figure.legend(loc="outside lower center", ncols=2, fontsize="small", frameon=False)
    return render_figure(figure)


def render_figure(figure: Figure) -> np.ndarray:
    """Return a figure as pixels, uint8 [H, W, 3]."""
    canvas: Any = figure.canvas
    canvas.draw()
    return np.asarray(canvas.buffer_rgba())[..., :3].copy()


def save_png(picture: np.ndarray, path: Path) -> None:
    """Write pixels, uint8 [H, W, 3], as a PNG; its directory is created."""
    atomic_write(path, encode_png(picture))


def read_png(path: Path) -> bytes | None:
    """Return the content of a PNG file, or None where it is damaged or something else.

    In a stranger's run it may link to a private file, or unpack to more than the memory holds.
    """
    try:
        data = read_regular(path, _MAX_BYTES)
        with Image.open(io.BytesIO(data), formats=["PNG"]) as image:
            if image.width * image.height > _MAX_PIXELS:
                return None
            image.verify()
    except Exception:  # of damaged files: at least five types, struct.error among them
        return None
    return data


def encode_png(picture: np.ndarray) -> bytes:
    """Return pixels, uint8 [H, W, 3], as a PNG."""
    buffer = io.BytesIO()
    Image.fromarray(picture).save(buffer, format="PNG")
    return buffer.getvalue()


def _limits(real: Tensor, fake: Tensor, axis: int) -> tuple[float, float]:
    # The limits follow the data, not the samples: pictures of a run then stay comparable, and one
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
        (real, REAL, "x", "data (held out)", 16),
        (fake, FAKE, "o", "generated", 10),
    ):
        xy = points.detach().cpu().numpy()
        width = 0.9 if marker == "x" else 0.0
        style = {"c": colour, "marker": marker, "linewidths": width, "label": label, "alpha": 0.75}
        axes.scatter(xy[:, 0], xy[:, 1], s=size, **style)
    axes.set_xlim(_limits(real, fake, 0))
    axes.set_ylim(_limits(real, fake, 1))
    axes.set_aspect("equal", adjustable="box")


def _landscape(figure: Figure, axes: Any, real: Tensor, fake: Tensor, score: Score) -> None:
    x = torch.linspace(*_limits(real, fake, 0), _MAP_POINTS, device=real.device)
    y = torch.linspace(*_limits(real, fake, 1), _MAP_POINTS, device=real.device)
    points = torch.cartesian_prod(x, y)
    with torch.no_grad():
        heights = score(points).reshape(_MAP_POINTS, _MAP_POINTS).T.cpu().numpy()
    look: dict[str, Any] = {"levels": 20, "cmap": "Greens", "alpha": 0.6, "zorder": 0}
    surface = axes.contourf(x.cpu(), y.cpu(), heights, **look)
    place = figure.add_axes((0.83, 0.15, 0.025, 0.79))
    axes.set_position((0.12, 0.15, 0.68, 0.79))
    figure.colorbar(surface, cax=place, label="discriminator's logit (higher = more real)")
    origins = fake[:_ARROWS]
    arrows = input_gradient(score, origins).detach().cpu().numpy()
    longest = max(float(np.linalg.norm(arrows, axis=1).max()), 1e-12)
    at = origins.detach().cpu().numpy()
    look = {"color": BLUE, "scale": 12 * longest, "width": 0.003, "zorder": 4}
    label = f"logit's gradient (longest {longest:.2g}/unit)"
    axes.quiver(*at.T, *arrows.T, angles="xy", label=label, **look)


def density(axes: Any, values: np.ndarray, bins: Sequence[float], **style: Any) -> None:
    """Draw a histogram of [n] values whose area is their share within the bins, maybe none."""
    each = 1 / (len(values) * (bins[1] - bins[0]))
    axes.hist(values, bins=bins, weights=np.full(len(values), each), histtype="step", **style)


def _line(axes: Any, real: Tensor, fake: Tensor, score: Score) -> None:
    low, high = _limits(real, fake, 0)
    bins = np.linspace(low, high, 61).tolist()
    for points, colour, style, label in (
        (real, REAL, "--", "data (held out)"),
        (fake, FAKE, "-", "generated"),
    ):
        values = points[:, 0].detach().cpu().numpy()
        density(axes, values, bins, color=colour, linestyle=style, label=label, linewidth=1.6)
    axes.set_xlabel("x (data units)")
    axes.set_ylabel("density (per data unit)")
    x = torch.linspace(low, high, 256, device=real.device)[:, None]
    with torch.no_grad():
        logits = score(x).cpu().numpy()
    right = axes.twinx()
    right.plot(x[:, 0].cpu(), logits, color=BLUE, linestyle=":", label="logit")
    right.set_ylabel("discriminator's logit (higher = more real)", color=BLUE)
    axes.legend(loc="upper left")
