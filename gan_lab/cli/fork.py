"""`fork DIR key=value ...`: a new run from the networks of an old one.

The fork is what the old run's typed keys and the new ones make together, where a new key replaces
an old one. A new choice of a group (optim=sgd) takes the typed values of the old choice (optim.lr)
with it. A new loss brings its regularizer and n_critic, so what was typed for the old loss
(regularizer=, trainer.n_critic=, loss.*) goes with that; and so does a preset's.
"""

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from gan_lab.cli import open_run
from gan_lab.cli import train as train_command
from gan_lab.cli.arguments import run_and_keys, take_flag
from gan_lab.cli.commands import Fork
from gan_lab.cli.hydra import key_of, long_names, run_directory
from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.runner import fork as forks
from gan_lab.runner import train as training
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.checkpoint import LoadedCheckpoint
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import printable
from gan_lab.training.build import open_source
from gan_lab.training.config import RunConfig
from gan_lab.training.validate import validate

_OUTPUT = (
    "hydra.run.dir='outputs/fork/${hydra:runtime.choices.data}_${hydra:runtime.choices.loss}/"
    "${now:%Y-%m-%d_%H-%M-%S-%f}'"
)


def fork(arguments: list[str]) -> int:
    """Train on from a checkpoint of another run, into a new directory."""
    verbose, arguments = take_flag(Fork, "verbose", arguments)
    path, step, new = _read(arguments)
    config = compose.build_run_config(open_run.saved_config(path))
    old = open_run.typed_keys(path)
    if old is None:
        raise ConfigError(
            f"{path} does not say which keys were typed for it (no 'overrides' in status.json: "
            "another program or an earlier version made it), so that a fork cannot tell choices "
            "from defaults; train it again with train"
        )
    origin, content = _load(path, step, config)
    parent = forks.Parent(path, config, content)
    if open_run.is_child(path):  # its keys are those of all seeds
        old = [each for each in old if key_of(each) not in ("seed", "n_seeds")]
        old += [f"seed={config.seeds[0]}", "n_seeds=1"]
    overrides, conflicts = merge_overrides(old, new)
    keys = {key_of(override) for override in overrides}
    if "loss" in map(key_of, new):
        overrides += _belonging_to_the_loss(overrides, keys)
    if "trainer.steps" not in keys:
        overrides.append(f"trainer.steps={parent.step + parent.trained_steps}")
    output = [] if any(key_of(o) == "hydra.run.dir" for o in new) else [_OUTPUT]
    cfg = compose.compose_config("train", [*overrides, *output])
    open_run.refuse_foreign(OmegaConf.to_container(cfg), f"{path} and what was typed")
    child = train_command.with_overrides(compose.build_run_config(cfg))
    directory = child.world.broadcast(run_directory())
    # Anything but the device is checked against the old run before a big set is read.
    source = open_source(child)
    with checkpoint_checks.damage_if_malformed(origin.path):
        forks.check(child, source, parent)
        checkpoint_checks.check_finite(origin.path, origin.content["state"])
    validate(child, source)
    training.check_unused(RunDir(directory))
    left_out = f", without {' '.join(conflicts)}" if conflicts else ""
    print(printable(f"forking {path} at step {parent.step}{left_out}"))

    def start() -> training.Estimates:
        return forks.start(child, source, directory, parent)

    return train_command.exit_code(
        lambda: train_command.run(child, source, directory, start, verbose)
    )


def _load(
    path: Path, step: open_run.Step, config: RunConfig
) -> tuple[LoadedCheckpoint, Mapping[str, Any]]:
    """Return the checkpoint at a step, and its content for the seeds of `path`.

    Seeds that were trained at once share the checkpoint of their parent directory; where `path` is
    one of them (seed_1), the content is that seed's part of it.
    """
    if not open_run.is_child(path):
        origin = open_run.load_checkpoint(path, step, config.resolved)
        return origin, origin.content
    home, (seed,) = path.resolve().parent, config.seeds
    whole = compose.build_run_config(open_run.saved_config(home))
    if seed not in whole.seeds:
        raise ConfigError(f"{path} is of seed {seed}, which {home} was not trained with")
    origin = open_run.load_checkpoint(home, step, whole.resolved)
    with checkpoint_checks.damage_if_malformed(origin.path):
        return origin, forks.select_seed(origin.content, list(whole.seeds).index(seed))


def merge_overrides(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], list[str]]:
    """Return the overrides of a fork, and those of the old run that had to go (see the module).

    The number of steps is never inherited.
    """
    values = {key_of(override): override.partition("=")[2] for override in new}
    survivors: list[str] = []
    conflicts: list[str] = []
    for override in old:
        key = key_of(override)
        head, _, rest = key.partition(".")
        if key in values or key == "trainer.steps":
            continue
        choices = re.findall(r"\w+", values.get(head, ""))
        if head in values and (compose.config_dir() / head).is_dir():
            goes = rest.split(".")[0] not in choices  # regularizer=[r1] keeps regularizer.r1.weight
        else:
            goes = "loss" in values and (head == "regularizer" or key == "trainer.n_critic")
        (conflicts if goes else survivors).append(override)
    return [*survivors, *new], conflicts


def _belonging_to_the_loss(overrides: Sequence[str], keys: set[str]) -> list[str]:
    """Return a loss's own regularizer and n_critic, where a preset would win over its file."""
    if "preset" not in keys:
        return []
    compose.compose_config("train", overrides)
    data = HydraConfig.get().runtime.choices["data"]
    loss = next(o for o in reversed(overrides) if key_of(o) == "loss")
    plain = compose.compose_config("train", [f"data={data}", loss])
    names = ",".join(map(str, plain.get("regularizer") or {}))
    own = {
        "regularizer": f"[{names}]" if names else "none",
        "trainer.n_critic": plain.trainer.n_critic,
    }
    return [f"{key}={value}" for key, value in own.items() if key not in keys]


def _read(arguments: Sequence[str]) -> tuple[Path, open_run.Step, list[str]]:
    """Return the directory, the step, and the other keys under their long names."""
    path, words = run_and_keys(Fork, arguments)
    steps = [word.partition("=")[2] for word in words if key_of(word) == "step"]
    overrides = long_names([word for word in words if key_of(word) != "step"])
    if not steps or checkpoint.is_name(steps[-1]):
        return path, steps[-1] if steps else None, overrides
    if not re.fullmatch(r"\d{1,18}", steps[-1]):
        raise ConfigError(f"step={steps[-1]} is neither a whole number >= 0 nor best")
    return path, int(steps[-1]), overrides
