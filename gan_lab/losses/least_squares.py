"""The least squares loss of Mao et al. 2017, with labels 0 and 1."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_lab.losses.base import AdversarialLoss, LossCard, check_paired


@dataclass(frozen=True)
class LeastSquares(AdversarialLoss):
    """Regression of the logit on the labels 1 (real) and 0 (fake)."""

    card: ClassVar[LossCard] = LossCard(
        title="Least squares",
        discriminator="(f(x) - 1)^2 / 2 + f(G(z))^2 / 2",
        generator="(f(G(z)) - 1)^2 / 2",
        divergence="none for the labels 0, 1, 1 (Pearson chi^2 of p_data + p_g and 2 p_g for "
        "labels -1, 1, 0)",
        equilibrium=(0.25, 0.125),
        unit="",
        interpretation="0.25 = cannot tell real from fake; near 0 = tells them apart.",
        reference="Mao et al. 2017, arXiv:1611.04076, labels 0 and 1",
    )

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the squared error against the labels 1 and 0, halved, per pair.

        The mean is smallest at f = p_data / (p_data + p_g).

        Args:
            real_logits: Discriminator on real samples, shape [N].
            fake_logits: Discriminator on generated samples, shape [N].

        Returns:
            Loss per pair, shape [N], >= 0; 1/2 at zero logits, 1/4 at logits 1/2.

        Raises:
            ValueError: The shapes differ.

        Reference: Mao et al. 2017, arXiv:1611.04076, labels 0 and 1.
        """
        check_paired(real_logits, fake_logits)
        return (real_logits - 1).square() / 2 + fake_logits.square() / 2

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the squared error of a fake against the label 1, halved: [N], [N] -> [N], >= 0.

        Raises:
            ValueError: The shapes differ.

        Reference: Mao et al. 2017, arXiv:1611.04076, labels 0 and 1.
        """
        check_paired(real_logits, fake_logits)
        return (fake_logits - 1).square() / 2
