"""Named events: what goes wrong in a training, detected from its logged numbers alone.

Every detector reads the rows of one seed's metrics.jsonl in their order and nothing else, so a run
that is resumed has the events of one that was not interrupted. What each of them can see, its
thresholds and its measured rate of false alarms are in docs/diagnostics.md.
"""

from gan_lab.diagnostics.detector import Event
from gan_lab.diagnostics.monitor import Monitor, not_finite

__all__ = ["Event", "Monitor", "not_finite"]
