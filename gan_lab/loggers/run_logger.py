"""The logger of a run: metrics.jsonl, events.jsonl and TensorBoard.

The same numbers under the same tags in both places: the files are for programs, TensorBoard is for
eyes. A disk that fills up costs records, never the training: `RunLogger.lost_records` counts them.
"""

import contextlib
import io
import sys
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import numpy as np

from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import AppendFile, cut_back
from gan_lab.loggers.lost_records import read_lost_records
from gan_lab.loggers.tensorboard import Layout, TensorBoardWriter
from gan_lab.runs.run_dir import RunDir, plain, to_json


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
        lost_records: What failed to be written, for the run's status.
    Raises:
        ConfigError: A new run (no resume_step) meets the metrics of an earlier one.
        OSError: The files cannot be opened; before training is the time to say so.
    """

    def __init__(
        self, run: RunDir, seed: int, *, tensorboard: bool = True, resume_step: int | None = None
    ) -> None:
        if resume_step is not None:
            cut_back(run.metrics, resume_step)
            cut_back(run.events, resume_step)
        elif run.metrics.exists() and run.metrics.stat().st_size:
            raise ConfigError(
                f"{run.metrics} holds the metrics of an earlier run. Continue that run with "
                "resume, or choose another directory with hydra.run.dir=..."
            )
        self.lost_records = read_lost_records(run, resume_step)
        self._has_warned = False
        self._seed, self._step = seed, resume_step or 0
        self._metrics, self._events = AppendFile(run.metrics), AppendFile(run.events)
        self._writer = TensorBoardWriter(run.tensorboard, resume_step) if tensorboard else None
        self._files: list[AppendFile | TensorBoardWriter] = [self._metrics, self._events]
        self._files += [self._writer] if self._writer else []

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write one line and one TensorBoard summary (float32 there, full precision here)."""
        self._step = step
        numbers = {tag: float(value) for tag, value in values.items()}
        line = to_json({"step": step, "seed": self._seed, **numbers})
        self._try(lambda: self._metrics.write(line))
        self._show(lambda writer: writer.scalars(step, numbers))

    def event(self, step: int, kind: str, **fields: Any) -> None:
        """Write one line to events.jsonl and one text: what happened at this step, and when."""
        now = datetime.now(UTC).isoformat(timespec="seconds")
        line = to_json({"step": step, "seed": self._seed, "kind": kind, "time": now, **fields})
        self._try(lambda: self._events.write(line))
        lines = [f"- **{name}**: {_format(value)}" for name, value in fields.items()]
        self.text(f"events/{kind}", "\n".join(lines) or kind, step)

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Show a text (Markdown) in TensorBoard."""
        self._show(lambda writer: writer.text(tag, text, step))

    def image(self, tag: str, step: int, array: np.ndarray) -> None:
        """Show an image in TensorBoard: uint8, shape [H, W, 3]. Raises ValueError otherwise."""
        if array.dtype != np.uint8 or array.ndim != 3 or array.shape[2] != 3:
            raise ValueError(f"an image is uint8 [H, W, 3], got {array.dtype} {array.shape}")
        if self._writer:
            from PIL import Image  # only here, and most runs on toy data show no image

            png = io.BytesIO()
            Image.fromarray(array).save(png, format="png")
            self._show(lambda writer: writer.png(tag, step, png.getvalue()))

    def keep(self, path: Path, step: int, write: Callable[[Path], object]) -> None:
        """Write a picture or a landscape with `write(path)`; of one that fails, nothing stays."""
        self._step = step

        def write_whole() -> None:
            try:
                write(path)
            except OSError:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                raise

        self._try(write_whole, in_directory=True)

    def layout(self, layout: Layout) -> None:
        """Lay out TensorBoard's page of custom scalars."""
        self._show(lambda writer: writer.layout(layout))

    def hparams(self, config: Mapping[str, Any], metrics: Iterable[str]) -> None:
        """Make the run a row of TensorBoard's HParams table (see the writer), status RUNNING."""
        if self._writer:
            self._writer.hparams(config, metrics)
            self.session_end("running")

    def session_end(self, status: Literal["running", "success", "failure"]) -> None:
        """Set the row's status; a TensorBoard that is open shows it after its next start."""
        self._show(lambda writer: writer.session_end(status))

    def flush(self) -> None:
        """Wait for the disk; before each checkpoint, which then has no step that is not on it."""
        for file in self._files:
            self._try(file.sync)

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        self.flush()
        while self._files:
            self._try(self._files.pop().close)

    def _show(self, write: Callable[[TensorBoardWriter], None]) -> None:
        if writer := self._writer:
            self._try(lambda: write(writer), in_directory=True)

    def _try(self, write: Callable[[], object], in_directory: bool = False) -> None:
        try:
            if in_directory:
                self._metrics.path.parent.stat()  # a directory that was removed is not made anew
            write()
        except OSError as error:
            if not self._has_warned:
                warning = f"records of {self._metrics.path.parent} are lost ({error})"
                with contextlib.suppress(OSError):  # stderr may be a file on the same disk
                    print(f"warning: {warning}; the training goes on", file=sys.stderr, flush=True)
            self._has_warned = True
            self.lost_records.add(self._step, error)


def _format(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_format(each)}" for name, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(plain(value))
