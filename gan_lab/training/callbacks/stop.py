"""Stops a training that a signal has asked to."""

from collections.abc import Callable

from gan_lab.training.callback import Callback
from gan_lab.training.run import Run


class Stop(Callback):
    """Ends the loop once a signal has come; it comes first, so that the step is completed.

    Args:
        read_signal: Returns the signal's number, 0 as long as there was none.

    Attributes:
        signum: The number that ended the loop.
    """

    def __init__(self, read_signal: Callable[[], int]) -> None:
        self._read_signal = read_signal
        self.signum = 0

    def on_step_end(self, run: Run) -> None:
        """Read the signal, once a step: one that comes while files are written waits for a step."""
        self.signum = self._read_signal()
        run.stop_requested = run.stop_requested or self.signum > 0
