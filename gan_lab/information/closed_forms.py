"""Exact divergences, to prove estimators and to explain a GAN's gradients.

Numbers give numbers; tensors give tensors of their common shape, differentiable. All arithmetic is
in float64. Gradients named *_gradient are those of a generator that moves theta, against the
optimal discriminator.
"""

import math
from dataclasses import dataclass
from typing import Generic, overload

import torch
from torch import Tensor

from gan_lab.information.inputs import Number, Real, as_tensors, like_inputs
from gan_lab.information.quadrature import (
    bernoulli_entropy,
    js_integrand,
    normal_density,
    panels,
    trapezoid,
)

_TAIL = 12  # standard deviations: the mass beyond is 4e-33


@dataclass(frozen=True)
class Segments(Generic[Number]):
    """Divergences of two parallel segments at distance theta.

    Attributes:
        js: Nats; log 2 for theta != 0, else 0.
        kl: KL(real||fake) in nats; inf for theta != 0, else 0.
        reverse_kl: KL(fake||real), likewise.
        tv: 1 for theta != 0, else 0.
        wasserstein: |theta|.
        js_gradient: d JS / d theta, 0 almost everywhere (JS jumps at 0).
        minimax_gradient: Of the minimax generator's loss, 2 d JS / d theta = 0.
        wasserstein_gradient: sign(theta), 0 at the kink.
    """

    js: Number
    kl: Number
    reverse_kl: Number
    tv: Number
    wasserstein: Number
    js_gradient: Number
    minimax_gradient: Number
    wasserstein_gradient: Number


@dataclass(frozen=True)
class SmoothedSegments(Generic[Number]):
    """Divergences of two parallel segments blurred across; t = theta/sigma.

    Attributes:
        js: Nats.
        js_gradient: d JS / d t. Largest, .23366, at t = 1.63626; dies like exp(-t^2/8).
        kl: Nats, t^2/2, the same both ways.
        tv: erf(t / (2 sqrt 2)).
        wasserstein: |theta|.
        minimax_gradient: Of E log(1 - D), per unit t: 2 d JS / d t. It vanishes.
        non_saturating_gradient: Of E -log D, per unit t: t - 2 d JS / d t. It grows.
        wasserstein_gradient: Per unit theta (not t): sign(theta). It stays.
    """

    js: Number
    js_gradient: Number
    kl: Number
    tv: Number
    wasserstein: Number
    minimax_gradient: Number
    non_saturating_gradient: Number
    wasserstein_gradient: Number


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


def segments(theta: Number) -> Segments[Number]:
    """Compare uniform on {0} x [0, 1] with uniform on {theta} x [0, 1]: only W1 sees theta.

    Args:
        theta: Distance in data units, any sign, finite.

    Returns:
        See Segments; tensors have the shape of theta.

    Raises:
        ValueError: theta is not finite.

    Reference: Arjovsky et al. 2017, arXiv:1701.07875, example 1.
    """
    (distance,) = as_tensors(theta=theta)
    apart = distance != 0
    infinite = torch.where(apart, math.inf, 0.0).double()
    zero = torch.zeros_like(distance)
    result: Segments[Tensor] = Segments(
        js=torch.where(apart, math.log(2), zero),
        kl=infinite,
        reverse_kl=infinite,
        tv=apart.double(),
        wasserstein=distance.abs(),
        js_gradient=zero,
        minimax_gradient=zero,
        wasserstein_gradient=distance.sign(),
    )
    return like_inputs(result, theta)


