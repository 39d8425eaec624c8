"""Training from the shell: train and resume, and what fork shares with them."""

import contextlib
import dataclasses
import importlib.util
import io
import math
import os
import shlex
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import OmegaConf

from gan_lab.cli import open_run, sweep
from gan_lab.cli.arguments import run_and_keys, take_flag
from gan_lab.cli.commands import Resume, Train
from gan_lab.cli.hydra import (
    HydraArguments,
    combinations,
    key_of,
    long_names,
    run_directory,
    through_hydra,
)
from gan_lab.cli.sweep_progress import SweepProgress
from gan_lab.config import compose, resolvers
from gan_lab.config.image_data import with_image_array
from gan_lab.data.base import Source
from gan_lab.engine import distributed
from gan_lab.engine.devices import cores, resolve_device
from gan_lab.engine.execution import STACKED_UP_TO
from gan_lab.errors import ConfigError, RunDiverged
from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.analysis import run_config
from gan_lab.reports.export.outcome import outcome
from gan_lab.reports.export.terminal import say, show
from gan_lab.runner import train as training
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.compatibility import has_high_dimension
from gan_lab.runs.headline import WASSERSTEIN, headline_of, short_name
from gan_lab.runs.run_dir import RunDir
from gan_lab.signals import Interrupted, stop_at_signals, stop_request
from gan_lab.training.build import largest_weight, open_source
from gan_lab.training.config import RunConfig
from gan_lab.training.validate import validate, warnings


def train(arguments: list[str]) -> int:
    """Train one run, or with -m a sweep; check everything before anything is written."""
    request = HydraArguments("train").read(arguments)
    verbose, overrides = take_flag(Train, "verbose", request.overrides)
    objective, overrides = sweep.take_objective(overrides)
    if objective is not None and not request.multirun:
        raise ConfigError(
            f"objective={objective} is what a job of a sweep returns; add -m, or leave it out"
        )
    if not (request.multirun or request.cfg):
        return in_world(lambda: _train_one(overrides, verbose))
    if request.multirun and os.environ.get("WORLD_SIZE", "1") != "1":
        raise ConfigError(
            "torchrun trains one run in several processes; a sweep starts its own: leave torchrun "
            "out, or -m"
        )
    overrides = with_image_array(overrides)
    jobs, on_cluster = [overrides], _uses_cluster(overrides)
    # Hydra's own sweeper needs none.
    needs_objective = any(key_of(each) == "hydra/sweeper" for each in overrides)
    if request.multirun:
        overrides = sweep.stack_seeds(overrides, _stack)
        jobs = combinations(overrides)
    resolvers.n_jobs = len(jobs)
    all_notes: dict[str, None] = {}
    all_warnings: dict[str, None] = {}
    for job in jobs:
        cfg = compose.compose_config("train", job)
        if not request.cfg:
            config = compose.build_run_config(cfg)
            source = config.data.open(torch.device("cpu"))
            validate(config, source, here=not on_cluster)
            if objective is None and needs_objective:
                objective = sweep.default_objective(config, source)
            if objective is not None:
                sweep.check_objective(objective, config, source)
            all_notes |= dict.fromkeys(source.notes)
            all_warnings |= dict.fromkeys(warnings(config, source, here=not on_cluster))
    # Optuna's sweeper chooses jobs by itself and runs n_jobs of them at once.
    resolvers.n_jobs = HydraConfig.get().sweeper.get("n_jobs", len(jobs))
    _say_data(all_notes)
    _warn(all_warnings)
    # A stop makes Hydra and the launcher print tracebacks of workers that were still starting up.
    errors = io.StringIO()
    path, words = None, [*request.flags, *overrides]
    if not request.multirun:
        words = [*request.flags, *compose.with_preset(overrides)]
    elif not request.cfg:
        path = run_directory("sweep")
        if not any(key_of(word) == "hydra.sweep.dir" for word in overrides):
            words += long_names([f"output={path}"], multirun=True)  # the moment in it is one
        say(f"sweep:   {_relative(path)}  ({len(jobs)} {'job' if len(jobs) == 1 else 'jobs'})")
    with sweep.stoppable(on_cluster=on_cluster) as stop, contextlib.ExitStack() as stack:
        if path is not None and _in_processes():
            stack.enter_context(SweepProgress(path, stop.read_lines))
        if request.multirun:
            stack.enter_context(contextlib.redirect_stderr(errors))
        code = through_hydra("train", words, lambda cfg: _sweep_job(objective, verbose))
        code = max(code, int(stop.failures.exists()))
    if stop.signum is None:
        sys.stderr.write(errors.getvalue())
        if path is not None:
            say(f"next:    python -m gan_lab compare {shlex.quote(str(_relative(path)))}")
        return code
    outcome = "every run that had begun is saved, resume continues it"
    print(f"stopped by {Interrupted(stop.signum)}; {outcome}", file=sys.stderr)
    return 128 + stop.signum


def resume(arguments: list[str]) -> int:
    """Continue a run from its last checkpoint."""
    return in_world(lambda: _resume(arguments))


