"""The trained parts of parallel segments: discriminators at fixed shifts, and shifts that learn.

Real samples lie on u b, fakes on shift + u b, u uniform on [0, 1], b a unit vector. Each network is
stacked with all others of its design; a seed's batches are the same for every shift and method.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.engine.optimizers import Adam
from gan_lab.engine.rng import stream
from gan_lab.experiments.discriminators import Discriminators
from gan_lab.losses import (
    AdversarialLoss,
    Hinge,
    LeastSquares,
    Minimax,
    NonSaturating,
    RelativisticPairing,
    Wasserstein,
)
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, InstanceNoise, Regularizer, WeightClipping

_HEIGHTS = 256  # fixed heights at which every network is read: no noise in what is read
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
    """

    width: int = 64
    lr: float = 1e-3
    batch_size: int = 64
    weight: float = 10.0
    bound: float = 0.1
    sigma: float = 0.5

    def method(self, name: str) -> "Method":
        """What a discriminator of that name minimises, what holds it, and who learns from it."""
        one = {
            "cross_entropy": Method(Minimax(), (), _CROSS_ENTROPY),
            "cross_entropy_noise": Method(Minimax(), (InstanceNoise(self.sigma),), _CROSS_ENTROPY),
            "wasserstein": Method(Wasserstein(), (GradientPenalty(self.weight),)),
            "wasserstein_clip": Method(Wasserstein(), (WeightClipping(self.bound),)),
            "least_squares": Method(LeastSquares()),
            "hinge": Method(Hinge()),
            "relativistic": Method(RelativisticPairing()),
        }[name]
        return one if one.generators else Method(one.loss, one.regularizers, {name: one.loss})

    def discriminators(
        self, method: "Method", dim: int, seeds: Sequence[int], device: torch.device
    ) -> Discriminators:
        """Fresh networks, one a seed in the list."""
        pair = Mlp(latent_dim=1, width=self.width, depth=2)
        optim = Adam(self.lr)
        args = (pair, (dim,), method.loss, method.regularizers, optim)
        return Discriminators(*args, seeds, device)


@dataclass(frozen=True)
class Method:
    """A discriminator's loss, what holds it, and the generator losses that are read from it."""

    loss: AdversarialLoss
    regularizers: tuple[Regularizer, ...] = ()
    generators: dict[str, AdversarialLoss] | None = None


# One discriminator serves both: they differ in the generator only.
_CROSS_ENTROPY: dict[str, AdversarialLoss] = {
    "minimax": Minimax(),
    "non_saturating": NonSaturating(),
}


class Batches:
    """Heights, mixing weights and noise of every update, the same for all shifts of one seed."""

    def __init__(self, seeds: Sequence[int], n: int, dim: int, device: torch.device) -> None:
        self.n, self.dim, self.device = n, dim, device
        self._u = [stream(seed, "segments/heights", device) for seed in seeds]
        self._noise = [stream(seed, "segments/noise", device) for seed in seeds]
        self._block: Tensor = torch.empty(0)
        self._at = _BLOCK

    def uniforms(self) -> Tensor:
        """Heights of reals and fakes and mixing weights of one update, [3, S, n]."""
        if self._at == _BLOCK:
            shape = (_BLOCK, 3, self.n)
            drawn = [torch.rand(shape, generator=g, device=self.device) for g in self._u]
            self._block, self._at = torch.stack(drawn, 2), 0
        self._at += 1
        return self._block[self._at - 1]

    def normals(self, k: int) -> Tensor:
        """Standard normal, [k, S, n, dim]."""
        shape = (k, self.n, self.dim)
        drawn = [torch.randn(shape, generator=g, device=self.device) for g in self._noise]
        return torch.stack(drawn, 1)


def frame(seed: int, dim: int, rotated: bool, device: torch.device) -> Tensor:
    """Direction of the shift and of the segment, two orthonormal rows: [2, dim].

    Axes 0 and 1, or a random pair: what a box of clipped weights prefers must not be what is asked.
    """
    if not rotated:
        return torch.eye(2, dim, device=device)
    random = torch.randn(dim, 2, generator=stream(seed, f"segments/frame {dim}"))
    return torch.linalg.qr(random)[0].T.contiguous().to(device)


