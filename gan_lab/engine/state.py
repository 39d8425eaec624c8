"""The only mutable state of a training: leaves, optimisers, the generator's average, the step.

All tensors are written in place: their addresses never change after the start.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from gan_lab.engine.optimizers import FlatOptimizer, Optimizer
from gan_lab.regularizers.base import Tensors


class NetworkState:
    """One network's leaves and its optimiser; [S, ...] leaves hold S seeds.

    Attributes:
        flat: All parameters in one buffer, [P] or [S, P]: the optimiser needs one kernel an
            operation, however many layers there are.
        params: The parameters by name, views of `flat`; see `views_of`.
        gradient: The gradient by `flat`, of its shape.
        gradients: The gradients by name, views of `gradient`.
        buffers: The module's buffers by name.
    """

    def __init__(self, params: Tensors, buffers: Tensors, stacked: bool = False) -> None:
        self.stacked = stacked
        self._shapes = {name: leaf.shape for name, leaf in params.items()}
        self.flat = torch.cat([self._row(leaf.detach()) for leaf in params.values()], -1)
        self.gradient = torch.zeros_like(self.flat)
        views = views_of(self.flat, self._shapes)
        self.params = {name: view.requires_grad_(True) for name, view in views.items()}
        self.gradients = views_of(self.gradient, self._shapes)
        self.flat.requires_grad_(True).grad = self.gradient
        self.buffers = buffers
        self.optimizer: FlatOptimizer

    def collect_(self, gradients: Tensors) -> Tensor:
        """Write gradients by name into `gradient`, unless they are there already; return it."""
        if gradients is not self.gradients:
            # In the parameters' order, not the gradient's own: under vmap a weight's is transposed.
            leaves = [self._row(gradients[name]) for name in self.params]
            torch.cat(leaves, -1, out=self.gradient)
        return self.gradient

    def _row(self, leaf: Tensor) -> Tensor:
        """Return a leaf's numbers as they lie in `flat`, [..] -> [n] or [S, n]."""
        return leaf.flatten(1) if self.stacked else _channels_last(leaf).flatten()

    def update_(self, gradients: Tensors, buffers: Tensors) -> None:
        """Take one step of the optimiser, then copy the buffers that the forward pass returned."""
        self.collect_(gradients)
        self.optimizer.step()
        copy_into_(self.buffers, buffers)

    def set_lr_factor_(self, factor: float) -> None:
        """Scale the learning rate that the optimiser started with."""
        self.optimizer.set_lr_factor_(factor)

    def clone_params(self) -> Tensors:
        """Return a copy of the parameters, without a graph."""
        return {name: leaf.detach().clone() for name, leaf in self.params.items()}

    def select(self, leaves: Mapping[str, Tensor], index: int) -> Tensors:
        """Return one seed's part, as views, of leaves that are stacked as the parameters are."""
        return {name: leaf[index] if self.stacked else leaf for name, leaf in leaves.items()}

    def of_seed(self, index: int) -> tuple[Tensors, Tensors]:
        """Return the parameters of one seed, without a graph, and its buffers; both as views."""
        params = {name: leaf.detach() for name, leaf in self.params.items()}
        return self.select(params, index), self.select(self.buffers, index)

    def copy(self, optimizer: Optimizer) -> "NetworkState":
        """Return a copy whose discriminator's optimiser goes on from the same moments."""
        buffers = {name: buffer.clone() for name, buffer in self.buffers.items()}
        network = NetworkState(self.clone_params(), buffers, self.stacked)
        network.optimizer = optimizer.build_discriminator(network.flat)
        network.optimizer.copy_from_(self.optimizer)
        return network

    def state_dict(self) -> dict[str, Any]:
        """Return leaves and optimiser, by reference."""
        return {
            "params": {name: leaf.detach() for name, leaf in self.params.items()},
            "buffers": self.buffers,
            "optimizer": {n: self._in_logical_order(t) for n, t in self.optimizer.state.items()},
        }

    def load_state_dict_(self, state: Mapping[str, Any]) -> None:
        """Copy a `state_dict` into the leaves and the optimiser."""
        copy_into_(self.params, state["params"])
        copy_into_(self.buffers, state["buffers"])
        moments = {name: self._in_memory_order(t) for name, t in state["optimizer"].items()}
        self.optimizer.load_state_(moments)

    def _in_logical_order(self, moments: Tensor) -> Tensor:
        """Return moments, [P] as `flat` or a count, as they are saved: each leaf row by row."""
        if moments.ndim == 0 or not self._has_channels_last:
            return moments
        return torch.cat([view.flatten() for view in views_of(moments, self._shapes).values()])

    def _in_memory_order(self, moments: Tensor) -> Tensor:
        """Return the inverse of `_in_logical_order`."""
        if moments.ndim == 0 or not self._has_channels_last:
            return moments
        parts = moments.split([shape.numel() for shape in self._shapes.values()])
        leaves = zip(parts, self._shapes.values(), strict=True)
        return torch.cat([self._row(part.view(shape)) for part, shape in leaves])

    @property
    def _has_channels_last(self) -> bool:
        return not self.stacked and any(len(shape) == 4 for shape in self._shapes.values())


