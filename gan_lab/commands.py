"""The commands: each takes its arguments as a list and returns an exit code."""

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich.console import Console

from gan_lab import config, session, stored
from gan_lab.data.base import Source
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.estimators.base import Estimate
from gan_lab.execution import resolve_device
from gan_lab.hydra_shell import HydraArguments, combinations, through_hydra
from gan_lab.reports import figures
from gan_lab.reports.tables import show
from gan_lab.run_dir import RunDir
from gan_lab.setup import Setup
from gan_lab.signals import Interrupted
from gan_lab.streams import stream

_RESUMABLE = ("trainer.steps", "device", "execution.threads")


def train(arguments: list[str]) -> int:
    """Trains: one run, or with -m a sweep. Everything is checked before anything is written."""
    asked = HydraArguments("train").read(arguments)
    if not (asked.multirun or asked.help or asked.cfg):
        return _train_one(asked.overrides)
    for job in combinations(asked.overrides) if asked.multirun else [asked.overrides]:
        cfg = config.composed("train", job)
        if not (asked.help or asked.cfg):
            setup = config.setup_of(cfg)
            setup.check(setup.data.open(torch.device("cpu")))
    flags = [a for a in arguments if a not in asked.overrides]
    return through_hydra("train", [*flags, *asked.overrides], _sweep_job)


def resume(arguments: list[str]) -> int:
    """Continues a run from its last checkpoint."""
    (path,), given = stored.arguments(arguments, "resume", at_most=1)
    _refuse_child(path)
    saved = stored.saved_config(path)
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
    (path,), given = stored.arguments(arguments, "sample", at_most=1)
    defaults = {"n": 64, "seed": 0, "step": None, "average": True, "output": None, "device": None}
    options = stored.options(given, defaults)
    n, seed, step = options["n"], options["seed"], options["step"]
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("step", step, 0)):
        if value is not None and (type(value) is not int or value < least):
            raise ConfigError(f"{name}={value} is not a whole number >= {least}")
    if type(options["average"]) is not bool:
        raise ConfigError(f"average={options['average']} is neither true nor false")
    setup, run, index, at = stored.opened(path, step, options["device"])
    generator = stream(seed, "sample", run.source.device)
    latent = (n, setup.network.latent_dim)
    z = torch.randn(latent, generator=generator, device=run.source.device)
    samples = run.samples(index, z) if options["average"] else run.now(index, z)
    stem = Path(options["output"] or RunDir(path).samples / f"sample_step_{at:08d}_seed_{seed}")
    _write_samples(samples, stem, run.source)
    return 0


def _train_one(overrides: Sequence[str]) -> int:
    setup = config.setup_of(config.composed("train", overrides))
    directory = HydraConfig.get().run.dir
    if not directory:
        raise ConfigError("hydra.run.dir is empty; name a directory for the run")
    path = Path(directory).absolute()
    source = setup.data.open(resolve_device(setup.device))
    setup.check(source)
    return _guarded(lambda: _run(setup, source, path))


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


def _conclude(setup: Setup, path: Path, estimates: list[dict[str, Estimate]]) -> int:
    """Says what came out: where the run is, a picture, and the ruler's numbers."""
    title = f"After {setup.trainer.steps} steps"
    show(title, {str(seed): each for seed, each in zip(setup.seeds, estimates, strict=True)})
    console = Console()
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


def _write_samples(samples: torch.Tensor, stem: Path, source: Source) -> None:
    import numpy as np

    stem.parent.mkdir(parents=True, exist_ok=True)
    array = stem.with_name(f"{stem.name}.npy")
    np.save(array, samples.cpu().numpy())
    written = [array]
    if len(source.shape) == 3:
        written.append(stem.with_name(f"{stem.name}.png"))
        figures.save_png(figures.image_grid(samples), written[-1])
    for path in written:
        print(path)


def _refuse_child(path: Path) -> None:
    if stored.is_child(path):
        raise ConfigError(
            f"{path} is one of several seeds that train together; resume {path.resolve().parent}"
        )
