"""What status.json says of a run while it trains; see the README for its keys."""

import contextlib
from collections.abc import Sequence
from typing import Any

from gan_lab.console import announce
from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import Lost, RunLogger
from gan_lab.runs.run_dir import RunDir


def note(run: RunDir, **fields: Any) -> None:
    """Merges fields into a run's status; one that somebody damaged meanwhile is begun anew.

    Raises:
        OSError: It could not be written.
    """
    try:
        run.write_status(**fields)
    except ConfigError:
        announce(f"warning: {run.status} was damaged; it is written anew")
        run.status.unlink(missing_ok=True)
        run.write_status(**fields)


class Losses:
    """Tells what records were lost: of each seed in its directory, of all in the run's.

    Args:
        parent: The run's directory.
        homes: That of each seed; the run's own for a single one.
        recorders: Of each seed.
    """

    def __init__(
        self, parent: RunDir, homes: Sequence[RunDir], loggers: Sequence[RunLogger]
    ) -> None:
        self._parent, self._homes, self._loggers = parent, homes, loggers
        self._known: list[int] | None = None  # how many writes of each seed the status knows of

    @property
    def unheard(self) -> bool:
        """Whether something was lost, and the status has said of nothing so far."""
        return not any(self._known or []) and any(self._counts())

    def note(self, **fields: Any) -> None:
        """Says it, and more of the run; on a full disk nothing, and the next call tries again."""
        now = self._counts()
        with contextlib.suppress(OSError):
            for index, home in enumerate(self._homes):
                news = self._known is None or self._known[index] != now[index]
                if news and home != self._parent:
                    note(home, lost=_told([self._loggers[index].lost]))
            note(self._parent, lost=_told([each.lost for each in self._loggers]), **fields)
            self._known = now

    def _counts(self) -> list[int]:
        return [logger.lost.writes for logger in self._loggers]


def _told(each: Sequence[Lost]) -> dict[str, Any] | None:
    some = [lost for lost in each if lost.writes]
    if not some:
        return None
    last = max(some, key=lambda lost: lost.last_step or 0)
    first = min(lost.first_step or 0 for lost in some)
    return vars(Lost(sum(lost.writes for lost in some), first, last.last_step, last.why))
