"""The commands: each takes its arguments as a list and returns an exit code."""

import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import hydra
import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException
from rich import box
from rich.console import Console
from rich.table import Table

from gan_lab import checkpoint, config, session
from gan_lab.data.base import Source
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.estimators.base import Estimate
from gan_lab.execution import resolve_device
from gan_lab.reports import figures
from gan_lab.run_dir import RunDir
from gan_lab.setup import Setup
from gan_lab.signals import Interrupted
from gan_lab.streams import stream

_RESUMABLE = ("trainer.steps", "device", "execution.threads")


def train(arguments: list[str]) -> int:
    """Trains: one run, or with -m a sweep. Everything is checked before anything is written."""
    stray = [a for a in arguments if not a.startswith("-") and "=" not in a]
    flags = [a for a in arguments if a.startswith("-")]
    overrides = [a for a in arguments if "=" in a and not a.startswith("-")]
    if stray and not any(flag in ("--cfg", "-c", "--package", "-p") for flag in flags):
        raise ConfigError(f"train takes key=value, got '{stray[0]}'; see train --help")
    if set(flags) <= {"-m", "--multirun"}:
        if flags:
            for job in config.combinations(overrides):
                setup = config.setup_of(config.composed("train", job))
                setup.check(setup.data.open(torch.device("cpu")))
        else:
            return _train_one(overrides)
    return _through_hydra(arguments, _sweep_job)


def resume(arguments: list[str]) -> int:
    """Continues a run from its last checkpoint."""
    path, given = _directory(arguments, "resume")
    _refuse_child(path)
    saved = _saved_config(path)
    for key in given:
        if key not in _RESUMABLE:
            raise ConfigError(
                f"resume continues the same run and cannot change '{key}'; it takes "
                f"{', '.join(_RESUMABLE)}"
            )
        OmegaConf.update(saved, key, given[key])
    setup = config.setup_of(saved)
    return _guarded(lambda: _conclude(setup, path, session.resume(setup, path)))


def sample(arguments: list[str]) -> int:
    """Writes what a checkpoint's generator makes: a PNG grid and an array for images or points."""
    path, given = _directory(arguments, "sample")
    options = _options(given, {"n": 64, "seed": 0, "step": None, "average": True, "output": None})
    n, seed, step = options["n"], options["seed"], options["step"]
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("step", step, 0)):
        if value is not None and (type(value) is not int or value < least):
            raise ConfigError(f"{name}={value} is not a whole number >= {least}")
    if type(options["average"]) is not bool:
        raise ConfigError(f"average={options['average']} is neither true nor false")
    saved = _saved_config(path)
    wanted_seed = int(saved["seed"])
    home = path.parent if _is_child(path) else path
    setup = config.setup_of(_saved_config(home))
    if path == home:
        wanted_seed = setup.seeds[0]
    loaded = checkpoint.load_latest(home / "checkpoints", step)
    run = setup.open()
    run.state.load_state_dict_(loaded.content["state"])
    index = run.seeds.index(wanted_seed)
    generator = stream(seed, "sample", run.source.device)
    latent = (n, setup.network.latent_dim)
    z = torch.randn(latent, generator=generator, device=run.source.device)
    samples = run.samples(index, z) if options["average"] else run.now(index, z)
    at = int(loaded.content["step"])
    stem = Path(options["output"] or RunDir(path).samples / f"sample_step_{at:08d}_seed_{seed}")
    _write_samples(samples, stem, run.source, title=f"{path.name}, step {at}")
    return 0


def _train_one(overrides: Sequence[str]) -> int:
    setup = config.setup_of(config.composed("train", overrides))
    source = setup.data.open(resolve_device(setup.device))
    setup.check(source)
    codes: list[int] = []

    def job(cfg: DictConfig) -> None:
        path = Path(HydraConfig.get().runtime.output_dir)
        codes.append(_guarded(lambda: _run(setup, source, path)))

    _through_hydra(list(overrides), job)
    return codes[0]


def _sweep_job(cfg: DictConfig) -> None:
    """One job of a sweep. An ordinary error lets the others run; an interrupt ends them all."""
    OmegaConf.set_struct(cfg, False)
    setup = config.setup_of(cfg)
    source = setup.data.open(resolve_device(setup.device))
    setup.check(source)
    path = Path(HydraConfig.get().runtime.output_dir)
    try:
        _run(setup, source, path)
    except Interrupted as stop:
        raise SystemExit(128 + stop.signum) from stop


