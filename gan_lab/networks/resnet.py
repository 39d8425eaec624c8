"""The residual pair of Miyato et al. 2018 (SNGAN) for square images of 8 to 128 pixels."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.networks.base import NetworkPair, check_conditional, with_packing
from gan_lab.networks.conv import UnflattenPixels
from gan_lab.networks.dcgan import NORMS
from gan_lab.validation import check_choice, check_count

_GAIN = 2**0.5  # of the branch's weights, whose convolutions follow a ReLU


def doublings(shape: tuple[int, ...], network: str) -> list[int]:
    """Return the sizes by which doubling reaches the images' size, from 4 to 7 pixels on.

    28 is 7, 14, 28; 32 is 4, 8, 16, 32; 48 is 6, 12, 24, 48.

    Args:
        shape: Of one sample, [channels, size, size].
        network: The name of the pair in an error.

    Raises:
        ValueError: The samples are no square images of such a size between 8 and 128.
    """
    size = shape[-1]
    sizes = [size]
    while sizes[0] % 2 == 0 and sizes[0] > 7:
        sizes.insert(0, sizes[0] // 2)
    square = len(shape) == 3 and shape[1] == size
    if not square or not 8 <= size <= 128 or not 4 <= sizes[0] <= 7:
        raise ValueError(
            f"network={network} needs square images of 4, 5, 6 or 7 pixels doubled up to 8 ... 128 "
            f"(28, 32, 48, 64), got samples of shape {shape}; set data.size where the data has it, "
            f"or take network=conv or network=mlp"
        )
    return sizes


class GeneratorBlock(nn.Module):
    """Residual block that doubles the size: [N, c, h, w] -> [N, c, 2 h, 2 w].

    The branch is norm, ReLU, upsampling, 3x3, norm, ReLU, 3x3; the shortcut is 1x1. The 1x1
    convolution stands before the shortcut's upsampling, with which it commutes, at a quarter of the
    cost.
    """

    def __init__(self, channels: int, norm: str) -> None:
        super().__init__()
        self.branch = nn.Sequential(
            *_norm_and_relu(channels, norm),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(channels, channels, 3, padding=1),
            *_norm_and_relu(channels, norm),
            nn.Conv2d(channels, channels, 3, padding=1),
        )
        self.shortcut = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.Upsample(scale_factor=2))

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of branch and shortcut."""
        y: Tensor = self.branch(x) + self.shortcut(x)
        return y


class DiscriminatorBlock(nn.Module):
    """Residual block: [N, c_in, h, w] -> [N, c_out, h / 2, w / 2], or [N, c_out, h, w].

    The branch is ReLU, 3x3, ReLU, 3x3, mean of 2x2 pixels; the shortcut is that mean and 1x1, which
    commute. Without downsampling the shortcut is x itself.

    Attributes:
        first: Whether its input is the image, which no ReLU may touch: its negative half would be
            lost.
    """

    def __init__(self, c_in: int, c_out: int, *, first: bool = False, down: bool = False) -> None:
        super().__init__()
        pool = [nn.AvgPool2d(2)] if down else []
        self.first = first
        self.branch = nn.Sequential(
            *([] if first else [nn.ReLU()]),  # not in place: the shortcut reads x
            nn.Conv2d(c_in, c_out, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(c_out, c_out, 3, padding=1),
            *pool,
        )
        self.shortcut = nn.Sequential(*pool, nn.Conv2d(c_in, c_out, 1)) if down else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of branch and shortcut."""
        y: Tensor = self.branch(x) + self.shortcut(x)
        return y


class SumPixels(nn.Module):
    """Sum over the pixels of each channel: [N, c, h, w] -> [N, c]; SNGAN's global pooling."""

    def forward(self, x: Tensor) -> Tensor:
        """Return the sums; a mean would divide the logits' scale by h w."""
        return x.sum((2, 3))


@dataclass(frozen=True)
class Resnet(NetworkPair):
    """Residual blocks of one width, up from 4 to 7 pixels and down to at most 8.

    The generator doubles 7 twice for 28 pixels, 4 three times for 32, 6 three times for 48 and 4
    four times for 64. The discriminator's blocks halve the image until it has at most 8 pixels, two
    more keep its size. 32x32x3 at width 128 and latent_dim 128 has 4,276,739 and 1,053,825
    parameters, as SNGAN's pair for CIFAR-10; spectral norm is a regularizer here.

    Attributes:
        latent_dim: Dimensions of z.
        width: Channels of the discriminator's blocks.
        generator_width: Channels of the generator's blocks; None = twice the width, as SNGAN's.
        generator_norm: none, batch, layer or instance, before each ReLU of the generator.
        packing: Images that the discriminator judges together, joined as channels; above 1 it
            excludes gradient penalties.
        conditional: Whether both networks are given the class of each sample, of data with labels;
            see `Conditional`.

    Reference: Miyato et al. 2018, arXiv:1802.05957, appendix B.4; after Gulrajani et al.
    2017, arXiv:1704.00028, appendix C.
    """

    latent_dim: int
    width: int = 128
    generator_width: int | None = None
    generator_norm: str = "batch"
    packing: int = 1
    conditional: bool = False

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "packing"):
            check_count(self, name)
        check_conditional(self)
        if self.generator_width is not None:
            check_count(self, "generator_width")
        check_choice(self, "generator_norm", list(NORMS))

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module z [N, latent_dim] -> images [N, channels, size, size] in [-1, 1]."""
        sizes = doublings(shape, "resnet")
        channels = self.generator_width or 2 * self.width
        return nn.Sequential(
            nn.Linear(self.latent_dim, channels * sizes[0] ** 2),
            UnflattenPixels(channels, sizes[0]),
            *(GeneratorBlock(channels, self.generator_norm) for _ in sizes[1:]),
            *_norm_and_relu(channels, self.generator_norm),
            nn.Conv2d(channels, shape[0], 3, padding=1),
            nn.Tanh(),
        )

    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module, images [N, channels, size, size] -> logits [N / packing]."""
        sizes, width = doublings(shape, "resnet"), self.width
        n_more = sum(size > 8 for size in sizes[:-1])  # halvings after the first block's
        return with_packing(
            [
                DiscriminatorBlock(self.packing * shape[0], width, first=True, down=True),
                *(DiscriminatorBlock(width, width, down=True) for _ in range(n_more)),
                *(DiscriminatorBlock(width, width) for _ in range(2)),
                *(nn.ReLU(), SumPixels(), nn.Linear(width, 1), nn.Flatten(0)),
            ],
            self.packing,
        )

    @torch.no_grad()
    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw weights uniformly as Glorot does, with gain sqrt(2) in branches; biases are 0."""
        for name, layer in module.named_modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                gain = _GAIN if ".branch." in name else 1.0
                nn.init.xavier_uniform_(layer.weight, gain, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif hasattr(layer, "reset_parameters"):
                layer.reset_parameters()  # norms: scale 1, bias 0


def _norm_and_relu(channels: int, norm: str) -> list[nn.Module]:
    make_norm = NORMS[norm]
    return [nn.ReLU()] if make_norm is None else [make_norm(channels), nn.ReLU()]