class TrainState:
    """Both networks, the moving average of the generator, and the number of steps."""

    def __init__(
        self, discriminator: NetworkState, generator: NetworkState, optimizer: Optimizer
    ) -> None:
        self.discriminator, self.generator = discriminator, generator
        discriminator.optimizer = optimizer.build_discriminator(discriminator.flat)
        generator.optimizer = optimizer.build_generator(generator.flat)
        self._average = generator.flat.detach().clone()
        shapes = {name: leaf.shape for name, leaf in generator.params.items()}
        self.average = {
            **views_of(self._average, shapes),
            **{name: buffer.detach().clone() for name, buffer in generator.buffers.items()},
        }
        self.step = 0
        self._frozen_seeds: dict[
            int, tuple[list[Tensor], list[Tensor]]
        ] = {}  # index -> (views, copies)

    @torch.no_grad()
    def average_(self, decay: float) -> None:
        """Update the generator's average: average = d average + (1 - d) now.

        After t steps d is (1 + t) / (10 + t) until that reaches the decay, so that a young average
        is of some tenth of all steps rather than of the initial weights.
        """
        decay = min(decay, (1 + self.step) / (10 + self.step))
        self._average.lerp_(self.generator.flat, 1 - decay)
        for name, now in self.generator.buffers.items():
            if now.is_floating_point():
                self.average[name].lerp_(now, 1 - decay)
            else:
                self.average[name].copy_(now)

    def average_of(self, index: int) -> Tensors:
        """Return the averaged leaves of one seed's generator, as views."""
        return self.generator.select(self.average, index)

    def freeze_(self, index: int) -> None:
        """Remember one seed's state; `restore_frozen_` brings it back after a step of all seeds."""
        views = [*self.average.values()]
        for network in (self.discriminator, self.generator):
            views += [network.flat.detach(), *network.buffers.values()]
            views += [t for t in network.optimizer.state.values() if t.ndim]  # no count of steps
        views = [tensor[index] for tensor in views]
        self._frozen_seeds[index] = (views, [view.clone() for view in views])

    @torch.no_grad()
    def restore_frozen_(self) -> None:
        """Bring back the state of every frozen seed."""
        for views, copies in self._frozen_seeds.values():
            torch._foreach_copy_(views, copies)

    def state_dict(self) -> dict[str, Any]:
        """Return everything, by reference: save or clone it before the next step."""
        return {
            "discriminator": self.discriminator.state_dict(),
            "generator": self.generator.state_dict(),
            "average": self.average,
            "step": self.step,
        }

    def load_state_dict_(self, state: Mapping[str, Any]) -> None:
        """Copy a `state_dict` back in place."""
        self.discriminator.load_state_dict_(state["discriminator"])
        self.generator.load_state_dict_(state["generator"])
        copy_into_(self.average, state["average"])
        self.step = int(state["step"])


def views_of(flat: Tensor, shapes: Mapping[str, torch.Size]) -> Tensors:
    """Return views of a flat buffer, one after the other: [P] or [S, P] -> the given shapes.

    Weights of convolutions, of four dimensions, lie channels last in [P], as the fast kernels need
    them: where they are copied at each forward, a step of DCGAN at 28 pixels takes an eighth more.
    Stacked seeds have other kernels.
    """
    views, at = {}, 0
    for name, shape in shapes.items():
        n = shape[flat.ndim - 1 :].numel()
        part = flat.detach()[..., at : at + n]
        if flat.ndim == 1 and len(shape) == 4:
            c_out, c_in, height, width = shape
            views[name] = part.view(c_out, height, width, c_in).permute(0, 3, 1, 2)
        else:
            views[name] = part.view(shape)
        at += n
    return views


def _channels_last(leaf: Tensor) -> Tensor:
    return leaf.permute(0, 2, 3, 1) if leaf.ndim == 4 else leaf


@torch.no_grad()
def copy_into_(leaves: Tensors, values: Mapping[str, Tensor]) -> None:
    """Write values into leaves of the same names; skip a leaf that is its own value."""
    for name, leaf in leaves.items():
        if values[name] is not leaf:
            leaf.copy_(values[name])


def build_network(
    modules: Sequence[nn.Module], device: torch.device, stacked: bool | None = None
) -> NetworkState:
    """Return the state of initialised modules, one a seed; of several, or if asked, [S, ...]."""
    stacked = len(modules) > 1 if stacked is None else stacked
    each = [(dict(m.named_parameters()), dict(m.named_buffers())) for m in modules]

    def gather(part: int) -> Tensors:
        first = each[0][part]
        if not stacked:
            return {name: leaf.detach().to(device).clone() for name, leaf in first.items()}
        return {
            name: torch.stack([seed[part][name].detach() for seed in each]).to(device)
            for name in first
        }

    return NetworkState(gather(0), gather(1), stacked)
