"""Instance noise, with which disjoint supports overlap."""

from collections.abc import Mapping
from dataclasses import dataclass

from torch import Tensor

from gan_lab.regularizers.base import Regularizer, Tensors
from gan_lab.validation import check_number


@dataclass(frozen=True)
class InstanceNoise(Regularizer):
    """Gaussian noise on every input of the discriminator, in both networks' updates.

    It has no penalty: without the trainer call `inputs` with `noise_spec`'s noise, drawn afresh.

    Reference: Arjovsky and Bottou 2017, arXiv:1701.04862, section 3; Sonderby et al. 2017,
    arXiv:1610.04490.
    """

    std: float = 0.1

    def __post_init__(self) -> None:
        check_number(self, "std", self.std)

    def noise_spec(self, shape: tuple[int, ...]) -> Mapping[str, tuple[int, ...]]:
        """Return one normal number for each entry of a real and of a generated sample."""
        return {"instance_real": shape, "instance_fake": shape}

    def inputs(self, real: Tensor, fake: Tensor, noise: Tensors) -> tuple[Tensor, Tensor]:
        """Return real and fake plus std times their noise."""
        return real + self.std * noise["instance_real"], fake + self.std * noise["instance_fake"]
