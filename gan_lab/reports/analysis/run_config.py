"""A run's configuration for reports: flat, dotted key -> value, and safe to show."""

import functools
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from gan_lab.errors import ConfigError
from gan_lab.reports.plots.style import short
from gan_lab.runs import imports
from gan_lab.runs.compatibility import current_config
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import printable, read_regular

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_MAX_BYTES = 1 << 18  # of a config.yaml; a run's has some thousand
_MAX_DEPTH = 64  # of its nests; a run's has four
_MAX_INTEGER = 1 << 63  # in it, and in a status.json


def of_run(path: Path) -> dict[str, Any]:
    """Return the configuration in a run directory.

    Raises:
        ConfigError: It is missing, cut off or no configuration.
    """
    file = RunDir(path).config
    try:
        return dict(_parse(file, file.stat().st_mtime_ns))
    except ConfigError:
        raise
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read: {error}. Remove or repair the run.") from error


def text_of(file: Path) -> str:
    """Return the text of a config.yaml, if it can be one that a run has written.

    Raises:
        OSError, ValueError, YAMLError: It cannot be read, is too long, no text, or no YAML.
        ConfigError: It is nested too deep, or repeats itself by aliases: a few lines of those may
            stand for more than the memory holds.
    """
    text = read_regular(file, _MAX_BYTES).decode()
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _MAX_DEPTH:  # to parse the whole takes the square of its depth
            raise ConfigError(f"{file} is no run's: it is nested deeper than {_MAX_DEPTH}")
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{file} is no run's: it has YAML aliases")
    return text


def may_import(target: str) -> bool:
    """Tell whether a class that a stored run names may be imported, which runs its module's code.

    The command line and the user's own conf/ are trusted; a run directory may be a stranger's.
    From it only gan_lab's own classes are imported, and packages that GAN_LAB_PLUGINS names.
    """
    packages = ["gan_lab", *os.environ.get("GAN_LAB_PLUGINS", "").replace(",", " ").split()]
    return target.partition(".")[0] in packages


@functools.lru_cache(maxsize=1024)  # each of several seeds reads its parent
def _parse(file: Path, modified_ns: int) -> dict[str, Any]:
    config = yaml.load(text_of(file), Loader=_LOADER)
    if not isinstance(config, dict):
        raise ConfigError(f"{file} is not a configuration. Remove or repair the run.")
    flat: dict[str, Any] = visible(flat_keys(current_config(config)))
    return flat


def visible(node: Any) -> Any:
    """Return a nest with unprintable characters in its texts replaced by U+FFFD.

    A run directory may be a stranger's: escape sequences in a name could rewrite the terminal.

    Raises:
        ValueError: A whole number is larger than any that a run counts to.
    """
    if isinstance(node, str):
        return printable(node)
    if isinstance(node, int) and not -_MAX_INTEGER <= node <= _MAX_INTEGER:
        raise ValueError(f"a whole number of {node.bit_length()} bits")
    if isinstance(node, Mapping):
        return {visible(key): visible(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [visible(each) for each in node]
    return node


def flat_keys(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    """Return the leaves of a nest by their dotted keys."""
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        leaves |= flat_keys(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return leaves


def loss(config: Mapping[str, Any]) -> str:
    """Return the loss's class in lower case: non_saturating."""
    return class_name(config, "loss")


def class_name(config: Mapping[str, Any], node: str) -> str:
    """Return the class of a node, spelled like the names in configurations."""
    target = str(config.get(f"{node}._target_", "unknown")).rpartition(".")[2]
    return re.sub(
        r"(?<=[a-z])(?=[A-Z])|(?<=[a-z])(?=\d+k$)", "_", target
    ).lower()  # mnist_5k, cifar10


def regularizers(config: Mapping[str, Any]) -> list[str]:
    """Return the regularizers' names, in the order of a flat configuration."""
    matches = (re.fullmatch(r"regularizer\.(\w+)\._target_", key) for key in config)
    return [match[1] for match in matches if match]


def card_lines(config: Mapping[str, Any]) -> list[str]:
    """Return a configuration's loss card, a line an entry; none if the loss is unknown."""
    target = str(config.get("loss._target_", ""))
    if not may_import(target):
        return []
    try:
        card = imports.import_object(target).card
    except (ImportError, AttributeError, ValueError):
        return []
    return [
        f"{key}: {', '.join(map(short, value)) if isinstance(value, tuple) else value}"
        for key, value in vars(card).items()
    ]
