"""When a run is measured and drawn: plain numbers that follow from its configuration.

So runs of one length share their steps, and a run has the same rows on every machine. About 32
evaluations and pictures are made, fewer where one is dear beside the steps: costs are estimated
from sizes, never timed.
"""

from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_lab.networks.base import forward_on_meta, on_meta
from gan_lab.training.config import RunConfig

_TIMES = 32  # a run
_SHARES = {"evaluation": 0.02, "image": 0.005, "landscape": 0.005}  # of the time of the steps
# Seconds on one core of 2020, to a factor of two or so; docs/benchmarks.md has what is measured.
_UPDATE = 4e-4  # of one gradient, however small
_PRODUCT = 2e-10  # of one multiplication and addition in a network, with its gradient's
_REPEAT = 0.015  # of all metrics of 256 samples of few dimensions, once
_GAP_UPDATES = 16  # of the copy that the optimality gap takes
_POINTS, _GRID = 0.09, 0.005  # of a picture of points, of images
_LANDSCAPE = 0.01

_TRANSPOSITIONS = (nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)


class Intervals(NamedTuple):
    """Steps between two evaluations, pictures and landscapes; 0 = never."""

    evaluation: int
    image: int
    landscape: int


def choose_intervals(config: RunConfig, shape: tuple[int, ...]) -> Intervals:
    """Return the intervals of a run; those that were typed stay as they are."""
    trainer, evaluator, schedule = config.trainer, config.evaluator, config.trainer.schedule
    networks = on_meta(config.network, shape)
    n_gradients = trainer.n_critic * (1 + config.inner_gradients) + schedule.n_generator
    products = sum(
        count_products(network, torch.empty(2 * config.network.packing, *size, device="meta"))
        for network, size in zip(networks, ((config.network.latent_dim,), shape), strict=True)
    )
    update = _UPDATE + _PRODUCT * products * trainer.batch_size
    dimensions = torch.Size(shape).numel()
    repeat = _REPEAT * (1 + dimensions / 32) * (evaluator.n / 256) ** 2
    costs = {
        "evaluation": evaluator.n_repeats * repeat + _GAP_UPDATES * update,
        "image": _GRID if len(shape) == 3 else _POINTS,
        "landscape": _LANDSCAPE,
    }
    dear = {name: cost / (_SHARES[name] * n_gradients * update) for name, cost in costs.items()}
    least = {name: max(trainer.steps / _TIMES, each) for name, each in dear.items()}
    image, landscape = trainer.image_every, trainer.landscape_every
    return Intervals(
        evaluator.every or round_up(least["evaluation"]),
        round_up(least["image"]) if image is None else image,
        round_up(least["landscape"]) if landscape is None else landscape,
    )


def round_up(n_steps: float) -> int:
    """Return the smallest of 1, 2, 3, 4, 6, 8, 12, 16, ... that is at least this.

    These are the powers of two and their sums with their halves: some of the steps of one interval
    are those of any other.
    """
    power = 1
    while True:
        for interval in (power, power + power // 2):
            if interval >= n_steps:
                return interval
        power *= 2


def count_products(network: nn.Module, samples: Tensor) -> int:
    """Return the multiplications of one sample in the layers of a network on the meta device."""
    total = 0
    for layer, before, after in forward_on_meta(network, samples):
        weight = getattr(layer, "weight", None)
        if weight is not None and weight.ndim > 1:
            # A weight has an axis of outputs first, but of inputs in a transposed convolution.
            values = before if isinstance(layer, _TRANSPOSITIONS) else after
            total += values.numel() // weight.shape[0] * weight.numel()
    return total // len(samples)
