"""Which loss makes the better images, where all are tuned alike and what judges chose nothing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from gan_lab.data.class_modes import ClassifierModes
from gan_lab.experiments.base import Arrays, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.losses_on_images import claims as judge
from gan_lab.experiments.losses_on_images import figures as draw
from gan_lab.experiments.losses_on_images import tables
from gan_lab.experiments.losses_on_images.images import Sizes, open_images
from gan_lab.experiments.losses_on_images.methods import METHODS
from gan_lab.experiments.losses_on_images.plan import Plan, Unit, best_trials
from gan_lab.experiments.losses_on_images.units import Record, complete, real_distances
from gan_lab.runs.run_dir import atomic_write
from gan_lab.validation import check_count

TRIALS = "trials.csv"


@dataclass(frozen=True)
class LossesOnImages(Experiment):
    """Nine losses on one network: tuned with equal effort, then compared on fresh seeds and images.

    Attributes:
        datasets: Names of labelled sets of images.
        losses: Names of the losses, one list a data set.
        n_train, n_validation, n_judged: Images of the three parts, one number a data set.
        split_seed: Of that split alone.
        n_trials: Trials of each rung of successive halving, the same for every loss.
        trial_seconds: Process seconds of a trial, one number a rung; each starts anew on a seed of
            its rung, so that no lucky start is chosen.
        final_seconds: Process seconds of each training that is compared.
        n_looks: Measurements of such a training.
        n_published: Seeds, the first, on which each loss is also trained with its published recipe;
            0 = none.
        design_seed: Of the points of the space at which every loss is tuned.
    """

    datasets: tuple[str, ...] = ("mnist_5k",)
    losses: tuple[tuple[str, ...], ...] = (tuple(METHODS),)
    n_train: tuple[int, ...] = (3500,)
    n_validation: tuple[int, ...] = (500,)
    n_judged: tuple[int, ...] = (1000,)
    split_seed: int = 20
    n_trials: tuple[int, ...] = (16, 4, 2)
    trial_seconds: tuple[float, ...] = (9.0, 24.0, 48.0)
    final_seconds: float = 60.0
    n_looks: int = 10
    n_published: int = 3
    design_seed: int = 29

    title: ClassVar[str] = "GAN and WGAN losses on images, tuned alike"
    question: ClassVar[str] = (
        "Which loss makes the better images, if each is tuned with the same effort and judged on "
        "images and seeds that chose nothing in this study?"
    )
    reference: ClassVar[str] = "Lucic et al. 2018, arXiv:1711.10337, asked this with other budgets"

    def __post_init__(self) -> None:
        name, n = type(self).__name__, len(self.datasets)
        if not n or len(set(self.datasets)) != n:
            raise ValueError(f"{name}.datasets={list(self.datasets)} names no set, or one twice")
        for key in ("losses", "n_train", "n_validation", "n_judged"):
            if len(got := getattr(self, key)) != n:
                raise ValueError(f"{name}.{key}={list(got)} needs one entry for each of {n} sets")
        for losses in self.losses:
            if len(losses) < 2 or set(losses) - set(METHODS):
                names = ", ".join(METHODS)
                raise ValueError(f"{name}.losses={list(losses)}: take two or more of {names}")
        check_count(self, "n_looks")
        check_count(self, "n_published", at_least=0)
        falling = list(self.n_trials)
        if not falling or falling != sorted(falling, reverse=True) or min(falling) < 1:
            raise ValueError(f"{name}.n_trials={falling} has to fall, rung by rung, to 1 or more")
        if len(self.trial_seconds) != len(falling) or min(*self.trial_seconds, 1) <= 0:
            seconds = list(self.trial_seconds)
            raise ValueError(f"{name}.trial_seconds={seconds} needs a number > 0 for each rung")
        if not self.final_seconds > 0:
            raise ValueError(f"{name}.final_seconds={self.final_seconds} is not above 0")

    def plan(self, seeds: tuple[int, ...]) -> Plan:
        """Return the plan for the seeds of the trainings that are compared."""
        numbers = (tuple(self.n_trials), tuple(self.trial_seconds), self.final_seconds)
        return Plan(*numbers, self.n_looks, seeds, self.n_published, self.design_seed)

    def job_stages(self, seeds: tuple[int, ...]) -> list[str]:
        """Return the rungs of the tuning and the trainings that are compared, with their jobs."""
        n_pairs = sum(map(len, self.losses))
        rungs = zip(self.n_trials, self.trial_seconds, strict=True)
        lines = [f"{n_pairs * n} trials of {s:g} process seconds" for n, s in rungs]
        n = n_pairs * (len(seeds) + min(self.n_published, len(seeds)))
        return [*lines, f"{n} trainings of {self.final_seconds:g} process seconds"]

    def measure(self, lab: Lab) -> Arrays:
        """Tune every loss, then train each on the seeds; what is done is kept in `units`."""
        plan = self.plan(lab.seeds)
        pairs = [(d, m) for d, of in zip(self.datasets, self.losses, strict=True) for m in of]
        minutes = plan.core_seconds(len(pairs)) / 60
        lab.tell(
            f"plan: {len(pairs)} times {sum(plan.n_trials)} trials and {len(lab.seeds)} seeds, "
            f"about {minutes:.0f} core minutes, {minutes / lab.workers:.0f} min with "
            f"{lab.workers} workers; if it is stopped, output={lab.directory} goes on"
        )
        sizes: dict[str, Sizes] = {}
        arrays: Arrays = {}
        numbers = (self.n_train, self.n_validation, self.n_judged)
        for data, n_train, n_validation, n_judged in zip(self.datasets, *numbers, strict=True):
            sizes[data] = Sizes(n_train, n_validation, n_judged, self.split_seed)
            images = open_images(lab.run_config([f"data={data}"]).data, sizes[data])
            floors = real_distances(images)  # here the classifier is trained, before any worker
            arrays |= {f"real/{data}/{k}": np.array(value) for k, value in floors.items()}
            arrays |= {f"images/{data}/{k}": np.array(x) for k, x in images.digests.items()}
            if isinstance(modes := images.source.modes, ClassifierModes):
                arrays[f"real/{data}/classifier"] = np.array(modes.classifier.digest)
                arrays[f"real/{data}/accuracy"] = np.array(modes.accuracy)
        survivors = {pair: list(range(plan.n_trials[0])) for pair in pairs}
        records: list[Record] = []
        for rung in plan.rungs:
            units = [u for pair in pairs for u in plan.trials(*pair, rung, survivors[pair])]
            rung_records = self._complete(lab, units, sizes)
            records += rung_records
            n_next = [*plan.n_trials, 1][rung + 1]
            for pair in pairs:
                mine = [r for r in rung_records if (r["data"], r["method"]) == pair]
                survivors[pair] = best_trials([(_validation(r), r["trial"]) for r in mine], n_next)
        finals = [u for pair in pairs for u in plan.finals(*pair, survivors[pair][0])]
        finals += [u for pair in pairs for u in plan.published_units(*pair)]
        records += self._complete(lab, finals, sizes)
        arrays |= tables.as_arrays(records)
        atomic_write(lab.directory / TRIALS, tables.trials_csv(arrays))
        return arrays

    def _complete(self, lab: Lab, units: list[Unit], sizes: Mapping[str, Sizes]) -> list[Record]:
        return list(complete(lab, units, sizes).values())

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Claim what the study was asked, and check that tuning was equal and nothing leaked."""
        return judge.claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw the comparison, curves by clock, all pairs, the price of not tuning, the trials."""
        return draw.figures(arrays)

    def answer(self, arrays: Arrays) -> list[str]:
        """Return the answer of each set in a sentence: which, by how much, how sure."""
        return judge.answers(arrays)

    def notes(self, arrays: Arrays) -> list[str]:
        """Return tables in words: budgets, clocks, orders, prices, recipes, what is not shown."""
        return judge.notes(arrays)


def _validation(record: Record) -> float:
    """Return the validation distance at the end of a trial; inf where it diverged."""
    if record["diverged"] or not record["points"]:
        return float("inf")
    return float(record["points"][-1]["validation"])
