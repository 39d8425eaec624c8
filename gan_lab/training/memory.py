"""How much memory a run will need, before any of it is allocated.

The networks are built on the meta device, where they cost nothing, and counted. In numbers of 4
bytes, with P parameters and buffers, A outputs of all layers for one sample (d: discriminator, g:
generator), N samples of an update, S seeds and m moments of the optimiser:

  snapshot = S ((1 + m) (P_d + P_g) + P_g)             weights, moments, the generator's average
  state    = 4 snapshot + S (P_d + P_g)                live, the last two that were checked, the
                                                       best; and the gradients
  update   = S max over the networks of                what a backward pass needs
             N (2 + 4 i) A_d + (1 + 2 i) P_d           i: gradients by the inputs (penalties)
             N (A_g + A_d) 2 + P_g
  fakes    = S min(8, updates) N (x + largest layer)   of several updates together, x a sample
  draws    = S (block of `Streams`) + a step's samples the block twice while seeds are joined
             + 2 chunks of samples                     of data outside of the device, as they lie
  distances = 6 n^2                                    distances of n samples on each side, thrice

The factors were fitted to the peak of the resident set of whole updates on a CPU; for networks of
more than 50 MB the estimate is between half and twice of what was measured
(tests/training/test_memory.py). The data are where they stay already, and are not counted.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from gan_lab.data.base import Source
from gan_lab.data.free_memory import free_bytes
from gan_lab.data.host import HostSource
from gan_lab.engine.optimizers import Optimizer
from gan_lab.engine.read_ahead import n_chunk_steps
from gan_lab.engine.rng import DrawSpec
from gan_lab.engine.step import FAKES_TOGETHER
from gan_lab.errors import ConfigError
from gan_lab.networks.base import forward_on_meta, on_meta
from gan_lab.training.config import RunConfig

_COPIES = 4  # of a snapshot: see `callbacks.divergence` and `callbacks.best_checkpoint`
_FLOAT = 4  # bytes
_REFUSED_FROM = 2.0  # times what is free: as much as the estimate may be wrong by
_PAIR = 3 * 2 * _FLOAT  # the kernel distance keeps all pairs in float64: of both sides, across


@dataclass(frozen=True)
class Need:
    """Bytes that a run will allocate."""

    state: int  # weights, gradients, moments, the average, and their snapshots
    update: int  # what an update keeps for its backward pass, and the fakes of several updates
    draws: int  # the randomness of a block of steps
    distances: int = 0  # between the samples that are compared pair by pair

    @property
    def training(self) -> int:
        """Bytes without the evaluator."""
        return self.state + self.update + self.draws

    @property
    def total(self) -> int:
        """Bytes of all parts."""
        return self.training + self.distances


@dataclass(frozen=True)
class _Size:
    weights: int  # numbers
    outputs: int  # numbers a sample, of all layers
    largest: int  # numbers a sample, of the largest layer


def estimate(config: RunConfig, source: Source) -> Need:
    """Return what a run needs; see the module for the formula."""
    spec = config.draw_spec(source.shape)
    n_seeds = len(config.seeds)
    pair = config.pair(source)
    generator, discriminator = on_meta(pair, source.shape)
    g = _size(generator, torch.empty(2, pair.latent_dim + pair.n_classes, device="meta"))
    packs = torch.empty(2 * config.network.packing, *source.shape, device="meta")
    d = _size(discriminator, packs)
    inner = config.inner_gradients
    n, sample = spec.batch_size, torch.Size(source.shape).numel()
    snapshot = (1 + count_moments(config.optim)) * (d.weights + g.weights) + g.weights
    state = _COPIES * snapshot + d.weights + g.weights
    of_d = n * (2 + 4 * inner) * d.outputs + (1 + 2 * inner) * d.weights
    of_g = 2 * n * (g.outputs + d.outputs) + g.weights
    together = min(FAKES_TOGETHER, spec.schedule.max_discriminator_updates)
    fakes = together * n * (sample + g.largest)
    drawn_row = source.draw(1, torch.Generator(source.device))  # what is drawn for one real sample
    per_sample = spec.latent_dim + 1 + drawn_row.numel() * drawn_row.element_size() // _FLOAT
    per_sample += sum(torch.Size(noise).numel() for noise in spec.noise.values())
    updates = spec.schedule.max_discriminator_updates + spec.schedule.n_generator
    block = spec.block_steps * updates * n * per_sample
    draws = (2 if n_seeds > 1 else 1) * block + updates * n * sample
    size = _FLOAT * n_seeds
    update = max(of_d, of_g) + fakes
    read_ahead = _read_ahead_bytes(spec, source, n_seeds)
    distances = _PAIR * _n_compared(config, source) ** 2
    return Need(size * state, size * update, size * draws + read_ahead, distances)


def _read_ahead_bytes(spec: DrawSpec, source: Source, n_seeds: int) -> int:
    """Return the bytes of the two chunks of samples that lie on the device; see `ReadAhead`."""
    if not isinstance(source, HostSource):
        return 0
    step_bytes = n_seeds * spec.step_bytes(source.sample_bytes)
    return 2 * step_bytes * n_chunk_steps(spec.block_steps, step_bytes)


def _n_compared(config: RunConfig, source: Source) -> int:
    """Return the largest number of samples on each side that the evaluator compares at once."""
    evaluator = config.evaluator
    sides = ((evaluator.n, source.n_validation), (evaluator.final_n, source.n_held_out))
    return max(min(n, part or n, source.n_train or n) for n, part in sides)


def check(config: RunConfig, source: Source, device: torch.device) -> None:
    """Refuse a run that needs more than twice the memory that is free.

    The estimate may be wrong by a factor of two, so that less is for `warnings`, and
    execution.ignore_memory=true lets every run begin.

    Raises:
        ConfigError: What needs how much, what is free, what to lower.
    """
    shortage = _describe_shortage(config, source, device, _REFUSED_FROM)
    if shortage is not None and not config.execution.ignore_memory:
        raise ConfigError(f"{shortage}, or set execution.ignore_memory=true to go on all the same")


def warnings(config: RunConfig, source: Source, device: torch.device) -> list[str]:
    """Return one sentence for a run that needs more than the memory that is free."""
    shortage = _describe_shortage(config, source, device)
    return [] if shortage is None else [shortage]


def _describe_shortage(
    config: RunConfig, source: Source, device: torch.device, factor: float = 1.0
) -> str | None:
    """Say what needs how much, what is free and what to lower; None up to `factor` times that.

    Each of the run's processes on this machine takes the need.
    """
    need, free = estimate(config, source), free_bytes(device)
    if free is not None and device.type == "cpu":
        free //= config.world.local_size
    if free is None or need.total <= factor * free:
        return None
    n_seeds, training = len(config.seeds), need.training
    remedies = ["network.width"] if 2 * need.state >= training else []
    remedies += ["trainer.batch_size"] if 2 * need.state <= training else []
    remedies += ["n_seeds"] if n_seeds > 1 else []
    remedies = ["evaluator.n", "evaluator.final_n"] if need.distances > training else remedies
    seeds = f" for {n_seeds} seeds" if n_seeds > 1 else ""
    parts = (need.total, need.state, need.update, need.draws, need.distances)
    total, state, update, draws, distances = map(_format_bytes, parts)
    return (
        f"the run needs about {total}{seeds} (weights, moments and snapshots {state}, an update "
        f"{update}, random numbers {draws}, the evaluator {distances}), but {_format_bytes(free)} "
        f"are free on {device}; lower {' or '.join(remedies)}"
    )


def check_samples(n: int, each: int, device: torch.device) -> None:
    """Refuse more samples than fit, four times over: noise, layers, the array, its copy.

    A sample and its noise have `each` numbers.

    Raises:
        ConfigError: What they need, and how many would fit.
    """
    need, free = 4 * _FLOAT * n * each, free_bytes(device)
    if free is not None and need > free:
        raise ConfigError(
            f"n={n} samples need about {_format_bytes(need)}, but {_format_bytes(free)} are free "
            f"on {device}; take n={n * free // need} or less"
        )


def count_moments(optim: Optimizer) -> int:
    """Return the numbers that an optimiser keeps for each parameter, by building one for two."""
    flat = torch.zeros(2, requires_grad=True)
    state = optim.build_generator(flat).state.values()
    return sum(each.shape == flat.shape for each in state)


def _size(module: nn.Module, samples: Tensor) -> _Size:
    outputs = [
        output.numel() // len(samples)
        for layer, _, output in forward_on_meta(module, samples)
        if not list(layer.children())
    ]
    weights = sum(leaf.numel() for leaf in (*module.parameters(), *module.buffers()))
    return _Size(weights, sum(outputs), max(outputs))


def _format_bytes(n_bytes: int) -> str:
    if n_bytes >= 1e15:
        return f"{n_bytes / 1e9:.1e} GB"
    for unit, size in (("GB", 1e9), ("MB", 1e6)):
        if n_bytes >= size:
            return f"{n_bytes / size:.3g} {unit}"
    return "less than 1 MB"
