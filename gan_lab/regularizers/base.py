"""What a regularizer may do to a game: hooks, all no-ops until a subclass says otherwise."""

from collections.abc import Callable, Mapping
from typing import ClassVar

import torch
from torch import Tensor, nn

Tensors = dict[str, Tensor]
Score = Callable[[Tensor], Tensor]


class Regularizer:
    """Holds the discriminator's slope, weights or inputs. Never part of a loss.

    A subclass is a frozen dataclass whose fields are its config keys. It is written for one seed,
    samples [N, *shape]; it is never told whether seeds are stacked or how gradients are taken.

    Attributes:
        needs_independent_samples: Whether its term is per sample, so that a discriminator whose
            samples see each other (batch norm) has to be refused.
        inner_gradients: How many gradients by its inputs one penalty takes, each about as dear as a
            discriminator update: what an equal budget has to count.
    """

    needs_independent_samples: ClassVar[bool] = False
    inner_gradients: ClassVar[int] = 0

    def prepare(self, discriminator: nn.Module) -> None:
        """Registers what buffers it needs on a freshly initialised discriminator."""

    def reparametrize(self, params: Tensors, buffers: Tensors) -> Tensors:
        """The weights that the discriminator really uses. Pure."""
        return params

    def noise_spec(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """The standard normal noise it wants for each sample: name -> shape."""
        return {}

    def inputs(self, real: Tensor, fake: Tensor, noise: Tensors) -> tuple[Tensor, Tensor]:
        """What the discriminator sees instead of real and fake, in both players' steps. Pure."""
        return real, fake

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """The weighted term that is added to the discriminator's loss. Pure.

        Args:
            score: The discriminator, samples [N, *shape] -> logits [N].
            real: Real samples, shape [N, *shape].
            fake: Generated samples, shape [N, *shape]; no gradient flows to the generator.
            mix: Interpolation weights, uniform on [0, 1], shape [N].
            noise: The noise that `noise_spec` asked for, each [N, *shape].

        Returns:
            Penalty per sample, shape [N], >= 0, in the unit of the loss.
        """
        return real.new_zeros(len(real))

    def after_step(self, params: Tensors, buffers: Tensors) -> tuple[Tensors, Tensors]:
        """Discriminator leaves after the optimiser's step -> the leaves to keep. Pure."""
        return params, buffers

    def measure(self, params: Tensors) -> Tensors:
        """What is worth logging of the discriminator's weights: tag -> scalar. Pure."""
        return {}


class GradientNormPenalty(Regularizer):
    """A penalty on the norm of each sample's input gradient: where it is looked at, what it costs.

    Told apart like this, the gradients of both can be found by hand; `penalty` puts them together.
    """

    needs_independent_samples: ClassVar[bool] = True
    inner_gradients: ClassVar[int] = 1

    def points(self, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None) -> Tensor:
        """Where the slope is looked at, [N, *shape]. Pure; for the arguments see `penalty`."""
        raise NotImplementedError

    def cost(self, gradient_norms: Tensor) -> Tensor:
        """What slopes cost, [N] in logits per data unit -> [N] in the unit of the loss. Pure."""
        raise NotImplementedError

    def penalty(
        self, score: Score, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors | None = None
    ) -> Tensor:
        """See the class; [N], >= 0, in the unit of the loss."""
        return self.cost(norms(input_gradient(score, self.points(real, fake, mix, noise))))


def input_gradient(score: Score, x: Tensor) -> Tensor:
    """The gradient of each sample's score by that sample, differentiable once more.

    Args:
        score: Samples [N, *shape] -> logits [N], each from its own sample alone.
        x: Samples, shape [N, *shape]. The result does not depend on how x was made.

    Returns:
        d score_i / d x_i, shape [N, *shape].
    """
    if getattr(score, "transformed", False):
        # Inside vmap or a compiled functional gradient only torch.func can differentiate.
        return torch.func.grad(lambda points: score(points).sum())(x)
    x = x.detach().requires_grad_(True)
    with torch.enable_grad():
        (gradient,) = torch.autograd.grad(score(x).sum(), x, create_graph=True)
    return gradient


def norms(gradient: Tensor) -> Tensor:
    """Euclidean norm per sample, [N, *shape] -> [N]; its gradient at norm 0 is 0, not nan."""
    return torch.linalg.vector_norm(gradient.flatten(1), dim=1)
