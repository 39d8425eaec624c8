"""Critics that are clipped and critics that are penalised: surfaces, gradients, weights, values."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.critic_surfaces import critics, transport
from gan_lab.experiments.critic_surfaces import figures as drawings
from gan_lab.experiments.critic_surfaces.claims import all_claims, log_growth
from gan_lab.experiments.parallel import measure_parts
from gan_lab.information import clipping_gradient_norm_bound
from gan_lab.regularizers import GradientPenalty, WeightClipping
from gan_lab.validation import check_count, check_interval, check_number


@dataclass(frozen=True)
class CriticSurfaces(Experiment):
    """Critics under clipping and three penalties, against the exact transport of samples.

    Attributes:
        steps: Updates of the critics of 3 hidden layers.
        batch_size: Samples of either side in each update.
        width: Of every hidden layer.
        bound: Of clipping.
        weight: Of the penalty, two-sided as published, and one-sided.
        small_weight: Of a third, light penalty.
        lr: Of Adam and RMSprop; it falls to 0.
        deep_layers: Hidden layers of the deep critics.
        deep_bounds: Their bounds, the largest first.
        deep_steps: Their updates.
        deep_lr: Their learning rate, constant.
        n_transport: Samples of either side for the exact W1.
    """

    steps: int = 800
    batch_size: int = 128
    width: int = 64
    bound: float = 0.0476
    weight: float = 10.0
    small_weight: float = 0.1
    lr: float = 0.003
    deep_layers: int = 12
    deep_bounds: Sequence[float] = (0.1, 0.01, 0.001)
    deep_steps: int = 300
    deep_lr: float = 0.001
    n_transport: int = 1024

    title: ClassVar[str] = "Critic surfaces"
    question: ClassVar[str] = (
        "What do clipping and the gradient penalty make of a critic: its surface, its value "
        "against the exact W1, its gradients layer by layer, its weights?"
    )
    reference: ClassVar[str] = (
        "Gulrajani et al. 2017, arXiv:1704.00028, fig. 1; values: Korotin et al. 2022"
    )

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "width", "deep_layers", "deep_steps", "n_transport"):
            check_count(self, name)
        for name in ("bound", "weight", "small_weight", "lr", "deep_lr"):
            check_interval(self, name, getattr(self, name))
        for bound in self.deep_bounds:
            check_number(self, "deep_bounds", bound)
        falls = all(a > b > 0 for a, b in zip(self.deep_bounds, self.deep_bounds[1:], strict=False))
        if len(self.deep_bounds) < 2 or not falls:
            raise ValueError(
                f"CriticSurfaces.deep_bounds={list(self.deep_bounds)} does not fall from bound to "
                "bound; give two or more, the largest first, say [0.1,0.01,0.001]"
            )

    def measure(self, lab: Lab) -> Arrays:
        """Train every kind of critic and transport each data set, a job each."""
        size = (self.width, self.steps, self.batch_size, self.lr)
        depth = (self.deep_layers, self.width, self.deep_steps, self.batch_size, self.deep_lr)
        where = (list(lab.seeds), lab.device)
        kinds = {
            "penalty": GradientPenalty(self.weight),
            "one_sided": GradientPenalty(self.weight, one_sided=True),
            "light": GradientPenalty(self.small_weight),
            "clip": WeightClipping(self.bound),
        }
        clips = {f"clip_{i}": WeightClipping(bound) for i, bound in enumerate(self.deep_bounds)}
        jobs: dict[str, tuple[Any, ...]] = {
            name: (critics.shallow, critics.Design(kind, 3, *size), *where)
            for name, kind in kinds.items()
        }
        for name, kind in {"penalty": kinds["penalty"], **clips}.items():
            jobs[f"deep/{name}"] = (critics.deep, critics.Design(kind, *depth, falls=False), *where)
        # Started inside the box, so that what is on a bound in the end was driven there.
        inside = critics.Design(kinds["clip"], 3, *size, reach=self.bound)
        jobs["inside"] = (critics.deep, inside, *where)
        for name in transport.DATA:
            jobs[f"exact/{name}"] = (transport.transport, name, self.n_transport, *where)
        bounds = {"deep_bounds": np.array(self.deep_bounds), "bound": np.array(self.bound)}
        return bounds | measure_parts(lab, jobs)

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Claim what `claims` lists."""
        return all_claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw surfaces, gradient norms by layer, weights, values."""
        draw = (drawings.surfaces, drawings.gradient_norms, drawings.weights, drawings.values)
        return {function.__name__: function(arrays) for function in draw}

    def notes(self, arrays: Arrays) -> list[str]:
        """Explain the scale, upside-down critics, weights on bounds and floors."""
        upside_down = int((arrays["penalty/value"] < 0).sum())
        deep_down = int((arrays["deep/penalty/value"] < 0).sum())
        norm = clipping_gradient_norm_bound(self.bound, 4, self.width, 2)
        on_bounds = (
            [np.median(arrays[f"deep/clip_{i}/{key}"]) for key in ("at_bounds_first", "at_bounds")]
            for i in range(len(self.deep_bounds))
        )
        pairs = ", ".join(f"{first:.2f} -> {last:.2f}" for first, last in on_bounds)
        means = (np.mean(arrays[f"{kind}/contrast"][1]) for kind in ("one_sided", "clip"))
        grid = [float(arrays["exact/grid/contrast"]), *means]
        floors = ", ".join(f"{arrays[f'exact/{k}/floor'].mean():.2g}" for k in transport.DATA)
        return [
            f"Scaled: width {self.width} and {self.steps} updates, where the authors have 512 and "
            f"up to 500000; the clipping bound {self.bound:g} allows a slope of {norm:.2g}, as "
            "much as theirs. Fakes are real samples plus N(0, I), as in their code.",
            f"{upside_down} of {arrays['penalty/value'].size} critics with the published two-sided "
            f"penalty of weight {self.weight:g}, and {deep_down} of "
            f"{arrays['deep/penalty/value'].size} deep ones, are upside down: they started with "
            "the wrong sign, and slope -1 satisfies the penalty as well as slope 1. The one-sided "
            f"penalty and the light one ({self.small_weight:g}) have no such trap; the claims on "
            "values and surfaces use the one-sided one.",
            f"Slopes of log10 norm a layer: {_join(log_growth(arrays, 'penalty'))} (penalty), "
            f"{_join(log_growth(arrays, 'clip_0'))} (largest bound).",
            f"Weights on a bound after the first update and after the last: "
            f"{pairs} for the deep bounds: most of that share is made by the first "
            "clip of weights that start outside, not by training. So a critic that starts inside "
            "its box is shown too.",
            "At this size no critic resolves the 25 Gaussians as the exact potential does "
            f"(contrast {grid[0]:.2f} exact, {grid[1]:.2f} penalty, {grid[2]:.2f} clipping); the "
            "claim speaks of the 8 Gaussians.",
            f"W1 between samples is biased upwards; between two samples of the data it is {floors} "
            "data units.",
        ]


def _join(values: np.ndarray) -> str:
    return ", ".join(f"{value:.3f}" for value in values)
