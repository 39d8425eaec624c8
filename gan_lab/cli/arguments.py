"""The one parser of commands that are not Hydra's: a dataclass whose fields are the keys.

A field's annotation gives its type, its metadata the meaning and the bounds; `help` prints them and
`completion` offers them. Nothing heavy is imported.
"""

import dataclasses
import os
import re
import types
import typing
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NoReturn, TypeVar

from gan_lab.config.suggestions import suggestion
from gan_lab.errors import ConfigError
from gan_lab.validation import output_path

T = TypeVar("T")
Field = dataclasses.Field[Any]


def key(
    default: Any,
    about: str,
    *,
    display: str = "",
    words: Sequence[str] = (),
    pattern: str = "",
    at_least: int = 0,
    at_most: int | None = None,
) -> Any:
    """Declare a key of a command; `...` as its default means that it has to be typed.

    Beside its type it takes `words`, and in silence what matches `pattern`; a whole number lies
    between at_least and at_most. Help prints `display` in place of the default.
    """
    metadata: dict[str, Any] = {"about": about, "display": display, "words": words}
    metadata |= {"pattern": pattern, "at_least": at_least, "at_most": at_most}
    default = dataclasses.MISSING if default is ... else default
    return dataclasses.field(default=default, metadata=metadata)


def positional(
    display: str, about: str, *, what: str = "", at_least: int = 1, at_most: int = 0
) -> Any:
    """Declare the words without `=`; at_most=0 sets no bound, and one word is no tuple."""
    metadata: dict[str, Any] = {"positional": display, "about": about, "what": what}
    metadata |= {"at_least": at_least, "at_most": at_most}
    return dataclasses.field(default=None if at_most == 1 else (), metadata=metadata)


def keys_of(command: type) -> dict[str, Field]:
    """Return key -> field of a command, with the keys as they are typed.

    Two underscores of a field's name stand for a dot: `trainer__on_divergence` is the key
    trainer.on_divergence. One at its end keeps it from being a word of Python: `class_` is class.
    """
    fields = (each for each in dataclasses.fields(command) if "positional" not in each.metadata)
    return {each.name.removesuffix("_").replace("__", "."): each for each in fields}


def positional_of(command: type) -> Field | None:
    """Return the field of the words without `=`, if the command takes any."""
    fields = dataclasses.fields(command)
    return next((each for each in fields if "positional" in each.metadata), None)


def name_of(command: type) -> str:
    """Return how a command is called: `Selfcheck` is selfcheck."""
    return command.__name__.lower()


def usage(command: type) -> str:
    """Return the line that calls a command."""
    words = positional_of(command)
    middle = f" {words.metadata['positional']}" if words else ""
    return f"python -m gan_lab {name_of(command)}{middle} [key=value ...]"


def parse_options(command: type[T], words: Sequence[str]) -> T:
    """Return what was typed for a command.

    Raises:
        ConfigError: A flag, an unknown, repeated, missing or empty key, a value of another kind, or
            too few, too many or wrong words without `=`.
    """
    fields, name = keys_of(command), name_of(command)
    values: dict[str, Any] = {}
    rest = []
    directories = _directories_like_keys(command, words)
    for word, after in zip(words, [*words[1:], ""], strict=False):
        key, sign, text = word.partition("=")
        if word in directories:
            rest.append(word)
        elif sign and key in fields:
            if fields[key].name in values:
                raise ConfigError(f"{key} is given twice; give it once")
            values[fields[key].name] = _value(key, text.strip(), fields[key])
        elif word.startswith("-"):
            refuse_flag(word, name, fields, after)
        elif sign and not os.path.exists(word):
            raise ConfigError(f"unknown key '{key}'{suggestion(key, fields)}")
        else:
            rest.append(word)
    field_of_words = positional_of(command)
    if field_of_words is not None:
        values[field_of_words.name] = _words(command, field_of_words, rest)
    elif rest:
        raise ConfigError(f"{name} takes key=value, got '{rest[0]}'; see {name} --help")
    for key, field in fields.items():
        if field.default is dataclasses.MISSING and field.name not in values:
            raise ConfigError(f"{key} is missing; say `{examples_of(command)[0]}`")
    return command(**values)


def _directories_like_keys(command: type, words: Sequence[str]) -> list[str]:
    """Return the words that are directories although they look like a key=value of the command.

    They are directories only if the command would have none without them: `sample step=3` takes the
    run directory `step=3` if there is one, and `sample run step=3` step 3 of `run`.
    """
    fields, field = keys_of(command), positional_of(command)
    if field is None or "DIR" not in field.metadata["positional"] or not field.metadata["at_least"]:
        return []
    if any(word.partition("=")[0] not in fields or "=" not in word for word in words):
        return []
    return [word for word in words if os.path.isdir(word)]


