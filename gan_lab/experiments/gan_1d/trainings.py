"""Seven trainings on one line: the same data, noise, weights and schedule, another loss each."""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from gan_lab.data.toy import Components, Mixture
from gan_lab.engine.rng import stream
from gan_lab.experiments.base import Arrays
from gan_lab.experiments.gan_1d import exact as line
from gan_lab.experiments.training import open_training, record
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

# Method -> what it changes in `train`; the names are those of reports.plots.style.STYLES.
METHODS: dict[str, tuple[str, ...]] = {
    "minimax": ("loss=minimax",),
    "non_saturating": ("loss=non_saturating",),
    "wasserstein": ("loss=wasserstein",),
    "wasserstein_clip": ("loss=wasserstein", "regularizer=[weight_clipping]", "optim=rmsprop"),
    "least_squares": ("loss=least_squares",),
    "hinge": ("loss=hinge",),
    "relativistic": ("loss=relativistic",),
}
CRITICS = ("wasserstein", "wasserstein_clip")


@dataclass(frozen=True)
class View:
    """Where and when a training is measured.

    Attributes:
        steps: When, ascending.
        x: Where densities and the discriminator are drawn, [K], equally spaced.
        z: Which z the animation follows, [A].
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

    @property
    def edges(self) -> np.ndarray:
        """Edges of the bins around x, [K + 1]."""
        half = (self.x[1] - self.x[0]) / 2
        return np.append(self.x - half, self.x[-1] + half)

    def density(self, cdf: np.ndarray) -> np.ndarray:
        """Return the mean density of each bin, [K], from a distribution function at the edges."""
        return np.diff(cdf) / (self.x[1] - self.x[0])


def train_and_measure(name: str, config: RunConfig, view: View) -> Arrays:
    """Train one method for all seeds and measure it at the steps of the view.

    Returns:
        Quantities [moment, seed], see `_quantities`; and of the first seed `map` [moment, A],
        `density` [moment, K], `logits` [moment, K].
    """
    source = config.data
    assert isinstance(source, Mixture)  # the caller's own overrides
    data = source.components()
    real = line.data_quantiles(data, view.n_nodes)
    run = open_training(config, view.steps[-1], ema=0.0)
    rows = record(run, view.steps, lambda run: _moment(name, run, data, real, view))
    return {key: np.stack([row[key] for row in rows]) for key in rows[0]}


def _moment(name: str, run: Run, data: Components, real: np.ndarray, view: View) -> Arrays:
    seeds = [_quantities(name, run, i, data, real, view) for i in range(len(run.seeds))]
    on_edges = _generate(run, 0, line.z_edges(view.n_pieces))
    return {
        **{key: np.array([each[key] for each in seeds]) for key in seeds[0]},
        "map": _generate(run, 0, view.z),
        "density": view.density(line.generated_cdf(on_edges, view.edges)),
        "logits": _logits(run, 0, view.x).numpy(),
    }


def _quantities(
    name: str, run: Run, index: int, data: Components, real: np.ndarray, view: View
) -> dict[str, float]:
    """Measure one seed's training by quadrature: no sample is drawn.

    js, js_coarse (nats), wasserstein (data units): exact distances. loss_discriminator,
    loss_generator: the losses' expectations; floor: a lower bound of the first. value: the
    critic's E f(real) - E f(fake), slope: its largest |f'| between the outermost points. doubt:
    the mean of |sigmoid(f) - 1/2| over data and samples.
    """
    exact = line.distances(data, _generate(run, index, line.z_edges(view.n_pieces)), view.n_bins)
    fake = _generate(run, index, line.normal_quantiles(view.n_nodes))
    # A loss that compares pairs sees independent ones; for the others the order is nothing.
    order = torch.randperm(view.n_nodes, generator=stream(0, "gan_1d/pairs")).numpy()
    real_logits, fake_logits = _logits(run, index, real), _logits(run, index, fake[order])
    loss = run.objective.loss
    low, high = min(real.min(), fake.min()), max(real.max(), fake.max())
    between = np.linspace(low, high, 2001)
    derivatives = np.abs(np.diff(_logits(run, index, between).numpy())) / np.diff(between)
    steepest, both = float(derivatives.max()), torch.cat([real_logits, fake_logits])
    duality = dict.fromkeys(CRITICS, -steepest * exact.wasserstein)
    return {
        **{key: getattr(exact, key) for key in ("js", "js_coarse", "wasserstein")},
        "loss_discriminator": float(loss.discriminator(real_logits, fake_logits).mean()),
        "loss_generator": float(loss.generator(real_logits, fake_logits).mean()),
        "floor": (line.floors(exact) | duality).get(name, math.nan),
        "value": float(real_logits.mean() - fake_logits.mean()),
        "slope": steepest,
        "doubt": float((both.sigmoid() - 0.5).abs().mean()),
    }


def _generate(run: Run, index: int, z: np.ndarray) -> np.ndarray:
    points = torch.from_numpy(z).to(torch.float32)[:, None]
    return np.asarray(run.fakes(index, points)[:, 0].double().numpy())


@torch.no_grad()
def _logits(run: Run, index: int, x: np.ndarray) -> Tensor:
    score = run.objective.score(*run.discriminator_leaves(index))
    return score(torch.from_numpy(x).to(torch.float32)[:, None]).double()
