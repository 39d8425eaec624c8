"""Run directories on disk -> records of one seed each.

A run of several seeds and a sweep over seeds leave the same kind of directories, one a
seed; nothing in a report can tell them apart.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.reports.analysis import run_config
from gan_lab.reports.analysis.charts import CURVES
from gan_lab.reports.analysis.model import AXES
from gan_lab.reports.analysis.names import method_name
from gan_lab.runs import compatibility
from gan_lab.runs.compatibility import current_tag, former_tags
from gan_lab.runs.run_dir import RunDir
from gan_lab.runs.safe_io import is_inside, open_regular

CLOCKS = {
    axis: "time/train_seconds" if axis == "seconds" else f"clock/{axis}"
    for axis in AXES
    if axis != "step"
}
# What damaged content raises.
_DAMAGE = (TypeError, ValueError, LookupError, AttributeError, ArithmeticError, RecursionError)
_MAX_BYTES, _MAX_ROW_BYTES = 1 << 36, 1 << 20  # of a metrics.jsonl and of a line in it
_MAX_EVENTS_BYTES = 1 << 26
_FOLDERS_OF_A_RUN = {
    *("checkpoints", "samples", "landscape", "figures", "tensorboard", "evaluation"),
    compatibility.LANDSCAPE_FOLDER,
}


class Series(NamedTuple):
    """Values of one tag: at which steps, [T] int64 and increasing, and what, [T] float64."""

    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Record:
    """One seed of one run, read from its directory."""

    path: Path
    seed: int  # what everything random derives from
    config: Mapping[str, Any]  # resolved, flat, dotted key -> value
    state: str  # done, diverged, interrupted, failed, or unfinished (still running, or killed)
    step: int  # the last one
    steps: int  # the number that was configured
    error: str | None  # what stopped it, or None
    # Tag of the final evaluation -> {"value", "low", "high", "floor", "unit", "n"}.
    finals: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Series]  # of `QUESTIONS`, their floors, and the clocks, by tag
    events: Sequence[Mapping[str, Any]]  # of events.jsonl: step, kind and numbers (a mapping)
    best: Mapping[str, Any] | None  # the best checkpoint by the evaluator, as in status.json
    # Seeds in one process, threads, hardware: only seconds of equal timing may be compared.
    timing: tuple[int, int, str]
    is_high_dimensional: bool = False  # whether a sample has more than 4 coordinates
    has_points: bool = False  # whether its samples are known to be points, no images

    @property
    def is_done(self) -> bool:
        """Whether it reached its end and was evaluated there."""
        return self.state == "done"

    def pictures(self) -> dict[int, Path]:
        """Return step -> PNG of its samples; links to pictures elsewhere are left out."""
        return _by_step(self.path, RunDir(self.path).samples, "png")

    def real_picture(self) -> Path | None:
        """Return the PNG of real images, if it has one."""
        file = RunDir(self.path).real
        return file if file.exists() and is_inside(file, self.path) else None

    def landscapes(self) -> dict[int, Path]:
        """Return step -> the file of its discriminator's landscape."""
        folder, old = RunDir(self.path).landscape, self.path / compatibility.LANDSCAPE_FOLDER
        return _by_step(self.path, folder if folder.exists() else old, "npz")


def find_runs(paths: Iterable[Path]) -> list[Path]:
    """Return the run directories of one seed at or below some directories, each once, as named.

    Raises:
        ConfigError: One of them is no directory, or holds no run.
    """
    runs: dict[Path, Path] = {}
    for path in paths:
        if not path.is_dir():
            raise ConfigError(f"{path} is no directory; give run directories or what holds them")
        below = list(_below(path))
        if not below:
            raise ConfigError(
                f"{path} holds no run: no config.yaml of a training is in it or below it. Train "
                f"some first, e.g. `python -m gan_lab train -m seed=0,1,2 loss=minimax,wasserstein`"
            )
        runs |= {each.resolve(): each for each in below if each.resolve() not in runs}
    return list(runs.values())


def holds_runs(path: Path) -> bool:
    """Tell whether a directory is a run or has one below it."""
    return next(iter(_below(path)), None) is not None


def read_run(path: Path) -> Record:
    """Read one run directory.

    Raises:
        ConfigError: Its config, status or events cannot be read.
    """
    config = run_config.of_run(path)
    try:
        return _record(path, config)
    except ConfigError:
        raise
    except (OSError, *_DAMAGE) as error:
        raise ConfigError(
            f"{path} holds no sound run: {type(error).__name__}: {error}. Look at its config.yaml, "
            f"status.json and events.jsonl; remove or repair the run."
        ) from error


