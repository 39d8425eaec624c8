"""The claims of w1_benchmark: pure functions of its arrays."""

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.claims import Claim, at_least, at_most, checks, claim_all, equals
from gan_lab.reports.analysis.statistics import exact, mean

KOROTIN = "Korotin et al. 2022, arXiv:2206.07767"
# Value over truth, of the authors' critics on their own pairs, by kind and pair (their tables).
AUTHORS: dict[str, dict[str, float]] = {
    "clip": {
        **{"2/4": 0.03 / 0.818, "8/4": 1.11 / 1.868, "16/4": 1.72 / 1.944},
        **{"64/4": 3.31 / 1.457, "128/4": 9.4 / 1.14},
    },
    "penalty": {
        **{"2/4": 0.857 / 0.818, "8/4": 2.0 / 1.868, "16/4": 2.07 / 1.944},
        **{"64/4": 1.38 / 1.457, "128/4": 1.14 / 1.14},
    },
    "one_sided": {
        **{"2/4": 0.885 / 0.818, "8/4": 1.98 / 1.868, "16/4": 2.12 / 1.944},
        **{"64/4": 1.46 / 1.457, "128/4": 1.14 / 1.14},
    },
}
_BY_NORM = ("clip", "clip_half", "spectral", "penalty", "one_sided")
_LOW = 16  # dimensions up to which a small critic comes near


def dimensions(arrays: Arrays) -> np.ndarray:
    """Return the dimensions of each pair, [P]."""
    return np.array([int(pair.split("/")[0]) for pair in arrays["pairs"]])


def ratio(arrays: Arrays, name: str) -> np.ndarray:
    """Return an array of estimates over the truth, [P, S]."""
    return np.asarray(arrays[name] / arrays["samples/truth"])


def bound(arrays: Arrays, kind: str) -> np.ndarray:
    """Return a critic's value over its largest gradient norm, over the truth, [P, S].

    Layers of slope 1 need no division.
    """
    value = ratio(arrays, f"{kind}/value")
    return value if kind == "lipschitz" else value / arrays[f"{kind}/gradient_norm"]


def has_neural(arrays: Arrays) -> np.ndarray:
    """Return on which pairs the neural distance was measured, [P]; on none in old studies."""
    pairs = len(arrays["pairs"])
    bounds = arrays.get("neural/bound", np.full((pairs, 1), np.nan))
    return np.asarray(~np.isnan(bounds).any(1))


def debiased_distance(arrays: Arrays) -> np.ndarray:
    """Return sample W1 less the mean of both sides' own, over the truth, [P, S]."""
    own = (ratio(arrays, "samples/real") + ratio(arrays, "samples/fake")) / 2
    return np.asarray(ratio(arrays, "samples/exact") - own)


