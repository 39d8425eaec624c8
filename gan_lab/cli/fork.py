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
from gan_lab.config import compose
from gan_lab.engine.execution import resolve_device
from gan_lab.errors import ConfigError
from gan_lab.runner import fork as forks
from gan_lab.runner import train as training
from gan_lab.runs import checkpoint, compatibility
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import printable
from gan_lab.training.config import Setup

_OUTPUT = (
    "hydra.run.dir='outputs/fork/${hydra:runtime.choices.data}_${hydra:runtime.choices.loss}/"
    "${now:%Y-%m-%d_%H-%M-%S-%f}'"
)


def fork(arguments: list[str]) -> int:
    """Trains on from a checkpoint of another run, into a new directory."""
    path, step, typed = _read(arguments)
    setup = compose.setup_of(open_run.saved_config(path))
    old = open_run.typed_keys(path)
    if old is None:
        raise ConfigError(
            f"{path} does not say which keys were typed for it (no 'overrides' in status.json: "
            f"another program or an earlier version made it), so that a fork cannot tell choices "
            f"from defaults; train it again with train"
        )
    loaded, content = _taken(path, step, setup)
    parent = forks.Parent(path, setup, content)
    if open_run.is_child(path):  # its keys are those of all seeds
        old = [each for each in old if key_of(each) not in ("seed", "n_seeds")]
        old += [f"seed={setup.seeds[0]}", "n_seeds=1"]
    overrides, dropped = merged(old, typed)
    keys = {key_of(override) for override in overrides}
    if "loss" in map(key_of, typed):
        overrides += _belonging_to_the_loss(overrides, keys)
    if "trainer.steps" not in keys:
        overrides.append(f"trainer.steps={parent.step + parent.trained_steps}")
    output = [] if any(key_of(o) == "hydra.run.dir" for o in typed) else [_OUTPUT]
    composed = compose.composed("train", [*overrides, *output])
    open_run.refuse_foreign(OmegaConf.to_container(composed), f"{path} and what was typed")
    forked = train_command.noted(compose.setup_of(composed))
    directory = train_command.directory()
    # Anything but the device is checked against the old run before a big set is read.
    source = forked.data.open(resolve_device(forked.device))
    with compatibility.damage_if_malformed(loaded.path):
        forks.check(forked, source, parent)
        compatibility.check_finite(loaded.path, loaded.content["state"])
    forked.check(source)
    training.check_free(RunDir(directory))
    left_out = f", without {' '.join(dropped)}" if dropped else ""
    print(printable(f"forking {path} at step {parent.step}{left_out}"))
    return train_command.guarded(
        lambda: train_command.run(
            forked, source, directory, lambda: forks.start(forked, source, directory, parent)
        )
    )


def _taken(
    path: Path, step: open_run.Step, setup: Setup
) -> tuple[checkpoint.Loaded, Mapping[str, Any]]:
    """The checkpoint that is forked, and what it holds of the seeds that are meant."""
    if not open_run.is_child(path):
        loaded = open_run.taken(path, step, setup.config)
        return loaded, loaded.content
    home, (seed,) = path.resolve().parent, setup.seeds
    whole = compose.setup_of(open_run.saved_config(home))
    if seed not in whole.seeds:
        raise ConfigError(f"{path} is of seed {seed}, which {home} was not trained with")
    loaded = open_run.taken(home, step, whole.config)
    with compatibility.damage_if_malformed(loaded.path):
        return loaded, forks.of_seed(loaded.content, list(whole.seeds).index(seed))


def key_of(override: str) -> str:
    """The key of an override, without Hydra's signs for adding and deleting."""
    return override.split("=", 1)[0].lstrip("+~")


def merged(old: Sequence[str], new: Sequence[str]) -> tuple[list[str], list[str]]:
    """The overrides of a fork, and those of the old run that had to go (see the module).

    The number of steps is never inherited.
    """
    typed = {key_of(override): override.partition("=")[2] for override in new}
    kept: list[str] = []
    dropped: list[str] = []
    for override in old:
        key = key_of(override)
        head, _, rest = key.partition(".")
        if key in typed or key == "trainer.steps":
            continue
        named = re.findall(r"\w+", typed.get(head, ""))
        if head in typed and _is_group(head):
            goes = rest.split(".")[0] not in named  # regularizer=[r1] keeps regularizer.r1.weight
        else:
            goes = "loss" in typed and (head == "regularizer" or key == "trainer.n_critic")
        (dropped if goes else kept).append(override)
    return [*kept, *new], dropped


def _is_group(name: str) -> bool:
    return (compose.config_dir() / name).is_dir()


def _belonging_to_the_loss(overrides: Sequence[str], keys: set[str]) -> list[str]:
    """A loss's own regularizer and n_critic, typed where a preset would win over its file."""
    if "preset" not in keys:
        return []
    compose.composed("train", overrides)
    data = HydraConfig.get().runtime.choices["data"]
    loss = next(o for o in reversed(overrides) if key_of(o) == "loss")
    plain = compose.composed("train", [f"data={data}", loss])
    names = ",".join(map(str, plain.get("regularizer") or {}))
    own = {
        "regularizer": f"[{names}]" if names else "none",
        "trainer.n_critic": plain.trainer.n_critic,
    }
    return [f"{key}={value}" for key, value in own.items() if key not in keys]


def _read(arguments: Sequence[str]) -> tuple[Path, open_run.Step, list[str]]:
    """The directory, the step, and the other keys."""
    paths = [a for a in arguments if "=" not in a or open_run.exists(a)]
    (path,), _ = open_run.arguments(paths, "fork", at_most=1)
    typed = [a for a in arguments if a not in paths]
    chosen = [a.partition("=")[2] for a in typed if key_of(a) == "step"]
    step: open_run.Step = None
    if chosen:
        named = checkpoint.is_name(chosen[-1])
        if not named and not re.fullmatch(r"\d{1,18}", chosen[-1]):
            raise ConfigError(f"step={chosen[-1]} is neither a whole number >= 0 nor best")
        step = chosen[-1] if named else int(chosen[-1])
    return path, step, [a for a in typed if key_of(a) != "step"]
