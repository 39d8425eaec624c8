"""Which training methods reach the equilibrium of the Dirac-GAN, the smallest GAN.

Everything is deterministic and in float64: no seed, no batch, no network.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from matplotlib.figure import Figure

from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.claims import (
    Claim,
    at_least,
    at_most,
    checks,
    claim_all,
    equals,
    largest,
)
from gan_lab.experiments.dirac_gan import figures as drawings
from gan_lab.experiments.dirac_gan.dynamics import (
    METHODS,
    SCHEMES,
    TRUE_CONSENSUS,
    field,
    jacobian,
    linear_step,
    trajectories,
)
from gan_lab.reports.analysis.statistics import exact
from gan_lab.validation import check_count, check_interval

STAY = ("minimax", "non_saturating", "wasserstein_clip", "wasserstein")
CONVERGE = tuple(name for name in METHODS if name not in STAY)
_PAPER_SETTINGS = (0.2, 500, 1.0, 1.0)
_SETTINGS = (
    "settings: Mescheder et al. 2018, the authors' notebook (V); final norms derived with them (D)"
)
_STATEMENTS = {
    "regularised_converge": "Instance noise, R1 and consensus end within .001 of the equilibrium "
    "under every schedule: the largest |(theta, psi)|",
    "others_stay_away": "Minimax, non-saturating, WGAN and WGAN-GP end further than .1 from it "
    "under every schedule: the least |(theta, psi)|",
    "jacobians_agree": "Jacobian of a step at the equilibrium: autograd through the update against "
    "the closed form, largest difference",
    "simultaneous_minimax_expands": "Simultaneous minimax: the squared size of both eigenvalues is "
    "1 + h^2/4 > 1",
    "alternating_minimax_circles": "Alternating minimax: both eigenvalues lie on the unit circle "
    "(largest distance over 1 and 5 discriminator updates)",
    "r1_contracts": "Simultaneous minimax with R1 of .3: the squared size of both eigenvalues is "
    "1 - .3 h + h^2/4",
    "critical_weight": "R1 of weight 1 is critical: the two eigenvalues of the simultaneous step "
    "meet",
}


@dataclass(frozen=True)
class DiracGan(Experiment):
    """Nine methods under three schedules, from one start.

    Attributes:
        learning_rate: Of both networks.
        steps: Updates of the generator.
        theta: Where the generator starts.
        psi: Where the discriminator starts.
        field_points: Arrows along each axis of a vector field.
    """

    learning_rate: float = 0.2
    steps: int = 500
    theta: float = 1.0
    psi: float = 1.0
    field_points: int = 25

    title: ClassVar[str] = "Dirac-GAN"
    question: ClassVar[str] = (
        "Which training methods reach the equilibrium of a game of two numbers, and which circle?"
    )
    reference: ClassVar[str] = "Mescheder, Geiger, Nowozin 2018, arXiv:1801.04406"

    def __post_init__(self) -> None:
        check_interval(self, "learning_rate", self.learning_rate)
        check_count(self, "steps")
        check_count(self, "field_points", at_least=5)
        for name in ("theta", "psi"):
            value = getattr(self, name)
            if not isinstance(value, int | float) or not math.isfinite(value):
                raise ValueError(f"DiracGan.{name}={value!r} is not a number")

    def measure(self, lab: Lab) -> Arrays:
        """Compute trajectories [method, scheme, step, 2], fields, and the Jacobian both ways."""
        counts, start = list(SCHEMES.values()), (float(self.theta), float(self.psi))
        rate, kink = self.learning_rate, np.full((2, 2), np.nan)
        paths, fields, limits, automatic, formulas = [], [], [], [], []
        for method in METHODS.values():
            path = trajectories(method, rate, counts, start, self.steps)
            limit = max(1.6, 1.08 * float(np.abs(path).max()))
            line = np.linspace(-limit, limit, self.field_points)
            paths.append(path)
            limits.append(limit)
            fields.append(field(method, *np.meshgrid(line, line)))
            is_smooth = method.linear is not None
            automatic.append([jacobian(method, rate, n) if is_smooth else kink for n in counts])
            formulas.append([linear_step(method, rate, n) if is_smooth else kink for n in counts])
            norms = ", ".join(f"{x:.3g}" for x in np.hypot(*path[:, -1].T))
            lab.tell(f"{method.title}: |(theta, psi)| ends at {norms}")
        true_path = trajectories(TRUE_CONSENSUS, rate, counts, start, self.steps)
        return {
            "method": np.array(list(METHODS)),
            "scheme": np.array(list(SCHEMES)),
            "path": np.array(paths),
            "true_consensus_path": true_path,
            "field": np.array(fields),
            "limit": np.array(limits),
            "jacobian": np.array(automatic),
            "jacobian_closed_form": np.array(formulas),
        }

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Claim the table number by number for its own settings; always the linear theory."""
        finals = final_norms(arrays)
        linear = self._linear(arrays)
        if (self.learning_rate, self.steps, self.theta, self.psi) != _PAPER_SETTINGS:
            return linear
        near = exact(max(max(finals[name].values()) for name in CONVERGE))
        far = exact(min(min(finals[name].values()) for name in STAY))
        numbers = {
            "regularised_converge": (near, at_most(1e-3, source=_SETTINGS)),
            "others_stay_away": (far, at_least(0.1, source=_SETTINGS)),
        }
        return [
            *claim_all(_STATEMENTS, numbers),
            *linear,
            *checks(
                _number(name, scheme, finals[name][scheme], entry)
                for name, method in METHODS.items()
                for scheme, entry in zip(SCHEMES, method.table.split(), strict=True)
            ),
        ]

    def _linear(self, arrays: Arrays) -> list[Claim]:
        h = self.learning_rate
        source = "derived (D): eigenvalues of the update at (0, 0), as in the paper's section 2"
        off = exact(np.nanmax(np.abs(arrays["jacobian"] - arrays["jacobian_closed_form"])))
        eigenvalues = dict(zip(METHODS, spectrum(arrays["jacobian"]), strict=True))
        minimax, r1 = (np.abs(eigenvalues[name]) for name in ("minimax", "r1"))
        pair = eigenvalues["r1_critical"][0]
        zero = equals(0.0, 1e-6, source=source)
        expands = equals(1 + h**2 / 4, 1e-9, source=source)
        contracts = equals(1 - 0.3 * h + h**2 / 4, 1e-9, source=source)
        numbers = {
            "jacobians_agree": (off, equals(0.0, 1e-9, source=source)),
            "simultaneous_minimax_expands": (exact(minimax[0].max() ** 2), expands),
            "alternating_minimax_circles": (largest(minimax[1:] - 1), zero),
            "r1_contracts": (exact(r1[0].max() ** 2), contracts),
            "critical_weight": (exact(abs(pair[0] - pair[1])), zero),
        }
        return checks(claim_all(_STATEMENTS, numbers))

    def notes(self, arrays: Arrays) -> list[str]:
        """Explain what the table leaves out."""
        true = np.hypot(*arrays["true_consensus_path"][:, -1].T)
        ends = arrays["true_consensus_path"][-1, -1]
        return [
            "Conventions that reproduce the table: the generator moves first; psi x is the "
            "log-odds of fake; WGAN-GP and R1 have a factor 1/2 in front of their weight; clipping "
            "follows every update of psi.",
            "Consensus is the authors' notebook, which halves the terms with f''. With the true "
            "gradient of |v|^2 / 2 the norms are "
            + ", ".join(f"{x:.3g}" for x in true)
            + f": five discriminator updates then end at theta = {ends[0]:.2f}, "
            f"psi = {ends[1]:.2f}, although the linear theory at (0, 0) is the same.",
            "WGAN-GP has a kink at psi = 0, where the sign of its slope flips: no Jacobian and no "
            "eigenvalues there, and it does not come to rest.",
            "Numbers below 1e-6 are only held against .001: their digits depend on rounding. "
            "Instance noise under five updates ends at the rounding of its mean, some 1e-17.",
        ]

    def quick_note(self, n_seeds: int) -> str:
        """Return that nothing is smaller but the number of arrows; there is no seed."""
        return "Quick: fewer arrows. Every number is that of the full study."

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return |(theta, psi)| against the step for every method and schedule."""
        norms = np.linalg.norm(arrays["path"], axis=-1)
        every = max(1, (norms.shape[-1] - 1) // 100)
        steps = np.arange(0, norms.shape[-1], every)
        return {
            f"norm/{name}/{scheme}": (steps, norms[i, j, ::every])
            for i, name in enumerate(METHODS)
            for j, scheme in enumerate(SCHEMES)
        }

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw fields with trajectories, eigenvalues, final norms."""
        titles = [method.title for method in METHODS.values()]
        table = [method.table.split() for method in METHODS.values()]
        finals = np.linalg.norm(arrays["path"][:, :, -1], axis=-1)
        return {
            "fields": drawings.fields(titles, arrays["path"], arrays["field"], arrays["limit"]),
            "eigenvalues": drawings.eigenvalues(
                titles, spectrum(arrays["jacobian"]), spectrum(arrays["jacobian_closed_form"])
            ),
            "final_norms": drawings.final_norms(titles, finals, table),
        }


