"""Outputs, losses and gradients at the optimal discriminator of known densities, as integrals."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from scipy.optimize import brentq
from torch import Tensor

from gan_lab.data.toy import Mixture, Mixture1d, Ring
from gan_lab.information import js_divergence, kl_divergence, smoothed_segments
from gan_lab.information.quadrature import normal_density, panels
from gan_lab.losses import Minimax, NonSaturating, Wasserstein
from gan_lab.losses.base import AdversarialLoss

_LIMIT = {1: 12.0, 2: 11.0}  # the grid's half width, data units: 8 stds of both densities or more
_STEP = {1: 0.005, 2: 0.07}  # and its spacing, far below a std: the trapezoid rule then is exact


@dataclass(frozen=True)
class Pair:
    """A real density and a generator x = shift + scale z, z ~ N(0, I), so that theta is known.

    Attributes:
        real: A mixture of Gaussians in d dimensions.
        shift: d numbers, data units.
        scale: Data units a unit of z.
    """

    real: Mixture
    shift: tuple[float, ...]
    scale: float

    @property
    def dim(self) -> int:
        """d."""
        return len(self.shift)

    def theta(self) -> Tensor:
        """Return the generator's parameters (shift, scale), [d + 1] in float64."""
        return torch.tensor([*self.shift, self.scale], dtype=torch.float64)


PAIRS = {
    "1d": Pair(Mixture1d([-1.5, 1.2], [0.6, 0.5], [0.6, 0.4]), (0.5,), 1.2),
    "2d": Pair(Ring(4, 1.5, 0.5), (0.5, -0.3), 1.2),
}


@dataclass(frozen=True)
class Grid:
    """Points [G, d] and the volume that each stands for."""

    points: Tensor
    cell: float


def grid(dim: int) -> Grid:
    """Return the trapezoid rule of integrands that die out: equal weights on a square grid."""
    n = round(_LIMIT[dim] / _STEP[dim])
    axis = torch.arange(-n, n + 1, dtype=torch.float64) * _STEP[dim]
    points = axis[:, None] if dim == 1 else torch.cartesian_prod(axis, axis)
    return Grid(points, _STEP[dim] ** dim)


def log_fake(x: Tensor, theta: Tensor) -> Tensor:
    """Return the log density of shift + scale z: x [N, d], theta [d + 1] -> [N] in nats."""
    d = x.shape[1]
    z = (x - theta[:d]) / theta[d]
    return -z.square().sum(1) / 2 - d * (theta[d].log() + math.log(2 * math.pi) / 2)


def optimal_logits(pair: Pair, x: Tensor, theta: Tensor) -> Tensor:
    """Return log p - log q, the logit of D* = p/(p + q): x [N, d] -> [N]."""
    return pair.real.log_density(x) - log_fake(x, theta)


def divergences(pair: Pair, theta: Tensor) -> dict[str, Tensor]:
    """Return divergences by their definitions on the grid, differentiable by theta: in nats.

    Returns:
        js: JS(Pr, Pg). kl: KL(Pg||Pr). kl_middle: KL(Pg||M), M = (Pr + Pg)/2.
    """
    at = grid(pair.dim)
    p = (pair.real.log_density(at.points)).exp() * at.cell
    q = log_fake(at.points, theta).exp() * at.cell
    p, q = p / p.sum(), q / q.sum()
    return {
        "js": js_divergence(p, q),
        "kl": kl_divergence(q, p),
        "kl_middle": kl_divergence(q, (p + q) / 2),
    }


def value_of(pair: Pair, logits: Tensor) -> Tensor:
    """Return V(D) = E_real log D + E_fake log(1 - D) by the loss that trains D, in nats.

    The logits are D's on `grid(pair.dim)`: [..., G] -> [...].
    """
    at = grid(pair.dim)
    p = pair.real.log_density(at.points).exp() * at.cell
    q = log_fake(at.points, pair.theta()).exp() * at.cell
    loss = Minimax()
    # The loss is a sum of a real and a fake term; a logit of inf makes the other one 0.
    never = torch.full_like(logits, math.inf)
    on_real, on_fake = loss.discriminator(logits, -never), loss.discriminator(never, logits)
    return -(p * on_real + q * on_fake).sum(-1)


def shortfall(pair: Pair, logits: Tensor) -> Tensor:
    """Return V(D*) - V(D) = 2 E_M KL(D* || D) from the outputs alone, [...]."""
    at = grid(pair.dim)
    best = optimal_logits(pair, at.points, pair.theta())
    p = pair.real.log_density(at.points).exp()
    q = log_fake(at.points, pair.theta()).exp()
    real = best.sigmoid() * (F.logsigmoid(best) - F.logsigmoid(logits))
    fake = (-best).sigmoid() * (F.logsigmoid(-best) - F.logsigmoid(-logits))
    return ((p + q) * at.cell * (real + fake)).sum(-1)


def generator_loss(
    loss: AdversarialLoss, pair: Pair, theta: Tensor, optimal_at: Tensor | None = None
) -> Tensor:
    """Return the generator's mean loss against D*, by quadrature over z; scalar in nats.

    D is optimal, and fixed as in training, for the parameters `optimal_at`; with None it follows
    theta.
    """
    at, d = grid(pair.dim), pair.dim
    weights = (-at.points.square().sum(1) / 2).exp()
    x = theta[:d] + theta[d] * at.points
    logits = optimal_logits(pair, x, theta if optimal_at is None else optimal_at)
    return (weights * loss.generator(logits, logits)).sum() / weights.sum()


