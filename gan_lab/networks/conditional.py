"""Conditional pairs: the class of each sample is given to both networks, whatever their design."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.errors import ConfigError
from gan_lab.networks import init
from gan_lab.networks.base import NetworkPair


class ConditionalGenerator(nn.Module):
    """A generator of z and a class: [N, latent_dim + K] -> [N, *shape].

    The class is one-hot, K numbers after those of z. They are multiplied by sqrt(K), so that their
    mean square is 1 as that of z. The first linear layer's columns for them are the embedding of
    the classes.
    """

    def __init__(self, body: nn.Module, latent_dim: int, n_classes: int) -> None:
        super().__init__()
        self.body = body
        self.latent_dim, self.n_classes = latent_dim, n_classes

    def forward(self, latent: Tensor) -> Tensor:
        """Return samples [N, *shape] of latents [N, latent_dim + K]."""
        z, labels = latent.split([self.latent_dim, self.n_classes], dim=1)
        samples: Tensor = self.body(torch.cat([z, labels * self.n_classes**0.5], 1))
        return samples


class ProjectionDiscriminator(nn.Module):
    """Logits f(x, y) = psi(phi(x)) + <v_y, phi(x)>: the head of phi, and a vector v of each class.

    Reference: Miyato and Koyama 2018, arXiv:1802.05637, eq. 8.
    """

    def __init__(
        self, features: nn.Sequential, head: nn.Sequential, width: int, n_classes: int
    ) -> None:
        """Join phi, with `width` features a sample, and the head psi that makes its logit."""
        super().__init__()
        self.features, self.head = features, head
        self.projection = nn.Linear(width, n_classes, bias=False)  # row y is v_y

    def forward(self, x: Tensor, labels: Tensor | None = None) -> Tensor:
        """Return logits [N] of samples [N, *shape] of classes [N, K], one-hot.

        Without classes it is psi(phi(x)) alone.
        """
        features = self.features(x)
        logits: Tensor = self.head(features)
        projections = self.projection(features.flatten(1))
        return logits if labels is None else logits + (projections * labels).sum(1)


class Conditional(NetworkPair):
    """A pair of networks with the classes of a data set.

    Any pair will do whose discriminator is an nn.Sequential that ends in one linear layer, of one
    output, and a flattening: what comes before are the features phi.

    Attributes:
        pair: The pair without classes.
    """

    conditional = True

    def __init__(self, pair: NetworkPair, n_classes: int) -> None:
        """Take a pair, a dataclass with a field `conditional`, and the number of classes K."""
        fields: dict[str, Any] = {"conditional": False, "latent_dim": pair.latent_dim + n_classes}
        self.pair: NetworkPair = replace(pair, **fields)  # type: ignore[type-var]
        self.latent_dim, self.n_classes = pair.latent_dim, n_classes
        self.packing, self.lipschitz = pair.packing, pair.lipschitz

    def generator(self, shape: tuple[int, ...]) -> ConditionalGenerator:
        """Return a module, z and one-hot class [N, latent_dim + K] -> samples [N, *shape]."""
        return ConditionalGenerator(self.pair.generator(shape), self.latent_dim, self.n_classes)

    def discriminator(self, shape: tuple[int, ...]) -> ProjectionDiscriminator:
        """Return a module, samples [N, *shape] and one-hot classes [N, K] -> logits [N].

        Raises:
            ConfigError: The pair's discriminator has another form.
        """
        body = self.pair.discriminator(shape)
        layers = list(body) if isinstance(body, nn.Sequential) else []
        at = max((i for i, layer in enumerate(layers) if list(layer.parameters())), default=-1)
        last = layers[at] if layers else body
        if not (isinstance(last, nn.Linear | nn.Conv2d) and len(last.weight) == 1):
            raise ConfigError(
                f"network.conditional=true needs a discriminator that is an nn.Sequential whose "
                f"last layer with weights is linear and of one output, but that of "
                f"{type(self.pair).__name__} is {type(body).__name__} and ends in "
                f"{type(last).__name__}; set network.conditional=false, or change its form"
            )
        features, head = nn.Sequential(*layers[:at]), nn.Sequential(*layers[at:])
        width = last.weight[0].numel()
        return ProjectionDiscriminator(features, head, width, self.n_classes)

    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Draw the pair's weights as it does; each v is uniform on +-1/sqrt(its numbers)."""
        if isinstance(module, ProjectionDiscriminator):
            self.pair.initialise_(nn.Sequential(*module.features, *module.head), generator)
            init.uniform_fan_in_(module.projection, generator)
        elif isinstance(module, ConditionalGenerator):
            self.pair.initialise_(module.body, generator)
        else:
            raise TypeError(f"{type(module).__name__} is no network of a conditional pair")
