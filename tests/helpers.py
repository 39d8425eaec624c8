"""What tests and campaigns share: conf/'s choices, small runs, and what they leave behind."""

import math
import os
import signal
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch
from hydra.utils import instantiate
from omegaconf import OmegaConf
from torch.func import functional_call

from gan_lab.cli import main as cli
from gan_lab.config.compose import build_run_config, compose_config
from gan_lab.console import ProgressLine
from gan_lab.data.toy import Ring
from gan_lab.engine.backends import select
from gan_lab.engine.execution import Execution
from gan_lab.engine.optimizers import Adam
from gan_lab.engine.rng import StepDraws, Streams
from gan_lab.engine.state import NetworkState, TrainState
from gan_lab.engine.step import train_step
from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.losses import NonSaturating
from gan_lab.metrics.evaluator import EvaluatorSettings
from gan_lab.metrics.metrics import Wasserstein
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.networks.mlp import Mlp
from gan_lab.runs import checkpoint
from gan_lab.training.build import open_run
from gan_lab.training.callbacks import evaluation
from gan_lab.training.config import RunConfig, TrainerSettings

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
CPU = torch.device("cpu")
ONE = {**os.environ, "OMP_NUM_THREADS": "1"}  # the environment of a process of its own

# A run of a second: an evaluator that costs milliseconds, and no pictures.
CHEAP = (
    *("trainer.batch_size=16", "trainer.image_every=0", "metrics=[wasserstein,neighbours]"),
    *("neural_distance.steps=0", "evaluator.every=5", "evaluator.n=16", "evaluator.final_n=16"),
    *("evaluator.n_repeats=2", "evaluator.final_n_repeats=2", "evaluator.floor_n_repeats=2"),
    *("device=cpu", "execution.threads=1"),
)
RING = ("data=ring", "network=mlp", "network.width=8", *CHEAP)
DIGITS = ("data=digits", "network=dcgan", "network.width=4", *CHEAP)


# What conf/ holds


def names(group):
    """The choices of a config group: a newcomer is covered by being there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def load_loss(name):
    return instantiate(OmegaConf.load(CONF / "loss" / f"{name}.yaml").loss)


def load_regularizers(*files, penalty_weight=10.0):
    """Name -> regularizer of one or several files of conf/regularizer."""
    hints = {"penalty_weight": penalty_weight, "penalty_every": 1}
    nodes = OmegaConf.merge({}, *(OmegaConf.load(CONF / f"regularizer/{f}.yaml") for f in files))
    config = OmegaConf.create({"hints": hints, "regularizer": nodes})
    return {str(name): instantiate(node) for name, node in config.regularizer.items()}


def run_config(*overrides):
    return build_run_config(compose_config("train", overrides))


def refused(data, words):
    """Open data; return the one line of the error that refuses them."""
    with pytest.raises(ConfigError, match=words) as caught:
        data.open(CPU)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Tensors and critics


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def normal(*shape, seed=0, dtype=torch.float64):
    return torch.randn(*shape, generator=seeded(seed), dtype=dtype)


@dataclass
class Critic:
    """A module with leaves, as the objective's score has it: either way of taking gradients."""

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


# Runs as objects