def gradient(scalar: Tensor, theta: Tensor) -> Tensor:
    """Return d scalar / d theta."""
    return torch.autograd.grad(scalar, theta, retain_graph=True)[0]


def identities(pair: Pair) -> dict[str, Tensor]:
    """Return both sides of each identity of a pair: nats, and gradients by (shift, scale)."""
    theta0 = pair.theta()
    theta = theta0.clone().requires_grad_(True)
    by = divergences(pair, theta)
    best = optimal_logits(pair, grid(pair.dim).points, theta0)
    minimax = generator_loss(Minimax(), pair, theta, theta0)
    non_saturating = generator_loss(NonSaturating(), pair, theta, theta0)
    following = generator_loss(Minimax(), pair, theta)
    return {
        "js": by["js"].detach(),
        "value": value_of(pair, best),
        "value_formula": (2 * by["js"] - 2 * math.log(2)).detach(),
        "minimax_loss": minimax.detach(),
        "minimax_loss_formula": (by["kl_middle"] - math.log(2)).detach(),
        "minimax_gradient": gradient(minimax, theta),
        "minimax_gradient_formula": gradient(2 * by["js"], theta),
        "non_saturating_gradient": gradient(non_saturating, theta),
        "non_saturating_gradient_formula": gradient(by["kl"] - 2 * by["js"], theta),
        "minimax_curve_gradient": gradient(following, theta),
    }


def critic_identity(pair: Pair) -> dict[str, Tensor]:
    """Return, on a line, the generator's gradient at the best 1-Lipschitz critic, and grad W1.

    The best critic rises where the generator's distribution function lies above the data's and
    falls where it lies below: f' = sign(G - F).
    """
    parts = pair.real.components()
    theta0 = pair.theta()

    def excess(x: Tensor, theta: Tensor) -> Tensor:
        real = torch.special.ndtr((x[:, None] - parts.centres[:, 0]) / parts.stds) @ parts.weights
        return torch.special.ndtr((x - theta[0]) / theta[1]) - real

    # Beyond 8 both tails round to 0 and their sign says nothing.
    x = torch.linspace(-8.0, 8.0, 6401, dtype=torch.float64)
    signs = excess(x, theta0).sign()
    at = [
        brentq(lambda v: float(excess(torch.tensor([v]).double(), theta0)), float(a), float(b))
        for a, b, change in zip(x[:-1], x[1:], signs[:-1] * signs[1:] < 0, strict=True)
        if change
    ]
    cuts = torch.tensor(at, dtype=torch.float64)
    derivatives = excess(torch.cat([cuts[:1] - 1e-3, cuts + 1e-3]), theta0).sign()

    def critic(points: Tensor) -> Tensor:
        """Piecewise linear, 0 at the first cut."""
        ends = torch.cat([cuts[1:] - cuts[:-1], torch.tensor([math.inf]).double()])
        rise = (points[:, None] - cuts).clamp_min(0).minimum(ends)
        return derivatives[0] * (points - cuts[0]).clamp_max(0) + rise @ derivatives[1:]

    theta = theta0.clone().requires_grad_(True)
    knots = torch.linspace(-10.0, 10.0, 81, dtype=torch.float64)
    edges = torch.cat([knots, (cuts - theta0[0]) / theta0[1]]).sort().values
    z, weights = panels(edges, 16)
    logits = critic(theta[0] + theta[1] * z)
    loss = (weights * normal_density(z) * Wasserstein().generator(logits, logits)).sum()
    y, lengths = panels(torch.cat([1.2 * knots, cuts]).sort().values, 16)
    distance = (lengths * excess(y, theta).abs()).sum()
    return {
        "wasserstein": distance.detach(),
        "wasserstein_gradient": gradient(loss, theta),
        "wasserstein_gradient_formula": gradient(distance, theta),
    }


def shift_gradients(shifts: Sequence[float]) -> dict[str, Tensor]:
    """Return each generator's gradient by t for N(0, 1) and N(t, 1), by autograd and formula.

    Returns:
        <loss> and <loss>_formula, each [T], per data unit; `own_slope`, the derivative by t of
        the minimax generator's own loss when the discriminator follows.
    """
    columns: dict[str, list[Tensor]] = {}
    for t in shifts:
        pair = Pair(Mixture1d([0.0], [1.0], [1.0]), (t,), 1.0)
        theta0 = pair.theta()
        theta = theta0.clone().requires_grad_(True)
        own = [generator_loss(loss, pair, theta, theta0) for loss in (Minimax(), NonSaturating())]
        formula = smoothed_segments(t, 1.0)
        # The best critic of a pure shift is linear: f(x) = -x for a fake to the right.
        fakes = theta[0] + theta[1] * torch.zeros(1, dtype=torch.float64)
        row = {
            "minimax": gradient(own[0], theta)[0],
            "minimax_formula": formula.minimax_gradient,
            "non_saturating": gradient(own[1], theta)[0],
            "non_saturating_formula": formula.non_saturating_gradient,
            "wasserstein": gradient(Wasserstein().generator(-fakes, -fakes).mean(), theta)[0],
            "wasserstein_formula": formula.wasserstein_gradient,
            "own_slope": gradient(generator_loss(Minimax(), pair, theta), theta)[0],
            "js": formula.js,
        }
        for name, value in row.items():
            columns.setdefault(name, []).append(torch.as_tensor(value, dtype=torch.float64))
    return {name: torch.stack(values) for name, values in columns.items()}
