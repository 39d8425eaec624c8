"""SIGINT and SIGTERM as a wish to stop: the loop finishes its step, saves, and ends."""

import contextlib
import signal
import threading
from collections.abc import Iterator
from types import FrameType, TracebackType
from typing import Any, Self


class Interrupted(Exception):
    """A signal stopped the run after its state was saved.

    Attributes:
        signum: SIGINT or SIGTERM; the exit code is 128 + signum.
    """

    def __init__(self, signum: int) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum = signum


_asked: list[int] = []


def ask(signum: int) -> None:
    """Asks whatever trains in this process to stop as if the signal had come, now or later."""
    _asked.append(signum)


def asked() -> int | None:
    """The first signal that `ask` was called with, or None."""
    return _asked[0] if _asked else None


@contextlib.contextmanager
def asking() -> Iterator[None]:
    """Inside, SIGINT and SIGTERM ask the training to stop, also one that has yet to begin.

    For a process that others wait for: it stops when they do, and not before.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    stops = (signal.SIGINT, signal.SIGTERM)
    before = {each: signal.signal(each, lambda signum, _: ask(signum)) for each in stops}
    try:
        yield
    finally:
        for signum, handler in before.items():
            signal.signal(signum, handler)


@contextlib.contextmanager
def raising() -> Iterator[None]:
    """Inside, SIGTERM raises Interrupted as Ctrl-C raises KeyboardInterrupt.

    For work that saves nothing on its way: what it started is told to end.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Interrupted(signum)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


class StopSignals:
    """Remembers the first signal; a second one ends the process at once.

    A signal that is ignored when the block begins (nohup, a sweep's worker) stays ignored.

    Args:
        patient: Later signals change nothing. For a process whose launcher passes on what the
            terminal has already sent to all, and kills those that take too long.
    """

    def __init__(self, patient: bool = False) -> None:
        self._after = signal.SIG_IGN if patient else signal.SIG_DFL
        self._received: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def received(self) -> int | None:
        """The first signal, or what `ask` was called with; None as long as there was none."""
        return self._received if self._received is not None else asked()

    def __enter__(self) -> Self:
        # Python allows handlers in the main thread only; elsewhere (a sweep's worker) there is
        # nothing to catch.
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(signum) != signal.SIG_IGN:
                    self._before[signum] = signal.signal(signum, self._note)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for signum, handler in self._before.items():
            signal.signal(signum, handler)

    def _note(self, signum: int, frame: FrameType | None) -> None:
        self._received = signum
        for each in self._before:
            # Two requests of a scheduler within a moment are one; impatience is Ctrl-C.
            signal.signal(each, self._after if each == signal.SIGINT else signal.SIG_IGN)
