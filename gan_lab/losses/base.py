"""The protocol of an adversarial loss: two pure functions of logits, and an explaining card."""

from dataclasses import dataclass
from typing import ClassVar, Protocol

from torch import Tensor


@dataclass(frozen=True)
class LossCard:
    """The explanation of a loss curve.

    Attributes:
        title: The loss's usual name.
        discriminator: What the discriminator minimises, per pair; D = sigmoid(f), f the logit.
        generator: What the generator minimises, per sample.
        divergence: What the generator minimises when the discriminator is at its optimum.
        equilibrium: (discriminator, generator) loss where real and fake agree, in `unit`.
        unit: "nats" for a log loss, "data units x gradient norm" for a critic, "" for none.
        interpretation: The meaning of the sign and size of the discriminator's loss, one sentence.
        reference: The source of the loss.
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
        compares_real: Whether the generator's loss uses the real logits. Where it does not, the
            objective skips that forward pass and passes zeros.
        needs_lipschitz: Whether the discriminator's loss is unbounded below, so that it means
            something only while a regularizer bounds the critic's Lipschitz constant.
    """

    card: ClassVar[LossCard]
    compares_real: ClassVar[bool] = False
    needs_lipschitz: ClassVar[bool] = False

    def discriminator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the loss of the discriminator per pair: [N], [N] -> [N]."""
        ...

    def generator(self, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
        """Return the loss of the generator per sample: [N], [N] -> [N]."""
        ...

    def estimate(self, real_logits: Tensor, fake_logits: Tensor) -> dict[str, Tensor]:
        """Return the training network's own bounds of a divergence: name -> scalar, {} if none.

        Known names: "js" (nats), "wasserstein" (data units times the critic's gradient norm) and
        "offset" (mean logit of a critic, to which its loss is blind, in the same unit).
        """
        return {}


def check_paired(real_logits: Tensor, fake_logits: Tensor) -> None:
    """Refuse logits whose shapes differ: [N] against [N, 1] would broadcast to [N, N] in silence.

    Raises:
        ValueError: The shapes differ.
    """
    if real_logits.shape != fake_logits.shape:
        raise ValueError(
            f"real and fake logits must have one shape, got {tuple(real_logits.shape)} and "
            f"{tuple(fake_logits.shape)}; flatten both to [N]"
        )
