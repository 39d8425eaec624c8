"""The command `experiment`: one study by its name, or a study's pictures again from disk."""

import dataclasses
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from hydra.core.hydra_config import HydraConfig
from omegaconf import DictConfig, OmegaConf
from rich import box
from rich.table import Table
from rich.text import Text

from gan_lab.cli import open_run
from gan_lab.cli.hydra import HydraArguments, combinations, run_directory, through_hydra
from gan_lab.config import compose
from gan_lab.config.catalogue import choices
from gan_lab.engine.devices import cores, resolve_device
from gan_lab.errors import ConfigError
from gan_lab.experiments import runner
from gan_lab.experiments.base import Experiment, Lab, Result
from gan_lab.experiments.claims import CHECK, FAIL
from gan_lab.experiments.cluster import SUBMITIT, Launcher
from gan_lab.reports.export.terminal import console, say
from gan_lab.reports.plots.style import VECTOR_FORMATS, short
from gan_lab.runs.safe_io import printable
from gan_lab.signals import raise_at_sigterm
from gan_lab.training.config import RunConfig

_COMMON_KEYS = ("quick", "seed", "n_seeds", "device", "workers", "figures")
_FORMATS = ("png", *VECTOR_FORMATS)
COLOURS = {"pass": "green", "fail": "red", "inconclusive": "yellow"}


def experiment(arguments: list[str]) -> int:
    """Perform a study: `experiment NAME [key=value ...]`; `experiment DIR` draws one again.

    `experiment DIR figures=svg` draws in that format besides.

    Returns:
        0, also with inconclusive claims; 1 where a claim failed.
    """
    request = HydraArguments("experiment").read(arguments, takes_names=True)
    names = request.names
    others = [word for word in arguments if word not in names]
    is_redrawn = all(word.startswith("figures=") for word in others)
    if len(names) == 1 and is_redrawn and (Path(names[0]) / runner.RESULT).exists():
        return _redraw(Path(names[0]), others)
    if len(names) != 1:
        studies = ", ".join(choices("experiment"))
        raise ConfigError(f"experiment takes one name, got {len(names)}: {studies}")
    overrides = [f"experiment={names[0]}", *request.overrides]
    if not (request.multirun or request.cfg):
        cfg = compose.compose_config("experiment", overrides)
        directory, launcher = run_directory(), _launcher()
        return _conclude(*_perform(names[0], cfg, directory, _progress(), launcher))
    for job in combinations(overrides) if request.multirun else [overrides]:
        study, plain = study_of(compose.compose_config("experiment", job))
        if request.cfg:
            _tell_stages(study, plain, _launcher())
    flags = [word for word in request.flags if word not in names]
    return through_hydra("experiment", [*flags, *overrides], _sweep_job)


def perform(
    name: str, overrides: Sequence[str], directory: Path, tell: Callable[[str], None]
) -> Result:
    """Perform a study into a directory of its own; `tell` shows a line of progress."""
    cfg = compose.compose_config("experiment", [f"experiment={name}", *overrides])
    return _perform(name, cfg, directory, tell)[1]


def study_of(cfg: DictConfig | Mapping[str, Any]) -> tuple[Experiment, dict[str, Any]]:
    """Return the study that a configuration describes, and the configuration, resolved."""
    plain = compose.resolve(cfg)
    for key, least in (("seed", 0), ("n_seeds", 1), ("workers", 0)):
        value = plain.get(key)
        if type(value) is not int or value < least:
            raise ConfigError(f"{key}={value!r} is not a whole number >= {least}")
    if type(plain.get("quick")) is not bool:
        raise ConfigError(f"quick={plain.get('quick')!r} is neither true nor false")
    if plain.get("figures", "png") not in _FORMATS:
        formats = ", ".join(_FORMATS)
        raise ConfigError(f"figures={plain['figures']!r} is unknown; take one of {formats}")
    if resolve_device(str(plain.get("device"))).type == "mps":
        raise ConfigError("device=mps has no float64, in which studies measure; take device=cpu")
    node = {key: value for key, value in plain.items() if key not in _COMMON_KEYS}
    return compose.construct(node, "", Experiment), plain


def _progress() -> Callable[[str], None]:
    began = time.perf_counter()

    def tell(line: str) -> None:
        say(f"[{time.perf_counter() - began:5.0f} s] {line}", stderr=True)

    return tell


