"""Names of earlier layouts that stored runs still use, and what they are called now.

A run directory made before the rooms names classes by the modules of that time, and keys, tags and
folders by the words of that time. Whatever reads a run directory translates with these functions,
so that an old run opens everywhere; nothing writes an old name.
"""

from collections.abc import Mapping, Set
from typing import Any

# Dotted prefixes of `_target_`, the longest first.
_TARGETS = {
    "gan_lab.estimators.ruler.RulerSettings": "gan_lab.metrics.evaluator.EvaluatorSettings",
    "gan_lab.estimators.measures": "gan_lab.metrics.metrics",
    "gan_lab.probe.Probe": "gan_lab.metrics.neural_distance.NeuralDistance",
    "gan_lab.settings": "gan_lab.training.config",
    "gan_lab.training.trainer_settings": "gan_lab.training.config",
    "gan_lab.execution": "gan_lab.engine.execution",
    "gan_lab.optim": "gan_lab.engine.optimizers",
}
_KEYS = {
    "estimator": "evaluator",
    "measure": "metrics",
    "probe": "neural_distance",
    "trainer.film_every": "trainer.landscape_every",
    # of studies
    "games": "methods",
    "light_weight": "small_weight",
    "most_steps": "max_steps",
}
_TAGS = {
    "discriminator_estimate/gap": "discriminator_estimate/optimality_gap",
    "discriminator_estimate/readable": "discriminator_estimate/near_optimal",
    "discriminator_estimate/slope_mean": "discriminator_estimate/gradient_norm_mean",
    "discriminator_estimate/slope_max": "discriminator_estimate/gradient_norm_max",
    "discriminator_estimate/wasserstein_per_slope": (
        "discriminator_estimate/wasserstein_per_gradient_norm"
    ),
    "probe/js": "neural_distance/js",
    "probe/wasserstein": "neural_distance/wasserstein",
    "probe/slope": "neural_distance/gradient_norm",
}
LANDSCAPE_FOLDER = "film"  # what `RunDir.landscape` was


_ENDS = ("", "_low", "_high", "_floor")
_CURRENT = {
    f"{start}{old}{end}": f"{start}{new}{end}"
    for old, new in _TAGS.items()
    for start in ("", "final/")
    for end in _ENDS
}


def current_tag(tag: str) -> str:
    """Return today's name of a scalar's tag, or of its interval, floor or final value."""
    return _CURRENT.get(tag, tag)


def former_tags(tags: Set[str]) -> set[str]:
    """Return the names that tags of today had before."""
    return {old for old, new in _CURRENT.items() if new in tags}


def current_key(key: str) -> str:
    """Return today's name of a dotted key of the configuration."""
    for old, new in _KEYS.items():
        if key == old or key.startswith(f"{old}."):
            return new + key[len(old) :]
    return key


def current_override(override: str) -> str:
    """Return a typed `key=value` under today's key."""
    key, sign, value = override.partition("=")
    prefix = key[: len(key) - len(key.lstrip("+~"))]
    return f"{prefix}{current_key(key[len(prefix) :])}{sign}{value}"


def current_config(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a stored configuration, in plain containers, under today's keys and class names."""

    def translate(node: Any, path: str) -> Any:
        if not isinstance(node, Mapping):
            return _current_target(node) if path.endswith("_target_") else node
        translated = {}
        for key, value in node.items():
            old = f"{path}.{key}" if path else str(key)
            new = current_key(old).rpartition(".")[2] if isinstance(key, str) else key
            translated[new] = translate(value, current_key(old))
        return translated

    whole: dict[Any, Any] = translate(config, "")
    return whole


def _current_target(target: Any) -> Any:
    for old, new in _TARGETS.items():
        if isinstance(target, str) and (target == old or target.startswith(f"{old}.")):
            return new + target[len(old) :]
    return target
