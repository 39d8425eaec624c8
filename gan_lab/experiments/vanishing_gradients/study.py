"""The gradient of a frozen generator while a fresh discriminator is trained against it."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab.engine.rng import stream
from gan_lab.experiments import parallel
from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.vanishing_gradients import claims as judge
from gan_lab.experiments.vanishing_gradients import figures as draw
from gan_lab.experiments.vanishing_gradients import fit
from gan_lab.experiments.vanishing_gradients.claims import FAR, GRADIENTS, decades_lost
from gan_lab.validation import check_count

_N_SAMPLES = 256  # of one generator in the pictures


@dataclass(frozen=True)
class VanishingGradients(Experiment):
    """Arjovsky and Bottou 2017, figures 1 to 3, on small data.

    Attributes:
        datasets: Names of data sets.
        widths: Units of each hidden layer of both networks, one number a data set.
        stages: Steps of non-saturating training after which a generator is frozen.
        n_steps: Updates of each fresh discriminator.
        n_looks: About how many times it is measured, evenly on a logarithmic scale.
        n_batches: Batches that a gradient's mean and variance are taken over.
        batch_size: Samples on each side.
        lr: Of the fresh discriminators' Adam.
        penalty_weight: Of the critic's gradient penalty.
    """

    datasets: tuple[str, ...] = ("digits", "ring")
    widths: tuple[int, ...] = (64, 64)
    stages: tuple[int, ...] = (20, 200, 2000)
    n_steps: int = 4000
    n_looks: int = 15
    n_batches: int = 8
    batch_size: int = 64
    lr: float = 1e-4
    penalty_weight: float = 10.0

    title: ClassVar[str] = "Vanishing gradients"
    question: ClassVar[str] = (
        "A generator is held still while a fresh discriminator is trained: what is left of the "
        "gradient that each loss would send to the generator's weights?"
    )
    reference: ClassVar[str] = "Arjovsky and Bottou 2017, arXiv:1701.04862, figures 1 to 3"

    def __post_init__(self) -> None:
        for key, least in (("n_steps", 10), ("n_looks", 3), ("n_batches", 2), ("batch_size", 2)):
            check_count(self, key, at_least=least)
        name = type(self).__name__
        if not self.datasets or len(set(self.datasets)) != len(self.datasets):
            names = list(self.datasets)
            raise ValueError(f"{name}.datasets={names} names no data set, or one twice")
        if len(self.widths) != len(self.datasets):
            needs = f"needs one number a data set: {self.datasets}"
            raise ValueError(f"{name}.widths={list(self.widths)} {needs}")
        if not self.stages or sorted({*self.stages, 0})[1:] != list(self.stages):
            raise ValueError(f"{name}.stages={list(self.stages)} are no increasing steps >= 1")

    @property
    def looks(self) -> list[int]:
        """Updates after which a discriminator is measured: 0, 1, ..., n_steps."""
        steps = np.geomspace(1, self.n_steps, self.n_looks - 1).round().astype(int)
        return sorted({0, *steps.tolist()})

    def measure(self, lab: Lab) -> Arrays:
        """Train the generators, then, for each, a discriminator and a critic."""
        device, stages = str(lab.device), self.stages
        common = (
            *(f"seed={lab.seeds[0]}", f"n_seeds={len(lab.seeds)}", f"device={device}"),
            *(f"trainer.batch_size={self.batch_size}", "execution.threads=1"),
        )
        keys = {
            data: (*common, f"data={data}", f"network.width={width}")
            for data, width in zip(self.datasets, self.widths, strict=True)
        }
        long = ("loss=non_saturating", "trainer.ema=0", f"trainer.steps={stages[-1]}")
        configs = {data: lab.run_config([*keys[data], *long]) for data in self.datasets}
        to_freeze = {f"generators of {d}": (s, stages, device) for d, s in configs.items()}
        generators = parallel.in_processes(lab, fit.freeze_generators, to_freeze)
        weight = f"regularizer.gradient_penalty.weight={self.penalty_weight}"
        losses = {"critic": ("loss=wasserstein", weight), "discriminator": ("loss=non_saturating",)}
        jobs = {}
        for network, loss in losses.items():
            for data in self.datasets:
                config = lab.run_config([*keys[data], *loss, f"optim.lr={self.lr}"])
                job = fit.Fit(config, self.looks, self.n_batches, device)
                jobs[f"{network} on {data}"] = (job, generators[f"generators of {data}"].leaves)
        results = parallel.in_processes(lab, fit.fit_discriminators, jobs)

        arrays: Arrays = {
            "data": np.array(self.datasets),
            "stages": np.array(stages),
            "steps": np.array(self.looks),
            "tail_at": fit.TAIL,
            "batches": np.array(fit.BATCHES),
        }
        for data in self.datasets:
            source = configs[data].data.open(torch.device(device))
            real = source.real(_N_SAMPLES, stream(lab.seeds[0], "vanishing/shown", device))
            arrays[f"{data}/real"] = real.cpu().numpy()
            samples = generators[f"generators of {data}"].samples
            arrays[f"{data}/samples"] = samples[:: len(lab.seeds)]
            for network in losses:
                for name, values in results[f"{network} on {data}"].items():
                    own = name if name.partition("/")[0] in GRADIENTS else f"{network}/{name}"
                    arrays[f"{data}/{own}"] = values
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge the gradients on images."""
        return judge.all_claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw the gradients, the decades, the discriminators, the generators, the noise."""
        return {
            "gradient_norms": draw.gradient_norms(arrays),
            "decades_lost": draw.decades(arrays),
            "discriminators": draw.discriminators(arrays),
            "generators": draw.generators(arrays),
            **{f"noise_{data}": draw.noise(arrays, data) for data in arrays["data"].tolist()},
        }

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return the median norms over seeds."""
        return {
            f"{data}/{name}_norm/generator_of_{stage}_steps": (
                arrays["steps"],
                np.median(arrays[f"{data}/{name}/norm"][k], 0),
            )
            for data in arrays["data"]
            for name in GRADIENTS
            for k, stage in enumerate(arrays["stages"])
        }

    def notes(self, arrays: Arrays) -> list[str]:
        """Say what the claims leave out: each stage, the peak, the ring, the tails."""
        notes, stages = [], ", ".join(map(str, arrays["stages"]))
        for data in map(str, arrays["data"]):
            decades = {n: np.median(decades_lost(arrays, data, n), 1) for n in GRADIENTS}
            lists = (f"{n} {', '.join(f'{x:.1f}' for x in each)}" for n, each in decades.items())
            peak = np.median(decades_lost(arrays, data, "minimax", peak=True), 1)
            right = np.median(arrays[f"{data}/discriminator/accuracy"][..., -1], 1)
            notes.append(
                f"{data}, generators of {stages} steps: median decades lost (negative: gained) "
                f"{'; '.join(lists)}. Minimax from its peak: "
                f"{', '.join(f'{x:.1f}' for x in peak)}. Discriminator's last accuracy "
                f"{', '.join(f'{x:.3f}' for x in right)}."
            )
            far = ", ".join(f"{x:.4f}" for x in judge.tail_share(arrays, data))
            exponents = np.median(judge.noise_exponents(arrays, data), 1)
            notes.append(
                f"{data}: the spread of the non-saturating gradient's mean over n samples falls as "
                f"n to the power {', '.join(f'{x:.2f}' for x in exponents)} at the last look; -.5 "
                f"says finite variance, 0 a Cauchy distribution. Beyond {FAR:.0f} median absolute "
                f"deviations lie shares of {far} of single samples "
                f"(Cauchy {1 - 2 / math.pi * math.atan(FAR):.4f}, normal 0)."
            )
        if "ring" in arrays["data"]:
            notes.append(
                "A gradient vanishes where a discriminator can be perfect. Where generated and "
                "real samples overlap, as on the ring after long training, it cannot, and the "
                "minimax gradient stays."
            )
        notes.append(
            "The Cauchy corollary (theorem 2.6 of the paper, recalled, not read again) supposes a "
            "discriminator whose errors are white noise. The errors of a trained network are "
            "smooth, and with a logit f the gradient of -log D is (D - 1) grad f, bounded by the "
            "slope of f. Heavy tails here are an observation; nothing is claimed."
        )
        return notes
