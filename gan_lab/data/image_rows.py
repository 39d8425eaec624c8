"""Images in a .npy file that stays on disk: what is found of them without loading them."""

from collections.abc import Sequence
from typing import Any, overload

import numpy as np
import torch
from numpy.typing import NDArray

from gan_lab.data.host import NpyFile, NpyRows
from gan_lab.data.image_format import ImageFormat, find_format
from gan_lab.data.resize import resize
from gan_lab.errors import ConfigError

_BLOCK_BYTES = 1 << 26
_MIN_SAMPLE_ROWS, _SAMPLE_ROWS = 20, 512  # at every second row 10 are left of the smaller


def sample_rows(file: NpyFile) -> NDArray[Any]:
    """Return some rows spread evenly over a file, the first among them; fewer if they are large."""
    n = max(_MIN_SAMPLE_ROWS, min(_SAMPLE_ROWS, _BLOCK_BYTES // max(1, file.row_bytes)))
    return file.rows(np.arange(0, len(file), max(1, -(-len(file) // n))))


def find_format_on_disk(
    file: NpyFile,
    sample: NDArray[Any],
    layout: str | None,
    value_range: tuple[float, float] | None,
    what: str,
) -> ImageFormat:
    """Return what `find_format` returns of all rows.

    Of bytes a sample decides, since none is beyond 0 to 255. Other numbers are read once or more,
    in blocks: only all of them show a range.

    Raises:
        ConfigError: See `find_format`; or a number is not finite.
    """
    is_decided = value_range == (0, 255) or (value_range is None and sample.max() > 1)
    arrays = [sample] if sample.dtype == np.uint8 and is_decided else _Blocks(file, what)
    return find_format(arrays, layout, value_range, what)


def image_rows(file: NpyFile, form: ImageFormat, size: int | None) -> NpyRows:
    """Return the rows of a file as images [C, H, W], of another size if one is given."""

    def convert(rows: NDArray[Any]) -> NDArray[Any]:
        images = torch.from_numpy(form.convert(rows))
        return (images if size is None else resize(images, size)).numpy()

    return NpyRows(file, convert)


class _Blocks(Sequence[NDArray[Any]]):
    """All rows of a file in blocks, each read when it is asked for and checked to be finite."""

    def __init__(self, file: NpyFile, what: str) -> None:
        self._file, self._what = file, what
        self._n_rows = max(1, _BLOCK_BYTES // max(1, file.row_bytes))

    def __len__(self) -> int:
        return -(-len(self._file) // self._n_rows)

    @overload
    def __getitem__(self, index: int) -> NDArray[Any]: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[NDArray[Any]]: ...
    def __getitem__(self, index: int | slice) -> NDArray[Any] | Sequence[NDArray[Any]]:
        if isinstance(index, slice):
            return [self[i] for i in range(*index.indices(len(self)))]
        if not 0 <= index < len(self):
            raise IndexError(index)
        start = index * self._n_rows
        block = self._file.block(start, min(start + self._n_rows, len(self._file)))
        if block.dtype.kind == "f":
            bad = ~np.isfinite(block).all(tuple(range(1, block.ndim)))
            if bad.any():
                raise ConfigError(
                    f"{self._what} has numbers that are not finite in row "
                    f"{start + int(bad.argmax())}; drop those images or fill the pixels"
                )
        return block
