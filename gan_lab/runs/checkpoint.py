"""Checkpoints that are either exactly what was saved or refused.

A file holds {"format", "sha256", "content"}: torch.save itself notices no flipped bit in a tensor,
so the digest of the content travels with it. Files are read with weights_only: a checkpoint from a
stranger cannot run code.

What a checkpoint holds: nested containers of Tensor, str, int, float, bool and None.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import pickle
import re
import zipfile
from collections.abc import Iterable
from itertools import chain, islice
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from gan_lab.errors import ConfigError
from gan_lab.runs.run_dir import atomic_write

FORMAT = 2  # 2: one flat buffer of optimiser state for each player


class CheckpointDamaged(ConfigError):
    """The file is not what was saved. `reason` says what is wrong with it."""

    def __init__(self, path: Path, reason: str) -> None:
        super().__init__(
            f"checkpoint {path} is damaged: {reason}. Remove it to continue from an older one."
        )
        self.path, self.reason = path, reason


class CheckpointNotSaved(OSError):
    """A checkpoint could not be written; the files that were there before are untouched."""


class Loaded(NamedTuple):
    """A checkpoint that was read, and the newer ones that had to be passed over for it."""

    path: Path
    content: dict[str, Any]
    skipped: list[tuple[Path, str]]  # (path, reason), newest first


def save(path: Path, content: dict[str, Any]) -> None:
    """Writes a checkpoint atomically: a kill or a full disk leaves the old file as it was.

    Args:
        path: The file, by convention `checkpoint_path(directory, step)`.
        content: Nested dict, list and tuple of Tensor, str, int, float, bool and None. Tensors of
            any device are copied to the CPU, and a view is saved without the storage behind it.
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
            f"checkpoint {path} could not be written: {error.strerror or error}. {_left(path)}",
        ) from error


def _left(path: Path) -> str:
    """What there still is of a run, one checkpoint of which could not be written."""
    if path.parents[1].is_dir():
        return "Older checkpoints are untouched. Make room or mend the permissions, then resume"
    return "The directory of the run is gone, and what was in it; start it again with train"


def load(path: Path) -> dict[str, Any]:
    """Reads what `save` was given, tensors on the CPU.

    Raises:
        CheckpointDamaged: The file is missing, unreadable, empty, cut off, altered, or holds code.
        ConfigError: Another version of gan_lab wrote it.
    """
    if path.exists() and not path.is_file():  # to read a pipe would be to wait for ever
        raise CheckpointDamaged(path, "it is no file")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise CheckpointDamaged(path, f"it cannot be read: {error.strerror}") from error
    if not data:
        raise CheckpointDamaged(path, "it is empty")
    record = _unpacked(path, data)
    if not isinstance(record, dict) or not {"format", "sha256", "content"} <= record.keys():
        raise CheckpointDamaged(path, "it was not written by gan_lab")
    if type(record["format"]) is not int:
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


def _unpacked(path: Path, data: bytes) -> Any:
    """What torch.save made these bytes of, if they are no less than what they stand for."""
    try:
        if not data.startswith(b"PK"):  # torch would read older formats, which save never writes
            raise pickle.UnpicklingError("no archive")
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            bounded = sum(entry.file_size for entry in archive.infolist()) <= len(data)
        if bounded:
            record = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
            bounded = is_bounded(record, len(data))
    except pickle.UnpicklingError as error:  # torch's own message advises to allow the code
        reason = "it is no checkpoint, or holds code, which is never run"
        raise CheckpointDamaged(path, reason) from error
    except Exception as error:  # by fuzzing: at least ten types, from EOFError to AssertionError
        reason = f"it is cut off or altered ({type(error).__name__} while reading)"
        raise CheckpointDamaged(path, reason) from error
    if not bounded:
        raise CheckpointDamaged(path, "it stands for more than its bytes can hold")
    return record


def checkpoint_path(directory: Path, step: int) -> Path:
    """The file of one step: step_00000500.pt."""
    return directory / f"step_{step:08d}.pt"


def best_path(directory: Path, step: int) -> Path:
    """The file of a step that was the best so far: best_00000500.pt."""
    return directory / f"best_{step:08d}.pt"


def available(directory: Path) -> dict[int, Path]:
    """The checkpoints by step, oldest first, damaged ones included; other files are ignored."""
    return _numbered(directory, "step")


def bests(directory: Path) -> dict[int, Path]:
    """The same of those that were the best of their run at some time; the last one still is."""
    return _numbered(directory, "best")


def _numbered(directory: Path, kind: str) -> dict[int, Path]:
    found = {
        int(match[1]): path
        for path in directory.glob(f"{kind}_*.pt")
        if (match := re.fullmatch(rf"{kind}_(\d+)\.pt", path.name))
    }
    return dict(sorted(found.items()))


def is_name(step: object) -> bool:
    """Whether this names a checkpoint otherwise than by its step: best, before_divergence."""
    return isinstance(step, str) and bool(re.fullmatch(r"best|before_divergence(_\d+)?", step))


