"""The neural distance: fresh networks of one fixed design, trained on held-out data for every run.

A training discriminator's own numbers cannot be compared between losses. Those of the fresh
networks can: for every run, the same two networks start from the same weights, see as much data,
take as many steps, and are evaluated on samples that neither they nor the generator have seen.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor, nn

from gan_lab.data.base import Source
from gan_lab.engine.devices import to_float64
from gan_lab.engine.gradients import Gradients
from gan_lab.engine.objective import Objective
from gan_lab.engine.optimizers import Adam
from gan_lab.engine.rng import stream
from gan_lab.engine.state import NetworkState, build_network
from gan_lab.losses import AdversarialLoss, NonSaturating, Wasserstein
from gan_lab.metrics.estimate import Estimate
from gan_lab.metrics.metrics import Units
from gan_lab.networks.lipschitz import group_sort_layers, orthonormal
from gan_lab.networks.mlp import Mlp, Reshape
from gan_lab.regularizers import GradientPenalty
from gan_lab.validation import check_count

Sampler = Callable[[int, torch.Generator], Tensor]

_DEPTH = 3  # hidden layers of the critics


@dataclass(frozen=True)
class NeuralDistance:
    """The fixed design and budget; the keys of `neural_distance` in the config.

    JS is by a perceptron of two hidden layers. W1 is by a critic of three that is 1-Lipschitz by
    construction, then by the same critic set free under a penalty; their widths grow with the
    numbers d of a sample. Where data can be sampled without end each update has fresh samples, and
    batches and steps grow too: in 128 dimensions the bound of 1024 samples an update stays at .8 of
    the truth, that of 2048 reaches it. A pool of 2,000 samples is learnt by heart instead, and more
    updates only lose.

    Attributes:
        units: Tag -> unit of each number it gives.
        steps: Updates of the network of JS; 0 = no neural distance. For the critics see
            `critic_steps`; the penalised one has a quarter of that.
        check_every: Updates between two validations; the best network is kept.
        n: Held-out samples used where there are that many; as many generated ones.
        width: Hidden units of each layer; for the critics see `critic_width`.
        batch_size: Samples of one update; for the critics on endless data see `critic_batch`.
        lr: Of Adam. The 1-Lipschitz critic's is 10 times that; both critics' fall to 0.
        penalty_weight: Of the penalised critic's one-sided gradient penalty.
    """

    units: ClassVar[Units] = {
        "neural_distance/js": "nats",
        "neural_distance/wasserstein": "data units",
        "neural_distance/wasserstein_penalized": "data units",
        "neural_distance/gradient_norm": "logits per data unit",
    }

    steps: int = 400
    check_every: int = 20
    n: int = 4096
    width: int = 64
    batch_size: int = 128
    lr: float = 1e-3
    penalty_weight: float = 30.0

    def __post_init__(self) -> None:
        check_count(self, "steps", at_least=0, at_most=1_000_000)
        check_count(self, "check_every")
        check_count(self, "width", at_most=10_000)
        check_count(self, "n", at_least=20, at_most=1_000_000)
        check_count(self, "batch_size", at_least=2, at_most=100_000)
        _ = Adam(self.lr), GradientPenalty(self.penalty_weight)

    def critic_width(self, d: int) -> int:
        """Return the critics' width: `width` for d <= 16, twice that from d = 64 on."""
        return round(self.width * min(2.0, max(1.0, (d / 16) ** 0.5)))

    def critic_batch(self, d: int) -> int:
        """Return the batch on endless data: `batch_size` times d / 8, from once to 16 times it."""
        return round(self.batch_size * min(16.0, max(1.0, d / 8)))

    def critic_steps(self, d: int) -> int:
        """Return the steps on endless data: `steps` times (d / 64)^1/2, from 3/4 to 3/2 of it."""
        return math.ceil(self.steps * min(1.5, max(0.75, (d / 64) ** 0.5)))

    def measure(self, make: Sampler, source: Source) -> dict[str, Estimate]:
        """Train the networks against one generator.

        Real and generated samples are split: 50 % to train, 20 % to choose a step, 30 % to report.
        The critics train on fresh samples where the source has no end.

        Args:
            make: (n, generator) -> n generated samples, [n, *shape].
            source: Where the held-out samples come from.

        Returns:
            neural_distance/js: log 2 - loss/2 on the report part, a lower bound of JS in nats.
            neural_distance/wasserstein: the difference of means on the report part of a critic
                that is 1-Lipschitz by construction: a lower bound of W1 in data units, up to the
                error of that part.
            neural_distance/wasserstein_penalized: the same of a penalised critic: near W1, on
                either side, no bound. The penalty lets slopes exceed 1 by W1 / (2 weight rho), rho
                the density of the points between the sides, and the value by as much.
            neural_distance/gradient_norm: the largest gradient norm of the penalised critic on
                the report part.
            Intervals are over the report samples, for the trained network.

        Reference: Anil, Lucas and Grosse 2019, arXiv:1811.05381, section 5 (W1 by group sort).
        """
        if self.steps == 0:
            return {}
        n = min(self.n, source.n_held_out or self.n, source.n_train or self.n)
        generator = stream(0, "probe/samples", source.device)
        real = source.held_out(n, generator)
        fake = make(n, generator)
        cuts = [n // 2, n // 2 + n // 5]
        reals, fakes = torch.tensor_split(real, cuts), torch.tensor_split(fake, cuts)
        pool, judge = _Pool(reals[0], fakes[0]), _Pool(reals[1], fakes[1])

        network = self._build(Mlp(1, self.width, 2, activation="leaky_relu"), source)
        fit = _Fit(NonSaturating(), self.lr, self.steps, self.batch_size)
        score = self._train(network, fit, pool, judge)
        losses = NonSaturating().discriminator(score(reals[2]), score(fakes[2]))

        d = math.prod(source.shape)
        batches: _Pool | _Endless = pool
        if source.n_held_out is None and source.n_train is None:
            batches = _Endless(source, make, self.check_every)
            steps, size = self.critic_steps(d), self.critic_batch(d)
        else:
            steps, size = self.critic_steps(1), self.critic_batch(1)
        width = self.critic_width(d)
        network = self._build(Mlp(1, width, _DEPTH, lipschitz=True), source)
        fit = _Fit(Wasserstein(), 10 * self.lr, steps, size)
        bound = self._train(network, fit, batches, judge)
        # One-sided: on a line, slope 1 in the wrong direction is a minimum of the two-sided penalty
        # from which no step leads out. The one-sided problem is convex in the critic and has the
        # same optimum.
        penalty = GradientPenalty(self.penalty_weight, one_sided=True)
        network = _set_free(bound, width, source)
        fit = _Fit(Wasserstein(), self.lr, math.ceil(steps / 4), size, penalty)
        critic = self._train(network, fit, batches, judge)
        mix = torch.rand(len(reals[2]), generator=generator, device=source.device)
        norms = critic.objective.gradient_norms(critic.leaves, {}, reals[2], fakes[2], mix)
        largest = float(norms["discriminator_estimate/gradient_norm_max"])
        norm = Estimate(largest, "logits per data unit", len(reals[2]), largest, largest)
        return {
            "neural_distance/js": _mean(math.log(2) - losses / 2, "nats"),
            "neural_distance/wasserstein": bound.difference(reals[2], fakes[2]),
            "neural_distance/wasserstein_penalized": critic.difference(reals[2], fakes[2]),
            "neural_distance/gradient_norm": norm,
        }

    def _build(self, pair: Mlp, source: Source) -> "_Start":
        module = pair.discriminator(source.shape)
        pair.initialise_(module, stream(0, "probe/init"))
        return _Start(build_network([module], source.device), module.to("meta"))

    def _train(
        self, network: "_Start", fit: "_Fit", batches: "_Pool | _Endless", judge: "_Pool"
    ) -> "_Network":
        state, template = network.state, network.template
        state.optimizer = Adam(fit.lr).build(state.flat, fit.lr)
        objective = Objective(template, template, fit.loss, (fit.penalty,) if fit.penalty else ())
        gradients = Gradients(objective)
        draws = stream(0, "probe/batches", judge.real.device)

        best_value, best_params = math.inf, state.clone_params()
        for step in range(fit.steps):
            if isinstance(fit.loss, Wasserstein):
                state.set_lr_factor_(1 - step / fit.steps)
            mix, real, fake = batches.draw(fit.batch_size, draws)
            result = gradients.discriminator(state, real, fake, mix, {})
            state.update_(result[0], {})
            if (step + 1) % self.check_every == 0:
                value = float(_validation(objective, state.params, judge.real, judge.fake))
                if value < best_value:
                    best_value, best_params = value, state.clone_params()
        return _Network(objective, best_params)


@dataclass(frozen=True)
class _Start:
    """Initial leaves of a network, and its module on the meta device."""

    state: NetworkState
    template: nn.Module


@dataclass(frozen=True)
class _Fit:
    """How a network is trained: batch_size samples of each side an update."""

    loss: AdversarialLoss
    lr: float
    steps: int
    batch_size: int
    penalty: GradientPenalty | None = None


def _set_free(critic: "_Network", width: int, source: Source) -> _Start:
    """Return a critic of plain layers whose weights are the orthonormal ones of another."""
    layers = group_sort_layers(math.prod(source.shape), width, _DEPTH, nn.Linear)
    with torch.device("meta"):
        template = nn.Sequential(nn.Flatten(), *layers, Reshape(()))
    leaves = {n: orthonormal(t) if t.ndim == 2 else t for n, t in critic.leaves.items()}
    return _Start(NetworkState(leaves, {}), template)


@dataclass(frozen=True)
class _Pool:
    """A finite set of real and generated samples, drawn with replacement."""

    real: Tensor
    fake: Tensor

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return interpolation weights, real and generated samples: n of each, or as many."""
        n = min(n, len(self.real))
        mix = torch.rand(n, generator=generator, device=self.real.device)
        real, fake = (
            part[torch.randint(len(part), (n,), generator=generator, device=part.device)]
            for part in (self.real, self.fake)
        )
        return mix, real, fake


class _Endless:
    """Fresh samples of a distribution and of a generator, drawn for several updates at once."""

    def __init__(self, source: Source, make: Sampler, n_updates: int) -> None:
        self._source, self._make, self._n_updates = source, make, n_updates
        # Two streams, so that each run's critics see the same real samples.
        self._real = stream(0, "probe/real batches", source.device)
        self._fake = stream(0, "probe/generated batches", source.device)
        self._updates: Iterator[tuple[Tensor, Tensor]] = iter(())

    def draw(self, n: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return interpolation weights, real and generated samples: n of each."""
        mix = torch.rand(n, generator=generator, device=generator.device)
        update = next(self._updates, None)
        if update is None:
            real = self._source.held_out(n * self._n_updates, self._real)
            fake = self._make(n * self._n_updates, self._fake)
            self._updates = zip(real.split(n), fake.split(n), strict=True)
            update = next(self._updates)
        return mix, *update


@dataclass(frozen=True)
class _Network:
    objective: Objective
    leaves: dict[str, Tensor]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        return self.objective.score(self.leaves, {})(x)

    def difference(self, real: Tensor, fake: Tensor) -> Estimate:
        """Return E f(real) - E f(fake), with its interval."""
        return _mean(self(real) - self(fake), "data units")


def _validation(
    objective: Objective, params: dict[str, Tensor], real: Tensor, fake: Tensor
) -> Tensor:
    mix = torch.linspace(0, 1, len(real), device=real.device)
    leaves = {name: leaf.detach() for name, leaf in params.items()}
    return objective.discriminator_loss(leaves, {}, real, fake, mix, {})[0].detach()


def _mean(values: Tensor, unit: str) -> Estimate:
    values = to_float64(values)
    n, mean = len(values), float(values.mean())
    half = 1.96 * float(values.std()) / math.sqrt(n)
    return Estimate(mean, unit, n, mean - half, mean + half)
