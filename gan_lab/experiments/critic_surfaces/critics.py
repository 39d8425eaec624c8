"""Critics against a generator that stays at the data plus unit noise.

The architecture, the start and the data are those of the authors' gan_toy.py
(github.com/igul222/improved_wgan_training), at a smaller width and with fewer updates.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.data.base import Distribution
from gan_lab.engine.optimizers import Adam, Optimizer, RmsProp
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.critic_surfaces.transport import DATA, plane, points_on_and_off
from gan_lab.experiments.discriminators import Discriminators
from gan_lab.losses import Wasserstein
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import Regularizer, WeightClipping

_N_VALUE = 4096  # samples of either side for a critic's value
_BINS = 61
_Sampler = Callable[[int], tuple[Tensor, Tensor, Tensor]]  # n -> real, fake, mix


@dataclass(frozen=True)
class HeMlp(Mlp):
    """An MLP that starts as the authors' does: He et al. 2015, uniform; biases 0.

    With a `reach` above 0, weights start uniform on +-reach instead.
    """

    reach: float = 0.0

    def initialise_(self, module: nn.Module, generator: torch.Generator) -> None:
        """Set weights uniform on +-sqrt(6/fan_in), or on +-reach."""
        with torch.no_grad():
            for layer in module.modules():
                if isinstance(layer, nn.Linear):
                    reach = self.reach or math.sqrt(6 / layer.in_features)
                    layer.weight.uniform_(-reach, reach, generator=generator)
                    layer.bias.zero_()


@dataclass(frozen=True)
class Design:
    """One kind of critic, of hidden `layers`, and how it is trained.

    The learning rate is RMSprop's for clipping, Adam's else; it falls to 0 or stays. Each update
    sees `batch_size` samples of either side. Of `reach` see HeMlp.
    """

    regularizer: Regularizer
    layers: int
    width: int
    steps: int
    batch_size: int
    lr: float
    falls: bool = True
    reach: float = 0.0

    def critics(self, seeds: Sequence[int], device: torch.device) -> Discriminators:
        """Build one untrained critic a seed."""
        clips = isinstance(self.regularizer, WeightClipping)
        optim: Optimizer = RmsProp(self.lr) if clips else Adam(self.lr)
        pair = HeMlp(latent_dim=1, width=self.width, depth=self.layers, reach=self.reach)
        return Discriminators(pair, (2,), Wasserstein(), (self.regularizer,), optim, seeds, device)


def shallow(design: Design, seeds: Sequence[int], device: torch.device) -> Arrays:
    """Train critics on all of DATA, K sets, for every seed at once.

    Returns:
        value: E_real f - E_fake f on fresh samples, [K, S].
        contrast: see `points_on_and_off`, [K, S].
        surface: f on `plane()` less its mean there, [K, S, P]. weights: see `_train`.
    """
    d = design.critics([*seeds] * len(DATA), device)
    batch = _sampler(list(DATA.values()), seeds, "batches", device)
    weights = _train(d, design, batch)
    real, fake, _ = batch(_N_VALUE)
    shape = (len(DATA), len(seeds))
    value = (d.logits(real).mean(1) - d.logits(fake).mean(1)).double().cpu().reshape(shape)
    contrast = []
    for k, pair in enumerate(points_on_and_off().values()):
        on, off = (_spread(d, points, device).view(*shape, -1)[k].mean(1) for points in pair)
        contrast.append((on - off) / value[k])
    surface = _spread(d, plane(), device).reshape(*shape, -1)
    return {
        "value": value.numpy(),
        "contrast": torch.stack(contrast).numpy(),
        "surface": (surface - surface.mean(-1, keepdim=True)).float().numpy(),
        **weights,
    }


def deep(design: Design, seeds: Sequence[int], device: torch.device) -> Arrays:
    """Train critics on the swiss roll, one a seed, and measure them layer by layer.

    Returns:
        norms: |d loss / d activations| of every hidden layer, the first one first, [S, L].
        value: E_real f - E_fake f on fresh samples, [S]. weights: see `_train`.
    """
    d = design.critics(seeds, device)
    batch = _sampler([DATA["swiss_roll"]], seeds, "deep", device)
    weights = _train(d, design, batch)
    real, fake, _ = batch(1024)
    value = d.logits(real).mean(1) - d.logits(fake).mean(1)
    norms = activation_gradients(d, real, fake)
    return {"norms": norms.numpy(), "value": value.double().cpu().numpy(), **weights}


def activation_gradients(d: Discriminators, real: Tensor, fake: Tensor) -> Tensor:
    """Return the norm of the mean loss's gradient by each hidden layer's activations, [S, L].

    The critics are ReLU perceptrons, samples are [S, N, 2]. In float64: a norm of 1e-28 is a number
    there, and its square is one too.
    """
    leaves = [leaf.detach().double().cpu() for leaf in d.network.params.values()]
    h = torch.cat([real, fake], 1).double().cpu()
    activations = []
    for weight, bias in zip(leaves[:-2:2], leaves[1:-2:2], strict=True):
        h = torch.baddbmm(bias[:, None], h, weight.mT).relu().requires_grad_(True)
        activations.append(h)
    logits = torch.baddbmm(leaves[-1][:, None], h, leaves[-2].mT)[..., 0]
    on_real, on_fake = logits.split(real.shape[1], 1)
    loss = Wasserstein().discriminator(on_real.flatten(), on_fake.flatten()).sum() / real.shape[1]
    gradients = torch.autograd.grad(loss, activations)
    return torch.stack([torch.linalg.vector_norm(g.flatten(1), dim=1) for g in gradients], 1)


def _train(d: Discriminators, design: Design, batch: _Sampler) -> Arrays:
    """Train in place, on [real, fake, mix] a batch, and measure the weights.

    Returns:
        at_bounds, at_bounds_first: share of weights on a bound after the last and the first
            update, [S]. histogram, edges: of all weights, as shares, [B] and [B + 1].
    """
    first = torch.zeros(len(d))
    for step in range(design.steps):
        if design.falls:
            d.network.set_lr_factor_(0.5 * (1 + math.cos(math.pi * step / design.steps)))
        real, fake, mix = batch(design.batch_size)
        d.update_(real, fake, mix)
        if step == 0:
            first = _at_bounds(d, design)
    leaves = torch.cat([leaf.detach().flatten(1) for leaf in d.network.params.values()], 1)
    bound = getattr(design.regularizer, "bound", 0.5)
    edges = torch.linspace(-1.0001, 1.0001, _BINS + 1) * bound
    counts = torch.histogram(leaves.float().cpu().clamp(-bound, bound).flatten(), edges).hist
    return {
        "at_bounds": _at_bounds(d, design).numpy(),
        "at_bounds_first": first.numpy(),
        "histogram": (counts / counts.sum()).numpy(),
        "edges": edges.numpy(),
    }


def _at_bounds(d: Discriminators, design: Design) -> Tensor:
    """Return the share of weights that sit on a bound, [S]; nan where nothing is clipped."""
    regularizer = design.regularizer
    if not isinstance(regularizer, WeightClipping):
        return torch.full((len(d),), math.nan)
    share = torch.func.vmap(lambda leaves: regularizer.measure(leaves)["weights/clipped_share"])
    return share({name: leaf.detach() for name, leaf in d.network.params.items()}).cpu()


def _sampler(
    data: Sequence[Distribution], seeds: Sequence[int], name: str, device: torch.device
) -> _Sampler:
    """Return a function that draws a batch for every data set and seed, data sets first."""
    streams = [stream(seed, f"critic_surfaces/{name}", device) for seed in seeds]

    def batch(n: int) -> tuple[Tensor, Tensor, Tensor]:
        # As in the authors' code the fake is the real sample plus noise, pair by pair.
        real = torch.stack([each.sample(n, g) for each in data for g in streams])
        noise = torch.stack([torch.randn(n, 2, generator=g, device=device) for g in streams])
        mix = torch.stack([torch.rand(n, generator=g, device=device) for g in streams])
        return real, real + noise.repeat(len(data), 1, 1), mix.repeat(len(data), 1)

    return batch


def _spread(d: Discriminators, points: Tensor, device: torch.device) -> Tensor:
    """Return every critic's logits at the same points, [S, P] in float64."""
    return d.logits(points.to(device).expand(len(d), *points.shape)).double().cpu()
