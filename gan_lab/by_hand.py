"""Gradients of games between perceptrons, derived by hand: the same numbers, fewer passes.

Real, fake and the points of all penalties go through the discriminator together, forth and back;
autograd differentiates only the loss by the logits and the penalty by the input gradients, so any
loss and any penalty on slopes will do. See `perceptron` for the formulas.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any, cast

import torch
from torch import Tensor

from gan_lab.game import Game
from gan_lab.gradients import Gradients, Moved
from gan_lab.perceptron import Perceptron, perceptron
from gan_lab.regularizers.base import Regularizer, SlopePenalty, Tensors, norms
from gan_lab.state import Player, TrainState

_KEPT = ("TENSOR_MATCH", "DICT_KEYS_MATCH", "SHAPE_ENV")
_Program = Callable[..., tuple[Tensors, Tensors]]


@dataclass(frozen=True)
class ByHand(Gradients):
    """Gradients by hand; `knows` says of which games.

    Attributes:
        bf16: Whether products of wide layers take bfloat16 factors.
        compiled: Whether torch.compile makes one program of all of it.
    """

    bf16: bool = False
    compiled: bool = False

    _critic: Perceptron = field(init=False, repr=False)
    _generator: Perceptron = field(init=False, repr=False)
    _penalties: tuple[SlopePenalty, ...] = field(init=False, repr=False)
    _of_discriminator: _Program = field(init=False, repr=False)
    _of_generator: _Program = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        game = self.game
        # torch.compile follows plain attributes, no cached properties.
        for name, value in (
            ("_critic", perceptron(game.discriminator, self.bf16)),
            ("_generator", perceptron(game.generator, self.bf16)),
            ("_penalties", tuple(r for r in game.regularizers if isinstance(r, SlopePenalty))),
            ("_of_discriminator", self._program(self._discriminator_gradients)),
            ("_of_generator", self._program(self._generator_gradients)),
        ):
            object.__setattr__(self, name, value)

    @staticmethod
    def knows(game: Game) -> bool:
        """Whether both networks are perceptrons and all penalties are on slopes."""
        critic = perceptron(game.discriminator, bf16=False)
        return (
            critic is not None
            and not critic.tanh
            and perceptron(game.generator, bf16=False) is not None
            and all(_leaves_alone(regularizer) for regularizer in game.regularizers)
        )

    def discriminator(
        self, d: Player, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors
    ) -> Moved:
        """See `Gradients`."""
        with torch.no_grad():
            return *self._of_discriminator(d.params, real, fake, mix, noise), d.buffers

    def generator(self, state: TrainState, real: Tensor, z: Tensor, noise: Tensors) -> Moved:
        """See `Gradients`."""
        g, d = state.generator.params, state.discriminator.params
        with torch.no_grad():
            return *self._of_generator(g, d, real, z), state.generator.buffers

    def _discriminator_gradients(
        self, leaves: Tensors, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors
    ) -> tuple[Tensors, Tensors]:
        net, axis = self._critic, int(self.stacked)
        n, n_points = real.shape[axis], len(self._penalties) * real.shape[axis]
        points = [self.per_seed(p.points)(real, fake, mix, noise) for p in self._penalties]
        found = net.forward(leaves, torch.cat([real, fake, *points], axis).flatten(axis + 1))
        logits = found[-1].squeeze(-1)
        by_logits, values = self._gradient(self.game.judged, *logits[..., : 2 * n].split(n, -1))
        # Back from the loss at real and fake, and from 1 at the points, where it is the chain of
        # the input gradient.
        u = torch.cat([*by_logits, torch.ones_like(logits[..., 2 * n :])], -1)
        us = net.back(leaves, found, u.unsqueeze(-1))
        if not points:
            zero = torch.zeros_like(logits[..., 0])
            return net.gradients(found, us, 2 * n), {**values, "loss/penalty": zero}
        slopes = net.input_gradient(leaves, us[0].narrow(-2, 2 * n, n_points))
        vs, penalty = self._gradient(self._penalty, *slopes.split(n, -2))
        at_points = [a.narrow(-2, 2 * n, n_points) for a in found]
        tangents = net.tangents(leaves, at_points, torch.cat([*vs], -2))
        # With tangents in the place of the points' activations, one product a layer sums the
        # gradients of loss and penalty; biases have no part in the latter, nor has the output.
        for a, tangent in zip(at_points[:-1], tangents, strict=True):
            a.copy_(tangent)
        return net.gradients(found, us, 2 * n), {**values, **penalty}

    def _generator_gradients(
        self, leaves: Tensors, critics: Tensors, real: Tensor, z: Tensor
    ) -> tuple[Tensors, Tensors]:
        net, critic = self._generator, self._critic
        made = net.forward(leaves, z)
        found = critic.forward(critics, made[-1])
        logits = found[-1].squeeze(-1)
        if self.game.loss.compares_real:
            of_real = critic.forward(critics, real.flatten(int(self.stacked) + 1))
            real_logits = of_real[-1].squeeze(-1)
        else:
            real_logits = torch.zeros_like(logits)
        (_, by_logits), values = self._gradient(self._generated, real_logits, logits)
        u = critic.back(critics, found, by_logits.unsqueeze(-1))[0]
        us = net.back(leaves, made, critic.input_gradient(critics, u))
        return net.gradients(made, us, z.shape[-2]), values

    def _program(self, method: _Program) -> _Program:
        if not self.compiled:
            return method
        # What an update is made of stays; only its tensors can change. Checking the rest again at
        # each call costs as much as a layer of 64 units.
        only: dict[str, Any] = {
            "guard_filter_fn": lambda guards: [guard.guard_type in _KEPT for guard in guards]
        }
        compiled: _Program = torch.compile(
            _with_code_of_its_own(method), fullgraph=True, dynamic=False, options=only
        )
        return compiled

    def _fakes(self, state: TrainState, z: Tensor) -> Tensor:
        fakes = self._generator.forward(state.generator.params, z)[-1]
        return fakes.reshape(*fakes.shape[:-1], *self._generator.shape)

    def _gradient(
        self, function: Callable[..., tuple[Tensor, Tensors]], *x: Tensor
    ) -> tuple[Sequence[Tensor], Tensors]:
        """The gradients of a per-seed function's value by its arguments, and what else it says."""
        if torch.compiler.is_compiling():
            by_each = torch.func.grad(function, tuple(range(len(x))), has_aux=True)
            return self.per_seed(by_each)(*x)
        x = tuple(each.detach().requires_grad_(True) for each in x)
        with torch.enable_grad():
            value, said = self.per_seed(function)(*x)
            return torch.autograd.grad(value.sum(), x, materialize_grads=True), said

    def _penalty(self, *slopes: Tensor) -> tuple[Tensor, Tensors]:
        costs = [p.cost(norms(s)).mean() for p, s in zip(self._penalties, slopes, strict=True)]
        penalty = sum(costs[1:], costs[0])
        return penalty, {"loss/penalty": penalty.detach()}

    def _generated(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensors]:
        loss = self.game.loss.generator(real_logits, fake_logits).mean()
        return loss, {"loss/generator": loss.detach()}


def _with_code_of_its_own(method: _Program) -> _Program:
    """The same method with a copy of its code, under which torch.compile keeps what it made.

    Two games would share it otherwise, and nothing but their tensors is checked.
    """
    function = cast(MethodType, method).__func__
    code = function.__code__.replace()
    copy = FunctionType(code, function.__globals__, function.__name__, closure=function.__closure__)
    return MethodType(copy, cast(MethodType, method).__self__)


def _leaves_alone(regularizer: Regularizer) -> bool:
    """Whether a regularizer adds nothing but a penalty on slopes, or what follows the step."""
    kind = type(regularizer)
    penalty = SlopePenalty if isinstance(regularizer, SlopePenalty) else Regularizer
    return (
        kind.penalty is penalty.penalty
        and kind.reparametrize is Regularizer.reparametrize
        and kind.inputs is Regularizer.inputs
    )
