"""The questions that a comparison answers and their curves, for TensorBoard and for the page."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from gan_lab.metrics.quality import LEGIBLE
from gan_lab.runs.headline import ENERGY, FRECHET, WASSERSTEIN, short_name

_FEATURES = "features"  # of images


@dataclass(frozen=True)
class Curve:
    """One tag of metrics.jsonl."""

    tag: str  # without _low, _high or _floor
    title: str
    unit: str = ""  # "" for none
    better: int = 0  # -1 where lower is better, 1 where higher is, 0 where neither
    interval: bool = False  # whether a run itself has _low, _high and _floor of it
    least: float = -math.inf  # lower bound of the quantity; shown intervals end there
    limit: float = math.inf  # upper bound of the quantity

    @property
    def is_of_features(self) -> bool:
        """Whether it is measured in features, which are of images alone."""
        return self.tag.startswith(f"{_FEATURES}/")


@dataclass(frozen=True)
class Question:
    """A chapter."""

    title: str
    hint: str  # how its curves are read, and whether they compare losses
    curves: tuple[Curve, ...]  # the most telling first


_OWN, _PER_UNIT = "discriminator_estimate", "logit / data unit"
_SPREAD = "samples/pairwise_distance"
QUESTIONS = (
    Question(
        "Are the samples better?",
        "The same estimator, unseen data and n for every loss. Comparable.",
        (
            Curve(FRECHET, "Frechet distance to unseen data", "", -1, True, least=0),
            Curve(LEGIBLE, "Share of legible samples", "", 1, True, least=0, limit=1),
            Curve(WASSERSTEIN, "Exact W1 to unseen data", "data units", -1, True, least=0),
            Curve(f"{_FEATURES}/kernel_distance", "Kernel distance to unseen data", "", -1, True),
            Curve(f"{_FEATURES}/classifier_score", "Classifier score", "", 1, True, least=1),
            Curve(f"{_FEATURES}/precision", "Precision", "", 1, True, least=0, limit=1),
            Curve(f"{_FEATURES}/density", "Density", "", 1, True, least=0),
            Curve("divergence/js", "Jensen-Shannon divergence", "nats", -1, True),
            Curve("divergence/sliced_wasserstein", "Sliced W1", "data units", -1, True, least=0),
            Curve("divergence/kl_real_fake", "KL(data || samples)", "nats", -1, True),
            Curve("divergence/kl_fake_real", "KL(samples || data)", "nats", -1, True),
            Curve(ENERGY, "Energy distance to unseen data", "data units", -1, True),
        ),
    ),
    Question(
        "Are modes lost?",
        "Comparable. Modes covered and spread fall when samples collapse.",
        (
            Curve("modes/covered", "Modes covered", "modes", 1, True, least=0),
            Curve("modes/high_quality", "Share of high quality", "", 1, True, least=0, limit=1),
            Curve(f"{_FEATURES}/coverage", "Coverage", "", 1, True, least=0, limit=1),
            Curve(f"{_FEATURES}/recall", "Recall", "", 1, True, least=0, limit=1),
            Curve("modes/kl", "KL of the modes' weights", "nats", -1, True, least=0),
            Curve(_SPREAD, "Mean distance between samples", "data units", 1, True, least=0),
        ),
    ),
    Question(
        "Can the curve be believed?",
        "A training network's own estimates; meaningful only near its optimum (gap about 0). "
        "Not comparable across losses.",
        (
            Curve(f"{_OWN}/js", "The discriminator's own JS", "nats", limit=math.log(2)),
            Curve(f"{_OWN}/wasserstein", "The critic's own W", "data units x slope"),
            Curve(f"{_OWN}/optimality_gap", "How far from its optimum", "loss"),
            Curve(f"{_OWN}/offset", "Mean logit of the critic", "data units x slope"),
            Curve(f"{_OWN}/near_optimal", "Near its optimum (1) or not (0)", least=0, limit=1),
        ),
    ),
    Question(
        "Do gradients vanish?",
        "Not comparable across losses in size; a fall by decades is.",
        (
            Curve("gradient/generator_norm", "Norm of the generator's gradient", least=0),
            Curve("gradient/discriminator_norm", "Norm of the discriminator's gradient", least=0),
            Curve(f"{_OWN}/gradient_norm_mean", "Gradient norm at samples", _PER_UNIT, least=0),
            Curve("loss/generator", "The generator's loss"),
            Curve("loss/discriminator", "The discriminator's loss"),
        ),
    ),
)
CURVES = {curve.tag: curve for question in QUESTIONS for curve in question.curves}


def title(curve: Curve, high_dimensional: bool, n: object = None) -> str:
    """Return a curve's title; W1 above 4 dimensions is "Sample W1 (n = 500) to unseen data".

    Args:
        curve: Any.
        high_dimensional: Of the samples; see `runs.headline.is_high_dimensional`.
        n: Samples on each side; None where it is not known.
    """
    if curve.tag != WASSERSTEIN or not high_dimensional:
        return curve.title
    return f"S{short_name(curve.tag, high_dimensional, n)[1:]} to unseen data"


def first(curves: Sequence[Curve], headline: str | None) -> list[Curve]:
    """Return curves with the headline's before the others."""
    return sorted(curves, key=lambda curve: curve.tag != headline)


def quantity(text: str) -> str:
    """Return a title as it stands inside a sentence: "exact W1 to unseen data"."""
    is_name = text == CURVES[FRECHET].title  # which stays large
    return text if is_name else f"{text[0].lower()}{text[1:]}"


def with_unit(text: str, tag: str) -> str:
    """Return a text with the unit of a tag behind it, if it has one."""
    return f"{text} {unit}" if (unit := CURVES[tag].unit) else text
