"""Classes by their dotted names, as a `_target_` has them."""

import contextlib
import importlib
import os
import sys
from typing import Any


def import_object(name: str) -> Any:
    """What a dotted name names; its module is imported, and so its code is run.

    A module outside of gan_lab is looked for in the working directory too, after all other places.

    Raises:
        ImportError, AttributeError, ValueError, TypeError: There is no such thing.
    """
    module, _, last = name.rpartition(".")
    if module.partition(".")[0] != "gan_lab":
        with contextlib.suppress(OSError):  # it was removed
            if not {"", here := os.getcwd()} & set(sys.path):
                sys.path.append(here)
    return getattr(importlib.import_module(module), last)
