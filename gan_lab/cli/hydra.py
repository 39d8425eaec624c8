"""What commands with a Hydra configuration share: flags, short names, output=, and sweeps."""

import argparse
import itertools
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NoReturn

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import IntervalSweep, Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gan_lab.cli.arguments import directory, keys_of, refuse_flag
from gan_lab.cli.commands import COMMANDS
from gan_lab.config import catalogue, compose
from gan_lab.config.catalogue import SHORT_NAMES
from gan_lab.errors import ConfigError

_MAX_COMBINATIONS = 64  # of a sweep that are all checked before the first one runs


class HydraArguments(argparse.ArgumentParser):
    """Hydra's flags that make sense here; a mistake is the user's input like any other."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=f"gan_lab {command}", add_help=False, allow_abbrev=False)
        self.command = command
        self.add_argument("-m", "--multirun", action="store_true")
        self.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
        self.add_argument("--resolve", action="store_true")
        self.add_argument("-p", "--package")
        self.add_argument("words", nargs="*")

    def error(self, message: str) -> NoReturn:
        """Raise instead of printing the usage and leaving."""
        raise ConfigError(f"{message}; see {self.command} --help")

    def read(self, arguments: Sequence[str], takes_names: bool = False) -> argparse.Namespace:
        """Return Hydra's flags, `flags` as typed, `overrides` under long names, and `names`.

        Raises:
            ConfigError: An unknown flag, a word that is no key=value, or see `long_names`.
        """
        keys = [*keys_of(COMMANDS[self.command]), *catalogue.groups(), "seed", "n_seeds", "device"]
        for word, after in zip(arguments, [*arguments[1:], ""], strict=False):
            if word.startswith("--") and word.lstrip("-").partition("=")[0] in keys:
                refuse_flag(word, self.command, keys, after)
        request = self.parse_intermixed_args(arguments)
        names = [word for word in request.words if "=" not in word and not word.startswith("~")]
        if names and not takes_names:
            self.error(f"{self.command} takes key=value, got '{names[0]}'")
        request.flags = [word for word in arguments if word not in request.words]
        request.names = names
        pairs = [word for word in request.words if word not in names]
        short_names = {} if self.command == "experiment" else SHORT_NAMES
        request.overrides = long_names(pairs, short_names, request.multirun)
        return request


def key_of(override: str) -> str:
    """Return the key of an override, without Hydra's signs for adding and deleting."""
    return override.split("=", 1)[0].lstrip("+~")


def long_names(
    overrides: Sequence[str], short_names: Mapping[str, str] = SHORT_NAMES, multirun: bool = False
) -> list[str]:
    """Return overrides with `steps` as trainer.steps, and `output` as Hydra's key for a directory.

    Raises:
        ConfigError: Two spellings of one key with different values, or an output that is empty,
            cannot be made, or stands beside Hydra's own key.
    """
    overrides = _with_directory(overrides, multirun)
    values = {key_of(each): each.partition("=")[2] for each in overrides}
    long = []
    for override in overrides:
        name = key_of(override)
        key = short_names.get(name, name)
        if key != name and values.get(key, values[name]) != values[name]:
            raise ConfigError(
                f"{name}={values[name]} and {key}={values[key]} are two values of one key; give one"
            )
        if key == name or key not in values:
            long.append(override.replace(name, key, 1))
    return long


def _with_directory(overrides: Sequence[str], multirun: bool) -> list[str]:
    """Return overrides with output=DIR as hydra.run.dir, or in a sweep as hydra.sweep.dir."""
    key, other = "hydra.run.dir", "hydra.sweep.dir"
    key, other = (other, key) if multirun else (key, other)
    own = [each for each in overrides if key_of(each) in (key, other)]
    outputs = [each for each in overrides if key_of(each) == "output"]
    if outputs and own:
        raise ConfigError(f"{outputs[-1]} and {own[-1]} are both a place to write; give one")
    if own and key_of(own[-1]) == other:
        when = "in a sweep" if multirun else "without -m"
        raise ConfigError(f"{own[-1]} is of no use {when}; say output=DIR or {key}=DIR")
    if not outputs:
        return list(overrides)
    text = outputs[-1].partition("=")[2]
    if not text:
        raise ConfigError("output= has no value; give one, or leave output out")
    directory("output", text)
    # In Hydra's quotes only a quote, and the backslashes before one, are special.
    quoted_text = re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), text)
    return [*(each for each in overrides if each not in outputs), f"{key}='{quoted_text}'"]


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """Return the jobs of a sweep as plain overrides; at most 64, since checking them takes time.

    Of an interval, from which a sweeper such as Optuna's will choose, both ends are taken.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(compose.config_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()  # which knows what glob(*) means
            elements = OverridesParser.create(loader).parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(compose.one_line(error)) from error
    jobs = itertools.product(*map(_choices, elements))
    return [list(job) for job in itertools.islice(jobs, _MAX_COMBINATIONS)]


def _choices(override: Override) -> list[str]:
    key = override.get_key_element()
    if override.is_sweep_override() and override.is_discrete_sweep():
        return [f"{key}={value}" for value in override.sweep_string_iterator()]
    value = override.value()
    if isinstance(value, IntervalSweep):  # a sweeper will choose between its ends
        return [f"{key}={value.start}", f"{key}={value.end}"]
    return [override.input_line or f"{key}={override.value()}"]


def run_directory(what: str = "run") -> Path:
    """Return the directory of the run, or the sweep, that Hydra composed last."""
    key = f"hydra.{what}.dir"
    try:
        return directory(key, getattr(HydraConfig.get(), what).dir)
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {compose.one_line(error)}") from error


def through_hydra(name: str, arguments: Sequence[str], job: Callable[[DictConfig], object]) -> int:
    """Let Hydra run a sweep or print a configuration, and return the exit code."""
    if {"-m", "--multirun"} & set(arguments):
        run_directory("sweep")
    sys.argv = [f"gan_lab {name}", *arguments]
    try:
        hydra.main(str(compose.config_dir()), name, "1.3")(job)()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0
