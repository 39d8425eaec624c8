"""How an array holds images: its axes, and the values of black and white."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gan_lab.data.validation import refuse
from gan_lab.errors import ConfigError

LAYOUTS = ("NHW", "NHWC", "NCHW")
_MAX_CHANNELS = 4


class ImageFormat(NamedTuple):
    """How rows of an array become images.

    Attributes:
        layout: The axes, one of NHW, NHWC, NCHW.
        black, white: The values that become -1 and 1.
        as_bytes: Whether images are kept as uint8, which 256 values are enough for.
    """

    layout: str
    black: float
    white: float
    as_bytes: bool

    def convert(self, array: NDArray[np.generic]) -> NDArray[np.generic]:
        """Return images [n, C, H, W], uint8 or float32 in [-1, 1], of some rows of the array."""
        if self.layout == "NHW":
            array = array[:, None]
        elif self.layout == "NHWC":
            array = np.moveaxis(array, 3, 1)
        if array.dtype == np.uint8 and (self.black, self.white) == (0, 255):
            return np.ascontiguousarray(array)
        numbers = np.ascontiguousarray(array, dtype=np.float32)
        if (self.black, self.white) == (-1, 1) and not self.as_bytes:
            return numbers  # bit for bit
        share = _share(numbers, self.black, self.white)
        if self.as_bytes:
            return np.rint(share * 255).astype(np.uint8)
        return share * 2 - 1


def find_format(
    arrays: Sequence[NDArray[np.generic]],
    layout: str | None,
    value_range: tuple[float, float] | None,
    what: str,
) -> ImageFormat:
    """Return the format of images, by the axes and values of all parts of a set.

    Args:
        arrays: The parts, at least one image each, finite.
        layout, value_range: As the user says; None = found.
        what: The data set, in messages.

    Raises:
        ConfigError: It is none, or may be read in two ways; or a value is outside of the range.
    """
    shape = arrays[0].shape
    if layout is not None and len(layout) != len(shape):
        layouts = "NHW" if len(shape) == 3 else "NHWC or NCHW"
        raise refuse("layout", f"null or {layouts} for shape {shape}", layout, "null")
    layout = layout or find_layout(shape, what)
    low = min(float(array.min()) for array in arrays)
    high = max(float(array.max()) for array in arrays)
    black, white = value_range or find_range(arrays[0].dtype, low, high, what)
    if low < black or high > white:
        must_be = f"a range of all values, which go from {low:g} to {high:g}"
        raise refuse("value_range", must_be, [black, white], f"[{low:g},{high:g}]")
    as_bytes = (black, white) != (-1, 1) and all(
        _is_of_bytes(array, black, white) for array in arrays
    )
    return ImageFormat(layout, black, white, as_bytes)


def _is_of_bytes(array: NDArray[np.generic], black: float, white: float) -> bool:
    """Return whether values are, but for rounding, 256 equally spaced ones."""
    if array.dtype == np.uint8 and (black, white) == (0, 255):
        return True
    for block in np.array_split(array, max(1, array.nbytes >> 26)):
        share = _share(block.astype(np.float32), black, white) * 255
        if np.abs(share - np.rint(share)).max(initial=0) > 1e-3:
            return False
    return True


def _share(numbers: NDArray[np.float32], black: float, white: float) -> NDArray[np.float32]:
    """Return values as shares of white: black is 0, white 1."""
    return (numbers - np.float32(black)) / np.float32(white - black)


def find_layout(shape: tuple[int, ...], what: str) -> str:
    """Return the axes of images: an axis of 1 to 4 is the channels.

    Where two axes may be, it is the one beside which images are square; other numbers of channels
    are found by a square as well.

    Raises:
        ConfigError: Not of rank 3 or 4, or two layouts are as likely.
    """
    if len(shape) == 3:
        return "NHW"
    if len(shape) != 4:
        raise ConfigError(
            f"{what} has shape {shape}; images are [N, H, W], [N, H, W, C] or [N, C, H, W]"
        )
    _, second, third, last = shape
    first_fits, last_fits = 1 <= second <= _MAX_CHANNELS, 1 <= last <= _MAX_CHANNELS
    if first_fits == last_fits:
        first_fits, last_fits = third == last, second == third
    if first_fits == last_fits:
        kind = "volumes, which no network here takes, or " if second == third == last else ""
        raise ConfigError(
            f"{what} has shape {shape}, of which more than one axis may be the channels ({kind}"
            "images of any of them); say data.layout=NHWC or data.layout=NCHW"
        )
    return "NCHW" if first_fits else "NHWC"


def find_range(
    dtype: np.dtype[np.generic], low: float, high: float, what: str
) -> tuple[float, float]:
    """Return the values of black and white: (0, 255), (0, 1) or (-1, 1).

    Raises:
        ConfigError: Values beyond these, or only a little above 1.
    """
    if -1 <= low < 0 and high <= 1:
        return -1.0, 1.0
    if low >= 0 and high <= 1:
        return 0.0, 1.0
    if low >= 0 and (dtype.kind in "iu" or high >= 8) and high <= 255:
        return 0.0, 255.0
    raise ConfigError(
        f"{what} is images from {low:g} to {high:g}, and none of [0, 1], [0, 255] and [-1, 1]; "
        f"say which values are black and white: data.value_range=[{low:g},{high:g}]"
    )
