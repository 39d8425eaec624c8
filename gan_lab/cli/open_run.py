"""Runs on disk as the commands take them: stored configurations, and networks of a checkpoint."""

import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf

from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import run_config
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.checkpoint import LoadedCheckpoint
from gan_lab.runs.compatibility import current_config, current_overrides
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import check_inside, printable
from gan_lab.training import build
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run


class LoadedRun(NamedTuple):
    """A checkpoint with its networks filled in, and the seeds that were not dropped.

    `seed_index` is of the seed that is meant, of a parent the first; `step` is how far that is;
    `file` is the checkpoint and `data` what it says of the data that it was trained on.
    """

    config: RunConfig
    run: Run
    seed_index: int
    step: int
    seed_indices: list[int]
    file: Path
    data: Any

    def check_data(self) -> None:
        """Refuse data that are not those of the training, as `resume` does.

        Raises:
            ConfigError: They differ.
        """
        checkpoint_checks.check_data(self.file, {"data": self.data}, self.run.source)


Step = int | str | None  # of a checkpoint, or its name (checkpoint.is_name); None = the newest


def open_run(path: Path, step: Step, device: str | None = None) -> LoadedRun:
    """Open a run's checkpoint: the newest, the best, one step's; of a child, its parent's.

    Raises:
        ConfigError: No such checkpoint, or none that is intact.
    """
    home = path.resolve().parent if is_child(path) else path
    cfg, own = saved_config(home), saved_config(path)
    if device is not None:
        cfg["device"] = own["device"] = device
    made_by = compose.resolve(cfg)
    # Nothing is trained or fetched here, and this machine need not have what the training ran with.
    if "download" in cfg.get("data", {}):
        cfg.data.download = own.data.download = False
    OmegaConf.update(cfg, "execution.mode", "eager", force_add=True)
    OmegaConf.update(cfg, "execution.precision", "f32", force_add=True)
    for node in (cfg, own):
        node.pop("logger", None)
    config, seed = compose.build_run_config(cfg), compose.build_run_config(own).seeds[0]
    if seed not in config.seeds:
        raise ConfigError(f"{path} is of seed {seed}, which {home} was not trained with")
    latest = load_checkpoint(home, step, made_by)
    run = build.open_run(config)
    checkpoint_checks.check_fits(latest, run.state.state_dict())
    run.state.load_state_dict_(latest.content["state"])
    drops = checkpoint_checks.dropped_seeds(latest.content)
    for each, why in drops.items():
        _warn(f"seed {each} was dropped after step {why['step']}: {why['quantity']} is not finite")
    indices = [index for index, each in enumerate(run.seeds) if each not in drops]
    origin = latest.path, latest.content.get("data")
    if not is_child(path):
        return LoadedRun(config, run, indices[0], int(latest.content["step"]), indices, *origin)
    at = drops[seed]["step"] if seed in drops else latest.content["step"]
    return LoadedRun(config, run, run.seeds.index(seed), int(at), indices, *origin)


def _warn(text: str) -> None:
    print(f"warning: {printable(text)}", file=sys.stderr)


def load_checkpoint(home: Path, step: Step, made_by: Mapping[str, Any]) -> LoadedCheckpoint:
    """Load a run's checkpoint, if its configuration made it; warn of newer ones that are damaged.

    Raises:
        ConfigError: No such checkpoint, none that is intact, or one of another run.
    """
    latest = checkpoint.load_latest(home / "checkpoints", step)
    for name, reason in latest.damaged_files:
        _warn(f"passed over {name}: {reason}")
    return checkpoint_checks.check_run(latest, made_by)


def saved_config(path: Path) -> DictConfig:
    """Return the configuration that a run directory was made with.

    Raises:
        ConfigError: There is none, it cannot be read, may not be used (see `check_trusted`), or a
            link leads out of the directory.
    """
    file = RunDir(path).config
    try:
        config = OmegaConf.create(run_config.text_of(file))
    except FileNotFoundError:
        raise ConfigError(f"{path} holds no run: there is no {file.name} in it") from None
    except ConfigError:
        raise
    except Exception as error:  # YAML errors have many types
        raise ConfigError(f"{file} cannot be read: {error}") from error
    if not isinstance(config, DictConfig):
        raise ConfigError(f"{file} is not a configuration")
    plain = OmegaConf.to_container(config, resolve=False)
    check_trusted(plain, str(file))
    check_inside(path)
    assert isinstance(plain, dict)
    return OmegaConf.create(current_config(plain))


def check_trusted(plain: Any, where: str) -> None:
    """Refuse a stored configuration that could do more than choose: it may be a stranger's.

    Raises:
        ConfigError: It holds an interpolation, or see `refuse_foreign`.
    """
    for key, value in _leaves(plain):
        if "${" in f"{key}{value}":  # it could ask for secrets: ${oc.env:...}
            raise ConfigError(f"{where}: {key}={value} is no value, and a run writes values only")
    refuse_foreign(plain, where)


def refuse_foreign(plain: Any, where: str) -> None:
    """Refuse to import what a stored run names outside of gan_lab: it may be a stranger's.

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
    """Return the overrides that were typed for a run, or None where its status does not say.

    Raises:
        ConfigError: They are no list of overrides, or one is Hydra's own, which no run keeps.
    """
    run = RunDir(path)
    overrides = run.read_status().get("overrides")
    if overrides is None:
        return None
    if not isinstance(overrides, list) or not all(isinstance(each, str) for each in overrides):
        raise ConfigError(f"{run.status}: overrides is no list of key=value. Repair it")
    for each in overrides:
        if each.lstrip("+~").startswith("hydra"):  # it would say where to write and what to load
            raise ConfigError(f"{run.status}: a run has no override '{each}'. Remove it")
    data = saved_config(path).get("data") or {}
    return current_overrides(overrides, str(data.get("_target_")))


def _leaves(node: Any, name: str = "", deeper: int = 64) -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values of nested containers, with the places of lists among them."""
    if not deeper:
        raise ConfigError(f"{name[:40]}... is nested deeper than any configuration")
    if isinstance(node, Mapping | list):
        items = node.items() if isinstance(node, Mapping) else enumerate(node)
        for key, value in items:
            yield from _leaves(value, f"{name}.{key}" if name else str(key), deeper - 1)
    else:
        yield name, node


def is_child(path: Path) -> bool:
    """Return whether a run directory is one of several seeds that were trained together."""
    return path.resolve().name.startswith("seed_") and RunDir(path.resolve().parent).config.exists()
