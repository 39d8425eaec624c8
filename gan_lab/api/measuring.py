"""Measure two arrays with the metrics that runs are measured with."""

import math
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan_lab.api.estimates import Estimates
from gan_lab.config import compose
from gan_lab.data.base import TensorSource
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings

_MAX_REPEATS = 10
_MIN_REPEATS = 4
_MIN_BLOCK = 20  # samples on each side of a repeat


def measure(
    samples: np.ndarray | Tensor,
    data: np.ndarray | Tensor,
    metrics: str | Sequence[str] = "wasserstein,sliced_wasserstein,kl,js,kernel,neighbours",
    n: int = 500,
    seed: int = 0,
) -> Estimates:
    """Measure generated samples against real data, each number beside what real data get.

    The data are split into two halves: samples are measured against one half, and so is the other
    half, which gives the floor. Samples are split into up to ten blocks of n, so that repeats are
    independent and the 95 % interval is honest about them; distances depend on n, and samples and
    floor have the same.

    Args:
        samples: [N, *shape].
        data: [M, *shape].
        metrics: Names of `conf/metrics`, as a list or with commas. Modes are known to data sets,
            not to arrays.
        n: Samples on each side of a repeat; fewer where there are fewer than 4 n.
        seed: Of the split.

    Raises:
        ConfigError: Arrays of other shapes, too few samples, numbers that are not finite, an
            unknown metric.
    """
    fake, real = (_tensor(name, a) for name, a in (("samples", samples), ("data", data)))
    if fake.shape[1:] != real.shape[1:]:
        raise ConfigError(
            f"samples and data differ in shape: {tuple(fake.shape[1:])} and "
            f"{tuple(real.shape[1:])} after the first axis"
        )
    if not isinstance(n, int) or n < _MIN_BLOCK:
        raise ConfigError(f"n={n!r} is no whole number from {_MIN_BLOCK}")
    block = min(n, len(fake) // _MIN_REPEATS, len(real) // 2)
    if block < _MIN_BLOCK:
        raise ConfigError(
            f"{len(fake)} samples and {len(real)} of data are too few: each of four repeats "
            f"needs {_MIN_BLOCK}, so give {_MIN_REPEATS * _MIN_BLOCK} of each at least"
        )
    generator = stream(seed, "measure")
    real = real[torch.randperm(len(real), generator=generator)]
    fake = fake[torch.randperm(len(fake), generator=generator)]
    half = len(real) // 2
    train, held_out = real[:half], real[half:]
    source = TensorSource(train, held_out, held_out, torch.device("cpu"))
    repeats = min(_MAX_REPEATS, len(fake) // block)
    settings = EvaluatorSettings(n=block, final_n=block, final_n_repeats=repeats)
    names = metrics if isinstance(metrics, str) else ",".join(metrics)
    config = compose.compose_config("train", [f"metrics=[{names}]"])
    chosen = compose.build_run_config(config).metrics
    # As many latent dimensions as data: whether the samples have a density is not known.
    evaluator = Evaluator(settings, chosen, source, math.prod(source.shape))
    blocks = iter(fake.split(block))
    return Estimates(evaluator.measure(lambda z: next(blocks), seed, 0, final=True))


def _tensor(name: str, array: np.ndarray | Tensor) -> Tensor:
    try:
        tensor = torch.as_tensor(array).detach().to("cpu", torch.float32)
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{name} is no array of numbers: {error}") from error
    if tensor.ndim < 2:
        raise ConfigError(f"{name} has the shape {tuple(tensor.shape)}; give [N, *shape]")
    if not bool(tensor.isfinite().all()):
        raise ConfigError(f"{name} holds numbers that are not finite")
    return tensor
