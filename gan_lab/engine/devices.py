"""The machine: device, cores, compiler and allocator of the process."""

import ctypes
import functools
import logging
import os
import shutil
import sys

import torch
from torch import Tensor

from gan_lab.errors import ConfigError
from gan_lab.validation import is_whole

# Where it compiles for the CPU, torch warns of a CUDA toolkit without a GPU.
logging.getLogger("torch.utils.cpp_extension").setLevel(logging.ERROR)
_WITH_FLOAT64 = ("cpu", "cuda", "meta")
_M_MMAP_THRESHOLD, _M_TRIM_THRESHOLD = -3, -1  # of malloc.h; 32 MiB is the largest first one


def cores() -> int:
    """Return the processor cores of this process: its part where torchrun started several."""
    n_cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    n_processes = os.environ.get("LOCAL_WORLD_SIZE", "1")
    return max(1, (n_cores or 1) // max(1, int(n_processes) if is_whole(n_processes) else 1))


@functools.cache
def keep_freed_memory() -> bool:
    """Tell glibc to keep the memory of a step's tensors; return whether there is glibc.

    It holds for the process and cannot be undone. Otherwise large freed blocks go back to the
    kernel, and the next step's first touch of each page is a fault: a seventh of a step of DCGAN on
    32x32 images.
    """
    try:
        libc = ctypes.CDLL(None)
        return bool(
            libc.mallopt(_M_MMAP_THRESHOLD, 32 << 20) and libc.mallopt(_M_TRIM_THRESHOLD, 1 << 30)
        )
    except (AttributeError, OSError, TypeError):  # macOS, Windows, musl
        return False


def has_compiler() -> bool:
    """Return whether the compiler that torch calls is there."""
    default = {"darwin": "clang++", "win32": "cl"}.get(sys.platform, "g++")
    command = os.environ.get("CXX", "").split() or [default]
    return shutil.which(command[0]) is not None


def to_float64(tensor: Tensor) -> Tensor:
    """Return a tensor in float64, on the CPU where its device has no such numbers (mps)."""
    return (tensor if tensor.device.type in _WITH_FLOAT64 else tensor.cpu()).double()


def resolve_device(name: str) -> torch.device:
    """Return the device for `auto` (a CUDA GPU, else the CPU), `cpu`, `mps`, `cuda` or `cuda:1`.

    Raises:
        ConfigError: The name is unknown or the device is not there.
    """
    if name == "mps":
        if not torch.backends.mps.is_available():
            raise ConfigError(
                f"device='mps' was asked for, but torch {torch.__version__} sees no Apple GPU; "
                f"take device=cpu or device=auto"
            )
        return torch.device("mps")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and is_whole(index))):
        raise ConfigError(f"device={name!r} is unknown; take auto, cpu, mps, cuda or cuda:N")
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
