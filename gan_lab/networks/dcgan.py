"""The convolutional pair of Radford et al. 2016 for square images of 8 to 128 pixels."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import nn

from gan_lab.networks import init
from gan_lab.networks.base import (
    NetworkPair,
    check_conditional,
    halvings,
    stride_2_kernel,
    with_packing,
)
from gan_lab.validation import check_choice, check_count

NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "batch": nn.BatchNorm2d,
    "layer": lambda channels: nn.GroupNorm(1, channels),  # layer norm over channels and pixels
    "instance": lambda channels: nn.InstanceNorm2d(channels, affine=True),
}


def _resolutions(shape: tuple[int, ...]) -> list[int]:
    """Return the sizes of the images between the layers, from the samples' down to 4."""
    if len(shape) != 3 or shape[1] != shape[2] or shape[1] not in (8, 16, 28, 32, 64, 128):
        raise ValueError(
            f"DCGAN needs square images of 8, 16, 28, 32, 64 or 128 pixels, got samples of shape "
            f"{shape}; set data.size where the data has it, or take network=mlp"
        )
    return halvings(shape[1])


@dataclass(frozen=True)
class Dcgan(NetworkPair):
    """Strided convolutions from 4x4 up and from the image down to 4x4.

    Attributes:
        latent_dim: Dimensions of z.
        width: Channels next to the image; they double at each halving of the resolution.
        generator_norm: none, batch, layer or instance, after each layer but the last.
        discriminator_norm: The same, after each layer but the first and the last; batch excludes
            gradient penalties.
        packing: Images that the discriminator judges together, joined as channels; above 1 it
            excludes gradient penalties.
        conditional: Whether both networks are given the class of each sample, of data with labels;
            see `Conditional`.

    Reference: Radford et al. 2016, arXiv:1511.06434.
    """

    latent_dim: int
    width: int = 64
    generator_norm: str = "batch"
    discriminator_norm: str = "layer"
    packing: int = 1
    conditional: bool = False

    def __post_init__(self) -> None:
        check_count(self, "latent_dim")
        check_count(self, "width")
        check_count(self, "packing")
        check_choice(self, "generator_norm", list(NORMS))
        check_choice(self, "discriminator_norm", list(NORMS))
        check_conditional(self)

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module z [N, latent_dim] -> images [N, channels, size, size] in [-1, 1]."""
        sizes = _resolutions(shape)[1:-1]
        channels = self.width * 2 ** len(sizes)
        layers: list[nn.Module] = [
            nn.Unflatten(1, (self.latent_dim, 1, 1)),
            *self._up(nn.ConvTranspose2d(self.latent_dim, channels, 4)),
        ]
        for size in reversed(sizes):
            kernel = stride_2_kernel(size)
            layers += self._up(nn.ConvTranspose2d(channels, channels // 2, kernel, 2, 1))
            channels //= 2
        last = nn.ConvTranspose2d(channels, shape[0], 4, stride=2, padding=1)
        return nn.Sequential(*layers, last, nn.Tanh())

    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module, images [N, channels, size, size] -> logits [N / packing]."""
        make_norm = NORMS[self.discriminator_norm]
        sizes, channels = _resolutions(shape), self.width
        first = nn.Conv2d(self.packing * shape[0], channels, 4, 2, 1)
        layers: list[nn.Module] = [first, nn.LeakyReLU(0.2)]
        for size in sizes[1:-1]:
            layers.append(nn.Conv2d(channels, 2 * channels, stride_2_kernel(size), 2, 1))
            channels *= 2
            if make_norm is not None:
                layers.append(make_norm(channels))
            layers.append(nn.LeakyReLU(0.2))
        return with_packing([*layers, nn.Conv2d(channels, 1, 4), nn.Flatten(0)], self.packing)

    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw weights from N(0, 0.02), norm scales from N(1, 0.02)."""
        init.normal_(module, generator)

    def _up(self, layer: nn.ConvTranspose2d) -> list[nn.Module]:
        make_norm = NORMS[self.generator_norm]
        norm = [make_norm(layer.out_channels)] if make_norm is not None else []
        return [layer, *norm, nn.ReLU()]
