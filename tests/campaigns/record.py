"""What a campaign of faults leaves: one row a kind of fault, tried, survived and lost."""

from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gan_lab.runs.run_dir import atomic_write, environment, to_json

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "reliability"


@dataclass(frozen=True)
class Fault:
    """One fault that was tried.

    Attributes:
        kind: The row of the table that it belongs to.
        what: Enough to do it again: seed, step, moment.
        lost: What was lost or went wrong, in one line; empty where nothing was.
    """

    kind: str
    what: str
    lost: str = ""


@dataclass(frozen=True)
class Campaign:
    """All faults of one sort, in the order in which they were tried.

    Attributes:
        title: What was done, in a few words.
        expected: What has to hold after each fault.
        measured: Further numbers for the page, with their units in the names; a list of dicts of
            the same keys is a table.
    """

    name: str
    title: str
    expected: str
    faults: list[Fault]
    measured: dict[str, Any] = field(default_factory=dict)
    seconds: int = 0

    @property
    def lost(self) -> list[Fault]:
        """The faults that cost something."""
        return [fault for fault in self.faults if fault.lost]

    def rows(self) -> list[dict[str, Any]]:
        """kind, tried, survived, lost: one row a kind, in the order of their first fault."""
        tried, lost = (Counter(f.kind for f in faults) for faults in (self.faults, self.lost))
        return [
            {"kind": kind, "tried": n, "survived": n - lost[kind], "lost": lost[kind]}
            for kind, n in tried.items()
        ]

    def save(self, directory: Path = RESULTS) -> Path:
        """Writes the campaign as JSON, with the machine and the versions it ran on."""
        about, path = environment(), directory / f"{self.name}.json"
        content = {
            "name": self.name,
            "title": self.title,
            "expected": self.expected,
            "date": datetime.now(UTC).isoformat(timespec="seconds"),
            "rows": self.rows(),
            "lost": [vars(fault) for fault in self.lost],
            "measured": self.measured,
            "seconds": self.seconds,
            **{key: about[key] for key in ("hardware", "versions", "git")},
        }
        atomic_write(path, to_json(content, indent=1))
        return path
