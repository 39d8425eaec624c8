"""The number that sums a run up: the distance of its samples to data that it never saw.

The rule, for the terminal, pages, TensorBoard, the best checkpoint and a sweeper alike: FD where it
is measured; of points of up to 4 coordinates exact W1; above that the energy distance, and W1 only
where that is not measured. Above 4 dimensions the exact W1 of n samples is mostly its own floor,
what n samples of real data get: its bias is of order n^(-1/d).
"""

import math
from collections.abc import Container, Mapping, Sequence
from typing import Any

FRECHET, WASSERSTEIN = "features/frechet_distance", "divergence/wasserstein"
ENERGY = "divergence/energy"
# Tag -> short name, the most telling first. W1 between pixels is lower for blurred images than for
# sharp ones of the data themselves, so a distance in features goes before it.
HEADLINES: Mapping[str, str] = {FRECHET: "FD", ENERGY: "energy distance", WASSERSTEIN: "W1"}
MAX_W1_DIMENSION = 4  # coordinates of a sample up to which W1 of samples stands for W1


def is_high_dimensional(shape: Sequence[int]) -> bool:
    """Return whether samples of a shape have more coordinates than W1 of samples can tell."""
    return math.prod(shape) > MAX_W1_DIMENSION


def headline_of(tags: Container[str], high_dimensional: bool) -> str | None:
    """Return the first of `HEADLINES` that is among some tags; None if none is.

    Args:
        tags: Of what was measured.
        high_dimensional: Of the samples; see `is_high_dimensional`. Only then the energy distance
            may sum a run up.
    """
    tags_in_order = (tag for tag in HEADLINES if tag != ENERGY or high_dimensional)
    return next((tag for tag in tags_in_order if tag in tags), None)


def short_name(tag: str, high_dimensional: bool, n: object = None) -> str:
    """Return FD, energy distance or W1; W1 above 4 dimensions is "sample W1 (n = 256)".

    Args:
        tag: Any; one that is no headline is its own name.
        high_dimensional: Of the samples.
        n: Samples on each side; None where it is not known.
    """
    if tag != WASSERSTEIN or not high_dimensional:
        return HEADLINES.get(tag, tag)
    return "sample W1" if n is None else f"sample W1 (n = {n})"


def newest_headline(
    values: Mapping[str, Any], step: int, high_dimensional: bool, n: object = None
) -> str:
    """Return "FD 0.031 at step 1600, real data 0.007" of a row; "" where it was not measured."""
    tag = headline_of(values, high_dimensional)
    if tag is None:
        return ""
    floor = f", real data {values[f'{tag}_floor']:.3g}" if f"{tag}_floor" in values else ""
    return f"{short_name(tag, high_dimensional, n)} {values[tag]:.3g} at step {step}{floor}"
