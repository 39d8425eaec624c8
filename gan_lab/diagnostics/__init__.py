"""Named events: what goes wrong in a game, said from its logged numbers alone.

Every detector reads the rows of one seed's metrics.jsonl in their order and nothing else, so a run
that is resumed says what it would have said without the interruption. What each of them can see,
its thresholds and its measured rate of false alarms are in docs/events.md.
"""

from gan_lab.diagnostics.detector import Event
from gan_lab.diagnostics.monitor import Monitor, not_finite

__all__ = ["Event", "Monitor", "not_finite"]
