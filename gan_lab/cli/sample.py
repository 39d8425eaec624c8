"""`sample`: what a checkpoint's generator makes, as an array and, for images, a picture."""

import io
import math
from pathlib import Path

import numpy as np
import torch

from gan_lab.cli import open_run
from gan_lab.data.base import Source
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.reports.plots.samples import image_grid, save_png
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir, atomic_write
from gan_lab.runs.safe_io import printable
from gan_lab.training import memory
from gan_lab.validation import place


def sample(arguments: list[str]) -> int:
    """Writes what a checkpoint's generator makes: a PNG grid and an array for images or points."""
    (path,), given = open_run.arguments(arguments, "sample", at_most=1)
    defaults = {"n": 64, "seed": 0, "step": None, "average": True, "output": None, "device": None}
    choices = open_run.parse_options(given, defaults)
    n, seed, step = choices["n"], choices["seed"], choices["step"]
    for name, value, least in (("n", n, 1), ("seed", seed, 0), ("step", step, 0)):
        if value is None or (name == "step" and checkpoint.is_name(value)):
            continue
        if type(value) is not int or value < least:
            raise ConfigError(f"{name}={value} is not a whole number >= {least}")
    output = choices["output"]
    if output is not None and not Path(str(output)).name:
        raise ConfigError(f"output={output} is no name for a file")
    if output is not None:
        place("output", f"{output}.npy")
    if type(choices["average"]) is not bool:
        raise ConfigError(f"average={choices['average']} is neither true nor false")
    setup, opened, index, at, _ = open_run.open_run(path, step, choices["device"])
    each = setup.network.latent_dim + math.prod(opened.source.shape)
    memory.check_samples(n, each, opened.source.device)
    generator = stream(seed, "sample", opened.source.device)
    latent = (n, setup.network.latent_dim)
    z = torch.randn(latent, generator=generator, device=opened.source.device)
    samples = opened.samples(index, z) if choices["average"] else opened.now(index, z)
    if not bool(samples.isfinite().all()):
        raise ConfigError(f"the generator of {path} overflows at step {at}; choose another step=")
    stem = Path(output or RunDir(path).samples / f"sample_step_{at:08d}_seed_{seed}")
    _write_samples(samples, stem, opened.source)
    return 0


def _write_samples(samples: torch.Tensor, stem: Path, source: Source) -> None:
    array, content = stem.with_name(f"{stem.name}.npy"), io.BytesIO()
    np.save(content, samples.cpu().numpy())
    atomic_write(array, content.getvalue())
    written = [array]
    if len(source.shape) == 3:
        written.append(stem.with_name(f"{stem.name}.png"))
        save_png(image_grid(samples), written[-1])
    for path in written:
        print(printable(path))
