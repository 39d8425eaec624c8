"""Shared builders: what conf/ holds, small runs, and the same runs in float64."""

import math
from dataclasses import dataclass
from pathlib import Path

import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.func import functional_call

from gan_lab.data.digits import Digits
from gan_lab.data.toy import Ring
from gan_lab.engine.execution import Execution
from gan_lab.engine.optimizers import Adam
from gan_lab.engine.rng import Draws, StepDraws
from gan_lab.engine.state import NetworkState, TrainState
from gan_lab.engine.step import train_step
from gan_lab.losses import NonSaturating
from gan_lab.metrics.evaluator import EvaluatorSettings
from gan_lab.metrics.metrics import Wasserstein
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.networks.mlp import Mlp
from gan_lab.training.config import Setup, TrainerSettings

CONF = Path(__file__).parents[1] / "conf"
CPU = torch.device("cpu")


def names(group):
    """The choices of a config group: a newcomer is covered by being there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def load_loss(name):
    return instantiate(OmegaConf.load(CONF / "loss" / f"{name}.yaml").loss)


def load_regularizers(*files, penalty_weight=10.0):
    """Name -> regularizer of one or several files of conf/regularizer."""
    nodes = OmegaConf.merge(
        {}, *(OmegaConf.load(CONF / "regularizer" / f"{f}.yaml") for f in files)
    )
    config = OmegaConf.create({"hints": {"penalty_weight": penalty_weight}, "regularizer": nodes})
    return {str(name): instantiate(node) for name, node in config.regularizer.items()}


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@dataclass
class Critic:
    """A module with leaves, as the game's Score has it: either way of taking gradients."""

    module: torch.nn.Module
    leaves: dict
    in_transform: bool = False

    def __call__(self, x):
        return functional_call(self.module, self.leaves, (x,))


def linear_critic(shape, slope):
    """f(x) = <w, x> with |w| = slope."""
    direction = normal(math.prod(shape), seed=3)
    weight = slope * direction / direction.norm()
    return lambda x: x.flatten(1) @ weight


def quadratic_critic(x):
    """f(x) = |x|^2 / 2, whose gradient is x."""
    return x.flatten(1).square().sum(1) / 2


def small_setup(
    loss=None, regularizers=None, *, data=None, network=None, optim=None, seeds=(0,), **trainer
):
    trainer = {"steps": 10, "batch_size": 8, **trainer}
    return Setup(
        data=data or Ring(),
        network=network or Mlp(latent_dim=2, width=8, depth=2),
        loss=loss or NonSaturating(),
        regularizers=regularizers or {},
        optim=optim or Adam(1e-3),
        trainer=TrainerSettings(**trainer),
        evaluator=EvaluatorSettings(),
        metrics={"wasserstein": Wasserstein()},
        neural_distance=NeuralDistance(),
        execution=Execution(threads=1),
        device="cpu",
        seeds=seeds,
    )


def digits():
    return Digits()


def in_float64(run, optim):
    """The same run with leaves, averages and optimisers in float64."""

    def double(player):
        buffers = {n: b.double() if b.is_floating_point() else b for n, b in player.buffers.items()}
        params = {n: p.detach().double() for n, p in player.params.items()}
        return NetworkState(params, buffers, player.stacked)

    run.state = TrainState(double(run.state.discriminator), double(run.state.generator), optim)
    return run


def _cast(draws, dtype):
    noise = {name: tensor.to(dtype) for name, tensor in draws.noise.items()}
    return Draws(draws.real.to(dtype), draws.z.to(dtype), draws.mix.to(dtype), noise)


def draws_like(run, step=None):
    """A step's draws in the dtype of the run's leaves."""
    dtype = next(iter(run.state.generator.params.values())).dtype
    draws = run.streams.draws(run.state.step if step is None else step)
    return StepDraws(*(_cast(part, dtype) for part in draws))


def train(run, n_steps, ema=0.9, gradients=None):
    """Steps of a run; the values and the finite flag of the last."""
    for _ in range(n_steps):
        last = train_step(run.state, draws_like(run), gradients or run.gradients, ema)
    return last


def opened(*args, float64=False, **kwargs):
    setup = small_setup(*args, **kwargs)
    run = setup.open()
    return in_float64(run, setup.optim) if float64 else run


def snapshot(leaves):
    return {name: leaf.detach().clone() for name, leaf in leaves.items()}


def assert_same(actual, expected):
    """Two dictionaries of leaves, bit for bit."""
    assert actual.keys() == expected.keys()
    for name in actual:
        torch.testing.assert_close(actual[name].detach(), expected[name], rtol=0, atol=0, msg=name)


def updates(player):
    """How many updates an Adam has made, the same for every leaf."""
    return int(player.optimizer.state["step"])
