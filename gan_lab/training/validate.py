"""Refuse a configuration that cannot work before anything is allocated; warn of what goes wrong."""

from collections.abc import Iterator

from torch import nn

from gan_lab.data.base import Source
from gan_lab.engine.devices import resolve_device
from gan_lab.errors import ConfigError
from gan_lab.loggers.base import Logger
from gan_lab.networks.base import batch_coupling, batch_statistics, on_meta
from gan_lab.training import memory
from gan_lab.training.config import RunConfig

_MIN_SAMPLES = 20  # of each part of a finite set that a run can be measured with


def validate(config: RunConfig, source: Source, here: bool = True) -> None:
    """Refuse what would fail or mislead later, before any parameter is allocated.

    If this machine will run it (`here`), its device, compiler, memory and packages have to suffice.

    Raises:
        ConfigError: What, why, and what to do instead.
    """
    generator, discriminator = on_meta(config.pair(source), source.shape)
    _check_packs(config)
    _check_independence(config, discriminator)
    _check_samples(config, source)
    if not config.world.alone:
        _check_slices(config, generator, discriminator)
    if here:
        device = resolve_device(config.device)
        config.execution.check(device, config.world.alone)
        memory.check(config, source, device)
        for logger in config.loggers:
            _check_logger(logger.cls)
        for metric in config.metrics.values():
            metric.check(source)


def warnings(config: RunConfig, source: Source | None = None, here: bool = True) -> list[str]:
    """Return what is allowed but known to go wrong, in one sentence each.

    With its data also what is wrong with them and, if this machine will run it (`here`), with the
    memory that is free.
    """
    sentences = list(_warnings(config))
    if source is not None:
        sentences += source.warnings
        if here:
            sentences += memory.warnings(config, source, resolve_device(config.device))
    return sentences


def _check_logger(cls: type[Logger]) -> None:
    try:
        cls.check()
    except ConfigError:
        raise
    except Exception as error:  # of a class of the user's own
        why = f"{type(error).__name__}: {error}"
        raise ConfigError(
            f"the logger {cls.__name__} refuses this machine ({why}); repair it, or leave it out "
            f"of logger=[...]"
        ) from error


def _check_packs(config: RunConfig) -> None:
    packing, size = config.network.packing, config.trainer.batch_size
    if size % packing:
        raise ConfigError(
            f"trainer.batch_size={size} is no multiple of network.packing={packing}, whose "
            f"packs it has to fill; set trainer.batch_size={packing * max(1, size // packing)}"
        )


def _check_independence(config: RunConfig, discriminator: nn.Module) -> None:
    coupling = batch_coupling(discriminator)
    if coupling is None:
        return
    cure = "network.packing=1" if config.network.packing > 1 else "network.discriminator_norm=layer"
    for name, regularizer in config.regularizers.items():
        if regularizer.needs_independent_samples:
            raise ConfigError(
                f"regularizer '{name}' needs a discriminator whose samples are independent, "
                f"but network.discriminator contains {coupling}. "
                f"Set {cure}, or drop the penalty with regularizer=none."
            )


def _check_samples(config: RunConfig, source: Source) -> None:
    parts = (source.n_train, source.n_validation, source.n_held_out)
    if min(_MIN_SAMPLES if n is None else n for n in parts) < _MIN_SAMPLES:
        raise ConfigError(
            f"{source.n_train} samples are left to train on, {source.n_validation} for "
            f"validation and {source.n_held_out} to hold out, but the evaluator and the neural "
            f"distance need {_MIN_SAMPLES} of each: change data.n_held_out, "
            f"data.held_out_share or data.n_validation, or bring more samples"
            + "".join(f"; {warning}" for warning in source.warnings)
        )
    evaluator = config.evaluator
    n = min(evaluator.n, evaluator.final_n, *(n for n in parts if n is not None))
    for name, metric in config.metrics.items():
        if n < metric.min_samples:
            raise ConfigError(
                f"metric '{name}' needs {metric.min_samples} samples on each side, but gets "
                f"{n}: raise evaluator.n={evaluator.n} and evaluator.final_n="
                f"{evaluator.final_n}, lower metrics.{name}.k, or bring more samples"
            )


def _check_slices(config: RunConfig, generator: nn.Module, discriminator: nn.Module) -> None:
    """Refuse what trains differently in several processes, each of which has a slice of N."""
    size, world = config.trainer.batch_size, config.world
    each = world.size * config.network.packing
    if size % each:
        packs = f" and packs of {config.network.packing}" if config.network.packing > 1 else ""
        raise ConfigError(
            f"trainer.batch_size={size} does not divide by {world.size} processes{packs}; set "
            f"trainer.batch_size={each * max(1, round(size / each))}"
        )
    for name, network in (("generator", generator), ("discriminator", discriminator)):
        if layer := batch_statistics(network):
            raise ConfigError(
                f"network.{name} contains {layer}, whose statistics are those of a whole batch, "
                f"but each of {world.size} processes sees a slice of it. Set "
                f"network.{name}_norm=layer, or train in one process"
            )
    for name, regularizer in config.regularizers.items():
        if regularizer.needs_whole_batch:
            raise ConfigError(
                f"regularizer '{name}' needs a whole batch, but each of {world.size} processes "
                f"sees a slice of it; take another, or one process"
            )


def _warnings(config: RunConfig) -> Iterator[str]:
    loss, regularizers = type(config.loss).__name__, config.regularizers
    constraints = [name for name, each in regularizers.items() if each.constrains_lipschitz]
    if config.network.lipschitz:
        for name in constraints:
            yield (
                f"regularizer {name} has nothing to add to network.lipschitz=true, whose slope is "
                f"at most 1 by construction; drop it with regularizer=none"
            )
    elif config.loss.needs_lipschitz:
        if not constraints:
            yield (
                f"loss {loss} without a regularizer that bounds the critic's gradient norm: its "
                f"value means nothing; add regularizer=[gradient_penalty]"
            )
        elif all(regularizers[name].normalizes_layers for name in constraints):
            yield (
                f"loss {loss} with {' and '.join(constraints)} alone barely moves: each layer's "
                f"Lipschitz constant is at most 1 and the network's far below it; scale the data "
                f"or prefer gradient_penalty"
            )
    for name, regularizer in regularizers.items():
        if regularizer.unstable_with_momentum and config.optim.has_momentum:
            yield (
                f"{name} with momentum is unstable (Arjovsky et al. 2017, section 4); "
                f"prefer optim=rmsprop"
            )
