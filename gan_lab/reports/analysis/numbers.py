"""A number with its interval as text: the same decimals, and no more than the interval allows."""

import math

from gan_lab.metrics import estimate
from gan_lab.reports.plots.style import short

_MAX_DECIMALS, _MAX_VALUE = 6, 1e6


def interval_texts(value: float, low: float, high: float) -> tuple[str, str, str]:
    """Format a value and the ends of its interval with the same decimals.

    There are as many as show two digits of the value, or of the ends where the value is smaller
    than the half-width; but so many that the half-width has one digit at least and two at most.
    An end that is not 0 is not shown as 0 where one more decimal tells its side.
    """
    numbers = (value, low, high)
    half = max(value - low, high - value)
    if not all(map(math.isfinite, numbers)) or half <= 0:
        return short(value), short(low), short(high)
    size = abs(value) if abs(value) > half else max(abs(low), abs(high))
    least = -_exponent(half)
    decimals = max(0, min(max(1 - _exponent(size), least), least + 1))
    if decimals > _MAX_DECIMALS or size >= _MAX_VALUE:
        return short(value), short(low), short(high)
    if any(end != 0 and round(end, decimals) == 0 for end in (low, high)):
        decimals += 1
    # Adding 0 turns -0.00 into 0.00.
    first, second, third = (f"{round(x, decimals) + 0.0:.{decimals}f}" for x in numbers)
    return first, second, third


def as_text(value: float, low: float, high: float, tag: str = "") -> str:
    """Format a number with its interval, for every table and sentence.

    Args:
        value: The number.
        low: Lower end of its interval, -inf where there is none.
        high: Upper end.
        tag: Of the quantity; ends that are impossible for it are clipped and marked.
    """
    if low == high or (math.isinf(low) and math.isinf(high)):
        return short(value)
    interval = estimate.clip_interval(tag, value, low, high)
    number, *ends = interval_texts(value, interval.low, interval.high)
    texts = dict(zip((interval.low, interval.high), ends, strict=True))
    return f"{number} {interval.text(lambda end: texts[end])}"


def _exponent(x: float) -> int:
    """Return the power of ten of the first digit of x > 0, once rounded to two digits."""
    return math.floor(math.log10(float(f"{x:.1e}")))