def _resume(arguments: list[str]) -> int:
    verbose, arguments = take_flag(Resume, "verbose", arguments)
    path, words = run_and_keys(Resume, arguments)
    config = _of_this_rank(resumed_config(path, words))
    return exit_code(lambda: _conclude(config, path, training.resume(config, path), verbose))


def resumed_config(path: Path, words: Sequence[str]) -> RunConfig:
    """Return the configuration of a stored run with what a resumed one may change.

    Raises:
        ConfigError: No run, a seed of a run of several, or a key that may not change.
    """
    if place := next((word for word in words if key_of(word) in ("output", "hydra.run.dir")), None):
        raise ConfigError(f"{place}: resume goes on in the run's directory; fork takes another one")
    if empty := next((word for word in words if word.endswith("=")), None):
        raise ConfigError(f"{empty} has no value; give one, or leave {empty[:-1]} out")
    if open_run.is_child(path):
        parent = path.resolve().parent
        raise ConfigError(f"{path} is one of several seeds that train together; resume {parent}")
    try:
        keys = run_config.flat_keys(OmegaConf.from_dotlist(long_names(words)))
    except ConfigError:
        raise
    except Exception as error:  # YAML and interpolation errors have many types
        raise ConfigError(f"cannot read the values of resume: {error}") from error
    cfg = open_run.saved_config(path)
    for key, value in keys.items():
        if key not in checkpoint_checks.RESUMABLE:
            names = ", ".join(checkpoint_checks.RESUMABLE)
            raise ConfigError(
                f"resume continues the same run and cannot change '{key}'; it takes {names}"
            )
        if key == "logger":
            value = compose.compose_config("train", [f"logger={value}"]).logger
        OmegaConf.update(cfg, key, value, merge=False)
    config = compose.build_run_config(cfg)
    before = open_run.typed_keys(path)
    if before is None:
        return config
    later = [f"{key}={'null' if value is None else value}" for key, value in keys.items()]
    return dataclasses.replace(config, overrides=(*before, *later))


def in_world(program: Callable[[], int]) -> int:
    """Run a training together with the processes that the environment names.

    Only rank 0 prints; of the others a traceback of a crash is printed.
    """
    with distributed.join_world() as world, contextlib.ExitStack() as stack:
        if not world.alone:
            stack.enter_context(stop_at_signals())
        try:
            if world.is_main:
                return program()
            nowhere = stack.enter_context(open(os.devnull, "w"))
            with contextlib.redirect_stdout(nowhere), contextlib.redirect_stderr(nowhere):
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


def _of_this_rank(config: RunConfig) -> RunConfig:
    """Return the configuration of this rank among the processes that train together."""
    world = distributed.world()
    device = world.run_on_all(lambda: world.device(config.device))
    return dataclasses.replace(config, world=world, device=device)


def _train_one(overrides: Sequence[str], verbose: bool) -> int:
    config = with_overrides(compose.build_run_config(compose.compose_config("train", overrides)))
    path = config.world.broadcast(run_directory())  # one place for all ranks
    source = config.world.run_on_all(lambda: open_source(config))
    config.world.run_on_all(lambda: validate(config, source))
    preset = HydraConfig.get().runtime.choices.get("preset")
    is_typed = "preset" in map(key_of, overrides)
    if preset is not None and not is_typed and config.world.is_main:
        say(f"recipe:  preset={preset}, tuned for this loss (preset=none leaves it out)")
    return exit_code(
        lambda: run(config, source, path, lambda: training.start(config, source, path), verbose)
    )


def with_overrides(config: RunConfig) -> RunConfig:
    """Return the configuration with the overrides that Hydra composed last."""
    overrides = tuple(HydraConfig.get().overrides.task)
    return dataclasses.replace(_of_this_rank(config), overrides=overrides)


def _sweep_job(objective: str | None, verbose: bool) -> float:
    """Train one job of a sweep and return its objective, the worst one where a run failed.

    An error lets the others run, an interrupt ends them all.
    """
    path = Path(HydraConfig.get().runtime.output_dir)
    worker = sweep.in_worker()
    worst = sweep.worst_objective(HydraConfig.get().sweeper)
    if stop_request() is not None:
        return worst
    cfg = compose.compose_config("train", list(HydraConfig.get().overrides.task))
    if worker and cfg.execution.threads == 0 and os.environ.get("SUBMITIT_EXECUTOR") != "slurm":
        cfg.execution.threads = 1  # the workers share the cores
    config = with_overrides(compose.build_run_config(cfg))
    source = open_source(config)
    validate(config, source)
    try:
        with sweep.quiet(path, lambda: _outcome(path)) if worker else contextlib.nullcontext():
            if worker:  # whose log it is; on the screen `train` has said it once
                _warn(warnings(config, source))
            if not checkpoint.available(RunDir(path).checkpoints):
                _conclude(config, path, training.start(config, source, path), verbose)
            elif not _is_done(config, RunDir(path)):  # the sweep was begun again
                _conclude(config, path, training.resume(config, path), verbose)
            value = sweep.objective_value(objective, path, config.seeds)
            return worst if math.isnan(value) else value
    except (RunDiverged, ConfigError) as error:
        print(f"{type(error).__name__}: {error}", file=sys.stderr)
        sweep.record_failure()
    except Interrupted as stop:
        if not worker:  # whose parent knows, and would kill the others for an exception
            raise SystemExit(128 + stop.signum) from stop
    return worst


