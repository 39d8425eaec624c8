"""Metrics: estimators that see samples and never a loss, so that runs can be compared.

The names below are imported when they are first used: the estimators need scipy, the neural
distance needs the engine, and a report needs neither.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gan_lab.metrics.diversity import mean_nearest_distance, mean_pairwise_distance
    from gan_lab.metrics.estimate import Estimate, from_counts, from_repeats
    from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings
    from gan_lab.metrics.features.inception import Inception
    from gan_lab.metrics.features.metric import Features
    from gan_lab.metrics.histogram import histogram_js
    from gan_lab.metrics.kernel import energy_distance, median_distance, mmd_squared
    from gan_lab.metrics.knn import knn_entropy, knn_js, knn_kl
    from gan_lab.metrics.metrics import (
        Diversity,
        JensenShannon,
        Kernel,
        KullbackLeibler,
        Metric,
        MetricFunction,
        ModeCount,
        SlicedWasserstein,
        Wasserstein,
    )
    from gan_lab.metrics.mode_coverage import mode_statistics
    from gan_lab.metrics.neural_distance import NeuralDistance
    from gan_lab.metrics.wasserstein import exact_wasserstein, sliced_wasserstein

_NAMES = {
    "diversity": ["mean_nearest_distance", "mean_pairwise_distance"],
    "estimate": ["Estimate", "from_counts", "from_repeats"],
    "evaluator": ["Evaluator", "EvaluatorSettings"],
    "features.inception": ["Inception"],
    "features.metric": ["Features"],
    "histogram": ["histogram_js"],
    "kernel": ["energy_distance", "median_distance", "mmd_squared"],
    "knn": ["knn_entropy", "knn_js", "knn_kl"],
    "mode_coverage": ["mode_statistics"],
    "neural_distance": ["NeuralDistance"],
    "wasserstein": ["exact_wasserstein", "sliced_wasserstein"],
}
_MODULES = {name: module for module, names in _NAMES.items() for name in names}
__all__ = [
    "Diversity",
    "Features",
    "Inception",
    "JensenShannon",
    "Kernel",
    "KullbackLeibler",
    "Metric",
]
__all__ += ["MetricFunction", "ModeCount", "SlicedWasserstein", "Wasserstein"]
__all__ += ["mean_nearest_distance", "mean_pairwise_distance"]
__all__ += ["Estimate", "from_counts", "from_repeats", "Evaluator", "EvaluatorSettings"]
__all__ += ["energy_distance", "median_distance", "mmd_squared", "histogram_js", "mode_statistics"]
__all__ += ["knn_entropy", "knn_js", "knn_kl", "NeuralDistance"]
__all__ += ["exact_wasserstein", "sliced_wasserstein"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES.get(name, 'metrics')}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
