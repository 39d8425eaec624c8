"""The Kantorovich-Rubinstein dual of Arjovsky et al. 2017."""

from dataclasses import dataclass
from typing import ClassVar

from torch import Tensor

from gan_lab.losses.base import AdversarialLoss, LossCard, check_paired


@dataclass(frozen=True)
class Wasserstein(AdversarialLoss):
    """The critic maximises E f(x) - E f(G(z)); a regularizer bounds f's gradient norm."""

    needs_lipschitz: ClassVar[bool] = True
    card: ClassVar[LossCard] = LossCard(
        title="Wasserstein",
        discriminator="f(G(z)) - f(x)",
        generator="-f(G(z))",
        divergence="at most K W1(p_data, p_g), K the critic's largest gradient norm",
        equilibrium=(0.0, 0.0),
        unit="data units x gradient norm",
        interpretation="Its negative is at most K W1 and no W1 by itself: large and negative = far "
        "apart, towards 0 = close. The generator's value has a free constant: do not read it.",
        reference="Arjovsky et al. 2017, arXiv:1701.07875, eq. 2 and algorithm 1",
    )

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the critic's loss per pair, f(G(z)) - f(x).

        Minus its mean is a lower bound of W1 for a 1-Lipschitz f, and unbounded without a
        constraint on f's gradient norm.

        Args:
            real_logits: Critic on real samples, shape [N].
            fake_logits: Critic on generated samples, shape [N].

        Returns:
            Loss per pair, shape [N], in data units times the critic's gradient norm.

        Raises:
            ValueError: The shapes differ.

        Reference: Arjovsky et al. 2017, arXiv:1701.07875, eq. 2.
        """
        check_paired(real_logits, fake_logits)
        return fake_logits - real_logits

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the generator's loss per sample, -f(G(z)): [N], [N] -> [N].

        Raises:
            ValueError: The shapes differ.

        Reference: Arjovsky et al. 2017, arXiv:1701.07875, algorithm 1, line 10.
        """
        check_paired(real_logits, fake_logits)
        return -fake_logits

    def estimate(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Return the critic's difference E f(x) - E f(G(z)), and the offset of its logits.

        The difference, "wasserstein", is in data units times the critic's gradient norm. It is not
        W1 but at most K W1 on fresh samples, K the largest norm, and this batch trained the critic.
        "offset" is the mean logit of both sides, (E f(x) + E f(G(z)))/2: no loss and no penalty
        depends on it.
        """
        # The mean of differences, not the difference of means: a large offset costs no digits.
        return {
            "wasserstein": -self.discriminator(real_logits, fake_logits).mean(),
            "offset": (real_logits + fake_logits).mean() / 2,
        }
