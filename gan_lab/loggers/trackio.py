"""Trackio: a local database of runs with a dashboard, without an account (optional package)."""

from __future__ import annotations

import contextlib
import contextvars
import importlib.util
import io
import sqlite3
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from PIL import Image

from gan_lab.errors import ConfigError
from gan_lab.loggers.base import Logger
from gan_lab.runs.run_dir import RunDir


class TrackioLogger(Logger):
    """Shows a seed as a run of Trackio, named after its directory; `trackio show` draws it.

    Trackio writes every half second in a thread of its own, into the folder TRACKIO_DIR (by default
    a cache of the user), so that kill -9 loses half a second of records. It cannot cut a run back:
    after a kill and a resume from the same working directory, steps after the checkpoint are there
    twice, with equal numbers.

    Args:
        directory: See `Logger`.
        seed: See `Logger`.
        resume_step: See `Logger`.
        project: Name of the database; its runs share charts.

    Raises:
        ConfigError: Trackio cannot start.
    """

    def __init__(
        self,
        directory: RunDir,
        seed: int,
        resume_step: int | None = None,
        project: str = "gan_lab",
    ) -> None:
        super().__init__(directory, seed, resume_step)
        self.check()
        import trackio

        self._trackio = trackio
        arguments = {
            "name": _run_name(directory.path),
            "config": yaml.safe_load(directory.config.read_text())
            if directory.config.exists()
            else {},
            "resume": "never" if resume_step is None else "allow",
            "auto_log_cpu": False,
            "auto_log_gpu": False,
            "embed": False,
        }
        try:
            # In a context of its own: `init` would else finish the run of the seed before.
            with contextlib.redirect_stdout(io.StringIO()):
                self._run = contextvars.Context().run(trackio.init, project, **arguments)
        except (OSError, RuntimeError, ValueError, sqlite3.Error) as error:
            raise ConfigError(
                f"logger=trackio cannot start ({type(error).__name__}: {error}). Mend that, or "
                "leave it out: logger=[jsonl,tensorboard]"
            ) from error
        # Its thread warns of what it cannot write, once; here every time is an error of a call.
        self._failures: list[str] = []
        self._run._warn_once = lambda _, message: self._failures.append(message)

    @classmethod
    def check(cls) -> None:
        """Refuse to train without the package."""
        if importlib.util.find_spec("trackio") is None:
            raise ConfigError(
                "logger=trackio needs another package: pip install -e '.[trackio]' in the source "
                "tree; or leave it out: logger=[jsonl,tensorboard]"
            )

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the curves."""
        self._log(dict(values), step)

    def image(self, tag: str, step: int, png: bytes) -> None:
        """Write a picture."""
        with Image.open(io.BytesIO(png)) as picture:
            self._log({tag: self._trackio.Image(picture.convert("RGB"))}, step)

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Write a text."""
        self._log({tag: self._trackio.Markdown(text)}, step)

    def close(self) -> None:
        """Wait until all is in the database, half a minute at most."""
        with contextlib.redirect_stdout(io.StringIO()):
            self._run.finish()
        self._raise_failure()

    def _log(self, values: dict[str, Any], step: int) -> None:
        self._run.log(values, step=step)
        self._raise_failure()

    def _raise_failure(self) -> None:
        if self._failures:
            message = self._failures[-1]
            self._failures.clear()
            raise RuntimeError(message)


def _run_name(path: Path) -> str:
    """Return the directory relative to the working directory, or to the root if outside of it."""
    path, here = path.resolve(), Path.cwd()
    return path.relative_to(here if path.is_relative_to(here) else path.anchor).as_posix()
