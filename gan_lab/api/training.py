"""Train from Python with the keys of `python -m gan_lab train`."""

import dataclasses
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from hydra.core.hydra_config import HydraConfig

from gan_lab.api.arguments import path_of, short
from gan_lab.api.process import keep_hydra, keep_torch_settings, stoppable, torch_settings
from gan_lab.api.trained_run import TrainedRun
from gan_lab.cli.hydra import key_of, long_names, run_directory
from gan_lab.config import compose
from gan_lab.console import announce
from gan_lab.errors import ConfigError
from gan_lab.runner import train as runner
from gan_lab.training import build
from gan_lab.training.config import RunConfig
from gan_lab.training.loop import fit_stepwise
from gan_lab.training.run import Run
from gan_lab.training.validate import validate, warnings

_ARRAYS = (np.ndarray, torch.Tensor)
_PLAIN = re.compile(r"[a-zA-Z0-9_./+@%-]+")  # what Hydra reads as it is


def train(*overrides: str, output: str | Path | None = None, **keys: Any) -> TrainedRun:
    """Train a run into a directory, as `python -m gan_lab train` does, and return it.

    Args:
        overrides: Words as in the shell: "optim.lr=1e-4".
        output: The run's directory; None = outputs/train/<data>_<loss>/<now>.
        keys: The same as Python's values: data="ring", steps=2000, metrics=["wasserstein", "js"].
            Two underscores are a dot: optim__lr=1e-4.

    Returns:
        The run; after Ctrl-C the run so far, which is saved and can be resumed.

    Raises:
        ConfigError: What cannot be run, as the command says it; nothing is written.
        RunDiverged: A number is not finite; the message says where the state before is.

    Example:
        >>> import gan_lab
        >>> run = gan_lab.train(data="ring", loss="wasserstein", steps=100, seed=0)
        >>> print(run.path, run.samples(64).shape)
        >>> print(run.evaluate()["wasserstein"])
    """
    with keep_torch_settings():
        config, path = _compose(overrides, keys, output)
        source = build.open_source(config)
        validate(config, source)
        for note in source.notes:
            announce(f"data: {note}")
        for sentence in warnings(config, source):
            announce(f"warning: {sentence}")
        with stoppable():
            runner.start(config, source, path)
    return TrainedRun(path)


def steps(*overrides: str, **keys: Any) -> Iterator[tuple[int, Run]]:
    """Train one step at a time, in memory: yield the step and the run, first untrained.

    Nothing is measured, drawn or written, and a loop may be left at any step. The weights are those
    of `train`, bit for bit. `run.samples(0, z)` are samples of the average, `run.state` holds both
    networks, `run.last_values()` losses and estimates of the step, [S] over seeds.

    Args:
        overrides: See `train`.
        keys: See `train`.

    Raises:
        ConfigError: What cannot be run.

    Example:
        >>> import gan_lab
        >>> for step, run in gan_lab.steps(data="ring", loss="minimax", steps=100):
        ...     if step % 20 == 0 and step > 0:
        ...         print(step, float(run.last_values()["loss/discriminator"]))
    """
    with keep_torch_settings():
        config, _ = _compose(overrides, keys)
        run = build.open_run(config)  # at once, so that a mistake is told where it is made
        return _each_step(run, torch.get_num_threads())


def _each_step(run: Run, n_threads: int) -> Iterator[tuple[int, Run]]:
    each_step = fit_stepwise(run, run.config.trainer.steps)
    while True:
        with torch_settings(run.config.execution, n_threads):
            step = next(each_step, None)
        if step is None:
            return
        yield step, run


def override_words(overrides: Sequence[str], keys: Mapping[str, Any]) -> list[str]:
    """Return the words that the command would be given.

    Raises:
        ConfigError: A value that no word says, or a directory, which is an argument of its own.
    """
    words = [*overrides, *(f"{k.replace('__', '.')}={_word(k, v)}" for k, v in keys.items())]
    for word in words:
        if not isinstance(word, str) or ("=" not in word and not word.startswith("~")):
            raise ConfigError(f"an override is a text key=value, got {word!r}")
        if key_of(word) in ("output", "hydra.run.dir"):
            raise ConfigError(f"{word} is no override here; give train the argument output=...")
    return words


def _word(key: str, value: Any) -> str:
    """Return a value in the grammar of overrides."""
    value = value.item() if isinstance(value, np.generic) else value
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | Path):
        text = str(value)
        return text if _PLAIN.fullmatch(text) else _quote(text)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_word(key, v)}" for name, v in value.items()) + "}"
    if isinstance(value, Sequence) and not isinstance(value, bytes | bytearray):
        return "[" + ",".join(_word(key, each) for each in value) + "]"
    hint = "; save it with numpy.save and say data='array', data__path=..."
    raise ConfigError(
        f"{key}={short(value)} is of type {type(value).__name__}; a key takes text, numbers, lists "
        f"and dictionaries of them, or None{hint if isinstance(value, _ARRAYS) else ''}"
    )


def _quote(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):  # a list, as in the shell
        return text
    # In Hydra's quotes only a quote, and the backslashes before one, are special.
    return "'" + re.sub(r"(\\*)('|$)", lambda m: 2 * m[1] + ("\\'" if m[2] else ""), text) + "'"


def _compose(
    overrides: Sequence[str], keys: Mapping[str, Any], output: str | Path | None = None
) -> tuple[RunConfig, Path]:
    """Return the configuration and the run's directory, as the command would have them."""
    words = override_words(overrides, keys)
    if output is not None:
        path_of("output", output)
        words.append(f"output={os.fspath(output)}")
    with keep_hydra():
        config = build_config(long_names(words))
        path = run_directory()
        return dataclasses.replace(config, overrides=tuple(HydraConfig.get().overrides.task)), path


def build_config(words: Sequence[str]) -> RunConfig:
    """Return the configuration of some overrides."""
    return compose.build_run_config(compose.compose_config("train", words))
