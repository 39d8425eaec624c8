"""Fork a run: continue its networks from a step under another loss or regularizer.

A fork is a new run whose steps and clocks go on from those of its origin. Its optimisers are fresh,
and so is its randomness, which is that of every fork of the same step: forks of one run are paired.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from gan_lab.data.base import Source
from gan_lab.engine.state import copy_into_
from gan_lab.errors import ConfigError
from gan_lab.runner import train as training
from gan_lab.runs import checkpoint_checks
from gan_lab.training.build import build, build_networks
from gan_lab.training.compute_budget import Origin, clocks
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Run

_PATH_KEYS = ("root", "path", "download")  # keys of data that do not change the data


@dataclasses.dataclass(frozen=True)
class Parent:
    """A run and the content of the checkpoint of it that is forked."""

    path: Path
    config: RunConfig
    content: Mapping[str, Any]

    @property
    def step(self) -> int:
        """Step of the checkpoint."""
        return int(self.content["step"])

    @property
    def trained_steps(self) -> int:
        """Steps of the run, without those of an origin of its own."""
        origin = Origin.of_state(self._clock)
        return self.config.trainer.steps - (origin.step if origin else 0)

    @property
    def _clock(self) -> Mapping[str, Any]:
        state: Mapping[str, Any] = self.content["callbacks"]["TrainingClock"]
        return state

    @property
    def origin(self) -> Origin:
        """The step and the clocks that a fork starts from."""
        seconds, before = self._clock["seconds"], Origin.of_state(self._clock)
        totals = clocks(self.config, self.step, seconds["train"], before)
        return Origin(self.step, totals, seconds)


def select_seed(content: Mapping[str, Any], index: int) -> dict[str, Any]:
    """Return the checkpoint of one of several seeds, as if it had trained alone."""
    state = content["state"]

    def select(leaves: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {name: leaf[index] for name, leaf in leaves.items()}

    networks = {
        network: {part: select(state[network][part]) for part in ("params", "buffers")}
        for network in ("generator", "discriminator")
    }
    return {**content, "state": {**networks, "average": select(state["average"])}}


def start(config: RunConfig, source: Source, path: Path, parent: Parent) -> training.Estimates:
    """Train a fork into a new directory; see `runner.train.start`."""
    run = open_fork(config, source, parent)
    forked_from = {"path": str(parent.path.absolute()), "step": parent.step}
    return training.start(config, source, path, run, parent.origin, forked_from=forked_from)


def check(config: RunConfig, source: Source, parent: Parent) -> None:
    """Refuse what no fork can change.

    Raises:
        ConfigError: Other data (samples that were trained on could be held out now), other
            networks, other seeds, a seed that was dropped, or no step left to train.
    """
    old = parent.config
    if tuple(config.seeds) != tuple(old.seeds):
        raise ConfigError(
            f"fork keeps the seeds of {parent.path}, {_join(old.seeds)}, got "
            f"{_join(config.seeds)}; leave out seed= and n_seeds="
        )
    for name in ("data", "network"):
        if change := _describe_change(getattr(old, name), getattr(config, name)):
            misfit = _describe_misfit(config, source, parent)
            raise ConfigError(
                f"fork keeps the {name} of {parent.path}, but {name}{change}{misfit}; leave the "
                f"keys of {name} out, or train anew"
            )
    reasons = checkpoint_checks.dropped_seeds(parent.content)
    if lost_seeds := [seed for seed in config.seeds if seed in reasons]:
        other = "another"
        if active := [seed for seed in config.seeds if seed not in reasons]:
            other = f"a seed by itself (fork {parent.path / f'seed_{active[0]}'})"
        raise ConfigError(
            f"{'seeds' if len(lost_seeds) > 1 else 'seed'} {_join(lost_seeds)} of {parent.path} "
            f"{'were' if len(lost_seeds) > 1 else 'was'} dropped before step {parent.step}; fork "
            f"{other}, or an earlier step with step=..."
        )
    checkpoint_checks.check_data(parent.path, parent.content, source)
    if misfit := _describe_misfit(config, source, parent):
        raise ConfigError(f"the networks of {parent.path} do not fit here{misfit}; train anew")
    if config.trainer.steps <= parent.step:
        raise ConfigError(
            f"trainer.steps={config.trainer.steps} counts from the start of {parent.path}, and the "
            f"fork begins at step {parent.step}; say e.g. "
            f"trainer.steps={parent.step + parent.trained_steps}"
        )


def open_fork(config: RunConfig, source: Source, parent: Parent) -> Run:
    """The run of a fork before its first step.

    A regularizer's buffers go on where both games have them; new ones start from the weights as
    they are.
    """
    state, has_seeds = parent.content["state"], len(config.seeds) > 1
    networks = build_networks(config, source)
    for network, modules in zip(("generator", "discriminator"), networks, strict=True):
        for index, module in enumerate(modules):
            together = _leaves(state[network])
            leaves = {n: leaf[index] if has_seeds else leaf for n, leaf in together.items()}
            # Before regularizers add buffers: the other leaves belong to the old regularizers.
            module.load_state_dict({name: leaves[name] for name in module.state_dict()})
    run = build(config, source, networks, parent.origin.purpose)
    buffers, old = run.state.discriminator.buffers, state["discriminator"]["buffers"]
    common = {name: leaf for name, leaf in buffers.items() if name in old}
    for name, leaf in common.items():
        if difference := _leaf_difference(old[name], leaf):
            raise ConfigError(f"buffer {name} of {parent.path} does not fit here: {difference}")
    copy_into_(common, old)
    copy_into_(run.state.average, state["average"])
    run.state.step = parent.step
    return run


def _leaves(network: Mapping[str, Any]) -> dict[str, Tensor]:
    return {**network["params"], **network["buffers"]}


def _describe_change(old: Any, new: Any) -> str:
    """Return the first difference between two settings in words; empty if there is none."""
    if type(old) is not type(new):
        return f" is {type(old).__name__} there and {type(new).__name__} here"
    for field in dataclasses.fields(old):
        before, now = getattr(old, field.name), getattr(new, field.name)
        if before != now and field.name not in _PATH_KEYS:
            return f".{field.name} is {before} there and {now} here"
    return ""


def _describe_misfit(config: RunConfig, source: Source, parent: Parent) -> str:
    """Return the first leaf of another shape or dtype, in brackets; empty if all fit."""
    state, seeds = parent.content["state"], [len(config.seeds)] if len(config.seeds) > 1 else []
    for network in ("generator", "discriminator"):
        module: nn.Module = getattr(config.pair(source), network)(source.shape)
        parts = {network: _leaves(state[network])}
        if network == "generator":
            parts["average"] = state["average"]
        own = module.state_dict()
        for part, old_leaves in parts.items():
            for name, leaf in own.items():
                if difference := _leaf_difference(old_leaves.get(name), leaf, seeds):
                    return f" ({part} {name}: {difference})"
            # Other buffers than the networks' are those of a regularizer.
            for name in old_leaves:
                if name not in own and name not in state[network]["buffers"]:
                    return f" ({part} {name}: there, and none here)"
    return ""


def _leaf_difference(old: Tensor | None, new: Tensor, seeds: Sequence[int] = ()) -> str:
    """Return the difference in shape or dtype of two leaves in words; empty if there is none."""
    shape = [*seeds, *new.shape]
    if old is None or list(old.shape) != shape:
        return f"shape {'none' if old is None else list(old.shape)} there, {shape} here"
    return "" if old.dtype == new.dtype else f"{old.dtype} there, {new.dtype} here"


def _join(seeds: Sequence[int]) -> str:
    return ", ".join(map(str, seeds))
