"""One step: n_critic discriminator updates, n_generator generator updates, the average."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_lab.game import Game
from gan_lab.regularizers.base import Regularizer, Tensors
from gan_lab.state import Player, TrainState, copy_into_
from gan_lab.streams import Draws, StepDraws

_FAKES_TOGETHER = 8  # updates whose fakes come from one forward pass; bounds a warm-up's memory


@dataclass(frozen=True)
class Gradients:
    """How gradients are taken: autograd on the leaves, the game vmapped where seeds are stacked.

    The sum over seeds of per-seed mean losses has, by each seed's leaves, that seed's gradient.
    """

    game: Game
    stacked: bool = False

    def __post_init__(self) -> None:
        object.__setattr__(self, "game", replace(self.game, transformed=self.stacked))

    def per_seed(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of one seed, as a function of all seeds: [..] -> [S, ..] where stacked."""
        return torch.func.vmap(function) if self.stacked else function

    def discriminator(
        self, d: Player, real: Tensor, fake: Tensor, mix: Tensor, noise: Tensors
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Gradients by a discriminator's leaves, values to log ([S] or scalar), new buffers."""
        loss = self.per_seed(self.game.discriminator_loss)
        return _differentiate(d, *loss(d.params, d.buffers, real, fake, mix, noise))

    def generator(
        self, state: TrainState, real: Tensor, z: Tensor, noise: Tensors
    ) -> tuple[Tensors, Tensors, Tensors]:
        """Gradients by the generator's leaves, values to log ([S] or scalar), new buffers."""
        g, d = state.generator, state.discriminator
        frozen = {name: leaf.detach() for name, leaf in d.params.items()}
        loss = self.per_seed(self.game.generator_loss)
        return _differentiate(g, *loss(g.params, g.buffers, frozen, d.buffers, real, z, noise))

    @torch.no_grad()
    def fakes(self, state: TrainState, z: Tensor) -> Tensor:
        """Fakes for several discriminator updates: [updates, (S,) N, latent] -> [.., *shape]."""
        g = state.generator
        make = self.per_seed(self.game.fakes)
        if not self.game.generator_independent:  # each batch has statistics of its own
            return torch.stack([make(g.params, g.buffers, batch) for batch in z])
        updates, n = z.shape[0], z.shape[-2]
        joined = z.transpose(0, -3).flatten(-3, -2) if self.stacked else z.flatten(0, 1)
        fake = make(g.params, g.buffers, joined)
        fake = fake.unflatten(int(self.stacked), (updates, n))
        return fake.transpose(0, 1) if self.stacked else fake


def _differentiate(
    player: Player, loss: Tensor, values: Tensors, buffers: Tensors
) -> tuple[Tensors, Tensors, Tensors]:
    gradients = torch.autograd.grad(loss.sum(), list(player.params.values()))
    return dict(zip(player.params, gradients, strict=True)), values, buffers


def train_step(
    state: TrainState, draws: StepDraws, gradients: Gradients, ema_decay: float
) -> tuple[Tensors, Tensor]:
    """One round of the game, in place.

    Args:
        state: What is trained; its step is counted up by one.
        draws: All randomness of the step.
        gradients: The game and how it is differentiated.
        ema_decay: Of the generator's moving average, in [0, 1); 0 = the average is the generator.

    Returns:
        Values to log, each [S] or a scalar: those of the last update of each player. And whether
        every loss and every gradient of the step was finite, [S] or a scalar, bool, on the device.
    """
    values: Tensors = {}
    finite: list[Tensor] = []
    for chunk in _chunks(draws.discriminator):
        for i, fake in enumerate(gradients.fakes(state, chunk.z)):
            done = update_discriminator_(state.discriminator, gradients, chunk, i, fake)
            values.update(done.values)
            finite.append(done.finite)
    for i in range(len(draws.generator.z)):
        done = update_generator_(state, gradients, draws.generator, i)
        values.update(done.values)
        finite.append(done.finite)
    state.average_(ema_decay)
    state.step += 1
    return values, torch.stack(finite).all(0)


class Update(NamedTuple):
    """What one update of one player says: values to log and whether all of it was finite."""

    values: Tensors
    finite: Tensor


def update_discriminator_(
    player: Player, gradients: Gradients, draws: Draws, i: int, fake: Tensor
) -> Update:
    """The i-th of the drawn updates of a discriminator, in place."""
    moved = gradients.discriminator(player, draws.real[i], fake, draws.mix[i], draws.noise_of(i))
    update = _apply_(player, "discriminator", moved, gradients)
    _after_step_(player, gradients)
    return update


def update_generator_(state: TrainState, gradients: Gradients, draws: Draws, i: int) -> Update:
    """The i-th of the drawn updates of the generator, in place."""
    moved = gradients.generator(state, draws.real[i], draws.z[i], draws.noise_of(i))
    return _apply_(state.generator, "generator", moved, gradients)


def _apply_(
    player: Player, name: str, moved: tuple[Tensors, Tensors, Tensors], gradients: Gradients
) -> Update:
    leaf_gradients, values, buffers = moved
    start = 1 if gradients.stacked else 0
    flat = torch.cat([g.flatten(start) for g in leaf_gradients.values()], dim=-1)
    norm = torch.linalg.vector_norm(flat, dim=-1)
    player.update_(leaf_gradients, buffers)
    finite = torch.isfinite(norm + values[f"loss/{name}"])
    return Update({**values, f"gradient/{name}_norm": norm}, finite)


@torch.no_grad()
def _after_step_(player: Player, gradients: Gradients) -> None:
    for regularizer in gradients.game.regularizers:
        if type(regularizer).after_step is Regularizer.after_step:
            continue  # most have nothing to do, and vmap would copy every leaf to do it
        after = gradients.per_seed(regularizer.after_step)
        params, buffers = after(player.params, player.buffers)
        copy_into_(player.params, params)
        copy_into_(player.buffers, buffers)


def _chunks(draws: Draws) -> list[Draws]:
    spans = [slice(i, i + _FAKES_TOGETHER) for i in range(0, len(draws.z), _FAKES_TOGETHER)]
    return [
        Draws(
            draws.real[span],
            draws.z[span],
            draws.mix[span],
            {name: tensor[span] for name, tensor in draws.noise.items()},
        )
        for span in spans
    ]
