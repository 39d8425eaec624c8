"""What an adversarial loss is: two pure functions of logits, and a card that explains them."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor


@dataclass(frozen=True)
class LossCard:
    """What a person needs to read a loss curve.

    Attributes:
        title: The loss's usual name.
        discriminator: What the discriminator minimises, per pair; D = sigmoid(f), f the logit.
        generator: What the generator minimises, per sample.
        divergence: What the generator minimises when the discriminator is at its optimum.
        equilibrium: (discriminator, generator) loss where real and fake agree, in `unit`.
        unit: "nats" for a log loss, "data units x slope" for a critic's difference, "" for none.
        reading: What the sign and the size of the discriminator's loss say, in one sentence.
        reference: Where the loss was read.
    """

    title: str
    discriminator: str
    generator: str
    divergence: str
    equilibrium: tuple[float, float]
    unit: str
    interpretation: str
    reference: str


class AdversarialLoss(Protocol):
    """A loss is mathematics: logits in, per-sample values out, both minimised, real before fake.

    A loss is a frozen dataclass that inherits from this protocol; its fields are its config keys.

    Attributes:
        card: The loss card.
        compares_real: Whether the generator's loss looks at the real logits. Where it does not, the
            game spares that forward pass and hands over zeros.
    """

    card: ClassVar[LossCard]
    compares_real: ClassVar[bool] = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Loss of the discriminator per pair: [N], [N] -> [N]."""
        ...

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Loss of the generator per sample: [N], [N] -> [N]."""
        ...

    def estimate(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """What the training network itself says of a divergence: name -> scalar, {} if nothing.

        Known names: "js" (nats), "wasserstein" (data units times the critic's slope) and "offset"
        (mean logit of a critic, to which its loss is blind, in the same unit).
        """
        return {}


def check_paired(real_logits: Tensor, fake_logits: Tensor) -> None:
    """Refuses logits whose shapes differ: [N] against [N, 1] would broadcast to [N, N] in silence.

    Raises:
        ValueError: The shapes differ.
    """
    if real_logits.shape != fake_logits.shape:
        raise ValueError(
            f"real and fake logits must have one shape, got {tuple(real_logits.shape)} and "
            f"{tuple(fake_logits.shape)}; flatten both to [N]"
        )
