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
    """Take one step of the training, in place.

    Args:
        state: The state to train; its step is counted up by one.
        draws: All randomness of the step.
        gradients: The objective's gradients.
        ema_decay: Of the generator's moving average, in [0, 1); 0 = the average is the generator.

    Returns:
        Values to log, each [S]: those of the last update of each network that has them; a step in
        which no update has all penalties has no loss/penalty. And whether every loss and every
        gradient of the step was finite, [S], bool, on the device.
    """
    values: Tensors = {}
    sizes: list[Tensor] = []
    for chunk in chunks(draws.discriminator):
        for i, fake in enumerate(gradients.fakes(state, chunk.z)):
            update = update_discriminator_(state.discriminator, gradients, chunk, i, fake)
            values.update(update.values)
            sizes.append(update.size)
    for i in range(len(draws.generator.z)):
        update = update_generator_(state, gradients, draws.generator, i)
        values.update(update.values)
        sizes.append(update.size)
    state.average_(ema_decay)
    state.step += 1
    return by_seed(values), torch.stack(sizes).isfinite().all(0).reshape(-1)


def by_seed(values: Tensors) -> Tensors:
    """Return values that are [S], or scalars of a single seed, as [S]."""
    return {tag: value.reshape(-1) for tag, value in values.items()}


class Update(NamedTuple):
    """One update of one network: values to log, and a size that is finite where all numbers are.

    The size is the loss plus the gradient's norm, [S] or a scalar; the gradient has the penalty's.
    """

    values: Tensors
    size: Tensor


def update_discriminator_(
    network: NetworkState, gradients: Gradients, draws: Draws, i: int, fake: Tensor
) -> Update:
    """Make the i-th of the drawn updates of a discriminator, in place."""
    due = gradients.at_update(draws.index_in_run(i))
    result = due.discriminator(network, draws.real[i], fake, draws.mix[i], draws.noise_of(i))
    update = _apply_(network, "discriminator", result, gradients)
    _after_step_(network, gradients)
    return update


def update_generator_(state: TrainState, gradients: Gradients, draws: Draws, i: int) -> Update:
    """Make the i-th of the drawn updates of the generator, in place."""
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
    """Return the updates of a network in groups whose fakes come from one forward pass."""
    starts = range(0, len(draws.z), FAKES_TOGETHER)
    return [draws.updates(i, i + FAKES_TOGETHER) for i in starts]
