"""Stops a training that a signal has asked to."""

from collections.abc import Callable

from gan_lab.signals import StopSignals
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


class StopWhileCompiling(Callback):
    """Lets a signal end the first steps at once, which torch.compile makes a minute long.

    Nothing is lost then: a resumed or forked run has its checkpoint already, a new one has none.
    """

    _STEPS = 2  # the second one may compile again

    def __init__(self, signals: StopSignals) -> None:
        self._signals = signals

    def on_fit_start(self, run: Run) -> None:
        """Begin to; not among several processes, which have to stop at one step."""
        self._end = run.state.step + self._STEPS
        self._signals.raises = run.config.execution.mode == "compiled" and run.config.world.alone

    def on_step_end(self, run: Run) -> None:
        """End it after the first steps: from then on a signal waits for the step."""
        if run.state.step >= self._end:
            self._signals.raises = False
