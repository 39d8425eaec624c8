"""Many discriminators at once: S networks, each against its own samples.

The same objective, gradients and update as in training; only the generator is missing: a study
sets the fakes itself.
"""

from collections.abc import Sequence
from dataclasses import replace

import torch
from torch import Tensor

from gan_lab.engine.gradients import Gradients
from gan_lab.engine.objective import Objective
from gan_lab.engine.optimizers import Optimizer
from gan_lab.engine.rng import Draws, stream
from gan_lab.engine.state import build_network
from gan_lab.engine.step import Update, update_discriminator_
from gan_lab.losses.base import AdversarialLoss
from gan_lab.networks.base import NetworkPair
from gan_lab.regularizers.base import Regularizer, Tensors


class Discriminators:
    """S discriminators of one design, leaves [S, ...], with their optimiser.

    Samples have the given shape. Each network has a seed; equal seeds start from equal weights. Of
    `optim` the discriminator's part is used.
    """

    def __init__(
        self,
        pair: NetworkPair,
        shape: tuple[int, ...],
        loss: AdversarialLoss,
        regularizers: Sequence[Regularizer],
        optim: Optimizer,
        seeds: Sequence[int],
        device: torch.device,
    ) -> None:
        modules = {}
        for seed in dict.fromkeys(seeds):
            modules[seed] = pair.discriminator(shape)
            pair.initialise_(modules[seed], stream(seed, "init/discriminator"))
            for regularizer in regularizers:
                regularizer.prepare(modules[seed])
        self.network = build_network([modules[seed] for seed in seeds], device, stacked=True)
        self.network.optimizer = optim.build_discriminator(self.network.flat)
        template = modules[seeds[0]].to("meta")
        self.objective = Objective(template, template, loss, tuple(regularizers), in_transform=True)
        self.gradients = Gradients(self.objective, stacked=True)

    def __len__(self) -> int:
        return len(next(iter(self.network.params.values())))

    def update_(
        self, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Update:
        """Update every network once; samples and the regularizers' noise are [S, N, *shape].

        Args:
            real: Real samples.
            fake: Generated ones, without a graph.
            mix: Interpolation weights, [S, N].
            noise: What the regularizers asked for, by name.

        Returns:
            Values to log, each [S], and a number that is finite where all is, [S].
        """
        noise = {name: tensor[None] for name, tensor in (noise or {}).items()}
        draws = Draws(real[None], mix[None], mix[None], noise)  # z is not used
        return update_discriminator_(self.network, self.gradients, draws, 0, fake)

    @torch.no_grad()
    def logits(self, x: Tensor) -> Tensor:
        """Return the logits of samples, [S, N, *shape] -> [S, N]."""
        return torch.func.vmap(self._score)(self._leaves(), self.network.buffers, x)

    def input_gradient(self, x: Tensor) -> Tensor:
        """Return the gradient of every logit by its sample, [S, N, *shape] -> the same shape."""

        def of_sum(leaves: Tensors, buffers: Tensors, points: Tensor) -> Tensor:
            return self._score(leaves, buffers, points).sum()

        gradient = torch.func.grad(of_sum, argnums=2)
        return torch.func.vmap(gradient)(self._leaves(), self.network.buffers, x).detach()

    def generator_gradient(
        self, fake: Tensor, real: Tensor, loss: AdversarialLoss | None = None
    ) -> Tensor:
        """Return N d(mean loss of the generator)/d(fake), [S, N, *shape], the shape of the samples.

        Its mean over N is the gradient by a shift of all fakes. Real samples are for losses that
        compare; the loss is the generator's, where it is not the discriminator's.
        """
        objective = replace(self.objective, loss=loss or self.objective.loss)

        def total(leaves: Tensors, buffers: Tensors, x: Tensor, y: Tensor) -> Tensor:
            score = objective.score(leaves, buffers)
            return objective.loss.generator(score(y), score(x)).sum()

        gradient = torch.func.grad(total, argnums=2)
        by_fake = torch.func.vmap(gradient)(self._leaves(), self.network.buffers, fake, real)
        return by_fake.detach()

    def _score(self, leaves: Tensors, buffers: Tensors, x: Tensor) -> Tensor:
        return self.objective.score(leaves, buffers)(x)

    def _leaves(self) -> Tensors:
        return {name: leaf.detach() for name, leaf in self.network.params.items()}
