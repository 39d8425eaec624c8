"""Sets that are larger than the device: samples in host memory or on disk, read when drawn.

Tickets are those of a set on the device, from the same streams, so a training sees the same batches
wherever its data lie. `fetch` reads in a thread while the device computes; to a GPU the samples
travel as they lie (bytes), from pinned memory and on a stream of their own.

Files are read row by row and not mapped: a mapped file that shrinks, or whose network fails, kills
the process, and rows that were once touched count as memory of the process.
"""

import contextlib
import math
import os
import sys
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from gan_lab.data.base import FiniteSource, Part, TensorSource, to_float
from gan_lab.data.free_memory import free_bytes
from gan_lab.errors import ConfigError

STORAGES = ("auto", "device", "host", "disk")
_SHARE = 4  # a set stays elsewhere where it takes more than 1 / 4 of what is free

Convert = Callable[[NDArray[Any]], NDArray[Any]]


def choose_storage(storage: str, n_bytes: int, has_rows: bool, device: torch.device) -> str:
    """Return where a set is to lie: device, host or disk.

    Args:
        storage: One of STORAGES, as the user says.
        n_bytes: Size of the set, as it is kept.
        has_rows: Whether rows can be read from its file.
        device: Of the training; host memory is the device's where it is a CPU.
    """
    if storage != "auto":
        return "device" if storage == "host" and device.type == "cpu" else storage
    if has_rows and _SHARE * n_bytes > (free_bytes(torch.device("cpu")) or 1 << 62):
        return "disk"
    on_host = device.type == "cuda" and _SHARE * n_bytes > (free_bytes(device) or 1 << 62)
    return "host" if on_host else "device"


def open_parts(
    train: Tensor,
    validation: Tensor,
    held_out: Tensor,
    device: torch.device,
    storage: str = "auto",
    **labels: Tensor | None,
) -> FiniteSource:
    """Return the source of three parts in host memory, on the device or left where they are.

    Args:
        train, validation, held_out: Samples [n, *shape], all uint8 or all float32.
        device: Of the training.
        storage: See `choose_storage`; "disk" leaves them in host memory.
        labels: See `TensorSource`.
    """
    parts = (train, validation, held_out)
    n_bytes = sum(part.numel() * part.element_size() for part in parts)
    if device.type == "cpu" or choose_storage(storage, n_bytes, False, device) == "device":
        return TensorSource(train, validation, held_out, device, **labels)
    rows = [MemoryRows(part) for part in parts]
    source = HostSource(rows[0], rows[1], rows[2], device, **labels)
    source.notes = (describe_place("in host memory", n_bytes),)
    return source


def describe_place(place: str, n_bytes: int) -> str:
    """Return the note on a set that stays outside of the device."""
    return f"the samples stay {place} ({n_bytes / 1e6:,.0f} MB) and are read when they are drawn"


class Rows(ABC):
    """Samples that lie outside of the device.

    Attributes:
        shape: Shape of one sample.
        dtype: What `read_` gives: uint8 images, or float32.
    """

    shape: tuple[int, ...]
    dtype: torch.dtype

    @abstractmethod
    def __len__(self) -> int: ...

    @abstractmethod
    def read_(self, indices: NDArray[np.int64], out: Tensor) -> None:
        """Read rows into a tensor of the CPU, [len(indices), *shape] of `dtype`.

        Raises:
            OSError: They cannot be read.
        """


class MemoryRows(Rows):
    """Rows of a tensor in host memory, uint8 or float32."""

    def __init__(self, samples: Tensor) -> None:
        self.shape, self.dtype = tuple(samples.shape[1:]), samples.dtype
        self._samples = samples.contiguous().numpy()

    def __len__(self) -> int:
        return len(self._samples)

    def read_(self, indices: NDArray[np.int64], out: Tensor) -> None:
        """See `Rows.read_`."""
        # clip: the default checks in a copy; tickets are in range.
        np.take(self._samples, indices, axis=0, out=out.numpy(), mode="clip")


class SomeRows(Rows):
    """Some rows of others, in an order of their own."""

    def __init__(self, rows: Rows, indices: Tensor) -> None:
        self.shape, self.dtype = rows.shape, rows.dtype
        self._rows, self._indices = rows, indices.numpy()

    def __len__(self) -> int:
        return len(self._indices)

    def read_(self, indices: NDArray[np.int64], out: Tensor) -> None:
        """See `Rows.read_`."""
        self._rows.read_(self._indices[indices], out)


