"""The evaluation: all metrics beside their floors; at the end also the neural distance."""

import math
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Any

import torch
from torch import Tensor

from gan_lab.engine.rng import stream
from gan_lab.metrics.estimate import Estimate
from gan_lab.training.callback import AtInterval, Interval
from gan_lab.training.run import Run


class NotFinite(Exception):
    """A generator with finite weights has samples, or estimates of them, that are not finite.

    `quantity` is "a sample", or the tag of an estimate that is finite for all finite samples.
    """

    def __init__(self, quantity: str, seed: int) -> None:
        super().__init__(f"{quantity} of seed {seed} is not finite")
        self.quantity, self.seed = quantity, seed


class Evaluation(AtInterval):
    """Adds estimates and the discriminator's gradient norms to the rows.

    Attributes:
        final: The final estimates of each seed, by tag; empty before the end.
        final_step: The step that they are of.
    """

    def __init__(self, interval: Interval) -> None:
        super().__init__(interval)
        self.final: list[dict[str, Estimate]] = []
        self.final_step: int | None = None

    def on_fit_start(self, run: Run) -> None:
        """Make room for each seed's estimates."""
        self.final = self.final or [{} for _ in run.seeds]

    def on_step_end(self, run: Run) -> None:
        """Measure; seeds whose samples or estimates are not finite become `run.failures`."""
        for index in run.active:
            try:
                run.rows[index] |= _measure_seed(run, index)
            except NotFinite as error:
                run.failures[index] = error.quantity
        if run.state.step == run.config.trainer.steps:
            self._measure_final(run)

    def _measure_final(self, run: Run) -> None:
        floors = run.config.neural_distance.measure(run.source.real, run.source)
        self.final = [{} for _ in run.seeds]  # a run that is extended has those of its former end
        self.final_step = run.state.step
        for index in [index for index in run.active if index not in run.failures]:
            try:
                estimates = evaluate_seed(run, index, run.state.step, floors)
            except NotFinite as error:
                run.failures[index] = error.quantity
                continue
            self.final[index] = estimates
            for tag, estimate in estimates.items():
                run.rows[index].update(estimate.scalars(f"final/{tag}"))

    def state_dict(self) -> dict[str, Any]:
        """Return the final estimates and their step."""
        final = [{t: dict(vars(e)) for t, e in each.items()} for each in self.final]
        return {"final": final, "final_step": self.final_step}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Restore them."""
        self.final = [{t: Estimate(**e) for t, e in each.items()} for each in state["final"]]
        self.final_step = state["final_step"]


def _measure_seed(run: Run, index: int) -> dict[str, float]:
    row: dict[str, float] = {}
    for tag, estimate in measure(run, index, run.state.step).items():
        row.update(estimate.scalars(tag))
    return row | _gradient_norms(run, index)


def _gradient_norms(run: Run, index: int) -> dict[str, float]:
    if not run.objective.independent:
        return {}  # with batch norm or packing the gradient at a sample depends on others
    source, n, step = run.source, run.config.trainer.batch_size, run.state.step
    generator = stream(run.seeds[index], f"gradient norms {step}", source.device)
    tickets = source.draw(n, generator)
    real, labels = source.gather(tickets), None if run.labels is None else run.labels.of(tickets)
    fake = run.fakes(index, run.noise(index, f"gradient norms z {step}", n, labels))
    mix = torch.rand(n, generator=generator, device=source.device)
    leaves = run.discriminator_leaves(index)
    norms = run.objective.gradient_norms(*leaves, real, fake, mix, labels)
    return {tag: float(value) for tag, value in norms.items()}


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

    `average` are the averaged generators of that state, of the run's seeds, on any device.

    Raises:
        NotFinite: A sample overflows.
    """
    leaves = {name: leaf.to(run.source.device) for name, leaf in average.items()}

    def sample(z: Tensor) -> Tensor:
        return _check_finite(run, index, run.samples_from(leaves, index, z))

    return run.evaluator.measure(sample, run.seeds[index], step, final=True, only=tag)[tag]


def evaluate(run: Run, step: int, indices: Iterable[int]) -> list[dict[str, Estimate]]:
    """Measure all metrics on held-out data and the neural distance, for some seeds by index.

    Raises:
        NotFinite: A sample of a seed overflows.
    """
    floors = run.config.neural_distance.measure(run.source.real, run.source)
    return [evaluate_seed(run, index, step, floors) for index in indices]


def evaluate_seed(
    run: Run, index: int, step: int, floors: Mapping[str, Estimate]
) -> dict[str, Estimate]:
    """Return `evaluate` of one seed; the floors are the neural distances of real samples."""
    estimates = measure(run, index, step, final=True)
    distances = run.config.neural_distance.measure(partial(run.generate, index), run.source)
    with_floors = {t: estimate.with_floor(floors[t].value) for t, estimate in distances.items()}
    return {**estimates, **with_floors}
