"""Seven games on one line: the same data, noise, weights and schedule, another loss each."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.toy import Components, Mixture
from gan_lab.engine.rng import stream
from gan_lab.engine.schedule import learning_rate_factor
from gan_lab.engine.step import train_step
from gan_lab.experiments.gan_1d import exact as line
from gan_lab.training.config import Run, Setup

# Name of a game -> what it changes in `train`; the names are those of reports.plots.STYLES.
GAMES: dict[str, tuple[str, ...]] = {
    "minimax": ("loss=minimax",),
    "non_saturating": ("loss=non_saturating",),
    "wasserstein": ("loss=wasserstein",),
    "wasserstein_clip": (
        "loss=wasserstein",
        "regularizer=[weight_clipping]",
        "regularizer.weight_clipping.bound=0.1",
        "optim=rmsprop",
    ),
    "least_squares": ("loss=least_squares",),
    "hinge": ("loss=hinge",),
    "relativistic": ("loss=relativistic",),
}
LOGITS = ("minimax", "non_saturating", "relativistic")  # sigmoid of a logit is a probability
CRITICS = ("wasserstein", "wasserstein_clip")


@dataclass(frozen=True)
class View:
    """What is looked at and when.

    Attributes:
        steps: When, ascending.
        x: Where the film shows densities and the discriminator, [K], equally spaced.
        z: Which z the film follows, [A].
        n_pieces: Pieces of the z axis for the exact distances.
        n_bins: Bins of the x axis for them.
        n_nodes: Equally likely points that losses are averaged over.
    """

    steps: tuple[int, ...]
    x: np.ndarray
    z: np.ndarray
    n_pieces: int = 2048
    n_bins: int = 4096
    n_nodes: int = 1024


def play(name: str, setup: Setup, view: View) -> dict[str, np.ndarray]:
    """Trains one game for all seeds and looks at it.

    Returns:
        Numbers [frame, seed], see `_numbers`; and of the first seed `map` [frame, A], `density`
        [frame, K], `logits` [frame, K].
    """
    run = setup.open()
    source = setup.data
    assert isinstance(source, Mixture)  # the caller's own overrides
    data = source.components()
    real = line.data_quantiles(data, view.n_nodes)
    rows: list[dict[str, np.ndarray]] = []
    for step in range(view.steps[-1] + 1):
        if step in view.steps:
            rows.append(_look(name, run, data, real, view))
        factor = learning_rate_factor(setup.optim.decay, step, view.steps[-1])
        run.state.discriminator.set_lr_factor_(factor)
        run.state.generator.set_lr_factor_(factor)
        if step < view.steps[-1]:
            train_step(run.state, run.streams.draws(step), run.gradients, ema_decay=0.0)
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _look(
    name: str, run: Run, data: Components, real: np.ndarray, view: View
) -> dict[str, np.ndarray]:
    each = [_numbers(name, run, i, data, real, view) for i in range(len(run.seeds))]
    found = {key: np.array([numbers[key] for numbers in each]) for key in each[0]}
    on_edges = _generated(run, 0, line.z_edges(view.n_pieces))
    half = (view.x[1] - view.x[0]) / 2
    edges = np.append(view.x - half, view.x[-1] + half)
    found["map"] = _generated(run, 0, view.z)
    found["density"] = np.diff(line.generated_cdf(on_edges, edges)) / (2 * half)
    found["logits"] = _logits(run, 0, view.x).numpy()
    return found


def _numbers(
    name: str, run: Run, index: int, data: Components, real: np.ndarray, view: View
) -> Mapping[str, float]:
    """What is known of one seed's game, by quadrature: no sample is drawn.

    js, js_coarse (nats), wasserstein (data units): exact distances. loss_discriminator,
    loss_generator: the losses' expectations; floor: what the first cannot fall below. value: the
    critic's E f(real) - E f(fake), slope: its largest slope between the outermost points. doubt:
    the mean of |sigmoid(f) - 1/2| over data and samples.
    """
    found = line.distances(data, _generated(run, index, line.z_edges(view.n_pieces)), view.n_bins)
    fake = _generated(run, index, line.normal_quantiles(view.n_nodes))
    # A loss that compares pairs sees independent ones; for the others the order is nothing.
    order = torch.randperm(view.n_nodes, generator=stream(0, "gan_1d/pairs")).numpy()
    real_logits, fake_logits = _logits(run, index, real), _logits(run, index, fake[order])
    loss = run.objective.loss
    low, high = min(real.min(), fake.min()), max(real.max(), fake.max())
    between = np.linspace(low, high, 2001)
    slopes = np.abs(np.diff(_logits(run, index, between).numpy())) / np.diff(between)
    slope, both = float(slopes.max()), torch.cat([real_logits, fake_logits])
    if name in CRITICS:
        floor = -slope * found.wasserstein
    else:
        floor = line.floors(found).get(name, math.nan)
    return {
        "js": found.js,
        "js_coarse": found.js_coarse,
        "wasserstein": found.wasserstein,
        "loss_discriminator": float(loss.discriminator(real_logits, fake_logits).mean()),
        "loss_generator": float(loss.generator(real_logits, fake_logits).mean()),
        "floor": floor,
        "value": float(real_logits.mean() - fake_logits.mean()),
        "slope": slope,
        "doubt": float((both.sigmoid() - 0.5).abs().mean()),
    }


def _generated(run: Run, index: int, z: np.ndarray) -> np.ndarray:
    points = torch.from_numpy(z).to(torch.float32)[:, None]
    return np.asarray(run.fakes(index, points)[:, 0].double().numpy())


@torch.no_grad()
def _logits(run: Run, index: int, x: np.ndarray) -> Tensor:
    score = run.objective.score(*run.discriminator_leaves(index))
    return score(torch.from_numpy(x).to(torch.float32)[:, None]).double()
