"""Images that show no class, made of images that do; and the augmentation of both.

A generator's failures look like these: strokes that wobble, halves that do not belong together,
averages, blobs with the data's covariance, pieces in a wrong order. All randomness is the caller's
generator, on the CPU.
"""

import math
from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn import functional as F

_N_SUMMANDS = 64
_CELLS = (2, 4, 7, 14)  # a side, in which the pieces of an image are put in another order

Others = Callable[[Tensor], Tensor]  # labels [n] -> an image of another class each


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Return images rotated by up to 11 degrees, scaled and moved by up to a tenth."""
    n = len(images)

    def uniform(limit: float) -> Tensor:
        return (2 * torch.rand(n, generator=generator) - 1) * limit

    angle, scale_x, scale_y = uniform(0.2), 1 + uniform(0.1), 1 + uniform(0.1)
    rows = [
        torch.stack([angle.cos() * scale_x, -angle.sin() * scale_y, uniform(0.1)], dim=1),
        torch.stack([angle.sin() * scale_x, angle.cos() * scale_y, uniform(0.1)], dim=1),
    ]
    return _sample(images, F.affine_grid(torch.stack(rows, dim=1), list(images.shape), False))


def junk(images: Tensor, labels: Tensor, others: Others, generator: torch.Generator) -> Tensor:
    """Return as many images that show no class, a sixth of each kind.

    Args:
        images: Real ones, [n, channels, height, width] in [-1, 1].
        labels: Their classes, [n].
        others: Gives a real image of another class for each label.
        generator: All randomness.
    """
    kinds = [(images[start::6], labels[start::6]) for start in range(6)]
    wobbly, halves, averages, blobs, shuffles, overlays = kinds
    return torch.cat(
        [
            _wobble(wobbly[0], 0.3, 5, generator),
            _halves(halves[0], others(halves[1]), generator),
            _averages(averages[0], others(averages[1]), generator),
            _blobs(images, len(blobs[0]), generator),
            _shuffles(shuffles[0], generator),
            torch.maximum(overlays[0], _wobble(others(overlays[1]), 0.2, 4, generator)),
        ]
    )


def _sample(images: Tensor, grid: Tensor) -> Tensor:
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _wobble(images: Tensor, strength: float, knots: int, generator: torch.Generator) -> Tensor:
    """Move each place by a smooth random field; strength in halves of the image's side."""
    n, _, height, width = images.shape
    field = strength * torch.randn(n, 2, knots, knots, generator=generator)
    field = F.interpolate(field, (height, width), mode="bilinear", align_corners=True)
    identity = F.affine_grid(torch.eye(2, 3).expand(n, 2, 3), list(images.shape), False)
    return _sample(images, identity + field.permute(0, 2, 3, 1))


def _halves(images: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    """Replace half of an image, by a line through its middle, by background or another's half."""
    n, _, height, width = images.shape
    is_blank = torch.rand(n, 1, 1, 1, generator=generator) < 0.5
    rest = torch.where(is_blank, images[:, :, :1, :1], others)
    angle = 2 * math.pi * torch.rand(n, 1, 1, generator=generator)
    y, x = torch.linspace(-1, 1, height)[:, None], torch.linspace(-1, 1, width)
    return torch.where((y * angle.sin() + x * angle.cos() > 0)[:, None], images, rest)


def _averages(images: Tensor, others: Tensor, generator: torch.Generator) -> Tensor:
    weight = 0.35 + 0.3 * torch.rand(len(images), 1, 1, 1, generator=generator)
    return weight * images + (1 - weight) * others


def _blobs(images: Tensor, n: int, generator: torch.Generator) -> Tensor:
    """Return normal images with mean and covariance of those given: random sums of them."""
    images = images[:_N_SUMMANDS]
    mean = images.mean(dim=0)
    weights = torch.randn(n, len(images), generator=generator) / len(images) ** 0.5
    return (mean + torch.einsum("nm,mchw->nchw", weights, images - mean)).clamp(-1, 1)


def _shuffles(images: Tensor, generator: torch.Generator) -> Tensor:
    """Put the cells of a grid over each image in a random order; a rest at the edge stays."""
    n, channels, height, width = images.shape
    k = _CELLS[int(torch.randint(len(_CELLS), (), generator=generator))]
    y, x = height // k, width // k
    cells = images[:, :, : k * y, : k * x].reshape(n, channels, k, y, k, x)
    cells = cells.permute(0, 2, 4, 1, 3, 5).reshape(n, k * k, -1)
    order = torch.rand(n, k * k, generator=generator).argsort(dim=1)
    cells = cells.gather(1, order[:, :, None].expand_as(cells)).reshape(n, k, k, channels, y, x)
    result = images.clone()
    result[:, :, : k * y, : k * x] = cells.permute(0, 3, 1, 4, 2, 5).reshape(
        n, channels, k * y, k * x
    )
    return result
