"""The arithmetic of a forward pass: the type of its factors and the memory format of images."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan_lab.regularizers.base import Tensors


@dataclass(frozen=True)
class Arithmetic:
    """The speed and the rounding of a network's forward pass, and nothing else.

    Attributes:
        bf16: Whether matrix products and convolutions take bfloat16 factors (torch's autocast);
            inputs, outputs, weights and their gradients stay as they are.
        channels_last: Whether images and convolutions' weights are laid out pixel by pixel, as the
            fast kernels need them.
    """

    bf16: bool = False
    channels_last: bool = False

    def __call__(self, module: nn.Module, leaves: Tensors, x: Tensor) -> Tensor:
        """Return the module's output for x with these leaves."""
        if self.channels_last:
            leaves = {name: _pixelwise(leaf) for name, leaf in leaves.items()}
            x = _pixelwise(x)
        if not self.bf16:
            return functional_call(module, leaves, (x,))
        with torch.autocast(x.device.type, torch.bfloat16):
            y: Tensor = functional_call(module, leaves, (x,))
        return y.to(x.dtype)


PLAIN = Arithmetic()


def _pixelwise(x: Tensor) -> Tensor:
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
