"""The metrics of the evaluator: each is a class here and a file in conf/metrics.

A metric sees samples, held-out samples and the source's density and modes; never a loss.
"""

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor

from gan_lab.data.base import Source
from gan_lab.data.class_modes import ClassifierModes
from gan_lab.engine.devices import to_float64
from gan_lab.engine.rng import stream
from gan_lab.metrics.diversity import mean_nearest_distance, mean_pairwise_distance
from gan_lab.metrics.histogram import histogram_js
from gan_lab.metrics.kernel import energy_distance, median_distance, mmd_squared
from gan_lab.metrics.knn import knn_entropy, knn_js, knn_kl
from gan_lab.metrics.mode_coverage import mode_statistics
from gan_lab.metrics.wasserstein import exact_wasserstein, sliced_wasserstein
from gan_lab.validation import check_count

Units = Mapping[str, str]  # tag -> unit
# (samples [n, *shape], held-out samples [n, *shape]) -> tag -> number.
MetricFunction = Callable[[Tensor, Tensor], Mapping[str, float]]


class Metric(ABC):
    """One family of numbers: a frozen dataclass whose fields are its config keys.

    Attributes:
        units: Tag -> unit of each number it gives.
        unbounded_tags: Tags of numbers that may be infinite or undefined for finite samples; any
            other number that is not finite stops the run.
    """

    units: ClassVar[Units]
    unbounded_tags: ClassVar[frozenset[str]] = frozenset()

    @property
    def min_samples(self) -> int:
        """The least number of samples on each side."""
        return 2

    def check(self, source: Source) -> None:  # noqa: B027 (most have nothing to refuse)
        """Refuse a data set or a machine, before anything is written.

        Raises:
            ConfigError: It cannot be measured: a package or a file is missing, say.
        """

    @abstractmethod
    def prepare(self, source: Source) -> MetricFunction | None:
        """Return the function of samples of this data set, or None where the metric does not apply.

        Its numbers are inf where they are infinite, nan where they are undefined.
        """

    def applies(self, source: Source) -> bool:
        """Return whether this data set can be measured: where not, `prepare` returns None."""
        return True

    def record(self, source: Source) -> Mapping[str, Any]:
        """Return what the numbers depend on beside settings and data, for the run's record."""
        return {}


@dataclass(frozen=True)
class Wasserstein(Metric):
    """W1 between samples and held-out samples by the best one-to-one matching."""

    units: ClassVar[Units] = {"divergence/wasserstein": "data units"}

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`."""
        (tag,) = self.units
        return lambda samples, held_out: {tag: exact_wasserstein(samples, held_out)}


@dataclass(frozen=True)
class SlicedWasserstein(Metric):
    """W1 of one-dimensional projections, averaged over directions that never change."""

    n_directions: int = 128
    units: ClassVar[Units] = {"divergence/sliced_wasserstein": "data units"}

    def __post_init__(self) -> None:
        check_count(self, "n_directions", at_most=100_000)

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`."""
        (tag,), n = self.units, self.n_directions
        return lambda samples, held_out: {tag: sliced_wasserstein(samples, held_out, n)}


@dataclass(frozen=True)
class KullbackLeibler(Metric):
    """KL both ways by nearest neighbours; fake to real by the exact density where there is one.

    Images are points of a low-dimensional surface in pixels: neither side has a density there, and
    both numbers are undefined.
    """

    k: int = 4
    units: ClassVar[Units] = {
        "divergence/kl_real_fake": "nats",
        "divergence/kl_fake_real": "nats",
    }
    unbounded_tags: ClassVar[frozenset[str]] = frozenset(units)

    def __post_init__(self) -> None:
        check_count(self, "k")

    @property
    def min_samples(self) -> int:
        """See `Metric`: k other samples."""
        return self.k + 1

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`; nan for images and for data that fill no volume."""
        if len(source.shape) == 3 or source.singular:
            return lambda samples, held_out: dict.fromkeys(self.units, math.nan)
        log_density = source.log_density

        def evaluate(samples: Tensor, held_out: Tensor) -> dict[str, float]:
            if log_density is None:
                fake_real = knn_kl(samples, held_out, self.k)
            else:
                # KL(p_g || p) = -H(p_g) - E_g log p: only one of the two terms is estimated.
                cross = -float(log_density(to_float64(samples)).mean())
                fake_real = cross - knn_entropy(samples, self.k)
            return {
                "divergence/kl_real_fake": knn_kl(held_out, samples, self.k),
                "divergence/kl_fake_real": fake_real,
            }

        return evaluate


