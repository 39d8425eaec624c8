"""Runs that are on disk, as the commands take them: directories, options, an opened checkpoint."""

import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import run_config
from gan_lab.runs import checkpoint, compatibility
from gan_lab.runs.old_names import current_config, current_override
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import check_inside, printable
from gan_lab.training.config import Run, Setup


class OpenedRun(NamedTuple):
    """A checkpoint with its networks filled in.

    Attributes:
        setup: Of the run.
        run: The networks.
        which: Index of the seed that is meant: of a parent the first that was not dropped.
        step: How far that seed is.
        left: Indices of the seeds that were not dropped.
    """

    setup: Setup
    run: Run
    which: int
    step: int
    left: list[int]


Step = int | str | None  # of a checkpoint, or its name (checkpoint.is_name); None = the newest


def open_run(path: Path, step: Step, device: str | None = None) -> OpenedRun:
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
    made_by = compose.resolved(saved)
    # Nothing is trained or fetched here, and this machine need not have what the training ran with.
    if "download" in saved.get("data", {}):
        saved.data.download = own.data.download = False
    OmegaConf.update(saved, "execution.mode", "eager", force_add=True)
    OmegaConf.update(saved, "execution.precision", "f32", force_add=True)
    setup, seed = compose.setup_of(saved), compose.setup_of(own).seeds[0]
    if seed not in setup.seeds:
        raise ConfigError(f"{path} is of seed {seed}, which {home} was not trained with")
    loaded = taken(home, step, made_by)
    run = setup.open()
    compatibility.check_fits(loaded, run.state.state_dict())
    run.state.load_state_dict_(loaded.content["state"])
    dropped: Mapping[int, Mapping[str, Any]] = loaded.content.get("dropped", {})
    for each, why in dropped.items():
        _warn(f"seed {each} was dropped after step {why['step']}: {why['quantity']} is not finite")
    left = [index for index, each in enumerate(run.seeds) if each not in dropped]
    if not is_child(path):
        return OpenedRun(setup, run, left[0], int(loaded.content["step"]), left)
    at = dropped[seed]["step"] if seed in dropped else loaded.content["step"]
    return OpenedRun(setup, run, run.seeds.index(seed), int(at), left)


def _warn(text: str) -> None:
    print(f"warning: {printable(text)}", file=sys.stderr)


def taken(home: Path, step: Step, made_by: Mapping[str, Any]) -> checkpoint.Loaded:
    """A run's checkpoint, if its configuration made it; says which newer ones are damaged.

    Raises:
        ConfigError: No such checkpoint, none that is intact, or one of another run.
    """
    loaded = checkpoint.load_latest(home / "checkpoints", step)
    for skipped, reason in loaded.skipped:
        _warn(f"passed over {skipped}: {reason}")
    return compatibility.of_run(loaded, made_by)


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
    if empty := next((a for a in given if a not in words and a.endswith("=")), None):
        raise ConfigError(f"{empty} has no value; give one, or leave {empty[:-1]} out")
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
        return [Path(word) for word in words], compose.flat_keys(keys)
    except Exception as error:  # YAML and interpolation errors have many types
        raise ConfigError(f"cannot read the values of {command}: {error}") from error


def exists(word: str) -> bool:
    """Whether a word of the command line names something on disk; one too long names nothing."""
    try:
        return Path(word).exists()
    except (OSError, ValueError):
        return False


def parse_options(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """The defaults with what was given.

    Raises:
        ConfigError: A key that is not among the defaults.
    """
    for key in given:
        if key not in defaults:
            raise ConfigError(f"unknown key '{key}'{compose.suggestion(key, list(defaults))}")
    return {**defaults, **given}


def saved_config(path: Path) -> DictConfig:
    """The configuration a run directory was made with.

    Raises:
        ConfigError: There is none, it cannot be read, or may not be used; see `trusted`. Or a link
            leads out of the directory.
    """
    file = RunDir(path).config
    try:
        saved = OmegaConf.create(run_config.text_of(file))
    except FileNotFoundError:
        raise ConfigError(f"{path} holds no run: there is no {file.name} in it") from None
    except ConfigError:
        raise
    except Exception as error:  # YAML errors have many types
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if not isinstance(saved, DictConfig):
        raise ConfigError(f"{file} is not a configuration")
    plain = OmegaConf.to_container(saved, resolve=False)
    trusted(plain, str(file))
    check_inside(path)
    assert isinstance(plain, dict)
    return OmegaConf.create(current_config(plain))


def trusted(plain: Any, where: str) -> None:
    """Refuses a stored configuration that could do more than choose: it may be a stranger's.

    Args:
        plain: The configuration, in plain containers.
        where: What it was read from.

    Raises:
        ConfigError: It holds an interpolation, or see `refuse_foreign`.
    """
    for key, value in _leaves(plain):
        if "${" in f"{key}{value}":  # it could ask for secrets: ${oc.env:...}
            raise ConfigError(f"{where}: {key}={value} is no value, and a run writes values only")
    refuse_foreign(plain, where)


def refuse_foreign(plain: Any, where: str) -> None:
    """Refuses to import what a stored run names outside of gan_lab: it may be a stranger's.

    Args:
        plain: Its configuration, in plain containers.
        where: What it was read from.

    Raises:
        ConfigError: It names such a class, and GAN_LAB_PLUGINS does not allow its package.
    """
    for key, value in _leaves(plain):
        if key.rpartition(".")[2] == "_target_" and not run_config.may_import(str(value)):
            package = str(value).partition(".")[0]
            raise ConfigError(
                f"{where}: {key}={value} is code outside of gan_lab, which a stored run may not "
                f"start by itself; if you trust it, say GAN_LAB_PLUGINS={package} before the "
                f"command"
            )


def typed_keys(path: Path) -> list[str] | None:
    """The overrides that were typed for a run, or None where its status does not say.

    Raises:
        ConfigError: They are no list of overrides, or one is Hydra's own, which no run keeps.
    """
    run = RunDir(path)
    typed = run.read_status().get("overrides")
    if typed is None:
        return None
    if not isinstance(typed, list) or not all(isinstance(each, str) for each in typed):
        raise ConfigError(f"{run.status}: overrides is no list of key=value. Repair it")
    for each in typed:
        if each.lstrip("+~").startswith("hydra"):  # it would say where to write and what to load
            raise ConfigError(f"{run.status}: a run has no override '{each}'. Remove it")
    return [current_override(each) for each in typed]


def _leaves(node: Any, name: str = "", deeper: int = 64) -> Iterator[tuple[str, Any]]:
    """Dotted keys and values of nested containers, the places of lists among them."""
    if not deeper:
        raise ConfigError(f"{name[:40]}... is nested deeper than any configuration")
    if isinstance(node, Mapping | list):
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, value in items:
            yield from _leaves(value, f"{name}.{key}" if name else str(key), deeper - 1)
    else:
        yield name, node


def is_child(path: Path) -> bool:
    """Whether a run directory is one of several seeds that were trained together."""
    return path.resolve().name.startswith("seed_") and RunDir(path.resolve().parent).config.exists()
