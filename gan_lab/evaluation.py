"""The evaluation in full: the whole ruler and the probe, each number beside its floor."""

from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor

from gan_lab.estimators.base import Estimate
from gan_lab.setup import Run, Setup


class SamplesNotFinite(Exception):
    """A generator whose weights are finite makes samples that are not."""

    def __init__(self, seed: int) -> None:
        super().__init__(f"a sample of seed {seed} is not finite")
        self.seed = seed


def finite_samples(run: Run, index: int, z: Tensor) -> Tensor:
    """What one seed's averaged generator makes of z.

    Raises:
        SamplesNotFinite: Something in it overflows.
    """
    return _checked(run, index, run.samples(index, z))


def _checked(run: Run, index: int, samples: Tensor) -> Tensor:
    if not bool(samples.isfinite().all()):
        raise SamplesNotFinite(run.seeds[index])
    return samples


def measured(run: Run, index: int, step: int, final: bool = False) -> dict[str, Estimate]:
    """The ruler on one seed.

    Raises:
        SamplesNotFinite: Something in its samples overflows.
    """
    make = partial(finite_samples, run, index)
    return run.ruler.measure(make, run.seeds[index], step, final)


def held_out(run: Run, average: Mapping[str, Tensor], index: int, step: int, tag: str) -> Estimate:
    """One number of an earlier state, measured as `evaluated` would have; the run is untouched.

    Args:
        run: The opened run.
        average: The averaged generators of that state, stacked like the run's, on any device.
        index: Of the seed.
        step: Of that state.
        tag: Of the number.

    Raises:
        SamplesNotFinite: Something in its samples overflows.
    """
    leaves = {name: leaf.to(run.source.device) for name, leaf in average.items()}

    def make(z: Tensor) -> Tensor:
        return _checked(run, index, run.samples_of(leaves, index, z))

    return run.ruler.measure(make, run.seeds[index], step, final=True, only=tag)[tag]


def evaluated(
    setup: Setup, run: Run, step: int, indices: Iterable[int]
) -> list[dict[str, Estimate]]:
    """The ruler in full and the probe on some of the seeds, by index.

    Raises:
        SamplesNotFinite: Something in a seed's samples overflows.
    """
    probe, source = setup.probe, run.source
    floors = probe.measure(source.real, source)
    everything = []
    for index in indices:
        found = measured(run, index, step, final=True)
        for tag, estimate in probe.measure(partial(run.generated, index), source).items():
            found[tag] = estimate.with_floor(floors[tag].value)
        everything.append(found)
    return everything
