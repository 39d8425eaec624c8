"""The rows on all cores: stacked seeds in one process a core, against the textbook loop in one."""

import json
import os
import subprocess
import sys
from itertools import chain
from operator import mul
from pathlib import Path
from typing import Any

from benchmarking import ours
from benchmarking.measure import Options
from benchmarking.rows import Work
from benchmarking.timing import ratios, summary
from gan_lab.engine.execution import cores

_SCRIPTS = Path(__file__).resolve().parents[1]
SEEDS = 16


class WorkerFailed(Exception):
    """A process did not start or died."""


class _Worker:
    def __init__(self, role: str, spec: dict[str, Any]) -> None:
        path = os.pathsep.join(filter(None, [str(_SCRIPTS), os.environ.get("PYTHONPATH", "")]))
        command = [sys.executable, "-m", "benchmarking.worker", role, json.dumps(spec)]
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "PYTHONPATH": path}
        pipes = dict.fromkeys(("stdin", "stdout", "stderr"), subprocess.PIPE)
        self.process = subprocess.Popen(command, **pipes, text=True, env=environment)

    def answer(self) -> dict[str, Any]:
        while line := self.process.stdout.readline():
            if line.startswith("{"):
                answer = json.loads(line)
                if "error" in answer:
                    raise WorkerFailed(answer["error"])
                return answer
        raise WorkerFailed(self.process.stderr.read().strip().split("\n")[-1])

    def start(self, seconds: float) -> None:
        self.process.stdin.write(f"{seconds}\n")
        self.process.stdin.flush()

    def end(self) -> None:
        self.process.kill()
        self.process.communicate()


def row(name: str, work: Work, options: Options) -> dict[str, Any]:
    """Times 16 seeds, spread over one process a core, against one textbook process on its own.

    Every process has one thread, is started and warmed up before the first window, and waits while
    it is not its turn.
    """
    n_processes = max(1, min(SEEDS, cores()))
    keys = ours.keys(work, options.directory)
    spec = {"work": {**vars(work), "shape": list(work.shape)}}
    variants, skipped = [], {}
    for precision in options.precisions:
        for mode in ours.modes_of(work.width > 16, "cpu", options.modes):
            options.tell(f"{name}: {n_processes} processes, {mode} {precision}")
            ways = ours.variant_keys(mode, precision, "cpu", 1)
            try:
                rates = _rates(keys, ways, spec, n_processes, options)
            except WorkerFailed as error:
                skipped[f"{mode} {precision}"] = str(error)
                continue
            rounds = ratios(rates["ours"], rates["textbook"])
            variant = {"mode": mode, "precision": precision, "seed_steps_per_second": rates}
            variants.append({**variant, "ratio": {**summary(rounds), "rounds": rounds}})
    return {
        "name": name,
        "words": f"{work.words}: {SEEDS} seeds, {n_processes} processes",
        "work": spec["work"],
        "seeds": SEEDS,
        "processes": n_processes,
        "variants": variants,
        "skipped": skipped,
    }


def _rates(
    keys: list[str], ways: list[str], spec: dict[str, Any], n_processes: int, options: Options
) -> dict[str, list[float]]:
    """Seed-steps a second of each round."""
    shares = [SEEDS // n_processes + (i < SEEDS % n_processes) for i in range(n_processes)]
    plain = [*keys, "device=cpu", "execution.threads=1"]
    workers = {"textbook": [_Worker("textbook", {**spec, "keys": plain})], "ours": list[_Worker]()}
    rates: dict[str, list[float]] = {"textbook": [], "ours": []}
    try:
        workers["ours"] += [
            _Worker("ours", {"keys": [*keys, *ways, f"n_seeds={n}"]}) for n in shares
        ]
        for worker in chain(*workers.values()):
            worker.answer()
        for _ in range(options.rounds):
            for role, turn in workers.items():
                for worker in turn:
                    worker.start(options.seconds)
                answers = [worker.answer() for worker in turn]
                each = [answer["steps"] / answer["seconds"] for answer in answers]
                n_seeds = shares if role == "ours" else [1]
                rates[role].append(sum(map(mul, n_seeds, each)))
    finally:
        for worker in chain(*workers.values()):
            worker.end()
    return rates
