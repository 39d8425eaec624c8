"""Numbers that are not finite, put into every place they can come from, at random moments.

Three stacked seeds train. At a step one of them meets nan or inf in its data, a loss, a gradient, a
weight, a sample or an estimate. The run has to stop before that update, or go on without that seed.
"""

import contextlib
import math
import random
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from unittest import mock

import torch

from gan_lab.engine import step
from gan_lab.engine.backends import select
from gan_lab.engine.rng import Streams
from gan_lab.metrics.evaluator import Evaluator
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks import evaluation
from tests.campaigns.record import Campaign, Fault
from tests.campaigns.runs import run_here
from tests.helpers import CHEAP, RING, rows, train

STEPS, SEEDS, LOOKS = 30, (0, 1, 2), 5
KINDS = ("data", "a loss", "a gradient", "a weight", "a sample", "an estimate")
POLICIES = ("stop", "drop_seed")
_KEYS = (
    *("trainer.landscape_every=0", "metrics=[wasserstein]", f"evaluator.every={LOOKS}"),
    *("execution.mode=eager", "trainer.log_every=7"),
    *(f"trainer.steps={STEPS}", f"n_seeds={len(SEEDS)}"),
)
# The sound run's directory -> what trains there.
_TRAININGS = {
    "whole": (*RING, *_KEYS),
    "whole_conv": (
        *("data=digits", "network=conv", "network.width=4", *CHEAP, *_KEYS),
        "regularizer.gradient_penalty.every=4",
    ),
}


@dataclass(frozen=True)
class Poison:
    """What goes wrong: nan or inf, where, at which step (from 1) and of whom."""

    kind: str
    at: int
    seed: int
    value: float

    def __str__(self) -> str:
        return f"{self.value} in {self.kind} of seed {self.seed} at step {self.at}"


