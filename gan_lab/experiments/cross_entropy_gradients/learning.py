"""One neuron that learns under either loss, and small networks that overfit a few digits."""

import math
from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from gan_lab import information
from gan_lab.data.digits import load_digits
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.cross_entropy_gradients.formulas import (
    by_autograd,
    squared_error_of_logits,
)

# Weight and bias of the two starts in chapter 3 of Nielsen's book; the input is 1, the target 0.
STARTS = ((0.6, 0.9), (2.0, 2.0))
LOSSES = {
    "cross_entropy": information.sigmoid_cross_entropy_with_logits,
    "squared": squared_error_of_logits,
}
_CLASSES, _PIXELS, _N_HELD_OUT = 10, 64, 500


def flow_time(start: np.ndarray, threshold: float) -> dict[str, np.ndarray]:
    """Return the time of gradient flow from a logit to the output `threshold`, by loss.

    With input 1 and target 0, weight and bias move alike, so the logit falls at twice the loss's
    derivative: dz/dt = -2 a for cross entropy, -4 a^2 (1 - a) for squared error, and
    da = a (1 - a) dz.
    Steps of gradient descent are this time over the learning rate, but for about one step.

    Returns:
        Loss -> times, the shape of start.
    """

    def integrals(a: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Integrate 1/(2 a^2 (1 - a)) and 1/(4 a^3 (1 - a)^2)."""
        log_odds = np.log(a / (1 - a))
        square = (3 * log_odds - 2 / a - 1 / (2 * a**2) + 1 / (1 - a)) / 4
        return (log_odds - 1 / a) / 2, square

    ends = zip(integrals(1 / (1 + np.exp(-start))), integrals(np.array(threshold)), strict=True)
    return dict(zip(LOSSES, (first - last for first, last in ends), strict=True))


def neuron_part(
    seeds: Sequence[int], learning_rate: float, threshold: float, n_starts: int, max_steps: int
) -> Arrays:
    """Count steps of gradient descent until one neuron answers `threshold` instead of 0.

    Each seed draws `n_starts` random starts, weight and bias uniform on [-3, 3]. A start that is
    not learned after `max_steps` has -1 steps.
    """
    grid = torch.linspace(-1, 7, 33, dtype=torch.float64)
    random = [
        6 * torch.rand(n_starts, 2, generator=_stream(seed, "starts"), dtype=torch.float64) - 3
        for seed in seeds
    ]
    classic = torch.tensor(STARTS, dtype=torch.float64)
    starts = torch.cat([classic, torch.stack([grid / 2, grid / 2], -1), *random])
    arrays = {"neuron/start": grid.numpy(), "neuron/learned": np.array(threshold)}
    for name, loss in LOSSES.items():
        weight, bias = starts.T.clone()
        target = torch.zeros_like(weight)
        steps = torch.full(weight.shape, -1)
        paths = []
        for step in range(max_steps + 1):
            logits = weight + bias
            output = torch.sigmoid(logits)
            paths.append(output[: len(STARTS)])
            steps = torch.where((steps < 0) & (output <= threshold), step, steps)
            if bool((steps >= 0).all()) and step >= 600:
                break
            _, gradient = by_autograd(loss, logits, target)
            weight, bias = weight - learning_rate * gradient, bias - learning_rate * gradient
        n_random = n_starts * len(seeds)
        of_starts, of_grid, of_random = steps.split([len(STARTS), len(grid), n_random])
        arrays[f"neuron/{name}_output"] = torch.stack(paths, -1).numpy()
        arrays[f"neuron/{name}_start_steps"] = of_starts.numpy()
        arrays[f"neuron/{name}_steps"] = of_grid.numpy()
        arrays[f"neuron/{name}_random_steps"] = of_random.view(len(seeds), -1).numpy()
    arrays["neuron/random_logit"] = torch.stack(random).sum(-1).numpy()
    return arrays


def overfitting_part(
    seeds: Sequence[int],
    n_train: int,
    width: int,
    steps: int,
    learning_rate: float,
    device: torch.device,
) -> Arrays:
    """Train several networks at once; measure cross entropy on their digits and on digits held out.

    The held-out digits are two halves: one says where to stop, the other is measured there, so
    that the choice does not flatter the number. Each seed has a network of one hidden layer and
    `n_train` digits of its own, all in every step of Adam.
    """
    source = load_digits(_N_HELD_OUT, 0, device)
    assert source.train_labels is not None
    assert source.held_out_labels is not None
    everyone, order = (
        torch.stack([torch.randperm(n, generator=_stream(seed, what)) for seed in seeds]).to(device)
        for n, what in ((len(source.train_labels), "digits"), (_N_HELD_OUT, "halves"))
    )
    rows = everyone[:, :n_train]
    half = _N_HELD_OUT // 2
    images, answers = source.gather_held_out(order).flatten(2), source.held_out_labels[order]
    parts = {
        "train": (source.gather(rows).flatten(2), source.train_labels[rows]),
        "choose": (images[:, :half], answers[:, :half]),
        "judge": (images[:, half:], answers[:, half:]),
    }
    leaves = _initial(seeds, width, device)
    optimizer = torch.optim.Adam(leaves, lr=learning_rate)
    log_steps = sorted({0, *np.unique(np.geomspace(1, steps, 60).round().astype(int)).tolist()})
    curves: dict[str, list[Tensor]] = defaultdict(list)
    for step in range(steps + 1):
        if step in log_steps:
            for part, (x, y) in parts.items():
                logits = _network(leaves, x).detach()
                curves[f"{part}_loss"].append(_loss(logits, y).mean(-1))
                curves[f"{part}_accuracy"].append((logits.argmax(-1) == y).float().mean(-1))
        # The sum over seeds: each network's gradient is that of its own mean.
        total = _loss(_network(leaves, parts["train"][0]), parts["train"][1]).mean(-1).sum()
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    arrays = {f"fit/{name}": torch.stack(rows, -1).cpu().numpy() for name, rows in curves.items()}
    return arrays | {"fit/step": np.array(log_steps)}


def _network(leaves: Sequence[Tensor], x: Tensor) -> Tensor:
    """Return logits [S, N, 10] of [S, N, 64]; one hidden layer, weights [S, in, out]."""
    weight, bias, out_weight, out_bias = leaves
    return torch.baddbmm(out_bias, torch.relu(torch.baddbmm(bias, x, weight)), out_weight)


def _loss(logits: Tensor, labels: Tensor) -> Tensor:
    return information.sparse_softmax_cross_entropy_with_logits(logits, labels)


def _initial(seeds: Sequence[int], width: int, device: torch.device) -> list[Tensor]:
    """Draw weights uniform on +-1/sqrt(fan_in), as torch's Linear, [S, ...]."""
    shapes = ((_PIXELS, width), (1, width), (width, _CLASSES), (1, _CLASSES))
    fans = (_PIXELS, _PIXELS, width, width)
    networks = []
    for seed in seeds:
        generator = _stream(seed, "init")
        uniform = ((2 * torch.rand(*shape, generator=generator) - 1) for shape in shapes)
        networks.append([u / math.sqrt(fan) for u, fan in zip(uniform, fans, strict=True)])
    return [torch.stack(leaf).to(device).requires_grad_() for leaf in zip(*networks, strict=True)]


def _stream(seed: int, purpose: str) -> torch.Generator:
    return stream(seed, f"cross_entropy_gradients/{purpose}")
