"""Perform a study: measure, judge, save and draw; draw it again from disk.

A study's directory: `index.html` (the page of all), `result.json` (experiment, config, claims,
notes, answer), `arrays.npz`, `figures/*.png` (also .svg or .pdf; animations as .gif and .html),
`tensorboard/`, and the usual `config.yaml`, `status.json`, `metrics.jsonl`. `runs/` holds the run
directories of trainings of its own.
"""

import io
import json
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.figure import Figure
from omegaconf import OmegaConf

from gan_lab.data.free_memory import free_bytes
from gan_lab.errors import ConfigError
from gan_lab.experiments import page
from gan_lab.experiments.base import Arrays, Experiment, Lab, Result
from gan_lab.experiments.claims import CHECK
from gan_lab.loggers.run_logger import RunLogger
from gan_lab.reports.plots.animation import Animation, save_gif, save_page
from gan_lab.reports.plots.samples import encode_png, render_figure
from gan_lab.reports.plots.style import VECTOR_FORMATS, house_style, note_below, vector_graphics
from gan_lab.runs.compatibility import current_config
from gan_lab.runs.run_dir import RunDir, atomic_write, environment, to_json
from gan_lab.runs.safe_io import check_inside, open_regular, read_regular
from gan_lab.signals import Interrupted

RESULT, ARRAYS, PAGE = "result.json", "arrays.npz", "index.html"
KINDS = "fiubU"  # of arrays
_LONGEST_RESULT = 1 << 24  # bytes; a study's has some ten thousand


def perform(name: str, study: Experiment, config: Mapping[str, Any], lab: Lab) -> Result:
    """Measure, judge, save, then draw; what was measured survives a failure to draw.

    Raises:
        ConfigError: The directory holds a study already, or another process uses it.
    """
    home = RunDir(lab.directory)
    if (home.path / RESULT).exists():
        raise ConfigError(f"{home.path} holds a study already; choose another hydra.run.dir")
    with home.create().lock():
        atomic_write(home.config, OmegaConf.to_yaml(dict(config)).encode())
        home.write_status(state="running", seeds=list(lab.seeds), **environment())
        began = time.perf_counter()
        try:
            arrays = study.measure(lab)
            seconds = time.perf_counter() - began
            texts = (study.claims(arrays), study.notes(arrays), study.answer(arrays))
            result = Result(name, dict(config), arrays, *texts)
            save(result, home, study, seconds)
            draw(study, result, home)
        except BaseException as error:
            by_user = isinstance(error, KeyboardInterrupt | Interrupted)
            state = "interrupted" if by_user else "failed"
            home.write_status(state=state, error=f"{type(error).__name__}: {error}")
            raise
        home.write_status(state="done", seconds=seconds)
    return result


def save(result: Result, home: RunDir, study: Experiment, seconds: float) -> None:
    """Write result.json and arrays.npz."""
    for name, array in result.arrays.items():
        if array.dtype.kind not in KINDS:
            raise TypeError(f"array '{name}' is of {array.dtype}; keep numbers, bools or text")
    buffer = io.BytesIO()
    np.savez_compressed(buffer, **result.arrays)  # type: ignore[arg-type]
    atomic_write(home.path / ARRAYS, buffer.getvalue())
    record = {
        "experiment": result.experiment,
        "question": study.question,
        "reference": study.reference,
        "config": result.config,
        "seconds": seconds,
        "claims": [claim.record() for claim in result.claims],
        "notes": result.notes,
        "answer": result.answer,
    }
    atomic_write(home.path / RESULT, to_json(record, indent=2))


def load_record(path: Path) -> dict[str, Any]:
    """Return the content of a study's result.json.

    Raises:
        ConfigError: There is none, or it is no result.
    """
    try:
        record = json.loads(read_regular(path / RESULT, _LONGEST_RESULT))
    except OSError as error:
        raise ConfigError(f"{path} holds no study: {RESULT}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path / RESULT} is not JSON: {error}") from error
    if not isinstance(record, dict) or "experiment" not in record or "claims" not in record:
        raise ConfigError(f"{path / RESULT} is not the result of a study")
    return record


def load_config(path: Path) -> dict[str, Any]:
    """Return the configuration that a study was performed with, under today's names.

    Raises:
        ConfigError: There is no result, or none in it.
    """
    config = load_record(path).get("config")
    if not isinstance(config, dict):
        raise ConfigError(f"{path / RESULT} holds no config; perform the study again")
    return current_config(config)


def load_arrays(path: Path) -> Arrays:
    """Return the arrays of a study.

    Raises:
        ConfigError: They are missing, damaged or more than the memory holds.
    """
    n_free = free_bytes(torch.device("cpu")) or sys.maxsize
    try:
        with open_regular(path / ARRAYS, n_free) as file, np.load(file, allow_pickle=False) as npz:
            need = 2 * sum(member.file_size for member in npz.zip.infolist())
            if need > n_free:
                raise ValueError(f"unpacked it needs {need} bytes, of which {n_free} are free")
            arrays = {name: npz[name] for name in npz.files}
    except Exception as error:  # zipfile, zlib, OSError, ValueError
        raise ConfigError(f"{path / ARRAYS} cannot be read: {error}") from error
    for name, array in arrays.items():
        if not isinstance(array, np.ndarray) or array.dtype.kind not in KINDS:
            raise ConfigError(f"{path / ARRAYS} holds no numbers as '{name}'")
    return arrays