@dataclass(frozen=True)
class JensenShannon(Metric):
    """A lower bound of JS by a nearest-neighbour classifier; by counting too where d <= 2."""

    k: int = 0
    units: ClassVar[Units] = {"divergence/js": "nats", "divergence/js_histogram": "nats"}

    def __post_init__(self) -> None:
        check_count(self, "k", at_least=0)

    @property
    def min_samples(self) -> int:
        """See `Metric`: k others among those of both sides."""
        return max(2, self.k // 2 + 1)

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`; the histogram applies in one and two dimensions."""
        low = source.shape in ((1,), (2,))

        def evaluate(samples: Tensor, held_out: Tensor) -> dict[str, float]:
            values = {"divergence/js": knn_js(held_out, samples, self.k or None)}
            if low:
                values["divergence/js_histogram"] = histogram_js(held_out, samples)
            return values

        return evaluate


@dataclass(frozen=True)
class Kernel(Metric):
    """Energy distance and MMD^2, unbiased; the bandwidth is the held-out data's median distance."""

    units: ClassVar[Units] = {"divergence/energy": "data units", "divergence/mmd_squared": "1"}

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`."""
        n = min(512, source.n_held_out or 512)
        bandwidth = median_distance(source.held_out(n, stream(0, "bandwidth", source.device)))

        def evaluate(samples: Tensor, held_out: Tensor) -> dict[str, float]:
            return {
                "divergence/energy": energy_distance(samples, held_out),
                "divergence/mmd_squared": mmd_squared(samples, held_out, bandwidth),
            }

        return evaluate


@dataclass(frozen=True)
class ModeCount(Metric):
    """Modes covered, share of high quality, KL of the modes' shares; where the modes are known."""

    units: ClassVar[Units] = {
        "modes/covered": "modes",
        "modes/high_quality": "1",
        "modes/classifier_accuracy": "1",
        "modes/kl": "nats",
    }
    unbounded_tags: ClassVar[frozenset[str]] = frozenset({"modes/kl"})

    def prepare(self, source: Source) -> MetricFunction | None:
        """See `Metric.prepare`; None where the data set does not know its modes."""
        modes = source.modes
        if modes is None:
            return None
        return lambda samples, held_out: mode_statistics(samples, modes)

    def applies(self, source: Source) -> bool:
        """See `Metric.applies`: where the data set knows its modes."""
        return source.modes is not None

    def record(self, source: Source) -> Mapping[str, Any]:
        """See `Metric.record`: the classifier of images, where one was trained."""
        modes = source.modes
        return modes.classifier.record() if isinstance(modes, ClassifierModes) else {}


@dataclass(frozen=True)
class Diversity(Metric):
    """Distances among samples and to the training data: collapse and copying."""

    units: ClassVar[Units] = {
        "samples/pairwise_distance": "data units",
        "samples/nearest_train_distance": "data units",
    }

    def prepare(self, source: Source) -> MetricFunction:
        """See `Metric.prepare`; the training distance is of 20,000 samples, 2^21 numbers at most.

        Beyond, all pairs take longer than all else; `Features` has one in features.
        """
        training = None
        n_numbers = (source.n_train or 0) * math.prod(source.shape)
        if source.n_train is not None and source.n_train <= 20_000 and n_numbers <= 1 << 21:
            training = source.real(source.n_train, stream(0, "training", source.device))

        def evaluate(samples: Tensor, held_out: Tensor) -> dict[str, float]:
            values = {"samples/pairwise_distance": mean_pairwise_distance(samples)}
            if training is not None:
                values["samples/nearest_train_distance"] = mean_nearest_distance(samples, training)
            return values

        return evaluate
