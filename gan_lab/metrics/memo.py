"""Intermediate results, such as points and distances, that the metrics of one draw share."""

import contextlib
import functools
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from typing import ParamSpec

import numpy as np

P = ParamSpec("P")

_MAX_NUMBERS = 1 << 20  # of one result that is kept: 8 MB
# By a function and the ids of its arguments, which are kept with the result: no other object may
# get their ids meanwhile.
_Results = dict[tuple[object, ...], tuple[tuple[object, ...], np.ndarray]]
_results: ContextVar[_Results | None] = ContextVar("results", default=None)


@contextlib.contextmanager
def memo() -> Iterator[None]:
    """Compute each memoized function once for the same objects within the block.

    Nothing may be written to them in between.
    """
    token = _results.set({})
    try:
        yield
    finally:
        _results.reset(token)


def memoize(function: Callable[P, np.ndarray]) -> Callable[P, np.ndarray]:
    """Decorate a function of arrays or tensors, whose result nobody may write to.

    Keyword arguments only word its errors: a result is that of the others.
    """

    @functools.wraps(function)
    def compute(*args: P.args, **kwargs: P.kwargs) -> np.ndarray:
        results = _results.get()
        if results is None:
            return function(*args, **kwargs)
        key = (function, *map(id, args))
        if key in results:
            return results[key][1]
        result = function(*args, **kwargs)
        if result.size <= _MAX_NUMBERS:
            results[key] = (args, result)
        return result

    return compute