def load_latest(directory: Path, step: int | str | None = None) -> Loaded:
    """Reads the newest checkpoint that is whole, or the one of `step`.

    Args:
        directory: A run's checkpoints directory.
        step: Only this one, or one that has a name (see `is_name`): the best, or that before a
            divergence; no other is taken in its place.
    Raises:
        ConfigError: There is none, none is whole, or none is of this step.
        CheckpointDamaged: The one of `step` is damaged.
    """
    paths, best = available(directory), bests(directory)
    if step == "best":
        if not best:
            raise ConfigError(
                f"{directory} has no best checkpoint: it comes with the first regular one, where "
                "the ruler measures divergence/wasserstein. Leave step out for the last one."
            )
        step = max(best)
        return Loaded(best[step], load(best[step]), [])
    if isinstance(step, str):
        path = directory / f"{step}.pt"
        if not path.exists():
            raise ConfigError(f"{path} does not exist: no divergence has left it.")
        return Loaded(path, load(path), [])
    if step is not None:
        paths = best | paths
        if step not in paths:
            steps = ", ".join(map(str, paths)) or "none"
            raise ConfigError(
                f"{directory} has no checkpoint of step {step}. Choose one of its steps: {steps}."
            )
        return Loaded(paths[step], load(paths[step]), [])
    skipped: list[tuple[Path, str]] = []
    for path in reversed(paths.values()):
        try:
            return Loaded(path, load(path), skipped)
        except CheckpointDamaged as damage:
            skipped.append((path, damage.reason))
    if not skipped:
        raise ConfigError(
            f"{directory} has no checkpoint. If the run is training, wait for its first; if it was "
            "stopped before that, start it again with train."
        )
    reasons = "; ".join(f"{path.name}: {reason}" for path, reason in skipped)
    raise ConfigError(
        f"{directory} has no checkpoint that is whole ({reasons}). Restore one from a backup, or "
        "start the run again with train."
    )


def rotate(directory: Path, keep: int) -> None:
    """Removes all but the newest `keep` checkpoints.

    Of the best ones, those stay that a kept checkpoint names, and newer ones.
    Call it after a save and under the run's lock. Raises ValueError when keep < 1 (the run could
    never be resumed).
    """
    if keep < 1:
        raise ValueError(f"keep must be at least 1, got {keep}")
    paths, best = available(directory), bests(directory)
    kept = list(paths)[-keep:]
    named = {max((b for b in best if b <= step), default=None) for step in kept}
    old = [path for step, path in paths.items() if step not in kept]
    if kept:
        old += [p for step, p in best.items() if step not in named and step <= kept[-1]]
    for path in old:
        _remove(path)


def set_aside(loaded: Loaded) -> None:
    """Renames what was passed over for a checkpoint to *.damaged.

    Else a rotation would count it among the newest and remove a whole checkpoint in its place.
    Call it under the run's lock.
    """
    for path, _ in loaded.skipped:
        with contextlib.suppress(OSError):  # it stays: no reason not to train
            path.replace(path.with_name(f"{path.name}.damaged"))


def forget(directory: Path, after: int) -> None:
    """Removes the regular checkpoints of later steps. Call it under the run's lock."""
    for step, path in available(directory).items():
        if step > after:
            path.unlink(missing_ok=True)


def forget_bests(directory: Path, after: int) -> None:
    """Removes the best checkpoints of later steps, which a run that goes on from here makes again.

    Call it under the run's lock.
    """
    for step, path in bests(directory).items():
        if step > after:
            _remove(path)


def _remove(path: Path) -> None:
    """Removes a file or a link, never what is behind it; a folder of that name stays."""
    with contextlib.suppress(FileNotFoundError, IsADirectoryError):
        path.unlink()


_DEEPEST = 32  # levels of nesting; a run's checkpoint has some eight


def digest(content: Any) -> str:
    """sha256 of types, keys, dtypes, shapes and values; the order of a dict's keys is no matter.

    Equal digests mean equal states, so two runs can be compared without comparing files.

    Raises:
        TypeError: Something is neither a tensor nor a plain container or scalar.
    """
    hasher = hashlib.sha256()

    def add(node: Any, where: str) -> None:
        # Every node says its type and its size first: no two contents feed the same bytes.
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
    """The same nest with plain containers and tensors that own exactly their storage."""
    if isinstance(node, Tensor):
        return node.detach().to("cpu", copy=True).contiguous()
    if isinstance(node, dict):
        return {key: to_cpu(item) for key, item in node.items()}
    if isinstance(node, list | tuple):
        items = [to_cpu(item) for item in node]
        return items if isinstance(node, list) else tuple(items)
    return node


def is_bounded(record: Any, limit: int) -> bool:
    """Whether what was read is no larger than a file of so many bytes, however it is walked.

    A tensor of a terabyte may share a number, and a list may name another a thousand times: whoever
    walks through them, `digest` first, would not come to an end.
    """
    level, n_levels = [record], 0
    while level:
        limit -= sum(node.nbytes if isinstance(node, Tensor) else 1 for node in level)
        n_levels += 1
        if limit < 0 or n_levels > _DEEPEST:
            return False
        level = list(islice(chain.from_iterable(map(_inside, level)), limit + 1))
    return True


def _inside(node: Any) -> Iterable[Any]:
    if isinstance(node, dict):
        return chain(node, node.values())
    return node if isinstance(node, list | tuple) else ()
