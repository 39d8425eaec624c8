"""Checks of constructor arguments that raise a ConfigError.

It says what was wrong, what was got and what to do.
"""

import math
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from gan_lab.errors import ConfigError

_SMALL = 1e-12  # float32 holds its square, and that of its inverse


def refuse(key: str, must_be: str, value: object, example: object) -> ConfigError:
    """Return the error of one argument: "data.std must be ..., got ...; set e.g. data.std=..."."""
    return ConfigError(
        f"data.{key} must be {must_be}, got {value!r}; set e.g. data.{key}={example}"
    )


def check_number(key: str, value: object, example: float, above: float = -math.inf) -> None:
    """Refuse what is not a finite number above a bound, or is not 0 nor of a size 1e-12 to 1e12.

    float32 has to hold its square and what is made of it.
    """
    if not _finite(value) or value <= above:  # type: ignore[operator]
        bound = "" if above == -math.inf else f" above {above:g}"
        raise refuse(key, f"a finite number{bound}", value, example)
    if value and not _SMALL <= abs(value) <= 1 / _SMALL:  # type: ignore[arg-type]
        raise refuse(key, f"of a size from {_SMALL:g} to {1 / _SMALL:g}", value, example)


def _finite(value: object) -> bool:
    """Return whether it is a number, and one that float64 can hold."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    try:
        return math.isfinite(value)
    except OverflowError:  # a whole number beyond 1e308
        return False


def check_whole(
    key: str, value: object, example: int, at_least: int, at_most: int = 2**63 - 1
) -> None:
    """Refuse what is not a whole number from one bound to another."""
    if not isinstance(value, int) or isinstance(value, bool) or value < at_least:
        raise refuse(key, f"a whole number of at least {at_least}", value, example)
    if value > at_most:
        raise refuse(key, f"at most {at_most}", value, example)


def check_folder(key: str, value: str, example: str) -> None:
    """Refuse an empty name, which pathlib takes for the working directory."""
    if not value:
        raise refuse(key, "the name of a folder (the working directory is .)", value, example)


def check_split(n_validation: object, split_seed: object) -> None:
    """Refuse an n_validation that is neither null nor above 0, and a negative split_seed."""
    if n_validation is not None:
        check_whole("n_validation", n_validation, 256, at_least=1)
    check_whole("split_seed", split_seed, 0, at_least=0)


def check_share(key: str, value: object, example: float = 0.1) -> None:
    """Refuse what is not a number strictly between 0 and 1."""
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    if not is_number or not 0 < value < 1:  # type: ignore[operator]
        raise refuse(key, "a number between 0 and 1, both excluded", value, example)


def check_one_of(key: str, value: object, choices: Sequence[object]) -> None:
    """Refuse what is not one of a few choices (type included: 1 is not True)."""
    if not any(type(value) is type(choice) and value == choice for choice in choices):
        raise refuse(key, "one of " + ", ".join(map(str, choices)), value, choices[0])


def check_numbers(key: str, values: object, example: str) -> tuple[float, ...]:
    """Return a list of one or more finite numbers as a tuple of floats; refuse anything else."""
    if isinstance(values, str) or not isinstance(values, Iterable):
        raise refuse(key, "a list of numbers", values, example)
    items = tuple(values)
    if not items or not all(map(_finite, items)):
        raise refuse(key, "a list of one or more finite numbers", list(items), example)
    for value in items:
        check_number(key, value, value)
    return tuple(float(v) for v in items)


class Split(NamedTuple):
    """Indices of the three parts of a set: to train on, to choose with, to report on."""

    train: Tensor
    validation: Tensor
    held_out: Tensor


def n_validation_of(n_validation: int | None, n_rest: int, limit: int = 1000) -> int:
    """Return the size of the validation part: the user's, or a fifth of the rest, at most `limit`.

    The evaluator needs no more, and every one is lost to training.
    """
    return max(1, min(limit, n_rest // 5)) if n_validation is None else n_validation


def split(n: int, n_held_out: int, n_validation: int, seed: int, what: str) -> Split:
    """Return a fixed random split, the same for every training seed.

    The held-out part does not depend on n_validation: what was reported stays comparable.

    Args:
        n: How many samples there are.
        n_held_out: How many of them are held out to report on; neither none nor all.
        n_validation: How many of the others are there to choose with, not all; 0 = none.
        seed: Seed of the split alone.
        what: The data set, for the ConfigError.
    """
    _check_parts(n, n_held_out, n_validation, what)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    return _parts(order, n_held_out, n_validation)


def stratified_split(
    labels: Tensor, n_held_out: int, n_validation: int, seed: int, what: str
) -> Split:
    """Return a fixed random split of which every part has each class in the same share.

    As far as whole numbers allow: a part has at most one of a class more or less than its share.

    Args:
        labels: Class of each sample, [n], int64 >= 0.
        n_held_out, n_validation, seed, what: As of `split`.
    """
    n = len(labels)
    _check_parts(n, n_held_out, n_validation, what)
    order = torch.randperm(n, generator=torch.Generator().manual_seed(seed))
    # A sample's rank in its class, as a share of the class: in this order classes alternate.
    by_class = labels[order].argsort(stable=True)
    counts = torch.bincount(labels)
    first = counts.cumsum(0) - counts
    classes = labels[order][by_class]
    rank = (torch.arange(n) - first[classes]).double()
    share = torch.empty(n, dtype=torch.float64)
    share[by_class] = (rank + 0.5) / counts[classes]
    return _parts(order[share.argsort(stable=True)], n_held_out, n_validation)


def _check_parts(n: int, n_held_out: int, n_validation: int, what: str) -> None:
    if not 0 < n_held_out < n:
        raise ConfigError(
            f"{what} has {n} samples, of which {n_held_out} would be held out; at least 1 must be "
            "held out and at least 1 remain to train on: change data.n_held_out or "
            "data.held_out_share, or give more samples"
        )
    n_rest = n - n_held_out
    if not 0 <= n_validation < n_rest:
        raise ConfigError(
            f"{what} has {n_rest} samples that are not held out, of which {n_validation} would be "
            f"for validation; at least 1 must remain to train on: set e.g. "
            f"data.n_validation={max(1, n_rest // 5)}"
        )


def _parts(order: Tensor, n_held_out: int, n_validation: int) -> Split:
    n_train = len(order) - n_held_out - n_validation
    held_out, validation, train = order.split([n_held_out, n_validation, n_train])
    return Split(train, validation, held_out)


def one_line(error: BaseException) -> str:
    """Return an error's type and the first line of its message."""
    text = str(error).strip()
    return type(error).__name__ + (f": {text.splitlines()[0]}" if text else "")