def take_flag(command: type, name: str, words: Sequence[str]) -> tuple[bool, list[str]]:
    """Return a key that is true or false of a command that leaves the others to Hydra, and those.

    Raises:
        ConfigError: It is given twice, or is neither true nor false.
    """
    own = [word for word in words if word.startswith(f"{name}=")]
    if len(own) > 1:
        raise ConfigError(f"{name} is given twice; give it once")
    field = keys_of(command)[name]
    value = _value(name, own[0].partition("=")[2].strip(), field) if own else field.default
    return bool(value), [word for word in words if word not in own]


def run_and_keys(command: type, words: Sequence[str]) -> tuple[Path, list[str]]:
    """Return the run directory and the key=value words of a command that leaves the keys to Hydra.

    Raises:
        ConfigError: A flag, no directory or several, or one that is no directory.
    """
    for word, after in zip(words, [*words[1:], ""], strict=False):
        if word.startswith("-"):
            refuse_flag(word, name_of(command), keys_of(command), after)
    rest = [word for word in words if "=" not in word or os.path.exists(word)]
    field = positional_of(command)
    assert field is not None
    return _words(command, field, rest), [word for word in words if word not in rest]


def examples_of(command: type) -> list[str]:
    """Return the lines of a command's docstring that work as pasted."""
    lines = [line.strip() for line in (command.__doc__ or "").splitlines()[1:]]
    return [line for line in lines if "-m gan_lab " in line]


def refuse_flag(word: str, command: str, keys: Iterable[str], after: str = "") -> NoReturn:
    """Refuse a flag, and say the key=value that was meant where its name is a key.

    Args:
        word: What begins with a dash: --n or --n=3.
        command: The command's name.
        keys: The keys that it takes.
        after: The next word of the command line, which is the value in `--n 3`.
    """
    key, _, value = word.lstrip("-").partition("=")
    key = key.replace("-", "_")
    value = value or ("" if after.startswith("-") or "=" in after else after)
    hint = f"; keys have no dashes: say {key}={value or '...'}" if key in keys else ""
    raise ConfigError(f"{command} takes no '{word}'{hint}; see {command} --help")


def directory(key: str, text: str) -> Path:
    """Return the absolute path of a directory to write to; refuse where none can be made."""
    path = output_path(key, text)
    if path.is_file():
        raise ConfigError(f"{key}={text} cannot be made: it is a file; name another place")
    return path


def check_directories(paths: Iterable[Path]) -> None:
    """Refuse a path that is no directory."""
    for path in paths:
        if not os.path.isdir(path):  # also one that is too long for a name
            raise ConfigError(f"{path} is no directory; give the directory of a run")


def _words(command: type, field: Field, words: Sequence[str]) -> Any:
    """Return the words without `=`, as the field's type: paths are directories that exist."""
    limits, one = field.metadata, field.metadata["at_most"] == 1
    if len(words) < limits["at_least"] or (one and len(words) > 1):
        what = limits["what"] or "run directory"
        what = f"one {what}" if one else re.sub(r"y$", "ie", what) + "s"
        name = name_of(command)
        raise ConfigError(f"{name} takes {what}, got {len(words)}: say `{usage(command)}`")
    values: Sequence[Any] = words
    if Path in _kinds(field):
        values = [Path(word) for word in words]
        check_directories(values)
    return (values[0] if values else None) if one else tuple(values)


def _value(name: str, text: str, field: Field) -> Any:
    """Return a key's value as its field's type; refuse one of another kind."""
    kinds, limits = _kinds(field), field.metadata
    if not text:
        raise ConfigError(f"{name}= has no value; give one, or leave {name} out")
    if text == "null" and types.NoneType in kinds:
        return None
    words, pattern = limits["words"], limits["pattern"]
    if text in words or (pattern and re.fullmatch(pattern, text)):
        return text
    short = text if len(text) <= 40 else f"{text[:40]}..."
    if bool in kinds:
        if text.lower() not in ("true", "false"):
            raise ConfigError(f"{name}={short} is neither true nor false")
        return text.lower() == "true"
    if int in kinds:
        least, limit = limits["at_least"], limits["at_most"]
        # int() reads neither 4301 digits nor a square sign, which isdigit takes.
        if not re.fullmatch(r"[0-9]{1,4000}", text) or int(text) < least:
            problem = f"a whole number >= {least}"
            problem = f"neither {' nor '.join([problem, *words])}" if words else f"not {problem}"
            raise ConfigError(f"{name}={short} is {problem}")
        if limit is not None and int(text) > limit:
            raise ConfigError(f"{name}={short} is more than {limit}, the most")
        return int(text)
    if words:
        raise ConfigError(f"{name}={short} is unknown; take one of {', '.join(words)}")
    return text


def _kinds(field: Field) -> tuple[Any, ...]:
    return typing.get_args(field.type) or (field.type,)
