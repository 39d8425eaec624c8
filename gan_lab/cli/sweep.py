"""`train -m` over several processes: one line a job that ends, and a stop that saves them all.

Hydra's joblib launcher runs the jobs. On an error of its own it kills its workers, so a signal must
not become one: the parent leaves a note in the file system, every worker asks its training to stop,
saves and returns, and the jobs that have not begun return at once.

Its submitit launcher makes each job one of a cluster's, maybe on another machine and days later.
The note is then in the working directory, which the machines have to share; a job heeds signals
too, since the cluster sends them; and one that begins again goes on from its last checkpoint.
"""

import contextlib
import math
import multiprocessing
import os
import signal
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from omegaconf import DictConfig

from gan_lab import signals
from gan_lab.cli.hydra import combinations
from gan_lab.data.base import Source
from gan_lab.errors import ConfigError
from gan_lab.runs.compatibility import has_high_dimension
from gan_lab.runs.headline import WASSERSTEIN, headline_of, is_high_dimensional
from gan_lab.runs.run_dir import RunDir, atomic_write
from gan_lab.training.config import RunConfig
from gan_lab.validation import is_whole

_FINAL = "final/"
_NOTE = "GAN_LAB_SWEEP"  # environment: "parent's pid:path of the note", inherited by the workers
_EVERY = 0.2  # seconds
_heeding = False
_training = threading.Lock()


@dataclass
class StopRequest:
    """What stopped a sweep: the first signal that came; and a file that a failed job makes."""

    failures: Path
    signum: int | None = None

    def read_lines(self) -> list[str]:
        """Return what jobs have said at their end since the last call."""
        files = sorted(self.failures.parent.glob("line_*"), key=lambda file: file.stat().st_mtime)
        lines = [file.read_text(encoding="utf-8") for file in files]
        for file in files:
            file.unlink()
        return lines


def stack_seeds(
    overrides: Sequence[str], best: Callable[[list[str], int], int] = lambda job, n: n
) -> list[str]:
    """Return the keys of a sweep with `stack=K`: each job stacks K neighbouring seeds.

    `seed=range(16) stack=8` is `seed=0,8 n_seeds=8`. stack=auto takes the number that `best`
    returns for a job, given by its keys, and how many seeds there are.

    Raises:
        ConfigError: The seeds are no whole number of rows of K.
    """
    stacks = [o for o in overrides if o.startswith("stack=")]
    if not stacks:
        return list(overrides)
    rest = [o for o in overrides if o not in stacks]
    of_seeds = [o for o in rest if o.startswith("seed=")]
    if len(of_seeds) != 1 or any(o.startswith("n_seeds=") for o in rest):
        raise ConfigError(f"{stacks[-1]} needs 'seed=range(...)' and no n_seeds")
    values = [job[0].removeprefix("seed=") for job in combinations(of_seeds)]
    if not all(map(is_whole, values)):
        raise ConfigError(f"{of_seeds[0]} is no list of seeds for {stacks[-1]}")
    seeds = sorted(map(int, values))
    text = stacks[-1].removeprefix("stack=")
    if text == "auto":
        size = best(combinations(rest)[0], len(seeds))
    else:
        size = int(text) if is_whole(text) else 0
    firsts = seeds[::size] if size else []
    if not size or seeds != [first + i for first in firsts for i in range(size)]:
        rows = f"no rows of {size or 'a number'} neighbours; choose as many as divide"
        raise ConfigError(f"{stacks[-1]}: {len(seeds)} seeds ({of_seeds[0]}) are {rows}")
    where = rest.index(of_seeds[0])
    rest[where : where + 1] = [f"seed={','.join(map(str, firsts))}", f"n_seeds={size}"]
    return rest


def take_objective(overrides: Sequence[str]) -> tuple[str | None, list[str]]:
    """Return the tag of `objective=TAG`, or None, and the other keys of a sweep.

    Raises:
        ConfigError: It is given twice.
    """
    own = [each for each in overrides if each.startswith("objective=")]
    if len(own) > 1:
        raise ConfigError(f"{' and '.join(own)} are two objectives; a job returns one number")
    rest = [each for each in overrides if each not in own]
    return (own[0].removeprefix("objective=") if own else None), rest


def default_objective(config: RunConfig, source: Source) -> str:
    """Return the final number of a job's headline; W1's where none is measured, to be refused."""
    tags = _measured_tags(config, source)
    return f"{_FINAL}{headline_of(tags, is_high_dimensional(source.shape)) or WASSERSTEIN}"


def check_objective(tag: str, config: RunConfig, source: Source) -> None:
    """Refuse an objective that no metric of a job gives on these data."""
    names = _measured_tags(config, source)
    if tag.removeprefix(_FINAL) not in names or not tag.startswith(_FINAL):
        raise _unknown_objective(tag, names)


def _measured_tags(config: RunConfig, source: Source) -> list[str]:
    """Return the tags of a job's final numbers, without preparing a metric."""
    metrics = [metric for metric in config.metrics.values() if metric.applies(source)]
    tags = [tag for metric in metrics for tag in metric.units]
    return [*tags, *(config.neural_distance.units if config.neural_distance.steps else ())]


