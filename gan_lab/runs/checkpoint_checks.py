"""Check that a checkpoint was written by this run: its configuration, its shapes, its data.

A digest proves that a file is as it was saved, not that it was saved here. A checkpoint that was
copied from another run is refused before it is used.

Data are recognised by a digest of all samples or, where they are the rows of one .npy file, of the
whole file. Such a file may be larger than memory: it is read once when a run starts, and again only
if its size, times or inode have changed since. Its inode's time of change is among them, which a
program that puts back the time of modification does not keep.
"""

import contextlib
import hashlib
import os
import re
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from gan_lab.data.base import FiniteSource, Part, Source
from gan_lab.errors import ConfigError
from gan_lab.runs.checkpoint import CheckpointDamaged, LoadedCheckpoint
from gan_lab.runs.compatibility import current_config, current_content

# Keys that a resumed run may change; and the paths of its data.
_EXECUTION = ("device", "execution.threads", "execution.mode", "execution.ignore_memory")
RESUMABLE = ("trainer.steps", "trainer.on_divergence", *_EXECUTION, "logger", "data.storage")
_MAY_DIFFER = {*RESUMABLE, "data.root", "data.path", "data.download"}
_PARTS = ("config", "step", "state", "accumulator", "callbacks")
_MAX_DIFFERENCES = 4  # in an error
_DIGEST_BYTES = 1 << 26  # of a data set that its digest in an old checkpoint covers
_BLOCK_BYTES = 1 << 24
_FILE_STATE = "file_state"  # it tells whether to read a file again, and is no part of the data


def check_run(checkpoint: LoadedCheckpoint, config: Mapping[str, Any]) -> LoadedCheckpoint:
    """Return the checkpoint, if a run's configuration wrote it.

    Raises:
        CheckpointDamaged: It is not that of a run, or is named after another step.
        ConfigError: Another configuration wrote it; the error names what differs.
    """
    with damage_if_malformed(checkpoint.path):
        content = current_content(checkpoint.content)
    missing = [part for part in _PARTS if not isinstance(content, dict) or part not in content]
    if missing or type(content["step"]) is not int or not isinstance(content["config"], Mapping):
        what = f"without {', '.join(missing)}" if missing else "with a strange step or config"
        raise CheckpointDamaged(checkpoint.path, f"it is not that of a run ({what})")
    theirs, ours = _flatten(current_config(content["config"])), _flatten(config)
    differences = [
        _format_difference(key, theirs, ours)
        for key in sorted((theirs.keys() | ours.keys()) - _MAY_DIFFER, key=_sort_key)
        if not key.startswith("logger.") and repr(theirs.get(key, ...)) != repr(ours.get(key, ...))
    ]
    if differences:
        raise ConfigError(
            f"checkpoint {checkpoint.path} was made by another configuration than the config.yaml "
            f"of its run (checkpoint / config.yaml): {_join(differences)}. Put back the file that "
            f"belongs to the run, or train again with train"
        )
    match = re.fullmatch(r"(?:step|best)_(\d+)\.pt", checkpoint.path.name)
    if match and int(match[1]) != content["step"]:
        reason = f"it is of step {content['step']} under the name of another"
        raise CheckpointDamaged(checkpoint.path, reason)
    with damage_if_malformed(checkpoint.path):
        _check_dropped(dropped_seeds(content), content["config"])
    return checkpoint._replace(content=content)


def dropped_seeds(content: Mapping[str, Any]) -> Mapping[int, Mapping[str, Any]]:
    """Return why seeds were dropped, by seed: see `callbacks.divergence.Divergence.reasons`."""
    reasons: Mapping[int, Mapping[str, Any]] = content["callbacks"]["Divergence"]["reasons"]
    return reasons


def _check_dropped(reasons: Mapping[Any, Any], config: Mapping[str, Any]) -> None:
    """Raise ValueError, or what other types raise, unless these are some of the run's seeds."""
    seeds = range(config["seed"], config["seed"] + config["n_seeds"])
    types = {"step": int, "quantity": str, "told": str}
    actual = [{name: type(reason[name]) for name in types} for reason in reasons.values()]
    if not set(reasons) < set(seeds) or any(each != types for each in actual):
        raise ValueError(f"dropped={reasons}")


