"""One evaluator for all runs: the same metrics, data and sample sizes whatever the loss.

During training it uses the validation part of the data, so that a checkpoint may be chosen on the
curve; at the end the held-out part, on which nothing is chosen. (A distribution is sampled afresh
for both.)
"""

import copy
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from gan_lab.data.base import Source
from gan_lab.engine.labels import ClassLabels, join_labels
from gan_lab.engine.rng import stream
from gan_lab.metrics.conditional import ClassMetrics
from gan_lab.metrics.estimate import Estimate, from_counts, from_repeats
from gan_lab.metrics.memo import memo
from gan_lab.metrics.metrics import Metric
from gan_lab.runs.headline import headline_of, is_high_dimensional
from gan_lab.validation import check_count, check_interval

_MAX_SAMPLES = 20_000  # exact W1 keeps the n x n distances: 3 GB
_MAX_REPEATS = 10_000
_MADE_AT_ONCE = 256  # samples: fewer take a generator as long


@dataclass(frozen=True)
class EvaluatorSettings:
    """How often and how finely a run is measured; the keys of `evaluator` in the config.

    Attributes:
        every: Steps between two measurements; 0 = 20 in a run. The start and the end are
            always measured.
        budget: Share of the loop's time above which measuring and drawing are warned about.
        n: Samples on each side of one repeat during training.
        n_repeats: Independent draws of the generator's samples for one estimate and its interval.
        final_n: Samples on each side at the end of the run.
        final_n_repeats: Draws at the end of the run.
        floor_n_repeats: Draws of real against validation or held-out samples for the floor.
    """

    every: int = 0
    budget: float = 0.25
    n: int = 64
    n_repeats: int = 3
    final_n: int = 500
    final_n_repeats: int = 10
    floor_n_repeats: int = 20

    def __post_init__(self) -> None:
        check_count(self, "every", at_least=0)
        check_interval(self, "budget", self.budget, high=1.0)
        for name in ("n", "final_n"):
            check_count(self, name, at_least=2, at_most=_MAX_SAMPLES)
        for name in ("n_repeats", "final_n_repeats", "floor_n_repeats"):
            check_count(self, name, at_least=2, at_most=_MAX_REPEATS)


