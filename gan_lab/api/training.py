"""Train from Python with the keys of `python -m gan_lab train`."""

import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

from gan_lab.api.trained_run import TrainedRun
from gan_lab.cli.hydra import long_names
from gan_lab.config import compose
from gan_lab.console import announce
from gan_lab.errors import ConfigError
from gan_lab.runner import train as runner
from gan_lab.signals import Interrupted
from gan_lab.training import build
from gan_lab.training.config import RunConfig
from gan_lab.training.loop import fit_stepwise
from gan_lab.training.run import Run
from gan_lab.training.validate import validate, warnings
from gan_lab.validation import output_path


def train(*overrides: str, output: str | Path | None = None, **keys: Any) -> TrainedRun:
    """Train a run into a directory, as `python -m gan_lab train` does, and return it.

    Args:
        overrides: Words as in the shell: "optim.lr=1e-4".
        output: The run's directory; None = outputs/train/<data>_<loss>/<now>.
        keys: The same with Python's values: data="ring", steps=2000, metrics=["wasserstein", "js"].
            Dots become two underscores: optim__lr=1e-4.

    Returns:
        The run; after Ctrl-C the run so far, which is saved and can be resumed.

    Raises:
        ConfigError: What cannot be run, as the command says it; nothing is written.
        RunDiverged: A number is not finite; the message says where the state before is.
    """
    words = override_words(overrides, keys)
    config = _compose(words)
    source = build.open_source(config)
    validate(config, source)
    for sentence in (*warnings(config), *source.warnings):
        announce(f"warning: {sentence}")
    path = _default_output(config) if output is None else output_path("output", str(output))
    try:
        runner.start(config, source, path)
    except Interrupted as stop:
        announce(f"stopped by {stop}; the state is saved: run.resume() continues it")
    return TrainedRun(path)


def steps(*overrides: str, **keys: Any) -> Iterator[tuple[int, Run]]:
    """Train one step at a time, in memory: yield the step and the run, first untrained.

    Nothing is measured, drawn or written; `run.samples(0, z)`, `run.state`, `run.objective` and
    `run.last_values()` are there to be looked at. The arguments are those of `train`.

    Raises:
        ConfigError: What cannot be run.
    """
    config = _compose(override_words(overrides, keys))
    run = build.open_run(config)  # at once, so that a mistake is told where it is made
    return ((step, run) for step in fit_stepwise(run, config.trainer.steps))


def override_words(overrides: Sequence[str], keys: Mapping[str, Any]) -> list[str]:
    """Return the words that the command would be given.

    Raises:
        ConfigError: A value that no word says.
    """
    words = [*overrides, *(f"{k.replace('__', '.')}={_word(k, v)}" for k, v in keys.items())]
    for word in words:
        if not isinstance(word, str) or "=" not in word.lstrip("~"):
            raise ConfigError(f"an override is a text key=value, got {word!r}")
        if word.partition("=")[0] in ("output", "hydra.run.dir"):
            raise ConfigError(f"{word}: say where by output=..., as an argument of its own")
    return long_names(words)


def _word(key: str, value: Any) -> str:
    """Return a value in the grammar of overrides."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float | Path):
        text = str(value)
        return text if text and not set(text) & set(" ,=:{}[]()'\"\\$") else _quote(text)
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{name}:{_word(key, v)}" for name, v in value.items()) + "}"
    if isinstance(value, Sequence):
        return "[" + ",".join(_word(key, each) for each in value) + "]"
    raise ConfigError(
        f"{key}={value!r} is a {type(value).__name__}; a key takes text, numbers, lists and "
        f"dictionaries of them, or None"
    )


def _quote(text: str) -> str:
    if text.startswith("[") and text.endswith("]"):  # a list, as in the shell
        return text
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _compose(words: Sequence[str]) -> RunConfig:
    config = compose.build_run_config(compose.compose_config("train", words))
    return dataclasses.replace(config, overrides=tuple(words))


def _default_output(config: RunConfig) -> Path:
    names = "_".join(type(part).__name__.lower() for part in (config.data, config.loss))
    now = datetime.now().strftime("%Y-%m-%d_%H-%M-%S-%f")
    return Path("outputs/train", names, now).absolute()
