"""What happens around a training: directory, lock, status, and the checkpoint it goes on from."""

import contextlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_lab import checkpoint
from gan_lab.clocks import Origin
from gan_lab.data.base import Source
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.estimators.base import Estimate
from gan_lab.run_dir import RunDir, environment
from gan_lab.setup import Run, Setup
from gan_lab.signals import Interrupted
from gan_lab.trainer import Trainer

Estimates = list[dict[str, Estimate]]


def start(
    setup: Setup,
    source: Source,
    path: Path,
    run: Run | None = None,
    origin: Origin | None = None,
    **status: Any,
) -> Estimates:
    """Trains a new run into a directory and returns each seed's final estimates.

    Args:
        setup: What was chosen.
        source: Its data, checked.
        path: The directory.
        run: The same, opened, if it does not start from fresh networks.
        origin: Where the networks come from, then.
        status: More for status.json.

    Raises:
        ConfigError: The directory holds a run already, or another process uses it.
        RunDiverged, Interrupted: See `Trainer.train`.
    """
    parent = RunDir(path)
    if parent.config.exists() and checkpoint.available(parent.checkpoints):
        raise ConfigError(
            f"{path} holds a run already. Continue it with `python -m gan_lab resume {path}`, or "
            f"choose another hydra.run.dir."
        )
    try:
        parent.create()
    except OSError as error:
        raise ConfigError(f"{path} cannot be made ({error.strerror}); set hydra.run.dir") from error
    with parent.lock():
        run = run or setup.open_with(source)
        checkpoint.forget_bests(parent.checkpoints, after=-1)
        for directory, config in _configs(setup, parent):
            directory.create()
            _clear(directory)
            directory.config.write_text(OmegaConf.to_yaml(config))
            directory.write_status(**status)
        return _train(setup, parent, Trainer(setup, run, parent, origin=origin))


def resume(setup: Setup, path: Path) -> Estimates:
    """Continues a run from its newest valid checkpoint as if it had not stopped.

    Raises:
        ConfigError: No valid checkpoint, nothing left to do, or another process uses the run.
        RunDiverged, Interrupted: See `Trainer.train`.
    """
    parent = RunDir(path)
    with parent.lock():
        loaded = checkpoint.load_latest(parent.checkpoints)
        for skipped, reason in loaded.skipped:
            print(f"warning: passed over {skipped}: {reason}")
        step = int(loaded.content["step"])
        if step >= setup.trainer.steps:
            raise ConfigError(
                f"{path} is complete at step {step}; to extend it say trainer.steps={2 * step}"
            )
        run = setup.open()
        _check_device(run, loaded.content)
        checkpoint.forget_bests(parent.checkpoints, after=step)
        for directory, config in _configs(setup, parent):
            directory.config.write_text(OmegaConf.to_yaml(config))
        print(f"resuming {path} at step {step} of {setup.trainer.steps}")
        return _train(setup, parent, Trainer(setup, run, parent, loaded.content))


def _train(setup: Setup, parent: RunDir, trainer: Trainer) -> Estimates:
    directories = [directory for directory, _ in _configs(setup, parent)]
    children = directories[1:] or directories

    def note(state: str, error: str | None = None, signal: str | None = None, **more: Any) -> None:
        for directory in directories:  # what stopped an earlier start is told no longer
            directory.write_status(
                state=state, step=trainer.run.state.step, error=error, signal=signal, **more
            )

    note("running", seeds=list(setup.seeds), steps=setup.trainer.steps, **environment())
    for directory, seed in zip(children, setup.seeds, strict=True):
        directory.write_status(seeds=[seed])
    if setup.overrides is not None:
        for directory in directories:
            directory.write_status(overrides=list(setup.overrides))
    try:
        estimates = trainer.train()
    except RunDiverged as error:
        with contextlib.suppress(OSError):  # a full disk must not hide what happened
            note("diverged", error=str(error))
        raise
    except Interrupted as stop:
        with contextlib.suppress(OSError):
            note("interrupted", signal=stop.args[0])
        raise
    except BaseException as error:
        with contextlib.suppress(OSError):
            note("failed", error=f"{type(error).__name__}: {error}")
        raise
    finals = [_record(each) for each in estimates]
    note("done")
    for directory, final, best in zip(children, finals, trainer.bests, strict=True):
        directory.write_status(final=final, best=best)
    return estimates


def _clear(directory: RunDir) -> None:
    """Removes the records of a run that was stopped before its first checkpoint."""
    for file in (directory.metrics, directory.events):
        file.unlink(missing_ok=True)
    for folder in (directory.tensorboard, directory.film, directory.samples):
        shutil.rmtree(folder, ignore_errors=True)


def _check_device(run: Run, content: Mapping[str, Any]) -> None:
    """Refuses to go on where the randomness was not drawn: CPU and GPU draw different numbers."""
    saved = content["streams"]["states"][0]
    for purpose, state in run.streams.state_dict()["states"][0].items():  # type: ignore[index]
        if state.shape != saved[purpose].shape:
            raise ConfigError(
                f"the run was made on another kind of device than {run.source.device}; its random "
                f"numbers cannot be continued here. Resume it on the kind of device it was made on"
            )


def _configs(setup: Setup, parent: RunDir) -> list[tuple[RunDir, dict[str, Any]]]:
    """The parent and, for several seeds, one child each, with the config that made it."""
    mine = (parent, setup.config)
    if len(setup.seeds) == 1:
        return [mine]
    children = [
        (parent.child(seed), {**setup.config, "seed": seed, "n_seeds": 1}) for seed in setup.seeds
    ]
    return [mine, *children]


def _record(estimates: Mapping[str, Estimate]) -> dict[str, Any]:
    return {tag: vars(estimate) for tag, estimate in estimates.items()}
