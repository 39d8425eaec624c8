"""The neural distance: fresh networks of one fixed design, trained on held-out data for every run.

A training discriminator's own numbers cannot be compared between losses. Those of the fresh
networks can: for every run, the same two networks start from the same weights, see as much data,
take as many steps, and are evaluated on samples that neither they nor the generator have seen.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.data.base import Source
from gan_lab.engine.devices import to_float64
from gan_lab.engine.gradients import Gradients
from gan_lab.engine.objective import Objective
from gan_lab.engine.optimizers import Adam
from gan_lab.engine.rng import stream
from gan_lab.engine.state import build_network
from gan_lab.losses import AdversarialLoss, NonSaturating, Wasserstein
from gan_lab.metrics.estimate import Estimate
from gan_lab.networks.mlp import Mlp
from gan_lab.regularizers import GradientPenalty, Regularizer
from gan_lab.validation import check_count


@dataclass(frozen=True)
class NeuralDistance:
    """The fixed design and budget; the keys of `neural_distance` in the config.

    Attributes:
        steps: Updates of each network at the most; 0 = no neural distance.
        check_every: Updates between two validations; the best network is kept.
        n: Held-out samples used where there are that many; as many generated ones.
        width: Hidden units of each of the two hidden layers.
        batch_size: Samples of one update.
        lr: Of Adam.
        penalty_weight: Of the critic's gradient penalty.
    """

    steps: int = 400
    check_every: int = 20
    n: int = 4096
    width: int = 64
    batch_size: int = 128
    lr: float = 1e-3
    penalty_weight: float = 10.0

    def __post_init__(self) -> None:
        check_count(self, "steps", at_least=0, at_most=1_000_000)
        check_count(self, "check_every")
        check_count(self, "width", at_most=10_000)
        check_count(self, "n", at_least=20, at_most=1_000_000)
        check_count(self, "batch_size", at_least=2, at_most=100_000)
        _ = Adam(self.lr), GradientPenalty(self.penalty_weight)

    def measure(
        self, make: Callable[[int, torch.Generator], Tensor], source: Source
    ) -> dict[str, Estimate]:
        """Train both networks against one generator.

        Real and generated samples are split: 50 % to train, 20 % to choose a step, 30 % to report.

        Args:
            make: (n, generator) -> n generated samples, [n, *shape].
            source: Where the held-out samples come from.

        Returns:
            neural_distance/js: log 2 - loss/2 on the report part, a lower bound of JS in nats.
            neural_distance/wasserstein: the critic's difference on the report part over its
                largest gradient norm there, a lower bound of W1 in data units where that norm is
                the critic's largest.
            neural_distance/gradient_norm: that norm.
            Intervals are over the report samples, for the trained network.
        """
        if self.steps == 0:
            return {}
        n = min(self.n, source.n_held_out or self.n, source.n_train or self.n)
        generator = stream(0, "probe/samples", source.device)
        real = source.held_out(n, generator)
        fake = make(n, generator)
        cuts = [n // 2, n // 2 + n // 5]
        reals, fakes = torch.tensor_split(real, cuts), torch.tensor_split(fake, cuts)

        score = self._train(NonSaturating(), (), reals, fakes, source)
        losses = NonSaturating().discriminator(score(reals[2]), score(fakes[2]))
        js = _mean(math.log(2) - losses / 2, "nats")

        # One-sided: on a line, slope 1 in the wrong direction is a minimum of the two-sided penalty
        # from which no step leads out (the reported W1 was negative for unlucky batches). The
        # one-sided problem is convex in the critic and has the same optimum.
        penalty = GradientPenalty(self.penalty_weight, one_sided=True)
        critic = self._train(Wasserstein(), (penalty,), reals, fakes, source)
        mix = torch.rand(len(reals[2]), generator=generator, device=source.device)
        norms = critic.objective.gradient_norms(critic.leaves, {}, reals[2], fakes[2], mix)
        largest = float(norms["discriminator_estimate/gradient_norm_max"])
        gaps = (critic(reals[2]) - critic(fakes[2])) / max(largest, 1e-12)
        norm = Estimate(largest, "logits per data unit", len(reals[2]), largest, largest)
        return {
            "neural_distance/js": js,
            "neural_distance/wasserstein": _mean(gaps, "data units"),
            "neural_distance/gradient_norm": norm,
        }

    def _train(
        self,
        loss: AdversarialLoss,
        regularizers: tuple[Regularizer, ...],
        reals: tuple[Tensor, ...],
        fakes: tuple[Tensor, ...],
        source: Source,
    ) -> "_Network":
        pair = Mlp(latent_dim=1, width=self.width, depth=2, activation="leaky_relu")
        module = pair.discriminator(source.shape)
        pair.initialise_(module, stream(0, "probe/init"))
        network = build_network([module], source.device)
        network.optimizer = Adam(self.lr).build(network.flat, self.lr)
        template = module.to("meta")
        objective = Objective(template, template, loss, regularizers)
        gradients = Gradients(objective)
        draws = stream(0, "probe/batches", source.device)
        size = min(self.batch_size, len(reals[0]))

        def batch(samples: Tensor) -> Tensor:
            indices = torch.randint(len(samples), (size,), generator=draws, device=source.device)
            return samples[indices]

        best_value, best_params = math.inf, network.clone_params()
        for step in range(1, self.steps + 1):
            mix = torch.rand(size, generator=draws, device=source.device)
            result = gradients.discriminator(network, batch(reals[0]), batch(fakes[0]), mix, {})
            network.update_(result[0], {})
            if step % self.check_every == 0:
                value = float(_validation(objective, network.params, reals[1], fakes[1]))
                if value < best_value:
                    best_value, best_params = value, network.clone_params()
        return _Network(objective, best_params)


@dataclass(frozen=True)
class _Network:
    objective: Objective
    leaves: dict[str, Tensor]

    @torch.no_grad()
    def __call__(self, x: Tensor) -> Tensor:
        return self.objective.score(self.leaves, {})(x)


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
