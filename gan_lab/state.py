"""The only mutable thing of a training: leaves, optimisers, the generator's average, the step.

All tensors are written in place: their addresses never change after the start.
"""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.optim import Optimizer
from gan_lab.regularizers.base import Tensors


class Player:
    """One network's leaves and its optimiser; [S, ...] leaves hold S seeds."""

    def __init__(self, params: Tensors, buffers: Tensors) -> None:
        self.params = {name: leaf.requires_grad_(True) for name, leaf in params.items()}
        self.buffers = buffers
        self.optimizer: torch.optim.Optimizer

    def update_(self, gradients: Tensors, buffers: Tensors) -> None:
        """One step of the optimiser, then the buffers that the forward pass returned."""
        for name, leaf in self.params.items():
            # torch's fused optimisers read a gradient in the order of its memory, whatever its
            # strides, and under vmap a weight's gradient comes out transposed.
            leaf.grad = gradients[name].contiguous()
        self.optimizer.step()
        copy_into_(self.buffers, buffers)

    def set_lr_factor_(self, factor: float) -> None:
        """Scales the learning rate that the optimiser started with."""
        for group in self.optimizer.param_groups:
            group["lr"] = group.setdefault("initial_lr", group["lr"]) * factor

    def copied(self) -> Tensors:
        """A copy of the parameters, without a graph."""
        return {name: leaf.detach().clone() for name, leaf in self.params.items()}

    def state_dict(self) -> dict[str, Any]:
        """Leaves and optimiser, by reference."""
        return {
            "params": {name: leaf.detach() for name, leaf in self.params.items()},
            "buffers": self.buffers,
            "optimizer": self.optimizer.state_dict(),
        }

    def load_state_dict_(self, state: Mapping[str, Any]) -> None:
        """Copies a `state_dict` into the leaves and the optimiser."""
        copy_into_(self.params, state["params"])
        copy_into_(self.buffers, state["buffers"])
        self.load_optimizer_(state["optimizer"])

    def load_optimizer_(self, state: Mapping[str, Any]) -> None:
        """Copies the state of an optimiser of the same kind."""
        # torch's optimisers keep the tensors they are given: without the copy, the next step
        # would write into the snapshot.
        self.optimizer.load_state_dict(copy.deepcopy(dict(state)))


class TrainState:
    """Both players, the moving average of the generator, and how many steps are done."""

    def __init__(self, discriminator: Player, generator: Player, optimizer: Optimizer) -> None:
        self.discriminator, self.generator = discriminator, generator
        discriminator.optimizer = optimizer.build_discriminator(discriminator.params.values())
        generator.optimizer = optimizer.build_generator(generator.params.values())
        leaves = {**generator.params, **generator.buffers}
        self.average = {name: leaf.detach().clone() for name, leaf in leaves.items()}
        self.step = 0

    @torch.no_grad()
    def average_(self, decay: float) -> None:
        """Moves the generator's average: average = decay average + (1 - decay) now."""
        for name, now in {**self.generator.params, **self.generator.buffers}.items():
            if now.is_floating_point():
                self.average[name].lerp_(now, 1 - decay)
            else:
                self.average[name].copy_(now)

    def state_dict(self) -> dict[str, Any]:
        """Everything, by reference: save or clone it before the next step."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "generator": self.generator.state_dict(),
            "average": self.average,
            "step": self.step,
        }

    def load_state_dict_(self, state: Mapping[str, Any]) -> None:
        """Copies a `state_dict` back in place."""
        self.discriminator.load_state_dict_(state["discriminator"])
        self.generator.load_state_dict_(state["generator"])
        copy_into_(self.average, state["average"])
        self.step = int(state["step"])


@torch.no_grad()
def copy_into_(leaves: Tensors, values: Mapping[str, Tensor]) -> None:
    """Writes values into leaves of the same names; a leaf that is its own value is left alone."""
    for name, leaf in leaves.items():
        if values[name] is not leaf:
            leaf.copy_(values[name])


def leaves_of(modules: Iterable[nn.Module], stacked: bool, device: torch.device) -> Player:
    """A player from initialised modules, one a seed, stacked as [S, ...] where asked."""
    each = [(dict(m.named_parameters()), dict(m.named_buffers())) for m in modules]

    def gather(part: int) -> Tensors:
        first = each[0][part]
        if not stacked:
            return {name: leaf.detach().to(device).clone() for name, leaf in first.items()}
        return {
            name: torch.stack([seed[part][name].detach() for seed in each]).to(device)
            for name in first
        }

    return Player(gather(0), gather(1))
