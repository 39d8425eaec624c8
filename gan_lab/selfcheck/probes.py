"""Cases of the probe: what fresh networks find in samples whose distances are known."""

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


class _Reseeded(DistributionSource):
    """Held-out samples from a stream of the check, where the probe would take its fixed one."""

    def __init__(self, distribution: Distribution, generator: Generator) -> None:
        super().__init__(distribution, CPU)
        self._own = generator

    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """n fresh samples."""
        return self.distribution.sample(n, self._own)


def _probed(tag: str, data: Distribution, shift: float) -> Callable[[Generator], Estimate]:
    def once(generator: Generator) -> Estimate:
        def fake(n: int, fixed: Generator) -> Tensor:
            x = data.sample(n, generator)
            x[:, 0] += shift
            return x

        return neural_distance.NeuralDistance(n=_N).measure(fake, _Reseeded(data, generator))[tag]

    return once


def neural_distance_cases(more: int) -> Iterator[Case]:
    """JS and W1."""
    theory = closed_forms.smoothed_segments
    judged = int(0.3 * _N)
    for where, data, t, share in (
        ("1-D Gaussians, shift 8", Normal(1), 8.0, 0.02),
        ("2-D Gaussians, shift 3", Normal(2), 3.0, 0.05),
    ):
        truth = theory(t, 1.0).js
        why = f"theorem: a lower bound; a network of this budget gets within {share:.0%} of it"
        run = _probed("neural_distance/js", data, t)
        band = (-share * truth, 0.0)
        yield Case(where, "probe JS", "nats", truth, band, why, judged, 1, run)
    pairs: tuple[tuple[str, Distribution, float, float], ...] = (
        # Two points at distance t: the penalised critic's slope is everywhere the same between
        # them, so that its gain over its slope is t.
        ("1-D points, std 0.05, shift 1", Gaussian1d(0.0, 0.05), 1.0, 0.06),
        # Else the slope is 1 + A/(2 weight rho), largest where few interpolates lie.
        ("1-D Gaussians, shift 4", Normal(1), 4.0, 0.25),
        ("16-D Gaussians, shift 4", Normal(16), 4.0, 0.25),
    )
    for where, points, t, share in pairs:
        why = f"theorem: gain/slope is a lower bound; penalty and fit cost up to {share:.0%} here"
        run = _probed("neural_distance/wasserstein", points, t)
        band = (-share * t, 0.0)
        yield Case(where, "probe W1", "data units", t, band, why, judged, 1, run)