def all_claims(arrays: Arrays) -> list[Claim]:
    """Judge what is a lower bound, what is near, and what must not be called W1."""
    d, four = dimensions(arrays), np.char.endswith(arrays["pairs"], "/4")
    low, plane, highest = (d <= _LOW) & four, (d == 2) & four, (d == d[four].max()) & four
    n = int(arrays["n_samples"])
    error = np.abs(ratio(arrays, "one_sided/value")[low] - 1)
    angle = 1 - arrays["one_sided/cosine"][low]
    jump = ratio(arrays, "clip/value")[four] / ratio(arrays, "clip_half/value")[four]
    apart = np.abs(debiased_distance(arrays)[four] - 1).max(0)
    statements = {
        "certificate": "Largest difference of E|x - y| and E u(y) - E u(x), over W1",
        "lipschitz_is_a_lower_bound": "Greatest value of a critic with orthonormal layers, over "
        "true W1, of all pairs and seeds",
        "divided_value_is_a_lower_bound": "Greatest value over largest gradient norm of any other "
        "critic, over true W1, of all pairs and seeds",
        "lipschitz_bound_is_near": "Least value of a critic with orthonormal layers over true W1, "
        "of pairs up to 16-D",
        "one_sided_is_near": "Largest relative error of the value under the one-sided penalty, of "
        "pairs up to 16-D",
        "gradient_is_farther_than_value": "How far its gradient is from the true one (1 - cosine), "
        "less the relative error of its value, mean of pairs up to 16-D",
        "clip_follows_its_bound": "A clipped critic's value at the bound .1 over that at .05, mean "
        "of pairs",
        "spectral_is_far_below": "Value under spectral normalisation over true W1, mean of pairs",
        "sample_w1_is_near_in_the_plane": f"Relative error of sample W1 (n = {n}) in 2-D",
        "sample_w1_is_not_w1": f"Sample W1 (n = {n}) over true W1 in {d[four].max()}-D, the least",
        "sample_w1_is_its_own": "That of two samples of real data, over it",
        "debiased_is_not_w1": "Largest relative error over pairs of sample W1 less the mean of "
        "real-vs-real and fake-vs-fake",
        "sliced_is_not_w1": f"Sliced W1 over true W1 in {d[four].max()}-D, the greatest",
    }
    theorem = "Kantorovich duality; .01 for the error of the samples that judge it"
    ours = f"{KOROTIN}, tables: {{}}; the bar is ours"
    widest = max(float(bound(arrays, kind).max()) for kind in _BY_NORM)
    numbers = {
        "certificate": (
            exact(float(arrays["samples/certificate"].max())),
            equals(0.0, 1e-9, "", f"{KOROTIN}: x moves along rays of u"),
        ),
        "lipschitz_is_a_lower_bound": (
            exact(float(bound(arrays, "lipschitz").max())),
            at_most(1.0, "", theorem, 0.01),
        ),
        "divided_value_is_a_lower_bound": (
            exact(widest),
            at_most(1.0, "", f"{theorem}; fails where slopes between the samples are larger", 0.01),
        ),
        "lipschitz_bound_is_near": (
            mean(bound(arrays, "lipschitz")[low].min(0)),
            at_least(0.7, "", ours.format("orthonormal critics err by 34 % (median)")),
        ),
        "one_sided_is_near": (
            mean(error.max(0)),
            at_most(0.15, "", ours.format("LP errs by 9 % (median of 28 pairs)")),
        ),
        "gradient_is_farther_than_value": (
            mean((angle - error).mean(0)),
            at_least(0.0, "", "ours: slopes above 1 hide in the value what its shape lacks"),
        ),
        "clip_follows_its_bound": (
            mean(jump.mean(0)),
            at_least(4.0, "", "derived: values scale as bound^3 for three layers at their bounds"),
        ),
        "spectral_is_far_below": (
            mean(ratio(arrays, "spectral/value")[four].mean(0)),
            at_most(0.75, "", ours.format("spectral norm errs by 83 % (median)")),
        ),
        "sample_w1_is_near_in_the_plane": (
            mean(np.abs(ratio(arrays, "samples/exact")[plane] - 1).max(0)),
            at_most(0.15, "", "derived: its bias falls as n^(-1/2) in 2-D but for a logarithm"),
        ),
        "sample_w1_is_not_w1": (
            mean(ratio(arrays, "samples/exact")[highest].min(0)),
            at_least(3.0, "", "derived: its bias falls as n^(-1/d); 3 is ours"),
        ),
        "sample_w1_is_its_own": (
            mean((arrays["samples/real"] / arrays["samples/exact"])[highest].min(0)),
            at_least(0.9, "", "derived: as above, on either side; .9 is ours"),
        ),
        "debiased_is_not_w1": (
            mean(apart),
            at_least(0.5, "", "derived: distances to another sample and to one's own grow alike"),
        ),
        "sliced_is_not_w1": (
            mean(ratio(arrays, "samples/sliced")[highest].max(0)),
            at_most(0.5, "", "derived: a shift by v is seen as about .8 |v| / sqrt(d)"),
        ),
    }
    claims = [*claim_all(statements, numbers), *neural_claims(arrays)]
    ids = ("certificate", "lipschitz_is_a_lower_bound", "neural_bound_is_a_lower_bound")
    return checks(claims, *ids)


def neural_claims(arrays: Arrays) -> list[Claim]:
    """Judge the evaluator's neural distance, in more than 16 dimensions where it was measured."""
    d, four = dimensions(arrays), np.char.endswith(arrays["pairs"], "/4")
    where = has_neural(arrays) & four
    low, high = where & (d <= _LOW), where & (d > _LOW)
    if not low.any():
        return []
    error = np.abs(ratio(arrays, "neural/value")[where] - 1).max(0)
    up_to = f"of pairs of 4 funnels up to {d[low].max()}-D"
    statements = {
        "neural_bound_is_a_lower_bound": "Greatest lower end of the interval of the neural "
        "distance's bound, over true W1, of all pairs and seeds",
        "neural_bound_is_near": f"Least bound of the neural distance over true W1, {up_to}",
        "neural_value_is_near": "Largest relative error of the neural distance's penalised value, "
        f"of pairs of 4 funnels up to {d[where].max()}-D",
    }
    goal = "the goal set for the neural distance before it was measured"
    theorem = "Kantorovich duality; an interval, because samples report it"
    numbers = {
        "neural_bound_is_a_lower_bound": (
            exact(float(np.nanmax(ratio(arrays, "neural/bound_low")))),
            at_most(1.0, "", theorem, 0.01),
        ),
        "neural_bound_is_near": (
            mean(ratio(arrays, "neural/bound")[low].min(0)),
            at_least(0.9, "", goal),
        ),
        "neural_value_is_near": (mean(error), at_most(0.1, "", goal)),
    }
    if high.any():
        dims = " and ".join(f"{dim}" for dim in d[high])
        statements["neural_bound_is_near_in_high_dimension"] = (
            f"Least bound of the neural distance over true W1, of pairs of 4 funnels in {dims} "
            "dimensions"
        )
        numbers["neural_bound_is_near_in_high_dimension"] = (
            mean(ratio(arrays, "neural/bound")[high].min(0)),
            at_least(0.8, "", goal),
        )
    return claim_all(statements, numbers)
