"""A long run of a small training: growth of memory, files and time."""

import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    "Memory does not grow by more than 1 MiB in 100,000 steps beyond the error of the slope; the "
    "same descriptors and threads at the end as after the start; no more files than the settings "
    "say; the last tenth as fast as the first within a fifth."
)
_WARM = 0.2  # share of the samples that is left out: allocators and caches fill up first


@dataclass(frozen=True)
class Sample:
    """The process at one moment.

    Attributes:
        step: The last one that was logged.
        memory: Resident, MiB.
        descriptors: Open.
        threads: Alive.
    """

    step: int
    memory: float
    descriptors: int
    threads: int


def campaign(
    n: int = 200_000, seed: int = 0, tell: Callable[[str], None] = lambda line: None
) -> Campaign:
    """Train n steps with pictures, landscapes, checkpoints and both logs, and sample the process.

    Args:
        n: Steps.
        seed: Of the run.
        tell: Shows a line of progress now and then.
    """
    with tempfile.TemporaryDirectory(prefix="gan_lab_soak_") as folder:
        path, log = Path(folder) / "run", Path(folder) / "log"
        keys = (*KEYS, f"trainer.steps={n}", f"seed={seed}", f"hydra.run.dir={path}")
        process = start_fresh(["train", *keys], log)
        samples = list[Sample]()
        while process.poll() is None:
            if (sample := _sample(process.pid, path)) is not None:
                samples.append(sample)
                if len(samples) % 60 == 0:
                    tell(f"step {sample.step} of {n}, {sample.memory:.1f} MiB")
            time.sleep(0.05 if n < 20_000 else 1.0)
        if process.returncode:
            raise RuntimeError(log.read_text())
        return judge(n, samples, RunDir(path))


def judge(n: int, samples: list[Sample], run: RunDir) -> Campaign:
    """Return the faults that the samples and the files show."""
    during = [s for s in samples if _WARM * n <= s.step < n]
    slope, error = trend([s.step / 1e5 for s in during], [s.memory for s in during])
    speed = _speed(run)
    files = _files(run)
    descriptors = sorted({s.descriptors for s in during})
    threads = sorted({s.threads for s in during})
    bounds = {"checkpoints": 4, "samples": 66, "landscape": 50}  # 2 and their best; 64 and ends
    over = [kind for kind, most in bounds.items() if files[kind]["files"] > most]
    # Of a shorter run the slope is that of warming up: it is shown and not judged.
    leaking, grown = slope - 2 * error > 1, f"{slope:.2f} MiB / 100,000 steps"
    faults = [
        *([Fault("memory", f"{n} steps", grown if leaking else "")] if n >= 100_000 else []),
        Fault("descriptors", f"{n} steps", f"{descriptors}" if _grows(descriptors) else ""),
        Fault("threads", f"{n} steps", f"{threads}" if _grows(threads) else ""),
        Fault("files", f"{n} steps", ", ".join(f"{k}: {files[k]}" for k in over)),
    ]
    if n >= 100_000:
        slow = abs(speed - 1) > 0.2
        faults.append(Fault("speed", f"{n} steps", f"{speed:.2f} of the start" if slow else ""))
    measured = {
        "steps": n,
        "memory samples": len(during),
        "memory [MiB]": statistics.fmean(s.memory for s in during),
        "memory slope [MiB per 100,000 steps]": slope,
        "its standard error": error,
        "descriptors": ", ".join(map(str, descriptors)),
        "threads": ", ".join(map(str, threads)),
        "speed, last tenth / first tenth": speed,
        "files at the end": [{"kind": kind, **sizes} for kind, sizes in files.items()],
    }
    return Campaign("soak", "A long run", EXPECTED, faults, measured)


def trend(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope of a least-squares line, and its standard error; at least three points."""
    mean_x, mean_y = statistics.fmean(x), statistics.fmean(y)
    spread = math.fsum((a - mean_x) ** 2 for a in x)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True)) / spread
    rest = math.fsum((b - mean_y - slope * (a - mean_x)) ** 2 for a, b in zip(x, y, strict=True))
    return slope, math.sqrt(rest / (len(x) - 2) / spread)


def _grows(counts: list[int]) -> bool:
    return counts[-1] - counts[0] > 2  # a file that is being written, and its directory


def _sample(pid: int, path: Path) -> Sample | None:
    """The process now; None where it is not there, or has logged nothing."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
        descriptors = len(os.listdir(f"/proc/{pid}/fd"))
        threads = len(os.listdir(f"/proc/{pid}/task"))
        with open(RunDir(path).metrics, "rb") as file:
            file.seek(max(0, file.seek(0, os.SEEK_END) - 16384))
            step = json.loads(file.read().splitlines()[-1])["step"]
    except (OSError, ValueError, IndexError):
        return None
    return Sample(step, pages * os.sysconf("SC_PAGE_SIZE") / 2**20, descriptors, threads)


def _speed(run: RunDir) -> float:
    rows = [row for row in read_metrics(run.metrics) if "time/steps_per_second" in row]
    rates = [row["time/steps_per_second"] for row in rows]
    tenth = max(1, len(rates) // 10)
    return statistics.median(rates[-tenth:]) / statistics.median(rates[:tenth])


def _files(run: RunDir) -> dict[str, dict[str, Any]]:
    """How many files of each kind, their bytes, and of the logs the bytes of a row."""
    rows = len(read_metrics(run.metrics))
    kinds = {
        "checkpoints": list(run.checkpoints.glob("*")),
        "samples": list(run.samples.glob("*")),
        "landscape": list(run.landscape.glob("*")),
        "metrics.jsonl": [run.metrics],
        "events.jsonl": [run.events],
        "tensorboard": list(run.tensorboard.glob("*")),
    }
    sizes = {kind: [file.stat().st_size for file in files] for kind, files in kinds.items()}
    result = {kind: {"files": len(s), "bytes": sum(s)} for kind, s in sizes.items()}
    result["metrics.jsonl"]["bytes per row"] = result["metrics.jsonl"]["bytes"] // rows
    pictures = sum(file.stat().st_size for file in kinds["samples"])  # they are in both
    result["tensorboard"]["bytes per row"] = (result["tensorboard"]["bytes"] - pictures) // rows
    assert checkpoint.available(run.checkpoints)
    return result
