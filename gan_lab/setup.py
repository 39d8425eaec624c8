"""A run before it runs: everything that was chosen, checked as a whole, and opened.

`Setup` allocates nothing. `Setup.check` refuses what cannot work, with the reason; `open` reads the
data and makes the networks.
"""

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from gan_lab.data.base import Data, Source
from gan_lab.errors import ConfigError
from gan_lab.estimators.measures import Measure
from gan_lab.estimators.ruler import Ruler, RulerSettings
from gan_lab.execution import Execution, resolve_device
from gan_lab.game import Game
from gan_lab.losses.base import AdversarialLoss
from gan_lab.losses.wasserstein import Wasserstein
from gan_lab.networks.base import NetworkPair, batch_coupling
from gan_lab.optim import Optimizer
from gan_lab.probe import Probe
from gan_lab.regularizers.base import Regularizer
from gan_lab.regularizers.instance_noise import InstanceNoise
from gan_lab.regularizers.spectral_norm import SpectralNorm
from gan_lab.regularizers.weight_clipping import WeightClipping
from gan_lab.settings import TrainerSettings
from gan_lab.state import TrainState, leaves_of
from gan_lab.step import Gradients
from gan_lab.streams import DrawSpec, Streams, stream

LEAST = 20  # samples of each part of a finite set that a run can be measured with


