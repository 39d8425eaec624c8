"""`train -m` over several processes: one line a job, and a stop that saves every one of them.

Hydra's joblib launcher runs the jobs. On an error of its own it kills its workers, so a signal must
not become one: the parent leaves a note in the file system, every worker asks its training to stop,
saves and returns, and the jobs that have not begun return at once.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType

from gan_lab import signals

_NOTE = "GAN_LAB_SWEEP"  # environment: "parent's pid:path of the note", inherited by the workers
_EVERY = 0.2  # seconds
_watching = False
_training = threading.Lock()


class Stopped:
    """What stopped a sweep.

    Attributes:
        signum: The first signal that came, or None.
    """

    def __init__(self, failures: Path) -> None:
        self.signum: int | None = None
        self._failures = failures

    @property
    def failed(self) -> bool:
        """Whether a job said `failed`."""
        return self._failures.exists()


@contextlib.contextmanager
def stoppable() -> Iterator[Stopped]:
    """Inside, the first SIGINT or SIGTERM asks all workers to save and stop; a second one kills."""
    with tempfile.TemporaryDirectory(prefix="gan_lab_") as folder:
        note = Path(folder) / "stop"
        stopped = Stopped(_failures(note))

        def stop(signum: int, frame: FrameType | None) -> None:
            stopped.signum = signum
            note.write_text(str(signum))
            signals.ask(signum)  # for jobs in this process
            for each in before:
                signal.signal(each, signal.SIG_DFL)

        os.environ[_NOTE] = f"{os.getpid()}:{note}"
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
        for signum in before:
            signal.signal(signum, stop)
        try:
            yield stopped
        finally:
            del os.environ[_NOTE]
            for signum, handler in before.items():
                signal.signal(signum, handler)


def failed() -> None:
    """Says that a job failed, whose exception would make Hydra print a traceback."""
    note = os.environ.get(_NOTE, "").partition(":")[2]
    if note:
        _failures(Path(note)).touch()


def in_worker() -> bool:
    """Whether this process is a worker of a sweep; then it begins to heed the parent's note."""
    global _watching
    parent, _, note = os.environ.get(_NOTE, "").partition(":")
    if not parent or int(parent) == os.getpid():
        return False
    if not _watching:
        _watching = True
        # Ctrl-C, and often SIGTERM, reach the whole group; the parent decides, so that nobody is
        # told twice and no idle worker dies, for which the launcher would kill the others.
        if threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, signal.SIG_IGN)
        threading.Thread(target=_heed, args=(Path(note), os.getppid()), daemon=True).start()
    return True


@contextlib.contextmanager
def quiet(path: Path, tell: Callable[[], str]) -> Iterator[None]:
    """Sends what a job says to path/log.txt and prints one line about it when it is over."""
    path.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with _training, open(path / "log.txt", "a") as log:
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
        finally:
            print(f"{path.name}: {tell()}, {time.perf_counter() - start:.0f} s", flush=True)


def _failures(note: Path) -> Path:
    return note.with_name("failed")


def _heed(note: Path, parent: int) -> None:
    while True:
        if signals.asked() is None and note.exists():
            with contextlib.suppress(ValueError, OSError):
                signals.ask(int(note.read_text() or signal.SIGTERM))
        if os.getppid() != parent:  # it was killed and could tell nobody
            signals.ask(signal.SIGTERM)
            with _training:  # until it is saved
                os._exit(128 + signal.SIGTERM)
        time.sleep(_EVERY)
