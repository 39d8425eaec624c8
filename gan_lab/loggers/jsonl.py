"""JSON lines: how metrics.jsonl and events.jsonl grow, are read, and are cut back to a step."""

import errno
import json
import math
import os
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.loggers.base import Logger
from gan_lab.runs.compatibility import current_tag
from gan_lab.runs.run_dir import APPEND, RunDir, atomic_write, to_json
from gan_lab.runs.safe_io import read_regular

_MAX_BYTES = 1 << 36  # of a metrics.jsonl
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


class AppendFile:
    """A file that grows by whole records: each `write` appends all of its bytes or none.

    Unbuffered: a record survives kill -9 once `write` has returned (the kernel has it), and a power
    cut once `sync` has.
    """

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        self.path = path
        self._fd = os.open(path, APPEND, 0o666)

    def write(self, record: bytes) -> None:
        """Append one record; on OSError (a full disk) the file is as it was before the call.

        Raises:
            OSError: It could not be written; FileNotFoundError if somebody removed the file.
        """
        file = os.fstat(self._fd)
        if not file.st_nlink:  # else the records would be lost without an error
            raise FileNotFoundError(errno.ENOENT, "The file was removed", str(self.path))
        try:
            rest = memoryview(record)
            while rest:  # a nearly full disk takes a part first and refuses only the next call
                rest = rest[os.write(self._fd, rest) :]
        except OSError:
            os.ftruncate(self._fd, file.st_size)  # half a record would hide all later ones
            raise

    def sync(self) -> None:
        """Wait until everything written is on the disk. Raises OSError when it cannot be."""
        os.fsync(self._fd)

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1


class JsonlLogger(Logger):
    """Writes metrics.jsonl and events.jsonl: numbers in full precision, for programs.

    Resume, compare and the detectors read them, so every training has this logger. A record is with
    the kernel when a call returns (it survives kill -9), and on the disk after `flush`.

    Raises:
        ConfigError: A new run (no resume_step) meets the metrics of an earlier one.
        OSError: The files cannot be opened.
    """

    def __init__(self, directory: RunDir, seed: int, resume_step: int | None = None) -> None:
        super().__init__(directory, seed, resume_step)
        metrics, events = directory.metrics, directory.events
        if resume_step is not None:
            cut_back(metrics, resume_step)
            cut_back(events, resume_step)
        elif metrics.exists() and metrics.stat().st_size:
            raise ConfigError(
                f"{metrics} holds the metrics of an earlier run. Continue that run with resume, or "
                "choose another directory with hydra.run.dir=..."
            )
        self._metrics, self._events = AppendFile(metrics), AppendFile(events)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write a line to metrics.jsonl."""
        self._metrics.write(to_json({"step": step, "seed": self.seed, **values}))

    def event(self, step: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Write a line to events.jsonl: what happened at this step, and when."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = {"step": step, "seed": self.seed, "kind": kind, "time": now, **fields}
        self._events.write(to_json(line))

    def flush(self) -> None:
        """Wait for the disk."""
        self._metrics.sync()
        self._events.sync()

    def close(self) -> None:
        """Close the files; a second call does nothing."""
        self._metrics.close()
        self._events.close()


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read a metrics.jsonl or events.jsonl; "inf", "-inf" and "nan" become floats again.

    A last line that a kill has torn is left out.

    Raises:
        ConfigError: There is no such file, or a line before the last is not a JSON object.
    """
    try:
        records: list[Any] = [record for _, record in _records(path)]
    except OSError as error:
        raise ConfigError(f"{path} cannot be read: {error.strerror}.") from error
    if records and records[-1] is None:
        records.pop()
    if None in records:
        number = records.index(None) + 1
        raise ConfigError(f"{path}, record {number} is no JSON object. Remove the line.")
    return records


def cut_back(path: Path, step: int) -> None:
    """Keep the records up to a step, byte for byte; later ones and torn lines go."""
    if path.exists():
        lines = [line for line, record in _records(path) if record and _step(record) <= step]
        atomic_write(path, b"".join(line + b"\n" for line in lines))


def _records(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """Yield each line and the object in it, None where there is none."""
    for line in filter(None, read_regular(path, _MAX_BYTES).split(b"\n")):
        try:
            record = json.loads(line, object_hook=_current)
        except (ValueError, RecursionError):  # torn, or the zeros that a power cut leaves
            record = None
        yield line, record if isinstance(record, dict) else None


def _current(record: dict[str, Any]) -> dict[str, Any]:
    return {
        current_tag(key): _NOT_FINITE.get(value, value) if isinstance(value, str) else value
        for key, value in record.items()
    }


def _step(record: Mapping[str, Any]) -> float:
    """Return a record's step; one without a step counts as after everything."""
    step = record.get("step")
    return step if type(step) is int else math.inf
