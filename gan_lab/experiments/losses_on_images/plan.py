"""The plan of the study: which trainings, with which seeds, for how many process seconds."""

from collections.abc import Sequence
from dataclasses import dataclass

from gan_lab.errors import ConfigError
from gan_lab.experiments.losses_on_images.methods import METHODS, draw_points, tuned_overrides

TUNING, TUNED_RECIPE, PUBLISHED_RECIPE = "tuning", "tuned", "published"
_TUNING_SEED_START = 1_000_000  # far from the seeds of the study, which are its `seed` and up
_LOOK_SECONDS, _OPEN_SECONDS = 0.3, 0.5  # one measurement, and one start of a training
# Of two cores: composing a configuration (one process; the others wait), spawns and idle ends of
# stages, by training, from a whole quick study; and the classifiers with one kill, by study.
_IDLE_SECONDS, _ONCE_SECONDS = 1.0, 30.0


@dataclass(frozen=True)
class Unit:
    """One training for a number of process seconds.

    Attributes:
        data, method: Names of the set and of the loss.
        stage: tuning, tuned (the recipe that tuning chose) or published.
        trial: Which point of the space; -1 for a published recipe.
        rung: Of successive halving; -1 after tuning.
        seed: Of the training.
        seconds: Process seconds of training; looking is not counted.
        n_looks: Measurements, evenly over the seconds.
        overrides: Of the recipe, beside those that are common to all.
    """

    data: str
    method: str
    stage: str
    trial: int
    rung: int
    seed: int
    seconds: float
    n_looks: int
    overrides: tuple[str, ...]

    @property
    def name(self) -> str:
        """Its path below `units`, without an ending."""
        where = f"{self.data}/{self.method}/{self.stage}"
        if self.stage == TUNING:
            return f"{where}_{self.rung}_{self.trial:02d}"
        return f"{where}_{self.seed}"


@dataclass(frozen=True)
class Plan:
    """How much of everything, the same for every loss.

    Attributes:
        n_trials: Trials of each rung of successive halving, falling.
        trial_seconds: Process seconds of a trial, one number a rung.
        final_seconds: Process seconds of a training with the chosen or the published recipe.
        n_looks: Measurements of such a training.
        seeds: Of these trainings.
        n_published: Seeds, the first, that also train with the published recipe; 0 = none.
        design_seed: Of the points of the space.
    """

    n_trials: tuple[int, ...]
    trial_seconds: tuple[float, ...]
    final_seconds: float
    n_looks: int
    seeds: tuple[int, ...]
    n_published: int
    design_seed: int

    def __post_init__(self) -> None:
        if overlap := set(self.seeds) & {self.tuning_seed(rung) for rung in self.rungs}:
            raise ConfigError(
                f"seed={min(overlap)} is a seed of the tuning; take one below {_TUNING_SEED_START}"
            )

    @property
    def rungs(self) -> range:
        """Indices of the rungs."""
        return range(len(self.n_trials))

    def tuning_seed(self, rung: int) -> int:
        """Return the seed of all trials of a rung: another on each, none of a final training."""
        return _TUNING_SEED_START + rung

    def trials(self, data: str, method: str, rung: int, trial_indices: Sequence[int]) -> list[Unit]:
        """Return the trainings of a rung, of the chosen trials."""
        points = draw_points(self.n_trials[0], self.design_seed)
        seed, seconds = self.tuning_seed(rung), self.trial_seconds[rung]
        return [
            Unit(
                *(data, method, TUNING, trial, rung, seed, seconds, 1),
                tuned_overrides(METHODS[method], points[trial].tolist()),
            )
            for trial in trial_indices
        ]

    def finals(self, data: str, method: str, trial: int) -> list[Unit]:
        """Return the trainings with the recipe of a trial, one a seed."""
        points = draw_points(self.n_trials[0], self.design_seed)
        overrides = tuned_overrides(METHODS[method], points[trial].tolist())
        rest = (self.final_seconds, self.n_looks, overrides)
        return [Unit(data, method, TUNED_RECIPE, trial, -1, seed, *rest) for seed in self.seeds]

    def published_units(self, data: str, method: str) -> list[Unit]:
        """Return the trainings with the published recipe, one for each of the first seeds."""
        rest = (self.final_seconds, self.n_looks, METHODS[method].published_recipe)
        seeds = self.seeds[: self.n_published]
        return [Unit(data, method, PUBLISHED_RECIPE, -1, -1, seed, *rest) for seed in seeds]

    def tuning_seconds(self) -> float:
        """Return the process seconds that the tuning of one loss on one set trains."""
        return sum(n * s for n, s in zip(self.n_trials, self.trial_seconds, strict=True))

    def core_seconds(self, n_pairs: int) -> float:
        """Return about how many process seconds the study takes, with all that is not training.

        Args:
            n_pairs: Pairs of a set and a loss that are tuned.
        """
        looks = _OPEN_SECONDS + 2 * self.n_looks * _LOOK_SECONDS
        n_finals = len(self.seeds) + min(self.n_published, len(self.seeds))
        finals = n_finals * (self.final_seconds + looks)
        tuning = self.tuning_seconds() + sum(self.n_trials) * (_OPEN_SECONDS + _LOOK_SECONDS)
        idle = (n_finals + sum(self.n_trials)) * _IDLE_SECONDS
        return n_pairs * (tuning + finals + idle) + _ONCE_SECONDS


def interleave(units: Sequence[Unit]) -> list[Unit]:
    """Return units in the order to train them in: all losses at each trial, then at each seed.

    A machine that becomes slower on the way then does so for every loss.
    """

    def place(unit: Unit) -> tuple[str, int, str, str]:
        turn = unit.trial if unit.stage == TUNING else unit.seed
        return unit.data, turn, unit.method, unit.stage

    return sorted(units, key=place)


def best_trials(distances: Sequence[tuple[float, int]], n: int) -> list[int]:
    """Return the n trials of the least validation distance, of (distance, trial) of one rung."""
    return [trial for _, trial in sorted(distances)[:n]]
