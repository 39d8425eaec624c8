"""The configuration of a run as reports read it: flat, dotted key -> value."""

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
from gan_lab.runs.old_names import current_config
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import printable, read_regular

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_LONGEST = 1 << 18  # bytes of a config.yaml; a run's has some thousand
_DEEPEST = 64  # of its nests; a run's has four
_LARGEST = 1 << 63  # of its whole numbers, and of a status's


def of_run(path: Path) -> dict[str, Any]:
    """The configuration in a run directory.

    Raises:
        ConfigError: It is missing, cut off or no configuration.
    """
    file = RunDir(path).config
    try:
        return dict(_parsed(file, file.stat().st_mtime_ns))
    except ConfigError:
        raise
    except (OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        raise ConfigError(f"{file} cannot be read: {error}. Remove or repair the run.") from error


def text_of(file: Path) -> str:
    """The text of a config.yaml, if it can be one that a run has written.

    Raises:
        OSError, ValueError, YAMLError: It cannot be read, is too long, no text, or no YAML.
        ConfigError: It is nested too deep, or repeats itself by aliases: a few lines of those may
            stand for more than the memory holds.
    """
    text = read_regular(file, _LONGEST).decode()
    depth = 0
    for event in yaml.parse(text, Loader=_LOADER):
        depth += isinstance(event, yaml.CollectionStartEvent)
        depth -= isinstance(event, yaml.CollectionEndEvent)
        if depth > _DEEPEST:  # to parse the whole takes the square of its depth
            raise ConfigError(f"{file} is no run's: it is nested deeper than {_DEEPEST}")
        if isinstance(event, yaml.AliasEvent):
            raise ConfigError(f"{file} is no run's: it has YAML aliases")
    return text


def may_import(target: str) -> bool:
    """Whether a class that a stored run names may be imported, which runs its module's code.

    What is typed, or lies in a conf/ of one's own, is trusted; a run directory may be a stranger's.
    Of it only gan_lab's own classes are taken, and packages that GAN_LAB_PLUGINS names.
    """
    trusted = ["gan_lab", *os.environ.get("GAN_LAB_PLUGINS", "").replace(",", " ").split()]
    return target.partition(".")[0] in trusted


@functools.lru_cache(maxsize=1024)  # a stacked parent is asked for by each of its seeds
def _parsed(file: Path, changed: int) -> dict[str, Any]:
    loaded = yaml.load(text_of(file), Loader=_LOADER)
    if not isinstance(loaded, dict):
        raise ConfigError(f"{file} is not a configuration. Remove or repair the run.")
    read: dict[str, Any] = visible(_flat(current_config(loaded)))
    return read


def visible(node: Any) -> Any:
    """A nest with what no screen should be sent in any of its texts replaced by U+FFFD.

    A run directory may be a stranger's: escape sequences in a name could rewrite the terminal.

    Raises:
        ValueError: A whole number that no run counts to, and that no float holds.
    """
    if isinstance(node, str):
        return printable(node)
    if isinstance(node, int) and not -_LARGEST <= node <= _LARGEST:
        raise ValueError(f"a whole number of {node.bit_length()} bits")
    if isinstance(node, Mapping):
        return {visible(key): visible(value) for key, value in node.items()}
    if isinstance(node, list | tuple):
        return [visible(each) for each in node]
    return node


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
    target = str(config.get("loss._target_", ""))
    if not may_import(target):
        return []
    try:
        card = imports.import_object(target).card
    except (ImportError, AttributeError, ValueError):
        return []
    return [f"{key}: {_said(value)}" for key, value in vars(card).items()]


def _said(value: Any) -> str:
    return ", ".join(map(short, value)) if isinstance(value, tuple) else str(value)
