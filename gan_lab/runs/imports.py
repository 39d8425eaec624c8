"""Imports by dotted names, as in a `_target_`."""

import contextlib
import importlib
import os
import sys
from typing import Any


def import_object(name: str) -> Any:
    """Import the object of a dotted name; the code of its module is run.

    A module outside of gan_lab is searched in the working directory too, after the path.

    Raises:
        ImportError, AttributeError, ValueError, TypeError: There is no such object.
    """
    module, _, member = name.rpartition(".")
    if module.partition(".")[0] != "gan_lab":
        with contextlib.suppress(OSError):  # it was removed
            if not {"", here := os.getcwd()} & set(sys.path):
                sys.path.append(here)
    return getattr(importlib.import_module(module), member)
