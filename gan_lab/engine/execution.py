"""Where and how a step runs: device, threads, mode, precision."""

import ctypes
import functools
import logging
import os
import shutil
import sys
from dataclasses import dataclass

import torch

from gan_lab.errors import ConfigError
from gan_lab.validation import check_choice, check_count, is_whole

# To compile for the CPU it says that a toolkit for GPUs is there without a GPU.
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
MODES = ("auto", "eager", "compiled", "cuda_graph")
PRECISIONS = ("f32", "tf32", "bf16")
_WIDE = 2_000_000  # parameters from which a second thread starts to pay on the CPU
_LONG = 200_000  # updates from which compiling pays on the CPU, with a margin of two
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of malloc.h; 32 MiB is the most for the first
STACKED_UP_TO = 64 * 64  # largest weight with which stacked seeds are faster on the CPU


def cores() -> int:
    """Processor cores that this process may use: its share where torchrun started several."""
    there = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    shared = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, (there or 1) // max(1, int(shared) if is_whole(shared) else 1))


@dataclass(frozen=True)
class Execution:
    """The keys of `execution` in the config.

    Attributes:
        threads: torch's threads on the CPU; 0 = choose: one for small networks, where a second
            thread costs more than it brings, and all cores for large ones.
        mode: eager (from Python), compiled (by torch.compile), cuda_graph (recorded on a GPU), or
            auto: see `resolved`.
        precision: f32; tf32 (matrix products with 10 bits of mantissa, on GPUs); bf16 (matrix
            products and convolutions in bfloat16; weights, optimisers and losses stay float32).
            tf32 holds for the process: what is measured is multiplied so, too.
    """

    threads: int = 0
    mode: str = "auto"
    precision: str = "f32"

    def __post_init__(self) -> None:
        check_count(self, "threads", at_least=0)
        check_choice(self, "mode", list(MODES))
        check_choice(self, "precision", list(PRECISIONS))

    def check(self, device: torch.device, alone: bool = True) -> None:
        """Refuses what this machine does not have.

        Args:
            device: Where the run is.
            alone: Whether one process trains.

        Raises:
            ConfigError: What, and what to take instead.
        """
        if device.type != "cuda":
            for key, value in (("mode", "cuda_graph"), ("precision", "tf32")):
                if getattr(self, key) == value:
                    raise ConfigError(
                        f"execution.{key}={value} needs a CUDA device, and the run is on {device}; "
                        f"leave execution.{key} out"
                    )
        if self.mode == "cuda_graph" and not alone:
            raise ConfigError(
                "execution.mode=cuda_graph records one process, and torchrun started several; take "
                "execution.mode=eager"
            )
        if self.mode == "compiled" and device.type == "cpu" and not _compiler():
            raise ConfigError(
                "execution.mode=compiled needs a C++ compiler, and neither CXX nor the PATH leads "
                "to one; install g++ or take execution.mode=eager"
            )
        if self.threads > (limit := max(64, 8 * cores())):
            raise ConfigError(
                f"execution.threads={self.threads} is more than {limit}, the most on {cores()} "
                f"cores; take 0 to let it choose"
            )

    def resolved(self, device: torch.device, n_updates: int, analytic: bool, alone: bool) -> str:
        """What `mode` comes to: auto chooses by device, network and length of the run.

        On a GPU a step is recorded as CUDA graphs. On the CPU compiling takes up to half a minute
        and saves a tenth (wide) to a half (narrow) of a step by hand, so it pays in long runs:
        docs/benchmarks.md.

        Args:
            device: Where the run is.
            n_updates: Of all players in the whole run.
            by_hand: Whether gradients are derived by hand.
            alone: Whether one process trains.
        """
        if self.mode != "auto":
            return self.mode
        if device.type == "cuda":
            return "cuda_graph" if alone else "eager"
        return "compiled" if analytic and n_updates >= _LONG and _compiler() else "eager"

    def set_threads(self, n_parameters: int) -> int:
        """Sets torch's intra-op threads for the process and returns their number."""
        threads = self.threads or (1 if n_parameters < _WIDE else cores())
        torch.set_num_threads(threads)
        return threads

    def set_precision(self) -> None:
        """Sets how GPUs multiply float32 numbers, for the process."""
        if torch.cuda.is_available():
            tf32 = self.precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = tf32
            torch.backends.cudnn.allow_tf32 = tf32


@functools.cache
def keep_freed_memory() -> bool:
    """Tells glibc to keep the memory of a step's tensors for the next; whether there is glibc.

    For the whole process and for good. Freed, large blocks go back to the kernel, and the next
    step's first touch of each page is a fault: a seventh of a step of DCGAN on 32x32 images.
    """
    try:
        libc = ctypes.CDLL(None)
        return bool(
            libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20) and libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        )
    except (AttributeError, OSError, TypeError):  # macOS, Windows, musl
        return False


def _compiler() -> bool:
    """Whether the one compiler that torch asks for is there."""
    named = os.environ.get("CXX", "").split() or ["clang++" if sys.platform == "darwin" else "g++"]
    return shutil.which(named[0]) is not None


def resolve_device(name: str) -> torch.device:
    """The device for `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:1`.

    Raises:
        ConfigError: The name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and is_whole(index))):
        raise ConfigError(f"device={name!r} is unknown; take auto, cpu, cuda or cuda:N")
    if kind == "cuda" and not torch.cuda.is_available():
        raise ConfigError(
            f"device={name!r} was asked for, but torch {torch.__version__} sees no CUDA device; "
            f"take device=cpu or device=auto"
        )
    if index and int(index) >= torch.cuda.device_count():
        raise ConfigError(
            f"device={name!r} was asked for, but there are {torch.cuda.device_count()} CUDA devices"
        )
    return torch.device(name)
