"""Start and resume a run: its directory, lock, status and checkpoint around the training."""

import contextlib
import shutil
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from gan_lab.console import ProgressLine, announce
from gan_lab.data.base import Source
from gan_lab.engine.devices import keep_freed_memory
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.run_dir import RunDir, atomic_write, environment
from gan_lab.runs.safe_io import printable
from gan_lab.signals import Interrupted, StopSignals
from gan_lab.training.build import build, open_run, with_mode
from gan_lab.training.callback import Callback, Interval
from gan_lab.training.callbacks.best_checkpoint import BestCheckpoint
from gan_lab.training.callbacks.checkpointing import (
    CheckpointBeforeEvaluation,
    CheckpointContent,
    Checkpointing,
)
from gan_lab.training.callbacks.clock import ClockStart, TrainingClock
from gan_lab.training.callbacks.divergence import Divergence, Failure
from gan_lab.training.callbacks.evaluation import Evaluation
from gan_lab.training.callbacks.logging import Logging, Progress, RunRecords, StepMeans
from gan_lab.training.callbacks.optimality_gap import OptimalityGap
from gan_lab.training.callbacks.samples import Samples
from gan_lab.training.callbacks.stop import Stop, StopWhileCompiling
from gan_lab.training.compute_budget import Origin
from gan_lab.training.config import RunConfig
from gan_lab.training.intervals import choose_intervals
from gan_lab.training.loop import fit
from gan_lab.training.ranks import members, on_main
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
        RunDiverged: A number was not finite; the state before it is saved.
        Interrupted: A signal asked to stop; the state is saved.
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
        data = checkpoint_checks.describe_data(run.source)
        return _train(_Parts(run, parent, run.state.step, data, origin), **status)


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
        RunDiverged: A number was not finite; the state before it is saved.
        Interrupted: A signal asked to stop; the state is saved.
    """
    parent, world = RunDir(path), config.world
    with contextlib.ExitStack() as stack:
        latest = world.run_on_main(lambda: _lock_and_load(config, parent, stack))
        with checkpoint_checks.damage_if_malformed(latest.path):
            origin = Origin.of_state(latest.content["callbacks"]["TrainingClock"])
        purpose = "" if origin is None else origin.purpose
        run = world.run_on_all(lambda: open_run(config, purpose))
        data = world.run_on_all(
            lambda: checkpoint_checks.check_data(latest.path, latest.content, run.source)
        )
        checkpoint_checks.check_fits(latest, run.state.state_dict())
        _check_device(run, latest.content)
        step, steps = int(latest.content["step"]), config.trainer.steps
        parts = _Parts(run, parent, step, data)
        with checkpoint_checks.damage_if_malformed(latest.path):
            parts.content.restore(run, latest.content)
            best_step = -1 if parts.best.record is None else int(parts.best.record["step"])

        def prepare() -> None:
            checkpoint.set_aside(latest)
            checkpoint.remove_later(checkpoint.bests(parent.checkpoints), best_step)
            for directory, resolved in _configs(config, parent):
                atomic_write(directory.config, OmegaConf.to_yaml(resolved).encode())

        with _refuse_unwritable(parent):
            world.run_on_main(prepare)
        print(printable(f"resuming {path} at step {step} of {steps}"))
        return _train(parts, resumes=True)


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
    if "device" not in latest.content:
        raise ConfigError(
            f"{parent.path} was made by an earlier version, whose random numbers this one does not "
            f"continue. Evaluate, sample, compare and fork open it; to resume it, take the version "
            f"that status.json names"
        )
    step = int(latest.content["step"])
    is_complete = parent.read_status().get("state") == "done"
    if step > config.trainer.steps or (step == config.trainer.steps and is_complete):
        raise ConfigError(
            f"{parent.path} is complete at step {step}; to extend it say trainer.steps={2 * step}"
        )
    return latest


@dataclass
class _Parts:
    """What a training consists of besides its steps; `callbacks` is the order of all side effects.

    Attributes:
        run, directory: What is trained, and where its files are.
        first_step: The step that this process starts from.
        data: What identifies the data in checkpoints.
        origin: Where a fork starts from.
        signals, progress: What stops it, and where it shows how far it is.
    """

    run: Run
    directory: RunDir
    first_step: int
    data: Mapping[str, Any] | None
    origin: Origin | None = None

    def __post_init__(self) -> None:
        run, directory, config = self.run, self.directory, self.run.config
        world, trainer, start = config.world, config.trainer, run.state.step
        self.signals = StopSignals(patient=not world.alone)
        self.progress = ProgressLine(trainer.steps, self.first_step)
        self.content = CheckpointContent(self.data)
        self.records = RunRecords(config, directory)
        every = choose_intervals(config)
        self.means = StepMeans(Interval(trainer.log_every))
        self.evaluation = Evaluation(Interval(every.evaluation, start))
        gap = OptimalityGap(Interval(every.optimality_gap, start))
        self.best = BestCheckpoint(directory, self.content, self.evaluation)
        # A fork is saved at once: its networks exist nowhere in this directory yet.
        at = Interval(trainer.checkpoint_every, None if self.origin is None else start)
        checkpointing = Checkpointing(
            *(directory, self.content, at, trainer.keep_checkpoints),
            *(self.records.flush, self.best.save),
        )
        before = CheckpointBeforeEvaluation(checkpointing)
        others: list[Callback] = []
        self.divergence = Divergence(others, self, trainer.on_divergence == "drop_seed")
        clock = TrainingClock(others, self.origin)
        sources = (self.means, self.evaluation)
        self.logging = Logging(self.records, sources, clock, self.progress)
        pictures = (Interval(every.image, start), Interval(every.landscape, start))
        samples = Samples(self.records, *pictures)
        others += [self.means, self.evaluation, samples, checkpointing]
        self.stop = Stop(lambda: world.max_over_ranks(self.signals.signum or 0))
        self.callbacks: list[Callback] = [
            self.stop,
            StopWhileCompiling(self.signals),
            self.divergence,
            clock,
            *on_main([before], world),
            self.means,
            *on_main([self.evaluation, gap], world),
            self.divergence,  # again, for samples that the evaluation has found not to be finite
            *on_main([self.best, self.logging, samples, checkpointing], world),
            ClockStart(clock, others),
            Progress(self.progress),
        ]
        # Of a run that was stopped at what is its last step now, whose rows are written.
        self.final_callbacks: list[Callback] = [
            self.divergence,
            *on_main([self.evaluation], world),
            self.divergence,
            *on_main([self.best, checkpointing], world),
        ]
        self.content.callbacks = members(self.callbacks)

    def record(self, failure: Failure, others: Sequence[int], going_on: bool) -> str:
        """See `FailureLog`."""

        def write() -> str:
            self.records.record_not_finite(failure.step, failure.quantity, failure.seeds)
            return _save_failure(self, failure, others, going_on)

        return self.run.config.world.run_on_main(write)

    def record_dropped(self, reasons: Mapping[int, Mapping[str, Any]]) -> None:
        """See `FailureLog`: into status.json of the run and of each dropped seed.

        A full disk is ignored: the checkpoints hold the reasons too.
        """

        def write() -> None:
            with contextlib.suppress(OSError):
                plain_reasons = {str(seed): dict(reason) for seed, reason in reasons.items()}
                if reasons or self.directory.read_status().get("dropped"):
                    self.directory.update_status(dropped=plain_reasons)
                for seed, why in reasons.items():
                    child = self.directory.child(seed)
                    child.update_status(state="diverged", step=why["step"], error=why["told"])

        self.run.config.world.run_on_main(write)


def _save_failure(parts: _Parts, failure: Failure, others: Sequence[int], going_on: bool) -> str:
    """Save the state before a failure among the run's checkpoints.

    If the other seeds go on, the next failure leaves this file alone.

    Returns:
        The message: what, where, which file holds the state, and what to try.
    """
    directory = parts.directory.checkpoints
    name = f"before_divergence_{failure.step:08d}.pt" if going_on else "before_divergence.pt"
    path = (directory / name).absolute()
    if not going_on:  # a checkpoint of this step was saved before its samples were checked
        checkpoint.remove_later(checkpoint.available(directory), failure.step - 1)
    file = (
        f"The state before the update is in {path}, which sample, evaluate and fork take with "
        f"step={path.stem}; nothing was overwritten."
    )
    before = {"step": failure.before.step, "state": failure.before.state}
    before["accumulator"] = failure.before.accumulator
    try:
        checkpoint.save(path, {**parts.content.of(parts.run), **before})
    except checkpoint.CheckpointNotSaved as error:  # must not hide what happened
        file = f"The state before the update could not be saved: {error.strerror}."
    names = ", ".join(map(str, others))
    if going_on:
        advice = f"Seed {names} go{'es' if len(others) == 1 else ''} on without it."
    else:
        advice = "Try a smaller optim.lr or a stronger regularizer"
        advice += ", or trainer.on_divergence=drop_seed." if others else "."
    seeds = ", ".join(map(str, failure.seeds))
    message = f"{failure.quantity} is not finite at step {failure.step} for seed {seeds}."
    message = f"{message} {file} {advice}"
    if going_on:
        announce(message)
    return message


def _train(parts: _Parts, resumes: bool = False, **status: Any) -> Estimates:
    run, directory, config = parts.run, parts.directory, parts.run.config
    world, n_steps = config.world, config.trainer.steps
    children = directory.of_seeds(config.seeds)
    constants: dict[str, Any] = {}

    def write_status(state: str, error: str | None = None, signal: str | None = None) -> None:
        if not world.is_main:
            return
        at = {"state": state, "step": run.state.step, "error": error, "signal": signal}
        # With the constants: the file may have been damaged meanwhile.
        directory.update_status(seeds=list(config.seeds), **constants, **at)
        for child, seed in zip(children, config.seeds, strict=True):
            if child != directory and seed not in parts.divergence.reasons:
                child.update_status(seeds=[seed], **constants, **at)

    def begin() -> None:
        shape = list(run.source.shape)  # tells which metric sums the run up
        constants.update(steps=n_steps, sample_shape=shape, processes=world.size, **environment())
        if config.overrides is not None:
            constants.update(overrides=list(config.overrides))
        constants.update(status)
        write_status("running")
        step, is_complete = run.state.step, run.is_step_complete
        parts.records.open(step - (not is_complete) if resumes else None)
        for seed, why in parts.divergence.reasons.items():
            if not is_complete and why["step"] == step - 1:  # its record is of this step
                parts.records.record_not_finite(step, why["quantity"], [seed])

    try:
        with _refuse_unwritable(directory):
            world.run_on_main(begin)
    except BaseException as error:  # a logger of the user's own, say
        with contextlib.suppress(OSError):
            write_status("failed", error=f"{type(error).__name__}: {error}")
        raise
    parts.record_dropped(parts.divergence.reasons)
    keep_freed_memory()
    if config.execution.mode == "compiled" and world.is_main:
        print("compiling: the first step takes half a minute or so")
    callbacks = parts.callbacks
    is_measured = parts.evaluation.final_step == n_steps
    if resumes and run.is_step_complete and run.state.step == n_steps and not is_measured:
        callbacks, run.is_step_complete = parts.final_callbacks, False
    try:
        with parts.signals:
            complete: list[int] = []
            try:
                with parts.progress:
                    world.run_on_main(lambda: parts.records.write_constants(run))
                    fit(run, n_steps, callbacks)
                complete = run.active if run.state.step == n_steps else []
            finally:
                if world.is_main:
                    parts.records.close(complete)
            if parts.stop.signum and run.state.step < n_steps:
                raise Interrupted(parts.stop.signum)
            if run.state.step < n_steps:  # a callback of the user's own has ended it
                write_status("interrupted")
                return [{} for _ in config.seeds]
            if world.is_main:
                warnings = parts.logging.warnings(config)
                finals = zip(children, parts.evaluation.final, parts.best.reports, strict=True)
                records = {name: m.record(run.source) for name, m in config.metrics.items()}
                metrics = {name: record for name, record in records.items() if record}
                for child, final, best in finals:
                    estimates = {tag: dict(vars(estimate)) for tag, estimate in final.items()}
                    fields = {"metrics": metrics} if metrics else {}
                    child.update_status(final=estimates, best=best, warnings=warnings, **fields)
                directory.update_status(warnings=warnings)
            parts.record_dropped(parts.divergence.reasons)  # the disk may have been full before
            write_status("done")  # last: a run in this state has nothing left to do
    except RunDiverged as error:
        with contextlib.suppress(OSError):  # a full disk must not hide what happened
            write_status("diverged", error=str(error))
            if world.is_main:
                parts.best.save()  # maybe newer than the last regular one
        raise
    except Interrupted as stop:
        with contextlib.suppress(OSError):
            write_status("interrupted", signal=stop.args[0])
        raise
    except BaseException as error:
        signum = parts.signals.signum
        if signum is not None and parts.signals.explains(error):
            interrupt = Interrupted(
                signum, is_saved=bool(checkpoint.available(directory.checkpoints))
            )
            with contextlib.suppress(OSError):
                write_status("interrupted", signal=interrupt.args[0])
            raise interrupt from None
        with contextlib.suppress(OSError):
            write_status("failed", error=f"{type(error).__name__}: {error}")
        raise
    return world.broadcast(parts.evaluation.final)


def _remove_records(directory: RunDir) -> None:
    """Remove the records of a run that was stopped before its first checkpoint."""
    for file in (directory.metrics, directory.events):
        file.unlink(missing_ok=True)
    for folder in (directory.tensorboard, directory.landscape, directory.samples):
        shutil.rmtree(folder, ignore_errors=True)


def _check_device(run: Run, content: Mapping[str, Any]) -> None:
    """Refuse a checkpoint of another kind of device: CPU and GPU draw different numbers."""
    if content["device"] != run.source.device.type:
        raise ConfigError(
            f"the run was made on another kind of device than {run.source.device}; its random "
            f"numbers cannot be continued here. Resume it on the kind of device it was made on"
        )


def _configs(config: RunConfig, parent: RunDir) -> list[tuple[RunDir, dict[str, Any]]]:
    """Return the parent and, for several seeds, one child each, with their configurations."""
    seeds = config.seeds if len(config.seeds) > 1 else []
    children = [(parent.child(s), {**config.resolved, "seed": s, "n_seeds": 1}) for s in seeds]
    return [(parent, config.resolved), *children]