def _record(path: Path, config: dict[str, Any]) -> Record:
    run = RunDir(path)
    status = run_config.visible(run.read_status())
    events = run_config.visible(_events(run.events))
    curves = _curves(run.metrics)
    state = str(status.get("state", "unfinished"))
    seeds = status.get("seeds") or [config.get("seed", 0)]
    if fork := status.get("forked_from"):  # its past is part of the choice
        config |= {"fork.of": _method_of(Path(fork["path"])), "fork.step": int(fork["step"])}
    ends = [int(series.steps[-1]) for series in curves.values()]
    error = status.get("error")
    return Record(
        path=path,
        seed=int(seeds[0]),
        config=config,
        state="unfinished" if state == "running" else state,
        # A killed run's status is as old as its start.
        step=max(int(status.get("step", 0)), *ends, 0),
        steps=int(config["trainer.steps"]),
        error=None if error is None else str(error),
        finals={current_tag(t): _estimate(e) for t, e in (status.get("final") or {}).items()},
        curves=curves,
        events=events,
        best=_best(status.get("best")),
        timing=(_stacked(path), int(status.get("threads") or 0), repr(status.get("hardware"))),
        is_high_dimensional=compatibility.has_high_dimension(status, config),
        has_points=len(status.get("sample_shape") or ()) == 1,
    )


def _estimate(each: Mapping[str, Any]) -> dict[str, Any]:
    """Return a stored Estimate with its numbers as numbers, "inf" among them."""
    numbers = {name: float(each[name]) for name in ("value", "low", "high")}
    floor = None if each.get("floor") is None else float(each["floor"])
    return {**each, **numbers, "floor": floor, "n": int(each["n"]), "unit": str(each["unit"])}


def _best(best: Mapping[str, Any] | None) -> dict[str, Any] | None:
    if not best:
        return None
    read = {name: _estimate(best[name]) for name in ("validation", "held_out") if name in best}
    return {**best, "step": int(best["step"]), **read}


def _events(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    if path.stat().st_size > _MAX_EVENTS_BYTES:
        raise ValueError(f"{path} is longer than {_MAX_EVENTS_BYTES} bytes")
    events = read_metrics(path)
    for event in events:
        event["step"], event["kind"] = int(event["step"]), str(event["kind"])
        if not isinstance(event.setdefault("numbers", {}), Mapping):
            event["numbers"] = {"": event["numbers"]}
    return events


def _below(path: Path) -> Iterable[Path]:
    run = RunDir(path)
    if (run.metrics.exists() or run.config.exists()) and not run.children():
        # A damaged run is an error, never left out in silence; a study's directory is no run.
        if run.metrics.exists() and "trainer.steps" not in run_config.of_run(path):
            if (path / "result.json").exists():
                return
            complaint = "is cut off or no training's. Remove or repair the run."
            raise ConfigError(f"{run.config} {complaint}")
        if run.metrics.exists() or "trainer.steps" in run_config.of_run(path):
            yield path
            return
    for entry in sorted(path.iterdir()):
        is_own = run.config.exists() and entry.name in _FOLDERS_OF_A_RUN
        if entry.is_dir() and not is_own and not entry.is_symlink():
            yield from _below(entry)


def _method_of(path: Path) -> str:
    try:
        return method_name(run_config.of_run(path))
    except ConfigError:  # moved or removed since
        return "a run that is gone"


def _stacked(path: Path) -> int:
    """Return how many seeds were trained together with this one, itself included."""
    home = path.resolve().parent
    if not path.resolve().name.startswith("seed_") or not RunDir(home).config.exists():
        return 1
    return int(run_config.of_run(home).get("n_seeds", 1))


def _curves(path: Path) -> dict[str, Series]:
    """Read some tags of a metrics.jsonl line by line: a long run has gigabytes of others."""
    tags = {*CURVES, *(f"{tag}_floor" for tag in CURVES), *CLOCKS.values()}
    tags |= former_tags(tags)
    curves: dict[str, dict[int, float]] = {}
    if not path.exists():
        return {}
    with open_regular(path, _MAX_BYTES) as rows:
        for line in iter(lambda: rows.readline(_MAX_ROW_BYTES), b""):
            try:
                row = json.loads(line)
                step = row["step"]
                if type(step) is not int or not 0 <= step < 2**53:
                    continue
                # float reads "inf", too.
                values = {current_tag(tag): float(row[tag]) for tag in tags & row.keys()}
            except _DAMAGE:
                continue  # a kill may tear the last line
            for tag, value in values.items():
                curves.setdefault(tag, {})[step] = value
    points = {tag: zip(*sorted(values.items()), strict=True) for tag, values in curves.items()}
    return {t: Series(np.array(s, np.int64), np.array(v, float)) for t, (s, v) in points.items()}


def _by_step(home: Path, directory: Path, ending: str) -> dict[int, Path]:
    matches = ((re.fullmatch(r"step_(\d{1,12})", p.stem), p) for p in directory.glob(f"*.{ending}"))
    steps = ((int(match[1]), path) for match, path in matches if match)
    return dict(sorted((step, path) for step, path in steps if is_inside(path, home)))
