"""One training of the study, and trainings that are kept: done once, whatever is killed."""

import json
import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.experiments.base import Lab
from gan_lab.experiments.losses_on_images.images import Images, Sizes, StudyData, open_images
from gan_lab.experiments.losses_on_images.methods import COMMON, METHODS
from gan_lab.experiments.losses_on_images.plan import TUNING, Unit, interleave
from gan_lab.experiments.parallel import in_processes
from gan_lab.runs.run_dir import atomic_write, to_json
from gan_lab.training.build import build
from gan_lab.training.callback import Callback
from gan_lab.training.compute_budget import clocks
from gan_lab.training.config import RunConfig
from gan_lab.training.loop import fit
from gan_lab.training.run import Run
from gan_lab.training.validate import validate

Record = dict[str, Any]
N_SAMPLES = 1000  # generated for one measurement
DISTANCES = ("validation", "judged_distance")  # a training ends where one is not finite
_STEPS = 10_000_000  # more than any budget allows


class ComputeBudget(Callback):
    """Ends a training after a number of process seconds and measures on the way.

    Seconds are those of this process (user and system, all threads) in training steps; measuring
    and opening are not counted.

    Attributes:
        points: What was measured, with the clocks of the moment.
        has_diverged: Whether an update or a distance was not finite, at which the training ends.
    """

    def __init__(
        self, seconds: float, n_looks: int, measure: Callable[[Run], dict[str, float]]
    ) -> None:
        self._limits = [seconds * (i + 1) / n_looks for i in range(n_looks)]
        self._measure, self._seconds, self._since = measure, 0.0, 0.0
        self.points: list[dict[str, float]] = []
        self.has_diverged = False

    def on_fit_start(self, run: Run) -> None:
        """Start the clock."""
        self._since = time.process_time()

    def on_step_end(self, run: Run) -> None:
        """Count the step; measure where a share of the seconds is over; stop after the last."""
        self._seconds += time.process_time() - self._since
        if self._seconds >= self._limits[len(self.points)]:
            run.stop_requested = self._look(run) or len(self.points) == len(self._limits)
        self._since = time.process_time()

    def _look(self, run: Run) -> bool:
        numbers = self._measure(run) if bool(run.finite_seeds().all()) else {}
        # The legible share is nan on a set without classes.
        distances = [x for key, x in numbers.items() if key in DISTANCES]
        self.has_diverged = not distances or not all(map(math.isfinite, distances))
        if not self.has_diverged:
            clock = clocks(run.config, run.state.step, self._seconds)
            updates = clock["clock/discriminator_steps"] + clock["clock/generator_steps"]
            at = {"seconds": self._seconds, "updates": updates}
            at["gradient_evaluations"] = clock["clock/gradient_evaluations"]
            self.points.append({**at, **numbers})
        return self.has_diverged


def train_unit(config: RunConfig, unit: Unit, sizes: Sizes) -> Record:
    """Train a unit and return what is kept of it.

    A unit of the tuning is measured on validation images alone: judged images are not touched.
    Samples that choose a checkpoint are not those that judge it.
    """
    images = open_images(config.data, sizes)
    config = replace(config, data=StudyData(config.data, sizes), metrics={})
    validate(config, images.source)
    start = time.process_time()
    run = build(config, images.source)

    def samples(run: Run, use: str) -> Tensor:
        generator = stream(unit.seed, f"losses_on_images/{unit.data}/{use}", run.source.device)
        return run.samples(0, run.latents(N_SAMPLES, generator))

    def measure(run: Run) -> dict[str, float]:
        numbers = {"validation": images.validation_judge.distance(samples(run, "validation"))}
        if unit.stage != TUNING and math.isfinite(numbers["validation"]):
            measures = images.final_judge.measure(samples(run, "judged"))
            numbers |= {f"judged_{key}": value for key, value in measures.items()}
        return numbers

    budget = ComputeBudget(unit.seconds, unit.n_looks, measure)
    fit(run, _STEPS, [budget])
    return {
        **_spec_of(unit, sizes),
        "diverged": budget.has_diverged,
        "process_seconds": round(time.process_time() - start, 3),
        "points": budget.points,
    }


def real_distances(images: Images, n_repeats: int = 10) -> dict[str, float]:
    """Return what real data get: training images judged as generated ones are, mean of draws."""
    draws = [images.real_training(N_SAMPLES, repeat) for repeat in range(n_repeats)]
    rows = [images.final_judge.measure(draw) for draw in draws]
    floors = {f"judged_{k}": sum(row[k] for row in rows) / n_repeats for k in rows[0]}
    validation = sum(images.validation_judge.distance(draw) for draw in draws) / n_repeats
    return {"validation": validation, **floors}


def complete(lab: Lab, units: Sequence[Unit], sizes: Mapping[str, Sizes]) -> dict[str, Record]:
    """Train the units that are not kept yet, losses in turn, and return the records of all by name.

    Each is kept as `units/NAME.json` as soon as it is done; a study that was killed goes on from
    there, if it is started again with the same output directory and the same keys.

    Raises:
        ConfigError: A kept unit is of other keys.
    """
    folder = lab.directory / "units"
    jobs: dict[str, tuple[Any, ...]] = {}
    for unit in interleave(units):
        path = folder / f"{unit.name}.json"
        if not path.exists():
            jobs[unit.name] = (make_config(lab, unit), unit, sizes[unit.data], path)
        elif (kept_spec := _spec(load_unit(path))) != _spec_of(unit, sizes[unit.data]):
            raise ConfigError(
                f"{path} was kept by a study with other keys ({kept_spec}); choose another "
                "output directory"
            )
    if jobs:
        in_processes(lab, keep_unit, jobs)
    return {unit.name: load_unit(folder / f"{unit.name}.json") for unit in units}


def keep_unit(config: RunConfig, unit: Unit, sizes: Sizes, path: Path) -> None:
    """Train a unit and keep its record."""
    torch.set_num_threads(1)
    atomic_write(path, to_json(train_unit(config, unit, sizes)))


def load_unit(path: Path) -> Record:
    """Return a kept record.

    Raises:
        ConfigError: The file is damaged.
    """
    try:
        record = json.loads(path.read_bytes())
    except (OSError, ValueError) as error:
        raise ConfigError(f"{path} cannot be read ({error}); delete it, it is made anew") from error
    if not isinstance(record, dict) or "points" not in record:
        raise ConfigError(f"{path} is no record of a training; delete it, it is made anew")
    return record


def make_config(lab: Lab, unit: Unit) -> RunConfig:
    """Return the configuration of a unit's training."""
    return lab.run_config(recipe(unit))


def recipe(unit: Unit) -> list[str]:
    """Return the overrides of `train` for a unit: those common to all, its loss's and its own."""
    method = METHODS[unit.method].overrides
    own = [f"data={unit.data}", *method, *COMMON, f"seed={unit.seed}", "device=cpu"]
    return [*own, f"trainer.steps={_STEPS}", *unit.overrides]


def _spec(record: Mapping[str, Any]) -> dict[str, Any]:
    """Return what says which training a record is of."""
    return {key: record.get(key) for key in (*Unit.__dataclass_fields__, "sizes", "command")}


def _spec_of(unit: Unit, sizes: Sizes) -> dict[str, Any]:
    own = {**asdict(unit), "sizes": asdict(sizes), "command": recipe(unit)}
    spec: dict[str, Any] = json.loads(to_json(own))
    return spec
