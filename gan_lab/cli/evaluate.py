"""`evaluate DIR...`: all metrics and the neural distance on checkpoints, or metrics by n."""

import shutil
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich import box
from rich.table import Table

from gan_lab.cli import open_run
from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Evaluate
from gan_lab.errors import ConfigError
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.metrics.estimate import Estimate, interval_notes
from gan_lab.metrics.extrapolation import LINEAR_TAGS, extrapolate
from gan_lab.reports.export.terminal import console, estimate_cells, show
from gan_lab.runs import checkpoint
from gan_lab.runs.headline import is_high_dimensional
from gan_lab.runs.run_dir import RunDir, atomic_write, to_json
from gan_lab.runs.safe_io import printable
from gan_lab.training.callbacks import evaluation
from gan_lab.training.run import Run
from gan_lab.validation import is_whole

_INFINITE = "infinite"  # the n of an extrapolation, in the table and as a key in the file


def evaluate(arguments: list[str]) -> int:
    """Measure one checkpoint of each run, or all; print tables, write JSON and TensorBoard logs."""
    request = parse_options(Evaluate, arguments)
    output = None if request.output is None else directory("output", request.output)
    sizes = None if request.n is None else _sizes(request.n)
    names = [path.resolve().name for path in request.runs]
    if output and len({*names}) < len(names):
        raise ConfigError(f"two runs of one name do not fit into output={request.output}; take one")
    for path, name in zip(request.runs, names, strict=True):
        for step in _steps(path, request.step):
            model = open_run.open_run(path, step, request.device)
            model.check_data()
            seeds = model.run.seeds
            several = len(seeds) > 1 and not open_run.is_child(path)
            indices = model.seed_indices if several else [model.seed_index]
            # By seed, not by what is there: a child's directory may be gone.
            homes = [RunDir(path).child(seeds[i]) if several else RunDir(path) for i in indices]
            title = f"{path}, step {model.step}"
            folders = []
            for home in homes:
                folder = home.path / "evaluation"
                if output:
                    folder = output / name if len(names) > 1 else output
                    folder = folder / home.path.name if several else folder
                folders.append(folder)
            try:
                if sizes:
                    for home, index, folder in zip(homes, indices, folders, strict=True):
                        by_n = _by_n(model.run, index, model.step, sizes)
                        _show_by_n(f"{title}, {home.path.name}" if several else title, by_n)
                        _record_by_n(folder, seeds[index], model.step, by_n)
                    continue
                estimates = evaluation.evaluate(model.run, model.step, indices)
            except evaluation.NotFinite as error:
                raise ConfigError(f"{title}: {error}; choose another step=") from error
            metrics, source = model.run.config.metrics, model.run.source
            rows = {h.path.name: e for h, e in zip(homes, estimates, strict=True)}
            show(title, rows, is_high_dimensional(source.shape))
            records = {name: metric.record(source) for name, metric in metrics.items()}
            notes = {name: record for name, record in records.items() if record}
            for folder, index, each in zip(folders, indices, estimates, strict=True):
                _record(folder, seeds[index], model.step, each, notes)
    return 0


def _sizes(text: str) -> list[int]:
    """Return the numbers of samples in ascending order."""
    words = text.strip("[]").split(",")
    if not all(is_whole(word.strip()) for word in words):
        raise ConfigError(f"n={text} is no list of whole numbers; say n=128,500")
    return sorted({int(word) for word in words})


def _by_n(run: Run, index: int, step: int, sizes: Sequence[int]) -> dict[str, dict[str, Estimate]]:
    """Return n -> tag -> estimate, without the neural distance; last what is extrapolated."""
    metrics = run.config.metrics
    least = max([2, *(metric.min_samples for metric in metrics.values())])
    by_n: dict[str, dict[str, Estimate]] = {}
    for n in sizes:
        if n < least:
            raise ConfigError(f"n={n} is too few for these metrics; take at least {least}")
        try:
            at_n = replace(run, evaluator=run.evaluator.at(n))
        except ValueError as error:
            raise ConfigError(str(error).replace("EvaluatorSettings.final_n", "n")) from error
        by_n[str(n)] = evaluation.measure(at_n, index, step, final=True)
    if len(sizes) > 1:
        repeats = run.config.evaluator.final_n_repeats
        rows = list(by_n.values())
        by_n[_INFINITE] = {
            tag: extrapolate([row[tag] for row in rows], repeats)
            for tag in LINEAR_TAGS
            if tag in rows[0]
        }
    return by_n


def _show_by_n(title: str, by_n: Mapping[str, Mapping[str, Estimate]]) -> None:
    table = Table(title=printable(title), title_justify="left", box=box.SIMPLE_HEAD)
    if note := interval_notes(pair for row in by_n.values() for pair in row.items()):
        table.caption, table.caption_justify = note, "left"
    table.add_column("quantity", overflow="fold")
    for column in ("n", "value", "95 % interval", "real data"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit", overflow="fold")
    for tag in next(iter(by_n.values())):
        for n, row in by_n.items():
            if tag in row:
                name, *numbers, _, unit = estimate_cells(tag, row[tag])
                table.add_row(name if n == next(iter(by_n)) else "", n, *numbers, unit)
    screen = console(width=120)
    screen.print(table)
    if by_n.get(_INFINITE):
        screen.print(f"n = {_INFINITE}: the intercept of a line through the values against 1/n")


def _record_by_n(
    folder: Path, seed: int, step: int, by_n: Mapping[str, Mapping[str, Estimate]]
) -> None:
    values = {n: {tag: vars(each) for tag, each in row.items()} for n, row in by_n.items()}
    file = folder / f"by_n_step_{step:08d}.json"
    atomic_write(file, to_json({"seed": seed, "step": step, "by_n": values}, indent=2))
    print(printable(f"written: {file}"))


def _steps(path: Path, step: open_run.Step) -> list[open_run.Step]:
    if step != "all":
        return [step]
    home = path.resolve().parent if open_run.is_child(path) else path
    steps = checkpoint.available(home / "checkpoints")
    if not steps:
        raise ConfigError(f"{path} holds no checkpoint; train it first")
    return list(steps)


def _record(
    folder: Path,
    seed: int,
    step: int,
    estimates: dict[str, Estimate],
    metrics: Mapping[str, Mapping[str, Any]],
) -> None:
    values = {tag: vars(estimate) for tag, estimate in estimates.items()}
    file = folder / f"step_{step:08d}.json"
    content = {"seed": seed, "step": step, "estimates": values}
    content |= {"metrics": metrics} if metrics else {}
    atomic_write(file, to_json(content, indent=2))
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
