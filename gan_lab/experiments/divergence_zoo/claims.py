"""The claims of the zoo of divergences."""

import math

import numpy as np

from gan_lab import information
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_most, checks, claim_all, equals, largest
from gan_lab.experiments.divergence_zoo.fits import best_at_1
from gan_lab.experiments.divergence_zoo.pairs import QUANTITIES
from gan_lab.reports.analysis.statistics import exact

_FAR = 6  # standard deviations between modes from which one mode does not feel the other
_STATEMENTS = {
    "cross_entropy_identity": "H(p, q) = H(p) + KL(p||q): largest difference over the shown pairs "
    "with finite KL",
    "js_bound": "JS is at most log 2: the most over shown and random pairs, minus log 2",
    "pinsker": "Pinsker: TV is at most sqrt(KL/2): the most of their difference over random pairs",
    "root_js_is_a_metric": "sqrt(JS) obeys the triangle inequality: the most by which random "
    "triples break it",
    "w1_slope_at_most_1": "Moving q by one unit changes W1 by at most one unit: the largest slope "
    "of all pairs",
    "quadrature": "KL both ways, JS, TV and W1 of two Gaussians by quadrature against closed "
    "forms: largest relative difference",
    "js_of_overlap": "JS of two blocks at distance t <= 1 is t log 2: largest difference",
    "js_is_blind": "Without overlap JS is log 2 at every distance: largest difference",
    "js_slope_without_overlap": "Without overlap the slope of JS by distance is 0: the largest",
    "tv_is_blind": "TV is min(t, 1): largest difference",
    "kl_is_infinite": "KL is infinite as soon as a block sticks out: the least over t > 0, both "
    "ways",
    "w1_is_the_distance": "W1 of the two blocks is their distance, with or without overlap: "
    "largest difference",
    "gaussian_js_slope_dies": "Gaussians 10 standard deviations apart: slope of JS by their "
    "distance",
    "gaussian_w1_slope_stays": "The slope of W1 is 1 at every distance: largest difference",
    "forward_kl_mean": "The Gaussian of least KL(p||q) has the mixture's mean",
    "forward_kl_std": "The Gaussian of least KL(p||q) has the mixture's standard deviation",
    "each_fit_is_best_in_its_own": "No other fit is better under a fit's own divergence: the most "
    "by which one is",
    "w1_fit_is_convex": "W1 is convex in mean and std of the fit, so all starts end equally well: "
    "spread",
    "reverse_kl_sits_on_a_mode": "The Gaussian of least KL(q||p) sits on the heaviest mode: "
    "distance of the means",
    "reverse_kl_pays_the_weight": "and KL(q||p) is then -log of that mode's weight",
    "reverse_kl_keeps_every_mode_as_a_minimum": "Descent of KL(q||p) from a mode stays there: the "
    "farthest that one end is from its mode",
}


def pair_claims(arrays: Arrays) -> list[Claim]:
    """Return identities and bounds on the shown pairs and on random ones."""
    values = arrays["pairs/values"]
    columns = dict(zip(QUANTITIES, values.T, strict=True))
    kl, cross, entropy = (columns[name] for name in ("kl", "cross_entropy", "entropy_p"))
    finite = np.isfinite(kl)
    gap = np.abs(cross[finite] - entropy[finite] - kl[finite]).max(initial=0)
    highest_js = max(columns["js"].max() - math.log(2), arrays["random/js_over_log_2"].max())
    source = "Cover and Thomas 2006, chapter 2; derived"
    lin, endres = at_most(0.0, "nats", "Lin 1991", 1e-12), "Endres and Schindelin 2003"
    lipschitz = at_most(1.0, "", "derived: triangle inequality", 1e-9)
    triangle = exact(arrays["random/triangle"].max())
    numbers = {
        "cross_entropy_identity": (exact(gap), equals(0.0, 1e-9, "nats", source)),
        "js_bound": (exact(highest_js), lin),
        "pinsker": (exact(arrays["random/pinsker"].max()), at_most(0.0, "", source, 1e-12)),
        "root_js_is_a_metric": (triangle, at_most(0.0, "sqrt(nat)", endres, 1e-12)),
        "w1_slope_at_most_1": (largest(arrays["pairs/slopes"][:, -1]), lipschitz),
    }
    names = arrays["pairs/name"].tolist()
    gaussians = {"shifted": (0, 1, 1, 1), "wider": (0, 1, 0.5, 2), "far_apart": (0, 0.1, 2, 0.1)}
    errors = []
    for name in (name for name in gaussians if name in names):
        truth = information.gaussians(*gaussians[name])
        formulas = np.array([truth.kl, truth.reverse_kl, truth.js, truth.tv, truth.wasserstein])
        errors.append(values[names.index(name), 3:] / formulas - 1)
    if errors:
        closed_forms = equals(0.0, 1e-9, "", "derived: closed forms of Gaussians")
        numbers["quadrature"] = (largest(errors), closed_forms)
    return checks(claim_all(_STATEMENTS, numbers))


