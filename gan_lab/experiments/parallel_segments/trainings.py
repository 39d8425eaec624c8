"""The trainings of parallel segments: discriminators at fixed shifts, and shifts that learn.

Real samples lie on u b, fakes on shift + u b, u uniform on [0, 1], b a unit vector. All
networks of one design train at once; a seed's batches are the same for every shift and method.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from torch import Tensor

from gan_lab import losses
from gan_lab.engine.optimizers import Adam
from gan_lab.engine.rng import stream
from gan_lab.experiments.discriminators import Discriminators
from gan_lab.losses import AdversarialLoss, Minimax, NonSaturating, Wasserstein
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, InstanceNoise, Regularizer, WeightClipping

_HEIGHTS = 256  # fixed heights at which every network is measured: no noise in the measurement
_BLOCK = 50  # updates whose batches are drawn at once


@dataclass(frozen=True)
class Design:
    """What all discriminators share.

    Attributes:
        width: Of both hidden layers.
        lr: Of Adam, betas (.5, .9).
        batch_size: Samples on each side of an update.
        weight: Of the gradient penalty.
        bound: Of the clipping.
        sigma: Of the instance noise, where a method has it.
        activation: Of both hidden layers.
        falls: Whether the rate falls to 0 where a shift is fixed: a fast one leaves jitter behind.
    """

    width: int = 64
    lr: float = 1e-3
    batch_size: int = 64
    weight: float = 10.0
    bound: float = 0.1
    sigma: float = 0.5
    activation: str = "relu"
    falls: bool = False

    def method(self, name: str) -> "Method":
        """Return a discriminator's loss and regularizers, and the generator losses it serves."""
        method = {
            "cross_entropy": Method(Minimax(), (), _CROSS_ENTROPY),
            "cross_entropy_noise": Method(Minimax(), (InstanceNoise(self.sigma),), _CROSS_ENTROPY),
            "wasserstein": Method(Wasserstein(), (GradientPenalty(self.weight),)),
            "wasserstein_clip": Method(Wasserstein(), (WeightClipping(self.bound),)),
            "least_squares": Method(losses.LeastSquares()),
            "hinge": Method(losses.Hinge()),
            "relativistic": Method(losses.RelativisticPairing()),
        }[name]
        return method if method.generators else replace(method, generators={name: method.loss})

    def discriminators(
        self, method: "Method", dim: int, seeds: Sequence[int], device: torch.device
    ) -> Discriminators:
        """Build fresh networks, one a seed in the list."""
        pair = Mlp(latent_dim=1, width=self.width, depth=2, activation=self.activation)
        keys = (method.loss, method.regularizers, Adam(self.lr), seeds, device)
        return Discriminators(pair, (dim,), *keys)


@dataclass(frozen=True)
class Method:
    """A discriminator's loss and regularizers, and the generator losses measured with it."""

    loss: AdversarialLoss
    regularizers: tuple[Regularizer, ...] = ()
    generators: Mapping[str, AdversarialLoss] = field(default_factory=dict)


# One discriminator serves both: they differ in the generator only.
_CROSS_ENTROPY = {"minimax": Minimax(), "non_saturating": NonSaturating()}


class Batches:
    """Heights, mixing weights and noise of every update, the same for all shifts of one seed."""

    def __init__(self, seeds: Sequence[int], n: int, dim: int, device: torch.device) -> None:
        self.n, self.dim, self.device = n, dim, device
        self._u = [stream(seed, "segments/heights", device) for seed in seeds]
        self._noise = [stream(seed, "segments/noise", device) for seed in seeds]
        self._block: Tensor = torch.empty(0)
        self._at = _BLOCK

    def uniforms(self) -> Tensor:
        """Return heights of reals and fakes and mixing weights of one update, [3, S, n]."""
        if self._at == _BLOCK:
            shape = (_BLOCK, 3, self.n)
            draws = [torch.rand(shape, generator=g, device=self.device) for g in self._u]
            self._block, self._at = torch.stack(draws, 2), 0
        self._at += 1
        return self._block[self._at - 1]

    def normals(self, k: int) -> Tensor:
        """Return standard normals, [k, S, n, dim]."""
        shape = (k, self.n, self.dim)
        draws = [torch.randn(shape, generator=g, device=self.device) for g in self._noise]
        return torch.stack(draws, 1)


def directions(seed: int, dim: int, random: bool, device: torch.device) -> Tensor:
    """Return the directions of the shift and of the segment, two orthonormal rows: [2, dim].

    Axes 0 and 1, or a random pair: a preference of the box of clipped weights for the axes must not
    decide the result.
    """
    if not random:
        return torch.eye(2, dim, device=device)
    normal = torch.randn(dim, 2, generator=stream(seed, f"segments/frame {dim}"))
    return torch.linalg.qr(normal)[0].T.contiguous().to(device)


