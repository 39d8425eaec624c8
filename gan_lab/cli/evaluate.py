"""`evaluate DIR...`: the whole ruler and the probe on checkpoints."""

import shutil
from pathlib import Path
from typing import Any

from gan_lab.cli import open_run
from gan_lab.errors import ConfigError
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.export.terminal import show
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir, atomic_write, to_json
from gan_lab.runs.safe_io import printable
from gan_lab.training.callbacks.evaluation import NotFinite, evaluated


def evaluate(arguments: list[str]) -> int:
    """Measures one checkpoint of each directory, the best with step=best, or all with step=all.

    Prints a table, writes DIR/evaluation/step_*.json and DIR/evaluation/tensorboard.
    """
    paths, given = open_run.arguments(arguments, "evaluate")
    choices = open_run.parse_options(given, {"step": None, "device": None})
    step, device = choices["step"], choices["device"]
    named = step in (None, "all") or checkpoint.is_name(step)
    if not named and (type(step) is not int or step < 0):
        raise ConfigError(f"step={step} is neither a whole number >= 0 nor all nor best")
    for path in paths:
        for one in _steps(path, step):
            opened = open_run.open_run(path, one, device)
            seeds, one_seed = opened.run.seeds, open_run.is_child(path)
            whole = len(seeds) > 1 and not one_seed
            indices = opened.left if whole else [opened.which]
            # By seed, not by what is there: a child's directory may be gone.
            homes = [RunDir(path).child(seeds[i]) if whole else RunDir(path) for i in indices]
            title = f"{path}, step {opened.step}"
            try:
                found = evaluated(opened.setup, opened.run, opened.step, indices)
            except NotFinite as error:
                raise ConfigError(f"{title}: {error}; choose another step=") from error
            show(title, {h.path.name: e for h, e in zip(homes, found, strict=True)})
            for home, index, estimates in zip(homes, indices, found, strict=True):
                _record(home.path, opened.run.seeds[index], opened.step, estimates)
    return 0


def _steps(path: Path, step: Any) -> list[open_run.Step]:
    if step == "all":
        home = path.resolve().parent if open_run.is_child(path) else path
        found = checkpoint.available(home / "checkpoints")
        if not found:
            raise ConfigError(f"{path} holds no checkpoint; train it first")
        return list(found)
    return [step]


def _record(path: Path, seed: int, step: int, estimates: dict[str, Estimate]) -> None:
    home = RunDir(path / "evaluation")
    found = {tag: vars(estimate) for tag, estimate in estimates.items()}
    file = home.path / f"step_{step:08d}.json"
    atomic_write(file, to_json({"seed": seed, "step": step, "estimates": found}, indent=2))
    row: dict[str, float] = {}
    for tag, estimate in estimates.items():
        row |= estimate.scalars(f"evaluation/{tag}")
    # A file of its own for each step: a second look replaces it and leaves the others.
    writer = RunDir(home.path / "tensorboard" / f"step_{step:08d}")
    shutil.rmtree(writer.path, ignore_errors=True)
    logger = RunLogger(writer, seed)
    logger.scalars(step, row)
    logger.close()
    print(printable(f"written: {file}"))
