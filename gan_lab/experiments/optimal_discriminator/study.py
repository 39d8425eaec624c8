"""The optimal discriminator: in theory, by autograd, and as training reaches it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.optimal_discriminator import exact, fit
from gan_lab.experiments.optimal_discriminator import figures as drawings
from gan_lab.experiments.optimal_discriminator.claims import all_claims, branch
from gan_lab.experiments.parallel import measure_parts
from gan_lab.information import gradient_penalty_value
from gan_lab.validation import check_count, check_interval, check_number

_CURVE = 61  # shifts of the curves in the picture of gradients


@dataclass(frozen=True)
class OptimalDiscriminator(Experiment):
    """See the question; fields are the keys of conf/experiment/optimal_discriminator.yaml.

    Attributes:
        shifts: Distances t of N(0, 1) and N(t, 1) in data units; 0 is the equilibrium.
        far: The distance in the picture of derivatives.
        steps: Updates of every discriminator.
        critic_steps: Updates of every critic.
        batch_size: Samples of either side in each update.
        width: Units of both hidden layers.
        lr: Of Adam.
    """

    shifts: Sequence[float] = (0.0, 0.1, 0.3, 1.0, 2.0, 3.0, 10.0)
    far: float = 6.0
    steps: int = 1000
    critic_steps: int = 1000
    batch_size: int = 256
    width: int = 32
    lr: float = 0.01

    title: ClassVar[str] = "The optimal discriminator"
    question: ClassVar[str] = (
        "What do D = p/(p+q) and the best critic say of two densities, what gradient do they give "
        "to each generator, and how much of it does a trained network reach?"
    )
    reference: ClassVar[str] = (
        "Goodfellow et al. 2014, arXiv:1406.2661, section 4; Arjovsky and Bottou 2017, "
        "arXiv:1701.04862; Arjovsky et al. 2017, arXiv:1701.07875, fig. 2"
    )

    def __post_init__(self) -> None:
        for name in ("steps", "critic_steps", "batch_size", "width"):
            check_count(self, name)
        check_interval(self, "lr", self.lr)
        check_interval(self, "far", self.far)
        for t in self.shifts:
            check_number(self, "shifts", t)
        for shift in (0.0, 10.0):
            if shift not in self.shifts:
                lacks = f"lacks {shift:g}, of which a claim speaks; add it"
                raise ValueError(f"OptimalDiscriminator.shifts={list(self.shifts)} {lacks}")

    def measure(self, lab: Lab) -> Arrays:
        """Compute the integrals, then train every network, in two processes where there are two."""
        shifts = [float(t) for t in self.shifts] + [float(self.far)]
        apart = [t for t in shifts if t > 0]
        curve = np.geomspace(0.05, 12.0, _CURVE)
        arrays: Arrays = {"shifts": np.array(shifts), "far": np.array(self.far)}
        arrays |= {"shift/t": np.array(apart), "curve/t": curve}
        for name, pair in exact.PAIRS.items():
            arrays |= _prefix(f"{name}/", exact.identities(pair))
            points, theta = fit.picture_points(pair.dim), pair.theta()
            values = {
                "points": points,
                "real": pair.real.log_density(points).exp(),
                "fake": exact.log_fake(points, theta).exp(),
            }
            arrays |= _prefix(f"pair_{name}/", values)
        arrays |= _prefix("1d/", exact.critic_identity(exact.PAIRS["1d"]))
        arrays |= _prefix("shift/", exact.shift_gradients(apart))
        arrays |= _prefix("curve/", exact.shift_gradients(curve.tolist()))
        x = fit.line_points(float(self.far))
        # log p - log q of N(0, 1) and N(t, 1).
        arrays |= {"line": x.numpy(), "line_best": (self.far * (self.far / 2 - x)).numpy()}
        lab.tell("formulas and quadrature")

        keys = (self.batch_size, self.width, self.lr)
        training = fit.Training(list(lab.seeds), lab.device, self.steps, *keys)
        of_critics = replace(training, steps=self.critic_steps)
        wide = sorted(t for t in shifts if t >= 1)  # nearer, the two maxima cannot be told apart
        jobs: dict[str, tuple[Any, ...]] = {
            "discriminator": (fit.discriminators_of_shifts, shifts, training),
            "two_sided": (fit.critics_of_shifts, "two_sided", wide, of_critics),
            "penalty": (fit.critics_of_shifts, "penalty", shifts, of_critics),
            "clip": (fit.critics_of_shifts, "clip", shifts, of_critics),
            "pair_2d": (fit.discriminators_of_pair, "2d", training),
            "pair_1d": (fit.discriminators_of_pair, "1d", training),
        }
        arrays |= measure_parts(lab, jobs)
        for kind, distances in (("two_sided", wide), ("penalty", shifts)):
            best = gradient_penalty_value(torch.tensor(distances).double(), fit.PENALTY_WEIGHT, 1.0)
            arrays[f"{kind}/shifts"] = np.array(distances)
            arrays[f"{kind}/value_formula"] = best.value.numpy()
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge the identities at D*, then what training reaches."""
        return all_claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw densities and D, both sides of each identity, gradients, derivatives, branches."""
        return {
            "densities": drawings.densities(arrays),
            "identities": drawings.identities(arrays),
            "gradients": drawings.gradients(arrays),
            "slopes": drawings.derivatives(arrays),
            "critic_branches": drawings.branches(arrays),
        }

    def notes(self, arrays: Arrays) -> list[str]:
        """Explain what the claims leave open."""
        wrong = branch(arrays) == -1
        ten = int(np.flatnonzero(arrays["shifts"] == 10)[0])
        pull = np.median(arrays["discriminator/non_saturating"][ten])
        own = arrays["2d/minimax_curve_gradient"][-1]
        pulls = arrays["2d/minimax_gradient"][-1]
        clip = np.median(np.abs(arrays["clip/slope"]))
        off = [
            float(np.median(_relative_error(arrays, pair, loss)))
            for loss in ("non_saturating", "minimax")
            for pair in ("1d", "2d")
        ]
        return [
            "Formulas and quadrature are in float64, networks in float32, their integrals again "
            "by quadrature in float64; real is N(0, 1) and fake N(t, 1) unless a pair is named.",
            f"On a line {int(wrong.sum())} of {wrong.size} critics with the two-sided penalty "
            "(t >= 1) ended with the wrong sign: slope -1 satisfies (|f'| - 1)^2 as well as slope "
            "1, so f' = -1 + A/(2 weight rho) is a second maximum, and training is caught in it. "
            "The one-sided penalty has the same optimum and no second one; the claims use it.",
            f"A trained D is not D*: at t = 10 its non-saturating gradient is {pull:.3g} and not "
            "10, because hardly a sample tells it how steep to be; the minimax gradient of the "
            "same network is only known to be small.",
            f"On the pairs its non-saturating gradient is off by {off[0]:.0%} (1-D) and "
            f"{off[1]:.0%} (2-D) in the norm, its minimax gradient by {off[2]:.1%} and "
            f"{off[3]:.1%}: -log D weighs most the fakes where real samples are rarest.",
            f"The slope of the generator's own minimax loss at D* is not its gradient: by the "
            f"scale of the 2-D generator the former is {own:.4f}, the latter {pulls:+.4f} nats per "
            "data unit. A falling loss curve says little.",
            f"A clipped critic's slope is {clip:.2g} here, not 1: it grows with the bound "
            f"({fit.CLIP_BOUND:g}) to the power of the layers. Its value is at most that slope "
            "times W1.",
        ]


def _relative_error(arrays: Arrays, pair: str, loss: str) -> np.ndarray:
    """Return the relative error of a generator's gradient at each trained D, [S]."""
    best = arrays[f"{pair}/{loss}_gradient_formula"]
    return np.linalg.norm(arrays[f"pair_{pair}/{loss}"] - best, axis=1) / np.linalg.norm(best)


def _prefix(prefix: str, tensors: Mapping[str, torch.Tensor]) -> Arrays:
    return {prefix + name: np.asarray(tensor.numpy()) for name, tensor in tensors.items()}