def distance_claims(arrays: Arrays) -> list[Claim]:
    """Return which divergences see how far two blocks, or two Gaussians, are apart."""
    shift = arrays["blocks/shift"]
    apart = shift >= 1
    js, tv, w1 = (arrays[f"blocks/{name}"] for name in ("js", "tv", "w1"))
    least_kl = min(arrays[f"blocks/{name}"][1:].min() for name in ("kl", "reverse_kl"))
    source, example_1 = "derived: exact for blocks", "Arjovsky et al. 2017, example 1; derived"
    smooth = "derived: smoothed segments, checked with mpmath"
    vanishes = equals(2.232050107e-6, 1e-12, "nats per standard deviation", smooth)
    stays = equals(0.0, 1e-12, "", "derived: W1 of a shift")
    overlap, disjoint = (equals(0.0, 1e-12, "nats", text) for text in (source, example_1))
    constant = equals(0.0, 1e-12, "nats per block length", example_1)
    numbers = {
        "js_of_overlap": (largest((js - shift * math.log(2))[~apart]), overlap),
        "js_is_blind": (largest((js - math.log(2))[apart]), disjoint),
        "js_slope_without_overlap": (largest(np.diff(js[apart]) / shift[1]), constant),
        "tv_is_blind": (largest(tv - np.minimum(shift, 1)), equals(0.0, 1e-12, "", source)),
        "kl_is_infinite": (exact(least_kl), equals(math.inf, 0.0, "nats", source)),
        "w1_is_the_distance": (largest(w1 - shift), equals(0.0, 1e-12, "block lengths", source)),
        "gaussian_js_slope_dies": (exact(arrays["gaussians/js_slope"][-1]), vanishes),
        "gaussian_w1_slope_stays": (largest(arrays["gaussians/w1_slope"] - 1), stays),
    }
    return checks(claim_all(_STATEMENTS, numbers))


def fit_claims(arrays: Arrays) -> list[Claim]:
    """Return what one Gaussian for a mixture becomes under each divergence."""
    means, stds, weights = (arrays[f"target/{name}"] for name in ("means", "stds", "weights"))
    middle = len(arrays["fits/scale"]) // 2
    mean = float(weights @ means)
    std = math.sqrt(float(weights @ (stds**2 + means**2)) - mean**2)
    forward, reverse = best_at_1(arrays, "kl"), best_at_1(arrays, "reverse_kl")
    values = arrays["fits/table"]
    regret = (np.diag(values) - values.min(0)).max()
    spread = np.ptp(arrays["fits/w1_loss"][middle])
    moments = "derived: forward KL to a Gaussian matches moments (Bishop 2006, section 10.7)"
    best = at_most(0.0, "nats, W1 in data units", "derived: each is a minimum", 1e-4)
    convex = at_most(0.0, "data units", "derived: quantile form of W1", 1e-3)
    numbers = {
        "forward_kl_mean": (exact(forward[0]), equals(mean, 1e-6, "data units", moments)),
        "forward_kl_std": (exact(forward[1]), equals(std, 1e-6, "data units", moments)),
        "each_fit_is_best_in_its_own": (exact(regret), best),
        "w1_fit_is_convex": (exact(spread), convex),
    }
    if is_separated(arrays):
        unit = "standard deviations of the mode"
        price = "derived: q = mode, p = weight times mode there"
        source = "derived: modes 6 or more standard deviations apart do not feel each other"
        off = (np.abs(reverse[0] - means) / stds)[weights == weights.max()].min()
        ends = arrays["fits/reverse_kl_mean"][middle][: len(means)]  # the starts on the modes
        numbers |= {
            "reverse_kl_sits_on_a_mode": (exact(off), at_most(0.0, unit, source, 0.05)),
            "reverse_kl_pays_the_weight": (
                exact(arrays["fits/reverse_kl_loss"][middle].min()),
                equals(-math.log(weights.max()), 1e-3, "nats", price),
            ),
            "reverse_kl_keeps_every_mode_as_a_minimum": (
                largest((ends - means) / stds),
                at_most(0.0, unit, "derived: as above", 0.05),
            ),
        }
    theorems = ("forward_kl_mean", "forward_kl_std", "each_fit_is_best_in_its_own")
    return checks(claim_all(_STATEMENTS, numbers), *theorems, "w1_fit_is_convex")


def is_separated(arrays: Arrays) -> bool:
    """Tell whether neighbouring modes are at least 6 standard deviations of the wider apart."""
    order = np.argsort(arrays["target/means"])
    means, stds = arrays["target/means"][order], arrays["target/stds"][order]
    far = np.diff(means) >= _FAR * np.maximum(stds[1:], stds[:-1])
    return len(means) >= 2 and bool(far.all())
