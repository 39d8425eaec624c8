"""Entropy to Wasserstein on pairs of distributions, and fits under each divergence."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
import torch
from matplotlib.figure import Figure

from gan_lab import information
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays, Curve, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.divergence_zoo import claims, fits
from gan_lab.experiments.divergence_zoo import figures as drawings
from gan_lab.experiments.divergence_zoo.pairs import PAIRS, Discrete, Line, Mixture
from gan_lab.information.checks import check_distribution
from gan_lab.validation import check_count

Numbers = tuple[float, ...] | None
_MIXTURES = ("p_means", "p_stds", "p_weights", "q_means", "q_stds", "q_weights")
_POINTS = 401  # of a drawn density


@dataclass(frozen=True)
class DivergenceZoo(Experiment):
    """Divergences of bundled pairs and of one's own, pairs moved apart, and fits to a mixture.

    Attributes:
        pairs: Names of bundled pairs to show (see PAIRS); may be empty beside a pair of one's own.
        p, q: Masses of one's own discrete pair, equally many.
        x: Positions of the masses; 0, 1, ... if null.
        p_means, p_stds: Of the components of one's own p on a line; one component is a Gaussian.
        p_weights: Their weights, equal if null.
        q_means, q_stds, q_weights: The same for q.
        target_means, target_stds: Modes of the mixture that one Gaussian is fitted to.
        target_weights: Their weights.
        n_scales: Distances of the modes at which it is fitted; odd, so that 1 is among them.
        fit_steps: Of the optimiser.
        n_random: Random discrete pairs for each seed, on which identities are checked.
    """

    pairs: tuple[str, ...] = tuple(PAIRS)
    p: Numbers = None
    q: Numbers = None
    x: Numbers = None
    p_means: Numbers = None
    p_stds: Numbers = None
    p_weights: Numbers = None
    q_means: Numbers = None
    q_stds: Numbers = None
    q_weights: Numbers = None
    target_means: tuple[float, ...] = (-2.5, 2.5)
    target_stds: tuple[float, ...] = (0.6, 0.6)
    target_weights: tuple[float, ...] = (0.6, 0.4)
    n_scales: int = 13
    fit_steps: int = 400
    n_random: int = 200

    title: ClassVar[str] = "A zoo of divergences"
    question: ClassVar[str] = (
        "What do entropy, KL both ways, JS, TV and W1 say of a pair of distributions, which of "
        "them see distance without overlap, and what do they make of one Gaussian for two modes?"
    )
    reference: ClassVar[str] = (
        "Cover and Thomas 2006, chapter 2; Peyre and Cuturi 2019, arXiv:1803.00567; Arjovsky et "
        "al. 2017, arXiv:1701.07875"
    )

    def __post_init__(self) -> None:
        owner = type(self).__name__
        for name in (name for name in self.pairs if name not in PAIRS):
            place = f"{owner}.pairs={list(self.pairs)}"
            raise ValueError(f"{place} has the unknown '{name}'; take some of {', '.join(PAIRS)}")
        for name in ("fit_steps", "n_random"):
            check_count(self, name)
        check_count(self, "n_scales", 3)
        if self.n_scales % 2 == 0:
            raise ValueError(f"{owner}.n_scales={self.n_scales} is even; the scale 1 is its middle")
        for name in (*("p", "q", "x", "target_means", "target_stds", "target_weights"), *_MIXTURES):
            for value in getattr(self, name) or ():
                if isinstance(value, bool) or not isinstance(value, int | float):
                    raise ValueError(f"{owner}.{name}={value!r} is not a list of numbers")
        self._mixture("target_")
        if self._own() is None and not self.pairs:
            raise ValueError(f"{owner}.pairs=[] leaves nothing to compare; give p and q")

    def _own(self) -> Discrete | Line | None:
        """Return the user's pair, or None where no key gives one."""
        owner = type(self).__name__
        on_line = [name for name in _MIXTURES if getattr(self, name) is not None]
        if self.p is None and self.q is None and self.x is None:
            return Line(self._mixture("p_"), self._mixture("q_")) if on_line else None
        if on_line:
            raise ValueError(
                f"{owner}.{on_line[0]}={list(getattr(self, on_line[0]))} beside p and q: a pair is "
                "either discrete (p, q, x) or on a line (p_means, p_stds, ...)"
            )
        if not self.p or not self.q or len(self.p) != len(self.q):
            raise ValueError(f"{owner}.p={self.p} and q={self.q} are not two lists of one length")
        x = range(len(self.p)) if self.x is None else self.x
        if len(x) != len(self.p):
            raise ValueError(f"{owner}.x={self.x} has not one position for each of {self.p}")
        _check_masses(self.p, f"{owner}.p")
        _check_masses(self.q, f"{owner}.q")
        if not all(map(math.isfinite, x)):
            raise ValueError(f"{owner}.x={self.x} is not finite")
        return Discrete.of(self.p, self.q, x)

    def _mixture(self, prefix: str) -> Mixture:
        place = f"{type(self).__name__}.{prefix}"
        parts = (getattr(self, prefix + part) for part in ("means", "stds", "weights"))
        means, stds, weights = parts
        if not means or not stds or len(stds) != len(means):
            raise ValueError(f"{place}stds={stds} has not one value > 0 for each of {means}")
        if not all(0 < s < math.inf for s in stds) or not all(map(math.isfinite, means)):
            raise ValueError(f"{place}stds={list(stds)} must be finite and > 0")
        if weights is not None:
            if len(weights) != len(means) or min(weights) <= 0:
                place = f"{place}weights={list(weights)}"
                raise ValueError(f"{place} has not one value > 0 for each of {list(means)}")
            _check_masses(weights, f"{place}weights")
        return Mixture.of(means, stds, weights)

    def measure(self, lab: Lab) -> Arrays:
        """Compare pairs, pairs moved apart and random pairs; fit."""
        own = self._own()
        pairs = ({"own": own} if own is not None else {}) | {n: PAIRS[n] for n in self.pairs}
        arrays = {
            "pairs/name": np.array(list(pairs)),
            "pairs/discrete": np.array([isinstance(pair, Discrete) for pair in pairs.values()]),
            "pairs/values": np.array([pair.values() for pair in pairs.values()]),
            "pairs/slopes": np.array([pair.shift_gradients() for pair in pairs.values()]),
        }
        for name, pair in pairs.items():
            arrays |= _densities(name, pair)
        arrays |= _random_pairs(lab.seeds, self.n_random)
        arrays |= fits.blocks_part() | fits.gaussians_part()
        lab.tell(f"{len(pairs)} pairs")
        target = self._mixture("target_")
        scales = np.linspace(0, 2, self.n_scales)
        scales[self.n_scales // 2] = 1.0
        arrays |= fits.fits_part(target, scales.tolist(), self.fit_steps)
        arrays["fits/table"] = fits.table(target, arrays)
        for name in ("means", "stds", "weights"):
            arrays[f"target/{name}"] = getattr(target, name).numpy()
        x = torch.linspace(*_span(target, target), _POINTS, dtype=torch.float64)
        arrays |= {"target/x": x.numpy(), "target/density": target.log_density(x).exp().numpy()}
        lab.tell("fits")
        return arrays

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Claim identities on all pairs, what sees distance, what the fits do."""
        parts = (claims.pair_claims, claims.distance_claims, claims.fit_claims)
        return [claim for part in parts for claim in part(arrays)]

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw the pairs, the distance, the fits, the fits against distance."""
        draw = (drawings.pairs, drawings.distance, drawings.fits, drawings.fits_by_distance)
        return {function.__name__: function(arrays) for function in draw}

    def curves(self, arrays: Arrays) -> Mapping[str, Curve]:
        """Return blocks moved apart; a step is a cell, 1/64 of a block's length."""
        cells = np.arange(len(arrays["blocks/shift"]))
        return {f"blocks/{name}": (cells, arrays[f"blocks/{name}"]) for name in ("js", "tv", "w1")}

    def notes(self, arrays: Arrays) -> list[str]:
        """Explain the numbers where they surprise."""
        lines = [
            "The entropy of a density can be negative, and changes with the unit of x; KL, JS and "
            "TV do not.",
            "A discrete q that moves however little shares no position with p any more: KL is "
            "infinite, JS and TV jump to log 2 and 1 and have slope 0 from there on; only W1 has a "
            "slope.",
        ]
        for name in fits.FIT_DIVERGENCES:
            mean, std = fits.best_at_1(arrays, name)
            off = np.abs(arrays["target/means"] - mean) / arrays["target/stds"]
            alone = (off < 0.5) & (std < 1.5 * arrays["target/stds"])
            does = "sits on one mode" if alone.any() else "covers more than one mode"
            lines.append(f"{drawings.TITLES[name]}: N({mean:.3f}, {std:.3f}^2), {does}.")
        if not claims.is_separated(arrays):
            lines.append(
                "The target's modes are closer than 6 standard deviations, so nothing is claimed "
                "of where reverse KL sits."
            )
        return lines


def _check_masses(masses: tuple[float, ...], key: str) -> None:
    try:
        check_distribution(torch.tensor(list(masses), dtype=torch.float64), "it")
    except ValueError as error:
        raise ValueError(f"{key}={list(masses)} is no distribution: {error}") from None


def _span(p: Mixture, q: Mixture) -> tuple[float, float]:
    """Return the ends of a picture: four standard deviations around every component."""
    means, stds = torch.cat([p.means, q.means]), torch.cat([p.stds, q.stds])
    return float((means - 4 * stds).min()), float((means + 4 * stds).max())


def _densities(name: str, pair: Discrete | Line) -> Arrays:
    if isinstance(pair, Discrete):
        parts = (pair.x, pair.p, pair.q)
    else:
        x = torch.linspace(*_span(pair.p, pair.q), _POINTS, dtype=torch.float64)
        parts = (x, pair.p.log_density(x).exp(), pair.q.log_density(x).exp())
    names = ("x", "p", "q")
    return {f"pair/{name}/{n}": part.numpy() for n, part in zip(names, parts, strict=True)}


def _random_pairs(seeds: tuple[int, ...], n: int) -> Arrays:
    """Return the excess over inequalities on random pairs and triples; <= 0 where they hold."""
    excess: dict[str, list[np.ndarray]] = {"js_over_log_2": [], "pinsker": [], "triangle": []}
    for seed in seeds:
        generator = stream(seed, "divergence_zoo/random")
        draws = torch.randn(3, n, 5, generator=generator, dtype=torch.float64).mul(2)
        p, q, r = draws.softmax(-1)
        js = information.js_divergence(p, q)
        tv, kl = information.total_variation(p, q), information.kl_divergence(p, q)
        legs = [information.js_divergence(a, b).sqrt() for a, b in ((p, r), (p, q), (q, r))]
        parts = (js - math.log(2), tv - (kl / 2).sqrt(), legs[0] - legs[1] - legs[2])
        for rows, part in zip(excess.values(), parts, strict=True):
            rows.append(part.numpy())
    return {f"random/{name}": np.stack(rows) for name, rows in excess.items()}
