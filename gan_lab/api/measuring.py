"""Measure two arrays with the metrics that runs are measured with."""

import math
from collections.abc import Iterable, Sequence

import numpy as np
import torch
from torch import Tensor

from gan_lab.api.arguments import check_whole, short
from gan_lab.api.estimates import Estimates
from gan_lab.api.process import keep_hydra
from gan_lab.api.training import build_config
from gan_lab.data.base import TensorSource
from gan_lab.engine.rng import stream
from gan_lab.errors import ConfigError
from gan_lab.metrics.evaluator import Evaluator, EvaluatorSettings
from gan_lab.runs.headline import is_high_dimensional

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
    half, which gives the floor. Samples and that half are split into up to ten blocks of n, so that
    repeats are independent and the 95 % interval covers the chance in both. Distances depend on n,
    which is the same for samples and floor.

    Args:
        samples: [N, *shape].
        data: [M, *shape].
        metrics: Names of conf/metrics, as a list or with commas. Modes are known to data sets, not
            to arrays.
        n: Samples on each side of a repeat; fewer where there are fewer than 4 n samples, or 8 n
            of data.
        seed: Of the split.

    Raises:
        ConfigError: Arrays of other shapes, too few samples, numbers that are complex or not
            finite, an unknown metric, or n or seed no whole number.

    Example:
        >>> import numpy as np
        >>> import gan_lab
        >>> rng = np.random.default_rng(0)
        >>> data, samples = rng.normal(size=(2000, 2)), rng.normal(size=(2000, 2)) + [3, 4]
        >>> print(gan_lab.measure(samples, data, metrics="wasserstein,js"))  # W1 is 5, the shift
    """
    fake, real = (_tensor(name, a) for name, a in (("samples", samples), ("data", data)))
    if fake.shape[1:] != real.shape[1:]:
        raise ConfigError(
            f"samples and data differ in shape: {tuple(fake.shape[1:])} and "
            f"{tuple(real.shape[1:])} after the first axis"
        )
    seed, names = check_whole("seed", seed, 0), _names(metrics)
    block = min(
        check_whole("n", n, _MIN_BLOCK), len(fake) // _MIN_REPEATS, len(real) // 2 // _MIN_REPEATS
    )
    if block < _MIN_BLOCK:
        raise ConfigError(
            f"{len(fake)} samples and {len(real)} of data are too few for {_MIN_REPEATS} repeats "
            f"of {_MIN_BLOCK}; give {_MIN_REPEATS * _MIN_BLOCK} samples and twice as many of data "
            f"at least"
        )
    generator = stream(seed, "measure")
    source = _Halves(real[torch.randperm(len(real), generator=generator)])
    fakes = iter(fake[torch.randperm(len(fake), generator=generator)].split(block))
    repeats = min(_MAX_REPEATS, len(fake) // block, source.n_held_out // block)
    with keep_hydra():
        choice = build_config([f"metrics=[{names}]"]).metrics
    try:
        settings = EvaluatorSettings(final_n=block, final_n_repeats=repeats)
    except ValueError as error:
        raise ConfigError(f"n={n} is too many: {error}") from error
    # As many latent dimensions as data: whether the samples have a density is not known.
    evaluator = Evaluator(settings, choice, source, math.prod(source.shape))
    estimates = evaluator.measure(lambda z: next(fakes), seed, 0, final=True)
    if not estimates:
        raise ConfigError(f"metrics={names} has no number for arrays; take others")
    return Estimates(estimates, is_high_dimensional(source.shape))


class _Halves(TensorSource):
    """One half of the data to be close to, the other dealt out in blocks that share no sample."""

    def __init__(self, data: Tensor) -> None:
        half = len(data) // 2
        super().__init__(data[:half], data[half:], data[half:], data.device)
        self._n_blocks = 0

    def held_out(self, n: int, generator: torch.Generator) -> Tensor:
        """Return the next block; after the last the first."""
        start = self._n_blocks % (self.n_held_out // n) * n
        self._n_blocks += 1
        return self.gather_held_out(torch.arange(start, start + n))


def _names(metrics: str | Sequence[str]) -> str:
    if isinstance(metrics, str):
        return metrics
    if not isinstance(metrics, Iterable) or not all(isinstance(each, str) for each in metrics):
        raise ConfigError(f"metrics={short(metrics)} is no list of names; say ['wasserstein']")
    return ",".join(metrics)


def _tensor(name: str, array: np.ndarray | Tensor) -> Tensor:
    try:
        tensor = torch.as_tensor(array).detach()
        if tensor.is_complex():  # torch would drop the imaginary part with a warning
            raise TypeError("they are complex")
        tensor = tensor.to("cpu", torch.float32).to_dense()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ConfigError(f"{name} is no array of numbers: {error}") from error
    if tensor.ndim < 2 or 0 in tensor.shape[1:]:
        raise ConfigError(f"{name} has the shape {tuple(tensor.shape)}; give [N, *shape]")
    if not bool(tensor.isfinite().all()):
        raise ConfigError(f"{name} holds numbers that are not finite")
    return tensor
