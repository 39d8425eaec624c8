"""A small convolutional network of fixed design, and the features of images that it gives."""

import math
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional as F

MAX_SIZE = 32  # pixels a side that the network sees; larger images are averaged
MIN_SIZE = 16
_BLOCK, _BLOCK_NUMBERS = 500, 1 << 24  # images at once, and their pixels


@dataclass(frozen=True)
class ImageFeatures:
    """Features of n images, on the CPU.

    Attributes:
        last: Features of the penultimate layer, [n, 64], >= 0.
        pooled: Channel means of both convolutions beside `last`, [n, 16 + 32 + 64]. Each is over
            its std among real images and the root of their number: layers weigh the same.
        logits: Of K classes and, last, of images that show none, [n, K + 1]; None where nothing
            was learned.
    """

    last: Tensor
    pooled: Tensor
    logits: Tensor | None = None

    @property
    def log_probabilities(self) -> Tensor | None:
        """Log probabilities of the K classes if it is one of them, [n, K]."""
        return None if self.logits is None else self.logits[:, :-1].log_softmax(dim=1)

    @property
    def is_legible(self) -> Tensor | None:
        """Whether an image is rather of a class than of none, [n]."""
        return None if self.logits is None else self.logits.argmax(dim=1) < self.logits.shape[1] - 1

    def select(self, rows: Tensor) -> "ImageFeatures":
        """Return the features of some images."""
        logits = None if self.logits is None else self.logits[rows]
        return ImageFeatures(self.last[rows], self.pooled[rows], logits)


class ImageNetwork(nn.Module):
    """Pixel unshuffle - conv 16 - conv 32 - 64 features - outputs, with ReLU between.

    About 80,000 parameters for 28 x 28 grey pixels and 11 outputs. The unshuffle makes a quarter of
    the pixels with four times the channels: a convolution of one channel is slow on a CPU.
    """

    def __init__(self, shape: tuple[int, ...], n_outputs: int) -> None:
        """Allocate it for images [channels, height, width], both sides even and 16 at least."""
        super().__init__()
        channels, height, width = shape
        self.convolution_1 = nn.Conv2d(4 * channels, 16, 3, padding=1)
        self.convolution_2 = nn.Conv2d(16, 32, 3, stride=2)
        sides = [(side // 2 - 3) // 2 + 1 for side in (height, width)]
        self.features = nn.Linear(32 * sides[0] * sides[1], 64)
        self.outputs = nn.Linear(64, n_outputs)

    def forward(self, images: Tensor) -> Tensor:
        """Return the outputs of images [n, channels, height, width]: [n, n_outputs]."""
        return self.layers(images)[-1]

    def layers(self, images: Tensor) -> list[Tensor]:
        """Return channel means [n, 16] and [n, 32], features [n, 64], outputs [n, n_outputs]."""
        first = F.relu(self.convolution_1(F.pixel_unshuffle(images, 2)))
        second = F.relu(self.convolution_2(first))
        features = F.relu(self.features(second.flatten(1)))
        return [first.mean((2, 3)), second.mean((2, 3)), features, self.outputs(features)]


def build_image_network(
    shape: tuple[int, ...], n_outputs: int, generator: torch.Generator
) -> ImageNetwork:
    """Return a network on the CPU with He's normal weights and biases 0; no other randomness."""
    with torch.device("meta"):
        network = ImageNetwork(shape, n_outputs)
    network = network.to_empty(device="cpu")
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.zero_()
            else:
                std = (2 / parameter[0].numel()) ** 0.5
                parameter.copy_(std * torch.randn(parameter.shape, generator=generator))
    return network


def network_shape(shape: tuple[int, ...]) -> tuple[int, int, int]:
    """Return the shape in which the network sees images [channels, height, width].

    Each side over the least whole number that makes it 32 at most, and even.
    """
    channels, *sides = shape
    height, width = (side // -(-side // MAX_SIZE) // 2 * 2 for side in sides)
    return channels, height, width


def shrink(images: Tensor) -> Tensor:
    """Return images [n, channels, height, width] in the size that the network sees, by averages."""
    size = network_shape(tuple(images.shape[1:]))[1:]
    return images if tuple(images.shape[2:]) == size else F.adaptive_avg_pool2d(images, size)


def block_size(shape: tuple[int, ...]) -> int:
    """Return how many images of a shape are looked at together: at most 64 MB of them."""
    return max(1, min(_BLOCK, _BLOCK_NUMBERS // math.prod(shape)))


class Extractor:
    """Features of images of any size from a network and the std of its features on real images."""

    def __init__(self, network: ImageNetwork, stds: Tensor, has_classes: bool) -> None:
        """Take a network on its device and the stds of the pooled features, [112]."""
        self._network, self._stds, self._has_classes = network, stds, has_classes
        self._newest: tuple[Tensor, int, ImageFeatures] | None = None

    def __call__(self, images: Tensor) -> ImageFeatures:
        """Return the features of images [n, channels, height, width] in [-1, 1]."""
        # Several metrics get the same samples, one after the other.
        version = None if images.is_inference() else images._version
        if self._newest is not None and version is not None:
            newest, its_version, features = self._newest
            if newest is images and its_version == version:
                return features
        features = self._extract(images)
        self._newest = None if version is None else (images, version, features)
        return features

    @torch.no_grad()
    def _extract(self, images: Tensor) -> ImageFeatures:
        blocks = images.split(block_size(tuple(images.shape[1:])))
        parts = [self._network.layers(shrink(block)) for block in blocks]
        layers = [torch.cat(layer).cpu() for layer in zip(*parts, strict=True)]
        logits = layers.pop()
        pooled = torch.cat(layers, dim=1) / self._stds
        return ImageFeatures(layers[-1], pooled, logits if self._has_classes else None)


@torch.no_grad()
def pooled_stds(network: ImageNetwork, blocks: Iterable[Tensor]) -> Tensor:
    """Return what pooled features are divided by, [112].

    It is the std times the root of the number of channels in the layer that vary, so that each
    layer's variances sum to 1; the root alone for channels that are constant on the images.

    Args:
        network: On the device of the images.
        blocks: Real images in the size that the network sees.
    """
    parts = [network.layers(block)[:-1] for block in blocks]
    stds = []
    for layer in zip(*parts, strict=True):
        values = torch.cat(layer).cpu().double()
        std = values.std(dim=0, unbiased=False)
        stds.append(torch.where(std > 0, std, 1.0) * max(1, int((std > 0).sum())) ** 0.5)
    return torch.cat(stds).float()