def redraw(study: Experiment, path: Path, figures: str = "png") -> list[Path]:
    """Draw a study's figures, animations and page again from its arrays and its result.json.

    Args:
        figures: png; or svg or pdf, in which they are drawn besides.

    Raises:
        ConfigError: The arrays cannot be read or are another study's, or a link leads elsewhere.
    """
    check_inside(path)
    arrays, config = load_arrays(path), load_config(path)
    try:
        files = _figure_files(study, arrays, {**config, "figures": figures})
        animations = study.animations(arrays)
    except Exception as error:  # whatever a picture takes for granted
        raise ConfigError(
            f"{path / ARRAYS} cannot be drawn: {type(error).__name__}: {error}. Perform the study "
            "again"
        ) from error
    return _write_figures(study, files, animations, RunDir(path))


def draw(study: Experiment, result: Result, home: RunDir) -> None:
    """Write figures, animations and the page, and all results into TensorBoard."""
    files = _figure_files(study, result.arrays, result.config)
    _write_figures(study, files, study.animations(result.arrays), home)
    rows: dict[int, dict[str, float]] = {}
    for tag, (steps, values) in study.curves(result.arrays).items():
        for step, value in zip(steps.tolist(), values.tolist(), strict=True):
            rows.setdefault(int(step), {})[tag] = float(value)
    logger = RunLogger(home, int(result.config.get("seed", 0)))
    try:
        logger.text("question", f"**{study.title}.** {study.question} ({study.reference})")
        logger.text("claims", claims_markdown(result))
        if result.notes:
            logger.text("notes", "\n".join(f"- {note}" for note in result.notes))
        for step in sorted(rows):
            logger.scalars(step, rows[step])
        last = max(rows, default=0)
        for name, content in files.items():
            if name.endswith(".png"):
                logger.image(f"figures/{name.removesuffix('.png')}", 0, content)
        measured = {f"claims/{c.id}": c.measured.value for c in result.claims}
        logger.scalars(last, {tag: v for tag, v in measured.items() if np.isfinite(v)})
    finally:
        logger.close()


def claims_markdown(result: Result) -> str:
    """Return the claims as a Markdown table, checks last."""
    lines = ["| claim | measured | interval | expected | verdict |", "|---|---|---|---|---|"]
    for claim in sorted(result.claims, key=lambda claim: claim.kind == CHECK):
        value, low, high = claim.measured
        unit = f" {claim.unit}" if claim.unit else ""
        words = claim.relation.replace("_", " ")
        lines.append(
            f"| {claim.statement} | {value:.4g}{unit} | [{low:.4g}, {high:.4g}] | {words} "
            f"{claim.expected:.4g} (+- {claim.tolerance:.2g}) | **{claim.verdict}**"
            f"{' (check)' if claim.kind == CHECK else ''} |"
        )
    return "\n".join(lines)


def finished_figures(
    study: Experiment, arrays: Arrays, config: Mapping[str, Any]
) -> Mapping[str, Figure]:
    """Return a study's figures as they are saved; a quick one says so on each of them.

    To be called, and its figures to be drawn, inside `house_style()`.
    """
    figures = study.figures(arrays)
    if config.get("quick") is True:
        for figure in figures.values():
            note_below(figure, study.quick_note(int(config.get("n_seeds", 1))))
    return figures


def _figure_files(study: Experiment, arrays: Arrays, config: Mapping[str, Any]) -> dict[str, bytes]:
    """Return figures as the content of files by file name."""
    kind = str(config.get("figures", "png"))
    files: dict[str, bytes] = {}
    with house_style():
        for name, figure in finished_figures(study, arrays, config).items():
            files[f"{name}.png"] = encode_png(render_figure(figure))
            if kind in VECTOR_FORMATS:
                files[f"{name}.{kind}"] = vector_graphics(figure, kind)
    return files


def _write_figures(
    study: Experiment, files: Mapping[str, bytes], animations: Mapping[str, Animation], home: RunDir
) -> list[Path]:
    """Write figures, animations and, last, the page that shows them."""
    paths, gifs = [], {}
    for name, content in files.items():
        paths.append(home.figures / name)
        atomic_write(paths[-1], content)
    for name, animation in animations.items():
        paths += [home.figures / f"{name}.gif", home.figures / f"{name}.html"]
        save_gif(animation, paths[-2])
        save_page(animation, paths[-1])
        gifs[name] = paths[-2].read_bytes()
    figures = {
        name.removesuffix(".png"): png for name, png in files.items() if name.endswith(".png")
    }
    paths.append(home.path / PAGE)
    record = load_record(home.path)
    try:
        source = page.study_page(study.title, record, figures, gifs)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ConfigError(
            f"{home.path / RESULT} cannot be shown: {type(error).__name__}: {error}. Perform the "
            "study again"
        ) from error
    atomic_write(paths[-1], source.encode())
    return paths
