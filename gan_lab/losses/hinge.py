"""The hinge loss of Lim and Ye 2017."""

from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from gan_lab.losses.base import AdversarialLoss, LossCard, check_paired


@dataclass(frozen=True)
class Hinge(AdversarialLoss):
    """A margin for the discriminator, a plain mean for the generator."""

    card: ClassVar[LossCard] = LossCard(
        title="Hinge",
        discriminator="max(0, 1 - f(x)) + max(0, 1 + f(G(z)))",
        generator="-f(G(z))",
        divergence="2 TV(p_data, p_g) over bounded discriminators",
        equilibrium=(2.0, 0.0),
        unit="",
        interpretation="2 = cannot tell real from fake; 0 = every sample is beyond its margin, and "
        "the discriminator has stopped learning.",
        reference="Lim and Ye 2017, arXiv:1705.02894; Miyato et al. 2018, arXiv:1802.05957, eq. 16",
    )

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the distance inside the margin, per pair: 0 for f(x) >= 1 and f(G(z)) <= -1.

        The mean is smallest at f = sign(p_data - p_g), where it equals 2 - 2 TV(p_data, p_g).

        Args:
            real_logits: Discriminator on real samples, shape [N].
            fake_logits: Discriminator on generated samples, shape [N].

        Returns:
            Loss per pair, shape [N], >= 0; 2 at zero logits.

        Raises:
            ValueError: The shapes differ.

        Reference: Miyato et al. 2018, arXiv:1802.05957, eq. 16.
        """
        check_paired(real_logits, fake_logits)
        return F.relu(1 - real_logits) + F.relu(1 + fake_logits)

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the generator's loss per sample, -f(G(z)): [N], [N] -> [N].

        Raises:
            ValueError: The shapes differ.

        Reference: Miyato et al. 2018, arXiv:1802.05957, eq. 17.
        """
        check_paired(real_logits, fake_logits)
        return -fake_logits
