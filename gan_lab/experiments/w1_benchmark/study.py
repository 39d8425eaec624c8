"""Estimates of W1 judged by pairs of distributions whose W1 is known."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import numpy as np
from matplotlib.figure import Figure

from gan_lab.data.funnels import Funnels
from gan_lab.experiments.base import Arrays, Experiment, Lab
from gan_lab.experiments.claims import Claim
from gan_lab.experiments.parallel import call, in_processes
from gan_lab.experiments.w1_benchmark import critics, neural, samples
from gan_lab.experiments.w1_benchmark import figures as drawings
from gan_lab.experiments.w1_benchmark.claims import (
    all_claims,
    bound,
    debiased_distance,
    has_neural,
    ratio,
)
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.validation import check_count, check_interval

_NEEDED_PAIRS = ("2/4", "128/4")  # of which claims and pictures speak


@dataclass(frozen=True)
class W1Benchmark(Experiment):
    """Every critic and every sample estimator on pairs of known W1; a seed draws its own centres.

    Attributes:
        pairs: Each "dimensions/funnels".
        steps: Updates of every critic.
        batch_size: Fresh samples of either side in each update, up to 8 dimensions.
        batch_growth: The batch is d/8 times as large in d > 8 dimensions, at most this many times.
        width: Units of both hidden layers.
        lr: Of Adam; a clipped critic takes a tenth of it with RMSprop.
        lipschitz_lr: The same of critics with orthonormal layers, which take a higher one.
        n_judge: Fresh samples of either side that judge a critic.
        n_samples: Samples of either side for estimators without a network.
        neural_pairs: Those of `pairs` on which the evaluator's neural distance is measured, too.
        neural_steps: Its steps, of which it makes more in high dimension; see `NeuralDistance`.
        neural_n: Samples of either side to validate it (20 %) and to report on (30 %).
    """

    pairs: Sequence[str] = ("2/4", "8/4", "16/4", "64/4", "128/4")
    steps: int = 1000
    batch_size: int = 128
    batch_growth: int = 8
    width: int = 128
    lr: float = 0.003
    lipschitz_lr: float = 0.01
    n_judge: int = 4096
    n_samples: int = 2048
    neural_pairs: Sequence[str] = ("2/4", "8/4", "16/4", "64/4", "128/4")
    neural_steps: int = 400
    neural_n: int = 16384

    title: ClassVar[str] = "W1 where it is known"
    question: ClassVar[str] = (
        "Which estimates of W1 are right where W1 is known: which are lower bounds, which come "
        "near, and which must not be called W1?"
    )
    reference: ClassVar[str] = "Korotin et al. 2022, arXiv:2206.07767"

    def __post_init__(self) -> None:
        for name in ("steps", "batch_size", "batch_growth", "width", "n_judge", "n_samples"):
            check_count(self, name)
        for name in ("lr", "lipschitz_lr"):
            check_interval(self, name, getattr(self, name))
        for pair in self.pairs:
            if not all(part.isdigit() for part in pair.split("/")) or pair.count("/") != 1:
                raise ValueError(
                    f"W1Benchmark.pairs holds {pair!r}, which is not dimensions/funnels, say 16/4"
                )
            _ = Funnels(*_numbers(pair))
        for pair in _NEEDED_PAIRS:
            if pair not in self.pairs:
                lacks = f"lacks {pair}, of which a claim speaks; add it"
                raise ValueError(f"W1Benchmark.pairs={list(self.pairs)} {lacks}")
        check_count(self, "neural_steps")
        check_count(self, "neural_n", at_least=20)
        strange = [pair for pair in self.neural_pairs if pair not in self.pairs]
        if strange or _NEEDED_PAIRS[0] not in self.neural_pairs:
            raise ValueError(
                f"W1Benchmark.neural_pairs={list(self.neural_pairs)}: take some of "
                f"pairs={list(self.pairs)}, and {_NEEDED_PAIRS[0]}, of which a claim speaks"
            )

    def measure(self, lab: Lab) -> Arrays:
        """Train every kind of critic on every pair, the largest first, and measure samples.

        Arrays `neural/...` are nan on pairs without a neural distance.
        """
        pairs, seeds = list(dict.fromkeys(self.pairs)), list(lab.seeds)
        size = (self.steps, self.batch_size, self.width, self.lr, self.lipschitz_lr, self.n_judge)
        base = critics.Training(seeds, lab.device, *size)
        design = NeuralDistance(self.neural_steps, n=self.neural_n)
        jobs: dict[str, tuple[Any, ...]] = {}
        for pair in sorted(pairs, key=_numbers, reverse=True):
            numbers = _numbers(pair)
            for seed in seeds if pair in self.neural_pairs else ():
                each_neural = (*numbers, seed, design, lab.device)
                jobs[f"neural {pair} {seed}"] = (neural.neural_distance_of_pair, *each_neural)
            training = replace(base, batch_size=self.batch_of(numbers[0]))
            jobs[f"samples {pair}"] = (samples.samples_of_pair, *numbers, self.n_samples, seeds)
            for kinds in critics.TOGETHER:
                jobs[f"{kinds[0]} {pair}"] = (critics.critics_of_pair, kinds, *numbers, training)
        jobs["exact plane"] = (critics.true_surface, 4, seeds[0])
        parts = in_processes(lab, call, jobs)
        arrays: Arrays = {"pairs": np.array(pairs), "n_samples": np.array(self.n_samples)}
        arrays |= {f"plane/{name}": x for name, x in parts["exact plane"].items()}
        for name in parts[f"samples {pairs[0]}"]:
            arrays[f"samples/{name}"] = np.stack([parts[f"samples {p}"][name] for p in pairs])
        for kinds in critics.TOGETHER:
            for name, values in parts[f"{kinds[0]} 2/4"].items():
                is_surface = name.endswith("/surface")  # of that pair alone
                every = [values] if is_surface else [parts[f"{kinds[0]} {p}"][name] for p in pairs]
                arrays[name] = values if is_surface else np.stack(every)
        for name in parts[f"neural {_NEEDED_PAIRS[0]} {seeds[0]}"]:
            values = np.full((len(pairs), len(seeds)), np.nan)
            for i, pair in enumerate(pairs):
                for j, seed in enumerate(seeds if pair in self.neural_pairs else ()):
                    values[i, j] = parts[f"neural {pair} {seed}"][name]
            arrays[f"neural/{name}"] = values
        return arrays

    def batch_of(self, dim: int) -> int:
        """Return the samples of one update: in high dimension a critic needs more of them."""
        return round(self.batch_size * min(self.batch_growth, max(1, dim / 8)))

    def claims(self, arrays: Arrays) -> list[Claim]:
        """Claim what `claims` lists."""
        return all_claims(arrays)

    def figures(self, arrays: Arrays) -> Mapping[str, Figure]:
        """Draw estimates over the truth, bounds and cosines, the authors' numbers, the plane."""
        neural_distance = (drawings.neural_distance,) if has_neural(arrays).any() else ()
        draw = (drawings.estimates, drawings.bounds, *neural_distance)
        draw += (drawings.authors, drawings.plane)
        return {function.__name__: function(arrays) for function in draw}

    def notes(self, arrays: Arrays) -> list[str]:
        """Say what each estimate may be called, and what the numbers leave open."""
        width = (arrays["samples/truth_high"] - arrays["samples/truth_low"]) / 2
        per_pair = {
            name: ", ".join(
                f"{pair} {value:.2f}"
                for pair, value in zip(arrays["pairs"], values.mean(1), strict=True)
            )
            for name, values in {
                "truth": arrays["samples/truth"],
                "lipschitz": bound(arrays, "lipschitz"),
                "one_sided": ratio(arrays, "one_sided/value"),
                "debiased": debiased_distance(arrays),
                "cosine": arrays["one_sided/cosine"],
            }.items()
        }
        relative = float((width / arrays["samples/truth"]).max())
        neural_note = [_neural_note(arrays)] if has_neural(arrays).any() else []
        return [
            f"True W1 in data units, mean over seeds (dimensions/funnels): {per_pair['truth']}; "
            f"the 95 % interval of each is at most {relative:.2%} either way. Every seed draws "
            "centres of its own; the authors have one pair of each size, so only ratios compare.",
            f"Lower bound: the value of a critic with orthonormal layers, over W1: "
            f"{per_pair['lipschitz']}. A value divided by its largest gradient norm is one only if "
            "no larger norm hides between the samples.",
            *neural_note,
            f"Near, but no bound: the value under the one-sided penalty, over W1: "
            f"{per_pair['one_sided']}. Where it is far below 1 the critic has seen too few samples "
            f"({self.steps} updates of {self.batch_of(128)} in 128-D); it can also exceed 1.",
            f"Its gradient is what a generator follows; its cosine with the true one: "
            f"{per_pair['cosine']}.",
            "Not W1: a clipped critic's value, which its bound sets; a value under spectral "
            "normalisation; sample W1 above a few dimensions, which is its own real-vs-real "
            "number; sliced W1, which is another distance.",
            f"Sample W1 less the mean of real-vs-real and fake-vs-fake, over W1: "
            f"{per_pair['debiased']}. Subtracting what real data get does not mend it.",
        ]


def _neural_note(arrays: Arrays) -> str:
    where = has_neural(arrays)
    pairs = arrays["pairs"][where]
    texts = [
        ", ".join(f"{pair} {value:.2f}" for pair, value in zip(pairs, values, strict=True))
        for values in (
            ratio(arrays, "neural/bound")[where].mean(1),
            ratio(arrays, "neural/value")[where].mean(1),
        )
    ]
    return (
        f"The evaluator's neural distance, over W1: its bound {texts[0]}; its penalised value, "
        f"near and no bound, {texts[1]}. Its samples report with an error of their own, so that "
        "one number may exceed 1 by it."
    )


def _numbers(pair: str) -> tuple[int, int]:
    """Return dimensions and funnels of "16/4"."""
    dim, n_funnels = pair.split("/")
    return int(dim), int(n_funnels)
