"""The choice of the gradients and the program that take an objective's steps."""

from collections.abc import Callable
from dataclasses import replace

from torch import Tensor, nn

from gan_lab.engine.backends.cuda_graph import GraphedStep
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.distributed import ALONE, World
from gan_lab.engine.execution import Execution
from gan_lab.engine.gradients import FunctionalGradients, Gradients
from gan_lab.engine.objective import Objective
from gan_lab.engine.precision import Arithmetic
from gan_lab.engine.rng import StepDraws
from gan_lab.engine.state import TrainState
from gan_lab.engine.step import train_step
from gan_lab.regularizers.base import Tensors

# A step of the state that it was built for: all the step's randomness -> values to log and whether
# all of it was finite, each [S]; see `step.train_step`.
Step = Callable[[StepDraws], tuple[Tensors, Tensor]]


def build_gradients(
    objective: Objective, n_seeds: int, execution: Execution, world: World = ALONE
) -> Gradients:
    """Return the fastest implementation of this objective's gradients, for as many seeds at once.

    Analytic where both networks are MLPs, by autograd otherwise; compiled where asked.
    """
    stacked = n_seeds > 1
    bf16, compiled = execution.precision == "bf16", execution.mode == "compiled"
    if AnalyticMlpGradients.supports(objective):
        return AnalyticMlpGradients(objective, stacked, world, bf16, compiled)
    layers = [*objective.generator.modules(), *objective.discriminator.modules()]
    convolves = any(isinstance(m, nn.Conv2d | nn.ConvTranspose2d) for m in layers)
    # vmap makes one grouped convolution of all seeds, which has an order of its own.
    arithmetic = Arithmetic(bf16, channels_last=convolves and not stacked)
    kind = FunctionalGradients if compiled else Gradients
    return kind(replace(objective, arithmetic=arithmetic), stacked, world)


def build_step(
    state: TrainState, gradients: Gradients, ema_decay: float, execution: Execution
) -> Step:
    """Return the step, run from Python or as CUDA graphs."""
    if execution.mode == "cuda_graph":
        return GraphedStep(state, gradients, ema_decay)
    return lambda draws: train_step(state, draws, gradients, ema_decay)
