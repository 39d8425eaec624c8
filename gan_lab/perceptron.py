"""Perceptrons with piecewise-linear activations: forward, gradients and tangents, by hand.

With relu or leaky relu, f(x) = W_L M_{L-1} ... M_1 (W_1 x + b_1) ... + b_L, where the masks M hold
the activations' slopes and are constant around almost every x. So

- back through f, with u_L given and u_k = M_k W_{k+1}^T u_{k+1}: the gradients are u_k a_{k-1}^T by
  W_k, u_k by b_k and W_1^T u_1 by x, where a_k is what layer k puts out;
- the input gradient s = W_1^T u_1 (for u_L = 1) is linear in each W_k: the gradient of v . s is
  u_k t_{k-1}^T by W_k, with tangents t_0 = v and t_k = M_k W_k t_{k-1}; it is 0 by b_k and by x.

Autograd finds the same numbers with more passes over memory and, for a penalty, more products.
Samples are [N, n], or [S, N, n] with leaves [S, ...] for stacked seeds.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from gan_lab.matmul import addmm, is_thin, mm
from gan_lab.networks.mlp import Reshape
from gan_lab.regularizers.base import Tensors


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
    slope: float
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
                a = torch.relu_(a) if self.slope == 0 else F.leaky_relu_(a, self.slope)
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
        if self.slope == 0:
            return torch.ops.aten.threshold_backward(u, a, 0)
        return torch.ops.aten.leaky_relu_backward(u, a, self.slope, True)

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
    slopes = {layer.negative_slope for _, layer in layers if isinstance(layer, nn.LeakyReLU)}
    if len(slopes) > 1 or min(slopes, default=0.0) < 0:
        return None
    names = tuple((f"{name}.weight", f"{name}.bias") for name in linear)
    return Perceptron(names, max(slopes, default=0.0), tanh, last.shape, bf16)


def _times(u: Tensor, weight: Tensor) -> Tensor:
    if weight.shape[-2] == 1:  # the layer of a logit: an outer product
        return u * weight
    return mm(u, weight)
