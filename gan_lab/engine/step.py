"""One step: n_critic discriminator updates, n_generator generator updates, the average."""

from typing import NamedTuple

import torch
from torch import Tensor

from gan_lab.engine.gradients import GradientResult, Gradients
from gan_lab.engine.rng import Draws, StepDraws
from gan_lab.engine.state import NetworkState, TrainState, copy_into_
from gan_lab.regularizers.base import Regularizer, Tensors

FAKES_TOGETHER = 8  # updates whose fakes come from one forward pass; bounds a warm-up's memory


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
    sizes: list[Tensor] = []
    for chunk in chunks(draws.discriminator):
        for i, fake in enumerate(gradients.fakes(state, chunk.z)):
            done = update_discriminator_(state.discriminator, gradients, chunk, i, fake)
            values.update(done.values)
            sizes.append(done.size)
    for i in range(len(draws.generator.z)):
        done = update_generator_(state, gradients, draws.generator, i)
        values.update(done.values)
        sizes.append(done.size)
    state.average_(ema_decay)
    state.step += 1
    return values, torch.stack(sizes).isfinite().all(0)


class Update(NamedTuple):
    """What one update of one player says: values to log, and a number that is finite where all is.

    That is the loss plus the norm of the gradient, [S] or a scalar; the penalty is in the gradient.
    """

    values: Tensors
    size: Tensor


def update_discriminator_(
    network: NetworkState, gradients: Gradients, draws: Draws, i: int, fake: Tensor
) -> Update:
    """The i-th of the drawn updates of a discriminator, in place."""
    result = gradients.discriminator(network, draws.real[i], fake, draws.mix[i], draws.noise_of(i))
    update = _apply_(network, "discriminator", result, gradients)
    _after_step_(network, gradients)
    return update


def update_generator_(state: TrainState, gradients: Gradients, draws: Draws, i: int) -> Update:
    """The i-th of the drawn updates of the generator, in place."""
    result = gradients.generator(state, draws.real[i], draws.z[i], draws.noise_of(i))
    return _apply_(state.generator, "generator", result, gradients)


def _apply_(
    network: NetworkState, name: str, result: GradientResult, gradients: Gradients
) -> Update:
    leaf_gradients, values, buffers = result
    flat = network.collect_(leaf_gradients)
    gradients.world.mean_(flat)
    norm = torch.linalg.vector_norm(flat, dim=-1)
    network.update_(network.gradients, buffers)
    return Update({**values, f"gradient/{name}_norm": norm}, norm + values[f"loss/{name}"])


@torch.no_grad()
def _after_step_(network: NetworkState, gradients: Gradients) -> None:
    for regularizer in gradients.objective.regularizers:
        if type(regularizer).after_step is Regularizer.after_step:
            continue  # most have nothing to do, and vmap would copy every leaf to do it
        after = gradients.per_seed(regularizer.after_step)
        params, buffers = after(network.params, network.buffers)
        copy_into_(network.params, params)
        copy_into_(network.buffers, buffers)


def chunks(draws: Draws) -> list[Draws]:
    """The updates of a player in groups whose fakes come from one forward pass."""
    spans = [slice(i, i + FAKES_TOGETHER) for i in range(0, len(draws.z), FAKES_TOGETHER)]
    return [
        Draws(
            draws.real[span],
            draws.z[span],
            draws.mix[span],
            {name: tensor[span] for name, tensor in draws.noise.items()},
        )
        for span in spans
    ]
