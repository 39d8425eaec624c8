"""Spectral normalisation, written as a pure reparametrisation so that it can be stacked."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.regularizers.base import Regularizer, Tensors

_LEFT, _RIGHT = "_left_singular", "_right_singular"


def _power_iteration(weight: Tensor, left: Tensor) -> tuple[Tensor, Tensor]:
    matrix = weight.flatten(1)
    right = torch.nn.functional.normalize(matrix.T @ left, dim=0)
    return torch.nn.functional.normalize(matrix @ right, dim=0), right


@dataclass(frozen=True)
class SpectralNorm(Regularizer):
    """Each weight matrix is divided by its largest singular value, so linear layers have slope 1.

    A convolution's weight is flattened to [out, in x height x width], as in the paper; that bounds
    its slope only up to a constant. The value is u' W v with u, v by power iteration, 15 rounds at
    the start and one after each step.

    Reference: Miyato et al. 2018, arXiv:1802.05957, algorithm 1.
    """

    def prepare(self, discriminator: nn.Module) -> None:
        """Registers the singular vectors of each Linear and Conv2d weight as buffers."""
        for module in discriminator.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                weight = module.weight.detach()
                left = weight.new_ones(len(weight)) / len(weight) ** 0.5
                for _ in range(15):
                    left, right = _power_iteration(weight, left)
                module.register_buffer("weight" + _LEFT, left)
                module.register_buffer("weight" + _RIGHT, right)

    def reparametrize(self, params: Tensors, buffers: Tensors) -> Tensors:
        """Weights over their largest singular value; the gradient flows through that value."""
        used = dict(params)
        for name, weight in params.items():
            if name + _LEFT in buffers:
                left, right = buffers[name + _LEFT], buffers[name + _RIGHT]
                used[name] = weight / torch.dot(left, weight.flatten(1) @ right)
        return used

    def after_step(self, params: Tensors, buffers: Tensors) -> tuple[Tensors, Tensors]:
        """One more round of power iteration for each weight."""
        updated = dict(buffers)
        for name, weight in params.items():
            if name + _LEFT in buffers:
                left, right = _power_iteration(weight, buffers[name + _LEFT])
                updated[name + _LEFT], updated[name + _RIGHT] = left, right
        return params, updated