def segments_sample_wasserstein(theta: Number, n: int) -> Number:
    """Return the expected W1 of n points on each of two segments at distance theta, n large.

    The heights, sorted, differ by a Brownian bridge of variance 2u(1 - u)/n, so
    W_n = integral over u of E sqrt(theta^2 + 2u(1 - u) Z^2/n): theta + 1/(6 n theta) for
    theta >> n^-1/2, sqrt(pi/n)/4 = .44311/sqrt(n) at theta = 0. What it leaves out is of relative
    order 1/n: the exact second moment of the differences has n + 1 for n.

    Args:
        theta: Distance in data units, any sign, finite.
        n: Points on each side, >= 1.

    Returns:
        Data units, the shape of theta: the floor of any estimate of W1 from n samples.

    Raises:
        ValueError: theta is not finite, or n < 1.
    """
    if n < 1:
        raise ValueError(f"n={n} is no number of samples; use 1 or more")
    (distance,) = as_tensors(theta=theta)
    scale = math.sqrt(2 * n)
    a = (distance.abs() * scale)[..., None]
    # With u = (1 - c)/2 the integral over u is elementary; what is left over Z >= 0 bends within a
    # of 0, hence panels that halve towards 0.
    dyadic = 12 * 2.0 ** torch.arange(-50, 1, dtype=torch.float64, device=distance.device)
    z, weights = panels(torch.cat([dyadic.new_zeros(1), dyadic]), 16)
    inner = (a + (a.square() + z.square()) / z * torch.atan2(z, a)) / 2
    return like_inputs((inner * 2 * normal_density(z) * weights).sum(-1) / scale, theta)


@overload
def smoothed_segments(theta: float, sigma: float) -> SmoothedSegments[float]: ...
@overload
def smoothed_segments(theta: Tensor, sigma: Real) -> SmoothedSegments[Tensor]: ...
@overload
def smoothed_segments(theta: Real, sigma: Tensor) -> SmoothedSegments[Tensor]: ...
def smoothed_segments(
    theta: Real, sigma: Real
) -> SmoothedSegments[float] | SmoothedSegments[Tensor]:
    """Compare parallel segments at distance theta, both blurred across by N(0, sigma^2).

    JS = log 2 - E_{X~N(0,1)} log(1 + exp(tX - t^2/2)),
    dJS/dt = (t/2) E_{X~N(t,1)} 1/(1 + exp(tX - t^2/2)), KL = t^2/2, TV = erf(t/(2 sqrt 2)),
    W1 = |theta|, with t = theta/sigma. The same for Gaussians of one covariance sigma^2 I in any
    dimension, theta their distance.

    Args:
        theta: Distance in data units, any sign, finite.
        sigma: Width of the blur, > 0, finite; broadcasts with theta.

    Returns:
        See SmoothedSegments; relative accuracy 1e-12 or better until exp(-t^2/8) underflows.

    Raises:
        ValueError: theta is not finite, or sigma is not a finite number above 0.

    Reference: derived from Arjovsky et al. 2017, example 1; checked against mpmath in the tests.
    """
    distance, width = as_tensors(theta=theta, sigma=sigma, positive=("sigma",))
    t = distance / width
    js_gradient = _js_gradient(t)
    result: SmoothedSegments[Tensor] = SmoothedSegments(
        js=_shift_js(t),
        js_gradient=js_gradient,
        kl=t.square() / 2,
        tv=torch.erf(t.abs() / math.sqrt(8)),
        wasserstein=distance.abs(),
        minimax_gradient=2 * js_gradient,
        non_saturating_gradient=t - 2 * js_gradient,
        wasserstein_gradient=distance.sign(),
    )
    return like_inputs(result, theta, sigma)


def gaussian_shift(shift: Tensor, std: Real) -> SmoothedSegments[Tensor]:
    """Compare N(0, std^2 I) with N(shift, std^2 I) in R^d: smoothed segments at distance |shift|.

    Args:
        shift: Shape [..., d], finite.
        std: > 0, shape [...] or a number.

    Returns:
        Tensors of shape [...]; wasserstein = |shift|, gradients along the shift.

    Raises:
        ValueError: shift has no last axis or is not finite, or std is not a finite number above 0.
    """
    if shift.ndim == 0:
        raise ValueError("shift has no axis; give one entry a dimension, shape [..., d]")
    return smoothed_segments(torch.linalg.vector_norm(shift.double(), dim=-1), std)


