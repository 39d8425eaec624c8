"""The rows on all cores: stacked seeds in one process a core, against the textbook loop in one."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from benchmarking import ours
from benchmarking.measure import Options
from benchmarking.rows import Work
from benchmarking.timing import summary
from gan_lab.engine.execution import cores

_SCRIPTS = Path(__file__).resolve().parents[1]
SEEDS = 16


class WorkerFailed(Exception):
    """A process did not start or died."""


class _Worker:
    def __init__(self, role: str, spec: dict[str, Any]) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": _path()}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarking.worker", role, json.dumps(spec)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
        )

    def answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                answer = dict(json.loads(line))
                if "error" in answer:
                    raise WorkerFailed(answer["error"])
                return answer
        assert self.process.stderr is not None
        said = self.process.stderr.read().strip().split("\n")
        raise WorkerFailed(said[-1] if said else "it said nothing")

    def start(self, seconds: float) -> None:
        assert self.process.stdin is not None
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def _path() -> str:
    return os.pathsep.join(filter(None, [str(_SCRIPTS), os.environ.get("PYTHONPATH", "")]))


def row(name: str, work: Work, options: Options) -> dict[str, Any]:
    """Times 16 seeds, spread over one process a core, against one textbook process on its own.

    Every process has one thread, is started and warmed up before the first window, and waits while
    it is not its turn.
    """
    n_processes = max(1, min(SEEDS, cores()))
    base = ours.keys(work, options.directory)
    spec = {"work": {**vars(work), "shape": list(work.shape)}}
    variants, skipped = [], {}
    for precision in options.precisions:
        for mode in ours.modes_of(work.width > 16, "cpu", options.modes):
            options.tell(f"{name}: {n_processes} processes, {mode} {precision}")
            try:
                variants.append(_variant(base, spec, mode, precision, n_processes, options))
            except WorkerFailed as error:
                skipped[f"{mode} {precision}"] = str(error)
    return {
        "name": name,
        "words": f"{work.words}: {SEEDS} seeds, {n_processes} processes",
        "work": spec["work"],
        "seeds": SEEDS,
        "processes": n_processes,
        "variants": variants,
        "skipped": skipped,
    }


def _variant(
    base: list[str],
    spec: dict[str, Any],
    mode: str,
    precision: str,
    n_processes: int,
    options: Options,
) -> dict[str, Any]:
    ways = [*base, *ours.variant_keys(mode, precision, "cpu", 1)]
    shares = [SEEDS // n_processes + (i < SEEDS % n_processes) for i in range(n_processes)]
    seeds = [f"n_seeds={n}" for n in shares]
    plain = [*base, "device=cpu", "execution.threads=1"]
    book = _Worker("textbook", {**spec, "keys": plain})
    mine: list[_Worker] = []
    try:
        mine += [_Worker("ours", {"keys": [*ways, each]}) for each in seeds]
        for worker in (book, *mine):
            worker.answer()
        theirs_rates, our_rates = [], []
        for _ in range(options.rounds):
            book.start(options.seconds)
            done = book.answer()
            theirs_rates.append(done["steps"] / done["seconds"])
            for worker in mine:
                worker.start(options.seconds)
            found = [worker.answer() for worker in mine]
            our_rates.append(
                sum(n * d["steps"] / d["seconds"] for n, d in zip(shares, found, strict=True))
            )
    finally:
        for worker in (book, *mine):
            worker.end()
    rounds = [a / b for a, b in zip(our_rates, theirs_rates, strict=True)]
    return {
        "mode": mode,
        "precision": precision,
        "ratio": {**summary(rounds), "rounds": rounds},
        "seed_steps_per_second": {"textbook": theirs_rates, "ours": our_rates},
    }