def objective_value(tag: str | None, path: Path, seeds: Sequence[int]) -> float:
    """Return the final estimate of a tag, averaged over the seeds that a job trained.

    None is the headline's; a job that does not measure one has nan.

    Raises:
        ConfigError: A seed has no such estimate.
    """
    homes = [RunDir(path).child(seed) for seed in seeds] if len(seeds) > 1 else [RunDir(path)]
    values = []
    for home in homes:
        status = home.read_status()
        final = status.get("final", {})
        headline = headline_of(final, has_high_dimension(status, {})) or WASSERSTEIN
        name = headline if tag is None else tag.removeprefix(_FINAL)
        if name not in final and tag is not None:
            raise _unknown_objective(tag, final)
        values.append(float(final[name]["value"]) if name in final else math.nan)
    return math.fsum(values) / len(values)


def worst_objective(sweeper: Mapping[Any, Any] | DictConfig) -> float:
    """Return the worst number for a sweeper: inf, or -inf for Optuna's with direction=maximize.

    Optuna's takes nan for an error of the whole sweep.
    """
    return -math.inf if "maximize" in str(sweeper.get("direction")) else math.inf


def _unknown_objective(tag: str, names: Iterable[str]) -> ConfigError:
    tags = ", ".join(f"{_FINAL}{name}" for name in names) or "none"
    return ConfigError(f"objective={tag} is measured by no job; take one of {tags}")


@contextlib.contextmanager
def stoppable(on_cluster: bool = False) -> Iterator[StopRequest]:
    """Make the first SIGINT or SIGTERM ask all workers to save and stop; a second one kills.

    On a cluster other machines have to see the note. A second signal then leaves it, so that jobs
    that are still queued return at once.
    """
    place = (None, ".gan_lab_", Path.cwd()) if on_cluster else (None, "gan_lab_", None)
    with tempfile.TemporaryDirectory(*place) as folder:
        note = Path(folder) / "stop"
        request = StopRequest(_failures(note))

        def stop(signum: int, frame: FrameType | None) -> None:
            request.signum = signum
            note.write_text(str(signum))
            signals.request_stop(signum)  # for jobs in this process
            for each in before:
                signal.signal(each, signal.SIG_DFL)

        os.environ[_NOTE] = f"{os.getpid()}:{note}"
        before = {s: signal.getsignal(s) for s in (signal.SIGINT, signal.SIGTERM)}
        for signum in before:
            signal.signal(signum, stop)
        try:
            yield request
        finally:
            del os.environ[_NOTE]
            for line in request.read_lines():
                print(line, flush=True)
            for signum, handler in before.items():
                signal.signal(signum, handler)


def record_failure() -> None:
    """Record that a job failed, whose exception would make Hydra print a traceback."""
    note = os.environ.get(_NOTE, "").partition(":")[2]
    if note and Path(note).parent.is_dir():  # else the sweep was killed
        _failures(Path(note)).touch()


def in_worker() -> bool:
    """Return whether this is a worker of a sweep, which then begins to heed the parent's note."""
    global _heeding
    parent, _, note = os.environ.get(_NOTE, "").partition(":")
    if not parent or int(parent) == os.getpid():
        return False
    if not _heeding:
        _heeding = True
        # Ctrl-C, and often SIGTERM, reach the whole group; the parent decides, so that nobody is
        # told twice and no idle worker dies, for which the launcher would kill the others.
        # A cluster's signals are meant for the job, which saves the run.
        if not in_cluster() and threading.current_thread() is threading.main_thread():
            for signum in (signal.SIGINT, signal.SIGTERM):
                signal.signal(signum, signal.SIG_IGN)
        threading.Thread(target=_heed, args=(Path(note), os.getppid()), daemon=True).start()
    return True


def in_cluster() -> bool:
    """Return whether this process is a job of the submitit launcher."""
    return "SUBMITIT_EXECUTOR" in os.environ


@contextlib.contextmanager
def quiet(path: Path, tell: Callable[[], str]) -> Iterator[None]:
    """Send what a job prints to path/log.txt and leave one line about it when it is over.

    The line lies beside the note, where the parent finds it, on whatever machine that is.
    """
    path.mkdir(parents=True, exist_ok=True)
    start = time.perf_counter()
    with _training, open(path / "log.txt", "a", encoding="utf-8") as log:
        try:
            with contextlib.redirect_stdout(log), contextlib.redirect_stderr(log):
                yield
        finally:
            line = f"{path.name}: {tell()}, {time.perf_counter() - start:.0f} s"
            folder = Path(os.environ.get(_NOTE, "").partition(":")[2]).parent
            if folder.is_dir():  # else the sweep was killed
                atomic_write(folder / f"line_{path.name}", line.encode())


def _failures(note: Path) -> Path:
    return note.with_name("failed")


def _heed(note: Path, parent: int) -> None:
    while True:
        if signals.stop_request() is None and note.exists():
            with contextlib.suppress(ValueError, OSError):
                signals.request_stop(int(note.read_text() or signal.SIGTERM))
        if _is_orphan(parent):  # it was killed and could tell nobody
            signals.request_stop(signal.SIGTERM)
            with _training:  # until it is saved
                os._exit(128 + signal.SIGTERM)
        time.sleep(_EVERY)


def _is_orphan(parent: int) -> bool:
    if sys.platform == "win32":  # where a process keeps the number of a parent that is gone
        process = multiprocessing.parent_process()
        return process is not None and not process.is_alive()
    return os.getppid() != parent