class NpyFile:
    """A .npy file whose rows are read when they are asked for; it stays open.

    A file that is replaced while it is open goes on being read as it was. One that is cut, or
    written into, is an error at the next read.

    Attributes:
        path: The file.
        row_shape: Shape of a row.
        dtype: Type of its numbers, in the file's order of bytes.
    """

    def __init__(self, path: Path) -> None:
        """Open a file.

        Raises:
            ConfigError: Its rows do not lie one after the other.
            ValueError, OSError: It is no whole .npy file of numbers.
        """
        header: Any = np.load(path, mmap_mode="r", allow_pickle=False)
        if not isinstance(header, np.memmap) or header.ndim < 1:
            raise ValueError(f"{path} is not one array of rows")
        if not header.flags.c_contiguous:
            raise ConfigError(
                f"array {path} lies in Fortran order, of which no row can be read alone; save "
                "numpy.ascontiguousarray(array), or set data.storage=device"
            )
        self.path, self.row_shape, self.dtype = path, header.shape[1:], header.dtype
        self._n, self._start = len(header), int(header.offset)
        del header
        self.row_bytes = self.dtype.itemsize * math.prod(self.row_shape)
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115 (as long as the source lives)
        self._lock = threading.Lock()
        self._state = self._stat()
        # Else the system reads 32 pages for every row.
        if sys.platform == "linux" and hasattr(os, "posix_fadvise"):
            with contextlib.suppress(OSError):
                os.posix_fadvise(self._file.fileno(), 0, 0, os.POSIX_FADV_RANDOM)

    def __len__(self) -> int:
        return self._n

    def rows(self, indices: NDArray[np.int64]) -> NDArray[Any]:
        """Return rows by their indices, [n, *row_shape].

        Raises:
            OSError: The file is shorter than it was, has been written into, or cannot be read.
        """
        rows = np.empty((len(indices), *self.row_shape), self.dtype)
        view, size = rows.reshape(-1).view(np.uint8).data, self.row_bytes
        for i, index in enumerate(indices.tolist()):
            self._fill(view[i * size : (i + 1) * size], self._start + index * size)
        self._check_unchanged()
        return rows

    def block(self, start: int, stop: int) -> NDArray[Any]:
        """Return the rows from start to before stop; errors as in `rows`."""
        rows = np.empty((stop - start, *self.row_shape), self.dtype)
        self._fill(rows.reshape(-1).view(np.uint8).data, self._start + start * self.row_bytes)
        self._check_unchanged()
        return rows

    def _check_unchanged(self) -> None:
        if self._stat() != self._state:
            raise OSError(f"array {self.path} was changed while it was in use; {_ADVICE}")

    def _fill(self, view: memoryview, offset: int) -> None:
        while view:
            try:
                n_bytes = self._read_some(view, offset)
            except OSError as error:  # of a network or a disk; it names no file
                why = error.strerror or error
                raise OSError(f"array {self.path} cannot be read ({why}); {_ADVICE}") from error
            if not n_bytes:
                raise OSError(f"array {self.path} is shorter than it was; {_ADVICE}")
            view, offset = view[n_bytes:], offset + n_bytes

    def _read_some(self, view: memoryview, offset: int) -> int:
        if hasattr(os, "preadv"):
            return os.preadv(self._file.fileno(), [view], offset)
        with self._lock:  # Windows has no reading at an offset
            self._file.seek(offset)
            return self._file.readinto(view) or 0

    def _stat(self) -> tuple[int, int]:
        stat = os.fstat(self._file.fileno())
        return stat.st_size, stat.st_mtime_ns


