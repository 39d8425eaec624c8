"""What each metric of images sees and what it must miss, on digits that are spoilt on purpose.

No closed form is known here. In place of a truth stands an order: a metric that sees a defect ranks
spoilt digits below real ones that it never saw, each time; one that cannot see it does so by chance
or never, and is called biased as documented.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from scipy import special
from torch import Generator, Tensor
from torch.nn import functional as F

from gan_lab.data.base import TensorSource
from gan_lab.data.class_modes import ClassifierModes
from gan_lab.data.image_network import ImageFeatures
from gan_lab.data.mnist_5k import Mnist5k
from gan_lab.engine.rng import stream
from gan_lab.metrics import diversity, mode_coverage, wasserstein
from gan_lab.metrics.features import frechet, kernel_distance, manifold, scores
from gan_lab.selfcheck.checks import Row
from gan_lab.selfcheck.samples import CPU

N, DRAWS = 250, 20
# The share of draws in which a metric ranks real digits first, if it sees the defect, is blind to
# it, or sees it in most draws of this n only.
SEES, BLIND, OFTEN = (0.9, 1.0), (0.0, 0.85), (0.25, 1.0)
_BLUR = 1.0  # pixels

# Metric -> whether more of it is worse.
_MORE_IS_WORSE = {
    "FD": True,
    "kernel distance": True,
    "precision": False,
    "recall": False,
    "density": False,
    "coverage": False,
    "classifier score": False,
    "legible share": False,
    "modes covered": False,
    "KL of labels": True,
    "nearest training image": False,
    "W1 of pixels": True,
}
_QUALITY = frozenset(
    {
        *("FD", "kernel distance", "precision", "recall", "density", "coverage"),
        *("classifier score", "legible share", "modes covered"),
    }
)
_VARIETY = frozenset({"FD", "recall", "coverage", "nearest training image", "W1 of pixels"})
_CLASSES = frozenset({"classifier score", "modes covered", "KL of labels"})
_UNSURE = frozenset({("kernel distance", "no digit 1"), ("KL of labels", "blur of 1 pixel")})


@dataclass(frozen=True)
class Digits:
    """Real digits, their classifier's features, and the order in which spoilt ones are drawn.

    Attributes:
        source: The set.
        train: Training images, [n, 1, 28, 28].
        held_out: Held-out images.
        features: Features of images.
        train_features: Those of the training images.
    """

    source: TensorSource
    train: Tensor
    held_out: Tensor
    features: Callable[[Tensor], ImageFeatures]
    train_features: ImageFeatures


def open_digits() -> Digits:
    """Return mnist_5k with its classifier, which is trained at the first call of a machine."""
    source = Mnist5k().open(CPU)
    modes = source.modes
    assert isinstance(modes, ClassifierModes)
    train = source.take("train", torch.arange(source.n_train))
    held_out = source.take("held_out", torch.arange(source.n_held_out))
    extract = modes.classifier.extract
    return Digits(source, train, held_out, extract, extract(train))


def _choose(images: Tensor, n: int, generator: Generator) -> Tensor:
    return images[torch.randperm(len(images), generator=generator)[:n]]


def _copies(digits: Digits, n: int, generator: Generator) -> Tensor:
    return _choose(digits.train, n, generator)


def _without_ones(digits: Digits, n: int, generator: Generator) -> Tensor:
    assert digits.source.train_labels is not None
    return _choose(digits.train[digits.source.train_labels != 1], n, generator)


def _one_a_class(digits: Digits, n: int, generator: Generator) -> Tensor:
    labels = digits.source.train_labels
    assert labels is not None
    images = [_choose(digits.train[labels == label], 1, generator) for label in range(10)]
    return torch.cat(images).repeat(math.ceil(n / 10), 1, 1, 1)[:n]


def _blur(digits: Digits, n: int, generator: Generator) -> Tensor:
    steps = torch.arange(-3.0, 4.0)
    weights = torch.exp(-(steps**2) / (2 * _BLUR**2))
    kernel = torch.outer(weights, weights) / weights.sum() ** 2
    larger = F.pad(_choose(digits.train, n, generator), (3, 3, 3, 3), value=-1.0)
    return F.conv2d(larger, kernel[None, None])


def _white_noise(digits: Digits, n: int, generator: Generator) -> Tensor:
    return 2 * torch.rand(n, *digits.train.shape[1:], generator=generator) - 1


def _pca_blobs(digits: Digits, n: int, generator: Generator) -> Tensor:
    """Return draws of the Gaussian with the training pixels' mean and covariance, clipped."""
    pixels = digits.train.flatten(1)
    mean = pixels.mean(dim=0)
    # Normal weights of the centred images themselves have their covariance.
    weights = torch.randn(n, len(pixels), generator=generator) / math.sqrt(len(pixels) - 1)
    blobs = mean + weights @ (pixels - mean)
    return blobs.clamp(-1, 1).view(n, *digits.train.shape[1:])


