"""Two normal distributions on a line: every divergence, in closed form or by quadrature."""

import math
from dataclasses import dataclass
from typing import Generic, overload

import torch
from torch import Tensor

from gan_lab.information.inputs import Number, Real, answer, prepared
from gan_lab.information.quadrature import missing_bits, normal_density, panels

_TAIL = 12  # standard deviations: what lies beyond has a mass of 4e-33


@dataclass(frozen=True)
class Gaussians(Generic[Number]):
    """Divergences of p = N(mean_p, std_p^2) and q = N(mean_q, std_q^2).

    Attributes:
        kl: KL(p||q) in nats.
        reverse_kl: KL(q||p) in nats.
        js: Nats, by quadrature.
        tv: Total variation, in [0, 1].
        wasserstein: W1 in data units.
        wasserstein_2: W2 in data units.
    """

    kl: Number
    reverse_kl: Number
    js: Number
    tv: Number
    wasserstein: Number
    wasserstein_2: Number


@overload
def gaussians(mean_p: float, std_p: float, mean_q: float, std_q: float) -> Gaussians[float]: ...
@overload
def gaussians(mean_p: Tensor, std_p: Real, mean_q: Real, std_q: Real) -> Gaussians[Tensor]: ...
@overload
def gaussians(mean_p: Real, std_p: Tensor, mean_q: Real, std_q: Real) -> Gaussians[Tensor]: ...
@overload
def gaussians(mean_p: Real, std_p: Real, mean_q: Tensor, std_q: Real) -> Gaussians[Tensor]: ...
@overload
def gaussians(mean_p: Real, std_p: Real, mean_q: Real, std_q: Tensor) -> Gaussians[Tensor]: ...
def gaussians(mean_p: Real, std_p: Real, mean_q: Real, std_q: Real) -> Gaussians:
    """N(mean_p, std_p^2) against N(mean_q, std_q^2) on a line.

    KL(p||q) = log(std_q/std_p) + (std_p^2 + (mean_p - mean_q)^2)/(2 std_q^2) - 1/2;
    W1 = E|mean_q - mean_p + (std_q - std_p) Z|, W2^2 = (mean_q - mean_p)^2 + (std_q - std_p)^2, for
    both are moved by quantiles; TV from the points where the densities cross; JS by quadrature.

    Args:
        mean_p: Mean of p, finite; all four are numbers or tensors that broadcast.
        std_p: Standard deviation of p, > 0, finite.
        mean_q: Mean of q.
        std_q: Standard deviation of q.

    Returns:
        See Gaussians; js to 1e-12 relative for standard deviations within a factor 1000. For a
        shift alone `smoothed_segments` keeps the digits of js at any distance.

    Raises:
        ValueError: A value is not finite, or a standard deviation is not above 0.

    Reference: Peyre and Cuturi 2019, arXiv:1803.00567, remark 2.31, for W2.
    """
    mean_a, std_a, mean_b, std_b = prepared(
        mean_p=mean_p, std_p=std_p, mean_q=mean_q, std_q=std_q, positive=("std_p", "std_q")
    )
    # q as p sees it: centred at `shift` and 1 + `growth` wide.
    shift, growth = (mean_b - mean_a) / std_a, (std_b - std_a) / std_a
    # and p as q sees it.
    back, shrink = (mean_a - mean_b) / std_b, (std_a - std_b) / std_b
    result: Gaussians[Tensor] = Gaussians(
        kl=_kl(back, shrink),
        reverse_kl=_kl(shift, growth),
        js=(_told(shift, growth) + _told(back, shrink)) / 2,
        tv=_total_variation(shift, growth),
        wasserstein=_mean_size(mean_b - mean_a, std_b - std_a),
        wasserstein_2=torch.linalg.vector_norm(
            torch.stack([mean_b - mean_a, std_b - std_a]), dim=0
        ),
    )
    return answer(result, mean_p, std_p, mean_q, std_q)


def _kl(shift: Tensor, growth: Tensor) -> Tensor:
    """KL(N(shift, (1 + growth)^2) || N(0, 1))."""
    return (shift.square() + growth * (2 + growth)) / 2 - torch.log1p(growth)


def _told(shift: Tensor, growth: Tensor) -> Tensor:
    """Mean over X ~ N(0, 1) of missing_bits(log-ratio to N(shift, (1 + growth)^2)).

    Panels of one standard deviation of either distribution, so that both are resolved however much
    narrower one of them is.
    """
    ratio = 1 + growth
    k = torch.arange(-_TAIL, _TAIL + 1, dtype=torch.float64, device=shift.device)
    own = k.expand(*shift.shape, -1)
    other = (shift[..., None] + ratio[..., None] * k).clamp(-_TAIL, _TAIL)
    edges = torch.cat([own, other], -1).detach().sort(-1).values
    x, weights = panels(edges, 24)
    shift, growth, ratio = shift[..., None], growth[..., None], ratio[..., None]
    # x^2 - y^2 by its factors, with y - x from the differences: no digits are lost for q near p.
    y = (x - shift) / ratio
    z = torch.log1p(growth) - (shift + growth * x) / ratio * (x + y) / 2
    return (missing_bits(z) * normal_density(x) * weights).sum(-1)


def _total_variation(shift: Tensor, growth: Tensor) -> Tensor:
    """|G(b1) - G(b2)| with G = Phi(x) - Phi((x - shift)/ratio), b1 and b2 where densities cross."""
    ratio = 1 + growth
    same = growth == 0
    equal = same & (shift == 0)
    growth_, shift_ = torch.where(same, 1, growth), torch.where(equal, 1, shift)
    twice_log = 2 * torch.log1p(growth)
    spread = growth * (2 + growth)  # ratio^2 - 1
    inner = torch.where(equal, 1, shift.square() + spread * twice_log)
    # One root of spread x^2 + 2 shift x = shift^2 + ratio^2 twice_log without cancellation; the
    # other one goes to infinity as the widths agree.
    sign = torch.where(shift >= 0, 1.0, -1.0)
    root = torch.where(equal, shift_, shift) + sign * ratio * inner.sqrt()
    near = (shift.square() + ratio.square() * twice_log) / root
    far = -root / (growth_ * (2 + growth_))

    def excess(x: Tensor) -> Tensor:
        return torch.special.ndtr(x) - torch.special.ndtr((x - shift) / ratio)

    return (excess(near) - torch.where(same, 0, excess(far))).abs()


def _mean_size(mean: Tensor, std: Tensor) -> Tensor:
    """E|mean + std Z|, the mean of a folded normal."""
    flat = std == 0
    width = torch.where(flat, 1, std.abs())
    score = mean / width
    folded = 2 * width * normal_density(score) + mean * torch.erf(score / math.sqrt(2))
    return torch.where(flat, mean.abs(), folded)
