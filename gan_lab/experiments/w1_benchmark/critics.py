"""Critics of one pair of known W1: their value, largest gradient norm and cosine with the truth."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.funnels import HALF_SIDE, Funnels
from gan_lab.engine.optimizers import Adam, Optimizer, RmsProp
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.discriminators import Discriminators
from gan_lab.losses import Wasserstein
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, Regularizer, SpectralNorm, WeightClipping

KINDS: dict[str, tuple[Regularizer, ...]] = {
    "clip": (WeightClipping(0.1),),
    "clip_half": (WeightClipping(0.05),),
    "spectral": (SpectralNorm(),),
    "penalty": (GradientPenalty(10.0),),
    "one_sided": (GradientPenalty(10.0, one_sided=True),),
    "lipschitz": (),  # its layers are orthonormal: nothing is penalised or clipped
}
# Trained side by side on the same samples; either takes about as long.
TOGETHER = (("clip", "clip_half", "spectral", "lipschitz"), ("penalty", "one_sided"))
PIXELS = 61  # of a side of the pictures
_N_DRAWN = 300  # samples in a picture
_BLOCK = 2**13  # samples drawn at once, a side


@dataclass(frozen=True)
class Training:
    """How every critic is trained, and on how many fresh samples it is judged.

    Attributes:
        seeds: One critic, and one pair of distributions, each.
        device: Where.
        steps: Updates; the learning rate falls to 0 as half a cosine.
        batch_size: Fresh samples of either side in each update.
        width: Units of each of the two hidden layers.
        lr: Of Adam; a clipped critic takes a tenth of it with RMSprop.
        lipschitz_lr: Of critics with orthonormal layers.
        n: Fresh samples of either side that judge it.
    """

    seeds: Sequence[int]
    device: torch.device
    steps: int
    batch_size: int
    width: int
    lr: float
    lipschitz_lr: float
    n: int

    def critics(self, kind: str, dim: int) -> Discriminators:
        """Build one untrained critic a seed."""
        is_lipschitz = kind == "lipschitz"
        adam = Adam(self.lipschitz_lr if is_lipschitz else self.lr)
        optim: Optimizer = RmsProp(self.lr / 10) if kind.startswith("clip") else adam
        design = Mlp(1, self.width, depth=2, activation="leaky_relu", lipschitz=is_lipschitz)
        loss = Wasserstein()
        return Discriminators(design, (dim,), loss, KINDS[kind], optim, self.seeds, self.device)


def critics_of_pair(kinds: Sequence[str], dim: int, n_funnels: int, training: Training) -> Arrays:
    """Train critics of KINDS on the pair of every seed at once, then judge them on fresh samples.

    All see the same samples, drawn once: with 256 funnels drawing takes longer than an update.

    Returns:
        For each kind, `kind/name`:
        value: E_real f - E_fake f, [S]. error: its standard error, [S].
        gradient_norm: the largest |grad f| at real, fake and interpolated samples, [S].
        cosine: mean cosine of grad f with the true potential's gradient, at fakes, [S].
        surface: in 2-D, the first seed's f on `plane()`, less its mean, [P].
    """
    pairs = [Funnels(dim, n_funnels, seed) for seed in training.seeds]
    all_critics = {kind: training.critics(kind, dim) for kind in kinds}
    purpose = f"w1_benchmark/{dim}/{n_funnels}"
    streams = [stream(s, f"{purpose}/batches", training.device) for s in training.seeds]
    n, per_block = training.batch_size, max(1, _BLOCK // training.batch_size)
    for step in range(training.steps):
        if step % per_block == 0:
            real, fake = _samples(pairs, n * per_block, streams)
            mix = torch.stack(
                [torch.rand(n * per_block, generator=g, device=training.device) for g in streams]
            )
        at = slice(step % per_block * n, (step % per_block + 1) * n)
        for d in all_critics.values():
            d.network.set_lr_factor_(0.5 * (1 + math.cos(math.pi * step / training.steps)))
            d.update_(real[:, at], fake[:, at], mix[:, at])
    arrays: Arrays = {}
    for kind, d in all_critics.items():
        each = _judge(d, pairs, training, purpose)
        if dim == 2:
            heights = d.logits(plane().to(training.device).expand(len(d), -1, -1))[0].cpu()
            each["surface"] = _without_mean(heights)
        arrays |= {f"{kind}/{name}": values for name, values in each.items()}
    return arrays


def true_surface(n_funnels: int, seed: int) -> Arrays:
    """Return a pair of the plane to draw: its best critic's surface [P], 300 x and y, [300, 2]."""
    pair = Funnels(2, n_funnels, seed)
    fake = pair.sample_uniform(_N_DRAWN, stream(seed, "w1_benchmark/plane"))
    heights = pair.potential(plane())
    return {
        "surface": _without_mean(heights),
        "fake": fake.numpy(),
        "real": pair.pull(fake).numpy(),
    }


def plane() -> Tensor:
    """Return the points of the pictures, the second coordinate running fastest, [P, 2]."""
    axis = torch.linspace(-HALF_SIDE, HALF_SIDE, PIXELS)
    return torch.cartesian_prod(axis, axis)


def _without_mean(heights: Tensor) -> np.ndarray:
    return np.asarray((heights - heights.mean()).float().numpy())


def _judge(d: Discriminators, pairs: Sequence[Funnels], training: Training, purpose: str) -> Arrays:
    """See `critics_of_pair`."""
    streams = [stream(s, f"{purpose}/judge", training.device) for s in training.seeds]
    fake = torch.stack(
        [p.sample_uniform(training.n, g) for p, g in zip(pairs, streams, strict=True)]
    )
    # Each real sample is where its fake is moved: both means stay, their difference is less noisy.
    real = torch.stack([pair.pull(y) for pair, y in zip(pairs, fake, strict=True)])
    gap = (d.logits(real) - d.logits(fake)).double().cpu()
    mix = torch.linspace(0, 1, training.n, device=training.device)[:, None]
    between = mix * real.roll(1, dims=1) + (1 - mix) * fake  # of independent pairs, as in training
    norms, gradient = [], d.input_gradient(fake)
    for points in (real, between):
        norms.append(d.input_gradient(points).norm(dim=2).amax(1))
    norms.append(gradient.norm(dim=2).amax(1))
    true = torch.stack([p.potential_gradient(y) for p, y in zip(pairs, fake, strict=True)])
    return {
        "value": gap.mean(1).numpy(),
        "error": (gap.std(1) / math.sqrt(training.n)).numpy(),
        "gradient_norm": torch.stack(norms).amax(0).double().cpu().numpy(),
        "cosine": torch.cosine_similarity(gradient, true, dim=2).mean(1).double().cpu().numpy(),
    }


def _samples(
    pairs: Sequence[Funnels], n: int, streams: Sequence[torch.Generator]
) -> tuple[Tensor, Tensor]:
    """Return n independent samples of both sides of every pair, [S, n, dim] each."""
    real, fake = [], []
    for pair, generator in zip(pairs, streams, strict=True):
        real.append(pair.sample(n, generator))
        fake.append(pair.sample_uniform(n, generator))
    return torch.stack(real), torch.stack(fake)