def campaign(
    n: int = 96, seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Campaign:
    """Poison n runs, each place and policy in turn."""
    rng, faults = random.Random(seed), []
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        for name, keys in _TRAININGS.items():
            train(name, *keys, "trainer.checkpoint_every=1", "trainer.keep_checkpoints=99")
        for index in range(n):
            whole = list(_TRAININGS)[(index + index // 6 + index // 12) % 2]
            kind, policy = KINDS[index % 6], POLICIES[index // 6 % 2]
            in_evaluation = kind in KINDS[4:]
            at = LOOKS * rng.randint(1, STEPS // LOOKS) if in_evaluation else rng.randint(1, STEPS)
            poison = Poison(kind, at, rng.choice(SEEDS), rng.choice((math.nan, math.inf)))
            name = f"run_{index}"
            keys = (f"trainer.on_divergence={policy}", "trainer.checkpoint_every=10")
            with poisoned(poison):
                code, _, err = run_here("train", *_TRAININGS[whole], *keys, f"hydra.run.dir={name}")
            lost = _lost(poison, policy, Path(name), whole, code, err)
            network = ", convolutions" if whole == "whole_conv" else ""
            faults.append(Fault(f"{kind}, on_divergence={policy}", f"{poison}{network}", lost))
            if lost:
                tell(f"{poison}, {policy}: {lost}")
    return Campaign(
        name="numbers",
        title="Numbers that are not finite",
        expected=(
            "Three stacked seeds train, on points or, by convolutions, on images; one meets nan or "
            "inf. With `stop` the run ends with exit code 1, names step and seed, has saved the "
            "state before that update (equal to that of a sound run, bit for bit) and no later "
            "checkpoint. With `drop_seed` that seed stays there, and everything recorded of the "
            "others equals the sound run's, bit for bit."
        ),
        faults=faults,
    )


def _lost(poison: Poison, policy: str, run: Path, whole: str, code: int, err: str) -> str:
    """Return what did not hold, against the sound run; empty if everything did."""
    if code != 1:
        return f"exit code {code}"
    message = f"is not finite at step {poison.at} for seed {poison.seed}."
    if message not in err or "Traceback" in err:
        return f"said {err[-200:]!r}"
    if not all(math.isfinite(value) for row in _rows(run, poison.seed) for value in row.values()):
        return "a record of it is not finite"
    suffix = "" if policy == "stop" else f"_{poison.at:08d}"
    before, sound = _content(run, f"before_divergence{suffix}.pt"), _sound(whole, poison.at - 1)
    if not _same(before["state"], sound["state"]):
        return "state before"
    if policy == "stop":
        later = max(checkpoint.available(run / "checkpoints"), default=0) >= poison.at
        return "a later checkpoint" if later else ""
    last, others = _content(run, f"step_{STEPS:08d}.pt"), [s for s in SEEDS if s != poison.seed]
    if not _same_seed(last, sound, poison.seed):
        return "the dropped seed moved"
    if not all(_same_seed(last, _sound(whole, STEPS), seed) for seed in others):
        return "another seed's state"
    return "" if all(_rows(run, s) == _rows(whole, s) for s in others) else "another seed's record"


@contextlib.contextmanager
def poisoned(poison: Poison) -> Iterator[None]:
    """Poison the step or the evaluation that is named, as often as it is made."""
    now, index = -1, SEEDS.index(poison.seed)
    draws, apply, train_step = Streams.draws, step._apply_, select.train_step
    samples, measure = evaluation.finite_samples, Evaluator.measure

    def draw(self: Streams, at: int) -> Any:
        nonlocal now
        batch = draws(self, at)
        now = at if self.spec.max_steps != 1 else -1  # the optimality gap's training draws one step
        if now == poison.at - 1 and poison.kind == "data":
            batch.discriminator.real[:, index].fill_(poison.value)
        return batch

    def move(network: Any, name: str, update: Any, gradients: Any) -> Any:
        leaves, values, buffers = update
        if now == poison.at - 1 and poison.kind == "a gradient":
            leaf = next(iter(leaves.values()))
            leaf.data[(index,) + (0,) * (leaf.ndim - 1)] = poison.value
        if now == poison.at - 1 and poison.kind == "a loss":
            values[f"loss/{name}"] = values[f"loss/{name}"].detach().clone()
            values[f"loss/{name}"][index] = poison.value
        return apply(network, name, (leaves, values, buffers), gradients)

    def steps(state: Any, *arguments: Any) -> Any:
        result = train_step(state, *arguments)
        if state.step == poison.at and poison.kind == "a weight":
            state.generator.flat.data[index, 0] = poison.value
            next(iter(state.average.values()))[index].fill_(poison.value)
        return result

    def sampled(run: Any, which: int, z: torch.Tensor) -> torch.Tensor:
        made = samples(run, which, z)
        if which == index and run.state.step == poison.at and poison.kind == "a sample":
            made[0] = poison.value
            return evaluation._check_finite(run, which, made)
        return made

    def measured(self: Evaluator, make: Any, seed: int, at: int, *more: Any, **keys: Any) -> Any:
        found = measure(self, make, seed, at, *more, **keys)
        if (seed, at, poison.kind) == (poison.seed, poison.at, "an estimate"):
            for estimate in found.values():
                object.__setattr__(estimate, "value", poison.value)
        return found

    with (
        mock.patch.object(Streams, "draws", draw),
        mock.patch.object(step, "_apply_", move),
        mock.patch.object(select, "train_step", steps),
        mock.patch.object(evaluation, "finite_samples", sampled),
        mock.patch.object(Evaluator, "measure", measured),
    ):
        yield


def _content(run: Path | str, name: str) -> dict[str, Any]:
    return checkpoint.load(Path(run) / "checkpoints" / name)


def _sound(whole: str, at: int) -> dict[str, Any]:
    """The sound run after some steps; before the first one nothing is saved, so it is the best."""
    return _content(whole, f"{'step' if at else 'best'}_{at:08d}.pt")


def _same(one: Any, other: Any) -> bool:
    return checkpoint.digest(one) == checkpoint.digest(other)


def _same_seed(one: Mapping[str, Any], other: Mapping[str, Any], seed: int) -> bool:
    """Whether two stacked states agree on one seed."""
    mine, theirs = (_of_seed(content["state"], SEEDS.index(seed)) for content in (one, other))
    return _same(mine, theirs)


def _of_seed(node: Any, index: int) -> Any:
    if isinstance(node, torch.Tensor):
        return node[index] if node.ndim else None
    if isinstance(node, dict):
        return {key: _of_seed(value, index) for key, value in node.items() if key != "step"}
    return node


def _rows(run: Path | str, seed: int) -> list[dict[str, Any]]:
    return rows(RunDir(Path(run)).child(seed).path)
