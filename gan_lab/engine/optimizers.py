"""The optimisers of both networks: elementwise, so that stacked seeds stay S separate runs.

They update one flat buffer and state of the same shape, all at addresses that stay, so that a step
can be captured in a CUDA graph. torch's own classes hold the same formulas, but each
call of theirs costs as much as a small network's layer, and the first one imports the compiler:
two seconds before the first step.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from gan_lab.engine.schedule import DECAYS
from gan_lab.regularizers.base import Tensors
from gan_lab.validation import check_choice, check_interval

Rate = float | Tensor


@dataclass(frozen=True)
class Optimizer(ABC):
    """Learning rates of the two networks and their decay over the run; a subclass has the formula.

    Attributes:
        lr: Learning rate of the generator, and of the discriminator unless it has its own.
        discriminator_lr: The discriminator's; None = lr (two time scales: Heusel et al. 2017).
        decay: constant, linear (to 0 at trainer.steps) or cosine.
    """

    lr: float
    discriminator_lr: float | None = None
    decay: str = "constant"

    def __post_init__(self) -> None:
        check_interval(self, "lr", self.lr)
        if self.discriminator_lr is not None:
            check_interval(self, "discriminator_lr", self.discriminator_lr)
        check_choice(self, "decay", list(DECAYS))

    @abstractmethod
    def init_state(self, flat: Tensor) -> Tensors:
        """Return the moments and counts of a buffer at the start, by name."""

    @abstractmethod
    def update_(self, flat: Tensor, gradient: Tensor, state: Tensors, rate: float | Tensor) -> None:
        """Make one update of the buffer and the state, in place."""

    @property
    def has_momentum(self) -> bool:
        """Whether an update depends on a mean of earlier gradients."""
        return False

    def build(self, flat: Tensor, lr: float) -> "FlatOptimizer":
        """Return an optimiser of a flat buffer of parameters."""
        return FlatOptimizer(self, flat, lr)

    def build_discriminator(self, flat: Tensor) -> "FlatOptimizer":
        """Return the discriminator's, with its own learning rate if it has one."""
        return self.build(flat, self.lr if self.discriminator_lr is None else self.discriminator_lr)

    def build_generator(self, flat: Tensor) -> "FlatOptimizer":
        """Return the generator's."""
        return self.build(flat, self.lr)


class FlatOptimizer:
    """An optimiser of one buffer, whose gradient is `flat.grad`.

    Attributes:
        flat: The parameters, [P] or [S, P].
        state: Its moments and counts, by name; written in place.
        rate: The learning rate now, on the device of `flat`.
    """

    def __init__(self, config: Optimizer, flat: Tensor, lr: float) -> None:
        self.config, self.flat, self.initial_lr = config, flat, lr
        # A graph on the device reads the rate from the device; on the CPU a number is cheaper.
        on_cpu = flat.device.type == "cpu"
        self.rate: Rate = lr if on_cpu else torch.tensor(lr, device=flat.device)
        self.state = config.init_state(flat)

    @property
    def lr(self) -> float:
        """The learning rate now; reading it waits for the device."""
        return float(self.rate)

    def set_lr_factor_(self, factor: float) -> None:
        """Scale the learning rate that it started with."""
        if isinstance(self.rate, Tensor):
            self.rate.fill_(self.initial_lr * factor)
        else:
            self.rate = self.initial_lr * factor

    @torch.no_grad()
    def step(self) -> None:
        """Update the buffer by its gradient."""
        assert self.flat.grad is not None
        self.config.update_(self.flat, self.flat.grad, self.state, self.rate)

    def load_state_(self, state: Mapping[str, Tensor]) -> None:
        """Copy the `state` of an optimiser of the same kind."""
        if state.keys() != self.state.keys():
            kinds = f"{sorted(state)}, not {sorted(self.state)}"
            raise ValueError(f"the state of another optimiser: {kinds}")
        for name, tensor in self.state.items():
            tensor.copy_(state[name])

    def copy_from_(self, other: "FlatOptimizer") -> None:
        """Copy the state and the rate of another of the same kind."""
        self.load_state_(other.state)
        self.rate = other.rate.clone() if isinstance(other.rate, Tensor) else other.rate


def _zeros(flat: Tensor, *names: str) -> Tensors:
    return {name: torch.zeros_like(flat, requires_grad=False) for name in names}


@dataclass(frozen=True)
class Adam(Optimizer):
    """Kingma and Ba 2015, arXiv:1412.6980. betas are the decay rates of the two moments."""

    betas: tuple[float, float] = (0.5, 0.9)
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        if len(self.betas) != 2:
            raise ValueError(f"Adam.betas={list(self.betas)!r} needs two numbers, say [0.5,0.9]")
        for beta in self.betas:
            check_interval(self, "betas", beta, low_open=False, high=1.0)
        check_interval(self, "eps", self.eps)

    @property
    def has_momentum(self) -> bool:
        """Whether the first moment reaches further back than one gradient."""
        return self.betas[0] > 0

    def init_state(self, flat: Tensor) -> Tensors:
        """Return the two moments and the count of steps."""
        step = torch.zeros((), device=flat.device)
        return {**_zeros(flat, "exp_avg", "exp_avg_sq"), "step": step}

    def update_(self, flat: Tensor, gradient: Tensor, state: Tensors, rate: float | Tensor) -> None:
        """See `Optimizer.update_`."""
        first, second, step = state.values()
        step += 1
        beta1, beta2 = self.betas
        # The kernel behind torch.optim.Adam(fused=True).
        tensors: Any = ([flat], [gradient], [first], [second], [], [step])
        plain: Any = {"weight_decay": 0.0, "amsgrad": False, "maximize": False}
        torch._fused_adam_(*tensors, lr=rate, beta1=beta1, beta2=beta2, eps=self.eps, **plain)


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """Hinton 2012, in torch's form: the optimiser of the WGAN authors, with clipping."""

    alpha: float = 0.99
    momentum: float = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_interval(self, "alpha", self.alpha, low_open=False, high=1.0)
        check_interval(self, "momentum", self.momentum, low_open=False, high=1.0)
        check_interval(self, "eps", self.eps)

    @property
    def has_momentum(self) -> bool:
        """See `Optimizer.has_momentum`."""
        return self.momentum > 0

    def init_state(self, flat: Tensor) -> Tensors:
        """Return the mean square and, with momentum, its buffer."""
        return _zeros(flat, "square_avg", *(["momentum_buffer"] if self.momentum else []))

    def update_(self, flat: Tensor, gradient: Tensor, state: Tensors, rate: float | Tensor) -> None:
        """See `Optimizer.update_`."""
        square = state["square_avg"]
        square.mul_(self.alpha).addcmul_(gradient, gradient, value=1 - self.alpha)
        update = gradient / square.sqrt().add_(self.eps)
        if self.momentum:
            update = state["momentum_buffer"].mul_(self.momentum).add_(update)
        flat.sub_(update * rate)


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum if it is above 0."""

    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_interval(self, "momentum", self.momentum, low_open=False, high=1.0)

    @property
    def has_momentum(self) -> bool:
        """See `Optimizer.has_momentum`."""
        return self.momentum > 0

    def init_state(self, flat: Tensor) -> Tensors:
        """Return the momentum's buffer, if any."""
        return _zeros(flat, *(["momentum_buffer"] if self.momentum else []))

    def update_(self, flat: Tensor, gradient: Tensor, state: Tensors, rate: float | Tensor) -> None:
        """See `Optimizer.update_`."""
        update = gradient
        if self.momentum:
            update = state["momentum_buffer"].mul_(self.momentum).add_(gradient)
        flat.sub_(update * rate)
