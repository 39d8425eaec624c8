"""The full evaluation: all metrics and the neural distance, each number beside its floor."""

import math
from collections.abc import Iterable, Mapping
from functools import partial

from torch import Tensor

from gan_lab.metrics.estimate import Estimate
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run


class NotFinite(Exception):
    """A generator with finite weights has samples, or estimates of them, that are not finite.

    `quantity` is "a sample", or the tag of an estimate that is finite for all finite samples.
    """

    def __init__(self, quantity: str, seed: int) -> None:
        super().__init__(f"{quantity} of seed {seed} is not finite")
        self.quantity, self.seed = quantity, seed


def finite_samples(run: Run, index: int, z: Tensor) -> Tensor:
    """Return samples of one seed's averaged generator.

    Raises:
        NotFinite: One of them overflows.
    """
    return _check_finite(run, index, run.samples(index, z))


def _check_finite(run: Run, index: int, samples: Tensor) -> Tensor:
    if not bool(samples.isfinite().all()):
        raise NotFinite("a sample", run.seeds[index])
    return samples


def measure(run: Run, index: int, step: int, final: bool = False) -> dict[str, Estimate]:
    """Measure all metrics of one seed.

    Raises:
        NotFinite: A sample overflows, or an estimate that has to be finite.
    """
    sample = partial(finite_samples, run, index)
    estimates = run.evaluator.measure(sample, run.seeds[index], step, final)
    for tag, estimate in estimates.items():
        if not math.isfinite(estimate.value) and tag not in run.evaluator.unbounded_tags:
            raise NotFinite(tag, run.seeds[index])
    return estimates


def measure_held_out(
    run: Run, average: Mapping[str, Tensor], index: int, step: int, tag: str
) -> Estimate:
    """Measure one tag of an earlier state as `evaluate` would have; the run is untouched.

    `average` are the averaged generators of that state, stacked like the run's, on any device.

    Raises:
        NotFinite: A sample overflows.
    """
    leaves = {name: leaf.to(run.source.device) for name, leaf in average.items()}

    def sample(z: Tensor) -> Tensor:
        return _check_finite(run, index, run.samples_from(leaves, index, z))

    return run.evaluator.measure(sample, run.seeds[index], step, final=True, only=tag)[tag]


def evaluate(
    config: RunConfig, run: Run, step: int, indices: Iterable[int]
) -> list[dict[str, Estimate]]:
    """Measure all metrics on held-out data and the neural distance, for some seeds by index.

    Raises:
        NotFinite: A sample of a seed overflows.
    """
    neural_distance, source = config.neural_distance, run.source
    floors = neural_distance.measure(source.real, source)
    results = []
    for index in indices:
        estimates = measure(run, index, step, final=True)
        for tag, estimate in neural_distance.measure(partial(run.generate, index), source).items():
            estimates[tag] = estimate.with_floor(floors[tag].value)
        results.append(estimates)
    return results
