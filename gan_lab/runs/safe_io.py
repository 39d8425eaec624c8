"""Reading what a run directory holds, which may be a stranger's: bounded, and it never waits."""

import errno
import os
import stat
from pathlib import Path
from typing import BinaryIO

from gan_lab.errors import ConfigError


class NoFile(OSError):
    """What has a file's name is none that a program should read: a pipe, a folder, too large."""


def open_regular(path: Path, limit: int) -> BinaryIO:
    """A file, opened; of a pipe a reader would wait for ever.

    Args:
        path: The file, or a link to one.
        most: Bytes that it may have.

    Raises:
        NoFile: It is no regular file, or larger.
        OSError: It cannot be opened.
    """
    opened = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    try:
        found = os.fstat(opened)
        if not stat.S_ISREG(found.st_mode):
            raise NoFile(errno.EINVAL, "it is no file", str(path))
        if found.st_size > limit:
            raise NoFile(errno.EFBIG, f"it is longer than {limit} bytes", str(path))
        return os.fdopen(opened, "rb")
    except BaseException:
        os.close(opened)
        raise


def read_regular(path: Path, limit: int) -> bytes:
    """The content of a file.

    Args:
        path: The file, or a link to one.
        most: Bytes that it may have.

    Raises:
        NoFile: It is no regular file, or larger.
        OSError: It cannot be read.
    """
    with open_regular(path, limit) as file:
        return file.read(os.fstat(file.fileno()).st_size)  # not what is added to it meanwhile


def check_inside(path: Path) -> Path:
    """The run directory, unless a link in it leads out of it: what is written there would follow.

    Raises:
        ConfigError: There is such a link. The directory itself may well be one.
    """
    for folder, below, _ in os.walk(path):
        for link in (Path(folder, name) for name in below):
            if link.is_symlink() and not inside(link, path):
                raise ConfigError(
                    f"{link} leads out of its run, which writes nothing elsewhere. Put the folder "
                    "itself there, or move the whole run and leave a link to that"
                )
    return path


def inside(path: Path, home: Path) -> bool:
    """Whether a path stays below a directory, wherever its links lead."""
    try:
        return path.resolve().is_relative_to(home.resolve())
    except (OSError, RuntimeError):  # links in a circle
        return False


def printable(text: object) -> str:
    """Text without what drives a terminal: each such character becomes U+FFFD."""
    return "".join(c if c.isprintable() or c in "\n\t" else "\ufffd" for c in str(text))
