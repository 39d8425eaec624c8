"""Arrays of bytes in the idx format of MNIST's authors, packed with gzip or not."""

import gzip
import struct
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

_BYTES = 8  # the format's number for uint8


def find_idx(folder: Path, name: str) -> Path | None:
    """Return a file of that name, or its .gz, in a folder; None where there is neither."""
    files = (folder / name, folder / f"{name}.gz")
    return next((file for file in files if file.is_file()), None)


def read_idx(path: Path, rank: int) -> NDArray[np.uint8]:
    """Read an array of bytes of a rank: images have 3, labels 1.

    Raises:
        ValueError, OSError, EOFError, zlib.error: It is no such file, or cut.
    """
    data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    start = 4 + 4 * rank
    if data[:4] != bytes((0, 0, _BYTES, rank)) or len(data) < start:
        raise ValueError(f"{path.name} is no idx file of bytes of rank {rank}")
    shape = struct.unpack(f">{rank}I", data[4:start])
    return np.frombuffer(data, np.uint8, offset=start).reshape(shape)
