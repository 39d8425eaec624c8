"""Open a run: read its data and build networks, optimisers, random streams and the evaluator."""

import copy
from dataclasses import replace

from torch import nn

from gan_lab.data.base import Source
from gan_lab.engine.backends.mlp_gradients import AnalyticMlpGradients
from gan_lab.engine.backends.select import build_gradients, build_step
from gan_lab.engine.devices import resolve_device
from gan_lab.engine.objective import Objective
from gan_lab.engine.rng import Streams, stream
from gan_lab.engine.state import TrainState, build_network
from gan_lab.metrics.evaluator import Evaluator
from gan_lab.networks.base import on_meta
from gan_lab.training.config import RunConfig
from gan_lab.training.run import Networks, Run
from gan_lab.training.validate import validate


def open_source(config: RunConfig) -> Source:
    """Read the data, onto the device."""
    return config.data.open(resolve_device(config.device))


def open_run(config: RunConfig, purpose: str = "") -> Run:
    """Read the data, validate the configuration and `build` the run.

    Raises:
        ConfigError: Something in the configuration or in the data cannot be run.
    """
    source = open_source(config)
    validate(config, source)
    return build(config, source, purpose=purpose)


def build(
    config: RunConfig, source: Source, networks: Networks | None = None, purpose: str = ""
) -> Run:
    """Build the run of a configuration that is validated.

    Args:
        config: What was chosen.
        source: The data.
        networks: Modules to start from instead of fresh ones, without regularizers' buffers.
        purpose: Prefix of the name of every random stream of training.
    """
    config = with_mode(config, source)
    generators, discriminators = networks or build_networks(config, source)
    for discriminator in discriminators:
        for regularizer in config.regularizers.values():
            regularizer.prepare(discriminator)
    modules = (*generators, *discriminators)
    config.execution.set_threads(sum(p.numel() for m in modules for p in m.parameters()))
    config.execution.set_precision()
    state = TrainState(
        build_network(discriminators, source.device),
        build_network(generators, source.device),
        config.optim,
    )
    g, d = (copy.deepcopy(modules[0]).to("meta") for modules in (generators, discriminators))
    objective = Objective(g, d, config.loss, tuple(config.regularizers.values()))
    n_seeds, execution = len(config.seeds), config.execution
    gradients = build_gradients(objective, n_seeds, execution)
    # A step averages its gradients over processes; one process alone measures.
    step_gradients = gradients
    if not config.world.alone:
        step_gradients = build_gradients(objective, n_seeds, execution, config.world)
    streams = Streams(config.seeds, config.draw_spec(source.shape), source, purpose)
    latent_dim = config.network.latent_dim
    return Run(
        config,
        source,
        objective,
        gradients,
        build_step(state, step_gradients, config.trainer.ema, execution),
        state,
        streams,
        Evaluator(config.evaluator, config.metrics, source, latent_dim, streams.labels),
    )


def build_networks(config: RunConfig, source: Source) -> Networks:
    """Return freshly initialised modules for every seed."""

    pair = config.pair(source)

    def fresh(name: str, seed: int) -> nn.Module:
        module: nn.Module = getattr(pair, name)(source.shape)
        pair.initialise_(module, stream(seed, f"init/{name}"))
        return module

    names = ("generator", "discriminator")
    return Networks(*([fresh(name, seed) for seed in config.seeds] for name in names))


def with_mode(config: RunConfig, source: Source) -> RunConfig:
    """Return the configuration with `execution.mode=auto` decided, in `resolved` too.

    A resumed run keeps the mode.
    """
    networks = on_meta(config.pair(source), source.shape)
    objective = Objective(*networks, config.loss, tuple(config.regularizers.values()))
    schedule, steps = config.trainer.schedule, config.trainer.steps
    n_updates = schedule.discriminator_steps(steps) + schedule.n_generator * steps
    analytic = AnalyticMlpGradients.supports(objective)
    mode = config.execution.choose_mode(source.device, n_updates, analytic)
    if mode == config.execution.mode:
        return config
    execution = {**config.resolved.get("execution", {}), "mode": mode}
    resolved = {**config.resolved, "execution": execution}
    return replace(config, execution=replace(config.execution, mode=mode), resolved=resolved)


def largest_weight(config: RunConfig, source: Source) -> int:
    """Return the size of the largest weight: it decides whether seeds run faster together."""
    networks = on_meta(config.pair(source), source.shape)
    return max(p.numel() for network in networks for p in network.parameters())
