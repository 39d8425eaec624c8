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
from gan_lab.engine.labels import join_labels
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
_N, _N_EACH = 64, 8  # samples unless given; of a conditional run so many of each class


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
    classes = _classes(request, model)
    n = _number(request, classes)
    memory.check_samples(n, latent_dim + math.prod(source.shape), source.device)
    samples = _make(request, model, _noise(request, model, classes))
    stem = _stem(request, f"sample_step_{model.step:08d}_seed_{request.seed}")
    _write_array(stem, samples)
    if len(source.shape) == 3:
        columns = None
        if classes is not None and request.class_ is None:
            columns = int((classes == classes[0]).sum())
        _write_picture(stem, image_grid(samples, columns=columns))


def _write_paths(request: Sample, model: open_run.LoadedRun, n: int) -> None:
    source, latent_dim = model.run.source, model.config.network.latent_dim
    memory.check_samples(n**2, latent_dim + math.prod(source.shape), source.device)
    z = latent_paths(n, latent_dim, _generator(request, model))
    labels = model.run.labels
    if labels is not None:  # a path within each class in turn, or all within one
        classes = torch.arange(n, device=z.device) % labels.n_classes
        classes = classes if request.class_ is None else _classes_of(request, model, n)
        z = join_labels(z, labels.one_hot(classes[:, None].expand(n, n)))
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
    classes = _classes(request, model)
    memory.check_samples(_number(request, classes), latent_dim, source.device)
    z = _noise(request, model, classes)

    def batches() -> Iterator[Tensor]:
        for part in z.split(_BATCH):
            yield _make(request, model, part)

    n = write_images(batches(), folder)
    print(printable(f"{folder}: {n} images"))


def _number(request: Sample, classes: Tensor | None) -> int:
    if classes is not None:
        return len(classes)
    return _N if request.n is None else request.n


def _classes(request: Sample, model: open_run.LoadedRun) -> Tensor | None:
    """Return the classes of the samples, int64: the one that is given, or a row of each.

    None where they are those of random training samples, or the generator is given none.
    """
    labels = model.run.labels
    if request.class_ is not None:
        return _classes_of(request, model, _N if request.n is None else request.n)
    if labels is None or request.n is not None:
        return None
    return labels.rows(min(_N_EACH * labels.n_classes, _N_EACH * _N))


def _classes_of(request: Sample, model: open_run.LoadedRun, n: int) -> Tensor:
    """Return n times the class that is asked for."""
    labels = model.run.labels
    if labels is None:
        raise ConfigError(
            f"class={request.class_} is for a run of network.conditional=true, and the generator "
            f"of {request.run} is given no class; leave class out"
        )
    if request.class_ is None or request.class_ >= labels.n_classes:
        raise ConfigError(
            f"class={request.class_} is none of the {labels.n_classes} classes of {request.run}; "
            f"take 0 to {labels.n_classes - 1}"
        )
    return torch.full((n,), request.class_, device=model.run.source.device)


def _generator(request: Sample, model: open_run.LoadedRun) -> torch.Generator:
    return stream(request.seed, "sample", model.run.source.device)


def _noise(request: Sample, model: open_run.LoadedRun, classes: Tensor | None) -> Tensor:
    """Return z, [n, latent_dim], or of a conditional run with classes [n, latent_dim + K]."""
    labels = model.run.labels
    one_hot = None if labels is None or classes is None else labels.one_hot(classes)
    return model.run.latents(_number(request, classes), _generator(request, model), one_hot)


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
    name = name if request.class_ is None else f"{name}_class_{request.class_}"
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
