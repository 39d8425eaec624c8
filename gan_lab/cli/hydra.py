"""What commands with a Hydra configuration share: their flags, and sweeps through Hydra itself."""

import argparse
import itertools
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NoReturn

import hydra
from hydra import initialize_config_dir
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.errors import HydraException
from omegaconf import DictConfig
from omegaconf.errors import OmegaConfBaseException

from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.validation import place

_MAX_COMBINATIONS = 64  # of a sweep that are all checked before the first one runs


class HydraArguments(argparse.ArgumentParser):
    """Hydra's flags that make sense here; a mistake is the user's input like any other."""

    def __init__(self, command: str) -> None:
        super().__init__(prog=f"gan_lab {command}", add_help=False, allow_abbrev=False)
        self.command = command
        self.add_argument("-m", "--multirun", action="store_true")
        self.add_argument("-h", "--help", action="store_true")
        self.add_argument("-c", "--cfg", choices=("job", "hydra", "all"))
        self.add_argument("--resolve", action="store_true")
        self.add_argument("-p", "--package")
        self.add_argument("overrides", nargs="*")

    def error(self, message: str) -> NoReturn:
        """Raises instead of printing the usage and leaving."""
        raise ConfigError(f"{message}; see {self.command} --help")

    def read(self, arguments: Sequence[str], words: bool = False) -> argparse.Namespace:
        """The flags, and what is left as overrides; with `words`, leading names in `names`.

        Raises:
            ConfigError: An unknown flag, or a word that is no key=value where none is taken.
        """
        asked = self.parse_intermixed_args(arguments)
        plain = [word for word in asked.overrides if "=" not in word and not word.startswith("~")]
        if plain and not words:
            raise ConfigError(
                f"{self.command} takes key=value, got '{plain[0]}'; see {self.command} --help"
            )
        asked.names = plain
        asked.overrides = [word for word in asked.overrides if word not in plain]
        return asked


def combinations(overrides: Sequence[str]) -> list[list[str]]:
    """The jobs of a sweep, each as plain overrides; at most 64, since checking them takes time.

    Raises:
        ConfigError: An override cannot be parsed.
    """
    GlobalHydra.instance().clear()
    try:
        with initialize_config_dir(str(compose.config_dir()), version_base="1.3"):
            loader = GlobalHydra.instance().config_loader()  # which knows what glob(*) means
            parsed = OverridesParser.create(loader).parse_overrides(list(overrides))
    except HydraException as error:
        raise ConfigError(compose.one_line(error)) from error
    choices = [
        [f"{o.get_key_element()}={value}" for value in o.sweep_string_iterator()]
        if o.is_sweep_override() and o.is_discrete_sweep()
        else [_plain(o)]
        for o in parsed
    ]
    return [list(job) for job in itertools.islice(itertools.product(*choices), _MAX_COMBINATIONS)]


def run_directory(what: str = "run") -> Path:
    """Where Hydra has just been told to put a run, or a sweep, with the time in it.

    Raises:
        ConfigError: Nowhere, or where nothing can be made.
    """
    key = f"hydra.{what}.dir"
    try:
        named = getattr(HydraConfig.get(), what).dir
    except OmegaConfBaseException as error:
        raise ConfigError(f"{key}: {compose.one_line(error)}") from error
    path = place(key, named)
    if path.is_file():
        raise ConfigError(f"{key}={named} cannot be made: it is a file; name another place")
    return path


def through_hydra(name: str, arguments: Sequence[str], job: Callable[[DictConfig], None]) -> int:
    """Lets Hydra run a sweep or show a configuration; it leaves by SystemExit when it fails.

    Raises:
        ConfigError: A sweep has nowhere to go.
    """
    if {"-m", "--multirun"} & set(arguments):
        run_directory("sweep")
    sys.argv = [f"gan_lab {name}", *arguments]
    decorated = hydra.main(
        config_path=str(compose.config_dir()), config_name=name, version_base="1.3"
    )
    try:
        decorated(job)()
    except SystemExit as stop:
        return int(stop.code or 0)
    return 0


def _plain(override: Override) -> str:
    return override.input_line or f"{override.get_key_element()}={override.value()}"
