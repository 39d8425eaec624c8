"""`sample`: what a checkpoint's generator makes, as an array, a picture, or a folder of images."""

import io
import math
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from gan_lab.cli import open_run
from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Sample
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.reports.export.images import check_new_folder, write_images
from gan_lab.reports.plots.samples import image_grid, paths_picture, save_png
from gan_lab.runner.generator import latent_paths
from gan_lab.runs.run_dir import RunDir, atomic_write
from gan_lab.runs.safe_io import printable
from gan_lab.training import memory
from gan_lab.validation import output_path

_BATCH = 256  # images that are made at once for a folder
_N_REAL = 1000  # data points behind paths


def sample(arguments: list[str]) -> int:
    """Write what a checkpoint's generator makes; see the keys of `Sample`."""
    request = parse_options(Sample, arguments)
    _check_together(request)
    if request.images is not None:
        directory("images", request.images)
        check_new_folder("images", Path(request.images))
    elif request.output and _is_file_name(request.output):
        output_path("output", request.output)
    elif request.output:
        directory("output", request.output)
    model = open_run.open_run(request.run, request.step, request.device)
    if request.images is not None:
        _write_folder(request, model, Path(request.images))
    elif request.interpolate is not None:
        _write_paths(request, model, request.interpolate)
    else:
        _write_samples(request, model)
    return 0


def _check_together(request: Sample) -> None:
    """Refuse keys that say two things."""
    images, interpolate = f"images={request.images}", f"interpolate={request.interpolate}"
    if request.images is not None and request.interpolate is not None:
        raise ConfigError(f"{images} and {interpolate} are two kinds of files; give one")
    if request.interpolate is not None and request.n is not None:
        n = request.interpolate**2
        raise ConfigError(f"{interpolate} makes {n} samples, n={request.n} is another; give one")
    if request.images is not None and request.output is not None:
        output = f"output={request.output}"
        raise ConfigError(f"{images} and {output} are two places to write; give one")


def _write_samples(request: Sample, model: open_run.LoadedRun) -> None:
    source, latent_dim = model.run.source, model.config.network.latent_dim
    n = _number(request)
    memory.check_samples(n, latent_dim + math.prod(source.shape), source.device)
    samples = _make(request, model, _noise(request, model))
    stem = _stem(request, f"sample_step_{model.step:08d}_seed_{request.seed}")
    _write_array(stem, samples)
    if len(source.shape) == 3:
        _write_picture(stem, image_grid(samples))


def _write_paths(request: Sample, model: open_run.LoadedRun, n: int) -> None:
    source, latent_dim = model.run.source, model.config.network.latent_dim
    memory.check_samples(n**2, latent_dim + math.prod(source.shape), source.device)
    z = latent_paths(n, latent_dim, _generator(request, model))
    samples = _make(request, model, z.flatten(0, 1))
    paths = samples.unflatten(0, (n, n))
    stem = _stem(request, f"interpolation_step_{model.step:08d}_seed_{request.seed}")
    _write_array(stem, paths)
    if len(source.shape) == 3:
        _write_picture(stem, image_grid(samples))
    else:
        n_real = min(_N_REAL, source.n_held_out or _N_REAL)
        real = source.held_out(n_real, stream(0, "sample/real", source.device))
        title = f"samples along {n} paths between random z, step {model.step}"
        _write_picture(stem, paths_picture(real, paths, title))


def _write_folder(request: Sample, model: open_run.LoadedRun, folder: Path) -> None:
    source, latent_dim = model.run.source, model.config.network.latent_dim
    if len(source.shape) != 3 or source.shape[0] not in (1, 3):
        raise ConfigError(
            f"images={folder} is for images of 1 or 3 channels, and samples of {request.run} have "
            f"the shape {source.shape}; leave images out"
        )
    memory.check_samples(_number(request), latent_dim, source.device)
    z = _noise(request, model)

    def batches() -> Iterator[Tensor]:
        for part in z.split(_BATCH):
            yield _make(request, model, part)

    n = write_images(batches(), folder)
    print(printable(f"{folder}: {n} images"))


def _number(request: Sample) -> int:
    return 64 if request.n is None else request.n


def _generator(request: Sample, model: open_run.LoadedRun) -> torch.Generator:
    return stream(request.seed, "sample", model.run.source.device)


def _noise(request: Sample, model: open_run.LoadedRun) -> Tensor:
    """Return z, [n, latent_dim]."""
    generator, latent_dim = _generator(request, model), model.config.network.latent_dim
    shape = (_number(request), latent_dim)
    return torch.randn(shape, generator=generator, device=generator.device)


def _make(request: Sample, model: open_run.LoadedRun, z: Tensor) -> Tensor:
    """Return the generator's samples at z; refuse some that overflow."""
    run = model.run
    samples = (run.samples if request.average else run.current_samples)(model.seed_index, z)
    if not bool(samples.isfinite().all()):
        where = f"{request.run} overflows at step {model.step}"
        raise ConfigError(f"the generator of {where}; choose another step=")
    return samples


def _is_file_name(output: str) -> bool:
    return Path(output).suffix in (".npy", ".png")


def _stem(request: Sample, name: str) -> Path:
    """Return the path of the files to write, without a suffix."""
    if request.output and _is_file_name(request.output):
        return Path(request.output).with_suffix("")
    return (Path(request.output) if request.output else RunDir(request.run).samples) / name


def _write_array(stem: Path, samples: Tensor) -> None:
    path, content = stem.with_name(f"{stem.name}.npy"), io.BytesIO()
    np.save(content, samples.cpu().numpy())
    atomic_write(path, content.getvalue())
    print(printable(path))


def _write_picture(stem: Path, picture: np.ndarray) -> None:
    path = stem.with_name(f"{stem.name}.png")
    save_png(picture, path)
    print(printable(path))
