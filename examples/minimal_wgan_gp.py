"""WGAN-GP on eight Gaussians in plain PyTorch (Gulrajani et al. 2017, arXiv:1704.00028).

The same steps as `python -m gan_lab train data=ring loss=wasserstein`; half a minute on one core.
"""

import torch
from torch import Tensor, nn
from torch.optim import Adam, Optimizer

from gan_lab.data import Ring
from gan_lab.losses import Wasserstein
from gan_lab.metrics import exact_wasserstein
from gan_lab.networks import Mlp
from gan_lab.regularizers import GradientPenalty

DATA, NETWORKS = Ring(), Mlp(latent_dim=2, width=64, depth=3)
LOSS, PENALTY = Wasserstein(), GradientPenalty(weight=0.1, target=1.0)
N_CRITIC, N = 3, 256  # critic updates a step, samples a batch


def make_optimizer(network: nn.Module) -> Optimizer:
    """Return Adam with little momentum: each network's loss moves with the other's weights."""
    return Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.9))


def update(optimizer: Optimizer, loss: Tensor) -> None:
    """Move one network's weights against the gradient of its loss."""
    optimizer.zero_grad()  # the other network's update left gradients here too
    loss.backward()
    optimizer.step()


def train_step(
    generator: nn.Module, critic: nn.Module, optimizers: tuple, real: Tensor, z: Tensor, mix: Tensor
) -> None:
    """Update the critic once for each batch [N, 2] of real and [N] of mix, the generator once."""
    for x, noise, weights in zip(real, z, mix, strict=False):  # z has one batch more
        fake = generator(noise).detach()  # the critic's loss trains the critic alone
        loss = LOSS.discriminator(critic(x), critic(fake)).mean()
        update(optimizers[1], loss + PENALTY.penalty(critic, x, fake, weights).mean())
    logits = critic(generator(z[-1]))
    update(optimizers[0], LOSS.generator(torch.zeros_like(logits), logits).mean())


def train(steps: int) -> nn.Module:
    """Return a trained generator."""
    generator, critic = NETWORKS.generator(DATA.shape), NETWORKS.discriminator(DATA.shape)
    optimizers = make_optimizer(generator), make_optimizer(critic)
    for _ in range(steps):
        real = DATA.sample(N_CRITIC * N, torch.default_generator).reshape(N_CRITIC, N, 2)
        z = torch.randn(N_CRITIC + 1, N, NETWORKS.latent_dim)
        train_step(generator, critic, optimizers, real, z, torch.rand(N_CRITIC, N))
    return generator


if __name__ == "__main__":
    torch.manual_seed(0)
    fake = train(steps=2000)(torch.randn(512, NETWORKS.latent_dim))
    real, other = DATA.sample(1024, torch.default_generator).split(512)
    print(f"W1 {exact_wasserstein(fake, real):.3f}, floor {exact_wasserstein(other, real):.3f}")