def _is_done(config: RunConfig, directory: RunDir) -> bool:
    """Return whether a run has its configured steps; refuse one of another choice."""
    latest = checkpoint_checks.check_run(
        checkpoint.load_latest(directory.checkpoints), config.resolved
    )
    is_long_enough = int(latest.content["step"]) >= config.trainer.steps
    return is_long_enough and directory.read_status().get("state") == "done"


def _stack(job: list[str], n: int) -> int:
    """Return how many of n seeds of a job are best trained together: docs/benchmarks.md."""
    config = compose.build_run_config(compose.compose_config("train", job))
    if resolve_device(config.device).type != "cpu":
        return n  # a GPU has room for many small networks
    source = config.data.open(torch.device("cpu"))
    limit = -(-n // cores()) if largest_weight(config, source) <= STACKED_UP_TO else 1
    return max(size for size in range(1, limit + 1) if n % size == 0)


def _uses_cluster(overrides: Sequence[str]) -> bool:
    """Return whether a sweep uses the submitit launcher; refuse one that is not installed."""
    launchers = [o for o in overrides if o.lstrip("+").startswith("hydra/launcher=submitit")]
    if launchers and importlib.util.find_spec("hydra_plugins.hydra_submitit_launcher") is None:
        remedy = "pip install -e '.[cluster]' in the source tree"
        raise ConfigError(f"{launchers[-1]} needs another package: {remedy}")
    return bool(launchers)


def _in_processes() -> bool:
    """Return whether the jobs of a sweep run beside this process, which then can show them."""
    launcher = HydraConfig.get().launcher
    return "Basic" not in launcher["_target_"] and launcher.get("n_jobs", 0) != 1


def _relative(path: Path) -> Path:
    """Return a path as it is typed here: relative where it is below the working directory."""
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


def _outcome(path: Path) -> str:
    """Return a run's state, step and final headline, of several seeds their range, in words."""
    status = RunDir(path).read_status()
    homes = RunDir(path).children() or [RunDir(path)]
    finals = [home.read_status().get("final", {}) for home in homes]
    is_high = has_high_dimension(status, {})
    tag = next(filter(None, (headline_of(final, is_high) for final in finals)), WASSERSTEIN)
    values = sorted(float(final[tag]["value"]) for final in finals if tag in final)
    text = f", {short_name(tag, is_high)} {values[0]:.3g}" if values else ""
    text += f" to {values[-1]:.3g}" if len(values) > 1 else ""
    return f"{status.get('state', 'failed')} at step {status.get('step', 0)}{text}"


def run(
    config: RunConfig,
    source: Source,
    path: Path,
    fit: Callable[[], training.Estimates],
    verbose: bool = False,
) -> int:
    """Warn, train and print the outcome; return the exit code."""
    if config.world.is_main:
        _say_data(source.notes)
    _warn(warnings(config, source))
    return _conclude(config, path, fit(), verbose)


def _say_data(notes: Iterable[str]) -> None:
    for note in notes:
        say(f"data:    {note}")


def _warn(sentences: Iterable[str]) -> None:
    for warning in sentences:
        say(f"warning: {warning}", style="yellow", stderr=True)


def exit_code(program: Callable[[], int]) -> int:
    """Return the exit code of a training, also where it diverged or was stopped."""
    try:
        return program()
    except RunDiverged as error:
        print(f"RunDiverged: {error}", file=sys.stderr)
        return 1
    except Interrupted as stop:
        after = "the state is saved, resume continues it"
        before = "nothing was saved yet, so begin it again"
        print(f"stopped by {stop}; {after if stop.is_saved else before}", file=sys.stderr)
        return 128 + stop.signum


def _conclude(
    config: RunConfig, path: Path, estimates: list[dict[str, Estimate]], verbose: bool = False
) -> int:
    """Print how good the run is and where it is; the table of all estimates where it is verbose."""
    status = config.world.run_on_main(lambda: RunDir(path).read_status())
    drops = status.get("dropped") or {}
    if config.world.is_main:
        finals = zip(map(str, config.seeds), estimates, strict=True)
        complete = {seed: e for seed, e in finals if seed not in drops}
        _show(config, path, status, complete, verbose)
    if drops:
        *limit, last = sorted(drops, key=int)
        seeds = f"seeds {', '.join(limit)} and {last} were" if limit else f"seed {last} was"
        raise RunDiverged(f"{seeds} dropped; the others are done")
    return 0


def _show(
    config: RunConfig,
    path: Path,
    status: Mapping[str, Any],
    finals: dict[str, dict[str, Estimate]],
    verbose: bool,
) -> None:
    if verbose:
        show(f"After {config.trainer.steps} steps", finals, has_high_dimension(status, {}))
        say("neural_distance/*: by a network trained anew at the end, not by the training's own")
    for line in outcome(_relative(path), finals, status.get("warnings") or ()):
        say(line)
