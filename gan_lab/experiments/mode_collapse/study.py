"""Mode collapse: which modes every loss reaches, which it loses, and what packing changes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab.experiments import parallel
from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.mode_collapse import claims as verdicts
from gan_lab.experiments.mode_collapse import coverage
from gan_lab.experiments.mode_collapse import figures as drawings
from gan_lab.experiments.mode_collapse.coverage import BY_SAMPLE, NAMES, QUALITY_CEILING
from gan_lab.experiments.mode_collapse.trainings import METHODS, CountSchedule, train_and_count
from gan_lab.validation import check_count, check_interval

DATA = ("ring", "grid", BY_SAMPLE)
RING_STD = 0.01414427157  # conf/data/ring.yaml


@dataclass(frozen=True)
class ModeCollapse(Experiment):
    """Every loss on data whose modes are known.

    Attributes:
        datasets: Data sets: ring, grid, stacked_digits.
        toy_steps: Rounds of training on the ring and the grid.
        digit_steps: Rounds on the stacked digits.
        toy_width: Hidden units of the networks on the ring and the grid.
        toy_depth: Hidden layers of these networks.
        toy_learning_rate: At the start of training on the ring and the grid, falling to 0.
        ring_std: Width of a mode of the ring, data units.
        digit_width: The same on the stacked digits.
        batch_size: Samples of one update on the ring and the grid.
        toy_looks: Counts of the modes over training on the ring and the grid, besides the one
            before it.
        digit_looks: The same on the stacked digits, where a count is a search for neighbours.
        n: Samples of one count, and of the last on the ring and the grid.
        n_stacked: Samples of the last count on the stacked digits.
        floor_repeats: Counts of the data themselves.
    """

    datasets: Sequence[str] = DATA
    toy_steps: int = 1500
    digit_steps: int = 250
    toy_width: int = 64
    toy_depth: int = 3
    toy_learning_rate: float = 1e-3
    ring_std: float = RING_STD
    digit_width: int = 128
    batch_size: int = 128
    toy_looks: int = 50
    digit_looks: int = 10
    n: int = 2500
    n_stacked: int = 26000
    floor_repeats: int = 1000

    title: ClassVar[str] = "Mode collapse"
    question: ClassVar[str] = (
        "Which modes of the data does each loss reach, which does it lose again, and does packing "
        "help?"
    )
    reference: ClassVar[str] = (
        "Lin et al. 2018 (PacGAN), arXiv:1712.04086; Srivastava et al. 2017 (VEEGAN), "
        "arXiv:1705.07761"
    )

    def __post_init__(self) -> None:
        object.__setattr__(self, "datasets", tuple(self.datasets))
        if not self.datasets or len(set(self.datasets)) < len(self.datasets):
            names = list(self.datasets)
            raise ValueError(f"ModeCollapse.datasets={names} names none, or one twice")
        for name in self.datasets:
            if name not in DATA:
                choices = ", ".join(DATA)
                raise ValueError(f"ModeCollapse.datasets={name} is unknown; take of {choices}")
        for name in ("toy_steps", "digit_steps", "toy_width", "toy_depth", "digit_width"):
            check_count(self, name)
        for name in ("n", "n_stacked"):
            check_count(self, name)
        for name in ("toy_learning_rate", "ring_std"):
            check_interval(self, name, getattr(self, name))
        for name in ("batch_size", "toy_looks", "digit_looks", "floor_repeats"):
            check_count(self, name, at_least=2)
        if self.batch_size % 2:
            raise ValueError(f"ModeCollapse.batch_size={self.batch_size} makes no packs of 2")

    def measure(self, lab: Lab) -> Arrays:
        """Train every method on every data set and count the data themselves."""
        jobs = {}
        # The critics make 3 to 5 updates a step and take longest; the stacked digits before all.
        for data in sorted(self.datasets, key=DATA.index, reverse=True):
            for method in sorted(METHODS, key=lambda name: "wasserstein" not in name):
                config = self._run_config(lab, data, METHODS[method])
                jobs[f"{data} {method}"] = (config, self._schedule(data))
        results = parallel.in_processes(lab, train_and_count, jobs)
        arrays: Arrays = {
            "data": np.array(self.datasets),
            "methods": np.array(list(METHODS)),
            "seeds": np.array(lab.seeds),
        }
        for data in self.datasets:
            schedule = self._schedule(data)
            rows = [results[f"{data} {method}"] for method in METHODS]
            source = lab.run_config(self._data(data)).data.open(torch.device("cpu"))
            repeats = max(2, self.floor_repeats // 5) if data == BY_SAMPLE else self.floor_repeats
            of_data = {
                **{name: np.stack([row[name] for row in rows]) for name in rows[0]},
                **{key: np.array(getattr(schedule, key)) for key in ("steps", "n", "n_final")},
                **coverage.score_data(source, schedule.n_final, repeats),
            }
            arrays |= {f"{data}/{name}": array for name, array in of_data.items()}
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge ceilings and floors of the data, the penalised critic's coverage, packing."""
        data = arrays["data"].tolist()
        claims = [claim for name in data for claim in verdicts.claims_of_data(arrays, name)]
        for name in data:
            if name == "ring":
                claims += verdicts.claims_of_critic(arrays, name)
            else:
                claims.append(verdicts.claim_of_critic_over_non_saturating(arrays, name))
            if name != BY_SAMPLE:
                claims.append(verdicts.claim_of_packing(arrays, name))
        return claims

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw modes, quality and KL with their marks, survival, rasters of one seed, packing."""
        data = arrays["data"].tolist()
        toys = [name for name in data if name != BY_SAMPLE]
        too_few = [name for name in data if verdicts.packing_is_undecided(arrays, name)]
        return {
            "modes": drawings.modes(arrays),
            "quality_and_kl": drawings.quality_and_kl(arrays),
            "survival": drawings.survival(arrays),
            **{f"raster_{name}": drawings.raster(arrays, name) for name in toys},
            "packing": drawings.packing(arrays, too_few),
        }

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return the median number of modes covered against steps."""
        return {
            f"{data}/modes_covered/{method}": (
                arrays[f"{data}/steps"],
                np.median(coverage.modes_over_time(arrays, data)[i], -1),
            )
            for data in arrays["data"].tolist()
            for i, method in enumerate(arrays["methods"].tolist())
        }

    def notes(self, arrays: Arrays) -> list[str]:
        """Say what the numbers mean and what they do not."""
        methods, notes = arrays["methods"].tolist(), []
        for data in arrays["data"].tolist():
            name, k = NAMES[data], len(arrays[f"{data}/weights"])
            modes, good = coverage.final_modes(arrays, data), coverage.quality(arrays, data)
            medians = ", ".join(
                f"{method} {np.median(modes[i]):g} [{modes[i].min()}, {modes[i].max()}]"
                for i, method in enumerate(methods)
            )
            notes.append(
                f"{name}, modes of {k} after {arrays[f'{data}/steps'][-1]} steps, median "
                f"[least, greatest] of {modes.shape[1]} seeds: {medians}"
            )
            if data != BY_SAMPLE and good.max() > QUALITY_CEILING:
                worst = methods[int(good.max(1).argmax())]
                notes.append(
                    f"{name}: {worst} reaches a high-quality share of {good.max():.2%}, "
                    f"above the {QUALITY_CEILING:.2%} of the data: collapse within modes"
                )
            away = coverage.uncovered_share(arrays[f"{data}/good"])[methods.index("wasserstein")]
            notes.append(
                f"{name}: with the penalised critic {np.median(away):.1%} [{away.min():.1%}, "
                f"{away.max():.1%}] of (mode, look) pairs of the second half of training are "
                f"without a high-quality sample of {int(arrays[f'{data}/n'])}"
            )
            average = coverage.n_covered(arrays[f"{data}/average_good"]).astype(float)
            gain = np.mean(average - coverage.n_covered(arrays[f"{data}/good"][:, -1]))
            notes.append(
                f"{name}: the generator's moving average covers {gain:+.2f} modes with high-quality"
                f" samples more than the generator as it is, in the mean over all methods"
            )
        if gaps := [NAMES[name] for name in DATA if name not in arrays["data"]]:
            notes.append(
                f"Not judged here: the {' and the '.join(gaps)}; the full study (quick=false) "
                "trains on them with 5 seeds."
            )
        notes.append(
            "The papers' protocol is kept in its counting alone (2500 samples, high quality within "
            "3 standard deviations, a mode counts with one such sample): networks, budgets and "
            "scales differ between VEEGAN, PacGAN and this study, so only orderings within one "
            "study are comparable."
        )
        return notes

    def _schedule(self, data: str) -> CountSchedule:
        if data == BY_SAMPLE:
            steps, looks, n_final = self.digit_steps, self.digit_looks, self.n_stacked
        else:
            steps, looks, n_final = self.toy_steps, self.toy_looks, self.n
        return CountSchedule(steps, max(1, steps // looks), self.n, n_final)

    def _run_config(self, lab: Lab, data: str, overrides: Sequence[str]) -> object:
        if data == BY_SAMPLE:
            size = [f"network.width={self.digit_width}", f"trainer.steps={self.digit_steps}"]
        else:
            size = [f"network.width={self.toy_width}", f"trainer.steps={self.toy_steps}"]
            size += [f"network.depth={self.toy_depth}", f"optim.lr={self.toy_learning_rate}"]
            size.append(f"trainer.batch_size={self.batch_size}")
        return lab.run_config(
            [
                *(f"seed={lab.seeds[0]}", f"n_seeds={len(lab.seeds)}", f"device={lab.device}"),
                *(*self._data(data), "optim.decay=linear", "execution.threads=1"),
                *(*overrides, *size),
            ]
        )

    def _data(self, data: str) -> list[str]:
        """Return the overrides that choose a data set."""
        return [f"data={data}", *([f"data.std={self.ring_std}"] if data == "ring" else [])]
