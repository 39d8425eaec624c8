"""Penalties on the discriminator's gradient norm, per sample: GP and LP, R1, R2, DRAGAN.

Each may be lazy: see `every` of `Regularizer`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.errors import ConfigError
from gan_lab.regularizers.base import GradientNormPenalty, Tensors
from gan_lab.validation import check_count, check_number


@dataclass(frozen=True)
class GradientPenalty(GradientNormPenalty):
    """weight (|grad f(x)| - target)^2 at x = mix real + (1 - mix) fake, one x for each sample.

    With `one_sided` only norms above the target are penalised (WGAN-LP).

    Reference: Gulrajani et al. 2017, arXiv:1704.00028, eq. 3; one-sided: Petzka et al. 2018,
    arXiv:1709.08894.
    """

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    every: int = 1

    def __post_init__(self) -> None:
        check_number(self, "weight", self.weight)
        check_number(self, "target", self.target)
        check_count(self, "every")

    def points(self, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None) -> Tensor:
        """Return one point between each real and generated sample, [N, *shape]."""
        if mix.numel() != len(real):
            raise ConfigError(
                f"each sample has its own mixing weight: mix of {len(real)} samples has shape "
                f"({len(real)},), got {tuple(mix.shape)}; draw torch.rand({len(real)})"
            )
        weights = mix.reshape(-1, *[1] * (real.ndim - 1))
        return weights * real + (1 - weights) * fake

    def cost(self, gradient_norms: Tensor) -> Tensor:
        """See the class; [N] -> [N]."""
        excess = gradient_norms - self.target
        return self.weight * (F.relu(excess) if self.one_sided else excess).square()


@dataclass(frozen=True)
class _SquaredGradientNorm(GradientNormPenalty):
    weight: float = 1.0
    every: int = 1
    at_real: ClassVar[bool]

    def __post_init__(self) -> None:
        check_number(self, "weight", self.weight)
        check_count(self, "every")

    def points(self, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None) -> Tensor:
        """Return the samples of one side, [N, *shape]."""
        return real if self.at_real else fake

    def cost(self, gradient_norms: Tensor) -> Tensor:
        """See the class; [N] -> [N]."""
        return self.weight / 2 * gradient_norms.square()


@dataclass(frozen=True)
class R1(_SquaredGradientNorm):
    """weight/2 |grad f(x)|^2 at real samples: Mescheder et al. 2018, arXiv:1801.04406, eq. 9."""

    at_real: ClassVar[bool] = True


@dataclass(frozen=True)
class R2(_SquaredGradientNorm):
    """weight/2 |grad f(x)|^2 at generated samples: Mescheder et al. 2018, arXiv:1801.04406."""

    at_real: ClassVar[bool] = False


@dataclass(frozen=True)
class Dragan(GradientNormPenalty):
    """weight (|grad f(x + d)| - 1)^2 around real samples, d ~ N(0, (scale std)^2).

    std is that of the batch over all its entries.

    Reference: Kodali et al. 2017, arXiv:1705.07215, section 2.4.
    """

    needs_whole_batch: ClassVar[bool] = True
    weight: float = 10.0
    scale: float = 0.5
    every: int = 1

    def __post_init__(self) -> None:
        check_number(self, "weight", self.weight)
        check_number(self, "scale", self.scale)
        check_count(self, "every")

    def noise_spec(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """Return one normal number for each entry of a sample."""
        return {"dragan": shape}

    def points(self, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None) -> Tensor:
        """Return one point around each real sample, [N, *shape].

        Without `noise` it is drawn from torch's global generator; the trainer always passes it.
        """
        unit = torch.randn_like(real) if noise is None else noise["dragan"]
        return real + self.scale * real.std() * unit

    def cost(self, gradient_norms: Tensor) -> Tensor:
        """See the class; [N] -> [N]."""
        return self.weight * (gradient_norms - 1.0).square()
