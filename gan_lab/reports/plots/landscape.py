"""Landscapes: a discriminator of points on a grid, as numbers, not as a picture.

A landscape is a few kilobytes and costs milliseconds, so that a run can keep many; its pictures are
drawn from them, and the page's animation.
"""

import io
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from gan_lab.regularizers.base import Score, input_gradient
from gan_lab.runs.run_dir import atomic_write
from gan_lab.runs.safe_io import open_regular

Landscape = dict[str, np.ndarray]
_SIDE = 40  # points of the landscape along each axis; of a line, their square
_ARROWS = 64
_REQUIRED_ARRAYS = {"x", "logit", "real", "fake", "arrow"}
_MAX_BYTES = 1 << 20  # of a landscape when unpacked; ours have some ten thousand


def compute(real: Tensor, fake: Tensor, score: Score) -> Landscape:
    """Compute the landscape of a discriminator of points in one or two dimensions.

    Args:
        real: Data, [N, d], d = 1 or 2. They set the window, see `window`.
        fake: Generated points, [M, d].
        score: The discriminator, points [K, d] -> logits [K].

    Returns:
        "x" [W] (and for d = 2 "y" [H]): where the logit is computed, in data units; "logit" [W], or
        [H, W]; "real" [N, d]; "fake" [M, d]; "arrow" [A, d]: the logit's gradient at the first A
        fakes, logits per data unit. All float32.
    """
    n = _SIDE if real.shape[1] == 2 else _SIDE * 4
    windows = window(real.detach().cpu().numpy(), fake.detach().cpu().numpy())
    axes = [torch.linspace(*each, n, device=real.device) for each in windows]
    with torch.no_grad():
        if len(axes) == 1:
            logit = score(axes[0][:, None])
        else:
            # y outside, so that a row of the result is a row of the picture.
            grid = torch.cartesian_prod(axes[1], axes[0]).flip(1)
            logit = score(grid).reshape(len(axes[1]), len(axes[0]))
    arrow = input_gradient(score, fake[:_ARROWS]).detach()
    tensors = {"logit": logit, "real": real, "fake": fake, "arrow": arrow}
    tensors |= dict(zip(("x", "y"), axes, strict=False))
    return {name: t.detach().float().cpu().numpy() for name, t in tensors.items()}


def save(content: Landscape, path: Path) -> None:
    """Write a landscape, atomically; logits and arrows in half precision."""
    buffer = io.BytesIO()
    with np.errstate(over="ignore"):  # a diverging discriminator's logit may become infinite
        half: dict[str, Any] = {
            name: v.astype(np.float16) if name in ("logit", "arrow") else v
            for name, v in content.items()
        }
    np.savez(buffer, **half)
    atomic_write(path, buffer.getvalue())


def load(path: Path) -> Landscape:
    """Read a landscape as float32.

    Raises:
        OSError, ValueError: It cannot be read; a damaged one raises other errors, too.
    """
    with open_regular(path, _MAX_BYTES) as file, np.load(file, allow_pickle=False) as archive:
        if sum(member.file_size for member in archive.zip.infolist()) > _MAX_BYTES:
            raise ValueError(f"{path} holds more than a landscape")
        return {name: archive[name].astype(np.float32) for name in archive.files}


def load_or_none(path: Path) -> Landscape | None:
    """Read a landscape, or None where it is damaged: one torn file must not cost the page."""
    try:
        content = load(path)
    except Exception:  # of zipfile, zlib, lzma, struct, numpy: at least ten types
        return None
    return content if content.keys() >= _REQUIRED_ARRAYS and _is_consistent(content) else None


def _is_consistent(content: Landscape) -> bool:
    """Check that the arrays belong together: d axes, points [N, d], logits on the axes."""
    axes = [content[name] for name in ("y", "x") if name in content]
    points = [content[name] for name in ("real", "fake", "arrow")]
    return (
        all(axis.ndim == 1 and len(axis) > 1 for axis in axes)
        and content["logit"].shape == tuple(map(len, axes))
        and all(each.ndim == 2 and each.shape[1] == len(axes) for each in points)
    )


def window(real: np.ndarray, fake: np.ndarray) -> list[tuple[float, float]]:
    """Return the ends of each axis around data [N, d]: a quarter of their extent beyond them.

    So pictures of a run, and of runs on the same data, are comparable, and one sample far away does
    not shrink everything else. Data without extent along an axis (a segment seen from its end) are
    in the middle of 4, 8, 16 ... data units, the least that hold the samples [M, d]: a picture with
    ends of its own is drawn from the start.
    """
    return [_ends(*columns) for columns in zip(real.T, fake.T, strict=True)]


def _ends(real: np.ndarray, fake: np.ndarray) -> tuple[float, float]:
    low, high = float(real.min()), float(real.max())
    if high - low < 1e-3:
        half, farthest = 2.0, float(np.abs(fake - low).max())
        while half < farthest:
            half *= 2
        return low - half, low + half
    margin = 0.25 * (high - low)
    return low - margin, high + margin
