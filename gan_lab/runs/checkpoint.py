"""Checkpoints that are either exactly what was saved or refused.

A file holds {"format", "sha256", "content"}: torch.load does not detect a flipped bit in a tensor,
so the digest of the content is saved with it. Files are read with weights_only: a checkpoint from a
stranger cannot run code. The content is nested dict, list and tuple of Tensor, str, int, float,
bool and None.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Iterable, Mapping
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_lab.errors import ConfigError
from gan_lab.runs.headline import HEADLINES
from gan_lab.runs.run_dir import atomic_write

FORMAT = 2  # 2: one flat buffer of optimiser state for each network
_MAX_DEPTH = 32  # levels of nesting; a run's checkpoint has some eight


class CheckpointDamaged(ConfigError):
    """The file is not what was saved. `reason` says what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"checkpoint {path} is damaged: {reason}. Remove it to continue from an older one."
        )
        self.path, self.reason = path, reason


class CheckpointNotSaved(OSError):
    """A checkpoint could not be written; the files that were there before are untouched."""


class LoadedCheckpoint(NamedTuple):
    """A checkpoint that was read, and the newer, damaged ones that were skipped."""

    path: Path
    content: dict[str, Any]
    damaged_files: list[tuple[Path, str]]  # (path, reason), newest first


def save(path: Path, content: dict[str, Any]) -> None:
    """Write a checkpoint atomically: a kill or a full disk leaves the old file as it was.

    Tensors of any device are copied to the CPU, and a view is saved without the storage behind it.

    Raises:
        TypeError: Something else is in it (a numpy scalar, a Path); the message says where.
        CheckpointNotSaved: An OSError, most often a full disk; its errno is kept.
    """
    content = to_cpu(content)
    buffer = io.BytesIO()
    torch.save({"format": FORMAT, "sha256": digest(content), "content": content}, buffer)
    try:
        path.parent.mkdir(exist_ok=True)  # not its parents: a run whose directory is gone is lost
        atomic_write(path, buffer.getbuffer())
    except OSError as error:
        raise CheckpointNotSaved(
            error.errno,
            f"checkpoint {path} could not be written: {error.strerror or error}. {_advice(path)}",
        ) from error


def _advice(path: Path) -> str:
    """Return what to do about a checkpoint that could not be written."""
    if path.parents[1].is_dir():
        return "Older checkpoints are untouched. Make room or mend the permissions, then resume"
    return "The directory of the run is gone, and what was in it; start it again with train"


