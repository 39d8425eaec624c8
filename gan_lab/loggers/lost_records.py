"""Records that could not be written: counted while a run trains, and written to its status."""

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from gan_lab.runs.run_dir import RunDir


@dataclass
class LostRecords:
    """Writes that failed, of all starts of a run; status.json has them as `lost`."""

    writes: int = 0
    first_step: int | None = None
    last_step: int | None = None
    why: str | None = None  # the last error

    def add(self, step: int, error: Exception) -> None:
        """Count one more."""
        self.writes += 1
        self.first_step = step if self.first_step is None else self.first_step
        why = error.strerror if isinstance(error, OSError) else f"{type(error).__name__}: {error}"
        self.last_step, self.why = step, why or str(error)


def read_lost_records(run: RunDir, resume_step: int | None) -> LostRecords:
    """Return what earlier starts could not write and this one will not write again."""
    try:
        before = LostRecords(**dict(run.read_status().get("lost") or {}))
        first, last = int(before.first_step or 0), int(before.last_step or 0)
    except (TypeError, ValueError):  # somebody edited it
        return LostRecords()
    if resume_step is None or not before.writes or first > resume_step:
        return LostRecords()
    return replace(before, last_step=min(last, resume_step))


class LostRecordsStatus:
    """Writes lost records into status.json: of each seed in its directory, of all in the run's.

    Args:
        parent: The run's directory.
        directories: That of each seed; the run's own for a single one.
        seeds: What each seed's logger has lost so far; it counts on in them.
    """

    def __init__(
        self, parent: RunDir, directories: Sequence[RunDir], seeds: Sequence[LostRecords]
    ) -> None:
        self._parent, self._directories, self._seeds = parent, directories, seeds
        self._counts: list[int] | None = None  # writes of each seed that the status has

    @property
    def is_overdue(self) -> bool:
        """Whether something was lost and the status has nothing of it so far."""
        return not any(self._counts or []) and any(each.writes for each in self._seeds)

    def write(self, **fields: Any) -> None:
        """Write the counts and other fields; on a full disk nothing, and the next call retries."""
        counts = [each.writes for each in self._seeds]
        with contextlib.suppress(OSError):
            for index, directory in enumerate(self._directories):
                is_new = self._counts is None or self._counts[index] != counts[index]
                if is_new and directory != self._parent:
                    directory.update_status(lost=_sum([self._seeds[index]]))
            self._parent.update_status(lost=_sum(self._seeds), **fields)
            self._counts = counts


def _sum(seeds: Sequence[LostRecords]) -> dict[str, Any] | None:
    losses = [each for each in seeds if each.writes]
    if not losses:
        return None
    last = max(losses, key=lambda each: each.last_step or 0)
    first = min(each.first_step or 0 for each in losses)
    return vars(LostRecords(sum(e.writes for e in losses), first, last.last_step, last.why))
