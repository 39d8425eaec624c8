"""Multilayer perceptrons for points and for flattened images."""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.errors import ConfigError
from gan_lab.networks import init
from gan_lab.networks.base import ACTIVATIONS, NetworkPair, check_conditional, with_packing
from gan_lab.networks.lipschitz import OrthonormalLinear, group_sort_layers, initialise_orthonormal_
from gan_lab.validation import check_choice, check_count


class LayerNorm(nn.LayerNorm):
    """Layer norm in its weights' type, as autocast has it on a GPU.

    torch's on the CPU takes bfloat16 beside float32 weights, but the second derivative of several
    stacked does not.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Return x [N, units], normed, in the type of the weights."""
        return super().forward(x.to(self.weight.dtype))


NORMS: dict[str, Callable[[int], nn.Module] | None] = {
    "none": None,
    "batch": nn.BatchNorm1d,
    "layer": LayerNorm,
}
_MAX_LAYERS = 1000  # building modules takes time, even on the meta device


class Reshape(nn.Module):
    """Numbers of each sample in another shape: [N, ...] -> [N, *shape]."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        """Return x [N, ...] as [N, *shape]."""
        return x.reshape(x.shape[0], *self.shape)  # len(x) is a constant for torch.export


@dataclass(frozen=True)
class Mlp(NetworkPair):
    """Two perceptrons of the same width and depth.

    Attributes:
        latent_dim: Dimensions of z.
        width: Units of each hidden layer.
        depth: Number of hidden layers.
        activation: Of each hidden layer: relu, leaky_relu, elu, silu, softplus, tanh.
        generator_norm: none, batch or layer, before each activation of the generator.
        discriminator_norm: The same for the discriminator; batch excludes gradient penalties.
        packing: Samples that the discriminator judges together, joined; above 1 it excludes
            gradient penalties.
        lipschitz: Whether the discriminator is of orthonormal layers and GroupSort, so that its
            slope is at most 1 without a penalty (a pack's, with packing): its loss under
            `wasserstein` is minus a lower bound of W1. It has no norm, and `activation` is the
            generator's alone.
        conditional: Whether both networks are given the class of each sample, of data with labels;
            see `Conditional`.
    """

    latent_dim: int
    width: int
    depth: int = 3
    activation: str = "relu"
    generator_norm: str = "none"
    discriminator_norm: str = "none"
    packing: int = 1
    lipschitz: bool = False
    conditional: bool = False

    def __post_init__(self) -> None:
        for name in ("latent_dim", "width", "packing"):
            check_count(self, name)
        check_count(self, "depth", at_most=_MAX_LAYERS)
        check_choice(self, "activation", list(ACTIVATIONS))
        check_choice(self, "generator_norm", list(NORMS))
        check_choice(self, "discriminator_norm", list(NORMS))
        if not isinstance(self.lipschitz, bool):
            raise ValueError(f"Mlp.lipschitz={self.lipschitz!r} is not true or false")
        if self.lipschitz and self.discriminator_norm != "none":
            raise ConfigError(
                f"network.discriminator_norm={self.discriminator_norm} divides by a standard "
                f"deviation, so that the slope of network.lipschitz=true is not at most 1; set "
                f"network.discriminator_norm=none"
            )
        check_conditional(self)

    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module z [N, latent_dim] -> samples [N, *shape]."""
        body = self._body(self.latent_dim, math.prod(shape), self.generator_norm)
        return nn.Sequential(*body, *([nn.Tanh()] if len(shape) == 3 else []), Reshape(shape))

    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Return a module, samples [N, *shape] -> logits [N / packing]."""
        n_in = self.packing * math.prod(shape)
        if self.lipschitz:
            body = group_sort_layers(n_in, self.width, self.depth, OrthonormalLinear)
        else:
            body = self._body(n_in, 1, self.discriminator_norm)
        return with_packing([nn.Flatten(), *body, Reshape(())], self.packing)

    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw weights uniformly on +-1/sqrt(fan_in); for orthonormal ones see there."""
        init.uniform_fan_in_(module, generator)
        initialise_orthonormal_(module, generator)

    def _body(self, n_in: int, n_out: int, norm: str) -> list[nn.Module]:
        layers: list[nn.Module] = []
        make_norm = NORMS[norm]
        for _ in range(self.depth):
            layers.append(nn.Linear(n_in, self.width))
            if make_norm is not None:
                layers.append(make_norm(self.width))
            layers.append(ACTIVATIONS[self.activation]())
            n_in = self.width
        return [*layers, nn.Linear(n_in, n_out)]