def _launcher() -> Launcher | None:
    """Return where the configuration composed last sends a study's jobs; None: to processes here.

    Raises:
        ConfigError: The launcher cannot run them.
    """
    hydra = HydraConfig.get()
    if hydra.runtime.choices["hydra/launcher"] in ("basic", "cores", "joblib"):
        return None
    settings = OmegaConf.to_container(hydra.launcher, resolve=False)
    assert isinstance(settings, dict)
    name = str(settings["_target_"]).rpartition(".")[2]
    # Interpolations are of a sweep's directory and name, which a study does not have.
    return Launcher(name, {str(k): v for k, v in settings.items() if "${" not in str(v)})


def _tell_stages(study: Experiment, plain: Mapping[str, Any], launcher: Launcher | None) -> None:
    """Print what a study would send out, stage by stage."""
    where = f"{plain['workers'] or cores()} processes here"
    if launcher is not None:
        where = launcher.name
        if launcher.name in SUBMITIT:
            parameters = launcher.submitit_parameters().items()
            where += f" ({', '.join(f'{key}={value}' for key, value in parameters)})"
    seeds = tuple(range(plain["seed"], plain["seed"] + plain["n_seeds"]))
    for line in study.job_stages(seeds):
        say(f"to {where}: {line}", stderr=True)


def _perform(
    name: str,
    cfg: DictConfig,
    directory: Path,
    tell: Callable[[str], None],
    launcher: Launcher | None = None,
) -> tuple[Experiment, Result, Path]:
    study, plain = study_of(cfg)

    def run_config(overrides: Sequence[str]) -> RunConfig:
        parts = compose.build_run_config(compose.compose_config("train", list(overrides)))
        return dataclasses.replace(parts, overrides=tuple(overrides))

    lab = Lab(
        seeds=tuple(range(plain["seed"], plain["seed"] + plain["n_seeds"])),
        device=resolve_device(plain["device"]),
        directory=directory,
        workers=plain["workers"] or cores(),
        quick=plain["quick"],
        run_config=run_config,
        tell=tell,
        launcher=launcher,
    )
    torch.set_num_threads(1)  # small networks; studies that have more to do say so themselves
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(f"{directory} cannot be made: {error.strerror}") from error
    with raise_at_sigterm():
        return study, runner.perform(name, study, plain, lab), directory


def _conclude(study: Experiment, result: Result, directory: Path) -> int:
    show(study.title, result)
    for label, path in (("result", runner.RESULT), ("figures", "figures"), ("page", runner.PAGE)):
        say(f"{label + ':':8} {directory / path}")
    return int(any(claim.verdict == FAIL for claim in result.claims))


def show(title: str, result: Result) -> None:
    """Print the claims, then, below a line, the checks, and the notes."""
    table = Table("claim", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for column in ("measured", "interval", "expected"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("verdict")
    words, has_checks = {"equals": "", "at_least": ">= ", "at_most": "<= "}, False
    for claim in sorted(result.claims, key=lambda claim: claim.kind == CHECK):
        if claim.kind == CHECK and not has_checks:
            has_checks = True
            table.add_section()
            table.add_row(Text("checks: only a bug breaks one", style="dim"))
        value, low, high = claim.measured
        slack = f" +- {short(claim.tolerance)}" if claim.tolerance else ""
        table.add_row(
            claim.statement,
            f"{short(value)} {claim.unit}".strip(),
            "exact" if low == high == value else f"{short(low)} to {short(high)}",
            f"{words[claim.relation]}{short(claim.expected)}{slack}",
            Text(claim.verdict, style=COLOURS[claim.verdict]),
        )
    screen = console(width=140)
    screen.print(table)
    for text in result.answer:
        screen.print(f"answer: {text}")
    for note in result.notes:
        screen.print(f"note: {note}")


def _redraw(path: Path, overrides: Sequence[str]) -> int:
    config = runner.load_config(path)
    open_run.check_trusted(config, str(path / runner.RESULT))
    config |= dict(word.split("=", 1) for word in overrides)
    study, plain = study_of(config)
    for picture in runner.redraw(study, path, plain.get("figures", "png")):
        print(printable(picture))
    return 0


def _sweep_job(cfg: DictConfig) -> None:
    OmegaConf.set_struct(cfg, False)
    path = Path(HydraConfig.get().runtime.output_dir)
    name = str(HydraConfig.get().runtime.choices["experiment"])
    if _conclude(*_perform(name, cfg, path, _progress())):
        raise RuntimeError(f"a claim of {name} failed, see {path / runner.RESULT}")