def describe_data(source: Source, before: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """Return what identifies a finite data set: sizes, shape, and a digest of all of it.

    The digest is of the samples and labels of all parts or, where the samples are the rows of a
    .npy file, of that. None where samples are drawn afresh.

    Args:
        source: The data.
        before: An earlier description. Its digest is taken over, and the file is not read, if the
            file has the same size, times and inode as then.

    Raises:
        ConfigError: The file cannot be read.
    """
    if source.n_train is None:
        return None
    counts = {"n_train": source.n_train, "shape": list(source.shape)}
    counts |= {"n_validation": source.n_validation, "n_held_out": source.n_held_out}
    if not isinstance(source, FiniteSource) or source.file is None:
        return {**counts, "samples_sha256": _digest_samples(source)}
    state, before = _file_state(source.file), before or {}
    is_same = before.get(_FILE_STATE) == state and isinstance(before.get("file_sha256"), str)
    digest = before["file_sha256"] if is_same else _digest_file(source.file)
    return {**counts, "file_sha256": digest, _FILE_STATE: state}


def check_data(path: Path, content: Mapping[str, Any], source: Source) -> dict[str, Any] | None:
    """Refuse data that are not those of a checkpoint; an old checkpoint does not name its data.

    Returns:
        The description of the data, see `describe_data`.

    Raises:
        ConfigError: They differ, whatever the path to them.
    """
    theirs = content.get("data")
    data = describe_data(source, theirs if isinstance(theirs, Mapping) else None)
    if theirs is None:
        return data
    with damage_if_malformed(path):
        theirs, ours = _flatten(theirs), _flatten(data or {})
    if data is not None and "sha256" in theirs:  # of an earlier version
        ours["sha256"] = _digest_some(source)
    if data is not None and "samples_sha256" in theirs and "samples_sha256" not in ours:
        ours["samples_sha256"] = _digest_samples(source)  # then they were no .npy file
    differences = [
        _format_difference(key, theirs, ours)
        for key in theirs
        if key != _FILE_STATE and theirs[key] != ours.get(key)
    ]
    if differences:
        raise ConfigError(
            f"the training data are not those that {path} was trained on (there / here): "
            f"{_join(differences)}. Put those back, or train anew with train"
        )
    return data


def _digest_samples(source: Source) -> str:
    """Return the SHA-256 of all samples and labels; of a source without parts, of the training's.

    The CPU does about 2 GB a second.
    """
    hasher = hashlib.sha256()
    assert source.n_train is not None
    if not isinstance(source, FiniteSource):
        _update(hasher, source.gather, source.n_train, source)
        return hasher.hexdigest()
    sizes: dict[Part, int] = {"train": source.n_train, "validation": source.n_validation}
    sizes["held_out"] = source.n_held_out
    for part, n in sizes.items():
        _update(hasher, partial(source.raw, part), n, source)
    for labels in (source.train_labels, source.validation_labels, source.held_out_labels):
        if labels is not None:
            hasher.update(labels.cpu().contiguous().numpy().data)
    return hasher.hexdigest()


def _update(
    hasher: "hashlib._Hash", read: Callable[[Tensor], Tensor], n: int, source: Source
) -> None:
    at_once = max(1, _BLOCK_BYTES // 4 // max(1, torch.Size(source.shape).numel()))
    for rows in torch.arange(n, device=source.device).split(at_once):
        hasher.update(read(rows).cpu().contiguous().numpy().data)


def _digest_some(source: Source) -> str:
    """Return the digest of an earlier version: of training samples as float32, up to 64 MiB.

    Of a larger set it covers every second, third ... one.
    """
    n = source.n_train
    assert n is not None
    row_bytes = 4 * torch.Size(source.shape).numel()
    at_once = max(1, min(4096, _DIGEST_BYTES // 4 // row_bytes))  # rows of any size
    hasher = hashlib.sha256()
    indices = torch.arange(0, n, -(-n * row_bytes // _DIGEST_BYTES), device=source.device)
    for rows in indices.split(at_once):
        hasher.update(source.gather(rows).cpu().contiguous().numpy().data)
    return hasher.hexdigest()


def _digest_file(path: Path) -> str:
    """Return the SHA-256 of a file's bytes, read in blocks."""
    with _refuse_unreadable(path), open(path, "rb", buffering=0) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _file_state(path: Path) -> list[int]:
    """Return size, times of modification and of the inode's change (ns), and the inode."""
    with _refuse_unreadable(path):
        status = os.stat(path)
    return [status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino]


@contextlib.contextmanager
def _refuse_unreadable(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        reason = error.strerror or error
        raise ConfigError(f"data file {path} cannot be read ({reason}); put it back") from error


def check_fits(checkpoint: LoadedCheckpoint, state: Mapping[str, Any]) -> None:
    """Refuse a checkpoint that does not fit a `state_dict` exactly; nothing is broadcast or cast.

    Raises:
        ConfigError: A leaf is missing, or there is one too many, of another shape or dtype.
        CheckpointDamaged: A weight is not finite.
    """
    if misfits := list(_misfits(checkpoint.content["state"], state, "")):
        raise ConfigError(
            f"checkpoint {checkpoint.path} does not fit the networks and optimisers that its "
            f"configuration makes here (checkpoint / here): {_join(misfits)}. Go on with the "
            f"version of gan_lab that made it, which status.json names"
        )
    check_finite(checkpoint.path, checkpoint.content["state"])


def check_finite(path: Path, state: Mapping[str, Any]) -> None:
    """Refuse weights that are not finite; a run stops before it saves such.

    Raises:
        CheckpointDamaged: There is one.
    """
    parts = {"discriminator": state["discriminator"]["params"], "generator": state["average"]}
    for network, leaves in parts.items():
        for name, leaf in leaves.items():
            if not bool(leaf.isfinite().all()):
                raise CheckpointDamaged(path, f"{network}.{name} is not finite")


@contextlib.contextmanager
def damage_if_malformed(path: Path) -> Iterator[None]:
    """Turn an error from content that no run saves into damage of its file.

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


def _misfits(theirs: Any, ours: Any, where: str) -> Iterator[str]:
    if isinstance(ours, Mapping) and isinstance(theirs, Mapping):
        for key in [*ours, *(key for key in theirs if key not in ours)]:
            name = f"{where}.{key}" if where else str(key)
            if key not in theirs:
                yield f"{name}: missing / {_kind(ours[key])}"
            elif key not in ours:
                yield f"{name}: {_kind(theirs[key])} / missing"
            else:
                yield from _misfits(theirs[key], ours[key], name)
    elif _kind(theirs) != _kind(ours):
        yield f"{where}: {_kind(theirs)} / {_kind(ours)}"


def _kind(value: Any) -> str:
    if isinstance(value, Tensor):
        return f"{str(value.dtype).removeprefix('torch.')} {list(value.shape)}"
    return type(value).__name__


def _flatten(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        is_nested = isinstance(value, Mapping) and value
        leaves |= _flatten(value, f"{name}.") if is_nested else {name: value}
    return leaves


def _sort_key(key: str) -> tuple[bool, bool, str]:
    """Sort classes before their keys, and those before mere defaults."""
    return key.startswith("hints."), not key.endswith("_target_"), key


def _format_difference(key: str, theirs: Mapping[str, Any], ours: Mapping[str, Any]) -> str:
    texts = [repr(each[key]) if key in each else "missing" for each in (theirs, ours)]
    return f"{key}: {' / '.join(t if len(t) <= 60 else f'{t[:57]}...' for t in texts)}"


def _join(items: list[str]) -> str:
    n_more = len(items) - _MAX_DIFFERENCES
    return ", ".join(items[:_MAX_DIFFERENCES]) + (f" and {n_more} more" if n_more > 0 else "")
