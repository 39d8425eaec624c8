"""Generators held still, fresh discriminators trained: what is left of the generator's gradient."""

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
from gan_lab.experiments.vanishing_gradients import figures as draw
from gan_lab.experiments.vanishing_gradients import fit
from gan_lab.reports.analysis.statistics import median
from gan_lab.validation import check_count

GRADIENTS = ("minimax", "non_saturating", "wasserstein")
IMAGES = "digits"  # the published protocol is about images: its analogue is claimed on these
_FAR = 30.0  # median absolute deviations
_SHOWN = 256  # samples of one generator in the pictures
_SOURCE = (
    "analogue of Arjovsky and Bottou 2017, arXiv:1701.04862, fig. 2 (theirs: up to 5 decades after "
    "4000 updates, read second-hand); the bound is ours, fixed before the runs"
)


@dataclass(frozen=True)
class VanishingGradients(Experiment):
    """Arjovsky and Bottou 2017, figures 1 to 3, on small data.

    Attributes:
        datasets: Names of data sets.
        widths: Units of each hidden layer of both networks, one number a data set.
        stages: Steps of non-saturating training after which a generator is frozen.
        n_steps: Updates of each fresh discriminator.
        n_looks: About how many times it is looked at, evenly on a logarithmic scale.
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
        check_count(self, "n_steps", at_least=10)
        check_count(self, "n_looks", at_least=3)
        check_count(self, "n_batches", at_least=2)
        check_count(self, "batch_size", at_least=2)
        name = type(self).__name__
        if not self.datasets or len(set(self.datasets)) != len(self.datasets):
            raise ValueError(
                f"{name}.datasets={list(self.datasets)} names no data set, or one twice"
            )
        if len(self.widths) != len(self.datasets):
            raise ValueError(
                f"{name}.widths={list(self.widths)} needs one number a data set: {self.datasets}"
            )
        if not self.stages or sorted({*self.stages, 0})[1:] != list(self.stages):
            raise ValueError(f"{name}.stages={list(self.stages)} are no increasing steps >= 1")

    @property
    def looks(self) -> list[int]:
        """Updates after which a discriminator is looked at: 0, 1, ..., n_steps."""
        spaced = np.geomspace(1, self.n_steps, self.n_looks - 1).round().astype(int)
        return sorted({0, *spaced.tolist()})

    def measure(self, lab: Lab) -> Arrays:
        """Trains the generators, then, for each, a discriminator and a critic."""
        device, seeds = str(lab.device), (f"seed={lab.seeds[0]}", f"n_seeds={len(lab.seeds)}")
        shared = {
            data: (
                *seeds,
                *(f"data={data}", f"device={device}", f"network.width={width}"),
                *(f"trainer.batch_size={self.batch_size}", "execution.threads=1"),
            )
            for data, width in zip(self.datasets, self.widths, strict=True)
        }
        objective = ("loss=non_saturating", "trainer.ema=0", f"trainer.steps={self.stages[-1]}")
        setups = {data: lab.setup([*keys, *objective]) for data, keys in shared.items()}
        made = parallel.in_processes(
            lab,
            fit.generators,
            {f"generators of {d}": (s, self.stages, device) for d, s in setups.items()},
        )
        fresh = {
            "critic": (
                "loss=wasserstein",
                f"regularizer.gradient_penalty.weight={self.penalty_weight}",
            ),
            "discriminator": ("loss=non_saturating",),
        }
        jobs = {}
        for player, keys in fresh.items():
            for data in self.datasets:
                setup = lab.setup([*shared[data], *keys, f"optim.lr={self.lr}"])
                what = fit.Fit(setup, self.looks, self.n_batches, device)
                jobs[f"{player} on {data}"] = (what, made[f"generators of {data}"]["leaves"])
        done = parallel.in_processes(lab, fit.fitted, jobs)

        arrays: Arrays = {
            "data": np.array(self.datasets),
            "stages": np.array(self.stages),
            "steps": np.array(self.looks),
            "tail_at": fit.TAIL,
            "batches": np.array(fit.BATCHES),
        }
        for data in self.datasets:
            source = setups[data].data.open(torch.device(device))
            shown = source.real(_SHOWN, stream(lab.seeds[0], "vanishing/shown", device))
            arrays[f"{data}/real"] = shown.cpu().numpy()
            samples = made[f"generators of {data}"]["samples"]["samples"]
            arrays[f"{data}/samples"] = samples[:: len(lab.seeds)]
            for player in fresh:
                for name, values in done[f"{player} on {data}"].items():
                    own = name if name.partition("/")[0] in GRADIENTS else f"{player}/{name}"
                    arrays[f"{data}/{own}"] = values
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """On images, over all stages at once: the least that is lost, the most that is lost."""
        if IMAGES not in arrays["data"]:
            return []
        lost = {name: decades_lost(arrays, IMAGES, name) for name in GRADIENTS}
        n = int(arrays["steps"][-1])
        after = f"from the fresh discriminator to {n} updates, generator held still, digits"
        found = [
            Claim(
                "minimax_vanishes",
                f"The minimax gradient loses decades {after}; the stage that loses least.",
                median(lost["minimax"].min(0)),
                *("at_least", 2.0, 0.0, "decades", _SOURCE),
            )
        ]
        for name, words in (
            ("non_saturating", "The non-saturating gradient"),
            ("wasserstein", "The gradient of a gradient-penalty critic"),
        ):
            found.append(
                Claim(
                    f"{name}_stays",
                    f"{words} falls less than 10-fold {after}; the stage that loses most.",
                    median(lost[name].max(0)),
                    *("at_most", 1.0, 0.0, "decades", "ours, beside the claim on minimax"),
                )
            )
        return found

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """The gradients, the decades, the discriminators, the generators, the noise."""
        lost = {
            (str(data), name): decades_lost(arrays, str(data), name)
            for data in arrays["data"]
            for name in GRADIENTS
        }
        pictures = {
            "gradient_norms": draw.gradient_norms(arrays),
            "decades_lost": draw.decades(arrays, lost),
            "discriminators": draw.discriminators(arrays),
            "generators": draw.generators(arrays),
        }
        for data in arrays["data"]:
            pictures[f"noise_{data}"] = draw.noise(arrays, str(data))
        return pictures

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """The median norms over seeds."""
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
        """What the claims leave out: each stage, the peak, the ring, the tails."""
        found = []
        stages = ", ".join(map(str, arrays["stages"]))
        for data in map(str, arrays["data"]):
            said = []
            for name in GRADIENTS:
                each = np.median(decades_lost(arrays, data, name), 1)
                said.append(f"{name} {', '.join(f'{x:.1f}' for x in each)}")
            peak = np.median(decades_lost(arrays, data, "minimax", peak=True), 1)
            right = np.median(arrays[f"{data}/discriminator/accuracy"][..., -1], 1)
            found.append(
                f"{data}, generators of {stages} steps: median decades lost (negative: gained) "
                f"{'; '.join(said)}. Minimax from its peak: "
                f"{', '.join(f'{x:.1f}' for x in peak)}. Discriminator's last accuracy "
                f"{', '.join(f'{x:.3f}' for x in right)}."
            )
            slopes = np.median(noise_exponents(arrays, data), 1)
            found.append(
                f"{data}: the spread of the non-saturating gradient's mean over n samples falls as "
                f"n to the power {', '.join(f'{x:.2f}' for x in slopes)} at the last look; -.5 "
                f"says finite variance, 0 a Cauchy distribution. Beyond {_FAR:.0f} median absolute "
                f"deviations lie shares of {', '.join(f'{x:.4f}' for x in beyond(arrays, data))} "
                f"of single samples (Cauchy {1 - 2 / math.pi * math.atan(_FAR):.4f}, normal 0)."
            )
        if "ring" in arrays["data"]:
            found.append(
                "A gradient vanishes where a discriminator can be perfect. Where generated and "
                "real samples overlap, as on the ring after long training, it cannot, and the "
                "minimax gradient stays."
            )
        found.append(
            "The Cauchy corollary (theorem 2.6 of the paper, recalled, not read again) supposes a "
            "discriminator whose errors are white noise. The errors of a trained network are "
            "smooth, and with a logit f the gradient of -log D is (D - 1) grad f, bounded by the "
            "slope of f. Heavy tails here are an observation; nothing is claimed."
        )
        return found


def decades_lost(arrays: Arrays, data: str, name: str, *, peak: bool = False) -> np.ndarray:
    """log10 of the gradient's first (or largest) norm over its last, [K, S]; inf where it is 0."""
    norm = arrays[f"{data}/{name}/norm"]
    first = norm.max(-1) if peak else norm[..., 0]
    with np.errstate(divide="ignore"):
        return np.log10(first) - np.log10(norm[..., -1])


def beyond(arrays: Arrays, data: str) -> np.ndarray:
    """Share of single samples whose gradient lies far out, the mean over seeds, [K]."""
    far = int(np.abs(arrays["tail_at"] - _FAR).argmin())
    return arrays[f"{data}/discriminator/tail"][..., far].mean(1)


def noise_exponents(arrays: Arrays, data: str) -> np.ndarray:
    """Exponent of n in the spread of a mean over n samples, by least squares, [K, S]."""
    n = np.log(arrays["batches"])
    spread = np.log(arrays[f"{data}/discriminator/spread"])
    return (spread * (n - n.mean())).sum(-1) / ((n - n.mean()) ** 2).sum()
