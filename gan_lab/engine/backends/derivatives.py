"""Derivatives of losses by logits, and of penalties' costs by norms, in closed form.

Autograd takes a fifth of a step of a narrow network for the few hundred numbers of a batch. The
tables are by function, so that a class that overrides one, or brings its own, is left to autograd.
All are elementwise, for samples of one seed [N] or of stacked seeds [S, N].
"""

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gan_lab.losses.base import AdversarialLoss
from gan_lab.losses.cross_entropy import Minimax, NonSaturating
from gan_lab.losses.hinge import Hinge
from gan_lab.losses.least_squares import LeastSquares
from gan_lab.losses.wasserstein import Wasserstein
from gan_lab.regularizers.base import GradientNormPenalty
from gan_lab.regularizers.gradient_penalty import R1, Dragan, GradientPenalty

# Arguments of a loss or cost -> the derivatives of its value per sample by its last arguments.
Derivatives = Callable[..., tuple[Tensor, ...]]


def of_discriminator(loss: AdversarialLoss) -> Derivatives | None:
    """Return the derivatives of the discriminator's loss: real, fake -> by real, by fake."""
    return _DISCRIMINATOR.get(type(loss).discriminator)


def of_generator(loss: AdversarialLoss) -> Derivatives | None:
    """Return the derivative of the generator's loss: real, fake -> by fake."""
    return _GENERATOR.get(type(loss).generator)


def of_cost(penalty: GradientNormPenalty) -> Derivatives | None:
    """Return the derivative of the cost of gradient norms: norms -> by norms."""
    derivative = _COST.get(type(penalty).cost)
    return None if derivative is None else partial(derivative, penalty)


def _excess(penalty: GradientPenalty, norms: Tensor) -> tuple[Tensor]:
    excess = norms - penalty.target
    return ((excess.relu() if penalty.one_sided else excess) * (2 * penalty.weight),)


def _by_softplus(x: Tensor) -> Tensor:
    # Torch's own: softplus is linear from 20 on, where the sigmoid still lacks 2e-9 of 1.
    derivative: Tensor = torch.ops.aten.softplus_backward(torch.ones_like(x), x, 1, 20)
    return derivative


_DISCRIMINATOR: dict[Any, Derivatives] = {
    Wasserstein.discriminator: lambda real, fake: (-torch.ones_like(real), torch.ones_like(fake)),
    Minimax.discriminator: lambda real, fake: (-_by_softplus(-real), _by_softplus(fake)),
    Hinge.discriminator: lambda real, fake: (
        -(real < 1).to(real.dtype),
        (fake > -1).to(fake.dtype),
    ),
    LeastSquares.discriminator: lambda real, fake: (real - 1, fake),
}
_GENERATOR: dict[Any, Derivatives] = {
    Wasserstein.generator: lambda real, fake: (-torch.ones_like(fake),),
    Minimax.generator: lambda real, fake: (-_by_softplus(fake),),
    NonSaturating.generator: lambda real, fake: (-_by_softplus(-fake),),
    Hinge.generator: lambda real, fake: (-torch.ones_like(fake),),
    LeastSquares.generator: lambda real, fake: (fake - 1,),
}
_COST: dict[Any, Derivatives] = {
    GradientPenalty.cost: _excess,
    R1.cost: lambda penalty, norms: (penalty.weight * norms,),  # R2's too
    Dragan.cost: lambda penalty, norms: (2 * penalty.weight * (norms - 1),),
}
