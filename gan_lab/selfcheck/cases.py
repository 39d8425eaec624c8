"""All cases of the self-check."""

from gan_lab.selfcheck.checks import Case
from gan_lab.selfcheck.distances import (
    kernel_cases,
    neighbour_cases,
    sliced_cases,
    wasserstein_cases,
)
from gan_lab.selfcheck.divergences import js_cases, kl_cases, mode_cases
from gan_lab.selfcheck.probes import neural_distance_cases


def cases(quick: bool = False) -> list[Case]:
    """Every situation in which an estimator's answer is known; quick has half the repeats."""
    groups = (
        wasserstein_cases,
        sliced_cases,
        kl_cases,
        js_cases,
        kernel_cases,
        neighbour_cases,
        mode_cases,
        neural_distance_cases,
    )
    return [case for group in groups for case in group(1 if quick else 2)]
