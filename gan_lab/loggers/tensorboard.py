"""TensorBoard: the same numbers as metrics.jsonl as curves, and pictures, texts and events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from gan_lab.loggers.base import Chart, Logger, Status
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir

if TYPE_CHECKING:
    from gan_lab.loggers.tensorboard_writer import TensorBoardWriter


class TensorBoardLogger(Logger):
    """Shows a seed in TensorBoard, in `tensorboard/` of its directory.

    A record is with the kernel when a call returns, and on the disk after `flush`.
    """

    def __init__(self, directory: RunDir, seed: int, resume_step: int | None = None) -> None:
        # Not above: tensorboard takes its time, and a run without this logger needs none of it.
        from gan_lab.loggers.tensorboard_writer import TensorBoardWriter

        super().__init__(directory, seed, resume_step)
        self._file = TensorBoardWriter(directory.tensorboard, resume_step)

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the curves, as float32."""
        self._writer.scalars(step, values)

    def image(self, tag: str, step: int, png: bytes) -> None:
        """Write a picture."""
        self._writer.png(tag, step, png)

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Write a text."""
        self._writer.text(tag, text, step)

    def hparams(self, config: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """Make the run a row of the HParams table, which `session_end` writes."""
        self._writer.hparams(config, metrics)
        # A run that goes on may be complete: its headline stands in a row of the former start.
        if self.resume_step is not None and self.directory.metrics.exists():
            for row in read_metrics(self.directory.metrics):
                self._writer.update_result(row)

    def layout(self, charts: Sequence[Chart]) -> None:
        """Lay out the page of custom scalars."""
        self._writer.layout(charts)

    def session_end(self, status: Status) -> None:
        """Set the row's status; a TensorBoard that is open shows it after its next start."""
        self._writer.session_end(status)

    def flush(self) -> None:
        """Wait for the disk."""
        self._file.sync()

    def close(self) -> None:
        """Close the file; a second call does nothing."""
        self._file.close()

    @property
    def _writer(self) -> TensorBoardWriter:
        self.directory.path.stat()  # a directory that was removed is not made anew
        return self._file
