"""The protocol of loggers: where a training's numbers, pictures and texts go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from gan_lab.runs.run_dir import RunDir, plain

Status = Literal["running", "success", "failure"]
# The first arguments of a logger: the run gives them, and no key of the configuration does.
RUN_ARGUMENTS = ("directory", "seed", "resume_step")


class Chart(NamedTuple):
    """A chart of a dashboard: a tag as a line, in a band from `<tag>_low` to `<tag>_high` or not.

    Charts of one category that follow each other stand together.
    """

    category: str
    title: str
    tag: str
    has_band: bool


class Logger:
    """Writes the records of one seed; a subclass overrides what it has a place for.

    The base class writes nothing, except that an event is a text. An exception of a method costs
    its record and nothing else: the run counts it, warns once and trains on. One of the constructor
    stops the run before its first step.

    Args:
        directory: Run directory of the seed, which exists.
        seed: The seed.
        resume_step: Step of the checkpoint that the run continues from; records of later steps that
            were written before come again. None for a new run.

    A subclass that takes more arguments has them as keys of its file in conf/logger.
    """

    def __init__(self, directory: RunDir, seed: int, resume_step: int | None = None) -> None:
        self.directory, self.seed, self.resume_step = directory, seed, resume_step

    @classmethod
    def check(cls) -> None:
        """Refuse a training on this machine, before anything is written.

        Raises:
            ConfigError: Something is missing: a package, an account.
        """

    def scalars(self, step: int, values: Mapping[str, float]) -> None:
        """Write the numbers of a step by tag; any of them may be infinite or nan."""

    def image(self, tag: str, step: int, png: bytes) -> None:
        """Write a picture, the content of a PNG file."""

    def text(self, tag: str, text: str, step: int = 0) -> None:
        """Write a text, Markdown."""

    def event(self, step: int, kind: str, fields: Mapping[str, Any]) -> None:
        """Write that something was detected at a step; by default the text `events/<kind>`."""
        lines = [f"- **{name}**: {_format(value)}" for name, value in fields.items()]
        self.text(f"events/{kind}", "\n".join(lines) or kind, step)

    def hparams(self, config: Mapping[str, Any], metrics: Sequence[str]) -> None:
        """Write the flat choices that tell runs apart, and the tags that compare them.

        The first tag is that of the number that sums a run up, where one is measured.
        """

    def layout(self, charts: Sequence[Chart]) -> None:
        """Arrange a page of charts."""

    def session_end(self, status: Status) -> None:
        """Write the state of the run, the last of which counts."""

    def flush(self) -> None:
        """Wait until everything is on the disk; a checkpoint follows."""

    def close(self) -> None:
        """Release files and connections; nothing follows."""


@dataclass(frozen=True)
class LoggerFactory:
    """A logger class with the keys of its file in conf/logger; a call makes a seed's logger."""

    cls: type[Logger]
    keys: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, directory: RunDir, seed: int, resume_step: int | None = None) -> Logger:
        """Return the logger of a seed, whose files are open."""
        return self.cls(directory, seed, resume_step, **self.keys)


def _format(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_format(each)}" for name, each in value.items())
    return f"{value:.4g}" if isinstance(value, float) else str(plain(value))
