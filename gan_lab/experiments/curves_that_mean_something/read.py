"""The games whose curves are read, how they are read from disk, and how curves are compared."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage, stats

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir

Numbers = dict[str, np.ndarray]
EVALUATOR, ENERGY = "divergence/wasserstein", "divergence/energy"
JS, WASSERSTEIN = "discriminator_estimate/js", "discriminator_estimate/wasserstein"


class Played(NamedTuple):
    """One kind of game: what its discriminator estimates, and the overrides that make it."""

    estimate: str
    unit: str
    overrides: tuple[str, ...]


GAMES: Mapping[str, Played] = {
    "wasserstein": Played(WASSERSTEIN, "data units x slope", ("loss=wasserstein",)),
    "wasserstein_clip": Played(
        WASSERSTEIN,
        "data units x slope",
        ("loss=wasserstein", "regularizer=[weight_clipping]", "optim=rmsprop"),
    ),
    "non_saturating": Played(JS, "nats", ("loss=non_saturating",)),
    "minimax": Played(JS, "nats", ("loss=minimax",)),
}


def curves(path: Path, estimate: str, n_repeats: int) -> Numbers:
    """What a run's seeds have logged, on the steps at which both players moved and the ruler lay.

    Args:
        path: The run directory, of one or of several seeds.
        estimate: Tag of the discriminator's own estimate.
        n_repeats: Draws behind one value of the ruler.

    Returns:
        "steps" [T], and [S, T]: "estimate" and "generator" (the generator's loss), each the mean
        over the steps since the one before; "ruler" and "ruler_deviation", the standard deviation
        of its mean; "energy": the energy distance, which has no bias by the number of samples;
        "floor" []: the ruler on real samples. nan after a seed has diverged.
    """
    home = RunDir(path)
    seeds = [
        {
            row["step"]: row
            for row in read_metrics(child.metrics)
            if {estimate, EVALUATOR} <= row.keys()
        }
        for child in home.children() or [home]
    ]
    steps = sorted(set().union(*seeds))

    def gathered(tag: str) -> np.ndarray:
        return np.array([[float(s.get(t, {}).get(tag, np.nan)) for t in steps] for s in seeds])

    # The ruler's interval is a t interval of the mean over its repeats.
    half = (gathered(f"{EVALUATOR}_high") - gathered(f"{EVALUATOR}_low")) / 2
    return {
        "steps": np.array(steps, dtype=int),
        "estimate": gathered(estimate),
        "generator": gathered("loss/generator"),
        "ruler": gathered(EVALUATOR),
        "ruler_deviation": half / stats.t.ppf(0.975, n_repeats - 1),
        "energy": gathered(ENERGY),
        "floor": np.nanmean(gathered(f"{EVALUATOR}_floor")),
    }


def filtered(curve: np.ndarray, width: int) -> np.ndarray:
    """Running median over `width` neighbours along the last axis; ends repeat their last value."""
    return ndimage.median_filter(curve, size=(*[1] * (curve.ndim - 1), width), mode="nearest")


def rank_correlations(curve: np.ndarray, evaluator: np.ndarray) -> np.ndarray:
    """Spearman's rank correlation of each seed's curve with its ruler: [S, T], [S, T] -> [S].

    nan where a curve is constant or a seed diverged: nothing can be ranked then.
    """
    found = []
    for mine, truth in zip(curve, evaluator, strict=True):
        usable = np.isfinite(mine).all() and np.isfinite(truth).all()
        flat = not usable or np.ptp(mine) == 0 or np.ptp(truth) == 0
        found.append(np.nan if flat else float(stats.spearmanr(mine, truth).statistic))
    return np.array(found)


def ceiling(evaluator: np.ndarray, deviation: np.ndarray, n_draws: int = 20) -> np.ndarray:
    """About the rank correlation that a perfect curve would have with so noisy a ruler, [S].

    The ruler against itself with its own noise added once more; where it lies at its floor, ranks
    are chance for any curve.
    """
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((n_draws, *evaluator.shape))
    return np.mean([rank_correlations(evaluator + deviation * e, evaluator) for e in noise], axis=0)
