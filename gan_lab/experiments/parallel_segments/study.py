"""Parallel segments: when the JS gradient vanishes and the Wasserstein gradient does not.

Four acts: closed forms, the gradient that a trained discriminator gives the generator, a shift that
learns from it, and the same in more dimensions and with noise as the cure.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.parallel import call, in_processes
from gan_lab.experiments.parallel_segments import claims as judge
from gan_lab.experiments.parallel_segments import figures as draw
from gan_lab.experiments.parallel_segments import trainings
from gan_lab.information import js_gradient_peak, segments, smoothed_segments
from gan_lab.metrics.wasserstein import exact_wasserstein
from gan_lab.networks.base import ACTIVATIONS
from gan_lab.validation import check_choice, check_count, check_interval

_WASSERSTEIN = ("wasserstein", "wasserstein_clip")
_OTHERS = ("least_squares", "hinge", "relativistic")
LOSSES = ("minimax", "non_saturating", *_WASSERSTEIN, *_OTHERS)
CLAIM_THETAS = (0.3, 1.0, 2.0)  # shifts at which claims are made
SIGMAS = (0.0, 0.25, 0.5, 1.0)  # blurs of the exact curves
_IN_MORE_DIMENSIONS = (*_WASSERSTEIN, "cross_entropy", "cross_entropy_noise")
_SETTINGS = ("starts", "n_critic", "dims", "weight", "bound", "sigma", "width")  # kept as arrays
_TABLE_T = (0.1, 1.0, 3.0, 10.0)
_MORE, _APART = 3, 1_000_003  # networks a seed for the claim about noise; what keeps them apart
_SAMPLES, _REPEATS = 256, 1000  # of the exact W1 between two samples of one segment


@dataclass(frozen=True)
class ParallelSegments(trainings.Design, Experiment):
    """Two parallel segments at distance theta, seen by divergences and by discriminators.

    Attributes:
        n_thetas: Shifts on [-2, 2]; those of the claims, with both signs, are added if missing.
        steps: Discriminator updates after which gradients are read, increasing.
        starts: Where shifts that learn start.
        n_critic: Discriminator updates before each of their moves.
        moves: How many moves.
        move_lr: Learning rate of a shift's plain gradient descent.
        dims: Dimensions of the embedded runs.
        others: Further losses in acts two and three; no claim is about them.
        width, lr, batch_size, weight, bound, sigma, activation, falls: Of the
            trainings, see `trainings.Design`.
    """

    n_thetas: int = 41
    steps: tuple[int, ...] = (1, 5, 10, 25, 50, 100, 250, 1000)
    starts: tuple[float, ...] = (0.5, 1.0, 2.0)
    n_critic: tuple[int, ...] = (1, 5, 50)
    moves: int = 100
    move_lr: float = 0.05
    dims: tuple[int, ...] = (2, 8, 64, 512)
    others: tuple[str, ...] = _OTHERS

    title: ClassVar[str] = "Parallel segments"
    question: ClassVar[str] = (
        "When does the gradient of the Jensen-Shannon game vanish, and does the Wasserstein "
        "gradient not?"
    )
    reference: ClassVar[str] = "Arjovsky et al. 2017, arXiv:1701.07875, example 1"

    def __post_init__(self) -> None:
        for name, least in (("n_thetas", 2), ("moves", 10), ("width", 1), ("batch_size", 2)):
            check_count(self, name, at_least=least)
        for name in ("move_lr", "lr", "weight", "bound", "sigma"):
            check_interval(self, name, getattr(self, name))
        for name, least in (("steps", 1), ("n_critic", 1), ("dims", 2)):
            values = getattr(self, name)
            whole = all(type(v) is int and v >= least for v in values)
            if not values or not whole or sorted(set(values)) != list(values):
                must = f"has to be whole numbers >= {least} in increasing order"
                raise ValueError(f"ParallelSegments.{name}={list(values)} {must}")
        if not self.starts or not all(type(v) in (int, float) and v != 0 for v in self.starts):
            must = "has to be numbers other than 0"
            raise ValueError(f"ParallelSegments.starts={list(self.starts)} {must}")
        if unknown := sorted(set(self.others) - set(_OTHERS)):
            raise ValueError(
                f"ParallelSegments.others={list(self.others)} names {unknown}; choose among "
                f"{list(_OTHERS)}, or [] for none"
            )
        check_choice(self, "activation", list(ACTIVATIONS))

    @property
    def thetas(self) -> list[float]:
        """All shifts, increasing, the same on both sides of 0."""
        line = torch.linspace(-2, 2, self.n_thetas).double().tolist()
        on_both_sides = (sign * theta for theta in CLAIM_THETAS for sign in (-1, 1))
        return sorted({round(theta, 6) for theta in (*line, *on_both_sides)})

    def measure(self, lab: Lab) -> Arrays:
        """Measure all four acts; the trainings are independent jobs."""
        jobs: dict[str, tuple[Any, ...]] = {}
        seeds, device, last = lab.seeds, lab.device, self.steps[-1:]
        fit: tuple[Any, ...]
        methods = (*_WASSERSTEIN, "cross_entropy", *self.others)
        for name in methods:
            fit = (self, name, self.thetas, seeds, self.steps, 2, False, device)
            jobs[f"fit/{name}"] = (trainings.gradients_at_shifts, *fit)
        for n in reversed(self.n_critic):
            for name in methods:
                learn = (self, name, self.starts, seeds, n, self.moves, self.move_lr, device)
                jobs[f"learn/{n}/{name}"] = (trainings.learn_shifts, *learn)
        for dim in reversed(self.dims):
            for name in _IN_MORE_DIMENSIONS:
                fit = (self, name, CLAIM_THETAS, seeds, last, dim, True, device)
                jobs[f"embedded/{dim}/{name}"] = (trainings.gradients_at_shifts, *fit)
        # The claim about noise averages over more networks: their last updates still jitter.
        cure, alike = "cure/cross_entropy_noise", f"embedded/{self.dims[0]}/cross_entropy_noise"
        if not lab.quick:
            more = [seed + _APART * k for k in range(_MORE) for seed in seeds]
            fit = (self, "cross_entropy_noise", CLAIM_THETAS, more, last, self.dims[0], True)
            jobs[cure] = (trainings.gradients_at_shifts, *fit, device)
        arrays: Arrays = {
            "theta": np.array(self.thetas),
            "steps": np.array(self.steps),
            "asked": np.array(CLAIM_THETAS),
            **{name: np.array(getattr(self, name)) for name in _SETTINGS},
            **exact_arrays(lab.seeds),
        }
        results = in_processes(lab, call, jobs)
        results.setdefault(cure, results[alike])
        for job, result in results.items():
            # "estimate" and "largest_weight" belong to the discriminator, the rest to a loss.
            home = job.rsplit("/", 1)[0] + ("/noise" if job.endswith("_noise") else "")
            for key, array in result.items():
                own = key in ("estimate", "largest_weight")
                arrays[f"{job if own else home}/{key}"] = array
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Judge all four acts."""
        return judge.claims(arrays)

    def notes(self, arrays: Arrays) -> list[str]:
        """Say what theory leaves open, in sentences made from the numbers."""
        low, high = int(arrays["n_critic"][0]), int(arrays["n_critic"][-1])
        start, n_moves = arrays["starts"][-1], len(arrays[f"learn/{low}/minimax"]) - 1

        def end(loss: str, n_critic: int) -> str:
            return f"{np.median(judge.distance(arrays, n_critic, loss)[-1, -1]):.2f}"

        value = np.median(arrays["fit/wasserstein/estimate"][-1], -1)
        size = np.abs(arrays["theta"])
        excess = value - size - size**2 / (2 * float(arrays["weight"]))
        return [
            f"With n_critic = {low} the minimax loss moves the shift from {start:g} to "
            f"{end('minimax', low)} in {n_moves} moves (median), with n_critic = {high} to "
            f"{end('minimax', high)}: its gradient vanishes only against a discriminator that is "
            f"near its optimum, as Fedus et al. 2018 point out.",
            f"The penalised critic needs its updates: with n_critic = {low} the shift that follows "
            f"it ends at {end('wasserstein', low)}, with n_critic = {high} at "
            f"{end('wasserstein', high)}.",
            f"The non-saturating gradient does not vanish but has no scale: with n_critic = {high} "
            f"plain descent ends at {end('non_saturating', high)} because it overshoots.",
            f"After {int(arrays['steps'][-1])} updates the penalised critic's own value lies "
            f"within {np.abs(excess).max():.3f} data units of |theta| + theta^2/(2 weight), which "
            f"in two dimensions is a bound and not its optimum.",
        ]

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw one figure an act (two for the second), and one for a lecture."""
        losses = _measured(arrays)
        return {
            "summary": draw.summary(arrays),
            "a_exact": draw.exact(arrays),
            "b_maps": draw.maps(arrays, losses),
            "b_gradients": draw.gradients(arrays, losses),
            "c_learning": draw.learning(arrays, losses),
            "d_dimensions": draw.dimensions(arrays),
        }

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return gradient norms at theta = 1 against discriminator updates, and learning shifts."""
        one = judge.at(arrays["theta"], 1.0)
        curves: dict[str, Curve] = {}
        for loss in _measured(arrays):
            norm = judge.norm(arrays, f"fit/{loss}")[:, one]
            curves[f"gradient_at_theta_1/{loss}"] = (arrays["steps"], np.median(norm, -1))
            for n_critic in arrays["n_critic"]:
                path = judge.distance(arrays, int(n_critic), loss)[:, -1]
                tag = f"distance_n_critic_{n_critic}/{loss}"
                curves[tag] = (np.arange(len(path)), np.median(path, -1))
        return curves


