"""Networks against known densities: what a trained discriminator or critic says is then exact.

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
from gan_lab.experiments.optimal_discriminator.exact import (
    PAIRS,
    grid,
    log_fake,
    optimal_logits,
    shortfall,
    value_of,
)
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
_SHOWN = {1: (-5.0, 5.0, 201), 2: (-3.6, 3.6, 73)}  # where the pictures of the pairs look


@dataclass(frozen=True)
class Budget:
    """How every network is trained.

    Attributes:
        steps: Updates; the learning rate falls to 0 as half a cosine.
        batch_size: Fresh samples of either side in each update.
        width: Units of each of the two hidden layers.
        lr: Of Adam; a clipped critic takes a tenth of it with RMSprop.
    """

    steps: int
    batch_size: int
    width: int
    lr: float


def line_points(far: float) -> Tensor:
    """From one unit left of the real mean at 0 to one right of the fake mean, [L]."""
    return torch.linspace(-1.0, far + 1.0, _LINE, dtype=torch.float64)


def shown_points(dim: int) -> Tensor:
    """Where the pictures of a pair look, [P, d] in float64."""
    low, high, n = _SHOWN[dim]
    axis = torch.linspace(low, high, n, dtype=torch.float64)
    return axis[:, None] if dim == 1 else torch.cartesian_prod(axis, axis)


def discriminators_of_shifts(
    shifts: Sequence[float], seeds: Sequence[int], budget: Budget, device: torch.device
) -> Arrays:
    """Trains D on N(0, 1) against N(t, 1), for every shift t and seed at once.

    Returns:
        value: V(D) in nats, [T, S]. non_saturating_loss: the generator's, likewise.
        minimax, non_saturating: the generators' gradients by t, per data unit, [T, S].
        logit, slope: the last shift's D along `line_points`, [S, L].
    """
    d = _stack(Minimax(), (), Adam(budget.lr), 1, len(shifts), seeds, budget, device)
    # Real and fake share their noise: each expectation stays, their difference is less noisy.
    _train(d, shifts, seeds, budget, device, shared_noise=True)
    z, weights = _normal()
    real, fake = _at(z, shifts, seeds, device)
    logits = _logits(d, fake)
    losses = Minimax().discriminator(_logits(d, real), logits)
    pulls = {
        name: d.generator_gradient(fake, real, loss)[..., 0].double().cpu()
        for name, loss in (("minimax", Minimax()), ("non_saturating", NonSaturating()))
    }
    result = {
        "value": -(losses @ weights),
        "non_saturating_loss": NonSaturating().generator(logits, logits) @ weights,
        **{name: pull @ weights for name, pull in pulls.items()},
    }
    return {**_by_shift(result, len(seeds)), **_along(d, shifts, seeds, device)}


def critics_of_shifts(
    kind: str, shifts: Sequence[float], seeds: Sequence[int], budget: Budget, device: torch.device
) -> Arrays:
    """The same for critics.

    Args:
        kind: One of CRITICS.
        shifts: Distances t of the means, [T].
        seeds: [S].
        budget: How they are trained.
        device: Where.

    Returns:
        value: E_real f - E_fake f, [T, S]. wasserstein: the generator's gradient by t, [T, S].
        logit, slope: the last shift's critic along `line_points`, [S, L].
    """
    clipped = kind == "clip"
    optim: Optimizer = RmsProp(budget.lr / 10) if clipped else Adam(budget.lr)
    d = _stack(Wasserstein(), CRITICS[kind], optim, 1, len(shifts), seeds, budget, device)
    _train(d, shifts, seeds, budget, device, shared_noise=False)
    z, weights = _normal()
    real, fake = _at(z, shifts, seeds, device)
    pull = d.generator_gradient(fake, real)[..., 0].double().cpu()
    result = {
        "value": (_logits(d, real) - _logits(d, fake)) @ weights,
        "wasserstein": pull @ weights,
    }
    return {**_by_shift(result, len(seeds)), **_along(d, shifts, seeds, device)}


def discriminators_of_pair(
    name: str, seeds: Sequence[int], budget: Budget, device: torch.device
) -> Arrays:
    """Trains D on one of PAIRS, for every seed at once.

    Returns:
        value, shortfall: V(D), and 2 E_M KL(D*||D), in nats, [S]. error: E_M |D - D*|, [S].
        minimax, non_saturating: the generators' gradients by (shift, scale), [S, d + 1].
        shown, shown_best: D and D* on `shown_points`, [S, P] and [P].
    """
    pair = PAIRS[name]
    d = _stack(Minimax(), (), Adam(budget.lr), pair.dim, 1, seeds, budget, device)
    streams = _streams(seeds, device, f"pair_{name}")
    shift = torch.tensor(pair.shift, device=device)
    n = budget.batch_size
    for step in range(budget.steps):
        d.network.set_lr_factor_(_cosine(step, budget.steps))
        real = torch.stack([pair.real.sample(n, g) for g in streams])
        z = torch.stack([torch.randn(n, pair.dim, generator=g, device=device) for g in streams])
        d.update_(real, shift + pair.scale * z, real.new_zeros(len(seeds), n))
    at = grid(pair.dim)
    logits = _logits(d, _repeated(at.points, seeds, device))
    best = optimal_logits(pair, at.points, pair.theta())
    p, q = pair.real.log_density(at.points).exp(), log_fake(at.points, pair.theta()).exp()
    middle = (p + q) / 2 * at.cell
    result = {
        "value": value_of(pair, logits),
        "shortfall": shortfall(pair, logits),
        "error": ((logits.sigmoid() - best.sigmoid()).abs() * middle).sum(-1),
    }
    weights = (-at.points.square().sum(1) / 2).exp()
    near = weights > 1e-12
    z, weights = at.points[near], weights[near] / weights.sum()
    fakes = torch.tensor(pair.shift, dtype=torch.float64) + pair.scale * z
    fake = _repeated(fakes, seeds, device)
    for key, loss in (("minimax", Minimax()), ("non_saturating", NonSaturating())):
        pull = d.generator_gradient(fake, fake, loss).double().cpu()
        by_shift = (pull * weights[:, None]).sum(1)
        by_scale = ((pull * z).sum(-1) * weights).sum(-1)
        result[key] = torch.cat([by_shift, by_scale[:, None]], 1)
    points = shown_points(pair.dim)
    result["shown"] = _logits(d, _repeated(points, seeds, device)).sigmoid()
    result["shown_best"] = optimal_logits(pair, points, pair.theta()).sigmoid()
    return {key: tensor.numpy() for key, tensor in result.items()}


def _stack(
    loss: AdversarialLoss,
    regularizers: tuple[Regularizer, ...],
    optim: Optimizer,
    dim: int,
    copies: int,
    seeds: Sequence[int],
    budget: Budget,
    device: torch.device,
) -> Discriminators:
    design = Mlp(latent_dim=1, width=budget.width, depth=2, activation="leaky_relu")
    return Discriminators(design, (dim,), loss, regularizers, optim, [*seeds] * copies, device)


def _train(
    d: Discriminators,
    shifts: Sequence[float],
    seeds: Sequence[int],
    budget: Budget,
    device: torch.device,
    shared_noise: bool,
) -> None:
    streams = _streams(seeds, device, "shifts")
    n, copies = budget.batch_size, len(shifts)
    moved = torch.tensor(shifts, device=device).repeat_interleave(len(seeds))[:, None]
    for step in range(budget.steps):
        d.network.set_lr_factor_(_cosine(step, budget.steps))
        # One draw a seed, for all shifts alike.
        normal = torch.stack([torch.randn(2, n, generator=g, device=device) for g in streams], 1)
        mix = torch.stack([torch.rand(n, generator=g, device=device) for g in streams])
        real, other = normal.repeat(1, copies, 1)
        fake = (real if shared_noise else other) + moved
        d.update_(real[..., None], fake[..., None], mix.repeat(copies, 1))


def _streams(seeds: Sequence[int], device: torch.device, of: str) -> list[torch.Generator]:
    return [stream(seed, f"optimal_discriminator/{of}", device) for seed in seeds]


def _cosine(step: int, steps: int) -> float:
    return 0.5 * (1 + math.cos(math.pi * step / steps))


def _normal() -> tuple[Tensor, Tensor]:
    """Nodes and weights of an expectation over N(0, 1)."""
    z = torch.linspace(-7.0, 7.0, 1401, dtype=torch.float64)
    weights = (-z.square() / 2).exp()
    return z, weights / weights.sum()


def _at(
    z: Tensor, shifts: Sequence[float], seeds: Sequence[int], device: torch.device
) -> tuple[Tensor, Tensor]:
    moved = torch.tensor(shifts, dtype=torch.float64).repeat_interleave(len(seeds))
    real = z.expand(len(moved), -1)
    fake = real + moved[:, None]
    return real[..., None].float().to(device), fake[..., None].float().to(device)


def _repeated(points: Tensor, seeds: Sequence[int], device: torch.device) -> Tensor:
    return points.float().to(device).expand(len(seeds), *points.shape)


def _logits(d: Discriminators, x: Tensor) -> Tensor:
    return d.logits(x).double().cpu()


def _by_shift(result: dict[str, Tensor], n_seeds: int) -> Arrays:
    return {name: value.reshape(-1, n_seeds).numpy() for name, value in result.items()}


def _along(
    d: Discriminators, shifts: Sequence[float], seeds: Sequence[int], device: torch.device
) -> Arrays:
    x = _repeated(line_points(shifts[-1])[:, None], [*seeds] * len(shifts), device)
    last = slice(-len(seeds), None)
    slope = d.input_gradient(x)[..., 0].double().cpu()
    return {"logit": _logits(d, x)[last].numpy(), "slope": slope[last].numpy()}
