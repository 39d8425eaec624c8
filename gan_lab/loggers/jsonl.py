"""What a run says while it trains: metrics.jsonl, events.jsonl and TensorBoard.

The same numbers under the same tags in both places: the files are for programs, TensorBoard is for
eyes. A disk that fills up costs records, never the training: `Recorder.lost` says which.
"""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import math
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gan_lab.errors import ConfigError
from gan_lab.loggers.tensorboard import Layout, TensorBoardWriter
from gan_lab.runs.old_names import current_tag
from gan_lab.runs.run_dir import AppendFile, RunDir, atomic_write, plain, to_json
from gan_lab.runs.safe_io import read_regular

_LONGEST = 1 << 36  # bytes of a metrics.jsonl
_WORDS = {"inf": math.inf, "-inf": -math.inf, "nan": math.nan}


@dataclass
class Lost:
    """Writes that failed, of all starts of a run; it is in its status.json.

    Attributes:
        writes: How many.
        first_step: Of the first one.
        last_step: Of the last one.
        why: The last error.
    """

    writes: int = 0
    first_step: int | None = None
    last_step: int | None = None
    why: str | None = None

    def add(self, step: int, error: OSError) -> None:
        """Counts one more."""
        self.writes += 1
        self.first_step = step if self.first_step is None else self.first_step
        self.last_step, self.why = step, error.strerror or str(error)


class RunLogger:
    """Writes the records of one seed into one run directory.

    A record is with the kernel when a call returns (it survives kill -9) and on the disk after
    `flush`. Once constructed, no OSError leaves this class.

    Args:
        run: The directory of this seed.
        seed: Written into every line.
        tensorboard: Also write TensorBoard's log.
        resume_step: Step of the checkpoint the run continues from. Later records are dropped, here
            and in TensorBoard: the run will write them again.
    Attributes:
        lost: What failed to be written, for the run's status.
    Raises:
        ConfigError: A new run (no resume_step) meets the metrics of an earlier one.
        OSError: The files cannot be opened; before training is the time to say so.
    """

    def __init__(
        self, run: RunDir, seed: int, *, tensorboard: bool = True, resume_step: int | None = None
    ) -> None:
        if resume_step is not None:
            _cut_back(run.metrics, resume_step)
            _cut_back(run.events, resume_step)
        elif run.metrics.exists() and run.metrics.stat().st_size:
            raise ConfigError(
                f"{run.metrics} holds the metrics of an earlier run. Continue that run with "
                "resume, or choose another directory with hydra.run.dir=..."
            )
        self.lost, self._warned = _lost_before(run, resume_step), False
        self._seed, self._step = seed, resume_step or 0
        self._metrics, self._events = AppendFile(run.metrics), AppendFile(run.events)
        self._writer = TensorBoardWriter(run.tensorboard, resume_step) if tensorboard else None
        self._files: list[AppendFile | TensorBoardWriter] = [self._metrics, self._events]
        self._files += [self._writer] if self._writer else []

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Writes one line and one TensorBoard summary (float32 there, full precision here)."""
        self._step = step
        numbers = {tag: float(value) for tag, value in values.items()}
        line = to_json({"step": step, "seed": self._seed, **numbers})
        self._try(lambda: self._metrics.write(line))
        self._show(lambda writer: writer.scalars(step, numbers))

    def event(self, step: int, kind: str, **fields: Any) -> None:
        """Writes one line to events.jsonl and one text: what happened at this step, and when."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = to_json({"step": step, "seed": self._seed, "kind": kind, "time": now, **fields})
        self._try(lambda: self._events.write(line))
        lines = [f"- **{name}**: {_told(value)}" for name, value in fields.items()]
        self.text(f"events/{kind}", "\n".join(lines) or kind, step)

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Shows a text (Markdown) in TensorBoard."""
        self._show(lambda writer: writer.text(tag, text, step))

    def image(self, tag: str, step: int, array: np.ndarray) -> None:
        """Shows an image in TensorBoard: uint8, shape [H, W, 3]. Raises ValueError otherwise."""
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
            raise ValueError(f"an image is uint8 [H, W, 3], got {array.dtype} {array.shape}")
        if self._writer:
            from PIL import Image  # only here, and most runs on toy data show no image

            png = io.BytesIO()
            Image.fromarray(array).save(png, format="png")
            self._show(lambda writer: writer.png(tag, step, png.getvalue()))

    def keep(self, path: Path, step: int, write: Callable[[Path], object]) -> None:
        """Writes a picture or a frame with `write(path)`; of one that fails, nothing stays."""
        self._step = step

        def whole() -> None:
            self._metrics.path.parent.stat()
            try:
                write(path)
            except OSError:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                raise

        self._try(whole)

    def layout(self, layout: Layout) -> None:
        """Lays out TensorBoard's page of custom scalars."""
        self._show(lambda writer: writer.layout(layout))

    def hparams(self, config: Mapping[str, Any], metrics: Iterable[str]) -> None:
        """Makes the run a row of TensorBoard's HParams table, with status RUNNING.

        Args:
            config: Flat. A bool, a number or a string a key; anything else is shown as text.
            metrics: Tags of the scalars that become columns.
        """
        if self._writer:
            self._writer.hparams(config, metrics)
            self.session_end("running")

    def session_end(self, status: Literal["running", "success", "failure"]) -> None:
        """Sets the row's status; a TensorBoard that is open shows it after its next start."""
        self._show(lambda writer: writer.session_end(status))

    def flush(self) -> None:
        """Waits for the disk. Called before each checkpoint, which then knows no lost record."""
        for file in self._files:
            self._try(file.sync)

    def close(self) -> None:
        """Flushes and closes; a second call does nothing."""
        self.flush()
        while self._files:
            self._try(self._files.pop().close)

    def _show(self, write: Callable[[TensorBoardWriter], None]) -> None:
        if writer := self._writer:

            def shown() -> None:
                self._metrics.path.parent.stat()  # a directory that was removed is not made anew
                write(writer)

            self._try(shown)

    def _try(self, write: Callable[[], None]) -> None:
        try:
            write()
        except OSError as error:
            if not self._warned:
                told = f"records of {self._metrics.path.parent} are lost ({error})"
                with contextlib.suppress(OSError):  # stderr may be a file on the same disk
                    print(f"warning: {told}; the training goes on", file=sys.stderr, flush=True)
            self._warned = True
            self.lost.add(self._step, error)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Reads a metrics.jsonl or events.jsonl; "inf", "-inf" and "nan" become floats again.

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


