"""Analytic gradients of objectives between MLPs with piecewise-linear activations.

With relu or leaky relu, f(x) = W_L M_{L-1} ... M_1 (W_1 x + b_1) ... + b_L, where the masks M hold
the activations' derivatives and are constant around almost every x. So

- back through f, with u_L given and u_k = M_k W_{k+1}^T u_{k+1}: the gradients are u_k a_{k-1}^T by
  W_k, u_k by b_k and W_1^T u_1 by x, where a_k is the output of layer k;
- the input gradient s = W_1^T u_1 (for u_L = 1) is linear in each W_k: the gradient of v . s is
  u_k t_{k-1}^T by W_k, with tangents t_0 = v and t_k = M_k W_k t_{k-1}; it is 0 by b_k and by x.

Real, fake and the points of all penalties go through the discriminator together, forward and
backward. Autograd differentiates only losses by logits and costs by gradient norms that
`derivatives` does not know, so any loss and any penalty on gradient norms will do; for the rest it
finds the same numbers with more passes over memory and, for a penalty, more products.
Samples are [N, n], or [S, N, n] with leaves [S, ...] for stacked seeds.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import FunctionType, MethodType
from typing import Any, TypeGuard, cast

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.engine.backends import derivatives
from gan_lab.engine.backends.derivatives import Derivatives
from gan_lab.engine.backends.matmul import addmm, is_thin, mm
from gan_lab.engine.gradients import GradientResult, Gradients
from gan_lab.engine.objective import Objective, times
from gan_lab.engine.state import NetworkState, TrainState
from gan_lab.networks.mlp import Reshape
from gan_lab.regularizers.base import GradientNormPenalty, Regularizer, Tensors


@dataclass(frozen=True)
class AnalyticMlp:
    """The structure of an MLP, with its forward and backward passes as functions of its leaves.

    Attributes:
        names: Names of weight and bias of each linear layer.
        negative_slope: Of the hidden activations: 0 for relu.
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
        """Return the input of every layer and the output: x, activations, output.

        The last is [(S,) N, n_out], of the leaves' type; the others have that of their layer's
        product.
        """
        types = self._types(leaves)
        activations = [_as(x, types[0])]
        last = len(self.names) - 1
        for k, (weight, bias) in enumerate(self.names):
            w, b = _as(leaves[weight], types[k]), _as(leaves[bias], types[k])
            a = addmm(b, activations[-1], w.mT)
            if k < last:
                a = F.leaky_relu_(a, self.negative_slope) if self.negative_slope else torch.relu_(a)
                a = _as(a, types[k + 1])
            else:
                a = _as(a, leaves[weight].dtype)
                a = torch.tanh_(a) if self.tanh else a
            activations.append(a)
        return activations

    def backward(self, leaves: Tensors, activations: list[Tensor], u: Tensor) -> list[Tensor]:
        """Return the gradients by each layer's pre-activations, u by the output [(S,) N, n_out]."""
        types = self._types(leaves)
        if self.tanh:
            u = u * (1 - activations[-1].square())
        us = [_as(u, types[-1])]
        for k in reversed(range(len(self.names) - 1)):
            u = _times(us[-1], _as(leaves[self.names[k + 1][0]], types[k + 1]))
            us.append(_as(self._mask(u, activations[k + 1], u), types[k]))
        return us[::-1]

    def input_gradient(self, leaves: Tensors, u: Tensor) -> Tensor:
        """Return the gradient by x from that by the first pre-activation: [(S,) N, n_in]."""
        weight = leaves[self.names[0][0]]
        return _as(_times(u, _as(weight, u.dtype)), weight.dtype)

    def tangents_(self, leaves: Tensors, activations: list[Tensor], v: Tensor) -> None:
        """Replace each layer's input [(S,) N, n_in] by its tangent in the direction v of x."""
        types = self._types(leaves)
        activations[0].copy_(v)
        for k, (weight, _) in enumerate(self.names[:-1]):
            t = _as(mm(activations[k], _as(leaves[weight], types[k]).mT), types[k + 1])
            self._mask(t, activations[k + 1], activations[k + 1])

    def gradients(self, activations: list[Tensor], us: list[Tensor], n: int) -> Tensors:
        """Return sums over samples: u a^T by each weight, u of the first n samples by each bias.

        From sample n on, which are differentiated by their input, activations are tangents.
        """
        sums = {}
        for (weight, bias), a, u in zip(self.names, activations[:-1], us, strict=True):
            sums[weight] = mm(u.mT, a)
            sums[bias] = u.narrow(-2, 0, n).sum(-2, dtype=torch.float32 if self.bf16 else None)
        return sums

    def _mask(self, u: Tensor, a: Tensor, out: Tensor) -> Tensor:
        # A positive activation is the image of a positive number, so the output is mask enough; a
        # comparison would cost several times as much.
        aten = torch.ops.aten
        if self.negative_slope == 0:
            return aten.threshold_backward.grad_input(u, a, 0, grad_input=out)
        return aten.leaky_relu_backward.grad_input(u, a, self.negative_slope, True, grad_input=out)

    def _types(self, leaves: Tensors) -> list[torch.dtype | None]:
        if not self.bf16:
            return [None] * len(self.names)
        shapes = [leaves[weight].shape[-2:] for weight, _ in self.names]
        return [torch.float32 if is_thin(*shape) else torch.bfloat16 for shape in shapes]


