"""Small runs through the command line, in this process, and what they leave behind."""

import os
import signal
from pathlib import Path

import torch
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from gan_lab.cli import main as cli
from gan_lab.config.compose import composed, setup_of
from gan_lab.console import ProgressLine
from gan_lab.engine.step import train_step
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs import checkpoint
from tests.campaigns.cheap import CHEAP
from tests.campaigns.cheap import RING as RING  # for the tests

ROOT = Path(__file__).parents[1]
CONF = ROOT / "conf"
ONE = {**os.environ, "OMP_NUM_THREADS": "1"}  # the environment of a process of its own

DIGITS = ("data=digits", "network=dcgan", "network.width=4", *CHEAP)


def options(group):
    """The choices of a config group: a newcomer is covered by being there."""
    return sorted(path.stem for path in (CONF / group).glob("*.yaml"))


def main(*arguments):
    """The command line in this process; the exit code."""
    return cli.main([str(argument) for argument in arguments])


def train(path, *overrides):
    """A run into a directory of its own, which is returned."""
    code = main("train", *overrides, f"hydra.run.dir={path}")
    assert code == 0, f"train ended with {code}"
    return Path(path)


def setup(*overrides):
    return setup_of(composed("train", overrides))


def two_steps(run):
    """Takes two steps; whether everything stayed finite."""
    finite = [
        train_step(run.state, run.streams.draws(run.state.step), run.gradients, 0.9)[1]
        for _ in range(2)
    ]
    leaves = [*run.state.discriminator.params.values(), *run.state.average.values()]
    return all(bool(f.all()) for f in finite) and all(bool(x.isfinite().all()) for x in leaves)


def signal_at(monkeypatch, step, signum=signal.SIGTERM):
    """Sends this process a signal when the progress line shows a step."""
    at, sent = ProgressLine.at, []

    def and_signal(self, now):
        at(self, now)
        if now == step and not sent:  # a run that drops a seed shows a step twice
            sent.append(now)
            os.kill(os.getpid(), signum)

    monkeypatch.setattr(ProgressLine, "at", and_signal)


def saved(path, step=None):
    """The content of a run's newest checkpoint, or of one step."""
    return checkpoint.load_latest(Path(path) / "checkpoints", step).content


def trained(path, step=None):
    """A digest of all that decides how the run goes on; clocks and the configuration apart."""
    content = saved(path, step)
    assert set(content) | {"looked"} == {
        *("config", "step", "state", "streams", "accumulator", "seconds", "pace", "best", "origin"),
        *("data", "dropped", "looked"),
    }
    return checkpoint.digest({k: v for k, v in content.items() if k not in ("config", "seconds")})


def rows(path):
    """metrics.jsonl without the clock."""
    return [
        {tag: value for tag, value in row.items() if not tag.startswith("time/")}
        for row in read_metrics(Path(path) / "metrics.jsonl")
    ]


def series(path):
    """TensorBoard's scalars without the clock: tag -> [(step, value)]."""
    writer = EventAccumulator(str(Path(path) / "tensorboard"), size_guidance={"scalars": 0})
    writer.Reload()
    return {
        tag: [(event.step, event.value) for event in writer.Scalars(tag)]
        for tag in writer.Tags()["scalars"]
        if not tag.startswith("time/")
    }


def assert_same_series(actual, expected):
    """The same tags, steps and values; nan equals nan."""
    assert actual.keys() == expected.keys()
    for tag in expected:
        assert [step for step, _ in actual[tag]] == [step for step, _ in expected[tag]], tag
        values = [torch.tensor([v for _, v in s[tag]]) for s in (actual, expected)]
        torch.testing.assert_close(*values, rtol=0, atol=0, equal_nan=True, msg=tag)


def files(path):
    """Everything below a directory."""
    return sorted(p.relative_to(path) for p in Path(path).rglob("*"))
