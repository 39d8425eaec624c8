"""Samples counted by mode, what the counts mean, and the scores of the data themselves."""

import math

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.base import Modes, Source
from gan_lab.data.digits import StackedSource
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays

# A perfect two-dimensional Gaussian within 3 standard deviations. More means collapse within modes.
QUALITY_CEILING = 1 - math.exp(-4.5)
BY_SAMPLE = "stacked_digits"  # a mode counts with one sample of its class, whatever its quality
NAMES = {"ring": "ring", "grid": "grid", BY_SAMPLE: "stacked digits"}
_CHUNK = 2048  # samples classified at once; bounds the memory of a nearest neighbour


def count(samples: Tensor, modes: Modes) -> tuple[np.ndarray, np.ndarray]:
    """Count the samples [n, *shape] nearest to each mode, and those of high quality among them.

    Both are [K]. A sample that is not finite is nearest to none.
    """
    k = len(modes.weights)
    nearest, good = torch.zeros(k, dtype=torch.int64), torch.zeros(k, dtype=torch.int64)
    finite = samples[samples.flatten(1).isfinite().all(1)]
    for part in finite.split(_CHUNK):
        mode, is_good = modes.classify(part)
        nearest += torch.bincount(mode, minlength=k).cpu()
        good += torch.bincount(mode[is_good], minlength=k).cpu()
    return nearest.numpy().astype(np.int32), good.numpy().astype(np.int32)


def n_covered(counts: np.ndarray) -> np.ndarray:
    """Return the number of modes with at least one counted sample: [..., K] -> [...]."""
    return (counts > 0).sum(-1)


def counting_rule(data: str) -> str:
    """Return the counts that the papers' rule goes by: `good`, or `nearest` for images.

    VEEGAN and PacGAN ask for a sample within 3 standard deviations on the ring and the grid, and
    for a sample that a classifier puts into the mode on Stacked MNIST.
    """
    return "nearest" if data == BY_SAMPLE else "good"


def final_modes(arrays: Arrays, data: str) -> np.ndarray:
    """Return the number of modes covered at the end by the papers' rule, [methods, seeds]."""
    return n_covered(arrays[f"{data}/final_{counting_rule(data)}"])


def modes_over_time(arrays: Arrays, data: str) -> np.ndarray:
    """Return the number of modes covered at each count, [methods, counts, seeds]."""
    return n_covered(arrays[f"{data}/{counting_rule(data)}"])


def quality(arrays: Arrays, data: str) -> np.ndarray:
    """Return the share of high-quality samples at the end, [methods, seeds]."""
    return arrays[f"{data}/final_good"].sum(-1) / int(arrays[f"{data}/n_final"])


def mode_kl(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return the KL of the modes' shares from their true weights in nats: [..., K] -> [...].

    It is infinite where no sample is left to count.
    """
    total = counts.sum(-1, keepdims=True)
    shares = counts / np.maximum(total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares / weights), 0.0)
    return np.where(total[..., 0] > 0, terms.sum(-1), np.inf)


def final_kl(arrays: Arrays, data: str) -> np.ndarray:
    """Return the KL of the modes' shares at the end, in nats, [methods, seeds]."""
    return mode_kl(arrays[f"{data}/final_nearest"], arrays[f"{data}/weights"])


def kl_floor(weights: np.ndarray, n: int) -> float:
    """Return the mean KL of n samples of the data themselves, in nats, to second order in 1/n.

    (K - 1)/(2 n) + (sum 1/w - 1)/(12 n^2): half a chi-square with K - 1 degrees of freedom over n,
    and the next term of the expansion of the plug-in entropy.
    """
    return float((len(weights) - 1) / (2 * n) + (np.sum(1 / weights) - 1) / (12 * n**2))


def expected_modes(weights: np.ndarray, n: int) -> float:
    """Return the number of modes that n samples of the data themselves cover on average."""
    return float(np.sum(1 - (1 - weights) ** n))


def uncovered_share(good: np.ndarray) -> np.ndarray:
    """Return the share of (mode, count) pairs of the second half of training without a sample.

    [methods, counts, seeds, K] -> [methods, seeds]: 0 where every mode is covered throughout.
    """
    return (good[:, good.shape[1] // 2 :] == 0).mean((1, 3))


def score_data(source: Source, n: int, repeats: int) -> Arrays:
    """Score the data themselves, as a perfect generator would be, with n samples a count.

    Returns:
        weights: True weights of the modes, [K]; real_good, real_n: high-quality samples and all
        samples over the repeats; real_kl: KL of each repeat, [repeats], in nats.
    """
    modes = source.modes
    assert modes is not None
    weights = modes.weights.double().cpu().numpy()
    generator = stream(0, "mode_collapse/data", source.device)
    if isinstance(source, StackedSource):
        counts = _stacked_counts(source, n, repeats, generator)
        # Held-out images stand for a perfect generator: training images are at distance 0.
        good = count(source.held_out(n, generator), modes)[1].sum()
        total = n
    else:
        pairs = [count(source.real(n, generator), modes) for _ in range(repeats)]
        counts = np.stack([nearest for nearest, _ in pairs])
        good, total = sum(each.sum() for _, each in pairs), n * repeats
    return {
        "weights": weights,
        "real_good": np.array(good),
        "real_n": np.array(total),
        "real_kl": mode_kl(counts, weights),
    }


def _stacked_counts(
    source: StackedSource, n: int, repeats: int, generator: torch.Generator
) -> np.ndarray:
    """Count n combinations of training images by mode, [repeats, K].

    The classifier works channel by channel, so each training image is classified once.
    """
    single = source.single
    assert single.modes is not None
    images = single.gather(torch.arange(single.n_train, device=source.device))
    label = single.modes.classify(images)[0]
    k = len(single.modes.weights)
    digits = (label[source.draw(n, generator)].T for _ in range(repeats))
    modes = ((a * k + b) * k + c for a, b, c in digits)
    return np.stack([torch.bincount(mode, minlength=k**3).cpu().numpy() for mode in modes])