def _as(x: Tensor, dtype: torch.dtype | None) -> Tensor:
    return x if dtype is None or x.dtype == dtype else x.to(dtype)


def match_mlp(module: nn.Module, bf16: bool) -> AnalyticMlp | None:
    """Return the analytic form of a module, or None where it is no such MLP."""
    layers = [(name, layer) for name, layer in module.named_children()]
    kinds = [type(layer) for _, layer in layers]
    activations = {kind for kind in kinds if kind in (nn.ReLU, nn.LeakyReLU)}
    if type(module) is not nn.Sequential or len(activations) > 1:
        return None
    last = layers[-1][1] if layers else None
    body = [kind for kind in kinds if kind not in (nn.Flatten, Reshape)]
    tanh = body[-1:] == [nn.Tanh]
    n_linear = len(body[: -1 if tanh else None]) // 2 + 1
    layer_kinds = [kind for act in activations for kind in (act, nn.Linear)]
    expected = [nn.Linear, *layer_kinds * (n_linear - 1)]
    if body != expected + [nn.Tanh] * tanh or not isinstance(last, Reshape):
        return None
    linear = {name: layer for name, layer in layers if isinstance(layer, nn.Linear)}
    if any(layer.bias is None for layer in linear.values()):
        return None
    negative_slopes = {m.negative_slope for _, m in layers if isinstance(m, nn.LeakyReLU)}
    if len(negative_slopes) > 1 or min(negative_slopes, default=0.0) < 0:
        return None
    names = tuple((f"{name}.weight", f"{name}.bias") for name in linear)
    return AnalyticMlp(names, max(negative_slopes, default=0.0), tanh, last.shape, bf16)


def _times(u: Tensor, weight: Tensor) -> Tensor:
    if weight.shape[-2] == 1:  # the layer of a logit: an outer product
        return u * weight
    return mm(u, weight)


_GUARDS = ("TENSOR_MATCH", "DICT_KEYS_MATCH", "SHAPE_ENV")
_Program = Callable[..., tuple[Tensors, Tensors]]


