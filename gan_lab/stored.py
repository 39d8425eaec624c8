"""Runs that are on disk, as the commands take them: directories, options, an opened checkpoint."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gan_lab import checkpoint, config
from gan_lab.errors import ConfigError
from gan_lab.run_dir import RunDir
from gan_lab.setup import Run, Setup


class Opened(NamedTuple):
    """A checkpoint with its networks filled in: which seed of them is meant, and its step."""

    setup: Setup
    run: Run
    which: int
    step: int


Step = int | Literal["best"] | None  # of a checkpoint; None = the newest


def opened(path: Path, step: Step, device: str | None = None) -> Opened:
    """A run directory's checkpoint: the newest, the best, one step's; a child's is in its parent.

    Args:
        path: The run directory.
        step: Of the checkpoint.
        device: Where to open it; None = what the run was made with.

    Raises:
        ConfigError: No such checkpoint, or none that is intact.
    """
    home = path.resolve().parent if is_child(path) else path
    saved, own = saved_config(home), saved_config(path)
    if device is not None:
        saved["device"] = own["device"] = device
    # Nothing is trained here, and this machine need not have what the training ran with.
    OmegaConf.update(saved, "execution.mode", "eager", force_add=True)
    OmegaConf.update(saved, "execution.precision", "f32", force_add=True)
    setup, seed = config.setup_of(saved), config.setup_of(own).seeds[0]
    loaded = checkpoint.load_latest(home / "checkpoints", step)
    run = setup.open()
    run.state.load_state_dict_(loaded.content["state"])
    return Opened(setup, run, run.seeds.index(seed), int(loaded.content["step"]))


def arguments(
    given: Sequence[str], command: str, at_most: int | None = None
) -> tuple[list[Path], dict[str, Any]]:
    """The run directories a command takes, and its key=value arguments.

    Raises:
        ConfigError: None or too many, one that is no directory, or values that cannot be read.
    """
    for flag in given:
        if flag.startswith("-"):
            raise ConfigError(f"{command} takes no '{flag}'; see {command} --help")
    words = [a for a in given if "=" not in a or exists(a)]
    if not words or len(words) > (at_most or len(words)):
        raise ConfigError(
            f"{command} takes {'one run directory' if at_most == 1 else 'run directories'}, got "
            f"{len(words)}: say `python -m gan_lab {command} outputs/train/.../...`"
        )
    for path in map(Path, words):
        if not exists(str(path)) or not path.is_dir():
            raise ConfigError(f"{path} is no directory; give the directory of a run")
    try:
        keys = OmegaConf.from_dotlist([a for a in given if a not in words])
        return [Path(word) for word in words], config.flat_keys(keys)
    except Exception as error:  # YAML and interpolation errors have many types
        raise ConfigError(f"cannot read the values of {command}: {error}") from error


def exists(word: str) -> bool:
    """Whether a word of the command line names something on disk; one too long names nothing."""
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def options(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with what was given.

    Raises:
        ConfigError: A key that is not among the defaults.
    """
    for key in given:
        if key not in defaults:
            raise ConfigError(f"unknown key '{key}'{config.suggestion(key, list(defaults))}")
    return {**defaults, **given}


def saved_config(path: Path) -> DictConfig:
    """The configuration a run directory was made with.

    Raises:
        ConfigError: There is none, or it cannot be read.
    """
    file = RunDir(path).config
    try:
        saved = OmegaConf.load(file)
    except FileNotFoundError:
        raise ConfigError(f"{path} holds no run: there is no {file.name} in it") from None
    except Exception as error:  # YAML errors have many types
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if not isinstance(saved, DictConfig):
        raise ConfigError(f"{file} is not a configuration")
    return saved


def is_child(path: Path) -> bool:
    """Whether a run directory is one of several seeds that were trained together."""
    return path.resolve().name.startswith("seed_") and RunDir(path.resolve().parent).config.exists()
