"""A convolutional pair that is quick on the CPU: no layer works on one channel at full size."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.networks import init
from gan_lab.networks.base import (
    NetworkPair,
    check_conditional,
    halvings,
    stride_2_kernel,
    with_packing,
)
from gan_lab.networks.dcgan import NORMS
from gan_lab.validation import check_choice, check_count

_SHUFFLE = 2  # pixels of a side that become channels


class PixelsToChannels(nn.Module):
    """Blocks of 2x2 pixels as channels, last in memory: [N, c, 2 h, 2 w] -> [N, 4 c, h, w].

    torch's PixelUnshuffle in two fifths of its time, backward too. The convolution after it is
    twice as fast for channels that are last.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return images [N, c, 2 h, 2 w] as [N, 4 c, h, w]."""
        rows = x.unflatten(2, (-1, _SHUFFLE)).unbind(3)
        corners = [part for row in rows for part in row.unflatten(3, (-1, _SHUFFLE)).unbind(4)]
        return torch.stack(corners, -1).permute(0, 2, 3, 1, 4).flatten(3).permute(0, 3, 1, 2)


class ChannelsToPixels(nn.Module):
    """Channels as blocks of 2x2 pixels: [N, 4 c, h, w] -> [N, c, 2 h, 2 w].

    torch's PixelShuffle in two thirds of its time where channels are last in memory.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return blocks [N, 4 c, h, w] as images [N, c, 2 h, 2 w]."""
        blocks = x.unflatten(1, (-1, _SHUFFLE, _SHUFFLE))
        return blocks.permute(0, 1, 4, 2, 5, 3).flatten(4).flatten(2, 3)


class FlattenPixels(nn.Module):
    """Numbers of each image in a row, pixel after pixel: [N, C, H, W] -> [N, H W C].

    Where memory holds channels last, as the fast kernels do, nothing is copied, neither here nor on
    the way back.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return images [N, C, H, W] as rows [N, H W C]."""
        return x.permute(0, 2, 3, 1).flatten(1)


class UnflattenPixels(nn.Module):
    """The inverse of `FlattenPixels`: [N, H W C] -> [N, C, H, W], channels last in memory."""

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.channels, self.size = channels, size

    def forward(self, x: Tensor) -> Tensor:
        """Return rows [N, H W C] as images [N, C, H, W]."""
        return x.unflatten(1, (self.size, self.size, self.channels)).permute(0, 3, 1, 2)


class LeakyReLU(nn.LeakyReLU):
    """torch's LeakyReLU, whose factors are constants to a gradient of a gradient.

    Their derivative is 0, but torch carries these zeros back through the whole network: a fifth of
    the time of a gradient penalty.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x where it is above 0, else x times the slope."""
        if not torch.is_grad_enabled():
            return super().forward(x)
        with torch.no_grad():
            ones = torch.ones_like(x)
            factors = torch.ops.aten.leaky_relu_backward(ones, x, self.negative_slope, False)
        return x * factors


def _resolutions(shape: tuple[int, ...]) -> list[int]:
    """Return the sizes of the layers' images, from half the samples' down to 4 or 3."""
    size = shape[-1]
    if len(shape) != 3 or shape[1] != size or size % _SHUFFLE or not 8 <= size <= 128:
        raise ValueError(
            f"network=conv needs square images of an even size from 8 to 128 pixels, got samples "
            f"of shape {shape}; set data.size where the data has it, or take network=mlp"
        )
    return halvings(size // _SHUFFLE)


@dataclass(frozen=True)
class Conv(NetworkPair):
    """Strided convolutions between 4x4 and half the size; a pixel shuffle makes the whole size.

    Each 2x2 block of pixels is four channels to the layer next to the image (Shi et al. 2016), so
    that no convolution has the image's one or three channels at its full size, where a CPU reaches
    a tenth of its rate. Sizes halve, rounded up, until they are 4 or 3: 28 has layers of 14, 7
    and 4 pixels. 28x28x1 at width 16 and latent_dim 64 has 94,036 and 28,337 parameters.

    Attributes:
        latent_dim: Dimensions of z.
        width: Channels next to the image; they double at each halving of the resolution.
        generator_norm: none, batch, layer or instance, after each layer but the last.
        discriminator_norm: The same, after each convolution but the first; batch excludes gradient
            penalties.
        packing: Images that the discriminator judges together, joined as channels; above 1 it
            excludes gradient penalties.
        conditional: Whether both networks are given the class of each sample, of data with labels;
            see `Conditional`.

    Reference: Radford et al. 2016, arXiv:1511.06434; Shi et al. 2016, arXiv:1609.05158.
    """

    latent_dim: int
    width: int = 16
    generator_norm: str = "batch"
    discriminator_norm: str = "none"
    packing: int = 1
    conditional: bool = False

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "packing"):
            check_count(self, name)
        check_choice(self, "generator_norm", list(NORMS))
        check_choice(self, "discriminator_norm", list(NORMS))
        check_conditional(self)

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module z [N, latent_dim] -> images [N, channels, size, size] in [-1, 1]."""
        sizes = _resolutions(shape)[::-1]
        channels = self.width * 2 ** (len(sizes) - 1)
        layers: list[nn.Module] = [
            nn.Linear(self.latent_dim, channels * sizes[0] ** 2),
            UnflattenPixels(channels, sizes[0]),
            *_norm_and(channels, self.generator_norm, _relu()),
        ]
        for size in sizes[1:]:
            layers.append(nn.ConvTranspose2d(channels, channels // 2, stride_2_kernel(size), 2, 1))
            channels //= 2
            layers += _norm_and(channels, self.generator_norm, _relu())
        last = nn.Conv2d(channels, shape[0] * _SHUFFLE**2, 3, padding=1)
        return nn.Sequential(*layers, last, ChannelsToPixels(), nn.Tanh())

    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module, images [N, channels, size, size] -> logits [N / packing]."""
        sizes, channels = _resolutions(shape), self.width
        first = nn.Conv2d(self.packing * shape[0] * _SHUFFLE**2, channels, 3, padding=1)
        layers: list[nn.Module] = [PixelsToChannels(), first, _leaky_relu()]
        for size in sizes[:-1]:
            layers.append(nn.Conv2d(channels, 2 * channels, stride_2_kernel(size), 2, 1))
            channels *= 2
            layers += _norm_and(channels, self.discriminator_norm, _leaky_relu())
        last = nn.Linear(channels * sizes[-1] ** 2, 1)
        return with_packing([*layers, FlattenPixels(), last, nn.Flatten(0)], self.packing)

    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw weights uniformly on +-1/sqrt(fan_in)."""
        init.uniform_fan_in_(module, generator)


def _relu() -> nn.Module:
    return nn.ReLU(inplace=True)  # no layer before one needs its output to differentiate


def _leaky_relu() -> nn.Module:
    return LeakyReLU(0.2)


def _norm_and(channels: int, norm: str, activation: nn.Module) -> list[nn.Module]:
    make_norm = NORMS[norm]
    return [activation] if make_norm is None else [make_norm(channels), activation]
