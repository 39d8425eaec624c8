"""Initial weights from an explicit generator, so that one seed means one start for every loss."""

import torch
from torch import nn

_NORMS = (nn.modules.batchnorm._BatchNorm, nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm2d)


@torch.no_grad()
def uniform_fan_in_(module: nn.Module, generator: torch.Generator) -> None:
    """Draw weights and biases uniformly on +-1/sqrt(fan_in), torch's default.

    The fan-in is that of torch, the numbers of weight[0]: of a transposed convolution it is what
    one channel of its input reaches.
    """
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            bound = layer.weight[0].numel() ** -0.5
            layer.weight.uniform_(-bound, bound, generator=generator)
            if layer.bias is not None:
                layer.bias.uniform_(-bound, bound, generator=generator)
        elif isinstance(layer, _NORMS):
            layer.reset_parameters()


@torch.no_grad()
def normal_(module: nn.Module, generator: torch.Generator, std: float = 0.02) -> None:
    """Draw weights N(0, std), norm scales N(1, std), biases 0 (Radford 2016, arXiv:1511.06434)."""
    for layer in module.modules():
        if isinstance(layer, nn.Linear | nn.Conv2d | nn.ConvTranspose2d):
            layer.weight.normal_(0.0, std, generator=generator)
            if layer.bias is not None:
                layer.bias.zero_()
        elif isinstance(layer, _NORMS):
            layer.reset_parameters()
            if layer.weight is not None:
                layer.weight.normal_(1.0, std, generator=generator)
