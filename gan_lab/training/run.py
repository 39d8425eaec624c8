"""An opened run: data, networks, optimiser state and evaluator on one device."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from gan_lab.data.base import Source
from gan_lab.engine.backends.select import Step
from gan_lab.engine.gradients import Gradients
from gan_lab.engine.objective import Objective
from gan_lab.engine.rng import Streams
from gan_lab.engine.state import TrainState
from gan_lab.metrics.evaluator import Evaluator


@dataclass
class Run:
    """An opened configuration."""

    seeds: tuple[int, ...]
    stacked: bool  # whether leaves carry a leading [S] axis
    source: Source  # on the device
    objective: Objective  # both networks' losses, for one seed
    gradients: Gradients  # how they are differentiated for all seeds
    step: Step  # its draws -> values to log and whether all was finite
    state: TrainState
    streams: Streams  # all randomness of training
    evaluator: Evaluator

    def discriminator_leaves(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Return parameters (detached) and buffers of one seed's discriminator."""
        d = self.state.discriminator
        params = _select(d.params, index, self.stacked)
        return {n: p.detach() for n, p in params.items()}, _select(d.buffers, index, self.stacked)

    @torch.no_grad()
    def samples(self, index: int, z: Tensor) -> Tensor:
        """Return one seed's averaged generator at z: [N, latent_dim] -> [N, *shape]."""
        return self.samples_from(self.state.average, index, z)

    @torch.no_grad()
    def samples_from(self, average: Mapping[str, Tensor], index: int, z: Tensor) -> Tensor:
        """Return `samples` of averaged generators that were saved at another step."""
        g, leaves = self.state.generator, _select(average, index, self.stacked)
        params, buffers = ({name: leaves[name] for name in part} for part in (g.params, g.buffers))
        return self.objective.samples(params, buffers, z)

    def generate(self, index: int, n: int, generator: torch.Generator) -> Tensor:
        """Return n samples of one seed's averaged generator, from a generator's randomness."""
        shape = (n, self.streams.spec.latent_dim)
        return self.samples(index, torch.randn(shape, generator=generator, device=generator.device))

    @torch.no_grad()
    def current_samples(self, index: int, z: Tensor) -> Tensor:
        """Return `samples` of the generator as it is, without averaging."""
        return self.objective.samples(*self._current_leaves(index), z)

    @torch.no_grad()
    def fakes(self, index: int, z: Tensor) -> Tensor:
        """Return the input of one seed's discriminator for z: the generator as it is."""
        return self.objective.fakes(*self._current_leaves(index), z)

    def _current_leaves(self, index: int) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        g, stacked = self.state.generator, self.stacked
        return _select(g.params, index, stacked), _select(g.buffers, index, stacked)


def _select(leaves: Mapping[str, Tensor], index: int, stacked: bool) -> dict[str, Tensor]:
    return {name: leaf[index] if stacked else leaf for name, leaf in leaves.items()}


class Networks(NamedTuple):
    """Modules, one a seed."""

    generators: list[nn.Module]
    discriminators: list[nn.Module]
