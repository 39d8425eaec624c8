"""`export`: a checkpoint's averaged generator alone, as a file for other programs."""

from pathlib import Path

from gan_lab.cli import open_run
from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Export
from gan_lab.errors import ConfigError
from gan_lab.reports.export.generator import SUFFIXES, check_format, export_generator
from gan_lab.runner.generator import averaged_generator, describe_generator
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import printable
from gan_lab.validation import output_path


def export(arguments: list[str]) -> int:
    """Write the averaged generator of one seed; see the keys of `Export`."""
    request = parse_options(Export, arguments)
    check_format(request.format)
    place = _place(request)
    model = open_run.open_run(request.run, request.step, "cpu")
    index = model.seed_index if request.seed is None else _index(request, model)
    pair = model.config.pair(model.run.source)
    facts = (model.run, index, model.step, RunDir(request.run).config)
    name = f"generator_step_{model.step:08d}_seed_{model.run.seeds[index]}"
    suffix = SUFFIXES[request.format]
    path = place if place.suffix == suffix else place / f"{name}{suffix}"
    export_generator(
        averaged_generator(model.run, index),
        pair.latent_dim + pair.n_classes,
        describe_generator(*facts),
        request.format,
        path,
    )
    print(printable(path))
    return 0


def _place(request: Export) -> Path:
    """Return the file, or the folder for it; refuse the suffix of another format."""
    if request.output is None:
        return RunDir(request.run).path / "export"
    path = Path(request.output)
    formats = {suffix: name for name, suffix in SUFFIXES.items()}
    if path.suffix in formats and formats[path.suffix] != request.format:
        raise ConfigError(
            f"output={request.output} is a name for format={formats[path.suffix]}, but format is "
            f"{request.format}: say format={formats[path.suffix]}, or another name"
        )
    if path.suffix in formats:
        output_path("output", request.output)
    else:
        directory("output", request.output)
    return path


def _index(request: Export, model: open_run.LoadedRun) -> int:
    """Return the index of the seed that is asked for; refuse one that the run does not have."""
    seeds = model.run.seeds
    is_child = open_run.is_child(request.run)
    indices = [model.seed_index] if is_child else model.seed_indices
    choices = [seeds[index] for index in indices]
    if request.seed not in choices:
        there = f"{request.run} has {', '.join(map(str, choices))}"
        raise ConfigError(f"seed={request.seed} is none that can be exported; {there}")
    return seeds.index(request.seed)
