"""Training from the shell: train and resume, and what fork shares with them."""

import contextlib
import dataclasses
import importlib.util
import io
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf

from gan_lab.cli import open_run, sweep
from gan_lab.cli.hydra import HydraArguments, combinations, run_directory, through_hydra
from gan_lab.config import compose, resolvers
from gan_lab.data.base import Source
from gan_lab.engine import distributed
from gan_lab.engine.execution import STACKED_UP_TO, cores, resolve_device
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.export.terminal import say, show
from gan_lab.runner import train as training
from gan_lab.runs import checkpoint, compatibility
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted, asked, asking
from gan_lab.training.config import Setup


def train(arguments: list[str]) -> int:
    """Trains: one run, or with -m a sweep. Everything is checked before anything is written."""
    typed = HydraArguments("train").read(arguments)
    if not (typed.multirun or typed.help or typed.cfg):
        return in_world(lambda: _train_one(typed.overrides))
    if typed.multirun and os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            "torchrun trains one run in several processes; a sweep starts its own: leave torchrun "
            "out, or -m"
        )
    on_cluster = _uses_cluster(typed.overrides)
    overrides = typed.overrides
    if typed.multirun:
        overrides = sweep.packed(overrides, _stack)
    jobs = combinations(overrides) if typed.multirun else [overrides]
    resolvers.n_jobs = len(jobs)
    warnings: dict[str, None] = {}
    for job in jobs:
        cfg = compose.composed("train", job)
        if not (typed.help or typed.cfg):
            setup = compose.setup_of(cfg)
            source = setup.data.open(torch.device("cpu"))
            setup.check(source, here=not on_cluster)
            warnings |= dict.fromkeys((*setup.warnings(), *source.warnings))
    _warn(warnings)
    flags = [a for a in arguments if a not in typed.overrides]
    # What a stop makes Hydra and the launcher say is no news: workers that were still starting up
    # come back as tracebacks.
    said = io.StringIO()
    with sweep.stoppable(shared=on_cluster) as stopped:
        with contextlib.redirect_stderr(said) if typed.multirun else contextlib.nullcontext():
            code = through_hydra("train", [*flags, *overrides], _sweep_job)
        code = max(code, int(stopped.failed))
    if stopped.signum is None:
        sys.stderr.write(said.getvalue())
        return code
    print(
        f"stopped by {Interrupted(stopped.signum)}; every run that had begun is saved, resume "
        f"continues it",
        file=sys.stderr,
    )
    return 128 + stopped.signum


def resume(arguments: list[str]) -> int:
    """Continues a run from its last checkpoint."""
    return in_world(lambda: _resume(arguments))


def _resume(arguments: list[str]) -> int:
    (path,), given = open_run.arguments(arguments, "resume", at_most=1)
    refuse_child(path, "resume")
    saved = open_run.saved_config(path)
    for key in given:
        if key not in compatibility.RESUMABLE:
            raise ConfigError(
                f"resume continues the same run and cannot change '{key}'; it takes "
                f"{', '.join(compatibility.RESUMABLE)}"
            )
        OmegaConf.update(saved, key, given[key])
    setup = _shared(compose.setup_of(saved))
    before = open_run.typed_keys(path)
    if before is not None:
        later = [f"{key}={'null' if value is None else value}" for key, value in given.items()]
        setup = dataclasses.replace(setup, overrides=(*before, *later))
    return guarded(lambda: _conclude(setup, path, training.resume(setup, path)))


def in_world(program: Callable[[], int]) -> int:
    """Runs a training together with the processes that the environment names.

    Rank 0 speaks for all: what the others say is dropped, but for the traceback of a crash.
    """
    with distributed.joined() as world, contextlib.ExitStack() as stack:
        if not world.alone:
            stack.enter_context(asking())
        try:
            if world.is_main:
                return program()
            with (
                open(os.devnull, "w") as nowhere,
                contextlib.redirect_stdout(nowhere),
                contextlib.redirect_stderr(nowhere),
            ):
                return program()
        except distributed.RankGone as error:  # it may have been killed, and said nothing
            print(f"RankGone: {error}", file=sys.stderr)
            return 1
        except distributed.RankFailed:
            return 1
        except ConfigError:
            if world.is_main:
                raise
            return 2


def _shared(setup: Setup) -> Setup:
    """The setup of this rank among the processes that train together."""
    world = distributed.world()
    device = world.agreed(lambda: world.device(setup.device))
    return dataclasses.replace(setup, world=world, device=device)


def _train_one(overrides: Sequence[str]) -> int:
    setup = noted(compose.setup_of(compose.composed("train", overrides)))
    path = directory()
    source = setup.world.agreed(lambda: setup.data.open(resolve_device(setup.device)))
    setup.world.agreed(lambda: setup.check(source))
    training.check_shard(setup, source)
    return guarded(lambda: run(setup, source, path, lambda: training.start(setup, source, path)))


def noted(setup: Setup) -> Setup:
    """The setup with the keys that were typed for it, as Hydra has just read them."""
    overrides = tuple(HydraConfig.get().overrides.task)
    return dataclasses.replace(_shared(setup), overrides=overrides)


def directory() -> Path:
    """Where a run goes, one place for all ranks; see `run_directory`."""
    return distributed.world().broadcast(run_directory())


