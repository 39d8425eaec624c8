"""Arrays in .npy, .npz and .csv files: their headers, and their numbers; nothing is unpickled."""

import math
import os
import zipfile
from pathlib import Path
from typing import IO, NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray

from gan_lab.data.csv_files import read_csv
from gan_lab.data.free_memory import free_bytes
from gan_lab.data.validation import one_line, refuse
from gan_lab.errors import ConfigError

SUFFIXES = (".npy", ".npz", ".csv")


class Header(NamedTuple):
    """What a file says of an array before its numbers."""

    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]

    @property
    def n_bytes(self) -> int:
        """Size of the numbers in bytes."""
        return math.prod(self.shape) * self.dtype.itemsize


def check_file(path: Path, text: str) -> None:
    """Refuse a path that is no file, or one of an unknown suffix."""
    if not os.path.isfile(path):  # unlike is_file, False where a name is too long
        raise refuse("path", "an existing file", text, "/path/to/points.npy")
    if path.suffix.lower() not in SUFFIXES:
        raise refuse("path", "a .npy, .npz or .csv file", str(path), "/path/to/points.npy")


def read_headers(path: Path) -> dict[str, Header]:
    """Return the header of every array in a .npz, or of the one in a .npy under the name "".

    Raises:
        ConfigError: The file is damaged, or says that it has more numbers than it has.
    """
    try:
        if path.suffix.lower() == ".npy":
            with path.open("rb") as file:
                header = _read_header(file)
                n_bytes = path.stat().st_size - file.tell()
            _check_size(header, n_bytes, f"array {path}")
            return {"": header}
        headers = {}
        with zipfile.ZipFile(path) as archive:
            for info in archive.infolist():
                if not info.filename.endswith(".npy"):
                    continue
                name = info.filename.removesuffix(".npy")
                with archive.open(info) as member:
                    headers[name] = _read_header(member)
                    n_bytes = info.file_size - member.tell()
                _check_size(headers[name], n_bytes, f"array {path} ({name})")
        return headers
    except ConfigError:
        raise
    except Exception as error:  # as in `read_array`
        raise _unreadable(path, error) from error


def choose_name(path: Path, names: list[str], key: str | None) -> str:
    """Return the name of the array in a .npz that is meant.

    Raises:
        ConfigError: No such name, or several of which none is chosen.
    """
    if key is None and len(names) == 1:
        return names[0]
    if key not in names:
        must_be = f"one of the arrays in {path} ({', '.join(names) or 'there are none'})"
        raise refuse("key", must_be, key, names[0] if names else "null")
    return key


def read_array(path: Path, key: str | None) -> NDArray[np.generic]:
    """Return the array in a file.

    Raises:
        ConfigError: Damaged file, pickled objects, a key that does not fit, or more numbers than
            there is memory for.
    """
    suffix = path.suffix.lower()
    if key is not None and suffix != ".npz":
        raise refuse("key", f"null for a {path.suffix} file (only .npz has keys)", key, "null")
    try:
        if suffix == ".csv":
            return read_csv(path)
        headers = read_headers(path)
        name = "" if suffix == ".npy" else choose_name(path, list(headers), key)
        _check_memory(headers[name], f"array {path} ({name})" if name else f"array {path}")
        if suffix == ".npy":
            array = np.load(path, allow_pickle=False)  # refuses Python objects
        else:
            with np.load(path, allow_pickle=False) as archive:
                array = archive[name]
    except ConfigError:
        raise
    except Exception as error:  # by fuzzing: at least ten types, from zlib's to TokenError
        raise _unreadable(path, error) from error
    assert isinstance(array, np.ndarray)
    return array


def _read_header(file: IO[bytes]) -> Header:
    version = np.lib.format.read_magic(file)
    readers = {
        (1, 0): np.lib.format.read_array_header_1_0,
        (2, 0): np.lib.format.read_array_header_2_0,
    }
    if version not in readers:
        raise ValueError(f"format {version} of numpy is for named fields")
    shape, _, dtype = readers[version](file)
    if min(shape, default=0) < 0:
        raise ValueError(f"shape {shape}")
    return Header(shape, dtype)


def _check_size(header: Header, n_bytes: int, what: str) -> None:
    if header.n_bytes > n_bytes and not header.dtype.hasobject:
        raise ConfigError(
            f"{what} cannot be read: it says shape {header.shape} of {header.dtype}, which is "
            f"{header.n_bytes} bytes, but has {n_bytes}; write it again with numpy.save"
        )


def _check_memory(header: Header, what: str) -> None:
    free = free_bytes(torch.device("cpu"))
    if free is not None and header.n_bytes > free:
        raise ConfigError(
            f"{what} of shape {header.shape} is {header.n_bytes / 1e9:.3g} GB, of which "
            f"{free / 1e9:.3g} GB fit into the free memory; save fewer rows, or images as uint8"
        )


def _unreadable(path: Path, error: Exception) -> ConfigError:
    advice = "write it again with numpy.save, as numbers"
    if "pickle" in str(error) or "magic string" in str(error):
        problem = "holds Python objects or is no numpy file; they are never loaded:"
        return ConfigError(f"array {path} {problem} {advice}")
    return ConfigError(f"array {path} cannot be read ({one_line(error)}); {advice}")
