"""The optimisers of both players: elementwise ones, so that stacked seeds stay S separate runs."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass

import torch
from torch import Tensor

from gan_lab.checks import check_choice, check_interval
from gan_lab.schedule import DECAYS


@dataclass(frozen=True)
class Optimizer(ABC):
    """Learning rates of the two players and how they decay over the run.

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
    def build(self, leaves: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """A torch optimiser over the leaves."""

    def build_discriminator(self, leaves: Iterable[Tensor]) -> torch.optim.Optimizer:
        """The discriminator's, with its own learning rate if it has one."""
        return self.build(
            leaves, self.lr if self.discriminator_lr is None else self.discriminator_lr
        )

    def build_generator(self, leaves: Iterable[Tensor]) -> torch.optim.Optimizer:
        """The generator's."""
        return self.build(leaves, self.lr)


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

    def build(self, leaves: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """torch's Adam, fused into one kernel."""
        b1, b2 = self.betas
        return torch.optim.Adam(leaves, lr, (b1, b2), self.eps, fused=True)


@dataclass(frozen=True)
class RmsProp(Optimizer):
    """Hinton 2012, as torch has it: what the WGAN authors use with clipping."""

    alpha: float = 0.99
    momentum: float = 0.0
    eps: float = 1e-8

    def __post_init__(self) -> None:
        super().__post_init__()
        check_interval(self, "alpha", self.alpha, low_open=False, high=1.0)
        check_interval(self, "momentum", self.momentum, low_open=False, high=1.0)
        check_interval(self, "eps", self.eps)

    def build(self, leaves: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """torch's RMSprop, one kernel an operation for all leaves."""
        return torch.optim.RMSprop(
            leaves, lr, self.alpha, self.eps, momentum=self.momentum, foreach=True
        )


@dataclass(frozen=True)
class Sgd(Optimizer):
    """Stochastic gradient descent, with momentum if asked."""

    momentum: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        check_interval(self, "momentum", self.momentum, low_open=False, high=1.0)

    def build(self, leaves: Iterable[Tensor], lr: float) -> torch.optim.Optimizer:
        """torch's SGD, fused into one kernel."""
        return torch.optim.SGD(leaves, lr, self.momentum, fused=True)
