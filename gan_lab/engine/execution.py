"""How a step runs: threads, mode, precision."""

from dataclasses import dataclass

import torch

from gan_lab.engine.devices import cores, has_compiler
from gan_lab.errors import ConfigError
from gan_lab.validation import check_choice, check_count

MODES = ("auto", "eager", "compiled", "cuda_graph")
PRECISIONS = ("f32", "tf32", "bf16")
_WIDE = 2_000_000  # parameters from which a second thread starts to pay on the CPU
_LONG = 200_000  # updates from which compiling pays on the CPU, with a margin of two
STACKED_UP_TO = 64 * 64  # largest weight with which stacked seeds are faster on the CPU


@dataclass(frozen=True)
class Execution:
    """The keys of `execution` in the config.

    Attributes:
        threads: torch's threads on the CPU; 0 = choose: one for small networks, where a second
            thread costs more than it brings, and all cores for large ones.
        mode: eager (from Python), compiled (by torch.compile), cuda_graph (recorded on a GPU), or
            auto: see `choose_mode`.
        precision: f32; tf32 (matrix products with 10 bits of mantissa, on GPUs); bf16 (matrix
            products and convolutions in bfloat16; weights, optimisers and losses stay float32).
            tf32 holds for the process, so for metrics too.
        ignore_memory: Begin a run also where it needs more than twice the memory that is free, by
            an estimate.
    """

    threads: int = 0
    mode: str = "auto"
    precision: str = "f32"
    ignore_memory: bool = False

    def __post_init__(self) -> None:
        check_count(self, "threads", at_least=0)
        check_choice(self, "mode", list(MODES))
        check_choice(self, "precision", list(PRECISIONS))

    def check(self, device: torch.device, alone: bool = True) -> None:
        """Refuse (ConfigError) a mode, precision, device or threads that a run cannot have here.

        `alone`: whether one process trains.
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
        if self.mode == "compiled" and device.type == "cpu" and not has_compiler():
            raise ConfigError(
                "execution.mode=compiled needs a C++ compiler, and neither CXX nor the PATH leads "
                "to one; install g++ or take execution.mode=eager"
            )
        if device.type == "mps" and not alone:
            raise ConfigError(
                "device=mps trains in one process, and torchrun started several; take device=cpu"
            )
        if self.threads > (limit := max(64, 8 * cores())):
            raise ConfigError(
                f"execution.threads={self.threads} is more than {limit}, the most on {cores()} "
                f"cores; take 0 to let it choose"
            )

    def choose_mode(self, device: torch.device, n_updates: int, analytic: bool) -> str:
        """Return the mode: auto chooses by device, network and length of the run.

        On a GPU it is eager: CUDA graphs have to be asked for until `pytest -m gpu` has passed on
        one. On the CPU compiling takes up to half a minute and saves a tenth (wide) to a half
        (narrow) of a step with analytic gradients, so it pays in long runs: docs/benchmarks.md.

        `n_updates` are those of both networks in the whole run; `analytic` is whether gradients
        are.
        """
        if self.mode != "auto":
            return self.mode
        on_cpu = device.type == "cpu"
        pays = on_cpu and analytic and n_updates >= _LONG and has_compiler()
        return "compiled" if pays else "eager"

    def set_threads(self, n_parameters: int) -> int:
        """Set torch's intra-op threads for the process and return their number."""
        threads = self.threads or (1 if n_parameters < _WIDE else cores())
        torch.set_num_threads(threads)
        return threads

    def set_precision(self) -> None:
        """Set how GPUs multiply float32 numbers, for the process."""
        if torch.cuda.is_available():
            tf32 = self.precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = tf32
            torch.backends.cudnn.allow_tf32 = tf32
