"""The questions that a comparison answers and their curves, for TensorBoard and for the page."""

import math
from dataclasses import dataclass


@dataclass(frozen=True)
class Curve:
    """One tag of metrics.jsonl.

    Attributes:
        tag: Without _low, _high or _floor.
        title: A few words.
        unit: "" for none.
        better: -1 where lower is better, 1 where higher is, 0 where neither.
        interval: Whether a run itself has _low, _high and _floor of it.
        least: Lower bound of the quantity; shown intervals end there.
        limit: Upper bound of the quantity.
    """

    tag: str
    title: str
    unit: str = ""
    better: int = 0
    interval: bool = False
    least: float = -math.inf
    limit: float = math.inf


@dataclass(frozen=True)
class Question:
    """A chapter.

    Attributes:
        title: The question.
        hint: How its curves are read, and whether they compare losses.
        curves: The most telling first.
    """

    title: str
    hint: str
    curves: tuple[Curve, ...]


QUESTIONS = (
    Question(
        "Are the samples better?",
        "The same estimator, unseen data and n for every loss. Comparable.",
        (
            Curve(
                "divergence/wasserstein", "Exact W1 to unseen data", "data units", -1, True, least=0
            ),
            Curve("divergence/js", "Jensen-Shannon divergence", "nats", -1, True),
            Curve("divergence/sliced_wasserstein", "Sliced W1", "data units", -1, True, least=0),
            Curve("divergence/kl_real_fake", "KL(data || samples)", "nats", -1, True),
            Curve("divergence/kl_fake_real", "KL(samples || data)", "nats", -1, True),
            Curve("divergence/energy", "Energy distance", "data units", -1, True),
        ),
    ),
    Question(
        "Are modes lost?",
        "Comparable. Modes covered and spread fall when samples collapse.",
        (
            Curve("modes/covered", "Modes covered", "modes", 1, True, least=0),
            Curve("modes/high_quality", "Share of high quality", "", 1, True, least=0, limit=1),
            Curve("modes/kl", "KL of the modes' weights", "nats", -1, True, least=0),
            Curve(
                *("samples/pairwise_distance", "Mean distance between samples", "data units", 1),
                interval=True,
                least=0,
            ),
        ),
    ),
    Question(
        "Can the curve be believed?",
        "A training network's own estimates; meaningful only near its optimum (gap about 0). "
        "Not comparable across losses.",
        (
            Curve(
                "discriminator_estimate/js", "The discriminator's own JS", "nats", limit=math.log(2)
            ),
            Curve("discriminator_estimate/wasserstein", "The critic's own W", "data units x slope"),
            Curve("discriminator_estimate/optimality_gap", "How far from its optimum", "loss"),
            Curve(
                "discriminator_estimate/offset", "Mean logit of the critic", "data units x slope"
            ),
            Curve(
                *("discriminator_estimate/near_optimal", "Near its optimum (1) or not (0)"),
                least=0,
                limit=1,
            ),
        ),
    ),
    Question(
        "Do gradients vanish?",
        "Not comparable across losses in size; a fall by decades is.",
        (
            Curve("gradient/generator_norm", "Norm of the generator's gradient", least=0),
            Curve("gradient/discriminator_norm", "Norm of the discriminator's gradient", least=0),
            Curve(
                "discriminator_estimate/gradient_norm_mean",
                "Gradient norm at samples",
                "logit / data unit",
                least=0,
            ),
            Curve("loss/generator", "The generator's loss"),
            Curve("loss/discriminator", "The discriminator's loss"),
        ),
    ),
)
CURVES = {curve.tag: curve for question in QUESTIONS for curve in question.curves}
HEADLINE = "divergence/wasserstein"