class NpyRows(Rows):
    """Rows of a .npy file as samples."""

    def __init__(self, file: NpyFile, convert: Convert | None = None) -> None:
        """Take a file and what makes samples of its rows.

        Args:
            file: The file.
            convert: Rows [n, ...] as they are in the file -> samples, uint8 or float32; None where
                they are those already.
        """
        self._file, self._convert = file, convert
        first = self._samples(np.zeros(1, np.int64))
        self.shape, self.dtype = tuple(first.shape[1:]), first.dtype

    def __len__(self) -> int:
        return len(self._file)

    def read_(self, indices: NDArray[np.int64], out: Tensor) -> None:
        """See `Rows.read_`."""
        out.copy_(self._samples(indices))

    def _samples(self, indices: NDArray[np.int64]) -> Tensor:
        rows = self._file.rows(indices)
        return torch.from_numpy(rows if self._convert is None else self._convert(rows))


_ADVICE = "put it back and resume, and let nothing write to it during a training"


class HostSource(FiniteSource):
    """A finite set whose samples stay outside of the device; its labels are on it."""

    def __init__(
        self,
        train: Rows,
        validation: Rows,
        held_out: Rows,
        device: torch.device,
        *,
        train_labels: Tensor | None = None,
        validation_labels: Tensor | None = None,
        held_out_labels: Tensor | None = None,
    ) -> None:
        """Take the rows of each part, of one shape, all float32 or all uint8."""
        rows: dict[Part, Rows]
        rows = {"train": train, "validation": validation, "held_out": held_out}
        super().__init__(rows, (train_labels, validation_labels, held_out_labels), device)
        self.shape, self._rows = train.shape, rows
        self._dtype = train.dtype
        self._on_gpu = device.type == "cuda"
        self._thread: ThreadPoolExecutor | None = None
        self._stream: torch.cuda.Stream | None = None

    @property
    def sample_bytes(self) -> int:
        """Bytes of one sample as `fetch` moves it."""
        return torch.Size(self.shape).numel() * self._dtype.itemsize

    def take(self, part: Part, indices: Tensor) -> Tensor:
        """See `FiniteSource.take`; it waits for the samples."""
        return to_float(self._read(part, indices))

    def raw(self, part: Part, indices: Tensor) -> Tensor:
        """See `FiniteSource.raw`; they stay on the CPU."""
        samples = torch.empty((len(indices), *self.shape), dtype=self._dtype)
        self._rows[part].read_(indices.cpu().numpy(), samples)
        return samples

    def fetch(self, draw: Callable[[], Tensor]) -> "Fetch":
        """Start to read training samples in a thread.

        Args:
            draw: Gives their tickets, [*lead]. It is called in the thread and, on a GPU, on the
                stream of the copies, so that it waits for no training step.
        """
        if self._thread is None:
            self._thread = ThreadPoolExecutor(1, thread_name_prefix="samples")
        return Fetch(self._thread.submit(self._load, draw), self.device)

    def _load(self, draw: Callable[[], Tensor]) -> tuple[Tensor, "torch.cuda.Event | None"]:
        if not self._on_gpu:
            return self._read("train", draw()), None
        if self._stream is None:
            self._stream = torch.cuda.Stream(self.device)
        with torch.cuda.stream(self._stream):
            samples = self._read("train", draw())
            event = torch.cuda.Event()
            event.record(self._stream)
        return samples, event

    def _read(self, part: Part, indices: Tensor) -> Tensor:
        """Return samples on the device as they lie, uint8 or float32: [*lead, *shape]."""
        numbers = indices.reshape(-1).cpu().numpy()
        shape = (len(numbers), *self.shape)
        samples = torch.empty(shape, dtype=self._dtype, pin_memory=self._on_gpu)
        self._rows[part].read_(numbers, samples)
        # torch keeps pinned memory from other uses until the copy out of it is done.
        samples = samples.to(self.device, non_blocking=self._on_gpu)
        return samples.reshape(*indices.shape, *self.shape)


class Fetch:
    """Samples that a thread is reading, see `HostSource.fetch`."""

    def __init__(
        self, future: "Future[tuple[Tensor, torch.cuda.Event | None]]", device: torch.device
    ) -> None:
        self._future, self._device = future, device

    def result(self) -> Tensor:
        """Return the samples on the device, uint8 or float32, for the current stream.

        It waits for the thread; the device waits for the copy, the host does not.

        Raises:
            OSError: They cannot be read.
        """
        samples, event = self._future.result()
        if event is not None:
            stream = torch.cuda.current_stream(self._device)
            stream.wait_event(event)
            samples.record_stream(stream)  # else the thread's next chunk might take its memory
        return samples
