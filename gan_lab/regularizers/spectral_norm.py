"""Spectral normalisation, written as a pure reparametrisation so that it can be stacked."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_lab.regularizers.base import Regularizer, Tensors

_U, _V = "_left_singular", "_right_singular"  # suffixes of the buffers of u and v


def _power_iteration(weight: Tensor, u: Tensor) -> tuple[Tensor, Tensor]:
    matrix = weight.flatten(1)
    v = torch.nn.functional.normalize(matrix.T @ u, dim=0)
    return torch.nn.functional.normalize(matrix @ v, dim=0), v


@dataclass(frozen=True)
class SpectralNorm(Regularizer):
    """Weight matrices over their largest singular values, so that linear layers are 1-Lipschitz.

    A convolution's weight is flattened to [out, in x height x width], as in the paper; that bounds
    its Lipschitz constant only up to a factor. The singular value is u' W v with u, v by power
    iteration, 15 rounds at the start and one after each step.

    It has no penalty: without the trainer score samples by the weights of `reparametrize`.

    Reference: Miyato et al. 2018, arXiv:1802.05957, algorithm 1.
    """

    constrains_lipschitz: ClassVar[bool] = True
    normalizes_layers: ClassVar[bool] = True

    def prepare(self, discriminator: nn.Module) -> None:
        """Register the singular vectors of each Linear and Conv2d weight as buffers."""
        for module in discriminator.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                weight = module.weight.detach()
                u = weight.new_ones(len(weight)) / len(weight) ** 0.5
                for _ in range(15):
                    u, v = _power_iteration(weight, u)
                module.register_buffer("weight" + _U, u)
                module.register_buffer("weight" + _V, v)

    def reparametrize(self, params: Tensors, buffers: Tensors) -> Tensors:
        """Return weights over their largest singular value, through which the gradient flows."""
        new_params = dict(params)
        for name, weight in params.items():
            if name + _U in buffers:
                u, v = buffers[name + _U], buffers[name + _V]
                new_params[name] = weight / torch.dot(u, weight.flatten(1) @ v)
        return new_params

    def after_step(self, params: Tensors, buffers: Tensors) -> tuple[Tensors, Tensors]:
        """Run one more round of power iteration for each weight."""
        new_buffers = dict(buffers)
        for name, weight in params.items():
            if name + _U in buffers:
                u, v = _power_iteration(weight, buffers[name + _U])
                new_buffers[name + _U], new_buffers[name + _V] = u, v
        return params, new_buffers
