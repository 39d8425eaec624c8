"""The interface of a regularizer: hooks, all no-ops unless a subclass overrides them."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_lab.errors import ConfigError

Tensors = dict[str, Tensor]
Score = Callable[[Tensor], Tensor]


class Regularizer:
    """A constraint on the discriminator's gradient norm, weights or inputs; never part of a loss.

    A subclass is a frozen dataclass whose fields are its config keys. It is written for one seed,
    samples [N, *shape], whether or not seeds are stacked and however gradients are taken.

    A subclass declares its traits, from which the warnings and refusals of a run follow.

    Attributes:
        constrains_lipschitz: Whether it bounds or penalises the discriminator's Lipschitz constant,
            as a loss with `needs_lipschitz` asks for.
        normalizes_layers: Whether it does so by making each layer 1-Lipschitz: the constant of the
            whole network then falls far below 1.
        needs_independent_samples: Whether its term is per sample, so that a discriminator whose
            samples see each other (batch norm) has to be refused.
        needs_whole_batch: Whether its term for a sample depends on the others of the batch, so that
            several processes, each with a slice of it, have to be refused.
        unstable_with_momentum: Whether an optimiser with momentum has to be warned of.
        inner_gradients: Gradients by its inputs that one penalty takes; each costs about one
            discriminator update, which an equal budget has to count.
        every: Discriminator updates from one penalty to the next, a field of those that can be
            lazy. At every update whose index in the run, from 0, it divides, the penalty counts
            `every` times; at the others it is not computed. So the mean of its gradient over
            `every` updates of one batch is that of a penalty at each. Karras et al. 2020,
            arXiv:1912.04958, appendix B; Adam's learning rate and decay rates, which they change
            with it, stay as they are.
    """

    constrains_lipschitz: ClassVar[bool] = False
    normalizes_layers: ClassVar[bool] = False
    needs_independent_samples: ClassVar[bool] = False
    needs_whole_batch: ClassVar[bool] = False
    unstable_with_momentum: ClassVar[bool] = False
    inner_gradients: ClassVar[int] = 0
    every: int = 1

    def prepare(self, discriminator: nn.Module) -> None:
        """Register its buffers, if any, on a freshly initialised discriminator."""

    def reparametrize(self, params: Tensors, buffers: Tensors) -> Tensors:
        """Return the weights that the discriminator uses. Pure."""
        return params

    def noise_spec(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """Return the standard normal noise it needs for each sample: name -> shape."""
        return {}

    def inputs(self, real: Tensor, fake: Tensor, noise: Tensors) -> tuple[Tensor, Tensor]:
        """Return the discriminator's inputs for real and fake, in both networks' updates. Pure."""
        return real, fake

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """Return the weighted term that is added to the discriminator's loss. Pure.

        Args:
            score: The discriminator, samples [N, *shape] -> logits [N] or [N, 1]: a module or any
                other callable.
            real: Real samples, shape [N, *shape].
            fake: Generated samples, shape [N, *shape]; no gradient flows to the generator.
            mix: Interpolation weights, uniform on [0, 1], shape [N].
            noise: The noise of `noise_spec`, each [N, *shape].

        Returns:
            Penalty per sample, shape [N], >= 0, in the unit of the loss, whatever `every` is; 0 for
            a regularizer that acts by its other hooks alone.
        """
        return real.new_zeros(len(real))

    def after_step(self, params: Tensors, buffers: Tensors) -> tuple[Tensors, Tensors]:
        """Return the leaves to keep from those after the optimiser's step. Pure."""
        return params, buffers

    def measure(self, params: Tensors) -> Tensors:
        """Return values to log of the discriminator's weights: tag -> scalar. Pure."""
        return {}


class GradientNormPenalty(Regularizer):
    """A penalty on the norm of each sample's input gradient: its points and its cost.

    Apart, both have analytic gradients for perceptrons; `penalty` composes them. Neither depends on
    `every`: the objective of an update leaves out the penalties that are not due.
    """

    constrains_lipschitz: ClassVar[bool] = True
    needs_independent_samples: ClassVar[bool] = True
    inner_gradients: ClassVar[int] = 1

    def points(self, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None) -> Tensor:
        """Return the points of the gradient norm, [N, *shape]. Pure; arguments as of `penalty`."""
        raise NotImplementedError

    def cost(self, gradient_norms: Tensor) -> Tensor:
        """Return the cost of norms [N], logits per data unit -> [N], unit of the loss. Pure."""
        raise NotImplementedError

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """See `Regularizer.penalty`."""
        return self.cost(norms(input_gradient(score, self.points(real, fake, mix, noise))))


def input_gradient(score: Score, x: Tensor) -> Tensor:
    """Return the gradient of each sample's score by that sample, differentiable once more.

    Args:
        score: Samples [N, *shape] -> logits [N] or [N, 1], each from its own sample alone.
        x: Samples, shape [N, *shape]. The result does not depend on how x was made.

    Returns:
        d score_i / d x_i, shape [N, *shape].

    Raises:
        ConfigError: The score does not return one logit for each sample.
    """
    if getattr(score, "in_transform", False):
        # Inside vmap or a compiled functional gradient only torch.func can differentiate.
        return torch.func.grad(lambda points: _sum_of_logits(score, points))(x)
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(_sum_of_logits(score, x), x, create_graph=True)
    return gradient


def _sum_of_logits(score: Score, x: Tensor) -> Tensor:
    # The gradient of the sum is each sample's own only where each has one logit: a critic that
    # averages its batch would get N times too small a gradient, one of K outputs that of their sum.
    logits = score(x)
    if logits.numel() != len(x):
        raise ConfigError(
            "a gradient penalty needs a critic of one logit per sample, [N] or [N, 1], but it "
            f"returned {tuple(logits.shape)} for {len(x)} samples; sum or average the outputs of "
            "each sample, never those of the batch"
        )
    return logits.sum()


def norms(gradient: Tensor) -> Tensor:
    """Return the Euclidean norm per sample, [N, *shape] -> [N]; its gradient at 0 is 0, not nan."""
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)
