"""Frozen generators, fresh discriminators, and the gradients that the generators get from them.

The gradient is taken by the generator's own parameters, in float64: a discriminator that is sure of
a fake leaves factors sigmoid(logit) of 1e-9 and less, whose squares float32 cannot hold.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.func import functional_call, grad, jvp, vmap

from gan_lab.data.base import Source
from gan_lab.engine.objective import Objective
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.discriminators import Discriminators
from gan_lab.experiments.training import open_training, record
from gan_lab.losses import Minimax, NonSaturating
from gan_lab.losses.base import AdversarialLoss
from gan_lab.regularizers.base import Tensors
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

BATCHES = (1, 4, 16, 64, 256)  # samples that a mean gradient is taken over
TAIL = np.geomspace(0.3, 300.0, 31)  # where the survival function is measured, in MADs
_BLOCK = 50  # updates whose randomness is drawn at once
_DIRECTIONS = 2
_N_PROJECTIONS = 2048  # samples whose projected gradients give the tails
_N_ACCURACY = 500  # samples on each side for accuracy and loss


@dataclass(frozen=True)
class Fit:
    """How fresh discriminators are trained and when they are measured.

    Attributes:
        config: Data, design, loss, regularizers and optimiser of the fresh discriminators.
        steps: Updates after which they are measured, in increasing order.
        n_batches: Batches of its size that a gradient's mean and variance are taken over.
        device: Where to compute.
    """

    config: RunConfig
    steps: Sequence[int]
    n_batches: int
    device: str


class FrozenGenerators(NamedTuple):
    """Generators of every seed at some stages of training.

    Attributes:
        leaves: Their parameters, [K S, ...], the first stage's seeds first.
        samples: Of one z a seed, [K S, 256, *shape].
    """

    leaves: Arrays
    samples: np.ndarray


def freeze_generators(config: RunConfig, stages: Sequence[int], device: str) -> FrozenGenerators:
    """Train for every seed at once and copy the generators at some steps."""
    run = open_training(replace(config, device=device), stages[-1])

    def copy(run: Run) -> Tensors:
        seeds = [run.state.generator.of_seed(index)[0] for index in range(len(run.seeds))]
        return {name: torch.stack([leaves[name] for leaves in seeds]) for name in seeds[0]}

    copies, source = record(run, stages, copy), run.source
    g = {name: torch.cat([leaves[name] for leaves in copies]) for name in copies[0]}
    template = config.network.generator(source.shape).to("meta")
    z = _normal(config.seeds, "vanishing/picture", (256, config.network.latent_dim), device)
    samples = _generate(template, g, z.repeat(len(stages), 1, 1))
    leaves_on_cpu = {name: leaf.cpu().numpy() for name, leaf in g.items()}
    return FrozenGenerators(leaves_on_cpu, samples.cpu().numpy())


def fit_discriminators(job: Fit, leaves: Arrays) -> Arrays:
    """Train a fresh discriminator against every frozen generator, measuring both on the way.

    Args:
        job: The configuration and its length.
        leaves: The generators' parameters, [K S, ...]; equal seeds share batches, z and the
            discriminator's first weights.

    Returns:
        Arrays [K, S, T] over stages, seeds and moments; see `Measurements`.
    """
    config, device = job.config, torch.device(job.device)
    source = config.data.open(device)
    g = {name: torch.as_tensor(leaf, device=device) for name, leaf in leaves.items()}
    n_stages = len(next(iter(g.values()))) // len(config.seeds)
    fresh = Discriminators(
        *(config.network, source.shape, config.loss, tuple(config.regularizers.values())),
        *(config.optim, list(config.seeds) * n_stages, device),
    )
    template = config.network.generator(source.shape).to("meta")
    measurements = Measurements(job, source, fresh, template, g, n_stages)
    streams = [stream(seed, "vanishing/batches", device) for seed in config.seeds]
    last, n = job.steps[-1], config.trainer.batch_size
    for step in range(last + 1):
        if step in job.steps:
            measurements.add()
        if step == last:
            break
        if step % _BLOCK == 0:
            block = [_draw(source, config, generator) for generator in streams]
            real, z, mix = (torch.stack(each, 1) for each in zip(*block, strict=True))
        i = step % _BLOCK
        fake = _generate(template, g, z[i].repeat(n_stages, 1, 1))
        images = source.gather(real[i]).reshape(len(config.seeds), n, *source.shape)
        again = [1] * (images.ndim - 1)
        fresh.update_(images.repeat(n_stages, *again), fake, mix[i].repeat(n_stages, 1))
    return measurements.arrays()


class Measurements:
    """Accuracies, losses and gradients at the discriminators: every array is [K, S, T] in the end.

    loss, accuracy: on training samples and fresh fakes; `_held_out` on held-out samples. A critic
    has no probability: its loss is minus its estimate of W1, its accuracy that of its sign.
    NAME/norm: of the mean gradient by the generator's parameters; NAME/deviation: root of the
    summed variances of one batch's gradient. NAME = minimax, non_saturating or the loss at hand.
    tail, spread: see `_tails`; of the last moment, non-saturating.
    """

    def __init__(
        self,
        job: Fit,
        source: Source,
        fresh: Discriminators,
        template: torch.nn.Module,
        g: Tensors,
        n_stages: int,
    ) -> None:
        config, self.fresh, self.n_stages = job.config, fresh, n_stages
        self.cross_entropy = isinstance(config.loss, Minimax | NonSaturating)
        losses: dict[str, AdversarialLoss] = {"wasserstein": config.loss}
        if self.cross_entropy:
            losses = {"minimax": Minimax(), "non_saturating": NonSaturating()}
        bare = replace(fresh.objective, generator=template)
        self.objectives = {name: replace(bare, loss=loss) for name, loss in losses.items()}
        self.g = {name: leaf.double() for name, leaf in g.items()}
        self.config, device = config, torch.device(job.device)
        latent = config.network.latent_dim

        def normal(purpose: str, *shape: int) -> Tensor:
            z = _normal(config.seeds, f"vanishing/{purpose}", (*shape, latent), device)
            return z.repeat(n_stages, *[1] * len(shape), 1).double()

        self.z = normal("gradient", job.n_batches, config.trainer.batch_size).transpose(0, 1)
        self.z_projected = normal("projected", _N_PROJECTIONS)
        n = min(_N_ACCURACY, source.n_held_out or _N_ACCURACY)
        fake = _generate(template, self.g, normal("judged", n)).float()
        self.samples = {}
        for name, of in (("", source.real), ("_held_out", source.held_out)):
            each = [of(n, stream(s, f"vanishing/judged{name}", device)) for s in config.seeds]
            self.samples[name] = (torch.stack(each * n_stages), fake)
        self.rows: dict[str, list[Tensor]] = {}

    def add(self) -> None:
        """Measure once more."""
        for name, (real, fake) in self.samples.items():
            real_logits, fake_logits = self.fresh.logits(real), self.fresh.logits(fake)
            loss = self.fresh.objective.loss.discriminator(real_logits, fake_logits).mean(-1)
            # A critic's constant is free: its threshold lies halfway between its two means.
            means = (logits.mean(-1, keepdim=True) for logits in (real_logits, fake_logits))
            middle = 0.0 if self.cross_entropy else sum(means) / 2
            right = ((real_logits > middle).double() + (fake_logits < middle).double()) / 2
            self._append(f"loss{name}", loss)
            self._append(f"accuracy{name}", right.mean(-1))
        self.d = {n: leaf.detach().double() for n, leaf in self.fresh.network.params.items()}
        for name, objective in self.objectives.items():
            mean, deviation = self._gradient(objective)
            self._append(f"{name}/norm", mean)
            self._append(f"{name}/deviation", deviation)

    def arrays(self) -> Arrays:
        """Return all measurements, and the tails of the last."""
        arrays = {name: self._split(torch.stack(rows, -1)) for name, rows in self.rows.items()}
        if self.cross_entropy:
            survival, spread = self._tails(self.objectives["non_saturating"])
            arrays |= {"tail": self._split(survival), "spread": self._split(spread)}
        return arrays

    def _append(self, name: str, values: Tensor) -> None:
        self.rows.setdefault(name, []).append(values.detach().double().cpu())

    def _split(self, values: Tensor) -> np.ndarray:
        return values.reshape(self.n_stages, -1, *values.shape[1:]).numpy()

    def _gradient(self, objective: Objective) -> tuple[Tensor, Tensor]:
        """Return the norm of the mean gradient and the root of one batch's variance, each [K S]."""

        def loss(g: Tensors, d: Tensors, z: Tensor) -> Tensor:
            return objective.generator_loss(g, {}, d, {}, z, z, {})[0]  # no loss here looks at real

        gradient = vmap(grad(loss))
        leaves = [gradient(self.g, self.d, z) for z in self.z]  # a list of [K S, ...] leaves
        flat = torch.stack([torch.cat([x.flatten(1) for x in g.values()], 1) for g in leaves])
        return flat.mean(0).norm(dim=-1), flat.var(0).sum(-1).sqrt()

    def _tails(self, objective: Objective) -> tuple[Tensor, Tensor]:
        """Measure how heavy the tails of single samples' gradients are, along random directions.

        Returns:
            Share of samples beyond TAIL median absolute deviations, [K S, len(TAIL)], and the
            median absolute deviation of means over BATCHES samples relative to a single sample's,
            [K S, len(BATCHES)]: n^-1/2 for a finite variance, constant for a Cauchy distribution.
        """

        def losses(g: Tensors, d: Tensors, z: Tensor) -> Tensor:
            logits = objective.score(d, {})(objective.fakes(g, {}, z))
            return objective.loss.generator(torch.zeros_like(logits), logits)

        def along(g: Tensors, direction: Tensors, d: Tensors, z: Tensor) -> Tensor:
            return jvp(lambda leaves: losses(leaves, d, z), (g,), (direction,))[1]

        survival, spread = [], []
        for i in range(_DIRECTIONS):
            source = stream(i, "vanishing/direction")
            direction = {
                name: torch.randn(leaf.shape[1:], generator=source, dtype=torch.float64)
                .to(leaf.device)
                .expand_as(leaf)
                for name, leaf in self.g.items()
            }
            values = vmap(along)(self.g, direction, self.d, self.z_projected).cpu()
            values = values - values.median(-1, keepdim=True).values
            one = _mad(values)
            beyond = values.abs()[..., None] > one[:, None, None] * torch.as_tensor(TAIL)
            survival.append(beyond.double().mean(1))
            means = [values.unflatten(-1, (-1, n)).mean(-1) for n in BATCHES]
            spread.append(torch.stack([_mad(m) / one for m in means], -1).log())
        return torch.stack(survival).mean(0), torch.stack(spread).mean(0).exp()


def _mad(values: Tensor) -> Tensor:
    """Return the median absolute deviation along the last axis."""
    return (values - values.median(-1, keepdim=True).values).abs().median(-1).values


def _generate(template: torch.nn.Module, g: Tensors, z: Tensor) -> Tensor:
    with torch.no_grad():
        return vmap(lambda leaves, each: functional_call(template, leaves, (each,)))(g, z)


def _normal(
    seeds: Sequence[int], purpose: str, shape: tuple[int, ...], device: torch.device | str
) -> Tensor:
    return torch.stack(
        [torch.randn(shape, generator=stream(s, purpose, device), device=device) for s in seeds]
    )


def _draw(source: Source, config: RunConfig, generator: torch.Generator) -> tuple[Tensor, ...]:
    """Draw the tickets, z and mix of one seed for a block of updates."""
    n = config.trainer.batch_size
    real = source.draw(_BLOCK * n, generator)
    shape = (_BLOCK, n, config.network.latent_dim)
    z = torch.randn(shape, generator=generator, device=source.device)
    mix = torch.rand(_BLOCK, n, generator=generator, device=source.device)
    return real.reshape(_BLOCK, n, *real.shape[1:]), z, mix
