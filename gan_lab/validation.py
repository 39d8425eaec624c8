"""Checks of constructor arguments, where the shell turns `Class.name` into the key that was typed,
and of the places that files are to go to.
"""

import os
from pathlib import Path

from gan_lab.errors import ConfigError

MAX_COUNT = 10**12  # of anything that is counted: what is beyond is a slip, and would never end


def check_count(owner: object, name: str, at_least: int = 1, at_most: int = MAX_COUNT) -> None:
    """Refuses a field that is not a whole number from at_least to at_most.

    Raises:
        ValueError: It is not.
    """
    got = getattr(owner, name)
    if isinstance(got, bool) or not isinstance(got, int) or got < at_least:
        raise ValueError(
            f"{type(owner).__name__}.{name}={got!r} is not a whole number >= {at_least}"
        )
    if got > at_most:
        raise ValueError(f"{type(owner).__name__}.{name}={got} is more than {at_most}, the most")


def is_whole(word: str) -> bool:
    """Whether a word is a whole number that `int` reads; it reads neither 4301 digits nor a square
    sign, which `isdigit` takes.
    """
    return word.isascii() and word.isdigit() and len(word) <= 18


def check_choice(owner: object, name: str, choices: list[str]) -> None:
    """Refuses a field that holds none of the choices.

    Raises:
        ValueError: It does not.
    """
    got = getattr(owner, name)
    if got not in choices:
        raise ValueError(
            f"{type(owner).__name__}.{name}={got!r} is unknown; take one of {', '.join(choices)}"
        )


def check_interval(
    owner: object,
    name: str,
    value: float,
    *,
    low_open: bool = True,
    high: float = float("inf"),
) -> None:
    """Refuses a value that is not a number in (0, high), or [0, high) with low_open=False.

    Raises:
        ValueError: It is not; nan and inf never are.
    """
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if is_number and (0 < value < high or (value == 0 and not low_open)):
        return
    low = "(0" if low_open else "[0"
    raise ValueError(f"{type(owner).__name__}.{name}={value!r} is not a number in {low}, {high:g})")


def check_number(owner: object, name: str, value: float, *, at_least: float = 0.0) -> None:
    """Refuses a value that is not a finite number >= at_least.

    Raises:
        ValueError: It is not.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        problem = "is not a number"
    elif not at_least <= value < float("inf"):
        problem = f"is not a finite number >= {at_least:g}"
    else:
        return
    raise ValueError(f"{type(owner).__name__}.{name}={value!r} {problem}")


def place(key: str, typed: str) -> Path:
    """The absolute path that a key names, where a file or a directory can be made.

    Raises:
        ConfigError: It is empty, begins with the shell's ~, holds what cannot be shown, is too
            long, lies below a file, or where nothing may be written.
    """
    if not typed:
        raise ConfigError(f"{key} is empty; name a place for it, or leave {key} out")
    if not typed.isprintable():
        raise ConfigError(f"{key}={typed!r} holds what cannot be shown; name another place")
    if typed == "~" or typed.startswith("~/"):
        meant = os.path.expanduser(typed)
        raise ConfigError(f"{key}={typed} would be a directory named ~; write {key}={meant}")
    path = Path(typed).absolute()
    try:
        there = next(above for above in (path, *path.parents) if above.exists())
    except OSError as error:
        raise ConfigError(f"{key}={typed[:40]}... is no path: {error.strerror}") from error
    if there != path and not there.is_dir():
        raise ConfigError(f"{key}={typed} cannot be made: {there} is a file; name another place")
    if not os.access(there, os.W_OK):
        raise ConfigError(f"{key}={typed} cannot be written: {there} is read-only; name another")
    return path
