"""Another size for images."""

import torch
from torch import Tensor
from torch.nn import functional as F

MIN_SIZE, MAX_SIZE = 4, 1024
_BLOCK = 1024  # float images of a whole set of bytes would take 4 times as much


def resize(images: Tensor, size: int) -> Tensor:
    """Resize images [N, C, H, W] to [N, C, size, size], uint8 or float32 in [-1, 1].

    Grey images of 28 x 28 get two rows and columns of black on each side to be 32 x 32, the usual
    way to give MNIST a power of two. All others are cropped to the middle square and resized,
    bilinearly with antialiasing.
    """
    is_bytes = images.dtype == torch.uint8
    channels, height, width = images.shape[1:]
    if (height, width) == (size, size):
        return images
    if (channels, height, width, size) == (1, 28, 28, 32):
        return F.pad(images, (2, 2, 2, 2), value=0 if is_bytes else -1)
    side = min(height, width)
    y, x = (height - side) // 2, (width - side) // 2
    square = images[:, :, y : y + side, x : x + side]
    blocks = []
    for block in square.split(_BLOCK):
        block = F.interpolate(block.float(), (size, size), mode="bilinear", antialias=True)
        blocks.append(block.round_().clamp_(0, 255).to(torch.uint8) if is_bytes else block)
    return torch.cat(blocks)
