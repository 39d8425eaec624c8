"""One ruler for all runs: the same estimators, held-out data and sample sizes whatever the loss."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from gan_lab.checks import check_count
from gan_lab.data.base import Source
from gan_lab.estimators.base import Estimate, from_repeats
from gan_lab.estimators.neighbours import mean_nearest_distance, mean_pairwise_distance
from gan_lab.estimators.transport import exact_wasserstein
from gan_lab.streams import stream

WASSERSTEIN = "divergence/wasserstein"


@dataclass(frozen=True)
class RulerSettings:
    """How often and how finely a run is measured; the keys of `estimator` in the config.

    Attributes:
        every: Steps between two measurements; the first and the last step are always measured.
        n: Samples on each side of one repeat; no more than there are held-out samples.
        n_repeats: Independent draws of the generator's samples for one estimate and its interval.
        final_n_repeats: The same at the end of the run.
        floor_n_repeats: Draws of real against held-out samples for the floor.
    """

    every: int = 200
    n: int = 500
    n_repeats: int = 4
    final_n_repeats: int = 10
    floor_n_repeats: int = 20

    def __post_init__(self) -> None:
        check_count(self, "every")
        check_count(self, "n", at_least=2)
        for name in ("n_repeats", "final_n_repeats", "floor_n_repeats"):
            check_count(self, name, at_least=2)


class Ruler:
    """Measures one seed's samples against the held-out data of one source."""

    def __init__(self, settings: RulerSettings, source: Source, seed: int, latent_dim: int) -> None:
        self.settings, self.source = settings, source
        self.seed, self.latent_dim = seed, latent_dim
        self.n = min(settings.n, source.n_held_out or settings.n, source.n_train or settings.n)
        self._floors: dict[str, float] | None = None

    def floors(self) -> dict[str, float]:
        """Each measured quantity for real samples: W1's is real against held out, its mean."""
        if self._floors is None:
            generator = self._stream("floor")
            n, repeats = self.n, self.settings.floor_n_repeats
            distances, pairwise, nearest = [], [], []
            for _ in range(repeats):
                real = self.source.real(n, generator)
                held_out = self.source.held_out(n, generator)
                distances.append(exact_wasserstein(real, held_out))
                pairwise.append(mean_pairwise_distance(held_out))
            if self._training is not None:
                nearest.append(mean_nearest_distance(held_out, self._training))
            self._floors = {
                WASSERSTEIN: from_repeats(distances, "data units", n).value,
                "samples/pairwise_distance": from_repeats(pairwise, "data units", n).value,
            }
            if nearest:
                self._floors["samples/nearest_train_distance"] = nearest[0]
        return self._floors

    def measure(
        self, make: Callable[[Tensor], Tensor], step: int, final: bool = False
    ) -> dict[str, Estimate]:
        """Measures what a generator makes at a step.

        The interval is over the generator's draws and, where the data are a distribution, over
        fresh held-out draws; a finite held-out set is taken as it is.

        Args:
            make: z [N, latent_dim] -> samples [N, *shape].
            step: Names the randomness: the same z for every loss at the same step and seed.
            final: Whether to take the repeats of the end of a run.

        Returns:
            Tag -> estimate, each beside its floor.
        """
        settings, source = self.settings, self.source
        generator = self._stream(f"step {step}")
        repeats = settings.final_n_repeats if final else settings.n_repeats
        values: dict[str, list[float]] = {}
        for _ in range(repeats):
            shape = (self.n, self.latent_dim)
            z = torch.randn(shape, generator=generator, device=source.device)
            samples = make(z)
            held_out = source.held_out(self.n, generator)
            values.setdefault(WASSERSTEIN, []).append(exact_wasserstein(samples, held_out))
            pairwise = mean_pairwise_distance(samples)
            values.setdefault("samples/pairwise_distance", []).append(pairwise)
            if self._training is not None:
                nearest = mean_nearest_distance(samples, self._training)
                values.setdefault("samples/nearest_train_distance", []).append(nearest)
        floors = self.floors()
        return {
            tag: from_repeats(each, "data units", self.n).with_floor(floors[tag])
            for tag, each in values.items()
        }

    @cached_property
    def _training(self) -> Tensor | None:
        """All training samples where they are finite and few enough to compare with."""
        if self.source.n_train is None or self.source.n_train > 20_000:
            return None
        return self.source.real(self.source.n_train, self._stream("training"))

    def _stream(self, purpose: str) -> torch.Generator:
        return stream(self.seed, f"ruler/{purpose}", self.source.device)
