"""Weight clipping, the first constraint on a critic's gradient norm."""

from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from gan_lab.regularizers.base import Regularizer, Tensors
from gan_lab.validation import check_number


@dataclass(frozen=True)
class WeightClipping(Regularizer):
    """Every weight and bias of the discriminator is put back into [-bound, bound] after its step.

    It has no penalty: without the trainer copy `after_step`'s parameters back after each step.

    Reference: Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, line 7; momentum: section 4.
    """

    constrains_lipschitz: ClassVar[bool] = True
    unstable_with_momentum: ClassVar[bool] = True
    bound: float = 0.01

    def __post_init__(self) -> None:
        check_number(self, "bound", self.bound)
        if self.bound == 0:
            raise ValueError("WeightClipping.bound=0 leaves no critic; take a bound > 0, say 0.01")

    def after_step(self, params: Tensors, buffers: Tensors) -> tuple[Tensors, Tensors]:
        """Clip last: the generator must never meet a critic outside the box."""
        return {name: leaf.clamp(-self.bound, self.bound) for name, leaf in params.items()}, buffers

    def measure(self, params: Tensors) -> dict[str, Tensor]:
        """Return the fraction of weights on the bound, in [0, 1]."""
        leaves = torch.cat([leaf.detach().flatten() for leaf in params.values()])
        return {"weights/clipped_share": (leaves.abs() >= self.bound).to(leaves.dtype).mean()}
