"""Distances whose exact value is known, to prove estimators and to explain a GAN's gradients.

Numbers in, numbers out; float64 tensors of any shape in, tensors of their common shape out, and
then everything is differentiable. Always computed in float64. Gradients named *_gradient are those
of a generator that moves theta, against the optimal discriminator.
"""

import math
from dataclasses import dataclass
from typing import Generic, overload

import torch
from torch import Tensor

from gan_lab.information.gaussians import Gaussians, gaussians
from gan_lab.information.inputs import Number, Real, answer, prepared
from gan_lab.information.penalty_bias import (
    GradientPenaltyValue,
    clipping_gradient_norm_bound,
    gradient_penalty_value,
)
from gan_lab.information.quadrature import (
    coin_entropy,
    missing_bits,
    normal_density,
    panels,
    trapezoid,
)

__all__ = [
    "GradientPenaltyValue",
    "Gaussians",
    "Segments",
    "SmoothedSegments",
    "clipping_gradient_norm_bound",
    "gaussian_shift",
    "gaussians",
    "gradient_penalty_value",
    "js_gradient_peak",
    "segments",
    "segments_sample_wasserstein",
    "smoothed_segments",
]


@dataclass(frozen=True)
class Segments(Generic[Number]):
    """Divergences of two parallel segments at distance theta.

    Attributes:
        js: Nats; log 2 for theta != 0, else 0.
        kl: KL(real||fake) in nats; inf for theta != 0, else 0.
        reverse_kl: KL(fake||real), likewise.
        tv: 1 for theta != 0, else 0.
        wasserstein: |theta|.
        js_gradient: d JS / d theta, 0: what descent sees almost everywhere (JS jumps at 0).
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


@overload
def segments(theta: float) -> Segments[float]: ...
@overload
def segments(theta: Tensor) -> Segments[Tensor]: ...
def segments(theta: Real) -> Segments:
    """Uniform on {0} x [0, 1] against uniform on {theta} x [0, 1]: only W1 sees theta.

    Args:
        theta: Distance in data units, any sign, finite.

    Returns:
        See Segments; tensors have the shape of theta.

    Raises:
        ValueError: theta is not finite.

    Reference: Arjovsky et al. 2017, arXiv:1701.07875, example 1.
    """
    (distance,) = prepared(theta=theta)
    apart = distance != 0
    infinite = torch.where(apart, math.inf, 0.0).double()
    none = torch.zeros_like(distance)
    result: Segments[Tensor] = Segments(
        js=torch.where(apart, math.log(2), none),
        kl=infinite,
        reverse_kl=infinite,
        tv=apart.double(),
        wasserstein=distance.abs(),
        js_gradient=none,
        minimax_gradient=none,
        wasserstein_gradient=distance.sign(),
    )
    return answer(result, theta)


@overload
def segments_sample_wasserstein(theta: float, n: int) -> float: ...
@overload
def segments_sample_wasserstein(theta: Tensor, n: int) -> Tensor: ...
def segments_sample_wasserstein(theta: Real, n: int) -> Real:
    """Expected W1 between n points of each of two segments at distance theta, for large n.

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
    (distance,) = prepared(theta=theta)
    scale = math.sqrt(2 * n)
    a = (distance.abs() * scale)[..., None]
    # With u = (1 - c)/2 the integral over u is elementary; what is left over Z >= 0 bends within a
    # of 0, hence panels that halve towards 0.
    dyadic = 12 * 2.0 ** torch.arange(-50, 1, dtype=torch.float64, device=distance.device)
    z, weights = panels(torch.cat([dyadic.new_zeros(1), dyadic]), 16)
    inner = (a + (a.square() + z.square()) / z * torch.atan2(z, a)) / 2
    return answer((inner * 2 * normal_density(z) * weights).sum(-1) / scale, theta)


@overload
def smoothed_segments(theta: float, sigma: float) -> SmoothedSegments[float]: ...
@overload
def smoothed_segments(theta: Tensor, sigma: Real) -> SmoothedSegments[Tensor]: ...
@overload
def smoothed_segments(theta: float, sigma: Tensor) -> SmoothedSegments[Tensor]: ...
def smoothed_segments(theta: Real, sigma: Real) -> SmoothedSegments:
    """Parallel segments at distance theta, both blurred across by N(0, sigma^2).

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
    distance, width = prepared(theta=theta, sigma=sigma, positive=("sigma",))
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
    return answer(result, theta, sigma)


def gaussian_shift(shift: Tensor, std: Real) -> SmoothedSegments[Tensor]:
    """N(0, std^2 I) against N(shift, std^2 I) in R^d: smoothed segments at distance |shift|.

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
    """(t, d JS / d t) where the blurred segments pull hardest: (1.63626, .23366)."""
    low, high = 1.0, 3.0
    for _ in range(54):  # down to the spacing of float64
        t = torch.tensor((low + high) / 2, dtype=torch.float64, requires_grad=True)
        (slope,) = torch.autograd.grad(_js_gradient(t), t)
        low, high = (t.item(), high) if slope > 0 else (low, t.item())
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
    near = damping * (mixture * missing_bits(z)).sum(-1)
    far = math.log(2) - damping * (mixture * coin_entropy(z)).sum(-1)
    return torch.where(t.abs() < 1, near, far)