def _measured(arrays: Arrays) -> list[str]:
    return [loss for loss in LOSSES if f"fit/{loss}/along" in arrays]


def exact_arrays(seeds: Sequence[int]) -> Arrays:
    """Compute act one: closed forms on a fine line, their table, and W1 of finite samples."""
    theta = torch.arange(-200, 201).double() / 100
    arrays: Arrays = {"exact/theta": theta.numpy(), "exact/sigma": np.array(SIGMAS)}
    sharp, none = segments(theta), torch.full_like(theta, torch.nan)
    rows = [sharp.js, sharp.kl, sharp.reverse_kl, sharp.tv, sharp.wasserstein, sharp.js_gradient]
    arrays["exact/0.0"] = torch.stack([*rows, sharp.wasserstein_gradient, none]).numpy()
    for sigma in SIGMAS[1:]:
        soft = smoothed_segments(theta, sigma)
        # Gradients per unit theta: d/dtheta = (1/sigma) d/dt.
        js, non_saturating = soft.js_gradient / sigma, soft.non_saturating_gradient / sigma
        rows = [soft.js, soft.kl, soft.kl, soft.tv, soft.wasserstein, js, soft.wasserstein_gradient]
        arrays[f"exact/{sigma}"] = torch.stack([*rows, non_saturating]).numpy()
    table = [smoothed_segments(t, 1.0) for t in _TABLE_T]
    arrays["exact/table"] = np.array(
        [[e.js, e.js_gradient, e.minimax_gradient, e.non_saturating_gradient] for e in table]
    )
    arrays["exact/peak"] = np.array(js_gradient_peak())
    floors = []
    for seed in seeds:
        generator = stream(seed, "segments/floor")
        # Two samples of one segment differ in their heights only.
        samples = torch.rand(2, _REPEATS, _SAMPLES, 1, generator=generator)
        floors.append([exact_wasserstein(x, y) for x, y in zip(*samples, strict=True)])
    arrays["exact/sample_floor"] = np.array(floors) * np.sqrt(_SAMPLES)
    return arrays
