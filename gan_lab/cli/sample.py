"""`sample`: what a checkpoint's generator makes, as an array and, for images, a picture."""

import io
import math
from pathlib import Path

import numpy as np
import torch

from gan_lab.cli import open_run
from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Sample
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.reports.plots.samples import image_grid, save_png
from gan_lab.runs.run_dir import RunDir, atomic_write
from gan_lab.runs.safe_io import printable
from gan_lab.training import memory
from gan_lab.validation import output_path


def sample(arguments: list[str]) -> int:
    """Write what a checkpoint's generator makes: a PNG grid and an array for images or points."""
    request = parse_options(Sample, arguments)
    path, n, seed = request.run, request.n, request.seed
    output = Path(request.output) if request.output else RunDir(path).samples
    names_files = output.suffix in (".npy", ".png")
    if request.output and names_files:
        output_path("output", request.output)
    elif request.output:
        directory("output", request.output)
    model = open_run.open_run(path, request.step, request.device)
    run, latent_dim = model.run, model.config.network.latent_dim
    memory.check_samples(n, latent_dim + math.prod(run.source.shape), run.source.device)
    generator = stream(seed, "sample", run.source.device)
    z = torch.randn((n, latent_dim), generator=generator, device=run.source.device)
    samples = (run.samples if request.average else run.current_samples)(model.seed_index, z)
    if not bool(samples.isfinite().all()):
        where = f"{path} overflows at step {model.step}"
        raise ConfigError(f"the generator of {where}; choose another step=")
    name = f"sample_step_{model.step:08d}_seed_{seed}"
    stem = output.with_suffix("") if names_files else output / name
    array, content = stem.with_name(f"{stem.name}.npy"), io.BytesIO()
    np.save(content, samples.cpu().numpy())
    atomic_write(array, content.getvalue())
    print(printable(array))
    if len(run.source.shape) == 3:
        picture = stem.with_name(f"{stem.name}.png")
        save_png(image_grid(samples), picture)
        print(printable(picture))
    return 0
