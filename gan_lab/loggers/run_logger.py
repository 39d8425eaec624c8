"""The logger of a seed: it forwards each record to all loggers and counts what is lost."""

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.loggers.base import Chart, Logger, LoggerFactory, Status
from gan_lab.loggers.jsonl import JsonlLogger
from gan_lab.loggers.lost_records import read_lost_records
from gan_lab.loggers.tensorboard import TensorBoardLogger
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted

DEFAULT_LOGGERS: tuple[LoggerFactory, ...] = (
    LoggerFactory(JsonlLogger),
    LoggerFactory(TensorBoardLogger),
)


class RunLogger:
    """Writes the records of one seed to each of its loggers.

    Once constructed, no error of a logger leaves this class: it costs that logger's record, never
    the training.

    Args:
        run: The directory of this seed.
        seed: Written into every line.
        tensorboard: Leave TensorBoard in the list.
        resume_step: Step of the checkpoint the run continues from. Later records are dropped: the
            run will write them again.
        loggers: What is written to.
    Attributes:
        lost_records: What failed to be written, for the run's status.
    Raises:
        ConfigError: A new run (no resume_step) meets the metrics of an earlier one, or a logger of
            the user's own raises something.
        OSError: The files cannot be opened; before training is the time to say so.
    """

    def __init__(
        self,
        run: RunDir,
        seed: int,
        *,
        tensorboard: bool = True,
        resume_step: int | None = None,
        loggers: Sequence[LoggerFactory] = DEFAULT_LOGGERS,
    ) -> None:
        self.lost_records = read_lost_records(run, resume_step)
        self._directory, self._step = run, resume_step or 0
        self._warnings: set[object] = set()  # kinds of errors that were warned of
        self._loggers: list[Logger] = []
        try:
            for factory in loggers:
                if tensorboard or factory.cls is not TensorBoardLogger:
                    self._loggers.append(_start(factory, run, seed, resume_step))
        except BaseException:
            self.close()
            raise

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step by tag."""
        self._step = step
        numbers = {tag: float(value) for tag, value in values.items()}
        self._forward(lambda logger: logger.scalars(step, numbers))

    def event(self, step: int, kind: str, **fields: Any) -> None:
        """Write what happened at this step."""
        self._forward(lambda logger: logger.event(step, kind, fields))

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Write a text (Markdown)."""
        self._forward(lambda logger: logger.text(tag, text, step))

    def image(self, tag: str, step: int, png: bytes) -> None:
        """Write a picture: the content of a PNG file. Raises ValueError otherwise."""
        if not png.startswith(b"\x89PNG"):
            raise ValueError(f"a picture is the content of a PNG file, got {png[:8]!r}...")
        self._forward(lambda logger: logger.image(tag, step, png))

    def keep(self, path: Path, step: int, write: Callable[[Path], object]) -> None:
        """Write a picture or a landscape with `write(path)`; of one that fails, nothing stays."""
        self._step = step
        with self._count_lost(path.name, OSError):
            self._directory.path.stat()  # a directory that was removed is not made anew
            try:
                write(path)
            except OSError:
                with contextlib.suppress(OSError):
                    path.unlink(missing_ok=True)
                raise

    def layout(self, layout: Sequence[Chart]) -> None:
        """Arrange a page of charts."""
        self._forward(lambda logger: logger.layout(layout))

    def hparams(self, config: Mapping[str, Any], metrics: Iterable[str]) -> None:
        """Make the run a row of a table of runs, status RUNNING."""
        tags = tuple(metrics)
        self._forward(lambda logger: logger.hparams(config, tags))
        self.session_end("running")

    def session_end(self, status: Status) -> None:
        """Set the row's status."""
        self._forward(lambda logger: logger.session_end(status))

    def flush(self) -> None:
        """Wait for the disk; before each checkpoint, which then has no step that is not on it."""
        self._forward(lambda logger: logger.flush())

    def close(self) -> None:
        """Flush and close; a second call does nothing."""
        self.flush()
        self._forward(lambda logger: logger.close())
        self._loggers.clear()

    def _forward(self, write: Callable[[Logger], object]) -> None:
        for logger in self._loggers:
            with self._count_lost(type(logger).__name__, Exception):
                write(logger)

    @contextlib.contextmanager
    def _count_lost(self, name: str, errors: type[Exception]) -> Iterator[None]:
        """Count these errors within the block, and warn of the first of each sort."""
        try:
            yield
        except Interrupted:  # a signal, which is no error of a logger
            raise
        except errors as error:
            sort = getattr(error, "errno", None) or type(error)
            if sort not in self._warnings:
                self._warnings.add(sort)
                what = "" if isinstance(error, OSError) else f"{type(error).__name__}: "
                why = what + " ".join(str(error).split())
                warning = f"records of {self._directory.path} are lost ({name}: {why})"
                with contextlib.suppress(OSError):  # stderr may be a file on the same disk
                    print(f"warning: {warning}; the training goes on", file=sys.stderr, flush=True)
            self.lost_records.add(self._step, error)


def _start(factory: LoggerFactory, run: RunDir, seed: int, resume_step: int | None) -> Logger:
    """Return a logger; refuse one of the user's own that cannot be made."""
    try:
        return factory(run, seed, resume_step)
    except (ConfigError, OSError, Interrupted):
        raise
    except Exception as error:
        raise ConfigError(
            f"the logger {factory.cls.__name__} cannot be made ({type(error).__name__}: {error}); "
            f"repair it, or leave it out of logger=[...]"
        ) from error
