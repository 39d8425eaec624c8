"""Gradients of games between perceptrons, derived by hand: the same numbers, fewer passes.

Real, fake and the points of all penalties go through the discriminator together, forth and back;
autograd differentiates only the loss by the logits and the penalty by the input gradients, so any
loss and any penalty on slopes will do. See `perceptron` for the formulas.

Perceptrons with piecewise-linear activations: forward, gradients and tangents, by hand.

With relu or leaky relu, f(x) = W_L M_{L-1} ... M_1 (W_1 x + b_1) ... + b_L, where the masks M hold
the activations' slopes and are constant around almost every x. So

- back through f, with u_L given and u_k = M_k W_{k+1}^T u_{k+1}: the gradients are u_k a_{k-1}^T by
  W_k, u_k by b_k and W_1^T u_1 by x, where a_k is what layer k puts out;
- the input gradient s = W_1^T u_1 (for u_L = 1) is linear in each W_k: the gradient of v . s is
  u_k t_{k-1}^T by W_k, with tangents t_0 = v and t_k = M_k W_k t_{k-1}; it is 0 by b_k and by x.

Autograd finds the same numbers with more passes over memory and, for a penalty, more products.
Samples are [N, n], or [S, N, n] with leaves [S, ...] for stacked seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.engine.backends.matmul import addmm, is_thin, mm
from gan_lab.engine.gradients import GradientResult, Gradients
from gan_lab.engine.objective import Objective
from gan_lab.engine.state import NetworkState, TrainState
from gan_lab.networks.mlp import Reshape
from gan_lab.regularizers.base import GradientNormPenalty, Regularizer, Tensors, norms


@dataclass(frozen=True)
class Perceptron:
    """What there is to know of a perceptron besides its numbers.

    Attributes:
        names: Names of weight and bias of each linear layer.
        slope: Of the hidden activations left of 0: 0 for relu.
        tanh: Whether the output goes through tanh.
        shape: Of one output; () for a logit.
        bf16: Whether products of wide layers are bfloat16; thin layers, and the gradients of
            biases, stay float32.
    """

    names: tuple[tuple[str, str], ...]
    negative_slope: float
    tanh: bool
    shape: tuple[int, ...]
    bf16: bool = False

    def forward(self, leaves: Tensors, x: Tensor) -> list[Tensor]:
        """What goes into every layer and what comes out at the end: x, activations, the output.

        The last is [(S,) N, n_out], of the leaves' type; the others have that of their layer's
        product.
        """
        types = self._types(leaves)
        found = [_as(x, types[0])]
        last = len(self.names) - 1
        for k, (weight, bias) in enumerate(self.names):
            w, b = _as(leaves[weight], types[k]), _as(leaves[bias], types[k])
            a = addmm(b, found[-1], w.mT)
            if k < last:
                a = (
                    torch.relu_(a)
                    if self.negative_slope == 0
                    else F.leaky_relu_(a, self.negative_slope)
                )
                a = _as(a, types[k + 1])
            else:
                a = _as(a, leaves[weight].dtype)
                a = torch.tanh_(a) if self.tanh else a
            found.append(a)
        return found

    def back(self, leaves: Tensors, found: list[Tensor], u: Tensor) -> list[Tensor]:
        """The gradients by what each layer puts out before its activation.

        Args:
            leaves: Weights and biases.
            found: What `forward` returned.
            u: The gradient by the output, [(S,) N, n_out].

        Returns:
            One for each layer, from the first to the last.
        """
        types = self._types(leaves)
        if self.tanh:
            u = u * (1 - found[-1].square())
        us = [_as(u, types[-1])]
        for k in reversed(range(len(self.names) - 1)):
            u = _times(us[-1], _as(leaves[self.names[k + 1][0]], types[k + 1]))
            us.append(_as(self._masked(u, found[k + 1]), types[k]))
        return us[::-1]

    def input_gradient(self, leaves: Tensors, u: Tensor) -> Tensor:
        """The gradient by x, from that by what the first layer puts out: [(S,) N, n_in]."""
        weight = leaves[self.names[0][0]]
        return _as(_times(u, _as(weight, u.dtype)), weight.dtype)

    def tangents(self, leaves: Tensors, found: list[Tensor], v: Tensor) -> list[Tensor]:
        """How what goes into every layer moves when x moves.

        Args:
            leaves: Weights and biases.
            found: What `forward` returned.
            v: The direction in which x moves, [(S,) N, n_in].

        Returns:
            One for each layer, from the first to the last.
        """
        types = self._types(leaves)
        ts = [_as(v, types[0])]
        for k, (weight, _) in enumerate(self.names[:-1]):
            t = _as(mm(ts[-1], _as(leaves[weight], types[k]).mT), types[k + 1])
            ts.append(self._masked(t, found[k + 1]))
        return ts

    def gradients(self, found: list[Tensor], us: list[Tensor], n: int) -> Tensors:
        """Sums over samples: u a^T by each weight, and u of the first n samples by each bias.

        Args:
            found: What goes into each layer: activations, and tangents from sample n on.
            us: What `back` returned.
            n: Samples that were not differentiated by their input.
        """
        sums = {}
        for (weight, bias), a, u in zip(self.names, found[:-1], us, strict=True):
            sums[weight] = mm(u.mT, a)
            sums[bias] = u.narrow(-2, 0, n).sum(-2, dtype=torch.float32 if self.bf16 else None)
        return sums

    def _masked(self, u: Tensor, a: Tensor) -> Tensor:
        # A positive activation is the image of a positive number, so the output is mask enough; a
        # comparison would cost several times as much.
        if self.negative_slope == 0:
            return torch.ops.aten.threshold_backward(u, a, 0)
        return torch.ops.aten.leaky_relu_backward(u, a, self.negative_slope, True)

    def _types(self, leaves: Tensors) -> list[torch.dtype | None]:
        if not self.bf16:
            return [None] * len(self.names)
        shapes = [leaves[weight].shape[-2:] for weight, _ in self.names]
        return [torch.float32 if is_thin(*shape) else torch.bfloat16 for shape in shapes]


def _as(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None or x.dtype == dtype else x.to(dtype)


def perceptron(module: nn.Module, bf16: bool) -> Perceptron | None:
    """The perceptron that a module is, or None where it is something else."""
    layers = [(name, layer) for name, layer in module.named_children()]
    kinds = [type(layer) for _, layer in layers]
    hidden = {kind for kind in kinds if kind in (nn.ReLU, nn.LeakyReLU)}
    if type(module) is not nn.Sequential or len(hidden) > 1:
        return None
    last = layers[-1][1] if layers else None
    body = [kind for kind in kinds if kind not in (nn.Flatten, Reshape)]
    tanh = body[-1:] == [nn.Tanh]
    n_linear = len(body[: -1 if tanh else None]) // 2 + 1
    expected = [nn.Linear, *[kind for act in hidden for kind in (act, nn.Linear)] * (n_linear - 1)]
    if body != expected + [nn.Tanh] * tanh or not isinstance(last, Reshape):
        return None
    linear = [name for name, layer in layers if isinstance(layer, nn.Linear)]
    if any(layer.bias is None for _, layer in layers if isinstance(layer, nn.Linear)):
        return None
    input_gradients = {
        layer.negative_slope for _, layer in layers if isinstance(layer, nn.LeakyReLU)
    }
    if len(input_gradients) > 1 or min(input_gradients, default=0.0) < 0:
        return None
    names = tuple((f"{name}.weight", f"{name}.bias") for name in linear)
    return Perceptron(names, max(input_gradients, default=0.0), tanh, last.shape, bf16)


def _times(u: Tensor, weight: Tensor) -> Tensor:
    if weight.shape[-2] == 1:  # the layer of a logit: an outer product
        return u * weight
    return mm(u, weight)


_KEPT = ("TENSOR_MATCH", "DICT_KEYS_MATCH", "SHAPE_ENV")
_Program = Callable[..., tuple[Tensors, Tensors]]


@dataclass(frozen=True)
class AnalyticMlpGradients(Gradients):
    """Gradients by hand; `knows` says of which games.

    Attributes:
        bf16: Whether products of wide layers take bfloat16 factors.
        compiled: Whether torch.compile makes one program of all of it.
    """

    bf16: bool = False
    compiled: bool = False

    _critic: Perceptron = field(init=False, repr=False)
    _generator: Perceptron = field(init=False, repr=False)
    _penalties: tuple[GradientNormPenalty, ...] = field(init=False, repr=False)
    _of_discriminator: _Program = field(init=False, repr=False)
    _of_generator: _Program = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        objective = self.objective
        # torch.compile follows plain attributes, no cached properties.
        for name, value in (
            ("_critic", perceptron(objective.discriminator, self.bf16)),
            ("_generator", perceptron(objective.generator, self.bf16)),
            (
                "_penalties",
                tuple(r for r in objective.regularizers if isinstance(r, GradientNormPenalty)),
            ),
            ("_of_discriminator", self._program(self._discriminator_gradients)),
            ("_of_generator", self._program(self._generator_gradients)),
        ):
            object.__setattr__(self, name, value)

    @staticmethod
    def knows(objective: Objective) -> bool:
        """Whether both networks are perceptrons and all penalties are on slopes."""
        critic = perceptron(objective.discriminator, bf16=False)
        return (
            critic is not None
            and not critic.tanh
            and perceptron(objective.generator, bf16=False) is not None
            and all(_leaves_alone(regularizer) for regularizer in objective.regularizers)
        )

    def discriminator(
        self, d: NetworkState, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors
    ) -> GradientResult:
        """See `Gradients`."""
        with torch.no_grad():
            return *self._of_discriminator(d.params, real, fake, mix, noise), d.buffers

    def generator(
        self, state: TrainState, real: Tensor, z: Tensor, noise: Tensors
    ) -> GradientResult:
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
        by_logits, values = self._gradient(
            self.objective.judged, *logits[..., : 2 * n].split(n, -1)
        )
        # Back from the loss at real and fake, and from 1 at the points, where it is the chain of
        # the input gradient.
        u = torch.cat([*by_logits, torch.ones_like(logits[..., 2 * n :])], -1)
        us = net.back(leaves, found, u.unsqueeze(-1))
        if not points:
            zero = torch.zeros_like(logits[..., 0])
            return net.gradients(found, us, 2 * n), {**values, "loss/penalty": zero}
        input_gradients = net.input_gradient(leaves, us[0].narrow(-2, 2 * n, n_points))
        vs, penalty = self._gradient(self._penalty, *input_gradients.split(n, -2))
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
        if self.objective.loss.compares_real:
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

    def _penalty(self, *input_gradients: Tensor) -> tuple[Tensor, Tensors]:
        costs = [
            p.cost(norms(s)).mean() for p, s in zip(self._penalties, input_gradients, strict=True)
        ]
        penalty = sum(costs[1:], costs[0])
        return penalty, {"loss/penalty": penalty.detach()}

    def _generated(self, real_logits: Tensor, fake_logits: Tensor) -> tuple[Tensor, Tensors]:
        loss = self.objective.loss.generator(real_logits, fake_logits).mean()
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
    penalty = GradientNormPenalty if isinstance(regularizer, GradientNormPenalty) else Regularizer
    return (
        kind.penalty is penalty.penalty
        and kind.reparametrize is Regularizer.reparametrize
        and kind.inputs is Regularizer.inputs
    )
