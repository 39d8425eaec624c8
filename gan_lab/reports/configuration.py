"""The configuration of a run as reports read it: flat, dotted key -> value."""

import functools
import importlib
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gan_lab.errors import ConfigError
from gan_lab.reports.plots import short
from gan_lab.run_dir import RunDir


def of_run(path: Path) -> dict[str, Any]:
    """The configuration in a run directory.

    Raises:
        ConfigError: It is missing, cut off or no configuration.
    """
    file = RunDir(path).config
    try:
        return dict(_parsed(file, file.stat().st_mtime_ns))
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read: {error}. Remove or repair the run.") from error


@functools.lru_cache(maxsize=1024)  # a stacked parent is asked for by each of its seeds
def _parsed(file: Path, changed: int) -> dict[str, Any]:
    loaded = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    if not isinstance(loaded, dict):
        raise ConfigError(f"{file} is not a configuration. Remove or repair the run.")
    return _flat(loaded)


def _flat(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        leaves |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return leaves


def method(config: Mapping[str, Any]) -> str:
    """The loss and what holds the discriminator, as a flat configuration names them."""
    return " + ".join([loss(config), *regularizers(config)])


def loss(config: Mapping[str, Any]) -> str:
    """The loss's class in lower case: non_saturating."""
    return class_name(config, "loss")


def class_name(config: Mapping[str, Any], node: str) -> str:
    """The class that a node names, as names are written in configurations."""
    target = str(config.get(f"{node}._target_", "unknown")).rpartition(".")[2]
    return re.sub(r"(?<=[a-z])(?=[A-Z])", "_", target).lower()


def regularizers(config: Mapping[str, Any]) -> list[str]:
    """Their names, in the order of a flat configuration."""
    found = (re.fullmatch(r"regularizer\.(\w+)\._target_", key) for key in config)
    return [match[1] for match in found if match]


def card_lines(config: Mapping[str, Any]) -> list[str]:
    """What the loss card of a configuration says, a line an entry; none if the loss is unknown."""
    module, _, name = str(config.get("loss._target_", "")).rpartition(".")
    try:
        card = getattr(importlib.import_module(module), name).card
    except (ImportError, AttributeError, ValueError):
        return []
    return [f"{key}: {_said(value)}" for key, value in vars(card).items()]


def _said(value: Any) -> str:
    return ", ".join(map(short, value)) if isinstance(value, tuple) else str(value)
