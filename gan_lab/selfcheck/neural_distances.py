"""Cases of the neural distance, on samples whose distances are known.

The names "probe JS" and "probe W1 ..." are part of the names of their random streams.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Generator, Tensor

from gan_lab.data.base import Distribution, DistributionSource
from gan_lab.data.toy import Gaussian1d
from gan_lab.information import closed_forms
from gan_lab.metrics import neural_distance
from gan_lab.metrics.estimate import Estimate
from gan_lab.selfcheck.checks import Case
from gan_lab.selfcheck.samples import CPU, Normal

_N = 16384


class _CaseSource(DistributionSource):
    """Held-out samples from the case's stream, instead of the neural distance's fixed one."""

    def __init__(self, distribution: Distribution, generator: Generator) -> None:
        super().__init__(distribution, CPU)
        self._own = generator

    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """Return n fresh samples."""
        return self.distribution.sample(n, self._own)


def _measurement(tag: str, data: Distribution, shift: float) -> Callable[[Generator], Estimate]:
    def once(generator: Generator) -> Estimate:
        def fake(n: int, _: Generator) -> Tensor:
            x = data.sample(n, generator)
            x[:, 0] += shift
            return x

        return neural_distance.NeuralDistance(n=_N).measure(fake, _CaseSource(data, generator))[tag]

    return once


def neural_distance_cases(more: int) -> Iterator[Case]:
    """Yield cases of the neural JS and W1."""
    theory = closed_forms.smoothed_segments
    n_report = int(0.3 * _N)
    for where, data, t, share in (
        ("1-D Gaussians, shift 8", Normal(1), 8.0, 0.02),
        ("2-D Gaussians, shift 3", Normal(2), 3.0, 0.05),
    ):
        truth = theory(t, 1.0).js
        why = f"theorem: a lower bound; a network of this budget gets within {share:.0%} of it"
        run = _measurement("neural_distance/js", data, t)
        band = (-share * truth, 0.0)
        yield Case(where, "probe JS", "nats", truth, band, why, n_report, 1, run)
    points = "1-D points, std 0.05, shift 1"
    pairs: tuple[tuple[str, Distribution, float], ...] = (
        (points, Gaussian1d(0.0, 0.05), 1.0),
        ("1-D Gaussians, shift 4", Normal(1), 4.0),
        ("16-D Gaussians, shift 4", Normal(16), 4.0),
    )
    for where, distribution, t in pairs:
        why = "theorem: the difference of a critic of slope <= 1 is a lower bound; it fits a shift"
        run = _measurement("neural_distance/wasserstein", distribution, t)
        band = (-0.01 * t, 0.0)
        yield Case(where, "probe W1", "data units", t, band, why, n_report, 1, run)
    why = "no bound: the penalty of weight 30 lets slopes exceed 1 by 1/(60 rho), here 1.7 %"
    run = _measurement("neural_distance/wasserstein_penalized", Gaussian1d(0.0, 0.05), 1.0)
    band = (-0.01, 0.04)
    yield Case(points, "probe W1 penalized", "data units", 1.0, band, why, n_report, 1, run)