def _records(path: Path) -> Iterator[tuple[bytes, dict[str, Any] | None]]:
    """Each line and the object it holds, None when it holds none."""
    for line in filter(None, read_regular(path, _LONGEST).split(b"\n")):
        try:
            record = json.loads(line, object_hook=_numbers)
        except (ValueError, RecursionError):  # torn, or the zeros that a power cut leaves
            record = None
        yield line, record if isinstance(record, dict) else None


def _told(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_told(each)}" for name, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(plain(value))


def _numbers(record: dict[str, Any]) -> dict[str, Any]:
    return {
        current_tag(key): _WORDS.get(value, value) if isinstance(value, str) else value
        for key, value in record.items()
    }


def _lost_before(run: RunDir, resume_step: int | None) -> Lost:
    """What earlier starts could not write and this one will not write again."""
    try:
        lost = Lost(**dict(run.read_status().get("lost") or {}))
        first, last = int(lost.first_step or 0), int(lost.last_step or 0)
    except (TypeError, ValueError):  # somebody edited it
        return Lost()
    if resume_step is None or not lost.writes or first > resume_step:
        return Lost()
    return dataclasses.replace(lost, last_step=min(last, resume_step))


def _step(record: Mapping[str, Any]) -> float:
    """Of a record; one without belongs nowhere, and goes with what comes after everything."""
    step = record.get("step")
    return step if type(step) is int else math.inf


def _cut_back(path: Path, step: int) -> None:
    """Keeps the records up to a step, byte for byte; torn lines go."""
    if path.exists():
        kept = [line for line, record in _records(path) if record and _step(record) <= step]
        atomic_write(path, b"".join(line + b"\n" for line in kept))