def fitted(
    design: Design,
    name: str,
    thetas: Sequence[float],
    seeds: Sequence[int],
    steps: Sequence[int],
    dim: int,
    rotated: bool,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Trains a discriminator for every shift and seed and reads it after some of the updates.

    Args:
        design: The networks.
        name: The method's.
        thetas: Lengths of the shift, with sign, [T].
        seeds: [S].
        steps: After how many updates the networks are read, increasing, [K].
        dim: Of a sample.
        rotated: See `frame`.
        device: Where.

    Returns:
        For each generator loss g of the method: "g/along" and "g/across", [K, T, S]: the
        generator's gradient with respect to the shift, its component along the direction of a
        positive theta and the norm of the rest. "estimate", [K, T, S]: the discriminator's own
        estimate of JS (nats) or W1 (data units x slope); nan where the loss has none.
        "largest_weight", scalar: of any network after any update that was read.
    """
    method = design.method(name)
    assert method.generators is not None
    frames = torch.stack([frame(seed, dim, rotated, device) for seed in seeds])  # [S, 2, dim]
    n_t, n_s = len(thetas), len(seeds)
    theta = torch.tensor(thetas, dtype=torch.float32, device=device)
    networks = design.discriminators(method, dim, list(seeds) * n_t, device)
    batches = Batches(seeds, design.batch_size, dim, device)
    noisy = any(r.noise_spec((dim,)) for r in method.regularizers)

    def place(u: Tensor, shift: Tensor) -> Tensor:
        """Heights [S, n] and shifts [T] -> points [T S, n, dim]."""
        points = u[..., None] * frames[:, None, 1]
        offset = shift[:, None, None, None] * frames[:, None, 0]
        return (points + offset).flatten(0, 1)

    grid = (torch.arange(_HEIGHTS, device=device) + 0.5) / _HEIGHTS
    grid = grid.expand(n_s, -1)
    # A pairing loss has to see independent pairs: one fixed shuffle of the heights.
    order = torch.randperm(_HEIGHTS, generator=stream(0, "segments/pairs")).to(device)
    real_grid, fake_grid = place(grid[:, order], 0 * theta), place(grid, theta)
    found: dict[str, list[Tensor]] = {}
    largest = 0.0

    def read() -> None:
        nonlocal largest
        # Instance noise is part of what the generator learns through: average over it.
        copies = 8 if noisy else 1
        real, fake = real_grid.repeat(1, copies, 1), fake_grid.repeat(1, copies, 1)
        if noisy:
            g = stream(0, "segments/noise to read", device)
            blur = torch.randn(2, copies * _HEIGHTS, dim, generator=g, device=device)
            real, fake = real + design.sigma * blur[0], fake + design.sigma * blur[1]
        for who, loss in (method.generators or {}).items():
            pull = networks.generator_gradient(fake, real, loss).mean(1).reshape(n_t, n_s, dim)
            along = (pull * frames[:, 0]).sum(-1)
            across = (pull - along[..., None] * frames[:, 0]).norm(dim=-1)
            found.setdefault(f"{who}/along", []).append(along)
            found.setdefault(f"{who}/across", []).append(across)
        own = torch.func.vmap(method.loss.estimate)(networks.logits(real), networks.logits(fake))
        value = next(iter(own.values()), torch.full((n_t * n_s,), torch.nan))
        found.setdefault("estimate", []).append(value.reshape(n_t, n_s))
        if not isinstance(method.loss, Wasserstein):
            return
        weights = networks.network.params.values()
        largest = max(largest, *(float(w.detach().abs().max()) for w in weights))

    for step in range(1, max(steps) + 1):
        u_real, u_fake, mix = batches.uniforms()
        noise = {}
        if noisy:
            names = [k for r in method.regularizers for k in r.noise_spec((dim,))]
            drawn = batches.normals(len(names)).repeat(1, n_t, 1, 1)
            noise = dict(zip(names, drawn, strict=True))
        networks.update_(place(u_real, 0 * theta), place(u_fake, theta), mix.repeat(n_t, 1), noise)
        if step in steps:
            read()
    arrays = {key: torch.stack(values).cpu().numpy() for key, values in found.items()}
    return {**arrays, "largest_weight": np.array(largest)}


def learned(
    design: Design,
    name: str,
    starts: Sequence[float],
    seeds: Sequence[int],
    n_critic: int,
    n_steps: int,
    lr: float,
    device: torch.device,
) -> dict[str, np.ndarray]:
    """Learns the shift, a vector in the plane, by plain gradient descent against a discriminator.

    Args:
        design: The networks.
        name: The method's.
        starts: First components of the shift at the start; the second is 0, [T].
        seeds: [S].
        n_critic: Discriminator updates before each move of the shift.
        n_steps: Moves.
        lr: Of the descent: no momentum and no scaling, so the size of a gradient is what is seen.
        device: Where.

    Returns:
        For each generator loss of the method: its shift after every move, [n_steps + 1, T, S, 2].
    """
    method = design.method(name)
    assert method.generators is not None
    n_t, n_s, n = len(starts), len(seeds), design.batch_size
    paths = {}
    for who, loss in method.generators.items():
        networks = design.discriminators(method, 2, list(seeds) * n_t, device)
        batches = Batches(seeds, n, 2, device)
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
        stacked = torch.stack(path).reshape(n_steps + 1, n_t, n_s, 2)
        paths[who] = stacked.cpu().numpy()
    return paths