def gradients_at_shifts(
    design: Design,
    name: str,
    thetas: Sequence[float],
    seeds: Sequence[int],
    steps: Sequence[int],
    dim: int,
    random_plane: bool,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Train a discriminator for every shift and seed and measure it after some of the updates.

    Args:
        seeds: [S].
        thetas: Lengths of the shift, with sign, [T].
        steps: After how many updates the networks are measured, increasing, [K].
        random_plane: See `directions`.

    Returns:
        For each generator loss g of the method: "g/along" and "g/across", [K, T, S]: the
        generator's gradient with respect to the shift, its component along the direction of a
        positive theta and the norm of the rest. "estimate", [K, T, S]: the discriminator's own
        estimate of JS (nats) or W1 (data units x slope); nan where the loss has none.
        "largest_weight", scalar: of any critic after any update that was measured.
    """
    method = design.method(name)
    axes = torch.stack([directions(seed, dim, random_plane, device) for seed in seeds])
    n_t, n_s = len(thetas), len(seeds)
    theta = torch.tensor(thetas, dtype=torch.float32, device=device)
    networks = design.discriminators(method, dim, list(seeds) * n_t, device)
    batches = Batches(seeds, design.batch_size, dim, device)
    noise_names = [key for r in method.regularizers for key in r.noise_spec((dim,))]

    def place(u: Tensor, shift: Tensor) -> Tensor:
        """Heights [S, n] and shifts [T] -> points [T S, n, dim]."""
        points = u[..., None] * axes[:, None, 1]
        offset = shift[:, None, None, None] * axes[:, None, 0]
        return (points + offset).flatten(0, 1)

    grid = ((torch.arange(_HEIGHTS, device=device) + 0.5) / _HEIGHTS).expand(n_s, -1)
    # A pairing loss has to see independent pairs: one fixed shuffle of the heights.
    order = torch.randperm(_HEIGHTS, generator=stream(0, "segments/pairs")).to(device)
    real, fake = place(grid[:, order], 0 * theta), place(grid, theta)
    if noise_names:
        # Instance noise is part of what the generator learns through: average over it.
        real, fake = real.repeat(1, 8, 1), fake.repeat(1, 8, 1)
        g = stream(0, "segments/noise to read", device)
        blur = torch.randn(2, real.shape[1], dim, generator=g, device=device)
        real, fake = real + design.sigma * blur[0], fake + design.sigma * blur[1]
    rows, largest = list[dict[str, Tensor]](), 0.0
    last = max(steps)
    for step in range(1, last + 1):
        if design.falls:
            networks.network.set_lr_factor_(0.5 * (1 + math.cos(math.pi * (step - 1) / last)))
        u_real, u_fake, mix = batches.uniforms()
        noise = {}
        if noise_names:
            normals = batches.normals(len(noise_names)).repeat(1, n_t, 1, 1)
            noise = dict(zip(noise_names, normals, strict=True))
        networks.update_(place(u_real, 0 * theta), place(u_fake, theta), mix.repeat(n_t, 1), noise)
        if step not in steps:
            continue
        logits = networks.logits(real), networks.logits(fake)
        estimates = torch.func.vmap(method.loss.estimate)(*logits)
        none = torch.full((n_t * n_s,), torch.nan)
        rows.append({"estimate": next(iter(estimates.values()), none).reshape(n_t, n_s)})
        for generator, loss in method.generators.items():
            pull = networks.generator_gradient(fake, real, loss).mean(1).reshape(n_t, n_s, dim)
            along = (pull * axes[:, 0]).sum(-1)
            rows[-1][f"{generator}/along"] = along
            rows[-1][f"{generator}/across"] = (pull - along[..., None] * axes[:, 0]).norm(dim=-1)
        if isinstance(method.loss, Wasserstein):
            weights = networks.network.params.values()
            largest = max(largest, *(float(w.detach().abs().max()) for w in weights))
    arrays = {key: torch.stack([row[key] for row in rows]).cpu().numpy() for key in rows[0]}
    return {**arrays, "largest_weight": np.array(largest)}


def learn_shifts(
    design: Design,
    name: str,
    starts: Sequence[float],
    seeds: Sequence[int],
    n_critic: int,
    n_steps: int,
    lr: float,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Learn the shift, a vector in the plane, by plain gradient descent against a discriminator.

    Args:
        seeds: [S].
        starts: First components of the shift at the start; the second is 0, [T].
        n_critic: Discriminator updates before each move of the shift.
        n_steps: Moves.
        lr: Of the descent: no momentum and no scaling, so the size of a gradient is visible.

    Returns:
        For each generator loss of the method: its shift after every move, [n_steps + 1, T, S, 2].
    """
    method = design.method(name)
    n_t, n_s = len(starts), len(seeds)
    paths = {}
    for generator, loss in method.generators.items():
        networks = design.discriminators(method, 2, list(seeds) * n_t, device)
        batches = Batches(seeds, design.batch_size, 2, device)
        shift = torch.zeros(n_t * n_s, 2, device=device)
        shift[:, 0] = torch.tensor(starts, device=device).repeat_interleave(n_s)
        path = [shift.clone()]

        def place(u: Tensor, offset: Tensor | float) -> Tensor:
            points = torch.stack([torch.zeros_like(u), u], -1).repeat(n_t, 1, 1)
            return points + offset

        for _ in range(n_steps):
            for _ in range(n_critic):
                u_real, u_fake, mix = batches.uniforms()
                fake = place(u_fake, shift[:, None])
                networks.update_(place(u_real, 0.0), fake, mix.repeat(n_t, 1))
            u_real, u_fake, _ = batches.uniforms()
            fake = place(u_fake, shift[:, None])
            pull = networks.generator_gradient(fake, place(u_real, 0.0), loss).mean(1)
            shift = shift - lr * pull
            path.append(shift.clone())
        paths[generator] = torch.stack(path).reshape(n_steps + 1, n_t, n_s, 2).cpu().numpy()
    return paths
