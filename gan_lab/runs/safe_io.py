"""Reads of a run directory, which may be a stranger's: bounded in size, and they never wait."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from gan_lab.errors import ConfigError

# Windows has neither pipes in folders nor, without O_BINARY, bytes as they are.
_READ = os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)


class NoFile(OSError):
    """The path is no file that a program should read: a pipe, a folder, too large."""


def open_regular(path: Path, limit: int) -> BinaryIO:
    """Open a file, or a link to one, of at most `limit` bytes; a reader of a pipe would wait.

    Raises:
        NoFile: It is no regular file, or larger.
        OSError: It cannot be opened.
    """
    descriptor = os.open(path, _READ)
    try:
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise NoFile(errno.EINVAL, "it is no file", str(path))
        if status.st_size > limit:
            raise NoFile(errno.EFBIG, f"it is longer than {limit} bytes", str(path))
        return os.fdopen(descriptor, "rb")
    except BaseException:
        os.close(descriptor)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """Read a file; see `open_regular`."""
    with open_regular(path, limit) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # a growing file too ends


def check_inside(path: Path) -> Path:
    """Return the run directory, unless a link in it leads out: writes would follow the link.

    Raises:
        ConfigError: There is such a link. The directory itself may well be one.
    """
    for folder, below, _ in os.walk(path):
        for link in (Path(folder, name) for name in below):
            if link.is_symlink() and not is_inside(link, path):
                raise ConfigError(
                    f"{link} leads out of its run, which writes nothing elsewhere. Put the folder "
                    "itself there, or move the whole run and leave a link to that"
                )
    return path


def is_inside(path: Path, home: Path) -> bool:
    """Return whether a path stays below a directory, with its links resolved."""
    try:
        return path.resolve().is_relative_to(home.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def printable(text: object) -> str:
    """Replace the characters that control a terminal by U+FFFD."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(text))
