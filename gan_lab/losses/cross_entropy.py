"""The losses of Goodfellow et al. 2014: one discriminator, two generators.

Minimax and non-saturating share the discriminator's binary cross entropy. They differ in what the
generator minimises, and that difference causes the vanishing gradient.
"""

import math
from dataclasses import dataclass
from typing import ClassVar

import torch.nn.functional as F
from torch import Tensor

from gan_lab.losses.base import AdversarialLoss, LossCard, check_paired


@dataclass(frozen=True)
class _CrossEntropyDiscriminator(AdversarialLoss):
    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the binary cross entropy of a discriminator that outputs log-odds of "real".

        Per pair, -log D(x) - log(1 - D(G(z))) with D = sigmoid(logit). The mean is smallest at
        logit = log p_data - log p_g, where it equals 2 log 2 - 2 JS(p_data, p_g).

        Args:
            real_logits: Discriminator on real samples, shape [N], unbounded.
            fake_logits: Discriminator on generated samples, shape [N].

        Returns:
            Loss per pair in nats, shape [N], >= 0; 2 log 2 = 1.386 at zero logits.

        Raises:
            ValueError: The shapes differ ([N] against [N, 1] would broadcast to [N, N] in silence).

        Reference: Goodfellow et al. 2014, arXiv:1406.2661, eq. 1 and theorem 1.
        """
        check_paired(real_logits, fake_logits)
        # softplus(-x) = -log sigmoid(x) and softplus(x) = -log(1 - sigmoid(x)), finite for every x.
        return F.softplus(-real_logits) + F.softplus(fake_logits)

    def estimate(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Return the bound log 2 - loss/2 <= JS(p_data, p_g) in nats, tight at the optimum.

        On the batch it was trained on it may exceed JS; negative means worse than guessing.
        """
        return {"js": math.log(2) - self.discriminator(real_logits, fake_logits).mean() / 2}


@dataclass(frozen=True)
class Minimax(_CrossEntropyDiscriminator):
    """The zero-sum loss of Goodfellow et al. 2014: the generator minimises log(1 - D(G(z)))."""

    card: ClassVar[LossCard] = LossCard(
        title="Minimax (saturating)",
        discriminator="-log D(x) - log(1 - D(G(z)))",
        generator="log(1 - D(G(z)))",
        divergence="2 JS(p_data, p_g) - 2 log 2 over both networks",
        equilibrium=(2 * math.log(2), -math.log(2)),
        unit="nats",
        interpretation="1.386 = cannot tell real from fake; near 0 = tells them apart, and the "
        "generator's gradient is then vanishing.",
        reference="Goodfellow et al. 2014, arXiv:1406.2661, eq. 1",
    )

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the log-probability that a fake is called fake, log(1 - D(G(z))).

        Its gradient by the logit is -sigmoid(logit): it vanishes exactly where the discriminator is
        sure of a fake.

        Args:
            real_logits: Unused, shape [N].
            fake_logits: Discriminator on generated samples, shape [N].

        Returns:
            Loss per sample in nats, shape [N], <= 0; -log 2 at zero logits.

        Raises:
            ValueError: The shapes differ.

        Reference: Goodfellow et al. 2014, arXiv:1406.2661, eq. 1.
        """
        check_paired(real_logits, fake_logits)
        return -F.softplus(fake_logits)


@dataclass(frozen=True)
class NonSaturating(_CrossEntropyDiscriminator):
    """The heuristic of Goodfellow et al. 2014: the generator minimises -log D(G(z))."""

    card: ClassVar[LossCard] = LossCard(
        title="Non-saturating",
        discriminator="-log D(x) - log(1 - D(G(z)))",
        generator="-log D(G(z))",
        divergence="gradient of KL(p_g, p_data) - 2 JS(p_data, p_g) at the optimal discriminator",
        equilibrium=(2 * math.log(2), math.log(2)),
        unit="nats",
        interpretation="1.386 = cannot tell real from fake; near 0 = tells them apart, and the "
        "generator's gradient is then large and noisy.",
        reference="Goodfellow et al. 2014, arXiv:1406.2661, section 3",
    )

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the cross entropy of a fake against the label "real", -log D(G(z)).

        Its gradient by the logit is sigmoid(logit) - 1: it tends to -1 where the discriminator is
        sure of a fake, so it does not saturate there.

        Args:
            real_logits: Unused, shape [N].
            fake_logits: Discriminator on generated samples, shape [N].

        Returns:
            Loss per sample in nats, shape [N], >= 0; log 2 at zero logits.

        Raises:
            ValueError: The shapes differ.

        Reference: Goodfellow et al. 2014, arXiv:1406.2661, section 3.
        """
        check_paired(real_logits, fake_logits)
        return F.softplus(-fake_logits)
