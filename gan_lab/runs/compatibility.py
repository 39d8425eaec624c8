"""The former names of classes, keys, tags and folders that stored runs use, and their current ones.

Every reader of a run directory translates with these functions; nothing writes a former name.
"""

from collections.abc import Mapping, Sequence, Set
from typing import Any

from gan_lab.runs.headline import is_high_dimensional

# Dotted prefixes of `_target_`, the longest first where one holds another.
_TARGETS = {
    "gan_lab.estimators.ruler.RulerSettings": "gan_lab.metrics.evaluator.EvaluatorSettings",
    "gan_lab.estimators.measures.Neighbours": "gan_lab.metrics.metrics.Diversity",
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
    "learned": "threshold",
    "light_weight": "small_weight",
    "most_steps": "max_steps",
}
# Keys that stored configurations lack, by the class that has them: the value they ran with.
_MISSING_KEYS = {
    f"gan_lab.regularizers.{name}": {"every": 1}
    for name in ("GradientPenalty", "R1", "R2", "Dragan")
}
_OWN = "discriminator_estimate/"
_TAGS = {
    f"{_OWN}gap": f"{_OWN}optimality_gap",
    f"{_OWN}readable": f"{_OWN}near_optimal",
    f"{_OWN}slope_mean": f"{_OWN}gradient_norm_mean",
    f"{_OWN}slope_max": f"{_OWN}gradient_norm_max",
    f"{_OWN}wasserstein_per_slope": f"{_OWN}wasserstein_per_gradient_norm",
    "probe/js": "neural_distance/js",
    "probe/wasserstein": "neural_distance/wasserstein",
    "probe/slope": "neural_distance/gradient_norm",
    "time/estimate_share": "time/evaluation_share",
    "time/estimate_seconds": "time/evaluation_seconds",
}
_IMAGES = {"Digits", "StackedDigits", "Mnist5k", "TorchvisionImages", "ImageFolder", "ImageArray"}
LANDSCAPE_FOLDER = "film"  # of `RunDir.landscape`

_CURRENT_TAGS = {
    f"{start}{old}{end}": f"{start}{new}{end}"
    for old, new in _TAGS.items()
    for start in ("", "final/")
    for end in ("", "_low", "_high", "_floor")
}


def current_tag(tag: str) -> str:
    """Return the current name of a tag, or of its interval, floor or final value."""
    return _CURRENT_TAGS.get(tag, tag)


def former_tags(tags: Set[str]) -> set[str]:
    """Return the former names of current tags."""
    return {old for old, new in _CURRENT_TAGS.items() if new in tags}


def _replace_prefix(name: str, prefixes: Mapping[str, str]) -> str:
    """Return the name with its first dotted prefix among those replaced."""
    for old, new in prefixes.items():
        if name == old or name.startswith(f"{old}."):
            return new + name[len(old) :]
    return name


def has_high_dimension(status: Mapping[str, Any], config: Mapping[str, Any]) -> bool:
    """Return whether a stored run's samples have more than 4 coordinates.

    Former runs have no `sample_shape` in status.json: their images have, and all else counts as
    points of few coordinates.

    Args:
        status: Of status.json.
        config: Flat, dotted key -> value.
    """
    shape = status.get("sample_shape")
    if isinstance(shape, list) and all(isinstance(size, int) for size in shape):
        return is_high_dimensional(shape)
    return str(config.get("data._target_", "")).rpartition(".")[2] in _IMAGES


def current_key(key: str) -> str:
    """Return the current name of a dotted key of the configuration."""
    return _replace_prefix(key, _KEYS)


def current_override(override: str) -> str:
    """Return a typed `key=value` under its current key."""
    key, sign, value = override.partition("=")
    prefix = key[: len(key) - len(key.lstrip("+~"))]
    return f"{prefix}{current_key(key[len(prefix) :])}{sign}{value}"


def current_overrides(overrides: Sequence[str], data: str) -> list[str]:
    """Return all that was typed for a run under current keys and with current defaults.

    Args:
        overrides: What was typed.
        data: The class of the run's data; where none was typed the digits were the default.
    """
    names = {override.split("=")[0] for override in overrides}
    if data == "gan_lab.data.digits.Digits" and not names & {"data", "preset"}:
        overrides = ["data=digits", *overrides]
    return [current_override(each) for each in overrides]


def current_config(config: Mapping[Any, Any]) -> dict[Any, Any]:
    """Return a stored configuration, in plain containers, with current keys and class names."""

    def translate(node: Any, path: str) -> Any:
        if not isinstance(node, Mapping):
            is_target = path.endswith("_target_") and isinstance(node, str)
            return _replace_prefix(node, _TARGETS) if is_target else node
        result = {}
        for key, value in node.items():
            old = f"{path}.{key}" if path else str(key)
            new = current_key(old).rpartition(".")[2] if isinstance(key, str) else key
            result[new] = translate(value, current_key(old))
        for key, value in _MISSING_KEYS.get(str(result.get("_target_")), {}).items():
            result.setdefault(key, value)
        return result

    current: dict[Any, Any] = translate(config, "")
    return current


def current_content(content: Any) -> Any:
    """Return a checkpoint's content in its current form; what is no content stays as it is.

    A former one has no `device`, by which `resume` knows it: its random numbers were another
    stream's.
    """
    if not isinstance(content, Mapping) or "seconds" not in content:
        return content
    parts = ("config", "data", "step", "state", "accumulator")
    origin = content.get("origin")
    if origin is not None:
        origin = {**origin, "seconds": _current_seconds(origin["seconds"])}
    return {
        **{part: content[part] for part in parts if part in content},
        "callbacks": {
            "Divergence": {"reasons": content.get("dropped", {})},
            "TrainingClock": {"seconds": _current_seconds(content["seconds"]), "origin": origin},
            "BestCheckpoint": {"record": content.get("best"), "reports": []},
        },
    }


def _current_seconds(former: Mapping[str, float]) -> dict[str, float]:
    return {"train": former["time/train_seconds"], "evaluation": former["time/estimate_seconds"]}
