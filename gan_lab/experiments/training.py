"""Trainings that a study measures on the way, in its own process and without a run directory."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any, Generic, TypeVar

from gan_lab.experiments import parallel
from gan_lab.experiments.base import Lab
from gan_lab.training.build import build, open_source
from gan_lab.training.callback import Callback
from gan_lab.training.config import RunConfig
from gan_lab.training.loop import fit
from gan_lab.training.run import Run
from gan_lab.training.validate import validate

T = TypeVar("T")


class Recording(Callback, Generic[T]):
    """Measures a run after given steps.

    Attributes:
        rows: What was measured, in the order of the steps.
    """

    def __init__(self, steps: Sequence[int], measure: Callable[[Run], T]) -> None:
        self._steps, self._measure = frozenset(steps), measure
        self.rows: list[T] = []

    def is_due(self, step: int, n_steps: int) -> bool:
        """Return whether this is one of the steps."""
        return step in self._steps

    def on_step_end(self, run: Run) -> None:
        """Measure."""
        self.rows.append(self._measure(run))


def open_training(config: RunConfig, n_steps: int, ema: float | None = None) -> Run:
    """Open a run of so many steps; `ema` is another decay of the generator's average.

    Raises:
        ConfigError: It cannot be run.
    """
    trainer = replace(config.trainer, steps=n_steps, ema=config.trainer.ema if ema is None else ema)
    execution = replace(config.execution, mode="eager")  # the same numbers on every machine
    config = replace(config, trainer=trainer, execution=execution)
    source = open_source(config)
    validate(config, source)
    return build(config, source)


def record(run: Run, steps: Sequence[int], measure: Callable[[Run], T]) -> list[T]:
    """Train to the last of the increasing steps; return what is measured after each of them."""
    recording = Recording(steps, measure)
    fit(run, steps[-1], [recording])
    return recording.rows


def seed_config(lab: Lab, data: str, overrides: Sequence[str], seed: int) -> RunConfig:
    """Return the configuration of one seed's training on a data set, with one thread."""
    keys = (f"seed={seed}", "n_seeds=1", f"device={lab.device}", "execution.threads=1")
    return lab.run_config([f"data={data}", *overrides, *keys])


def train_methods(
    lab: Lab,
    function: Callable[..., T],
    data: str,
    methods: Mapping[str, Sequence[str]],
    *arguments: Any,
) -> dict[str, list[T]]:
    """Return function(config, *arguments) by method, of each seed in order; each is a job.

    Args:
        lab: Of the study.
        function: Trains one seed; it is sent by its name in a module.
        data: Name of the data set.
        methods: Method -> overrides of `train`.
        arguments: The same for all.
    """
    jobs = {
        f"{method} seed {seed}": (seed_config(lab, data, overrides, seed), *arguments)
        for seed in lab.seeds
        for method, overrides in methods.items()
    }
    results = parallel.in_processes(lab, function, jobs)
    return {method: [results[f"{method} seed {seed}"] for seed in lab.seeds] for method in methods}