def final_norms(arrays: Arrays) -> dict[str, dict[str, float]]:
    """Return |(theta, psi)| after the last step: method -> scheme -> norm."""
    norms = np.linalg.norm(arrays["path"][:, :, -1], axis=-1).tolist()
    return {n: dict(zip(SCHEMES, row, strict=True)) for n, row in zip(METHODS, norms, strict=True)}


def spectrum(matrices: np.ndarray) -> np.ndarray:
    """Return the eigenvalues of matrices [..., 2, 2], complex [..., 2]; nan of one with nan."""
    eigenvalues = np.full(matrices.shape[:-1], complex(np.nan, np.nan))
    is_finite = np.isfinite(matrices).all((-1, -2))
    eigenvalues[is_finite] = np.linalg.eigvals(matrices[is_finite])
    return eigenvalues


def _number(name: str, scheme: str, norm: float, entry: str) -> Claim:
    """Claim a number of the table."""
    value = float(entry)
    statement = f"{METHODS[name].title}, {scheme.replace('_', ' ')}: |(theta, psi)| at the end"
    expectation = (
        at_most(1e-3, source=_SETTINGS)
        if value < 1e-6
        else equals(value, 1e-3 * value + half_digit(entry), source=_SETTINGS)
    )
    return Claim(f"{name}_{scheme}", statement, exact(norm), *expectation)


def half_digit(number: str) -> float:
    """Return half a unit of the last digit of a printed number: what its rounding leaves open."""
    mantissa, _, exponent = number.partition("e")
    decimals = len(mantissa.partition(".")[2])
    return float(0.5 * 10.0 ** (int(exponent or 0) - decimals))
