"""Where and how a step runs: the device and the number of threads."""

import os
from dataclasses import dataclass

import torch

from gan_lab.checks import check_count
from gan_lab.errors import ConfigError

_WIDE = 2_000_000  # parameters from which a second thread starts to pay on the CPU


def cores() -> int:
    """Processor cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


@dataclass(frozen=True)
class Execution:
    """The keys of `execution` in the config.

    Attributes:
        threads: torch's threads on the CPU; 0 = choose: one for small networks, where a second
            thread costs more than it brings, and all cores for large ones.
    """

    threads: int = 0

    def __post_init__(self) -> None:
        check_count(self, "threads", at_least=0)

    def set_threads(self, n_parameters: int) -> int:
        """Sets torch's intra-op threads for the process and returns their number."""
        threads = self.threads or (1 if n_parameters < _WIDE else cores())
        torch.set_num_threads(threads)
        return threads


def resolve_device(name: str) -> torch.device:
    """The device for `auto` (a GPU where there is one), `cpu`, `cuda` or `cuda:1`.

    Raises:
        ConfigError: The name is unknown or the device is not there.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    kind, _, index = name.partition(":")
    if kind not in ("cpu", "cuda") or (index and not (kind == "cuda" and index.isdigit())):
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