def _sweep_job(cfg: DictConfig) -> None:
    """One job of a sweep. An ordinary error lets the others run; an interrupt ends them all."""
    OmegaConf.set_struct(cfg, False)
    path = Path(HydraConfig.get().runtime.output_dir)
    worker = sweep.in_worker()
    if asked() is not None:
        return
    if worker and cfg.execution.threads == 0 and os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        cfg.execution.threads = 1  # the workers share the cores
    setup = noted(compose.setup_of(cfg))
    source = setup.data.open(resolve_device(setup.device))
    setup.check(source)
    try:
        with sweep.quiet(path, lambda: _told(path)) if worker else contextlib.nullcontext():
            if worker:  # whose log it is; on the screen `train` has said it once
                _warn((*setup.warnings(), *source.warnings))
            if not checkpoint.available(RunDir(path).checkpoints):
                _conclude(setup, path, training.start(setup, source, path))
            elif not _is_done(setup, RunDir(path)):  # the sweep was begun again
                _conclude(setup, path, training.resume(setup, path))
    except (RunDiverged, ConfigError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sweep.failed()
    except Interrupted as stop:
        if worker:
            return  # the parent knows, and an exception would make it kill the others
        raise SystemExit(128 + stop.signum) from stop


def _is_done(setup: Setup, directory: RunDir) -> bool:
    """Whether a run has come to the end that is asked for.

    Raises:
        ConfigError: It was made by another choice.
    """
    loaded = compatibility.of_run(checkpoint.load_latest(directory.checkpoints), setup.config)
    reached = int(loaded.content["step"]) >= setup.trainer.steps
    return reached and directory.read_status().get("state") == "done"


def _stack(job: list[str], n: int) -> int:
    """How many of n seeds of a job are best stacked: docs/benchmarks.md."""
    setup = compose.setup_of(compose.composed("train", job))
    if resolve_device(setup.device).type != "cpu":
        return n  # a GPU has room for many small networks
    source = setup.data.open(torch.device("cpu"))
    limit = -(-n // cores()) if setup.largest_weight(source) <= STACKED_UP_TO else 1
    return max(size for size in range(1, limit + 1) if n % size == 0)


def _uses_cluster(overrides: Sequence[str]) -> bool:
    """Whether a sweep is given to the submitit launcher.

    Raises:
        ConfigError: It is, and is not installed.
    """
    chosen = [o for o in overrides if o.lstrip("+").startswith("hydra/launcher=submitit")]
    if chosen and importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        raise ConfigError(f"{chosen[-1]} needs another package: pip install 'gan_lab[cluster]'")
    return bool(chosen)


def _told(path: Path) -> str:
    """What became of a run, in a few words."""
    status = RunDir(path).read_status()
    final = status.get("final", {}).get("divergence/wasserstein")
    w1 = f", W1 {float(final['value']):.3g}" if final else ""
    return f"{status.get('state', 'failed')} at step {status.get('step', 0)}{w1}"


def run(setup: Setup, source: Source, path: Path, trained: Callable[[], training.Estimates]) -> int:
    """Warns, trains, says what came out; the exit code."""
    _warn((*setup.warnings(), *source.warnings))
    return _conclude(setup, path, trained())


def _warn(warnings: Iterable[str]) -> None:
    for warning in warnings:
        say(f"warning: {warning}", style="yellow", stderr=True)


def guarded(program: Callable[[], int]) -> int:
    """The exit code of a training, also where it diverged or was stopped."""
    try:
        return program()
    except RunDiverged as error:
        print(f"RunDiverged: {error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        print(f"stopped by {stop}; the state is saved, resume continues it", file=sys.stderr)
        return 128 + stop.signum


def _conclude(setup: Setup, path: Path, estimates: list[dict[str, Estimate]]) -> int:
    """Says what came out: where the run is, a picture, and the ruler's numbers."""
    dropped = setup.world.run_on_main(lambda: RunDir(path).read_status().get("dropped") or {})
    if setup.world.is_main:
        finals = zip(map(str, setup.seeds), estimates, strict=True)
        _show(setup, path, {seed: each for seed, each in finals if seed not in dropped})
    if dropped:
        *limit, last = sorted(dropped, key=int)
        seeds = f"seeds {', '.join(limit)} and {last} were" if limit else f"seed {last} was"
        raise RunDiverged(f"{seeds} dropped; the others are done")
    return 0


def _show(setup: Setup, path: Path, finals: dict[str, dict[str, Estimate]]) -> None:
    show(f"After {setup.trainer.steps} steps", finals)
    child = RunDir(path).child(int(next(iter(finals))))
    samples = (child if child.path.exists() else RunDir(path)).samples
    pictures = sorted(samples.glob("step_*.png"))
    say(f"run:     {path}")
    if pictures:
        say(f"picture: {pictures[-1]}")
    say(f"curves:  python -m gan_lab dashboard {path}")


def refuse_child(path: Path, command: str) -> None:
    """Refuses the directory of one of several stacked seeds.

    Raises:
        ConfigError: It is one; the error names its parent.
    """
    if open_run.is_child(path):
        raise ConfigError(
            f"{path} is one of several seeds that train together; {command} {path.resolve().parent}"
        )
