"""Rows about whole runs: what evaluation and records cost, and how long it takes to begin."""

import contextlib
import io
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
from scipy.ndimage import median_filter

from benchmarking.measure import Options
from benchmarking.timing import AT_REST, summary
from gan_lab.config import compose
from gan_lab.engine.rng import StepDraws, Streams
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runner import train as training
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.build import build, open_source

# What is measured once, after the last step, is no part of what is timed.
_SHORT_END = (
    *("neural_distance.steps=0", "evaluator.final_n_repeats=2", "evaluator.floor_n_repeats=2"),
)
_NEIGHBOURS = 31  # steps; after more than half of them nothing is measured, drawn or logged
_ROOT = Path(__file__).resolve().parents[2]

# All before a run asks for its first randomness is the start; there it is ended.
_FIRST_STEP = """
import sys, time
from gan_lab.cli import main as cli
from gan_lab.engine.rng import Streams

def first(self, step):
    print("first", time.time() - float(sys.argv[1]), flush=True)
    sys.exit(0)

Streams.draws = first
cli.main(["train", "data=digits", "hydra.run.dir=" + sys.argv[2]])
"""


class _Clock:
    """Notes when each step of a training asks for its randomness: the loop between them.

    On the CPU in seconds that this process computed, its writing threads included: a share of a few
    percent is lost in what the wall clock sees of a shared machine.
    """

    def __init__(self, streams: Streams) -> None:
        self.times: list[float] = []
        on_cpu = streams.source.device.type == "cpu"
        self._now = time.process_time if on_cpu else time.perf_counter
        self._draws = streams.draws
        streams.draws = self  # type: ignore[method-assign]

    def __call__(self, step: int) -> StepDraws:
        self.times.append(self._now())
        return self._draws(step)

    @property
    def seconds(self) -> float:
        return self.times[-1] - self.times[0]

    @property
    def excess(self) -> float:
        """Share of the loop's seconds that its steps take beyond the median of their neighbours."""
        each = np.diff(self.times)
        return float(1 - median_filter(each, _NEIGHBOURS, mode="mirror").sum() / each.sum())


def whole_run(
    name: str, data: str, options: Options, runs: int, steps: int | None
) -> dict[str, Any]:
    """Train the default run of a data set with evaluation and records and without, taking turns.

    On: as configured. Off: no evaluation, picture, landscape, checkpoint or row between the first
    step and the last. Every step of the loop is timed. Whole runs of the same work differ by a
    fifth on a shared machine, so the share is what the steps of a run take beyond the median of
    their neighbours, less the same of a run that is off. The second witness is the share that the
    run itself logs.

    Args:
        name: Of the row.
        data: Of the default run.
        options: What was asked for.
        runs: How many each way.
        steps: Of a run; None = as configured.
    """
    base = [f"data={data}", f"device={options.device}", *_SHORT_END]
    if steps is not None:
        base.append(f"trainer.steps={steps}")
    n = compose.build_run_config(compose.compose_config("train", base)).trainer.steps
    never = ("trainer.image_every=0", "trainer.landscape_every=0", "trainer.checkpoint_every=0")
    off = [f"evaluator.every={n}", f"trainer.log_every={n}", *never]
    seconds: dict[str, list[float]] = {"on": [], "off": []}
    excess: dict[str, list[float]] = {"on": [], "off": []}
    witness = []
    for i in range(runs):
        ways = [("on", base), ("off", [*base, *off])]
        for way, overrides in ways if i % 2 == 0 else reversed(ways):
            options.tell(f"{name}: run {i + 1} of {runs}, {way}")
            path = options.directory / f"{name}_{way}_{i}"
            clock = _train(overrides, path)
            seconds[way].append(clock.seconds)
            excess[way].append(clock.excess)
            if way == "on":
                rows, tag = read_metrics(RunDir(path).metrics), "time/evaluation_share"
                witness.append([float(row[tag]) for row in rows if tag in row][-1])
    shares = [a - b for a, b in zip(excess["on"], excess["off"], strict=True)]
    return {
        "name": name,
        "words": f"default run of {data}: {n} steps",
        "steps": n,
        "shortened": steps is not None,
        "seconds": seconds,
        "excess": excess,
        "share": {**summary(shares), "rounds": shares},
        "own_account": {**summary(witness), "rounds": witness},
        "skipped": {},
    }


def _train(overrides: list[str], path: Path) -> _Clock:
    config = compose.build_run_config(compose.compose_config("train", overrides))
    source = open_source(config)
    run = build(config, source)
    clock = _Clock(run.streams)
    quiet = io.StringIO()
    try:
        with contextlib.redirect_stdout(quiet), contextlib.redirect_stderr(quiet):
            training.start(config, source, path, run)
    finally:
        AT_REST.set()
    return clock


def start(name: str, options: Options) -> dict[str, Any]:
    """Time `--help` in a fresh process, and `train` on digits until its first randomness."""
    parts: dict[str, list[float]] = {"--help": [], "first step": []}
    skipped = {}
    for i in range(3):
        options.tell(f"{name}: {i + 1} of 3")
        begin = time.perf_counter()
        _python(options, "-m", "gan_lab", "--help")
        parts["--help"].append(time.perf_counter() - begin)
        path = options.directory / f"start_{i}"
        done = _python(options, "-c", _FIRST_STEP, str(time.time()), str(path))
        found = [line.split()[1] for line in done.stdout.split("\n") if line.startswith("first")]
        if found:
            parts["first step"].append(float(found[0]))
        else:
            skipped["first step"] = done.stderr.strip().split("\n")[-1]
    return {
        "name": name,
        "words": "a fresh process",
        "seconds": {part: {**summary(t), "rounds": t} for part, t in parts.items() if t},
        "skipped": skipped,
    }


def _python(options: Options, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "OMP_NUM_THREADS": str(options.threads)}
    command = [sys.executable, *arguments]
    return subprocess.run(command, capture_output=True, text=True, cwd=_ROOT, env=environment)
