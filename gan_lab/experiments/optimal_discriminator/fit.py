"""Networks trained against known densities, whose expectations are then exact.

Every network of one kind is one of a stack. Trained in float32, judged by quadrature in float64.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.engine.optimizers import Adam, Optimizer, RmsProp
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.discriminators import Discriminators
from gan_lab.experiments.optimal_discriminator import exact
from gan_lab.losses import Minimax, NonSaturating, Wasserstein
from gan_lab.losses.base import AdversarialLoss
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, Regularizer, WeightClipping

PENALTY_WEIGHT = 10.0
CLIP_BOUND = 0.01
CRITICS: dict[str, tuple[Regularizer, ...]] = {
    # One-sided for the measurements: the same optimum, and no second one (see the study's notes).
    "penalty": (GradientPenalty(PENALTY_WEIGHT, one_sided=True),),
    "two_sided": (GradientPenalty(PENALTY_WEIGHT),),
    "clip": (WeightClipping(CLIP_BOUND),),
}
_LINE = 161  # points between and beyond the two means
_PICTURE = {1: (-5.0, 5.0, 201), 2: (-3.6, 3.6, 73)}  # low, high and points of an axis


@dataclass(frozen=True)
class Training:
    """How every network is trained.

    Attributes:
        seeds: One for each network of a stack.
        device: Where.
        steps: Updates; the learning rate falls to 0 as half a cosine.
        batch_size: Fresh samples of either side in each update.
        width: Units of each of the two hidden layers.
        lr: Of Adam; a clipped critic takes a tenth of it with RMSprop.
    """

    seeds: Sequence[int]
    device: torch.device
    steps: int
    batch_size: int
    width: int
    lr: float

    def networks(
        self,
        loss: AdversarialLoss,
        regularizers: tuple[Regularizer, ...],
        optim: Optimizer,
        dim: int,
        copies: int = 1,
    ) -> Discriminators:
        """Build fresh networks, one a seed in each of the copies."""
        design = Mlp(latent_dim=1, width=self.width, depth=2, activation="leaky_relu")
        seeds = [*self.seeds] * copies
        return Discriminators(design, (dim,), loss, regularizers, optim, seeds, self.device)

    def streams(self, purpose: str) -> list[torch.Generator]:
        """Return one generator a seed."""
        return [stream(s, f"optimal_discriminator/{purpose}", self.device) for s in self.seeds]

    def lr_factor(self, step: int) -> float:
        """Return half a cosine, from 1 to 0."""
        return 0.5 * (1 + math.cos(math.pi * step / self.steps))

    def repeat(self, points: Tensor, copies: int = 1) -> Tensor:
        """Repeat [N, d] to [copies S, N, d], in float32 on the device."""
        return points.float().to(self.device).expand(copies * len(self.seeds), *points.shape)


def line_points(far: float) -> Tensor:
    """Return points from one unit left of the real mean at 0 to one right of the fake mean, [L]."""
    return torch.linspace(-1.0, far + 1.0, _LINE, dtype=torch.float64)


def picture_points(dim: int) -> Tensor:
    """Return the points at which a pair is drawn, [P, d] in float64."""
    low, high, n = _PICTURE[dim]
    axis = torch.linspace(low, high, n, dtype=torch.float64)
    return axis[:, None] if dim == 1 else torch.cartesian_prod(axis, axis)


def discriminators_of_shifts(shifts: Sequence[float], training: Training) -> Arrays:
    """Train D on N(0, 1) against N(t, 1), for every shift t and seed at once.

    Returns:
        value: V(D) in nats, [T, S]. non_saturating_loss: the generator's, likewise.
        minimax, non_saturating: the generators' gradients by t, per data unit, [T, S].
        logit, slope: the last shift's D and its derivative along `line_points`, [S, L].
    """
    d = training.networks(Minimax(), (), Adam(training.lr), 1, len(shifts))
    # Real and fake share their noise: each expectation stays, their difference is less noisy.
    _train(d, shifts, training, shared_noise=True)
    real, fake, weights = _quadrature_samples(shifts, training)
    logits = _logits(d, fake)
    value = -(Minimax().discriminator(_logits(d, real), logits) @ weights)
    non_saturating = NonSaturating().generator(logits, logits) @ weights
    result = {"value": value, "non_saturating_loss": non_saturating}
    for name, loss in (("minimax", Minimax()), ("non_saturating", NonSaturating())):
        pull = d.generator_gradient(fake, real, loss)[..., 0].double().cpu()
        result[name] = pull @ weights
    return _by_shift(result, training) | _along_line(d, shifts, training)


def critics_of_shifts(kind: str, shifts: Sequence[float], training: Training) -> Arrays:
    """Train a critic of CRITICS on N(0, 1) against N(t, 1), for every shift and seed at once.

    Returns:
        value: E_real f - E_fake f, [T, S]. wasserstein: the generator's gradient by t, [T, S].
        logit, slope: the last shift's critic and its derivative along `line_points`, [S, L].
    """
    optim: Optimizer = RmsProp(training.lr / 10) if kind == "clip" else Adam(training.lr)
    d = training.networks(Wasserstein(), CRITICS[kind], optim, 1, len(shifts))
    _train(d, shifts, training, shared_noise=False)
    real, fake, weights = _quadrature_samples(shifts, training)
    pull = d.generator_gradient(fake, real)[..., 0].double().cpu()
    value = (_logits(d, real) - _logits(d, fake)) @ weights
    result = {"value": value, "wasserstein": pull @ weights}
    return _by_shift(result, training) | _along_line(d, shifts, training)


def discriminators_of_pair(name: str, training: Training) -> Arrays:
    """Train D on one of exact.PAIRS, for every seed at once.

    Returns:
        value, shortfall: V(D), and 2 E_M KL(D*||D), in nats, [S]. error: E_M |D - D*|, [S].
        minimax, non_saturating: the generators' gradients by (shift, scale), [S, d + 1].
        shown, shown_best: D and D* on `picture_points`, [S, P] and [P].
    """
    pair, n, device = exact.PAIRS[name], training.batch_size, training.device
    d = training.networks(Minimax(), (), Adam(training.lr), pair.dim)
    streams, shift = training.streams(f"pair_{name}"), torch.tensor(pair.shift, device=device)
    for step in range(training.steps):
        d.network.set_lr_factor_(training.lr_factor(step))
        real = torch.stack([pair.real.sample(n, g) for g in streams])
        z = torch.stack([torch.randn(n, pair.dim, generator=g, device=device) for g in streams])
        d.update_(real, shift + pair.scale * z, real.new_zeros(len(streams), n))
    at, theta = exact.grid(pair.dim), pair.theta()
    logits = _logits(d, training.repeat(at.points))
    best = exact.optimal_logits(pair, at.points, theta)
    p, q = pair.real.log_density(at.points).exp(), exact.log_fake(at.points, theta).exp()
    middle = (p + q) / 2 * at.cell
    result = {
        "value": exact.value_of(pair, logits),
        "shortfall": exact.shortfall(pair, logits),
        "error": ((logits.sigmoid() - best.sigmoid()).abs() * middle).sum(-1),
    }
    weights = (-at.points.square().sum(1) / 2).exp()
    near = weights > 1e-12
    z, weights = at.points[near], weights[near] / weights.sum()
    fakes = torch.tensor(pair.shift, dtype=torch.float64) + pair.scale * z
    fake = training.repeat(fakes)
    for key, loss in (("minimax", Minimax()), ("non_saturating", NonSaturating())):
        pull = d.generator_gradient(fake, fake, loss).double().cpu()
        by_shift = (pull * weights[:, None]).sum(1)
        by_scale = ((pull * z).sum(-1) * weights).sum(-1)
        result[key] = torch.cat([by_shift, by_scale[:, None]], 1)
    points = picture_points(pair.dim)
    result["shown"] = _logits(d, training.repeat(points)).sigmoid()
    result["shown_best"] = exact.optimal_logits(pair, points, theta).sigmoid()
    return {key: tensor.numpy() for key, tensor in result.items()}


def _train(
    d: Discriminators, shifts: Sequence[float], training: Training, shared_noise: bool
) -> None:
    streams = training.streams("shifts")
    n, copies, device = training.batch_size, len(shifts), training.device
    offset = torch.tensor(shifts, device=device).repeat_interleave(len(streams))[:, None]
    for step in range(training.steps):
        d.network.set_lr_factor_(training.lr_factor(step))
        # One draw a seed, for all shifts alike.
        normal = torch.stack([torch.randn(2, n, generator=g, device=device) for g in streams], 1)
        mix = torch.stack([torch.rand(n, generator=g, device=device) for g in streams])
        real, other = normal.repeat(1, copies, 1)
        fake = (real if shared_noise else other) + offset
        d.update_(real[..., None], fake[..., None], mix.repeat(copies, 1))


def _quadrature_samples(
    shifts: Sequence[float], training: Training
) -> tuple[Tensor, Tensor, Tensor]:
    """Return nodes of N(0, 1) as real and as fake samples, [T S, N, 1] each, and their weights."""
    z = torch.linspace(-7.0, 7.0, 1401, dtype=torch.float64)
    weights = (-z.square() / 2).exp()
    offset = torch.tensor(shifts, dtype=torch.float64).repeat_interleave(len(training.seeds))
    points = z.expand(len(offset), -1)
    both = (points, points + offset[:, None])
    real, fake = (x[..., None].float().to(training.device) for x in both)
    return real, fake, weights / weights.sum()


def _logits(d: Discriminators, x: Tensor) -> Tensor:
    return d.logits(x).double().cpu()


def _by_shift(result: dict[str, Tensor], training: Training) -> Arrays:
    return {k: value.reshape(-1, len(training.seeds)).numpy() for k, value in result.items()}


def _along_line(d: Discriminators, shifts: Sequence[float], training: Training) -> Arrays:
    x = training.repeat(line_points(shifts[-1])[:, None], len(shifts))
    last = slice(-len(training.seeds), None)
    derivative = d.input_gradient(x)[..., 0].double().cpu()
    return {"logit": _logits(d, x)[last].numpy(), "slope": derivative[last].numpy()}
