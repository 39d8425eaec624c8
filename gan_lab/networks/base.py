"""What a pair of networks promises: z [N, latent_dim] -> [N, *shape] -> logits [N]."""

from abc import ABC, abstractmethod
from collections.abc import Callable

import torch
from torch import nn

ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {
    "relu": nn.ReLU,
    "leaky_relu": lambda: nn.LeakyReLU(0.2),
    "elu": nn.ELU,
    "silu": nn.SiLU,
    "softplus": nn.Softplus,
    "tanh": nn.Tanh,
}


class NetworkPair(ABC):
    """A description of two networks: a frozen dataclass that allocates nothing until asked."""

    latent_dim: int

    @abstractmethod
    def generator(self, shape: tuple[int, ...]) -> nn.Module:
        """z [N, latent_dim] -> samples [N, *shape]; images end in tanh, in [-1, 1].

        Raises:
            ValueError: This pair cannot make samples of that shape.
        """

    @abstractmethod
    def discriminator(self, shape: tuple[int, ...]) -> nn.Module:
        """Samples [N, *shape] -> logits [N], never squashed.

        Raises:
            ValueError: This pair cannot read samples of that shape.
        """

    @abstractmethod
    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Fills every parameter of one of its networks from the generator's randomness alone."""


def batch_coupling(module: nn.Module) -> str | None:
    """The first layer through which the samples of a batch see each other, or None.

    Returns:
        A readable name such as "BatchNorm2d ('body.3')".
    """
    for name, layer in module.named_modules():
        if isinstance(layer, nn.modules.batchnorm._BatchNorm):
            return f"{type(layer).__name__} ('{name}')"
    return None