# Defect -> spoilt digits, and the metrics that see it; all others are blind to it. What is made of
# training images is seen by the distance to them, too.
DEFECTS: dict[str, tuple[Callable[[Digits, int, Generator], Tensor], frozenset[str]]] = {
    "copies of training images": (_copies, frozenset({"nearest training image"})),
    "no digit 1": (_without_ones, _VARIETY | _CLASSES),
    "one image a class": (_one_a_class, _VARIETY | {"kernel distance"}),
    "blur of 1 pixel": (_blur, _QUALITY),
    "white noise": (_white_noise, _QUALITY | {"KL of labels", "W1 of pixels"}),
    "PCA blobs": (_pca_blobs, _QUALITY | {"KL of labels", "W1 of pixels"}),
}


def image_rows(seed: int = 0, only: Sequence[str] = ()) -> list[Row]:
    """Return one row for each defect and metric; of `only` some defects if any are named."""
    digits = open_digits()
    generator = stream(seed, "selfcheck/images")
    real = [_measure(digits, None, generator) for _ in range(DRAWS)]
    rows = []
    for defect, (spoil, observers) in DEFECTS.items():
        if only and defect not in only:
            continue
        draws = [_measure(digits, spoil, stream(seed, f"{defect} {i}")) for i in range(DRAWS)]
        for metric, more_is_worse in _MORE_IS_WORSE.items():
            pairs = zip((r[metric] for r in real), (d[metric] for d in draws), strict=True)
            count = sum(bad > good if more_is_worse else bad < good for good, bad in pairs)
            answer = SEES if metric in observers else BLIND
            answer = OFTEN if (metric, defect) in _UNSURE else answer
            rows.append(_row(metric, defect, answer, count, seed))
    return rows


def _measure(
    digits: Digits,
    spoil: Callable[[Digits, int, Generator], Tensor] | None,
    generator: Generator,
) -> dict[str, float]:
    """Measure spoilt digits, or real ones, against other held-out ones."""
    held_out = _choose(digits.held_out, 2 * N, generator)
    reference, others = held_out[:N], held_out[N:]
    samples = others if spoil is None else spoil(digits, N, generator)
    fake, real = digits.features(samples), digits.features(reference)
    assert fake.log_probabilities is not None
    assert fake.is_legible is not None
    assert digits.source.modes is not None
    # Metrics are module attributes at the call, so that a test can plant an error.
    balls = manifold.manifold_metrics(fake.pooled, real.pooled)
    modes = mode_coverage.mode_statistics(samples, digits.source.modes)
    train = digits.train_features.pooled
    return {
        "FD": frechet.relative_frechet_distance(fake.last, real.last),
        "kernel distance": kernel_distance.kernel_distance(fake.last, real.last)[0],
        **vars(balls),
        "classifier score": scores.classifier_score(fake.log_probabilities),
        "legible share": float(fake.is_legible.double().mean()),
        "modes covered": modes["modes/covered"],
        "KL of labels": modes["modes/kl"],
        "nearest training image": diversity.mean_nearest_distance(fake.pooled, train),
        "W1 of pixels": wasserstein.exact_wasserstein(samples, reference),
    }


_REASONS = {
    SEES: "it has to see this",
    BLIND: "it cannot see this, or prefers it: ask another metric",
    OFTEN: "it sees this in some draws only at this n",
}


def _row(metric: str, defect: str, band: tuple[float, float], count: int, seed: int) -> Row:
    share = count / DRAWS
    # Clopper and Pearson's interval of a share.
    low = float(special.betaincinv(count, DRAWS - count + 1, 0.025)) if count else 0.0
    high = float(special.betaincinv(count + 1, DRAWS - count, 0.975)) if count < DRAWS else 1.0
    bias = (0.0, 0.0) if band == SEES else (band[0] - 1, band[1] - 1)
    return Row(
        *(defect, metric, "share of draws", seed, N, DRAWS, 1.0, share, low, high, share - 1),
        *(band, band[0] <= share <= band[1], _REASONS[band], bias),
    )
