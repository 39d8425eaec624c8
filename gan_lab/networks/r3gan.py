"""The residual pair of Huang et al. 2024 (R3GAN), without norms, for images of 8 to 128 pixels."""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.networks.base import NetworkPair, check_conditional, with_packing
from gan_lab.networks.conv import LeakyReLU
from gan_lab.networks.resnet import doublings
from gan_lab.validation import check_count

_LEAK = 0.2  # factor of the leaky ReLU below 0
_EXPANSION = 2  # channels of a block's branch, in widths
_GROUP = 16  # channels of a group of the branch's 3x3 convolution, as in theirs of 96 groups
_MAX_DEPTH = 100  # building modules takes time, even on the meta device


def _bilinear(x: Tensor) -> Tensor:
    """Return the kernel [c, 1, 4, 4] of (1, 3, 3, 1) / 8 along each axis, on the device of x."""
    # 1, 3, 3, 1 by a formula: numbers from the host would wait for the device.
    row = (2 - (torch.arange(4, device=x.device, dtype=x.dtype) - 1.5).abs()) / 4
    return (row[:, None] * row).expand(x.shape[1], 1, 4, 4)


class Upsample(nn.Module):
    """Bilinear doubling, with zeros around the image: [N, c, h, w] -> [N, c, 2 h, 2 w]."""

    def forward(self, x: Tensor) -> Tensor:
        """Return pixels of weights 3/4 and 1/4 along each axis."""
        kernel = 4 * _bilinear(x)
        return F.conv_transpose2d(x, kernel, None, (2, 2), (1, 1), (0, 0), x.shape[1], (1, 1))


class Downsample(nn.Module):
    """Bilinear halving without aliases: [N, c, 2 h, 2 w] -> [N, c, h, w]; zeros around."""

    def forward(self, x: Tensor) -> Tensor:
        """Return means of four pixels with weights (1, 3, 3, 1) / 8 along each axis."""
        return F.conv2d(x, _bilinear(x), None, (2, 2), (1, 1), (1, 1), x.shape[1])


class Bottleneck(nn.Module):
    """x + W3 a(W2 a(W1 x + b1) + b2), a the leaky ReLU: [N, c, h, w] -> [N, c, h, w].

    W1 (1x1) expands c to 2 c channels, W2 is 3x3 in groups of 16 channels, W3 (1x1) is 0 at first:
    a block starts as the identity.

    Reference: Huang et al. 2024, arXiv:2501.05441, section 4; Zhang et al. 2019 (Fixup),
    arXiv:1901.09321.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = _EXPANSION * channels
        self.branch = nn.Sequential(
            nn.Conv2d(channels, inner, 1),
            LeakyReLU(_LEAK),
            nn.Conv2d(inner, inner, 3, padding=1, groups=max(1, inner // _GROUP)),
            LeakyReLU(_LEAK),
            nn.Conv2d(inner, channels, 1, bias=False),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Return the sum of x and the branch."""
        y: Tensor = x + self.branch(x)
        return y


class GeneratorBasis(nn.Module):
    """Learned images, one a channel, times a linear map of z: [N, n] -> [N, c, size, size].

    Attributes:
        basis: The images, [c, size, size].
    """

    def __init__(self, n_in: int, channels: int, size: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.zeros(channels, size, size))
        self.linear = nn.Linear(n_in, channels, bias=False)

    def forward(self, z: Tensor) -> Tensor:
        """Return each channel's image times its factor."""
        factors: Tensor = self.linear(z)
        return self.basis * factors[:, :, None, None]


class DiscriminatorBasis(nn.Module):
    """Inner product of each channel with a learned image: [N, c, size, size] -> [N, c].

    Attributes:
        basis: The images, [c, size, size].
    """

    def __init__(self, channels: int, size: int) -> None:
        super().__init__()
        self.basis = nn.Parameter(torch.zeros(channels, size, size))

    def forward(self, x: Tensor) -> Tensor:
        """Return the products summed over the pixels: a convolution of the whole image."""
        return (x * self.basis).sum((2, 3))


