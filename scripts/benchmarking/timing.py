"""Contestants take turns: every round times each of them once, so that a busy machine hits all."""

import contextlib
import ctypes
import gc
import re
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

_WARM_SECONDS = 2.0  # slow steps are warm after fewer of them
_ROW_SECONDS, _LEAST_ROUNDS = 60.0, 3
_BACKENDS = (
    (torch.backends.mkldnn.matmul, "fp32_precision"),
    (torch.backends.mkldnn.conv, "fp32_precision"),
    (torch.backends.cuda.matmul, "allow_tf32"),
    (torch.backends.cudnn, "allow_tf32"),
    (torch.backends.cudnn, "benchmark"),
)


@dataclass(frozen=True)
class Switches:
    """torch's global switches of precision: one contestant's must not leak into another's time."""

    values: tuple[object, ...]

    @staticmethod
    def now() -> "Switches":
        return Switches(tuple(getattr(backend, name) for backend, name in _BACKENDS))

    def set(self) -> None:
        for (backend, name), value in zip(_BACKENDS, self.values, strict=True):
            if getattr(backend, name) != value:
                setattr(backend, name, value)

    @staticmethod
    @contextlib.contextmanager
    def at_rest() -> Iterator[None]:
        """torch as it was imported, while the block runs."""
        before = Switches.now()
        AT_REST.set()
        try:
            yield
        finally:
            before.set()


AT_REST = Switches.now()


@dataclass
class Contestant:
    """Something to time.

    Attributes:
        switches: torch's global switches as it was built under.
        build_seconds: Until its first step was done, compilation included.
        memory: Bytes that it added to the process, or to the GPU; None where unknown.
        rounds: Seconds a step, one number a round.
        cpu_rounds: The same of the process's own CPU time, all threads: what others took of the
            machine is no part of it.
    """

    name: str
    step: Callable[[], object]
    switches: Switches = AT_REST
    build_seconds: float = 0.0
    memory: int | None = None
    rounds: list[float] = field(default_factory=list)
    cpu_rounds: list[float] = field(default_factory=list)


def finish(device: torch.device) -> None:
    """Waits until the device is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def built(
    name: str, build: Callable[[], Callable[[], object]], device: torch.device, warm_up: int = 3
) -> Contestant:
    """A contestant, ready to be timed: built, its first steps done, its memory watched."""
    AT_REST.set()
    gc.collect()
    before = _reset_peak(device)
    start = time.perf_counter()
    step = build()
    step()
    finish(device)
    build_seconds = time.perf_counter() - start
    warmed = time.perf_counter()
    for _ in range(warm_up - 1):
        if time.perf_counter() - warmed > _WARM_SECONDS:
            break
        step()
        finish(device)
    peak = _peak(device)
    memory = None if before is None or peak is None else max(0, peak - before)
    contestant = Contestant(name, step, Switches.now(), build_seconds, memory)
    AT_REST.set()
    return contestant


def interleaved(
    contestants: Sequence[Contestant], device: torch.device, rounds: int, seconds: float
) -> None:
    """Fills every contestant's rounds: each round times all of them, one after the other.

    There are fewer rounds, but 3, where they would take more than a minute; a step that takes
    longer than the seconds of a turn is still done once.
    """
    counts, once = [], []
    for contestant in contestants:
        once.append(_turn(contestant, device, 1))
        counts.append(max(1, round(seconds / once[-1])))
        contestant.rounds.clear()
        contestant.cpu_rounds.clear()
    slow = sum(max(seconds, each) for each in once)
    for turn in range(min(rounds, max(_LEAST_ROUNDS, round(_ROW_SECONDS / slow)))):
        order = range(len(contestants))  # every other round backwards: no fixed neighbour
        for i in order if turn % 2 == 0 else reversed(order):
            _turn(contestants[i], device, counts[i])


def _turn(contestant: Contestant, device: torch.device, n: int) -> float:
    """Adds a round of n steps; its seconds a step."""
    contestant.switches.set()
    try:
        finish(device)
        start, cpu_start = time.perf_counter(), time.process_time()
        for _ in range(n):
            contestant.step()
        finish(device)
        contestant.rounds.append((time.perf_counter() - start) / n)
        contestant.cpu_rounds.append((time.process_time() - cpu_start) / n)
        return contestant.rounds[-1]
    finally:
        AT_REST.set()


def ratios(slow: Sequence[float], fast: Sequence[float], seeds: int = 1) -> list[float]:
    """How many times faster, round by round and for each seed: slow seeds / fast."""
    return [seeds * a / b for a, b in zip(slow, fast, strict=True)]


def summary(values: Sequence[float]) -> dict[str, float]:
    """Median, quartiles and extremes."""
    low, middle, high = [values[0]] * 3
    if len(values) > 1:
        low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    quartiles = {"median": middle, "quartile_low": low, "quartile_high": high}
    return {**quartiles, "min": min(values), "max": max(values)}


def _reset_peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats(device)
        return torch.cuda.memory_allocated(device)
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).malloc_trim(0)  # else memory freed before hides what is taken now
    try:
        Path("/proc/self/clear_refs").write_text("5")  # Linux: the peak starts again from here
    except OSError:
        return None
    return _peak(device)


def _peak(device: torch.device) -> int | None:
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    try:
        match = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
    except OSError:
        return None
    return int(match[1]) * 1024 if match else None
