"""What the counts of the study of mode collapse mean, and what the data themselves would score."""

import math

import numpy as np
import torch

from gan_lab.data.base import Source
from gan_lab.data.digits import StackedSource
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.mode_collapse.games import count

# A perfect two-dimensional Gaussian within 3 standard deviations. More means collapse within modes.
QUALITY_CEILING = 1 - math.exp(-4.5)
BY_SAMPLE = "stacked_digits"  # a mode counts with one sample of its class, whatever its quality
NAMES = {"ring": "ring", "grid": "grid", BY_SAMPLE: "stacked digits"}


def covered(counts: np.ndarray) -> np.ndarray:
    """Modes with at least one of the counted samples: [..., K] -> [...]."""
    return (counts > 0).sum(-1)


def which(data: str) -> str:
    """The counts that a mode has to be in by the papers' rule: `good`, or `nearest` for images.

    VEEGAN and PacGAN ask for a sample within 3 standard deviations on the ring and the grid, and
    for a sample that a classifier puts into the mode on Stacked MNIST.
    """
    return "nearest" if data == BY_SAMPLE else "good"


def final_modes(arrays: Arrays, data: str) -> np.ndarray:
    """Modes covered at the end by the papers' rule, [methods, seeds]."""
    return covered(arrays[f"{data}/final_{which(data)}"])


def modes_over_time(arrays: Arrays, data: str) -> np.ndarray:
    """Modes covered at each look by the papers' rule, [methods, looks, seeds]."""
    return covered(arrays[f"{data}/{which(data)}"])


def quality(arrays: Arrays, data: str) -> np.ndarray:
    """Share of high-quality samples at the end, [methods, seeds]."""
    return arrays[f"{data}/final_good"].sum(-1) / int(arrays[f"{data}/n_final"])


def mode_kl(counts: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """KL in nats of the modes' shares among samples from their true weights: [..., K] -> [...].

    Infinite where no sample is left to count.
    """
    total = counts.sum(-1, keepdims=True)
    shares = counts / np.maximum(total, 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        terms = np.where(shares > 0, shares * np.log(shares / weights), 0.0)
    return np.where(total[..., 0] > 0, terms.sum(-1), np.inf)


def final_kl(arrays: Arrays, data: str) -> np.ndarray:
    """KL of the modes' shares at the end, in nats, [methods, seeds]."""
    return mode_kl(arrays[f"{data}/final_nearest"], arrays[f"{data}/weights"])


def kl_floor(weights: np.ndarray, n: int) -> float:
    """What n samples of the data themselves have on average, in nats, to second order in 1/n.

    (K - 1)/(2 n) + (sum 1/w - 1)/(12 n^2): half a chi-square with K - 1 degrees of freedom over n,
    and the next term of the expansion of the plug-in entropy.
    """
    return float((len(weights) - 1) / (2 * n) + (np.sum(1 / weights) - 1) / (12 * n**2))


def expected_modes(weights: np.ndarray, n: int) -> float:
    """Modes that n samples of the data themselves fall into on average."""
    return float(np.sum(1 - (1 - weights) ** n))


def lost(good: np.ndarray) -> np.ndarray:
    """Share of (mode, look) pairs of the second half of training without a sample.

    Args:
        good: Counts [methods, looks, seeds, K].

    Returns:
        [methods, seeds], in [0, 1]: 0 where every mode is covered throughout.
    """
    second_half = good[:, good.shape[1] // 2 :]
    return (second_half == 0).mean((1, 3))


def of_the_data(source: Source, n: int, repeats: int) -> Arrays:
    """What a perfect generator would score: the data in its place.

    Args:
        source: The data.
        n: Samples of one count.
        repeats: Independent counts.

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
    """Counts of n combinations of training images by mode, [repeats, K].

    The classifier works channel by channel, so each training image is classified once.
    """
    single = source.single
    assert single.modes is not None
    images = single.gather(torch.arange(single.n_train, device=source.device))
    label = single.modes.classify(images)[0]
    k = len(single.modes.weights)
    rows = []
    for _ in range(repeats):
        digits = label[source.draw(n, generator)]
        mode = (digits[:, 0] * k + digits[:, 1]) * k + digits[:, 2]
        rows.append(torch.bincount(mode, minlength=k**3).cpu().numpy())
    return np.stack(rows)