def small_config(
    loss=None, regularizers=None, *, data=None, network=None, optim=None, seeds=(0,), **trainer
):
    trainer = {"steps": 10, "batch_size": 8, **trainer}
    return RunConfig(
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


def small_run(*args, float64=False, **kwargs):
    """A run, where wanted with leaves, averages and optimisers in float64."""
    config = small_config(*args, **kwargs)
    run = open_run(config)
    if float64:
        networks = map(in_float64, (run.state.discriminator, run.state.generator))
        run.state = TrainState(*networks, config.optim)
    return run


def in_float64(network):
    buffers = {n: b.double() if b.is_floating_point() else b for n, b in network.buffers.items()}
    params = {n: p.detach().double() for n, p in network.params.items()}
    return NetworkState(params, buffers, network.stacked)


def draws_like(run, step=None):
    """A step's draws in the dtype of the run's leaves."""
    dtype = next(iter(run.state.generator.params.values())).dtype

    def cast(draws):
        noise = {name: tensor.to(dtype) for name, tensor in draws.noise.items()}
        real, z, mix = (tensor.to(dtype) for tensor in draws[:3])
        return draws._replace(real=real, z=z, mix=mix, noise=noise)

    return StepDraws(*map(cast, run.streams.draws(run.state.step if step is None else step)))


def take_steps(run, n_steps, ema=0.9, gradients=None):
    """Train; return the values and the finite flag of the last step."""
    for _ in range(n_steps):
        last = train_step(run.state, draws_like(run), gradients or run.gradients, ema)
    return last


def two_steps(run):
    """Train two steps; return whether everything stayed finite."""
    finite = [take_steps(run, 1)[1] for _ in range(2)]
    leaves = [*run.state.discriminator.params.values(), *run.state.average.values()]
    return all(bool(f.all()) for f in finite) and all(bool(x.isfinite().all()) for x in leaves)


def snapshot(leaves):
    return {name: leaf.detach().clone() for name, leaf in leaves.items()}


def assert_same(actual, expected):
    """Two dictionaries of leaves, bit for bit."""
    assert actual.keys() == expected.keys()
    for name in actual:
        torch.testing.assert_close(actual[name].detach(), expected[name], rtol=0, atol=0, msg=name)


def n_updates(network):
    """How many updates an Adam has made, the same for every leaf."""
    return int(network.optimizer.state["step"])


# Runs by the command line, in this process


def main(*arguments):
    """Run the command line; return the exit code."""
    return cli.main([str(argument) for argument in arguments])


def train(path, *overrides):
    """Train a run into a directory of its own, which is returned."""
    code = main("train", *overrides, f"hydra.run.dir={path}")
    assert code == 0, f"train ended with {code}"
    return Path(path)


def signal_at(patch, step, signum=signal.SIGTERM):
    """Send this process a signal when the progress line shows a step."""
    show, sent = ProgressLine.show, []

    def and_signal(self, now):
        show(self, now)
        if now == step and not sent:  # a run that drops a seed shows a step twice
            sent.append(now)
            os.kill(os.getpid(), signum)

    patch.setattr(ProgressLine, "show", and_signal)


def infinite_data_at(patch, step, seed=None):
    """Make one step's real samples infinite, whenever they are drawn: of all seeds, or of one."""
    draws = Streams.draws

    def poisoned(self, now):
        batch = draws(self, now)
        if now == step:
            real = batch.discriminator.real
            (real if seed is None else real[:, seed]).fill_(math.inf)
        return batch

    patch.setattr(Streams, "draws", poisoned)


def infinite_weight_at(patch, step):
    """Overflow a generator's weight in the update of one step, with finite losses."""
    step_of = select.train_step

    def overflowing(state, *arguments):
        result = step_of(state, *arguments)
        if state.step == step:
            weight = next(iter(state.generator.params.values()))
            weight.data[(0,) * weight.ndim] = math.inf
            state.average_(0.0)
        return result

    patch.setattr(select, "train_step", overflowing)


def overflow_samples(patch, fails):
    """Make the samples of a seed's index overflow where `fails(run, index)`."""
    make = evaluation.finite_samples

    def overflowing(run, index, z):
        if fails(run, index):
            raise evaluation.NotFinite("a sample", run.seeds[index])
        return make(run, index, z)

    patch.setattr(evaluation, "finite_samples", overflowing)


# What a run leaves behind


def load_checkpoint(path, step=None):
    """The content of a run's newest checkpoint, or of one step."""
    return checkpoint.load_latest(Path(path) / "checkpoints", step).content


def state_digest(path, step=None):
    """A digest of all that decides how the run goes on; clocks and the configuration apart."""
    content = load_checkpoint(path, step)
    assert set(content) == {
        *("config", "data", "device", "step", "is_step_complete", "state", "accumulator"),
        "callbacks",
    }
    states = dict(content["callbacks"])
    assert set(states) == {"Divergence", "TrainingClock", "Evaluation", "BestCheckpoint"}
    states["TrainingClock"] = states["TrainingClock"]["origin"]
    kept = {key: value for key, value in content.items() if key not in ("config", "callbacks")}
    if kept["data"] is not None:  # its file may have been put back, with other times
        kept["data"] = {k: v for k, v in kept["data"].items() if k != "file_state"}
    return checkpoint.digest({**kept, "callbacks": states})


def without_clock(row):
    return {tag: value for tag, value in row.items() if not tag.startswith("time/")}


def rows(path):
    """metrics.jsonl without the clock."""
    return [without_clock(row) for row in read_metrics(Path(path) / "metrics.jsonl")]


def series(path):
    """TensorBoard's scalars without the clock: tag -> [(step, value)]."""
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    writer = EventAccumulator(str(Path(path) / "tensorboard"), size_guidance={"scalars": 0})
    tags = writer.Reload().Tags()["scalars"]
    scalars = {tag: [(event.step, event.value) for event in writer.Scalars(tag)] for tag in tags}
    return without_clock(scalars)


def assert_same_series(actual, expected):
    """The same tags, steps and values; nan equals nan."""
    assert actual.keys() == expected.keys()
    for tag in expected:
        assert repr(actual[tag]) == repr(expected[tag]), tag


def files(path):
    """Everything below a directory."""
    return sorted(p.relative_to(path) for p in Path(path).rglob("*"))
