"""Independent work in several processes, one thread each, and trainings in run directories."""

import contextlib
import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path
from typing import Any, TypeVar

import torch

from gan_lab.errors import RunDiverged
from gan_lab.experiments.base import Arrays, Lab
from gan_lab.runner import train
from gan_lab.training.build import open_source
from gan_lab.training.config import RunConfig
from gan_lab.training.validate import validate

T = TypeVar("T")


def in_processes(
    lab: Lab, function: Callable[..., T], jobs: Mapping[str, tuple[Any, ...]]
) -> dict[str, T]:
    """Return function(*arguments) of every named job; jobs start, and are returned, in their order.

    With one worker, or with one job, all runs here. The function is sent by its name in a module.
    With a launcher the jobs are a cluster's.
    """
    if lab.launcher is not None:
        return lab.launcher.map(lab.directory / "jobs", function, jobs, lab.tell)
    results: dict[str, T] = {}
    threads = torch.get_num_threads()
    if lab.workers <= 1 or len(jobs) <= 1:
        try:
            for name, arguments in jobs.items():
                torch.set_num_threads(1)  # the same bits as in a worker
                results[name] = function(*arguments)
                lab.tell(f"{len(results)} of {len(jobs)}: {name}")
        finally:
            torch.set_num_threads(threads)
        return results
    # Not fork: torch's threads do not survive it.
    context = multiprocessing.get_context("spawn")
    n_workers = min(lab.workers, len(jobs))
    with ProcessPoolExecutor(n_workers, context, _start_worker) as pool:
        waiting = {pool.submit(function, *arguments): name for name, arguments in jobs.items()}
        try:
            for future in as_completed(waiting):
                results[waiting[future]] = future.result()
                lab.tell(f"{len(results)} of {len(jobs)}: {waiting[future]}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            for worker in multiprocessing.active_children():  # else leaving waits for their jobs
                worker.terminate()
            raise
    return {name: results[name] for name in jobs}


def measure_parts(lab: Lab, jobs: Mapping[str, tuple[Any, ...]]) -> Arrays:
    """Return the arrays `job/name` of jobs, each a function that returns arrays, and arguments."""
    parts = in_processes(lab, call, jobs)
    return {f"{job}/{name}": x for job, part in parts.items() for name, x in part.items()}


def call(function: Callable[..., Arrays], *arguments: Any) -> Arrays:
    """Call a function: what `in_processes` runs where jobs differ in their function."""
    return function(*arguments)


def train_all(lab: Lab, trainings: Mapping[str, Sequence[str]]) -> dict[str, Path]:
    """Train with every list of overrides of `train`, each into `runs/<name>` of the study.

    Seeds are the study's, unless the overrides say otherwise.

    Returns:
        Name -> run directory. Its seeds are children, `RunDir(path).children()`, if there are more
        than one. A training that diverged has status "diverged" and no final numbers.

    Raises:
        ConfigError: An override is wrong.
    """
    jobs = {}
    for name, overrides in trainings.items():
        seeds = (f"seed={lab.seeds[0]}", f"n_seeds={len(lab.seeds)}")
        config = lab.run_config([*seeds, f"device={lab.device}", "execution.threads=1", *overrides])
        jobs[name] = (config, lab.directory / "runs" / name)
    return in_processes(lab, train_one, jobs)


def train_one(config: RunConfig, path: Path) -> Path:
    """Train one configuration; what it prints goes to `log.txt` beside it."""
    path.mkdir(parents=True, exist_ok=True)
    source = open_source(config)
    validate(config, source)
    with (
        open(path / "log.txt", "w", encoding="utf-8") as log,
        contextlib.redirect_stdout(log),
        contextlib.redirect_stderr(log),
        contextlib.suppress(RunDiverged),
    ):
        train.start(config, source, path)
    return path


def _start_worker() -> None:
    torch.set_num_threads(1)
    # Ctrl-C reaches the whole group; the parent decides, and its workers go when it is gone, also
    # when it was killed and could tell nobody.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_exit_with_parent, daemon=True).start()


def _exit_with_parent() -> None:
    # Not os.getppid, which on Windows stays the same when the parent is gone.
    if (parent := multiprocessing.parent_process()) is not None:
        parent.join()
        os._exit(1)
