"""SIGINT and SIGTERM as requests to stop: the loop finishes its step, saves, and ends."""

import contextlib
import signal
import subprocess
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import BrokenExecutor
from types import FrameType
from typing import Any, Self


class Interrupted(Exception):
    """SIGINT or SIGTERM stopped the run; exit code 128 + signum.

    `is_saved` says whether there is a state to resume: none where it stopped before its first step.
    """

    def __init__(self, signum: int, is_saved: bool = True) -> None:
        super().__init__(signal.Signals(signum).name)
        self.signum, self.is_saved = signum, is_saved


_requests: list[int] = []
_guests: list[None] = []  # one a block of `keep_process`


def request_stop(signum: int) -> None:
    """Make the training of this process stop as if the signal had come, now or later."""
    _requests.append(signum)


def stop_request() -> int | None:
    """Return the first signal that `request_stop` was called with, or None."""
    return _requests[0] if _requests else None


@contextlib.contextmanager
def _handling(handler: Callable[[int, FrameType | None], None], *signums: int) -> Iterator[None]:
    """Handle signals inside the block, in the main thread: Python allows no other one to."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {signum: signal.signal(signum, handler) for signum in signums}
    try:
        yield
    finally:
        for signum, each in previous.items():
            signal.signal(signum, each)


def stop_at_signals() -> contextlib.AbstractContextManager[None]:
    """Return a block in which SIGINT and SIGTERM stop the training, also one that starts later.

    For a process that others wait for: it stops when they do, and not before.
    """
    return _handling(lambda signum, _: request_stop(signum), signal.SIGINT, signal.SIGTERM)


def raise_at_sigterm() -> contextlib.AbstractContextManager[None]:
    """Return a block in which SIGTERM raises Interrupted as Ctrl-C raises KeyboardInterrupt.

    For work that saves nothing on its way.
    """

    def stop(signum: int, frame: FrameType | None) -> None:
        raise Interrupted(signum)

    return _handling(stop, signal.SIGTERM)


@contextlib.contextmanager
def keep_process() -> Iterator[None]:
    """Let a second Ctrl-C in the block raise KeyboardInterrupt, not end a process of others."""
    _guests.append(None)
    try:
        yield
    finally:
        _guests.pop()


class StopSignals:
    """The first signal within a block; a second one ends the process at once (see `keep_process`).

    A signal that is ignored when the block begins (nohup, a sweep's worker) stays ignored. Where
    the launcher passes on what the terminal has already sent to all, and kills processes that take
    too long, later signals change nothing (`patient`).

    Attributes:
        raises: Whether the first signal raises KeyboardInterrupt at once: while a compiler works,
            which takes a minute and dies of the same Ctrl-C.
    """

    def __init__(self, patient: bool = False) -> None:
        at_once = signal.default_int_handler if _guests else signal.SIG_DFL
        self._after = signal.SIG_IGN if patient else at_once
        self.raises = False
        self._signum: int | None = None
        self._previous: dict[int, Any] = {}

    @property
    def signum(self) -> int | None:
        """The first signal, or that of `request_stop`; None as long as there was none."""
        return self._signum if self._signum is not None else stop_request()

    def __enter__(self) -> Self:
        # In another thread (a sweep's worker) there is nothing to catch.
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(signum) != signal.SIG_IGN:
                    self._previous[signum] = signal.signal(signum, self._handle)
        return self

    def __exit__(self, *_: object) -> None:
        for signum, handler in self._previous.items():
            signal.signal(signum, handler)

    def _handle(self, signum: int, frame: FrameType | None) -> None:
        self._signum = signum
        for each in self._previous:
            # Two requests of a scheduler within a moment are one; impatience is Ctrl-C.
            signal.signal(each, self._after if each == signal.SIGINT else signal.SIG_IGN)
        if self.raises:
            raise KeyboardInterrupt

    def explains(self, error: BaseException) -> bool:
        """Return whether a signal is why an error was raised: itself, or by killing a compiler."""
        if self._signum is None:
            return False
        if isinstance(error, KeyboardInterrupt):
            return self.raises
        return any(map(_is_of_compiler, _chain(error)))


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and those that it was raised from."""
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _is_of_compiler(error: BaseException) -> bool:
    """Return whether torch.compile raised an error, or a process that it started ended early."""
    if isinstance(error, subprocess.CalledProcessError | BrokenExecutor):
        return True
    return type(error).__module__.startswith(("torch._dynamo", "torch._inductor"))