class Evaluator:
    """Measures generators against the data of one source that they were not trained on.

    Attributes:
        newest: Estimates of the last measurement during training, by seed.
        unbounded_tags: Tags of the numbers that may be infinite or undefined for finite samples.
    """

    def __init__(
        self,
        settings: EvaluatorSettings,
        metrics: Mapping[str, Metric],
        source: Source,
        latent_dim: int,
        labels: ClassLabels | None = None,
    ) -> None:
        """Prepare the metrics of a data set.

        Args:
            settings: How often and how finely it measures.
            metrics: By name.
            source: The data.
            latent_dim: Dimensions of z.
            labels: The classes of the data, for generators that are given them; see
                `ClassMetrics`.
        """
        self.settings, self.source, self.latent_dim = settings, source, latent_dim
        self.units = {t: unit for m in metrics.values() for t, unit in m.units.items()}
        self.unbounded_tags = {tag for m in metrics.values() for tag in m.unbounded_tags}
        self._labels = labels
        self._classes = None if labels is None else ClassMetrics(source, labels)
        if self._classes is not None:
            self.units |= self._classes.units
            self.unbounded_tags |= self._classes.unbounded_tags
        self.newest: dict[int, dict[str, Estimate]] = {}
        pairs = [(set(metric.units), metric.prepare(source)) for metric in metrics.values()]
        self._functions = [(tags, function) for tags, function in pairs if function is not None]
        self._floors: dict[bool, dict[str, Estimate]] = {}
        self._stream = "ruler/step"

    def n(self, final: bool = False) -> int:
        """Return the samples on each side: of the settings, or as many as there are if fewer."""
        source, settings = self.source, self.settings
        n = settings.final_n if final else settings.n
        part = source.n_held_out if final else source.n_validation
        return min(n, part or n, source.n_train or n)

    @property
    def headline(self) -> str | None:
        """The tag that sums a run on these data up; None where no such metric is measured."""
        tags = {tag for of_metric, _ in self._functions for tag in of_metric}
        return headline_of(tags, is_high_dimensional(self.source.shape))

    def at(self, n: int) -> "Evaluator":
        """Return an evaluator with n samples on each side at the end of a run.

        At another n than this one's its samples are drawn independently of this one's.

        Raises:
            ValueError: n is not in 2 to the largest there is, or more than the data set holds.
        """
        other = copy.copy(self)
        other.settings, other._floors = replace(self.settings, final_n=n), {}
        if other.n(final=True) < n:
            raise ValueError(
                f"n={n} is more than the {other.n(final=True)} samples of the data set's smaller "
                "part; take fewer"
            )
        if n != self.n(final=True):
            other._stream = f"{self._stream} n {n}"
        return other

    def floors(self, final: bool = False) -> dict[str, float]:
        """Return each metric of real samples, the value of a perfect generator.

        It is the same for every seed and every run on these data.
        """
        return {tag: e.value for tag, e in self._floor_estimates(final).items()}

    def _floor_estimates(self, final: bool) -> dict[str, Estimate]:
        if final not in self._floors:
            n = self.n(final)
            generator = stream(0, f"ruler/floor {n}", self.source.device)
            rows = []
            for _ in range(self.settings.floor_n_repeats):
                # Unseen samples stand for a perfect generator's, so that distances to the
                # training data are those of samples that were never trained on.
                perfect = self._unseen(n, generator, final)
                rows.append(self._values(perfect, self.source.real(n, generator)))
                if self._classes is not None:
                    rows[-1] |= self._classes.of_real_data(n, generator, final)
            self._floors[final] = self._estimates(rows, n)
        return self._floors[final]

    def measure(
        self,
        make: Callable[[Tensor], Tensor],
        seed: int,
        step: int,
        final: bool = False,
        only: str | None = None,
    ) -> dict[str, Estimate]:
        """Measure a generator at a step.

        The interval is over the generator's draws and, where the data are a distribution, over
        fresh real draws; a finite set is taken as it is.

        Args:
            make: z [N, latent_dim] -> samples [N, *shape], each from its own z; during training
                of several repeats at once. Where it is given classes, [N, latent_dim + K]; they are
                those of random training samples.
            seed: With the step it names the randomness, so that every loss gets the same z.
            step: See seed.
            final: Whether to measure as finely as at the end of a run, on held-out samples.
            only: A tag; metrics without it are skipped.

        Returns:
            Tag -> estimate, each beside its floor.
        """
        n = self.n(final)
        generator = stream(seed, f"{self._stream} {step}", self.source.device)
        n_repeats = self.settings.final_n_repeats if final else self.settings.n_repeats
        rows = []
        n_at_once = 1 if final else max(1, _MADE_AT_ONCE // n)
        for start in range(0, n_repeats, n_at_once):
            zs, labels, unseen = [], [], []
            for _ in range(start, min(start + n_at_once, n_repeats)):
                shape = (n, self.latent_dim)
                zs.append(torch.randn(shape, generator=generator, device=self.source.device))
                if self._labels is not None:
                    labels.append(self._labels.draw(n, generator))
                    zs[-1] = join_labels(zs[-1], labels[-1])
                unseen.append(self._unseen(n, generator, final))
            samples = make(torch.cat(zs)).split(n)
            rows += [self._values(*pair, only) for pair in zip(samples, unseen, strict=True)]
            if self._classes is not None and (only is None or only in self._classes.units):
                for row, batch, classes in zip(rows[start:], samples, labels, strict=True):
                    row |= self._classes.of_samples(batch, classes, final)
        floors = self._floor_estimates(final)
        # A skewed floor marks the estimates of all runs on these data: it has more repeats.
        estimates = {
            tag: e.with_floor(floors[tag].value, floors[tag].is_skewed)
            for tag, e in self._estimates(rows, n).items()
        }
        if not final:
            self.newest[seed] = estimates
        return estimates

    def _unseen(self, n: int, generator: torch.Generator, final: bool) -> Tensor:
        part = self.source.held_out if final else self.source.validation
        return part(n, generator)

    def _values(self, samples: Tensor, unseen: Tensor, only: str | None = None) -> dict[str, float]:
        with memo():
            values = {
                tag: value
                for tags, function in self._functions
                if only is None or only in tags
                for tag, value in function(samples, unseen).items()
            }
        if self.latent_dim < math.prod(self.source.shape):
            # A surface of fewer dimensions has no density: an estimate would be a finite lie.
            values |= {tag: math.nan for tag in values if tag.startswith("divergence/kl_")}
        return values

    def _estimates(self, rows: list[dict[str, float]], n: int) -> dict[str, Estimate]:
        modes = self.source.modes
        limit = math.inf if modes is None else float(len(modes.weights))

        def average(tag: str) -> Estimate:
            values, unit = [row[tag] for row in rows], self.units[tag]
            if unit == "modes":  # a count: repeats that agree are no proof
                return from_counts(values, unit, n, limit)
            return from_repeats(values, unit, n)

        return {tag: average(tag) for tag in rows[0]}