@dataclass(frozen=True)
class AnalyticMlpGradients(Gradients):
    """Analytic gradients of the objectives that `supports` accepts.

    Attributes:
        bf16: Whether products of wide layers take bfloat16 factors.
        compiled: Whether torch.compile makes one program of the whole gradient.
    """

    bf16: bool = False
    compiled: bool = False

    _critic: AnalyticMlp = field(init=False, repr=False)
    _generator: AnalyticMlp = field(init=False, repr=False)
    _penalties: tuple[tuple[GradientNormPenalty, int], ...] = field(init=False, repr=False)
    _by_norms: tuple[Derivatives | None, ...] = field(init=False, repr=False)
    _by_logits: tuple[Derivatives | None, Derivatives | None] = field(init=False, repr=False)
    _of_discriminator: _Program = field(init=False, repr=False)
    _of_generator: _Program = field(init=False, repr=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        objective, loss = self.objective, self.objective.loss
        pairs = zip(objective.regularizers, objective.factors, strict=True)
        due = tuple((each, factor) for each, factor in pairs if factor and _is_norm_penalty(each))
        # torch.compile follows plain attributes, no cached properties.
        for name, value in (
            ("_critic", match_mlp(objective.discriminator, self.bf16)),
            ("_generator", match_mlp(objective.generator, self.bf16)),
            ("_penalties", due),
            ("_by_norms", tuple(derivatives.of_cost(each) for each, _ in due)),
            ("_by_logits", (derivatives.of_discriminator(loss), derivatives.of_generator(loss))),
            ("_of_discriminator", self._program(self._discriminator_gradients)),
            ("_of_generator", self._program(self._generator_gradients)),
        ):
            object.__setattr__(self, name, value)

    @staticmethod
    def supports(objective: Objective) -> bool:
        """Return whether both networks are such MLPs and all penalties are on gradient norms."""
        critic = match_mlp(objective.discriminator, bf16=False)
        return (
            critic is not None
            and not critic.tanh
            and match_mlp(objective.generator, bf16=False) is not None
            and all(_is_supported(regularizer) for regularizer in objective.regularizers)
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
        points = [self.per_seed(p.points)(real, fake, mix, noise) for p, _ in self._penalties]
        activations = net.forward(leaves, torch.cat([real, fake, *points], axis).flatten(axis + 1))
        logits = activations[-1].squeeze(-1)
        by_sample = logits.split(n, -1)
        by_logits, loss = self._gradients(
            self.objective.loss.discriminator, self._by_logits[0], *by_sample[:2]
        )
        values = self.per_seed(self.objective.loss_values)(loss, *by_sample[:2])
        # Back from the loss at real and fake, and from 1 at the points, for the input gradient.
        u = torch.cat([*by_logits, *map(torch.ones_like, by_sample[2:])], -1)
        us = net.backward(leaves, activations, u.unsqueeze(-1))
        if points:
            input_gradients = net.input_gradient(leaves, us[0].narrow(-2, 2 * n, n_points))
            vs, penalty = self._penalize(input_gradients)
            # With tangents in the place of the points' activations, one product a layer sums the
            # gradients of loss and penalty; the latter are 0 by biases and by the output.
            net.tangents_(leaves, [a.narrow(-2, 2 * n, n_points) for a in activations], vs)
        else:
            penalty = torch.zeros_like(logits[..., 0])
        values.update(self.objective.penalty_values(penalty))
        return net.gradients(activations, us, 2 * n), values

    def _penalize(self, input_gradients: Tensor) -> tuple[Tensor, Tensor]:
        """Return the gradients of all penalties by their input gradients, and their sum."""
        norm = torch.linalg.vector_norm(input_gradients, dim=-1)
        norms = norm.split(norm.shape[-1] // len(self._penalties), -1)
        by_norm, plain = [], []
        for (penalty, factor), closed_form, each in zip(
            self._penalties, self._by_norms, norms, strict=True
        ):
            (by_each,), cost = self._gradients(penalty.cost, closed_form, each)
            by_norm.append(times(factor, by_each))
            plain.append(cost)
        # The gradient of a norm is 0 at 0, as in torch.
        by_square = (torch.cat(by_norm, -1) / norm).masked_fill_(norm == 0, 0)
        return input_gradients * by_square.unsqueeze(-1), sum(plain[1:], plain[0])

    def _generator_gradients(
        self, leaves: Tensors, critics: Tensors, real: Tensor, z: Tensor
    ) -> tuple[Tensors, Tensors]:
        net, critic = self._generator, self._critic
        activations = net.forward(leaves, z)
        critic_activations = critic.forward(critics, activations[-1])
        logits = critic_activations[-1].squeeze(-1)
        if self.objective.loss.compares_real:
            flat = real.flatten(int(self.stacked) + 1)
            real_logits = critic.forward(critics, flat)[-1].squeeze(-1)
        else:
            real_logits = torch.zeros_like(logits)
        by_logits, loss = self._gradients(
            self.objective.loss.generator, self._by_logits[1], real_logits, logits
        )
        u = critic.backward(critics, critic_activations, by_logits[-1].unsqueeze(-1))[0]
        us = net.backward(leaves, activations, critic.input_gradient(critics, u))
        return net.gradients(activations, us, z.shape[-2]), {"loss/generator": loss}

    def _program(self, method: _Program) -> _Program:
        if not self.compiled:
            return method

        # Only the tensors of an update change. Guards of the rest, checked at each call, would cost
        # as much as a layer of 64 units.
        def guard_filter(guards: Sequence[Any]) -> list[bool]:
            return [guard.guard_type in _GUARDS for guard in guards]

        own, only = _with_code_of_its_own(method), {"guard_filter_fn": cast(Any, guard_filter)}
        return torch.compile(own, fullgraph=True, dynamic=False, options=only)

    def _fakes(self, state: TrainState, z: Tensor) -> Tensor:
        fakes = self._generator.forward(state.generator.params, z)[-1]
        return fakes.reshape(*fakes.shape[:-1], *self._generator.shape)

    def _gradients(
        self, losses_of: Callable[..., Tensor], closed_form: Derivatives | None, *x: Tensor
    ) -> tuple[Sequence[Tensor], Tensor]:
        """Return the gradients of each seed's mean loss by its arguments, and that mean.

        Closed forms are by the last arguments alone.
        """

        def mean(*x: Tensor) -> tuple[Tensor, Tensor]:
            loss = losses_of(*x).mean()
            return loss, loss.detach()

        if torch.compiler.is_compiling():
            by_each = torch.func.grad(mean, tuple(range(len(x))), has_aux=True)
            return self.per_seed(by_each)(*x)
        if closed_form is not None:
            return [each / each.shape[-1] for each in closed_form(*x)], self.per_seed(mean)(*x)[1]
        x = tuple(each.detach().requires_grad_(True) for each in x)
        with torch.enable_grad():
            loss, value = self.per_seed(mean)(*x)
            return torch.autograd.grad(loss.sum(), x, materialize_grads=True), value


def _with_code_of_its_own(method: _Program) -> _Program:
    """Return the method with a copy of its code, under which torch.compile caches.

    Two objectives would share it otherwise, and the guards check only their tensors.
    """
    function = cast(MethodType, method).__func__
    code = function.__code__.replace()
    copy = FunctionType(code, function.__globals__, function.__name__, closure=function.__closure__)
    return MethodType(copy, cast(MethodType, method).__self__)


def _is_norm_penalty(regularizer: Regularizer) -> TypeGuard[GradientNormPenalty]:
    return isinstance(regularizer, GradientNormPenalty)


def _is_supported(regularizer: Regularizer) -> bool:
    """Return whether a regularizer is a gradient norm penalty, or acts after the step only."""
    kind = type(regularizer)
    penalty = GradientNormPenalty if isinstance(regularizer, GradientNormPenalty) else Regularizer
    return (
        kind.penalty is penalty.penalty
        and kind.reparametrize is Regularizer.reparametrize
        and kind.inputs is Regularizer.inputs
    )
