"""Penalties on the discriminator's slope: GP and LP, R1, R2, DRAGAN. The norm is per sample."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import torch
import torch.nn.functional as F
from torch import Tensor

from gan_lab.checks import check_number
from gan_lab.regularizers.base import (
    Regularizer,
    Score,
    Tensors,
    input_gradient,
    norms,
)


def _slope_penalty(
    score: Score, points: Tensor, weight: float, target: float, one_sided: bool = False
) -> Tensor:
    excess = norms(input_gradient(score, points)) - target
    return weight * (F.relu(excess) if one_sided else excess).square()


def _like(mix: Tensor, samples: Tensor) -> Tensor:
    return mix.reshape(-1, *[1] * (samples.ndim - 1))


@dataclass(frozen=True)
class GradientPenalty(Regularizer):
    """weight (|grad f(x)| - target)^2 at x = mix real + (1 - mix) fake, one x for each sample.

    With `one_sided` only slopes above the target are penalised (WGAN-LP).

    Reference: Gulrajani et al. 2017, arXiv:1704.00028, eq. 3; one-sided: Petzka et al. 2018,
    arXiv:1709.08894.
    """

    weight: float = 10.0
    target: float = 1.0
    one_sided: bool = False
    needs_independent_samples: ClassVar[bool] = True
    inner_gradients: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_number(self, "weight", self.weight)
        check_number(self, "target", self.target)

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """See the class; [N], >= 0, in the unit of the loss."""
        weights = _like(mix, real)
        points = weights * real + (1 - weights) * fake
        return _slope_penalty(score, points, self.weight, self.target, self.one_sided)


@dataclass(frozen=True)
class _SquaredSlope(Regularizer):
    weight: float = 1.0
    needs_independent_samples: ClassVar[bool] = True
    inner_gradients: ClassVar[int] = 1
    at_real: ClassVar[bool]

    def __post_init__(self) -> None:
        check_number(self, "weight", self.weight)

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """See the class; [N], >= 0, in the unit of the loss."""
        return _slope_penalty(score, real if self.at_real else fake, self.weight / 2, target=0.0)


@dataclass(frozen=True)
class R1(_SquaredSlope):
    """weight/2 |grad f(x)|^2 at real samples: Mescheder et al. 2018, arXiv:1801.04406, eq. 9."""

    at_real: ClassVar[bool] = True


@dataclass(frozen=True)
class R2(_SquaredSlope):
    """weight/2 |grad f(x)|^2 at generated samples: Mescheder et al. 2018, arXiv:1801.04406."""

    at_real: ClassVar[bool] = False


@dataclass(frozen=True)
class Dragan(Regularizer):
    """weight (|grad f(x + d)| - 1)^2 around real samples, d ~ N(0, (scale std)^2).

    std is that of the batch over all its entries.

    Reference: Kodali et al. 2017, arXiv:1705.07215, section 2.4.
    """

    weight: float = 10.0
    scale: float = 0.5
    needs_independent_samples: ClassVar[bool] = True
    inner_gradients: ClassVar[int] = 1

    def __post_init__(self) -> None:
        check_number(self, "weight", self.weight)
        check_number(self, "scale", self.scale)

    def noise_spec(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """One normal number for each entry of a sample."""
        return {"dragan": shape}

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """See the class; [N], >= 0, in the unit of the loss.

        Without `noise` it is drawn from torch's global generator; the trainer always passes it.
        """
        unit = torch.randn_like(real) if noise is None else noise["dragan"]
        points = real + self.scale * real.std() * unit
        return _slope_penalty(score, points, self.weight, target=1.0)
