"""The methods whose curves are compared, their curves from disk, and rank correlations."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from scipy import ndimage, stats

from gan_lab.experiments.base import Arrays
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir

EVALUATOR, ENERGY = "divergence/wasserstein", "divergence/energy"
JS, WASSERSTEIN = "discriminator_estimate/js", "discriminator_estimate/wasserstein"


class Method(NamedTuple):
    """What a method's discriminator estimates, and the overrides that train with it."""

    estimate: str
    overrides: tuple[str, ...]

    @property
    def is_js(self) -> bool:
        """Whether the estimate is one of JS, in nats."""
        return self.estimate == JS

    @property
    def label(self) -> str:
        """The estimate with its unit, for an axis."""
        return "JS estimate (nats)" if self.is_js else "W estimate (data units x slope)"


METHODS: Mapping[str, Method] = {
    "wasserstein": Method(WASSERSTEIN, ("loss=wasserstein",)),
    "wasserstein_clip": Method(
        WASSERSTEIN, ("loss=wasserstein", "regularizer=[weight_clipping]", "optim=rmsprop")
    ),
    "non_saturating": Method(JS, ("loss=non_saturating",)),
    "minimax": Method(JS, ("loss=minimax",)),
}


def load_curves(path: Path, estimate: str, n_repeats: int) -> Arrays:
    """Load what a run's seeds have logged, on the steps with an estimate and an evaluation.

    Args:
        path: The run directory, of one or of several seeds.
        estimate: Tag of the discriminator's own estimate.
        n_repeats: Draws behind one value of the evaluator.

    Returns:
        "steps" [T], and [S, T]: "estimate" and "generator" (the generator's loss), each the mean
        over the steps since the one before; "ruler" (the evaluator's W1) and "ruler_deviation", the
        standard deviation of its mean; "energy": the energy distance, which has no bias by the
        number of samples; "floor" []: W1 between real samples. nan after a seed has diverged.
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

    def stack(tag: str) -> np.ndarray:
        return np.array([[float(s.get(t, {}).get(tag, np.nan)) for t in steps] for s in seeds])

    # The evaluator's interval is a t interval of the mean over its repeats.
    half = (stack(f"{EVALUATOR}_high") - stack(f"{EVALUATOR}_low")) / 2
    return {
        "steps": np.array(steps, dtype=int),
        "estimate": stack(estimate),
        "generator": stack("loss/generator"),
        "ruler": stack(EVALUATOR),
        "ruler_deviation": half / stats.t.ppf(0.975, n_repeats - 1),
        "energy": stack(ENERGY),
        "floor": np.asarray(np.nanmean(stack(f"{EVALUATOR}_floor"))),
    }


def running_median(curve: np.ndarray, width: int) -> np.ndarray:
    """Return the median over `width` neighbours on the last axis; ends repeat their last value."""
    return ndimage.median_filter(curve, size=(*[1] * (curve.ndim - 1), width), mode="nearest")


def rank_correlations(curve: np.ndarray, evaluator: np.ndarray) -> np.ndarray:
    """Return Spearman's rank correlation of each seed's curves: [S, T], [S, T] -> [S].

    nan where a curve is constant or a seed diverged: nothing can be ranked then.
    """
    correlations = []
    for mine, truth in zip(curve, evaluator, strict=True):
        usable = np.isfinite(mine).all() and np.isfinite(truth).all()
        flat = not usable or np.ptp(mine) == 0 or np.ptp(truth) == 0
        correlations.append(np.nan if flat else float(stats.spearmanr(mine, truth).statistic))
    return np.array(correlations)


def ceiling(evaluator: np.ndarray, deviation: np.ndarray, n_draws: int = 20) -> np.ndarray:
    """Estimate the rank correlation of a perfect curve with so noisy an evaluator, [S].

    The evaluator against itself with its own noise added once more; where it lies at its floor,
    ranks are chance for any curve.
    """
    generator = np.random.default_rng(0)
    noise = generator.standard_normal((n_draws, *evaluator.shape))
    return np.mean([rank_correlations(evaluator + deviation * e, evaluator) for e in noise], axis=0)
