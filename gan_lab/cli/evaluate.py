"""`evaluate DIR...`: all metrics and the neural distance on checkpoints."""

import shutil
from pathlib import Path

from gan_lab.cli import open_run
from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Evaluate
from gan_lab.errors import ConfigError
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.export.terminal import show
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir, atomic_write, to_json
from gan_lab.runs.safe_io import printable
from gan_lab.training.callbacks import evaluation


def evaluate(arguments: list[str]) -> int:
    """Measure one checkpoint of each run, or all; print tables, write JSON and TensorBoard logs."""
    request = parse_options(Evaluate, arguments)
    output = None if request.output is None else directory("output", request.output)
    names = [path.resolve().name for path in request.runs]
    if output and len({*names}) < len(names):
        raise ConfigError(f"two runs of one name do not fit into output={request.output}; take one")
    for path, name in zip(request.runs, names, strict=True):
        for step in _steps(path, request.step):
            model = open_run.open_run(path, step, request.device)
            seeds = model.run.seeds
            several = len(seeds) > 1 and not open_run.is_child(path)
            indices = model.seed_indices if several else [model.seed_index]
            # By seed, not by what is there: a child's directory may be gone.
            homes = [RunDir(path).child(seeds[i]) if several else RunDir(path) for i in indices]
            title = f"{path}, step {model.step}"
            try:
                estimates = evaluation.evaluate(model.run, model.step, indices)
            except evaluation.NotFinite as error:
                raise ConfigError(f"{title}: {error}; choose another step=") from error
            show(title, {h.path.name: e for h, e in zip(homes, estimates, strict=True)})
            for home, index, each in zip(homes, indices, estimates, strict=True):
                folder = home.path / "evaluation"
                if output:
                    folder = output / name if len(names) > 1 else output
                    folder = folder / home.path.name if several else folder
                _record(folder, seeds[index], model.step, each)
    return 0


def _steps(path: Path, step: open_run.Step) -> list[open_run.Step]:
    if step != "all":
        return [step]
    home = path.resolve().parent if open_run.is_child(path) else path
    steps = checkpoint.available(home / "checkpoints")
    if not steps:
        raise ConfigError(f"{path} holds no checkpoint; train it first")
    return list(steps)


def _record(folder: Path, seed: int, step: int, estimates: dict[str, Estimate]) -> None:
    values = {tag: vars(estimate) for tag, estimate in estimates.items()}
    file = folder / f"step_{step:08d}.json"
    atomic_write(file, to_json({"seed": seed, "step": step, "estimates": values}, indent=2))
    row: dict[str, float] = {}
    for tag, estimate in estimates.items():
        row |= estimate.scalars(f"evaluation/{tag}")
    # A file of its own for each step: a second look replaces it and leaves the others.
    writer = RunDir(folder / "tensorboard" / f"step_{step:08d}")
    shutil.rmtree(writer.path, ignore_errors=True)
    logger = RunLogger(writer, seed)
    logger.scalars(step, row)
    logger.close()
    print(printable(f"written: {file}"))
