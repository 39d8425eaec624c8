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
    from gan_lab.metrics.histogram import histogram_js
    from gan_lab.metrics.kernel import energy_distance, median_distance, mmd_squared
    from gan_lab.metrics.knn import knn_entropy, knn_js, knn_kl
    from gan_lab.metrics.metrics import (
        Diversity,
        JensenShannon,
        Kernel,
        KullbackLeibler,
        Metric,
        ModeCount,
        SlicedWasserstein,
        Wasserstein,
    )
    from gan_lab.metrics.mode_coverage import mode_statistics
    from gan_lab.metrics.neural_distance import NeuralDistance
    from gan_lab.metrics.wasserstein import exact_wasserstein, sliced_wasserstein

_MODULES = {
    "Diversity": "metrics",
    "Estimate": "estimate",
    "Evaluator": "evaluator",
    "EvaluatorSettings": "evaluator",
    "JensenShannon": "metrics",
    "Kernel": "metrics",
    "KullbackLeibler": "metrics",
    "Metric": "metrics",
    "ModeCount": "metrics",
    "NeuralDistance": "neural_distance",
    "SlicedWasserstein": "metrics",
    "Wasserstein": "metrics",
    "energy_distance": "kernel",
    "exact_wasserstein": "wasserstein",
    "from_counts": "estimate",
    "from_repeats": "estimate",
    "histogram_js": "histogram",
    "knn_entropy": "knn",
    "knn_js": "knn",
    "knn_kl": "knn",
    "mean_nearest_distance": "diversity",
    "mean_pairwise_distance": "diversity",
    "median_distance": "kernel",
    "mmd_squared": "kernel",
    "mode_statistics": "mode_coverage",
    "sliced_wasserstein": "wasserstein",
}
__all__ = [
    "Diversity",
    "Estimate",
    "Evaluator",
    "EvaluatorSettings",
    "JensenShannon",
    "Kernel",
    "KullbackLeibler",
    "Metric",
    "ModeCount",
    "NeuralDistance",
    "SlicedWasserstein",
    "Wasserstein",
    "energy_distance",
    "exact_wasserstein",
    "from_counts",
    "from_repeats",
    "histogram_js",
    "knn_entropy",
    "knn_js",
    "knn_kl",
    "mean_nearest_distance",
    "mean_pairwise_distance",
    "median_distance",
    "mmd_squared",
    "mode_statistics",
    "sliced_wasserstein",
]


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
