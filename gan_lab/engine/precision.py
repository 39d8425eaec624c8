"""How a network is computed: the type of its factors and the order of an image's numbers."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call

from gan_lab.regularizers.base import Tensors


@dataclass(frozen=True)
class Arithmetic:
    """What changes the speed and the rounding of a network, and nothing else.

    Attributes:
        bf16: Whether matrix products and convolutions take bfloat16 factors (torch's autocast);
            what goes in and comes out, weights and their gradients stay as they are.
        channels_last: Whether images and convolutions' weights are laid out pixel by pixel, as the
            fast kernels want them.
    """

    bf16: bool = False
    channels_last: bool = False

    def __call__(self, module: nn.Module, leaves: Tensors, x: Tensor) -> Tensor:
        """What the module with these leaves makes of x."""
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