@dataclass
class Run:
    """An opened setup: what the trainer works with.

    Attributes:
        seeds: One integer a seed.
        stacked: Whether leaves carry a leading [S] axis.
        source: The data, on the device.
        game: The game, for one seed.
        gradients: The same game and how it is differentiated for all seeds.
        state: What is trained.
        streams: All randomness of training.
        ruler: What all seeds are measured with.
    """

    seeds: tuple[int, ...]
    stacked: bool
    source: Source
    game: Game
    gradients: Gradients
    state: TrainState
    streams: Streams
    ruler: Ruler

    def generator_leaves(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters and buffers of one seed's averaged generator."""
        return self._averaged(self.state.average, index)

    def discriminator_leaves(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Parameters (detached) and buffers of one seed's discriminator."""
        d = self.state.discriminator
        params = _select(d.params, index, self.stacked)
        return {n: p.detach() for n, p in params.items()}, _select(d.buffers, index, self.stacked)

    @torch.no_grad()
    def samples(self, index: int, z: Tensor) -> Tensor:
        """What one seed's averaged generator makes of z: [N, latent_dim] -> [N, *shape]."""
        return self.game.samples(*self.generator_leaves(index), z)

    @torch.no_grad()
    def samples_of(self, average: Mapping[str, Tensor], index: int, z: Tensor) -> Tensor:
        """The same of averaged generators that were saved at another step."""
        return self.game.samples(*self._averaged(average, index), z)

    def generated(self, index: int, n: int, generator: torch.Generator) -> Tensor:
        """n samples of one seed's averaged generator, from a generator's randomness."""
        shape = (n, self.streams.spec.latent_dim)
        return self.samples(index, torch.randn(shape, generator=generator, device=generator.device))

    @torch.no_grad()
    def now(self, index: int, z: Tensor) -> Tensor:
        """The same of the generator as it is, without averaging."""
        return self.game.samples(*self._generator_now(index), z)

    @torch.no_grad()
    def fakes(self, index: int, z: Tensor) -> Tensor:
        """What the discriminator of one seed is shown of z: the generator as it is, no average."""
        return self.game.fakes(*self._generator_now(index), z)

    def _averaged(
        self, average: Mapping[str, Tensor], index: int
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        generator, mine = self.state.generator, _select(average, index, self.stacked)
        return (
            {name: mine[name] for name in generator.params},
            {name: mine[name] for name in generator.buffers},
        )

    def _generator_now(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        g = self.state.generator
        params = _select(g.params, index, self.stacked)
        return params, _select(g.buffers, index, self.stacked)


def _select(leaves: Mapping[str, Tensor], index: int, stacked: bool) -> dict[str, Tensor]:
    return {name: leaf[index] if stacked else leaf for name, leaf in leaves.items()}


class Networks(NamedTuple):
    """Modules, one a seed."""

    generators: list[nn.Module]
    discriminators: list[nn.Module]


@dataclass(frozen=True)
class Setup:
    """Everything that was chosen for a run.

    Attributes:
        config: The resolved configuration it was built from, for the record.
        overrides: The keys that were typed, for the record, as key=value; None where unknown.
        seeds: One integer a seed; several are trained at once, stacked.
    """

    data: Data
    network: NetworkPair
    loss: AdversarialLoss
    regularizers: Mapping[str, Regularizer]
    optim: Optimizer
    trainer: TrainerSettings
    estimator: RulerSettings
    measures: Mapping[str, Measure]
    probe: Probe
    execution: Execution
    device: str
    seeds: Sequence[int]
    config: dict[str, Any] = field(default_factory=dict, repr=False)
    overrides: tuple[str, ...] | None = field(default=None, repr=False)

    def check(self, source: Source) -> None:
        """Refuses what would fail or mislead later, before any parameter is allocated.

        Raises:
            ConfigError: What, why, and what to do instead.
        """
        try:
            with torch.device("meta"):
                self.network.generator(source.shape)
                discriminator = self.network.discriminator(source.shape)
        except ValueError as error:
            raise ConfigError(str(error)) from error
        packing, size = self.network.packing, self.trainer.batch_size
        if size % packing:
            raise ConfigError(
                f"trainer.batch_size={size} is no multiple of network.packing={packing}, whose "
                f"packs it has to fill; set trainer.batch_size={packing * max(1, size // packing)}"
            )
        coupling = batch_coupling(discriminator)
        cure = "network.packing=1" if packing > 1 else "network.discriminator_norm=layer"
        for name, regularizer in self.regularizers.items():
            if coupling and regularizer.needs_independent_samples:
                raise ConfigError(
                    f"regularizer '{name}' needs a discriminator whose samples are independent, "
                    f"but network.discriminator contains {coupling}. "
                    f"Set {cure}, or drop the penalty with regularizer=none."
                )
        parts = (source.n_train, source.n_validation, source.n_held_out)
        if min(LEAST if n is None else n for n in parts) < LEAST:
            raise ConfigError(
                f"{source.n_train} samples are left to train on, {source.n_validation} for "
                f"validation and {source.n_held_out} to hold out, but the ruler and the probe need "
                f"{LEAST} of each: change data.n_held_out, data.held_out_share or "
                f"data.n_validation, or bring more samples"
            )

    def warnings(self) -> list[str]:
        """What is allowed but known to go wrong, in one sentence each."""
        found = []
        kinds = [type(regularizer) for regularizer in self.regularizers.values()]
        critic = isinstance(self.loss, Wasserstein)
        if critic and not set(kinds) - {InstanceNoise}:
            found.append(
                "loss=wasserstein without a regularizer: the critic's slope is unbounded and its "
                "value means nothing; add regularizer=[gradient_penalty]"
            )
        if critic and kinds == [SpectralNorm]:
            found.append(
                "loss=wasserstein with spectral_norm alone barely moves: each layer's slope is at "
                "most 1 and the product far below it; scale the data or prefer gradient_penalty"
            )
        momentum = getattr(self.optim, "momentum", 0.0) or getattr(self.optim, "betas", (0.0,))[0]
        if WeightClipping in kinds and momentum:
            found.append(
                "weight_clipping with momentum is unstable (Arjovsky et al. 2017, section 4); "
                "prefer optim=rmsprop"
            )
        return found

    def open(self) -> Run:
        """Reads the data, checks the whole, makes networks, optimisers and streams.

        Raises:
            ConfigError: Something in the choice or in the data cannot be run.
        """
        source = self.data.open(resolve_device(self.device))
        self.check(source)
        return self.open_with(source)

    def networks(self, source: Source) -> Networks:
        """Freshly initialised modules for every seed."""
        return Networks(
            [self._network(source, seed, "generator") for seed in self.seeds],
            [self._network(source, seed, "discriminator") for seed in self.seeds],
        )

    def open_with(self, source: Source, networks: Networks | None = None, purpose: str = "") -> Run:
        """The same on data that are open and checked.

        Args:
            source: The data.
            networks: Modules to start from instead of fresh ones, without regularizers' buffers.
            purpose: Goes before the name of every stream of training.
        """
        stacked = len(self.seeds) > 1
        generators, discriminators = networks or self.networks(source)
        for discriminator in discriminators:
            for regularizer in self.regularizers.values():
                regularizer.prepare(discriminator)
        n_parameters = sum(
            p.numel() for m in (*generators, *discriminators) for p in m.parameters()
        )
        self.execution.set_threads(n_parameters)
        state = TrainState(
            leaves_of(discriminators, stacked, source.device),
            leaves_of(generators, stacked, source.device),
            self.optim,
        )
        regularizers = tuple(self.regularizers.values())
        game = Game(_template(generators[0]), _template(discriminators[0]), self.loss, regularizers)
        noise = {
            name: shape for r in regularizers for name, shape in r.noise_spec(source.shape).items()
        }
        spec = DrawSpec(
            self.trainer.batch_size, self.network.latent_dim, noise, self.trainer.schedule
        )
        return Run(
            tuple(self.seeds),
            stacked,
            source,
            game,
            Gradients(game, stacked),
            state,
            Streams(self.seeds, stacked, spec, source, purpose),
            Ruler(self.estimator, self.measures, source, self.network.latent_dim),
        )

    def _network(self, source: Source, seed: int, player: str) -> nn.Module:
        module: nn.Module = getattr(self.network, player)(source.shape)
        self.network.initialise_(module, stream(seed, f"init/{player}"))
        return module


def _template(module: nn.Module) -> nn.Module:
    return copy.deepcopy(module).to("meta")
