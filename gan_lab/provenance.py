"""Whether a checkpoint belongs to the run it lies in: made by its configuration, of its shape.

A digest proves that a file is as it was saved, not that it was saved here. A checkpoint that was
copied over from another run is refused before anything of it is used.
"""

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from gan_lab.checkpoint import CheckpointDamaged, Loaded
from gan_lab.errors import ConfigError

# What a run may go on with in another way; and where its data are.
RESUMABLE = (
    *("trainer.steps", "trainer.on_divergence"),
    *("device", "execution.threads", "execution.mode"),
)
_MAY_DIFFER = {*RESUMABLE, "data.root", "data.path", "data.download"}
_PARTS = ("config", "step", "state", "streams", "accumulator", "seconds")
_SHOWN = 4


def of_run(loaded: Loaded, config: Mapping[str, Any]) -> Loaded:
    """The checkpoint, if it was made by a run's configuration.

    Args:
        loaded: The checkpoint.
        config: The run's, resolved.

    Raises:
        CheckpointDamaged: It holds no run.
        ConfigError: Another configuration made it; the error names what differs.
    """
    content = loaded.content
    missing = [part for part in _PARTS if not isinstance(content, dict) or part not in content]
    if missing or type(content["step"]) is not int or not isinstance(content["config"], Mapping):
        what = f"without {', '.join(missing)}" if missing else "with a strange step or config"
        raise CheckpointDamaged(loaded.path, f"it is not that of a run ({what})")
    saved, own = _flat(content["config"]), _flat(config)
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
    return loaded


def check_fits(loaded: Loaded, state: Mapping[str, Any]) -> None:
    """Refuses a checkpoint that would not fill a state exactly; nothing is broadcast or cast.

    Args:
        loaded: The checkpoint.
        state: The `state_dict` of the state that is to be filled.

    Raises:
        ConfigError: A leaf is missing, or there is one too many, of another shape or dtype.
    """
    if misfits := list(_misfits(loaded.content["state"], state, "")):
        raise ConfigError(
            f"checkpoint {loaded.path} does not fit the networks and optimisers that its "
            f"configuration makes here (checkpoint / here): {_few(misfits)}. Go on with the "
            f"version of gan_lab that made it, which status.json names"
        )


@contextlib.contextmanager
def reading(path: Path) -> Iterator[None]:
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