def js_gradient_peak() -> tuple[float, float]:
    """Return (t, d JS / d t) at the largest gradient of blurred segments: (1.63626, .23366)."""
    low, high = 1.0, 3.0
    for _ in range(54):  # down to the spacing of float64
        t = torch.tensor((low + high) / 2, dtype=torch.float64, requires_grad=True)
        (derivative,) = torch.autograd.grad(_js_gradient(t), t)
        low, high = (t.item(), high) if derivative > 0 else (low, t.item())
    return low, _js_gradient(torch.tensor(low, dtype=torch.float64)).item()


# With X ~ N(t/2, 1) for the fake and N(-t/2, 1) for the real, log q/p = tX, and both integrals are
# exp(-t^2/8) times a Gaussian against a function of width 1/t: no cancellation at either end. In
# X = s w, s = min(1, 2/t) or so, every pole is at least pi/2 from the real axis for all t.
def _nodes(t: Tensor) -> tuple[Tensor, Tensor]:
    step = 0.2
    w = trapezoid(40.0, step, t.device)
    s = (1 + t.detach().square() / 4).rsqrt()[..., None]
    return s * w, s * step


def _js_gradient(t: Tensor) -> Tensor:
    x, weight = _nodes(t)
    sech = 1 / (t[..., None] * x / 2).cosh()
    return t / 4 * (-t.square() / 8).exp() * (normal_density(x) * sech * weight).sum(-1)


def _shift_js(t: Tensor) -> Tensor:
    x, weight = _nodes(t)
    z = t[..., None] * x
    mixture = normal_density(x) * (z / 2).cosh() * weight
    damping = (-t.square() / 8).exp()
    near = damping * (mixture * js_integrand(z)).sum(-1)
    far = math.log(2) - damping * (mixture * bernoulli_entropy(z)).sum(-1)
    return torch.where(t.abs() < 1, near, far)


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
def gaussians(
    mean_p: Real, std_p: Real, mean_q: Real, std_q: Real
) -> Gaussians[float] | Gaussians[Tensor]:
    """Compare N(mean_p, std_p^2) with N(mean_q, std_q^2) on a line.

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
    mean_a, std_a, mean_b, std_b = as_tensors(
        mean_p=mean_p, std_p=std_p, mean_q=mean_q, std_q=std_q, positive=("std_p", "std_q")
    )
    # In units of p, q is centred at `shift` and 1 + `growth` wide; then p in units of q.
    shift, growth = (mean_b - mean_a) / std_a, (std_b - std_a) / std_a
    back, shrink = (mean_a - mean_b) / std_b, (std_a - std_b) / std_b
    result: Gaussians[Tensor] = Gaussians(
        kl=_kl(back, shrink),
        reverse_kl=_kl(shift, growth),
        js=(_js_half(shift, growth) + _js_half(back, shrink)) / 2,
        tv=_total_variation(shift, growth),
        wasserstein=_mean_size(mean_b - mean_a, std_b - std_a),
        wasserstein_2=torch.stack([mean_b - mean_a, std_b - std_a]).norm(dim=0),
    )
    return like_inputs(result, mean_p, std_p, mean_q, std_q)


def _kl(shift: Tensor, growth: Tensor) -> Tensor:
    """Return KL(N(shift, (1 + growth)^2) || N(0, 1))."""
    return (shift.square() + growth * (2 + growth)) / 2 - torch.log1p(growth)


def _js_half(shift: Tensor, growth: Tensor) -> Tensor:
    """Return the mean over X ~ N(0, 1) of js_integrand(log-ratio to N(shift, (1 + growth)^2)).

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
    return (js_integrand(z) * normal_density(x) * weights).sum(-1)


def _total_variation(shift: Tensor, growth: Tensor) -> Tensor:
    """Return |G(b1) - G(b2)|, G = Phi(x) - Phi((x - shift)/ratio), densities crossing at b1, b2."""
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
    """Return E|mean + std Z|, the mean of a folded normal."""
    flat = std == 0
    width = torch.where(flat, 1, std.abs())
    score = mean / width
    mean_size = 2 * width * normal_density(score) + mean * torch.erf(score / math.sqrt(2))
    return torch.where(flat, mean.abs(), mean_size)
