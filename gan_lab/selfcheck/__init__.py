"""Every estimator and the neural distance against closed forms: bias, bands and coverage."""

from gan_lab.selfcheck import distances, divergences, features, neural_distances
from gan_lab.selfcheck.checks import Case, Row, check

__all__ = ["Case", "Row", "cases", "check"]


def cases(quick: bool = False) -> list[Case]:
    """Return every situation in which an estimator's answer is known; quick halves the repeats."""
    groups = (
        *(distances.wasserstein_cases, distances.sliced_cases),
        *(divergences.kl_cases, divergences.js_cases),
        *(distances.kernel_cases, distances.diversity_cases),
        features.feature_cases,
        *(divergences.mode_cases, neural_distances.neural_distance_cases),
    )
    return [case for group in groups for case in group(1 if quick else 2)]
