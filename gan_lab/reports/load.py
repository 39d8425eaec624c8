"""Run directories on disk -> records of one seed each, whatever made them.

A run of several stacked seeds and a sweep over seeds leave the same kind of directories, one a
seed; nothing here, or after it, can tell them apart.
"""

import importlib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import yaml

from gan_lab.errors import ConfigError
from gan_lab.recording import read_metrics
from gan_lab.reports.plots import short
from gan_lab.reports.questions import CURVES
from gan_lab.run_dir import RunDir

CLOCKS = {
    "discriminator_steps": "clock/discriminator_steps",
    "generator_steps": "clock/generator_steps",
    "gradient_evaluations": "clock/gradient_evaluations",
    "images": "clock/images",
    "seconds": "time/train_seconds",
}
_INSIDE = {"checkpoints", "samples", "film", "figures", "tensorboard", "evaluation"}


class Series(NamedTuple):
    """Values of one tag: at which steps, [T] int64 and increasing, and what, [T] float64."""

    steps: np.ndarray
    values: np.ndarray


@dataclass(frozen=True)
class Record:
    """One seed of one run, as its directory tells it.

    Attributes:
        path: The directory.
        seed: What everything random derives from.
        config: Resolved, flat, dotted key -> value.
        state: done, diverged, interrupted, failed, or unfinished (running still, or killed).
        step: How far it came.
        steps: How far it was to go.
        error: What stopped it, or None.
        finals: Tag of the final evaluation -> {"value", "low", "high", "floor", "unit", "n"}.
        curves: Tag -> series: those of `questions`, their floors, and the clocks.
        events: What happened, as in events.jsonl.
        best: The best checkpoint by the ruler, as in status.json, or None.
    """

    path: Path
    seed: int
    config: Mapping[str, Any]
    state: str
    step: int
    steps: int
    error: str | None
    finals: Mapping[str, Mapping[str, Any]]
    curves: Mapping[str, Series]
    events: Sequence[Mapping[str, Any]]
    best: Mapping[str, Any] | None

    @property
    def done(self) -> bool:
        """Whether it came to its end and was measured there."""
        return self.state == "done"

    def pictures(self) -> dict[int, Path]:
        """Step -> PNG of its samples."""
        return _by_step(RunDir(self.path).samples, "png")

    def frames(self) -> dict[int, Path]:
        """Step -> frame of its landscape."""
        return _by_step(RunDir(self.path).film, "npz")


def found(paths: Iterable[Path]) -> list[Path]:
    """The run directories of one seed each at or below some directories, each once.

    Raises:
        ConfigError: One of them is no directory, or holds no run.
    """
    runs: dict[Path, None] = {}
    for path in paths:
        if not path.is_dir():
            raise ConfigError(f"{path} is no directory; give run directories or what holds them")
        below = list(_below(path))
        if not below:
            raise ConfigError(
                f"{path} holds no run: no config.yaml of a training is in it or below it. Train "
                f"some first, e.g. `python -m gan_lab train -m seed=0,1,2 loss=minimax,wasserstein`"
            )
        runs |= dict.fromkeys(each.resolve() for each in below)
    return list(runs)


def read(path: Path) -> Record:
    """Reads one run directory.

    Raises:
        ConfigError: Its config, status or metrics cannot be read.
    """
    run = RunDir(path)
    config, status = _config(path), run.read_status()
    state = str(status.get("state", "unfinished"))
    seeds = status.get("seeds") or [config.get("seed", 0)]
    return Record(
        path=path,
        seed=int(seeds[0]),
        config=config,
        state="unfinished" if state == "running" else state,
        step=int(status.get("step", 0)),
        steps=int(config.get("trainer.steps", 0)),
        error=status.get("error"),
        finals=_numbers(status.get("final") or {}),
        curves=_curves(run.metrics),
        events=read_metrics(run.events) if run.events.exists() else [],
        best=_numbers(status["best"]) if status.get("best") else None,
    )


def card_lines(config: Mapping[str, Any]) -> list[str]:
    """What the loss card of a configuration says, a line an entry; none if the loss is unknown."""
    module, _, name = str(config.get("loss._target_", "")).rpartition(".")
    try:
        card = getattr(importlib.import_module(module), name).card
    except (ImportError, AttributeError, ValueError):
        return []
    return [f"{key}: {_said(value)}" for key, value in vars(card).items()]


def _said(value: Any) -> str:
    return ", ".join(map(short, value)) if isinstance(value, tuple) else str(value)


def _below(path: Path) -> Iterable[Path]:
    children = RunDir(path).children()
    if RunDir(path).config.exists() and not children:
        if _is_training(path):
            yield path
        return
    for entry in sorted(path.iterdir()):
        if entry.is_dir() and entry.name not in _INSIDE and not entry.is_symlink():
            yield from _below(entry)


def _is_training(path: Path) -> bool:
    return "trainer.steps" in _config(path)


def _config(path: Path) -> dict[str, Any]:
    file = RunDir(path).config
    try:
        loaded = yaml.load(file.read_text(), Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))
    except (OSError, yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read: {error}. Remove or repair the run.") from error
    if not isinstance(loaded, dict):
        raise ConfigError(f"{file} is not a configuration. Remove or repair the run.")
    return _flat(loaded)


def _flat(node: Mapping[Any, Any], prefix: str = "") -> dict[str, Any]:
    leaves: dict[str, Any] = {}
    for key, value in node.items():
        name = f"{prefix}{key}"
        leaves |= _flat(value, f"{name}.") if isinstance(value, Mapping) else {name: value}
    return leaves


def _curves(path: Path) -> dict[str, Series]:
    """The wanted tags of a metrics.jsonl, read line by line: a long run has gigabytes of others."""
    wanted = {*CURVES, *(f"{tag}_floor" for tag in CURVES), *CLOCKS.values()}
    steps: dict[str, list[int]] = {}
    values: dict[str, list[float]] = {}
    if not path.exists():
        return {}
    with path.open() as lines:
        for line in lines:
            try:
                row = json.loads(line)
                step = row["step"]
            except (ValueError, TypeError, KeyError):
                continue  # a kill may tear the last line; what is no row is no number either
            for tag in wanted & row.keys():
                steps.setdefault(tag, []).append(step)
                values.setdefault(tag, []).append(float(row[tag]))  # "inf", too
    return {
        tag: Series(np.array(steps[tag], np.int64), np.array(values[tag], np.float64))
        for tag in steps
    }


def _numbers(node: Any) -> Any:
    """The same nest with "inf", "-inf" and "nan" as numbers again."""
    if isinstance(node, Mapping):
        return {key: _numbers(value) for key, value in node.items()}
    return float(node) if node in ("inf", "-inf", "nan") else node


def _by_step(directory: Path, ending: str) -> dict[int, Path]:
    matches = ((re.fullmatch(r"step_(\d+)", p.stem), p) for p in directory.glob(f"*.{ending}"))
    return dict(sorted((int(match[1]), path) for match, path in matches if match))