@dataclass(frozen=True)
class R3gan(NetworkPair):
    """Bottleneck blocks of one width at each resolution, from 4 to 7 pixels up, and their mirror.

    No layer normalises; a start at which each block is the identity and bilinear resampling take
    the place of norms and tricks. Made for `loss=relativistic` with R1 and R2. 32x32x3 at width
    768, depth 2 and latent_dim 64 has 20,732,160 and 20,683,776 parameters, as theirs for CIFAR-10
    without its class embedding.

    Not theirs: the generator ends in tanh.

    Attributes:
        latent_dim: Dimensions of z.
        width: Channels at each resolution; at most 8, or a multiple of 8.
        depth: Blocks at each resolution.
        packing: Images that the discriminator judges together, joined as channels; above 1 it
            excludes gradient penalties.
        conditional: Whether both networks are given the class of each sample, of data with labels;
            see `Conditional`.

    Reference: Huang et al. 2024, arXiv:2501.05441, section 4 and their code.
    """

    latent_dim: int
    width: int = 32
    depth: int = 2
    packing: int = 1
    conditional: bool = False

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "packing"):
            check_count(self, name)
        check_conditional(self)
        check_count(self, "depth", at_most=_MAX_DEPTH)
        if self.width > 8 and self.width % 8:
            raise ValueError(
                f"R3gan.width={self.width} makes no groups of {_GROUP} channels; take a multiple "
                f"of 8, or at most 8"
            )

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module z [N, latent_dim] -> images [N, channels, size, size] in [-1, 1]."""
        sizes = doublings(shape, "r3gan")
        layers: list[nn.Module] = [
            GeneratorBasis(self.latent_dim, self.width, sizes[0]),
            *self._blocks(),
        ]
        for _ in sizes[1:]:
            layers += [Upsample(), *self._blocks()]
        return nn.Sequential(*layers, nn.Conv2d(self.width, shape[0], 1, bias=False), nn.Tanh())

    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module, images [N, channels, size, size] -> logits [N / packing]."""
        sizes = doublings(shape, "r3gan")
        layers: list[nn.Module] = [nn.Conv2d(self.packing * shape[0], self.width, 1, bias=False)]
        for _ in sizes[1:]:
            layers += [*self._blocks(), Downsample()]
        layers += [*self._blocks(), DiscriminatorBasis(self.width, sizes[0])]
        last = nn.Linear(self.width, 1, bias=False)
        return with_packing([*layers, last, nn.Flatten(0)], self.packing)

    @torch.no_grad()
    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw weights N(0, gain / fan_in), biases 0; of n blocks, each starts as the identity.

        A branch's gain is that of its leaky ReLU over n^(1/4) for W1 and W2, 0 for W3. The bases
        are N(0, 1) in the generator, N(0, 1 / pixels) in the discriminator.
        """
        blocks = [layer for layer in module.modules() if isinstance(layer, Bottleneck)]
        gain = (2 / (1 + _LEAK**2)) ** 0.5 * len(blocks) ** -0.25
        in_branch = {layer: gain for block in blocks for layer in block.branch}
        for layer in module.modules():
            if isinstance(layer, nn.Linear | nn.Conv2d):
                std = in_branch.get(layer, 1.0) * layer.weight[0].numel() ** -0.5
                layer.weight.normal_(0.0, std, generator=generator)
                if layer.bias is not None:
                    layer.bias.zero_()
            elif isinstance(layer, GeneratorBasis):
                layer.basis.normal_(0.0, 1.0, generator=generator)
            elif isinstance(layer, DiscriminatorBasis):
                layer.basis.normal_(0.0, layer.basis[0].numel() ** -0.5, generator=generator)
        for block in blocks:
            block.branch[-1].get_parameter("weight").zero_()

    def _blocks(self) -> list[nn.Module]:
        return [Bottleneck(self.width) for _ in range(self.depth)]
