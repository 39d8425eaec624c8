"""The loop that tutorials teach, as the yardstick: modules, autograd, torch's optimisers.

The penalty is differentiated twice by autograd; every update draws its own batch and its own noise,
makes its own fakes, and judges real and fake in two passes. Nothing is slowed down on purpose, and
nothing is fused, stacked, shared or compiled. It logs nothing and averages nothing.
"""

import torch
from torch import Tensor, nn

from benchmarking.rows import DEPTH, Work

BETAS = (0.5, 0.9)
LR = {"wgan_gp": 1e-4, "wgan_clip": 5e-5, "non_saturating": 1e-4}
WEIGHT = 10.0  # of the penalty
BOUND = 0.01  # of the weights


def _mlp(n_in: int, width: int, n_out: int) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for _ in range(DEPTH):
        layers += [nn.Linear(n_in, width), nn.ReLU()]
        n_in = width
    return [*layers, nn.Linear(n_in, n_out)]


def _sizes(size: int) -> list[int]:
    """Sizes of the images from `size` down to 4, each half the one before, rounded up."""
    return [size] if size <= 4 else [size, *_sizes((size + 1) // 2)]


def _kernel(size: int) -> int:
    return 4 if size % 2 == 0 else 3  # from 7 pixels to 4 and back


def _grow(channels: int, sizes: list[int]) -> list[nn.Module]:
    layers: list[nn.Module] = []
    for size in sizes:
        grow = nn.ConvTranspose2d(channels, channels // 2, _kernel(size), stride=2, padding=1)
        layers += [grow, nn.BatchNorm2d(channels // 2), nn.ReLU()]
        channels //= 2
    return layers


def _dcgan_generator(work: Work) -> list[nn.Module]:
    sizes = _sizes(work.shape[1])[1:-1]
    channels = work.width * 2 ** len(sizes)
    first = nn.ConvTranspose2d(work.latent_dim, channels, 4)
    layers = [nn.Unflatten(1, (work.latent_dim, 1, 1)), first, nn.BatchNorm2d(channels), nn.ReLU()]
    layers += _grow(channels, sizes[::-1])
    last = nn.ConvTranspose2d(work.width, work.shape[0], 4, stride=2, padding=1)
    return [*layers, last, nn.Tanh()]


def _dcgan_discriminator(work: Work) -> list[nn.Module]:
    channels = work.width
    layers: list[nn.Module] = [nn.Conv2d(work.shape[0], channels, 4, 2, 1), nn.LeakyReLU(0.2)]
    for size in _sizes(work.shape[1])[1:-1]:
        shrink = nn.Conv2d(channels, 2 * channels, _kernel(size), stride=2, padding=1)
        # Layer norm: batch norm would forbid the penalty.
        layers += [shrink, nn.GroupNorm(1, 2 * channels), nn.LeakyReLU(0.2)]
        channels *= 2
    return [*layers, nn.Conv2d(channels, 1, 4), nn.Flatten()]


def _conv_generator(work: Work) -> list[nn.Module]:
    sizes = _sizes(work.shape[1] // 2)[:-1]
    channels = work.width * 2 ** len(sizes)
    first = nn.Linear(work.latent_dim, channels * 16)
    layers = [first, nn.Unflatten(1, (channels, 4, 4)), nn.BatchNorm2d(channels), nn.ReLU()]
    layers += _grow(channels, sizes[::-1])
    last = nn.Conv2d(work.width, 4 * work.shape[0], 3, padding=1)
    return [*layers, last, nn.PixelShuffle(2), nn.Tanh()]


def _conv_discriminator(work: Work) -> list[nn.Module]:
    channels = work.width
    first = nn.Conv2d(4 * work.shape[0], channels, 3, padding=1)
    layers: list[nn.Module] = [nn.PixelUnshuffle(2), first, nn.LeakyReLU(0.2)]
    for size in _sizes(work.shape[1] // 2)[:-1]:
        shrink = nn.Conv2d(channels, 2 * channels, _kernel(size), stride=2, padding=1)
        layers += [shrink, nn.LeakyReLU(0.2)]
        channels *= 2
    return [*layers, nn.Flatten(), nn.Linear(channels * 16, 1)]


def networks(work: Work) -> tuple[nn.Module, nn.Module]:
    """A generator z [N, latent_dim] -> [N, *shape] and a discriminator [N, *shape] -> [N, 1]."""
    if work.network == "dcgan":
        return nn.Sequential(*_dcgan_generator(work)), nn.Sequential(*_dcgan_discriminator(work))
    if work.network == "conv":
        return nn.Sequential(*_conv_generator(work)), nn.Sequential(*_conv_discriminator(work))
    end = [nn.Tanh(), nn.Unflatten(1, work.shape)] if len(work.shape) == 3 else []
    generator = nn.Sequential(*_mlp(work.latent_dim, work.width, work.n_in), *end)
    return generator, nn.Sequential(nn.Flatten(), *_mlp(work.n_in, work.width, 1))


class Textbook:
    """One textbook training, on samples [n, *shape] that are on the device.

    `n_updates`: optimiser steps of the discriminator and of the generator so far.
    """

    def __init__(self, work: Work, data: Tensor) -> None:
        self.work, self.data = work, data
        self.generator, self.discriminator = (net.to(data.device) for net in networks(work))
        self.optimizer_d = self._optimizer(self.discriminator)
        self.optimizer_g = self._optimizer(self.generator)
        self.criterion = nn.BCEWithLogitsLoss()
        self.n_updates = [0, 0]

    def step(self) -> None:
        """n_critic updates of the discriminator, one of the generator."""
        for _ in range(self.work.n_critic):
            self._update_discriminator()
        self._update_generator()

    def _optimizer(self, module: nn.Module) -> torch.optim.Optimizer:
        lr = LR[self.work.game]
        if self.work.game == "wgan_clip":
            return torch.optim.RMSprop(module.parameters(), lr=lr)
        return torch.optim.Adam(module.parameters(), lr=lr, betas=BETAS)

    def _real(self) -> Tensor:
        chosen = torch.randint(0, len(self.data), (self.work.batch_size,), device=self.data.device)
        return self.data[chosen]

    def _z(self) -> Tensor:
        return torch.randn(self.work.batch_size, self.work.latent_dim, device=self.data.device)

    def _update_discriminator(self) -> None:
        real = self._real()
        self.optimizer_d.zero_grad()
        fake = self.generator(self._z()).detach()
        real_logits, fake_logits = self.discriminator(real), self.discriminator(fake)
        if self.work.game == "non_saturating":
            loss = self.criterion(real_logits, torch.ones_like(real_logits))
            loss = loss + self.criterion(fake_logits, torch.zeros_like(fake_logits))
        else:
            loss = fake_logits.mean() - real_logits.mean()
        if self.work.game == "wgan_gp":
            loss = loss + WEIGHT * self._penalty(real, fake)
        loss.backward()
        self.optimizer_d.step()
        if self.work.game == "wgan_clip":
            for parameter in self.discriminator.parameters():
                parameter.data.clamp_(-BOUND, BOUND)
        self.n_updates[0] += 1

    def _penalty(self, real: Tensor, fake: Tensor) -> Tensor:
        mix = torch.rand(len(real), *[1] * (real.ndim - 1), device=real.device)
        points = (mix * real + (1 - mix) * fake).requires_grad_(True)
        logits = self.discriminator(points)
        (slope,) = torch.autograd.grad(logits, points, torch.ones_like(logits), create_graph=True)
        return ((slope.flatten(1).norm(2, dim=1) - 1) ** 2).mean()

    def _update_generator(self) -> None:
        self.optimizer_g.zero_grad()
        logits = self.discriminator(self.generator(self._z()))
        if self.work.game == "non_saturating":
            loss = self.criterion(logits, torch.ones_like(logits))
        else:
            loss = -logits.mean()
        loss.backward()
        self.optimizer_g.step()
        self.n_updates[1] += 1
