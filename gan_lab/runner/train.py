"""Start and resume a run: its directory, lock, status and checkpoint around the training."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_lab.data.base import Source
from gan_lab.engine.devices import keep_freed_memory
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.run_dir import RunDir, atomic_write, environment
from gan_lab.runs.safe_io import printable
from gan_lab.signals import Interrupted
from gan_lab.training.build import build, open_run, with_mode
from gan_lab.training.compute_budget import Origin
from gan_lab.training.config import RunConfig
from gan_lab.training.loop import Trainer
from gan_lab.training.run import Run

Estimates = list[dict[str, Estimate]]


def start(
    config: RunConfig,
    source: Source,
    path: Path,
    run: Run | None = None,
    origin: Origin | None = None,
    **status: Any,
) -> Estimates:
    """Train a new run into a directory and return each seed's final estimates.

    The configuration is validated. A run that does not start from fresh networks is built and has
    an origin. `status` are more fields for status.json.

    Raises:
        ConfigError: The directory holds a run already, or another process uses it.
        RunDiverged, Interrupted: See `Trainer.train`.
    """
    parent, world, config = RunDir(path), config.world, with_mode(config, source)
    with contextlib.ExitStack() as stack:
        world.run_on_main(lambda: _create_and_lock(parent, stack))
        run = run or build(config, source)

        def prepare() -> None:
            checkpoint.remove_later(checkpoint.bests(parent.checkpoints), -1)
            for directory, resolved in _configs(config, parent):
                directory.create()
                directory.write_status(state="starting", **status)  # first: it identifies a run
                _remove_records(directory)
                atomic_write(directory.config, OmegaConf.to_yaml(resolved).encode())

        with _refuse_unwritable(parent):
            world.run_on_main(prepare)
        return _train(config, parent, Trainer(config, run, parent, origin=origin), **status)


@contextlib.contextmanager
def _refuse_unwritable(run: RunDir) -> Iterator[None]:
    """Refuse a run whose first files cannot be written; later errors cost records at most."""
    try:
        yield
    except OSError as error:
        raise ConfigError(
            f"nothing can be written to run directory {run.path}: {error.strerror}. Make room, or, "
            "for a new run, choose another directory with hydra.run.dir=..."
        ) from error


def check_unused(parent: RunDir) -> None:
    """Raise ConfigError for a new run's directory that holds one, or files by a run's names."""
    if checkpoint.available(parent.checkpoints):
        raise ConfigError(
            f"{parent.path} holds a run already. Continue it with `python -m gan_lab resume "
            f"{parent.path}`, or choose another hydra.run.dir."
        )
    files = (parent.config, parent.metrics, parent.events)
    folders = (parent.tensorboard, parent.samples, parent.landscape, parent.checkpoints)
    if not parent.read_status() and any(map(Path.exists, (*files, *folders))):
        raise ConfigError(
            f"{parent.path} holds files that no run has left, by the names of a run's. Choose "
            f"another hydra.run.dir"
        )


def _create_and_lock(parent: RunDir, stack: contextlib.ExitStack) -> None:
    """Create a directory for a new run and lock it until the stack is closed."""
    check_unused(parent)
    try:
        parent.create()
    except OSError as error:
        reason = f"{parent.path} cannot be made ({error.strerror}); set hydra.run.dir"
        raise ConfigError(reason) from error
    stack.enter_context(parent.lock())
    check_unused(parent)  # another process may have started one in between


def resume(config: RunConfig, path: Path) -> Estimates:
    """Continue a run from its newest valid checkpoint as if it had not stopped.

    Raises:
        ConfigError: No valid checkpoint, nothing left to do, or another process uses the run.
        RunDiverged, Interrupted: See `Trainer.train`.
    """
    parent, world = RunDir(path), config.world
    with contextlib.ExitStack() as stack:
        latest = world.run_on_main(lambda: _lock_and_load(config, parent, stack))
        run = world.run_on_all(lambda: open_run(config))
        world.run_on_all(
            lambda: checkpoint_checks.check_data(latest.path, latest.content, run.source)
        )
        checkpoint_checks.check_fits(latest, run.state.state_dict())
        with checkpoint_checks.damage_if_malformed(latest.path):
            _check_device(run, latest.content)
            trainer = Trainer(config, run, parent, latest.content)
        step, steps = latest.content["step"], config.trainer.steps

        def prepare() -> None:
            checkpoint.set_aside(latest)
            checkpoint.remove_later(checkpoint.bests(parent.checkpoints), int(step))
            for directory, resolved in _configs(config, parent):
                atomic_write(directory.config, OmegaConf.to_yaml(resolved).encode())

        with _refuse_unwritable(parent):
            world.run_on_main(prepare)
        print(printable(f"resuming {path} at step {step} of {steps}"))
        return _train(config, parent, trainer)


def _lock_and_load(
    config: RunConfig, parent: RunDir, stack: contextlib.ExitStack
) -> checkpoint.LoadedCheckpoint:
    """Lock a run until the stack is closed and read its newest valid checkpoint."""
    stack.enter_context(parent.lock())
    latest = checkpoint_checks.check_run(
        checkpoint.load_latest(parent.checkpoints), config.resolved
    )
    for file, reason in latest.damaged_files:
        print(printable(f"warning: passed over {file}: {reason}"))
    step = int(latest.content["step"])
    is_complete = parent.read_status().get("state") == "done"
    if step > config.trainer.steps or (step == config.trainer.steps and is_complete):
        raise ConfigError(
            f"{parent.path} is complete at step {step}; to extend it say trainer.steps={2 * step}"
        )
    return latest


def _train(config: RunConfig, parent: RunDir, trainer: Trainer, **status: Any) -> Estimates:
    children = [parent.child(seed) for seed in config.seeds] if trainer.run.stacked else [parent]
    pairs = zip(children, config.seeds, strict=True)
    seeds = {parent: list(config.seeds)} | {child: [seed] for child, seed in pairs}
    constants: dict[str, Any] = {}

    def write_status(state: str, error: str | None = None, signal: str | None = None) -> None:
        if not config.world.is_main:
            return
        diverged_children = [parent.child(seed) for seed in trainer.dropped_seeds.reasons]
        at = {"state": state, "step": trainer.run.state.step, "error": error, "signal": signal}
        for directory, each in seeds.items():
            if directory not in diverged_children:
                # With the constants: the file may have been damaged meanwhile.
                directory.update_status(seeds=each, **constants, **at)

    def begin() -> None:
        constants.update(steps=config.trainer.steps, processes=config.world.size, **environment())
        if config.overrides is not None:
            constants.update(overrides=list(config.overrides))
        constants.update(status)
        write_status("running")
        trainer.dropped_seeds.write_status(parent)

    with _refuse_unwritable(parent):
        config.world.run_on_main(begin)
        config.world.run_on_main(trainer.open_logging)
    keep_freed_memory()
    if config.execution.mode == "compiled" and config.world.is_main:
        print("compiling: the first step takes half a minute or so")
    try:
        estimates = trainer.train()
        if config.world.is_main:
            for child, each, best in zip(children, estimates, trainer.best_reports, strict=True):
                final = {tag: vars(estimate) for tag, estimate in each.items()}
                child.update_status(final=final, best=best)
            trainer.dropped_seeds.write_status(parent)  # the disk may have been full before
        write_status("done")  # last: a run in this state has nothing left to do
    except RunDiverged as error:
        with contextlib.suppress(OSError):  # a full disk must not hide what happened
            write_status("diverged", error=str(error))
            trainer.best.save(parent.checkpoints)  # maybe newer than the last regular one
        raise
    except Interrupted as stop:
        with contextlib.suppress(OSError):
            write_status("interrupted", signal=stop.args[0])
        raise
    except BaseException as error:
        with contextlib.suppress(OSError):
            write_status("failed", error=f"{type(error).__name__}: {error}")
        raise
    return estimates


def _remove_records(directory: RunDir) -> None:
    """Remove the records of a run that was stopped before its first checkpoint."""
    for file in (directory.metrics, directory.events):
        file.unlink(missing_ok=True)
    for folder in (directory.tensorboard, directory.landscape, directory.samples):
        shutil.rmtree(folder, ignore_errors=True)


def _check_device(run: Run, content: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another kind of device: CPU and GPU draw different numbers."""
    old_states = content["streams"]["states"][0]
    for purpose, state in run.streams.state_dict()["states"][0].items():  # type: ignore[index]
        if state.shape != old_states[purpose].shape:
            raise ConfigError(
                f"the run was made on another kind of device than {run.source.device}; its random "
                f"numbers cannot be continued here. Resume it on the kind of device it was made on"
            )


def _configs(config: RunConfig, parent: RunDir) -> list[tuple[RunDir, dict[str, Any]]]:
    """Return the parent and, for several seeds, one child each, with their configurations."""
    seeds = config.seeds if len(config.seeds) > 1 else []
    children = [(parent.child(s), {**config.resolved, "seed": s, "n_seeds": 1}) for s in seeds]
    return [(parent, config.resolved), *children]
