"""A long run of a small training: growth of memory, files and time."""

import json
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import linregress

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from tests.campaigns.record import Campaign, Fault
from tests.campaigns.runs import start_fresh

# Pictures, landscapes, checkpoints and evaluations at their own intervals, as without CHEAP.
KEYS = (
    *("data=ring", "network=mlp", "network.width=8", "trainer.batch_size=16", "n_seeds=1"),
    *("metrics=[wasserstein,modes]", "neural_distance.steps=0", "evaluator.n=32"),
    *("evaluator.final_n=64", "device=cpu", "execution.threads=1", "execution.mode=eager"),
)
EXPECTED = (
    "The least memory that it has in each quarter after the start does not grow by more than 1 MiB "
    "in 100,000 steps beyond the error of the slope; the same descriptors and threads at the end "
    "as after the start; no more files than the settings say; the last tenth as fast as the first "
    "within a fifth."
)
_WARM = 0.2  # share of the samples that is left out: allocators and caches fill up first
# Of the run, each with its least memory: a block of 3.5 MiB comes and goes for thousands of steps,
# and a line through all samples would rise with the share of the time that it is there.
_PARTS = 4


@dataclass(frozen=True)
class Sample:
    """The process at one moment.

    Attributes:
        step: The one that it logged last.
        memory: What it has allocated and touched (RssAnon), in MiB.
        mapped: Resident pages of libraries (RssFile), in MiB. The kernel takes them away where
            other processes need room, and they come back when they are used: no growth.
        descriptors: Open ones.
        threads: Its threads.
    """

    step: int
    memory: float
    mapped: float
    descriptors: int
    threads: int


def campaign(
    n: int = 200_000, seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Campaign:
    """Train n steps with pictures, landscapes, checkpoints and logs, and sample the process."""
    with tempfile.TemporaryDirectory(prefix="gan_lab_soak_") as folder:
        path, log = Path(folder) / "run", Path(folder) / "log"
        keys = (*KEYS, f"trainer.steps={n}", f"seed={seed}", f"hydra.run.dir={path}")
        process = start_fresh(["train", *keys], log)
        samples = list[Sample]()
        while process.poll() is None:
            if (sample := _sample(process.pid, path)) is not None:
                samples.append(sample)
                if len(samples) % 60 == 0:
                    memory = f"{sample.memory:.1f} MiB and {sample.mapped:.1f} of libraries"
                    tell(f"step {sample.step} of {n}, {memory}")
            time.sleep(0.05 if n < 20_000 else 1.0)
        if process.returncode:
            raise RuntimeError(log.read_text())
        return judge(n, samples, RunDir(path))


def judge(n: int, samples: list[Sample], run: RunDir) -> Campaign:
    """Return the faults that the samples and the files show."""
    during = [s for s in samples if _WARM * n <= s.step < n]
    parts = np.array_split(np.array([(s.step / 1e5, s.memory) for s in during]), _PARTS)
    lowest = np.array([part[part[:, 1].argmin()] for part in parts])
    line = linregress(lowest[:, 0], lowest[:, 1])
    slope, error = float(line.slope), float(line.stderr)
    speed, files = _speed(run), _files(run)
    descriptors = sorted({s.descriptors for s in during})
    threads = sorted({s.threads for s in during})
    mapped = min(s.mapped for s in during), max(s.mapped for s in during)
    bounds = {"checkpoints": 4, "samples": 34, "landscape": 34}  # 2 and their best; 32 and ends
    over = [kind for kind, most in bounds.items() if files[kind]["files"] > most]
    lost = {
        "memory": f"{slope:.2f} MiB / 100,000 steps" if slope - 2 * error > 1 else "",
        "descriptors": f"{descriptors}" if _grows(descriptors) else "",
        "threads": f"{threads}" if _grows(threads) else "",
        "files": ", ".join(f"{k}: {files[k]}" for k in over),
        "speed": f"{speed:.2f} of the start" if abs(speed - 1) > 0.2 else "",
    }
    if n < 100_000:  # slope and speed are those of warming up: they are shown and not judged
        del lost["memory"], lost["speed"]
    faults = [Fault(kind, f"{n} steps", each) for kind, each in lost.items()]
    measured = {
        "steps": n,
        "memory samples": len(during),
        "memory [MiB]": statistics.fmean(s.memory for s in during),
        "pages of libraries, fewest and most [MiB]": ", ".join(f"{m:.1f}" for m in mapped),
        "memory slope [MiB per 100,000 steps]": slope,
        "its standard error": error,
        "descriptors": ", ".join(map(str, descriptors)),
        "threads": ", ".join(map(str, threads)),
        "speed, last tenth / first tenth": speed,
        "files at the end": [{"kind": kind, **sizes} for kind, sizes in files.items()],
    }
    return Campaign("soak", "A long run", EXPECTED, faults, measured)


def _grows(counts: list[int]) -> bool:
    return counts[-1] - counts[0] > 2  # a file that is being written, and its directory


def _sample(pid: int, path: Path) -> Sample | None:
    """The process now; None where it is not there, or has logged nothing."""
    try:
        status = Path(f"/proc/{pid}/status").read_text().splitlines()
        sizes = {row.split()[0]: int(row.split()[1]) / 2**10 for row in status if row[:3] == "Rss"}
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        threads = len(os.listdir(f"/proc/{pid}/task"))
        with open(RunDir(path).metrics, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16384))
            step = json.loads(file.read().splitlines()[-1])["step"]
        return Sample(step, sizes["RssAnon:"], sizes["RssFile:"], descriptors, threads)
    except (OSError, ValueError, LookupError):  # a process that has ended has no sizes
        return None


def _speed(run: RunDir) -> float:
    rows = [row for row in read_metrics(run.metrics) if "time/steps_per_second" in row]
    rates = [row["time/steps_per_second"] for row in rows]
    tenth = max(1, len(rates) // 10)
    return statistics.median(rates[-tenth:]) / statistics.median(rates[:tenth])


def _files(run: RunDir) -> dict[str, dict[str, Any]]:
    """How many files of each kind, their bytes, and of the logs the bytes of a row."""
    assert checkpoint.available(run.checkpoints)
    rows = len(read_metrics(run.metrics))
    kinds = ("checkpoints", "samples", "landscape", "metrics.jsonl", "events.jsonl", "tensorboard")
    paths = {k: [run.path / k] if "." in k else [*(run.path / k).glob("*")] for k in kinds}
    sizes = {kind: [path.stat().st_size for path in each] for kind, each in paths.items()}
    result = {kind: {"files": len(s), "bytes": sum(s)} for kind, s in sizes.items()}
    logs, board = result["metrics.jsonl"], result["tensorboard"]
    logs["bytes per row"] = logs["bytes"] // rows
    pictures = result["samples"]["bytes"]  # they are in both
    board["bytes per row"] = (board["bytes"] - pictures) // rows
    return result
