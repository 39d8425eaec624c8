"""The evaluation in full: the whole ruler and the probe, each number beside its floor."""

import math
from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor

from gan_lab.metrics.estimate import Estimate
from gan_lab.training.config import Run, Setup


class NotFinite(Exception):
    """A generator whose weights are finite makes samples, or numbers of them, that are not.

    Attributes:
        quantity: "a sample", or the tag of an estimate that is finite for all finite samples.
        seed: Whose.
    """

    def __init__(self, quantity: str, seed: int) -> None:
        super().__init__(f"{quantity} of seed {seed} is not finite")
        self.quantity, self.seed = quantity, seed


def finite_samples(run: Run, index: int, z: Tensor) -> Tensor:
    """What one seed's averaged generator makes of z.

    Raises:
        NotFinite: Something in it overflows.
    """
    return _checked(run, index, run.samples(index, z))


def _checked(run: Run, index: int, samples: Tensor) -> Tensor:
    if not bool(samples.isfinite().all()):
        raise NotFinite("a sample", run.seeds[index])
    return samples


def measured(run: Run, index: int, step: int, final: bool = False) -> dict[str, Estimate]:
    """The ruler on one seed.

    Raises:
        NotFinite: Something in its samples overflows, or in a number that has to be finite.
    """
    make = partial(finite_samples, run, index)
    found = run.evaluator.measure(make, run.seeds[index], step, final)
    for tag, estimate in found.items():
        if not math.isfinite(estimate.value) and tag not in run.evaluator.unbounded_tags:
            raise NotFinite(tag, run.seeds[index])
    return found


def held_out(run: Run, average: Mapping[str, Tensor], index: int, step: int, tag: str) -> Estimate:
    """One number of an earlier state, measured as `evaluated` would have; the run is untouched.

    Args:
        run: The opened run.
        average: The averaged generators of that state, stacked like the run's, on any device.
        index: Of the seed.
        step: Of that state.
        tag: Of the number.

    Raises:
        NotFinite: Something in its samples overflows.
    """
    leaves = {name: leaf.to(run.source.device) for name, leaf in average.items()}

    def make(z: Tensor) -> Tensor:
        return _checked(run, index, run.samples_of(leaves, index, z))

    return run.evaluator.measure(make, run.seeds[index], step, final=True, only=tag)[tag]


def evaluated(
    setup: Setup, run: Run, step: int, indices: Iterable[int]
) -> list[dict[str, Estimate]]:
    """The ruler in full and the probe on some of the seeds, by index.

    Raises:
        NotFinite: Something in a seed's samples overflows.
    """
    neural_distance, source = setup.neural_distance, run.source
    floors = neural_distance.measure(source.real, source)
    everything = []
    for index in indices:
        found = measured(run, index, step, final=True)
        for tag, estimate in neural_distance.measure(partial(run.generated, index), source).items():
            found[tag] = estimate.with_floor(floors[tag].value)
        everything.append(found)
    return everything
