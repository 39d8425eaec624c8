"""How much memory a run will need, before any of it is allocated.

The networks are made on the meta device, where they cost nothing, and counted. In numbers of 4
bytes, with P parameters and buffers, A outputs of all layers for one sample (d: discriminator, g:
generator), N samples of an update, S seeds and m moments of the optimiser:

  kept     = S ((1 + m) (P_d + P_g) + P_g)             weights, moments, the generator's average
  state    = 4 kept + S (P_d + P_g)                    live, two snapshots, a third while one is
                                                       replaced; and the gradients
  update   = S max over the players of                 what a backward pass needs
             N (2 + 4 i) A_d + (1 + 2 i) P_d           i: gradients by the inputs (penalties)
             N (A_g + A_d) 2 + P_g
  fakes    = S min(8, updates) N (x + largest layer)   of several updates together, x a sample
  draws    = S (block of `streams`) + a step's samples the block twice while seeds are stacked
  ruler    = 6 n^2                                     distances of n samples on each side, thrice

The factors were fitted to the peak of the resident set of whole updates on a CPU; for networks of
more than 50 MB the estimate is between half and twice of what was measured
(tests/training/test_memory.py). The data are on the device already, and are not counted.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from gan_lab.data.base import Source
from gan_lab.engine.optimizers import Optimizer
from gan_lab.engine.rng import DrawSpec
from gan_lab.engine.step import FAKES_TOGETHER
from gan_lab.errors import ConfigError
from gan_lab.networks.base import NetworkPair, Packing
from gan_lab.regularizers.base import Regularizer
from gan_lab.training.trainer_settings import TrainerSettings

_COPIES = 4  # of what a checkpoint holds: live, before the interval, the best, and one being made
_FLOAT = 4  # bytes
_PAIR = 3 * 2 * _FLOAT  # the kernel measure keeps all distances in float64: of both sides, across


@dataclass(frozen=True)
class Need:
    """Bytes that a run will allocate.

    Attributes:
        state: Weights, gradients, moments, the average, and their snapshots.
        update: What one update keeps for its backward pass, and the fakes that are made together.
        draws: The randomness of a block of steps.
        ruler: Distances between the samples that are compared pair by pair.
    """

    state: int
    update: int
    draws: int
    distances: int = 0

    @property
    def total(self) -> int:
        """All of it."""
        return self.state + self.update + self.draws + self.distances


@dataclass(frozen=True)
class _Size:
    weights: int  # numbers
    outputs: int  # numbers a sample, of all layers
    largest: int  # numbers a sample, of the largest layer


def on_meta(network: NetworkPair, shape: tuple[int, ...]) -> tuple[nn.Module, nn.Module]:
    """Generator and discriminator without memory behind their parameters.

    Raises:
        ConfigError: The pair does not fit the samples, or is too large to be counted.
    """
    try:
        with torch.device("meta"):
            return network.generator(shape), network.discriminator(shape)
    except ValueError as error:
        raise ConfigError(str(error)) from error
    except (RuntimeError, TypeError, OverflowError) as error:  # more than 64 bits can count
        raise ConfigError(
            f"the networks have more parameters than torch can count ({str(error).splitlines()[0]})"
            f"; set a smaller network.width"
        ) from error


def needed(
    networks: tuple[nn.Module, nn.Module],
    shape: tuple[int, ...],
    spec: DrawSpec,
    regularizers: Sequence[Regularizer],
    n_moments: int,
    n_seeds: int,
    ticket: int,
) -> Need:
    """What a run needs; see the module for the formula.

    Args:
        networks: Generator and discriminator, on the meta device.
        shape: Of one sample.
        spec: The draws of a step.
        regularizers: Of the discriminator.
        n_moments: Numbers that the optimiser keeps for each parameter.
        n_seeds: Seeds trained at once.
        ticket: Numbers of 4 bytes that the data draw for one sample.
    """
    generator, discriminator = networks
    g = _size(generator, torch.empty(2, spec.latent_dim, device="meta"))
    d = _size(discriminator, torch.empty(2 * _packing(discriminator), *shape, device="meta"))
    inner = sum(regularizer.inner_gradients for regularizer in regularizers)
    n, sample = spec.batch_size, torch.Size(shape).numel()
    kept = (1 + n_moments) * (d.weights + g.weights) + g.weights
    state = _COPIES * kept + d.weights + g.weights
    of_d = n * (2 + 4 * inner) * d.outputs + (1 + 2 * inner) * d.weights
    of_g = 2 * n * (g.outputs + d.outputs) + g.weights
    together = min(FAKES_TOGETHER, spec.schedule.max_discriminator_updates)
    fakes = together * n * (sample + g.largest)
    per_sample = spec.latent_dim + 1 + ticket
    per_sample += sum(torch.Size(noise).numel() for noise in spec.noise.values())
    updates = spec.schedule.max_discriminator_updates + spec.schedule.n_generator
    block = spec.block_steps * updates * n * per_sample
    draws = (2 if n_seeds > 1 else 1) * block + updates * n * sample
    return Need(*(_FLOAT * n_seeds * part for part in (state, max(of_d, of_g) + fakes, draws)))


def check(
    networks: tuple[nn.Module, nn.Module],
    source: Source,
    device: torch.device,
    latent_dim: int,
    regularizers: Sequence[Regularizer],
    optim: Optimizer,
    settings: TrainerSettings,
    n_seeds: int,
    n_processes: int = 1,
    n_compared: int = 0,
) -> Need:
    """Refuses a run that does not fit into the memory that is free.

    Args:
        n_compared: Samples on each side that the ruler compares at once; the rest as above.

    Raises:
        ConfigError: What needs how much, what is free, what to lower.
    """
    noise = {k: v for r in regularizers for k, v in r.noise_spec(source.shape).items()}
    spec = DrawSpec(settings.batch_size, latent_dim, noise, settings.schedule)
    drawn = source.draw(1, torch.Generator(source.device))
    ticket = drawn.numel() * drawn.element_size() // _FLOAT
    need = needed(networks, source.shape, spec, regularizers, moments(optim), n_seeds, ticket)
    need = replace(need, distances=_PAIR * n_compared**2)
    there = free(device)
    if there is not None and device.type == "cpu":
        there //= n_processes  # all of this machine
    if there is not None and need.total > there:
        training = need.total - need.distances
        cures = ["network.width"] if 2 * need.state >= training else []
        cures += ["trainer.batch_size"] if 2 * need.state <= training else []
        cures += ["n_seeds"] if n_seeds > 1 else []
        cures = ["evaluator.n", "evaluator.final_n"] if need.distances > training else cures
        of = f" for {n_seeds} seeds" if n_seeds > 1 else ""
        raise ConfigError(
            f"the run needs about {_told(need.total)}{of} (weights, moments and snapshots "
            f"{_told(need.state)}, an update {_told(need.update)}, random numbers "
            f"{_told(need.draws)}, the evaluator {_told(need.distances)}), but {_told(there)} are "
            f"free on {device}; lower {' or '.join(cures)}"
        )
    return need


def check_samples(n: int, each: int, device: torch.device) -> None:
    """Refuses more samples than fit, four times over: noise, layers, the array, its copy.

    Args:
        n: Samples.
        each: Numbers of one, with its noise.
        device: Where they are made.

    Raises:
        ConfigError: What they need, and how many would fit.
    """
    need, there = 4 * _FLOAT * n * each, free(device)
    if there is not None and need > there:
        raise ConfigError(
            f"n={n} samples need about {_told(need)}, but {_told(there)} are free on {device}; "
            f"take n={n * there // need} or less"
        )


def moments(optim: Optimizer) -> int:
    """Numbers that an optimiser keeps for each parameter, by building one for two."""
    flat = torch.zeros(2, requires_grad=True)
    kept = optim.build_generator(flat).state.values()
    return sum(each.shape == flat.shape for each in kept)


def free(device: torch.device) -> int | None:
    """Bytes that a process may still allocate on a device; None where nobody says."""
    if device.type == "cuda":
        unused = torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device)
        return torch.cuda.mem_get_info(device)[0] + unused
    limits = [limit for limit in (_available(), _cgroup()) if limit is not None]
    return min(limits, default=None)


def _available(file: Path = Path("/proc/meminfo")) -> int | None:
    try:
        lines = file.read_text().splitlines()
        kilobytes = next(line.split()[1] for line in lines if line.startswith("MemAvailable:"))
        return 1024 * int(kilobytes)
    except (OSError, StopIteration):
        names = getattr(os, "sysconf_names", {})
        if "SC_PHYS_PAGES" not in names:
            return None
        return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def _cgroup(
    root: Path = Path("/sys/fs/cgroup"), me: Path = Path("/proc/self/cgroup")
) -> int | None:
    """What is left of the control group's limit, version 2 or 1; its file cache can be dropped."""
    own = Path()
    try:
        groups = [line.split(":", 2) for line in me.read_text().splitlines()]
        own = Path(next(path for _, kind, path in groups if kind in ("", "memory")).lstrip("/"))
    except (OSError, StopIteration, ValueError):
        pass
    left = []
    tops = [top / folder for top in (root, root / "memory") for folder in (own, *own.parents)]
    for folder in tops:
        for limit, usage, cache in (
            ("memory.max", "memory.current", "inactive_file"),
            ("memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"),
        ):
            try:
                limit = (folder / limit).read_text().strip()
                used = int((folder / usage).read_text())
                rows = (folder / "memory.stat").read_text().splitlines()
            except (OSError, ValueError):
                continue
            if limit != "max":
                cached = sum(int(r.split()[1]) for r in rows if r.split()[0] == cache)
                left.append(max(0, int(limit) - used + cached))
    return min(left, default=None)


