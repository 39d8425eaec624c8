"""Does the generator get worse after its best step: three losses on images, long runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.best_and_last import claims as verdicts
from gan_lab.experiments.best_and_last import figures as drawings
from gan_lab.experiments.best_and_last.claims import NAMES, best_looks, decays, held_out_best
from gan_lab.experiments.best_and_last.trainings import (
    DATA,
    GENERATORS,
    METHODS,
    LookSchedule,
    real_distances,
    train_and_judge,
)
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.training import seed_config, train_methods
from gan_lab.reports.analysis.statistics import mean
from gan_lab.validation import check_count

_REAL_REPEATS = 20
_MAX_SAMPLES = 1000  # as many real images are held out


@dataclass(frozen=True)
class BestAndLast(Experiment):
    """Best step by validation against the last, both judged on held-out images.

    Attributes:
        steps: Steps of every training.
        n_looks: Steps, evenly, after which the generators are judged; the last step is one.
        n: Samples of one FD, at most 1000.
    """

    steps: int = 4000
    n_looks: int = 20
    n: int = 1000

    title: ClassVar[str] = "Best and last"
    question: ClassVar[str] = (
        "Does a generator get worse after its best step, with which loss, and does the average of "
        "its weights hide it?"
    )
    reference: ClassVar[str] = (
        "Kang et al. 2022 (StudioGAN), arXiv:2206.09479, its logs of CIFAR-10: best and last step"
    )

    def __post_init__(self) -> None:
        check_count(self, "steps", at_least=2)
        check_count(self, "n_looks", at_least=2, at_most=self.steps)
        check_count(self, "n", at_least=2, at_most=_MAX_SAMPLES)

    @property
    def schedule(self) -> LookSchedule:
        """The looks, evenly, the last of them at the end."""
        looks = range(1, self.n_looks + 1)
        return LookSchedule(tuple(round(i * self.steps / self.n_looks) for i in looks), self.n)

    def measure(self, lab: Lab) -> Arrays:
        """Train each method with each seed; judge real images as samples, too."""
        results = train_methods(lab, train_and_judge, DATA, METHODS, self.schedule)
        arrays: Arrays = {
            "methods": np.array(list(METHODS)),
            "generators": np.array(GENERATORS),
            "seeds": np.array(lab.seeds),
            "steps": np.array(self.schedule.steps),
            "n": np.array(self.n),
            "real": real_distances(
                seed_config(lab, DATA, METHODS["r1"], lab.seeds[0]), self.n, _REAL_REPEATS
            ),
        }
        for method, rows in results.items():
            for key in ("validation", "held_out", "again"):
                arrays[f"{method}/{key}"] = np.stack([row[key] for row in rows])
            arrays[f"{method}/images"] = rows[0]["images"]
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge who decays, who stays, and what the average hides."""
        return verdicts.all_claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw decays, the curves they come from, and images of best and last."""
        return {
            "decay": drawings.decay(arrays),
            "curves": drawings.curves(arrays),
            "images": drawings.images(arrays),
        }

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return the median FD of each method to held-out images."""
        return {
            f"{method}/fd/{kind}": (
                arrays["steps"],
                np.median(arrays[f"{method}/held_out"][:, i], 0),
            )
            for method in arrays["methods"].tolist()
            for i, kind in enumerate(arrays["generators"].tolist())
        }

    def notes(self, arrays: Arrays) -> list[str]:
        """Return each method's best and last, how decay is measured, and what it does not show."""
        steps, notes = arrays["steps"], []
        n_seeds, n = len(arrays["seeds"]), int(arrays["n"])
        for method in arrays["methods"].tolist():
            for kind in GENERATORS:
                best, last = (
                    held_out_best(arrays, method, kind),
                    verdicts.last(arrays, method, kind),
                )
                at = np.median(steps[best_looks(arrays, method, kind)])
                value, low, high = mean(decays(arrays, method, kind))
                notes.append(
                    f"{NAMES[method]}, generator {verdicts.KINDS[kind]}: FD to held-out images "
                    f"{np.median(best):.4f} at its best step (median {at:g} of {steps[-1]}), "
                    f"{np.median(last):.4f} at the last; decay {value:+.3f} [{low:.3f}, "
                    f"{high:.3f}] in log FD, a factor of {np.exp(value):.2f}, {n_seeds} seeds."
                )
        real = arrays["real"]
        notes += [
            f"Real data: {n} training images have FD {real.mean():.4f} (standard deviation "
            f"{real.std():.4f}) to the held-out images. FD is the Frechet distance in the features "
            "of a classifier of these digits over the real covariance's trace, not Inception's.",
            "Decay is log(FD last / FD best), in natural logarithms. The best step is chosen on "
            "validation images with samples of its own; both steps are judged on held-out images "
            "with other samples, so a decay of a run whose best step is its last is not 0 but the "
            "noise of FD.",
            "Beside it: StudioGAN's logs on CIFAR-10, one training each, DCGAN 49.03 at its best "
            "and 137.41 at its last step (log 1.03), WGAN-GP 25.85 and 29.46 (log .13). Their "
            "networks (WGAN-GP: a ResNet), data, judge and lengths differ, and they choose "
            "the best step by the judge itself.",
            "The loss without a penalty keeps the learning rate that was chosen with R1; with one "
            "of its own it may decay less.",
        ]
        if steps[-1] < verdicts.LONG_RUN:
            notes.append(
                f"No claim is made on who decays more in a run below {verdicts.LONG_RUN} steps: "
                "all of them still improve, and a difference is the noise of FD."
            )
        return notes