def _run(setup: Setup, source: Source, path: Path) -> int:
    console = Console(stderr=True)
    for warning in setup.warnings():
        console.print(f"warning: {warning}", style="yellow", highlight=False, soft_wrap=True)
    return _conclude(setup, path, session.start(setup, source, path))


def _guarded(program: Any) -> int:
    try:
        return int(program())
    except RunDiverged as error:
        print(f"RunDiverged: {error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        print(f"stopped by {stop}; the state is saved, resume continues it", file=sys.stderr)
        return 128 + stop.signum


def _through_hydra(arguments: list[str], job: Any) -> int:
    sys.argv = ["gan_lab train", *arguments]
    decorated = hydra.main(
        config_path=str(config.config_dir()), config_name="train", version_base="1.3"
    )
    decorated(job)()
    return 0


def _conclude(setup: Setup, path: Path, estimates: list[dict[str, Estimate]]) -> int:
    """Says what came out: where the run is, a picture, and the ruler's numbers."""
    n = next(iter(estimates[0].values())).n
    title = f"After {setup.trainer.steps} steps, n = {n} samples a side"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("seed", justify="right")
    table.add_column("quantity", no_wrap=True)
    for column in ("value", "95 % interval", "floor"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit")
    for seed, each in zip(setup.seeds, estimates, strict=True):
        for tag, e in each.items():
            interval = f"[{e.low:.3f}, {e.high:.3f}]"
            floor = "" if e.floor is None else f"{e.floor:.3f}"
            table.add_row(str(seed), tag, f"{e.value:.3f}", interval, floor, e.unit)
    console = Console()
    if not console.is_terminal:
        console.width = 100  # a log file or a pipe has no width to keep to
    console.print(table)
    children = RunDir(path).children()
    samples = (children[0] if children else RunDir(path)).samples
    pictures = sorted(samples.glob("step_*.png"))
    console.print(f"run:     {path}", highlight=False, soft_wrap=True)
    if pictures:
        console.print(f"picture: {pictures[-1]}", highlight=False, soft_wrap=True)
    console.print(
        f"curves:  tensorboard --logdir {path} --host 127.0.0.1", highlight=False, soft_wrap=True
    )
    return 0


def _write_samples(samples: torch.Tensor, stem: Path, source: Source, title: str) -> None:
    import numpy as np

    stem.parent.mkdir(parents=True, exist_ok=True)
    array = stem.with_suffix(".npy")
    np.save(array, samples.cpu().numpy())
    written = [array]
    if len(source.shape) == 3:
        written.append(stem.with_suffix(".png"))
        figures.save_png(figures.image_grid(samples), written[-1])
    for path in written:
        print(path)


def _directory(arguments: Sequence[str], command: str) -> tuple[Path, dict[str, Any]]:
    """The one directory a command takes, and its key=value arguments."""
    words = [a for a in arguments if "=" not in a or Path(a).exists()]
    if len(words) != 1 or words[0].startswith("-"):
        raise ConfigError(
            f"{command} takes one run directory, got {len(words)}: say "
            f"`python -m gan_lab {command} outputs/train/.../...`"
        )
    path = Path(words[0])
    if not path.is_dir():
        raise ConfigError(f"{path} is no directory; give the directory of a run")
    try:
        given = OmegaConf.from_dotlist([a for a in arguments if a not in words])
    except (OmegaConfBaseException, ValueError) as error:
        raise ConfigError(str(error)) from error
    return path, config.flat_keys(given)


def _options(given: Mapping[str, Any], defaults: Mapping[str, Any]) -> dict[str, Any]:
    for key in given:
        if key not in defaults:
            raise ConfigError(f"unknown key '{key}'{config.suggestion(key, list(defaults))}")
    return {**defaults, **given}


def _saved_config(path: Path) -> DictConfig:
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


def _is_child(path: Path) -> bool:
    return path.resolve().name.startswith("seed_") and RunDir(path.resolve().parent).config.exists()


def _refuse_child(path: Path) -> None:
    if _is_child(path):
        raise ConfigError(
            f"{path} is one of several seeds that train together; resume {path.resolve().parent}"
        )