def load(path: Path) -> dict[str, Any]:
    """Read the content that was given to `save`, tensors on the CPU.

    Raises:
        CheckpointDamaged: The file is missing, unreadable, empty, cut off, altered, or holds code.
        ConfigError: Another version of gan_lab wrote it.
    """
    if path.exists() and not path.is_file():  # reading a pipe would wait for ever
        raise CheckpointDamaged(path, "it is no file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointDamaged(path, f"it cannot be read: {error.strerror}") from error
    if not data:
        raise CheckpointDamaged(path, "it is empty")
    record = _unpack(path, data)
    is_ours = isinstance(record, dict) and {"format", "sha256", "content"} <= record.keys()
    if not is_ours or type(record["format"]) is not int:
        raise CheckpointDamaged(path, "it was not written by gan_lab")
    if record["format"] != FORMAT:
        raise ConfigError(
            f"checkpoint {path} has format {record['format']} and this gan_lab reads {FORMAT}; "
            f"go on with the version that made it, which status.json names."
        )
    try:
        intact = digest(record["content"]) == record["sha256"]
    except Exception:  # altered into something that `save` would have refused
        intact = False
    if not intact:
        raise CheckpointDamaged(path, "its content does not match its sha256")
    return record["content"]


def _unpack(path: Path, data: bytes) -> Any:
    """Return what torch.save packed, unless it unpacks to more than the bytes can hold."""
    try:
        if not data.startswith(b"PK"):  # torch reads older formats too, which save never writes
            raise pickle.UnpicklingError("no archive")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            is_bounded = sum(entry.file_size for entry in archive.infolist()) <= len(data)
        if is_bounded:
            record = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            is_bounded = _is_bounded(record, len(data))
    except pickle.UnpicklingError as error:  # torch's own message advises to allow the code
        reason = "it is no checkpoint, or holds code, which is never run"
        raise CheckpointDamaged(path, reason) from error
    except Exception as error:  # by fuzzing: at least ten types, from EOFError to AssertionError
        reason = f"it is cut off or altered ({type(error).__name__} while reading)"
        raise CheckpointDamaged(path, reason) from error
    if not is_bounded:
        raise CheckpointDamaged(path, "it stands for more than its bytes can hold")
    return record


def checkpoint_path(directory: Path, step: int) -> Path:
    """Return the file of one step: step_00000500.pt."""
    return directory / f"step_{step:08d}.pt"


def best_path(directory: Path, step: int) -> Path:
    """Return the file of a step that was the best so far: best_00000500.pt."""
    return directory / f"best_{step:08d}.pt"


def available(directory: Path) -> dict[int, Path]:
    """Return the checkpoints by step, oldest first, with damaged ones; other files are ignored."""
    return _files_by_step(directory, "step")


def bests(directory: Path) -> dict[int, Path]:
    """Return those that were the best of their run at some time; the last one still is."""
    return _files_by_step(directory, "best")


def _files_by_step(directory: Path, kind: str) -> dict[int, Path]:
    files = {
        int(match[1]): path
        for path in directory.glob(f"{kind}_*.pt")
        if (match := re.fullmatch(rf"{kind}_(\d+)\.pt", path.name))
    }
    return dict(sorted(files.items()))


def is_name(step: object) -> bool:
    """Return whether this is a checkpoint's name instead of its step: best, before_divergence."""
    return isinstance(step, str) and bool(re.fullmatch(r"best|before_divergence(_\d+)?", step))


def load_latest(directory: Path, step: int | str | None = None) -> LoadedCheckpoint:
    """Read the newest checkpoint that is not damaged, or that of `step`, which may be an `is_name`.

    No other is read in the place of a damaged one of `step`.

    Raises:
        ConfigError: There is none, none is whole, or none is of this step.
        CheckpointDamaged: The one of `step` is damaged.
    """
    paths, best = available(directory), bests(directory)
    if step == "best":
        if not best:
            raise ConfigError(
                f"{directory} has no best checkpoint: it comes with the first regular one, where "
                f"the evaluator measures {' or '.join(HEADLINES)}. Leave step out for the last one."
            )
        step = max(best)
        return LoadedCheckpoint(best[step], load(best[step]), [])
    if isinstance(step, str):
        path = directory / f"{step}.pt"
        if not path.exists():
            raise ConfigError(f"{path} does not exist: no divergence has left it.")
        return LoadedCheckpoint(path, load(path), [])
    if step is not None:
        paths = best | paths
        if step not in paths:
            steps = ", ".join(map(str, paths)) or "none"
            raise ConfigError(
                f"{directory} has no checkpoint of step {step}. Choose one of its steps: {steps}."
            )
        return LoadedCheckpoint(paths[step], load(paths[step]), [])
    damaged_files: list[tuple[Path, str]] = []
    for path in reversed(paths.values()):
        try:
            return LoadedCheckpoint(path, load(path), damaged_files)
        except CheckpointDamaged as damage:
            damaged_files.append((path, damage.reason))
    if not damaged_files:
        raise ConfigError(
            f"{directory} has no checkpoint. If the run is training, wait for its first; if it was "
            "stopped before that, start it again with train."
        )
    reasons = "; ".join(f"{path.name}: {reason}" for path, reason in damaged_files)
    raise ConfigError(
        f"{directory} has no checkpoint that is whole ({reasons}). Restore one from a backup, or "
        "start the run again with train."
    )


def rotate(directory: Path, keep: int) -> None:
    """Remove all but the newest `keep` checkpoints, after a save and under the run's lock.

    Of the best ones, those that a remaining checkpoint names stay, and newer ones.

    Raises:
        ValueError: keep < 1; the run could never be resumed.
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}")
    paths, best = available(directory), bests(directory)
    newest = list(paths)[-keep:]
    references = {max((b for b in best if b <= step), default=None) for step in newest}
    old = [path for step, path in paths.items() if step not in newest]
    if newest:
        old += [p for step, p in best.items() if step not in references and step <= newest[-1]]
    for path in old:
        _remove(path)


def set_aside(latest: LoadedCheckpoint) -> None:
    """Rename the damaged files to *.damaged, under the run's lock.

    Else a rotation would count them among the newest and remove an intact one in their place.
    """
    for path, _ in latest.damaged_files:
        with contextlib.suppress(OSError):  # it stays: no reason not to train
            path.replace(path.with_name(f"{path.name}.damaged"))


def remove_later(paths: Mapping[int, Path], step: int) -> None:
    """Remove those of the `available` checkpoints or `bests` of later steps, under the lock."""
    for each, path in paths.items():
        if each > step:
            _remove(path)


def _remove(path: Path) -> None:
    """Remove a file or a link, never its target; a folder of that name stays."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        path.unlink()


def digest(content: Any) -> str:
    """Return the sha256 of types, keys, dtypes, shapes and values, in any order of a dict's keys.

    Equal digests mean equal states, so two runs can be compared without comparing files.

    Raises:
        TypeError: Something is neither a tensor nor a plain container or scalar.
    """
    hasher = hashlib.sha256()

    def add(node: Any, where: str) -> None:
        # Every node gives its type and its size first: no two contents have the same bytes.
        if isinstance(node, Tensor):
            hasher.update(f"{node.dtype} {tuple(node.shape)};".encode())
            flat = node.detach().cpu().contiguous().flatten()
            hasher.update(flat.view(torch.uint8).numpy().data)
        elif isinstance(node, dict):
            hasher.update(f"dict {len(node)};".encode())
            for key in sorted(node, key=lambda key: (type(key).__name__, repr(key))):
                add(key, f"{where}, a key")
                add(node[key], f"{where}[{key!r}]")
        elif isinstance(node, list | tuple):
            hasher.update(f"{'list' if isinstance(node, list) else 'tuple'} {len(node)};".encode())
            for index, item in enumerate(node):
                add(item, f"{where}[{index}]")
        elif type(node) is str:
            text = node.encode(errors="surrogatepass")
            hasher.update(f"str {len(text)};".encode() + text)
        elif type(node) in (int, float, bool, type(None)):  # not isinstance: np.float64 is a float
            hasher.update(f"{type(node).__name__} {node!r};".encode())
        else:
            raise TypeError(
                f"{where} is a {type(node).__name__}; a checkpoint holds tensors, dict, list, "
                "tuple, str, int, float, bool and None. Convert it."
            )

    add(content, "content")
    return hasher.hexdigest()


def to_cpu(node: Any) -> Any:
    """Return the same content with plain containers and tensors that own exactly their storage."""
    if isinstance(node, Tensor):
        return node.detach().to("cpu", copy=True).contiguous()
    if isinstance(node, dict):
        return {key: to_cpu(item) for key, item in node.items()}
    if isinstance(node, list | tuple):
        items = [to_cpu(item) for item in node]
        return items if isinstance(node, list) else tuple(items)
    return node


def _is_bounded(record: Any, limit: int) -> bool:
    """Return whether a record is no larger than a file of `limit` bytes can hold.

    A tensor of a terabyte may share one number, and a list may hold another a thousand times: a
    walk through them, that of `digest` first, would not end.
    """
    level, n_levels = [record], 0
    while level:
        limit -= sum(node.nbytes if isinstance(node, Tensor) else 1 for node in level)
        n_levels += 1
        if limit < 0 or n_levels > _MAX_DEPTH:
            return False
        level = list(islice(chain.from_iterable(map(_children, level)), limit + 1))
    return True


def _children(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return chain(node, node.values())
    return node if isinstance(node, list | tuple) else ()
