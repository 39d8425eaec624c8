"""JSON lines: metrics.jsonl and events.jsonl are read back, and cut back to a step."""

import json
import math
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.runs.old_names import current_tag
from gan_lab.runs.run_dir import atomic_write
from gan_lab.runs.safe_io import read_regular

_MAX_BYTES = 1 << 36  # of a metrics.jsonl
_NOT_FINITE = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


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
