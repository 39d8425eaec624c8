"""Checks of constructor arguments and of output paths.

The command line turns the `Class.name` of an error into the key that was typed.
"""

import os
from pathlib import Path

from gan_lab.errors import ConfigError

MAX_COUNT = 10**12  # of anything that is counted: more is a slip of the user, and would never end


def check_count(owner: object, name: str, at_least: int = 1, at_most: int = MAX_COUNT) -> None:
    """Raise ValueError for a field that is not a whole number from at_least to at_most."""
    value, key = getattr(owner, name), f"{type(owner).__name__}.{name}"
    if isinstance(value, bool) or not isinstance(value, int) or value < at_least:
        raise ValueError(f"{key}={value!r} is not a whole number >= {at_least}")
    if value > at_most:
        raise ValueError(f"{key}={value} is more than {at_most}, the most")


def is_whole(word: str) -> bool:
    """Return whether a word is a whole number that `int` reads.

    It reads neither 4301 digits nor a superscript, which `isdigit` accepts.
    """
    return word.isascii() and word.isdigit() and len(word) <= 18


def check_choice(owner: object, name: str, choices: list[str]) -> None:
    """Raise ValueError for a field that holds none of the choices."""
    value = getattr(owner, name)
    if value not in choices:
        key = f"{type(owner).__name__}.{name}"
        raise ValueError(f"{key}={value!r} is unknown; take one of {', '.join(choices)}")


def check_interval(
    owner: object, name: str, value: float, *, low_open: bool = True, high: float = float("inf")
) -> None:
    """Raise ValueError for a value that is not in (0, high), or [0, high) with low_open=False.

    nan and inf never are.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (0 < value < high or (value == 0 and not low_open)):
        return
    low = "(0" if low_open else "[0"
    raise ValueError(f"{type(owner).__name__}.{name}={value!r} is not a number in {low}, {high:g})")


def check_number(owner: object, name: str, value: float, *, at_least: float = 0.0) -> None:
    """Raise ValueError for a value that is not a finite number >= at_least."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = "is not a number"
    elif not at_least <= value < float("inf"):
        problem = f"is not a finite number >= {at_least:g}"
    else:
        return
    raise ValueError(f"{type(owner).__name__}.{name}={value!r} {problem}")


def output_path(key: str, value: str) -> Path:
    """Return the absolute path that a key names, where a file or a directory can be created.

    Raises:
        ConfigError: It is empty, begins with the shell's ~, holds characters that cannot be shown,
            is too long, lies below a file, or where nothing may be written.
    """
    if not value:
        raise ConfigError(f"{key} is empty; name a place for it, or leave {key} out")
    if not value.isprintable():
        raise ConfigError(f"{key}={value!r} holds what cannot be shown; name another place")
    if value == "~" or value.startswith("~/"):
        home_path = os.path.expanduser(value)
        raise ConfigError(f"{key}={value} would be a directory named ~; write {key}={home_path}")
    path = Path(value).absolute()
    try:
        parent = next(above for above in (path, *path.parents) if above.exists())
    except OSError as error:
        raise ConfigError(f"{key}={value[:40]}... is no path: {error.strerror}") from error
    if parent != path and not parent.is_dir():
        raise ConfigError(f"{key}={value} cannot be made: {parent} is a file; name another place")
    if not os.access(parent, os.W_OK):
        raise ConfigError(f"{key}={value} cannot be written: {parent} is read-only; name another")
    return path
