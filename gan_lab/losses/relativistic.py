"""The relativistic pairing loss of Jolicoeur-Martineau 2018, as used by R3GAN."""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from gan_lab.losses.base import AdversarialLoss, LossCard, check_paired


@dataclass(frozen=True)
class RelativisticPairing(AdversarialLoss):
    """Each fake is judged against a real sample: only the difference of logits counts."""

    compares_real: ClassVar[bool] = True
    card: ClassVar[LossCard] = LossCard(
        title="Relativistic pairing",
        discriminator="softplus(f(G(z)) - f(x))",
        generator="softplus(f(x) - f(G(z)))",
        divergence="a divergence of its own (Jolicoeur-Martineau 2020), zero only at p_g = p_data",
        equilibrium=(math.log(2), math.log(2)),
        unit="nats",
        interpretation="0.693 = cannot tell which of a pair is real; near 0 = always can.",
        reference="Jolicoeur-Martineau 2018, arXiv:1807.00734; Huang et al. 2024, arXiv:2501.05441",
    )

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the cross entropy of "the pair's first is real", -log sigmoid(f(x) - f(G(z))).

        Args:
            real_logits: Discriminator on real samples, shape [N].
            fake_logits: Discriminator on generated samples, shape [N].

        Returns:
            Loss per pair in nats, shape [N], >= 0; log 2 at equal logits.

        Raises:
            ValueError: The shapes differ.

        Reference: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1.
        """
        check_paired(real_logits, fake_logits)
        return F.softplus(fake_logits - real_logits)

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the exchanged pair's, -log sigmoid(f(G(z)) - f(x)): [N], [N] -> [N], nats.

        Raises:
            ValueError: The shapes differ.

        Reference: Jolicoeur-Martineau 2018, arXiv:1807.00734, section 4.1.
        """
        check_paired(real_logits, fake_logits)
        return F.softplus(real_logits - fake_logits)
