"""Gradients of the objective: one interface, here by autograd; `backends` has analytic ones."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from gan_lab.engine.distributed import ALONE, World
from gan_lab.engine.objective import Objective
from gan_lab.engine.state import NetworkState, TrainState
from gan_lab.regularizers.base import Tensors

# Gradients by leaf (of a loss: the loss itself), values to log ([S] or scalars), new buffers.
GradientResult = tuple[Any, Tensors, Tensors]
Loss = Callable[..., GradientResult]


@dataclass(frozen=True)
class Gradients:
    """Gradients by autograd on the leaves, vmapped over stacked seeds.

    The sum over seeds of per-seed mean losses has, by each seed's leaves, that seed's gradient.

    Attributes:
        objective: For one seed.
        stacked: Whether leaves and samples carry a leading [S] axis.
        world: The processes that share the batch.
    """

    objective: Objective
    stacked: bool = False
    world: World = ALONE
    _by_factors: dict[tuple[int, ...], "Gradients"] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "objective", replace(self.objective, in_transform=self.stacked))
        object.__setattr__(self, "_by_factors", {})

    def at_update(self, update: int | None) -> "Gradients":
        """Return the gradients with the penalties of a discriminator update, by its index.

        There is one object, and one compiled program, for each pattern of penalties that are due.
        """
        factors = self.objective.factors_at(update)
        if factors == self.objective.factors:
            return self
        if factors not in self._by_factors:
            objective = replace(self.objective, penalty_factors=factors)
            self._by_factors[factors] = replace(self, objective=objective)
        return self._by_factors[factors]

    def per_seed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return a function of one seed as a function of all: [..] -> [S, ..] where stacked."""
        return torch.func.vmap(function) if self.stacked else function

    def discriminator(
        self, d: NetworkState, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors
    ) -> GradientResult:
        """Return gradients by the discriminator's leaves, values to log, new buffers."""
        return self._differentiate(
            d, self.objective.discriminator_loss, d.params, d.buffers, real, fake, mix, noise
        )

    def generator(
        self, state: TrainState, real: Tensor, z: Tensor, noise: Tensors
    ) -> GradientResult:
        """Return gradients by the generator's leaves, values to log, new buffers."""
        g, d = state.generator, state.discriminator
        d_params = {name: leaf.detach() for name, leaf in d.params.items()}
        leaves = (g.params, g.buffers, d_params, d.buffers)
        return self._differentiate(g, self.objective.generator_loss, *leaves, real, z, noise)

    @torch.no_grad()
    def fakes(self, state: TrainState, z: Tensor) -> Tensor:
        """Return fakes of several updates: [updates, (S,) N, latent] -> [.., *shape]."""
        if not self.objective.generator_independent:  # each batch has statistics of its own
            return torch.stack([self._fakes(state, batch) for batch in z])
        updates, n = z.shape[0], z.shape[-2]
        flat_z = z.transpose(0, -3).flatten(-3, -2) if self.stacked else z.flatten(0, 1)
        fake = self._fakes(state, flat_z).unflatten(int(self.stacked), (updates, n))
        return fake.transpose(0, 1) if self.stacked else fake

    def _fakes(self, state: TrainState, z: Tensor) -> Tensor:
        g = state.generator
        fakes: Tensor = self.per_seed(self.objective.fakes)(g.params, g.buffers, z)
        return fakes

    def _differentiate(
        self, network: NetworkState, loss: Loss, *arguments: Tensors | Tensor
    ) -> GradientResult:
        """Return the gradients of a loss by its first argument, the network's parameters."""
        value, values, buffers = self.per_seed(loss)(*arguments)
        gradients = torch.autograd.grad(value.sum(), list(network.params.values()))
        return dict(zip(network.params, gradients, strict=True)), values, buffers


@dataclass(frozen=True)
class FunctionalGradients(Gradients):
    """Compiled gradients by torch.func, for networks without analytic gradients.

    The whole gradient is compiled: torch does not differentiate a compiled network twice, which a
    penalty needs.
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        object.__setattr__(self, "objective", replace(self.objective, in_transform=True))
        for name in ("discriminator_loss", "generator_loss"):
            gradient = _gradient_of(getattr(self.objective, name))
            compiled = torch.compile(self.per_seed(gradient), dynamic=False)
            object.__setattr__(self, f"_{name}", compiled)

    def _differentiate(
        self, network: NetworkState, loss: Loss, *arguments: Tensors | Tensor
    ) -> GradientResult:
        compiled: Loss = getattr(self, f"_{loss.__name__}")
        with torch.no_grad():
            return compiled(*arguments)


def _gradient_of(loss: Loss) -> Loss:
    def with_aux(*arguments: Tensors | Tensor) -> tuple[Tensor, tuple[Tensors, Tensors]]:
        value, values, buffers = loss(*arguments)
        return value, (values, buffers)

    def gradient(*arguments: Tensors | Tensor) -> GradientResult:
        gradients, (values, buffers) = torch.func.grad(with_aux, has_aux=True)(*arguments)
        return gradients, values, buffers

    return gradient
