"""Pictures of samples, and pixels as PNG; `points` draws samples that are points."""

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

from gan_lab.reports.plots.style import FAKE, REAL
from gan_lab.runs.run_dir import atomic_write
from gan_lab.runs.safe_io import read_regular

_MAX_PIXELS, _MAX_BYTES = 1 << 25, 1 << 25  # of a picture of a run


def image_grid(images: Tensor, scale: int | None = None, columns: int | None = None) -> np.ndarray:
    """Draw images [N, C, H, W] in [-1, 1] as one picture, uint8 [H', W', 3].

    Args:
        images: 1 or 3 channels.
        scale: Whole factor that enlarges each pixel; by default small images get about 64 pixels,
            since a browser would blur them.
        columns: Images in a row; by default as many as there are rows, or one more.
    """
    n, channels, height, width = images.shape
    scale = scale or max(1, 64 // max(height, width))
    columns = columns or int(np.ceil(np.sqrt(n)))
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
def collect_figure() -> Iterator[None]:
    """Collect the figure after drawing: a cycle of some MB, which otherwise stays for 30 more.

    Older objects are frozen meanwhile, so that collecting takes milliseconds.
    """
    gc.freeze()
    try:
        yield
    finally:
        gc.collect()
        gc.unfreeze()


@collect_figure()
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


def encode_png(picture: np.ndarray, n_colours: int | None = None) -> bytes:
    """Return pixels, uint8 [H, W, 3], as a PNG, of so many colours at most if that is given.

    With few colours a picture is written in a fifth of the time and takes a third of the room.
    """
    image = Image.fromarray(picture)
    if n_colours is not None:
        octree, none = Image.Quantize.FASTOCTREE, Image.Dither.NONE
        image = image.quantize(n_colours, method=octree, dither=none)
    buffer = io.BytesIO()
    image.save(buffer, format="PNG", compress_level=3)  # 6 takes twice as long for a fifth less
    return buffer.getvalue()


def density(axes: Any, values: np.ndarray, bins: Sequence[float], **style: Any) -> None:
    """Draw a histogram of [n] values whose area is their share within the bins, maybe none."""
    each = 1 / (len(values) * (bins[1] - bins[0]))
    axes.hist(values, bins=bins, weights=np.full(len(values), each), histtype="step", **style)
