"""The number that sums a run up: the distance of its samples to data that it never saw."""

from collections.abc import Container, Mapping
from typing import Any

FRECHET, WASSERSTEIN = "features/frechet_distance", "divergence/wasserstein"
# Tag -> short name, the most telling first. W1 between pixels is lower for blurred images than for
# sharp ones of the data themselves, so a distance in features goes before it.
HEADLINES: Mapping[str, str] = {FRECHET: "FD", WASSERSTEIN: "W1"}


def headline_of(tags: Container[str]) -> str | None:
    """Return the first of `HEADLINES` that is among some tags; None if none is."""
    return next((tag for tag in HEADLINES if tag in tags), None)


def newest_headline(values: Mapping[str, Any], step: int) -> str:
    """Return "FD 0.031 at step 1600, real data 0.007" of a row; "" where it was not measured."""
    tag = headline_of(values)
    if tag is None:
        return ""
    floor = f", real data {values[f'{tag}_floor']:.3g}" if f"{tag}_floor" in values else ""
    return f"{HEADLINES[tag]} {values[tag]:.3g} at step {step}{floor}"
