"""Stacked MNIST: how many of 1000 modes, how evenly and how legibly, with and without packing."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.mode_collapse.coverage import expected_modes, kl_floor, score_data
from gan_lab.experiments.stacked_mnist import claims as verdicts
from gan_lab.experiments.stacked_mnist import figures as drawings
from gan_lab.experiments.stacked_mnist.claims import NAMES
from gan_lab.experiments.stacked_mnist.trainings import (
    DATA,
    METHODS,
    N_PREVIEW,
    as_pictures,
    train_and_count,
)
from gan_lab.experiments.training import train_methods
from gan_lab.validation import check_count

_LEAST_SAMPLES = 2000  # twice the modes: with fewer the floor of KL is no expansion in 1/n


@dataclass(frozen=True)
class StackedMnistModes(Experiment):
    """Modes, their evenness and legibility on three digits in three channels.

    Attributes:
        steps: Steps of every training.
        n: Samples of the count, at least 2000.
        floor_repeats: Counts of the data themselves.
    """

    steps: int = 2000
    n: int = 26000
    floor_repeats: int = 200

    title: ClassVar[str] = "Stacked MNIST"
    question: ClassVar[str] = (
        "How many of the 1000 modes does each loss reach, how evenly, how legible are its samples, "
        "and does packing help?"
    )
    reference: ClassVar[str] = (
        "Lin et al. 2018 (PacGAN), arXiv:1712.04086; Srivastava et al. 2017 (VEEGAN), "
        "arXiv:1705.07761; Metz et al. 2017 (Unrolled GAN), arXiv:1611.02163"
    )

    def __post_init__(self) -> None:
        check_count(self, "steps")
        check_count(self, "n", at_least=_LEAST_SAMPLES)
        check_count(self, "floor_repeats", at_least=2)

    def measure(self, lab: Lab) -> Arrays:
        """Train each method with each seed, count, and count the data themselves."""
        results = train_methods(lab, train_and_count, DATA, METHODS, self.steps, self.n)
        source = lab.run_config([f"data={DATA}"]).data.open(torch.device("cpu"))
        arrays: Arrays = {
            "methods": np.array(list(METHODS)),
            "seeds": np.array(lab.seeds),
            "steps": np.array(self.steps),
            "n": np.array(self.n),
            "real_images": as_pictures(
                source.held_out(N_PREVIEW, torch.Generator().manual_seed(0))
            ),
            **score_data(source, self.n, self.floor_repeats),
        }
        for method, rows in results.items():
            for key in ("nearest", "good"):
                arrays[f"{method}/{key}"] = np.stack([row[key] for row in rows])
            arrays[f"{method}/images"] = rows[0]["images"]
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge the floor of KL, packing, and what a bare count hides."""
        return verdicts.all_claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw modes, KL and confident share beside published numbers, and samples."""
        return {"modes": drawings.modes(arrays), "samples": drawings.samples(arrays)}

    def notes(self, arrays: Arrays) -> list[str]:
        """Return each method's numbers, those of the data, and how protocols differ."""
        n, weights, notes = int(arrays["n"]), arrays["weights"], []
        for method in arrays["methods"].tolist():
            for kind, words in enumerate(("as it is", "averaged")):
                modes, kl, share = (
                    score(arrays, method, kind)
                    for score in (verdicts.modes, verdicts.kl, verdicts.confident_share)
                )
                notes.append(
                    f"{NAMES[method]}, generator {words}: {np.median(modes):g} modes "
                    f"[{modes.min()}, {modes.max()}], KL {np.median(kl):.3f} [{kl.min():.3f}, "
                    f"{kl.max():.3f}] nats, confident {np.median(share):.1%} [{share.min():.1%}, "
                    f"{share.max():.1%}]; median [least, greatest] of {len(modes)} seeds after "
                    f"{int(arrays['steps'])} steps."
                )
        notes += [
            f"Real data, {n} samples: {expected_modes(weights, n):.1f} of {len(weights)} modes, KL "
            f"{kl_floor(weights, n):.4f} nats, {verdicts.real_confident_share(arrays):.1%} "
            "confident (held-out digits). Confident: on each of the three channels the classifier "
            "is as sure as of 95 % of single held-out digits.",
            "Kept of the papers' protocol is the counting: 26,000 samples (quick: fewer), a "
            "classifier for each channel, a mode counts with one sample of any quality. Theirs "
            "draw from all of MNIST, with larger networks trained longer, and VEEGAN's table, "
            "PacGAN's and the later ones differ among themselves in both; only orders within one "
            "table are comparable.",
            "Packing excludes gradient penalties, so it is compared without one.",
        ]
        return notes
