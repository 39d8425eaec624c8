"""Checks of the face's arguments: what no command line can be given, in the commands' words."""

import os
from pathlib import Path

import numpy as np

from gan_lab.errors import ConfigError


def path_of(name: str, value: object) -> Path:
    """Return an argument that names a file or a directory.

    Raises:
        ConfigError: It is neither a text nor a path.
    """
    text = os.fspath(value) if isinstance(value, str | os.PathLike) else None
    if not isinstance(text, str):
        raise ConfigError(f"{name}={short(value)} is no path; give a text or a pathlib.Path")
    return Path(text)


def check_whole(name: str, value: object, at_least: int) -> int:
    """Return a whole number, of Python's or NumPy's.

    Raises:
        ConfigError: It is none, or less than `at_least`.
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool) and value >= at_least:
        return int(value)
    raise ConfigError(f"{name}={short(value)} is not a whole number >= {at_least}")


def short(value: object) -> str:
    """Return a value for a message, in one line and not the whole of an array."""
    text = " ".join(repr(value).split())
    return text if len(text) <= 40 else f"{text[:40]}..."