class _Shapes(TorchFunctionMode):
    """Answers for layers whose output has a known shape: on meta they import torch's compiler."""

    _SAME = (
        *("relu", "leaky_relu", "elu", "silu", "softplus", "tanh"),
        *("layer_norm", "batch_norm", "group_norm", "instance_norm"),
    )

    def __torch_function__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        if func is torch.nn.functional.linear:
            return args[0].new_empty(*args[0].shape[:-1], len(args[1]))
        if func.__name__ in self._SAME:
            return args[0]
        return func(*args, **(kwargs or {}))


def _size(module: nn.Module, samples: Tensor) -> _Size:
    found: list[int] = []

    def count(layer: nn.Module, inputs: object, output: Tensor) -> None:
        found.append(output.numel() // len(samples))

    layers = [layer for layer in module.modules() if not list(layer.children())]
    hooks = [layer.register_forward_hook(count) for layer in layers]
    with torch.no_grad(), _Shapes():
        module(samples)
    for hook in hooks:
        hook.remove()
    weights = sum(leaf.numel() for leaf in (*module.parameters(), *module.buffers()))
    return _Size(weights, sum(found), max(found))


def _packing(discriminator: nn.Module) -> int:
    return next((layer.size for layer in discriminator.modules() if isinstance(layer, Packing)), 1)


def _told(n_bytes: int) -> str:
    if n_bytes >= 1e15:
        return f"{n_bytes / 1e9:.1e} GB"
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return "less than 1 MB"
