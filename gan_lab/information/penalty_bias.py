"""The analytic bias of regularized critics: what gradient penalty and clipping make of W1."""

import math
from dataclasses import dataclass
from typing import Generic, overload

import torch
from torch import Tensor

from gan_lab.information.inputs import Number, Real, as_tensors, like_inputs
from gan_lab.information.quadrature import panels

_TAIL = 10.0  # standard deviations: A^2/rho is down by exp(-50) there


@dataclass(frozen=True)
class GradientPenaltyValue(Generic[Number]):
    """The optimum of a WGAN-GP critic on a line.

    Attributes:
        value: real mean - fake mean of the critic, as a run logs it, in data units.
        wasserstein: W1; value - wasserstein is the bias.
        gradient_norm: Mean over the interpolates, 1 + W1/(2 weight); for two points the norm
            everywhere between them, so also at the generator's samples.
    """

    value: Number
    wasserstein: Number
    gradient_norm: Number


@overload
def gradient_penalty_value(
    theta: float, weight: float = 10.0, std: float = 0.0
) -> GradientPenaltyValue[float]: ...
@overload
def gradient_penalty_value(
    theta: Tensor, weight: Real = 10.0, std: float = 0.0
) -> GradientPenaltyValue[Tensor]: ...
@overload
def gradient_penalty_value(
    theta: Real, weight: Tensor, std: float = 0.0
) -> GradientPenaltyValue[Tensor]: ...
def gradient_penalty_value(
    theta: Real, weight: Real = 10.0, std: float = 0.0
) -> GradientPenaltyValue[float] | GradientPenaltyValue[Tensor]:
    """Return the optimum of a WGAN-GP critic of N(0, std^2) against N(theta, std^2).

    Maximising the integral of A f' - weight rho (|f'| - 1)^2, with A = |F - G| and rho the density
    of interpolates of independent pairs, gives the derivative 1 + A/(2 weight rho), hence
    value = W1 + (1/(2 weight)) integral A^2/rho. For two points (std = 0) rho is 1/theta between
    them: theta + theta^2/(2 weight). The critic is biased upwards, the more the further apart.

    Args:
        theta: Distance of the means in data units, any sign, finite.
        weight: Of the penalty, > 0, finite; broadcasts with theta.
        std: Standard deviation of both, a number >= 0; 0 is two points.

    Returns:
        See GradientPenaltyValue; to 1e-10 relative.

    Raises:
        ValueError: theta is not finite, weight is not a finite number above 0, or std is not a
            finite number >= 0.

    Reference: derived from Gulrajani et al. 2017, arXiv:1704.00028, equation 3.
    """
    distance, penalty = as_tensors(theta=theta, weight=weight, positive=("weight",))
    if not (math.isfinite(std) and std >= 0):
        raise ValueError(f"std={std} is not a finite number >= 0; use 0 for two points")
    size = distance.abs()
    integral = size.square() if std == 0 else std**2 * _area_squared_over_density(size / std)
    result: GradientPenaltyValue[Tensor] = GradientPenaltyValue(
        value=size + integral / (2 * penalty),
        wasserstein=size,
        gradient_norm=1 + size / (2 * penalty),
    )
    return like_inputs(result, theta, weight)


def clipping_gradient_norm_bound(
    bound: float, n_layers: int, width: int, n_inputs: int = 1
) -> float:
    """Return the largest gradient norm of a ReLU network with weights clipped to [-bound, bound].

    Along one coordinate at most bound^L H^(L-1) for L layers of width H; in the Euclidean norm at
    most sqrt(n_inputs) times that. An invariant, never an equality: training ends far below or,
    with a small bound, is scaled by an unknown constant. WGAN-GP's toy critic (.01, 4 layers, 512):
    1.342.

    Args:
        bound: Of every weight, > 0.
        n_layers: Linear layers, the output layer among them, >= 1.
        width: Of every hidden layer, >= 1.
        n_inputs: Dimensions of a sample, >= 1; 1 bounds the derivative by one coordinate.

    Returns:
        Critic units per data unit.

    Raises:
        ValueError: An argument is below its least value, or the bound is not finite.

    Reference: Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, by the chain rule.
    """
    if not (math.isfinite(bound) and bound > 0):
        raise ValueError(f"bound={bound} is not a finite number above 0")
    for name, value in (("n_layers", n_layers), ("width", width), ("n_inputs", n_inputs)):
        if value < 1:
            raise ValueError(f"{name}={value} is below 1")
    # In this order no power overflows that the result does not.
    return bound * (bound * width) ** (n_layers - 1) * math.sqrt(n_inputs)


def _area_squared_over_density(t: Tensor) -> Tensor:
    """Return the integral of A^2/rho for N(0, 1) against N(t, 1), t >= 0; about t^2 for large t.

    rho(x) = integral over m in [0, 1] of N(x; m t, m^2 + (1 - m)^2). Symmetric about t/2, so twice
    the lower half, where the normal distribution function keeps its digits.
    """
    t_ = t.detach()[..., None]
    fine = torch.linspace(-_TAIL, _TAIL, 21, dtype=torch.float64, device=t.device)
    coarse = _TAIL + (t_ / 2 - _TAIL).clamp_min(0) * fine.new_tensor([0.25, 0.5, 0.75])
    edges = torch.cat([fine.expand(*t.shape, -1), coarse, t_ / 2], -1)
    x, weights = panels(torch.minimum(edges, t_ / 2), 16)
    middle = t.detach()[..., None] / 2
    x = x + (t[..., None] / 2 - middle)  # the upper end moves with t: the nodes must, for autograd
    area = torch.special.ndtr(x) - torch.special.ndtr(x - t[..., None])
    return 2 * (area.square() / _interpolate_density(x, t[..., None]) * weights).sum(-1)


def _interpolate_density(x: Tensor, t: Tensor) -> Tensor:
    """Return rho at x <= t/2: only m with |x - m t| below 10 or so count."""
    scale = t.detach().clamp_min(1e-300)
    position = x.detach()
    low = ((position - _TAIL) / scale).clamp(0, 1)
    high = ((position.clamp_min(0) + _TAIL) / scale).clamp(0, 1)
    cuts = torch.linspace(0, 1, 9, dtype=torch.float64, device=t.device)
    m, weights = panels(low[..., None] + (high - low)[..., None] * cuts, 16)
    variance = m.square() + (1 - m).square()
    score = (x[..., None] - m * t[..., None]).square() / variance
    return ((-score / 2).exp() * (2 * math.pi * variance).rsqrt() * weights).sum(-1)
