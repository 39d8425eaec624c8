"""Whether a checkpoint belongs to the run it lies in: its configuration, its shape, its data.

A digest proves that a file is as it was saved, not that it was saved here. A checkpoint that was
copied over from another run is refused before anything of it is used.
"""

import contextlib
import hashlib
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.data.base import Source
from gan_lab.errors import ConfigError
from gan_lab.runs.checkpoint import CheckpointDamaged, Loaded
from gan_lab.runs.old_names import current_config

# What a run may go on with in another way; and where its data are.
RESUMABLE = (
    *("trainer.steps", "trainer.on_divergence"),
    *("device", "execution.threads", "execution.mode"),
)
_MAY_DIFFER = {*RESUMABLE, "data.root", "data.path", "data.download"}
_PARTS = ("config", "step", "state", "streams", "accumulator", "seconds")
_SHOWN = 4
_READ = 1 << 26  # bytes of a data set that its digest covers


def of_run(loaded: Loaded, config: Mapping[str, Any]) -> Loaded:
    """The checkpoint, if it was made by a run's configuration.

    Args:
        loaded: The checkpoint.
        config: The run's, resolved.

    Raises:
        CheckpointDamaged: It holds no run, or is named after another step.
        ConfigError: Another configuration made it; the error names what differs.
    """
    content = loaded.content
    missing = [part for part in _PARTS if not isinstance(content, dict) or part not in content]
    if missing or type(content["step"]) is not int or not isinstance(content["config"], Mapping):
        what = f"without {', '.join(missing)}" if missing else "with a strange step or config"
        raise CheckpointDamaged(loaded.path, f"it is not that of a run ({what})")
    saved, own = _flat(current_config(content["config"])), _flat(config)
    differ = [
        f"{key}: {_shown(saved, key)} / {_shown(own, key)}"
        for key in sorted((saved.keys() | own.keys()) - _MAY_DIFFER, key=_telling)
        if repr(saved.get(key, ...)) != repr(own.get(key, ...))
    ]
    if differ:
        raise ConfigError(
            f"checkpoint {loaded.path} was made by another configuration than the config.yaml of "
            f"its run (checkpoint / config.yaml): {_few(differ)}. Put back the file that belongs "
            f"to the run, or train again with train"
        )
    named = re.fullmatch(r"(?:step|best)_(\d+)\.pt", loaded.path.name)
    if named and int(named[1]) != content["step"]:
        reason = f"it is of step {content['step']} under the name of another"
        raise CheckpointDamaged(loaded.path, reason)
    with damage_if_malformed(loaded.path):
        _check_dropped(content.get("dropped", {}), content["config"])
    return loaded


def _check_dropped(dropped: Mapping[Any, Any], config: Mapping[str, Any]) -> None:
    """Raises ValueError, or what strange types raise, unless some of the run's seeds are told."""
    seeds = range(config["seed"], config["seed"] + config["n_seeds"])
    kinds = {"step": int, "quantity": str, "told": str}
    told = [{name: type(why[name]) for name in kinds} for why in dropped.values()]
    if not set(dropped) < set(seeds) or any(each != kinds for each in told):
        raise ValueError(f"dropped={dropped}")


def data_of(source: Source) -> dict[str, Any] | None:
    """What tells a finite data set from another: size, shape, and a digest of training samples.

    The digest covers all of them up to 64 MiB (float32), and of a larger set every second, third
    ... one. None where samples are drawn afresh.
    """
    n = source.n_train
    if n is None:
        return None
    size = 4 * n * torch.Size(source.shape).numel()
    hasher = hashlib.sha256()
    for rows in torch.arange(0, n, -(-size // _READ), device=source.device).split(4096):
        hasher.update(source.gather(rows).cpu().contiguous().numpy().data)
    return {"n_train": n, "shape": list(source.shape), "sha256": hasher.hexdigest()}


def check_data(path: Path, content: Mapping[str, Any], source: Source) -> None:
    """Refuses data that are not those a checkpoint was trained on; an old one does not say.

    Raises:
        ConfigError: They differ, whatever the path to them.
    """
    saved, own = content.get("data"), data_of(source)
    if saved is None or saved == own:
        return
    with damage_if_malformed(path):
        there, here = _flat(saved), _flat(own or {})
    keys = [key for key in there if there[key] != here.get(key)]
    differ = [f"{key}: {_shown(there, key)} / {_shown(here, key)}" for key in keys]
    raise ConfigError(
        f"the training data are not those that {path} was trained on (there / here): "
        f"{_few(differ)}. Put those back, or train anew with train"
    )


def check_fits(loaded: Loaded, state: Mapping[str, Any]) -> None:
    """Refuses a checkpoint that would not fill a state exactly; nothing is broadcast or cast.

    Args:
        loaded: The checkpoint.
        state: The `state_dict` of the state that is to be filled.

    Raises:
        ConfigError: A leaf is missing, or there is one too many, of another shape or dtype.
        CheckpointDamaged: A weight is not finite.
    """
    if misfits := list(_misfits(loaded.content["state"], state, "")):
        raise ConfigError(
            f"checkpoint {loaded.path} does not fit the networks and optimisers that its "
            f"configuration makes here (checkpoint / here): {_few(misfits)}. Go on with the "
            f"version of gan_lab that made it, which status.json names"
        )
    check_finite(loaded.path, loaded.content["state"])


def check_finite(path: Path, state: Mapping[str, Any]) -> None:
    """Refuses weights that are no numbers; a run stops before it saves such.

    Raises:
        CheckpointDamaged: There is one.
    """
    for network, leaves in (
        ("discriminator", state["discriminator"]["params"]),
        ("generator", state["average"]),
    ):
        for name, leaf in leaves.items():
            if not bool(leaf.isfinite().all()):
                raise CheckpointDamaged(path, f"{network}.{name} is not finite")


@contextlib.contextmanager
def damage_if_malformed(path: Path) -> Iterator[None]:
    """Inside, content that is not what a run saves is damage of its file, not a crash.

    Raises:
        CheckpointDamaged: Something in it is missing or of another kind.
    """
    try:
        yield
    except ConfigError:
        raise
    except (LookupError, TypeError, ValueError, AttributeError, RuntimeError) as error:
        reason = f"it is not that of a run ({type(error).__name__}: {str(error)[:100]})"
        raise CheckpointDamaged(path, reason) from error


def _misfits(saved: Any, own: Any, where: str) -> Iterator[str]:
    if isinstance(own, Mapping) and isinstance(saved, Mapping):
        for key in [*own, *(key for key in saved if key not in own)]:
            name = f"{where}.{key}" if where else str(key)
            if key not in saved:
                yield f"{name}: missing / {_kind(own[key])}"
            elif key not in own:
                yield f"{name}: {_kind(saved[key])} / missing"
            else:
                yield from _misfits(saved[key], own[key], name)
    elif _kind(saved) != _kind(own):
        yield f"{where}: {_kind(saved)} / {_kind(own)}"


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def _flat(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        nested = isinstance(value, Mapping) and value
        leaves |= _flat(value, f"{name}.") if nested else {name: value}
    return leaves


def _telling(key: str) -> tuple[bool, bool, str]:
    """Sorts what a reader asks first before the rest: the classes, their keys, mere defaults."""
    return key.startswith("hints."), not key.endswith("_target_"), key


def _shown(flat: Mapping[str, Any], key: str) -> str:
    text = repr(flat[key]) if key in flat else "missing"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _few(found: list[str]) -> str:
    more = len(found) - _SHOWN
    return ", ".join(found[:_SHOWN]) + (f" and {more} more" if more > 0 else "")
