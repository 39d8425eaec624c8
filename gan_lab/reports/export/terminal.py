"""Lines and tables on the screen."""

from collections.abc import Collection, Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from gan_lab.metrics.estimate import Estimate, interval_notes
from gan_lab.runs.headline import ENERGY, FRECHET, WASSERSTEIN, short_name
from gan_lab.runs.safe_io import printable

_HEADLINES = (
    *(FRECHET, "features/legible_share", WASSERSTEIN),
    *("divergence/js", "modes/covered", "neural_distance/js"),
)


def console(width: int | None = None, stderr: bool = False) -> Console:
    """Return a console without markup: a directory may be called [red] or :b:.

    Args:
        width: For a log file or a pipe, which have none. None = rich's own.
        stderr: Whether it writes to stderr.
    """
    plain = Console(stderr=stderr, markup=False, emoji=False, highlight=False)
    if width is not None and not plain.is_terminal:
        plain.width = width
    return plain


def say(text: str, style: str | None = None, stderr: bool = False) -> None:
    """Print a line with a name or a path in it, whatever characters that has."""
    console(stderr=stderr).print(printable(text), style=style, soft_wrap=True)


def show(
    title: str, rows: Mapping[str, Mapping[str, Estimate]], high_dimensional: bool = False
) -> None:
    """Print estimates with interval, floor, n and unit; see `estimates_table`."""
    console(width=120).print(estimates_table(title, rows, high_dimensional))


def estimates_table(
    title: str, rows: Mapping[str, Mapping[str, Estimate]], high_dimensional: bool = False
) -> Table:
    """Return the table that `show` prints.

    Args:
        title: Above the table; empty for none.
        rows: Name of a run or seed -> tag -> estimate; of several only the headlines are shown, and
            a single one without a name has no column for it.
        high_dimensional: Whether samples have more than 4 coordinates: the energy distance then is
            a headline, and a note says what W1 is.
    """
    names = list(rows) != [""]
    table = Table(title=printable(title) or None, title_justify="left", box=box.SIMPLE_HEAD)
    if note := estimates_note(rows.values(), high_dimensional):
        table.caption, table.caption_justify = note, "left"
    # A narrow terminal folds the words, so that no number is cut.
    if names:
        is_run = any(not name.isdigit() for name in rows)
        table.add_column("run" if is_run else "seed", overflow="fold")
    table.add_column("quantity", overflow="fold")
    for column in ("value", "95 % interval", "real data", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit", overflow="fold")
    for name, each in rows.items():
        for tag, e in each.items():
            is_main = tag in _HEADLINES or (tag == ENERGY and high_dimensional)
            if len(rows) > 1 and not is_main:
                continue
            cells = estimate_cells(tag, e)
            table.add_row(*map(printable, (name, *cells) if names else cells))
    return table


def estimates_note(rows: Collection[Mapping[str, Estimate]], high_dimensional: bool = False) -> str:
    """Return what explains a table: marks of intervals, and W1 above 4 dimensions; "" for none."""
    texts = [interval_notes(pair for each in rows for pair in each.items())]
    w1 = [each[WASSERSTEIN] for each in rows if WASSERSTEIN in each]
    if high_dimensional and w1:
        name = short_name(WASSERSTEIN, high_dimensional, w1[0].n)
        texts.append(f"{WASSERSTEIN} is {name}, biased upwards as is that of real data")
    return "; ".join(filter(None, texts))


def estimate_cells(tag: str, estimate: Estimate) -> tuple[str, ...]:
    """Return what a table says of an estimate: tag, value, interval, floor, n, unit."""
    n, unit = str(estimate.n), estimate.unit
    if estimate.value != estimate.value:
        return (tag, "undefined", "", "", n, unit)
    interval = estimate.interval_text(tag, format_number)
    floor = "" if estimate.floor is None else format_number(estimate.floor)
    return (tag, format_number(estimate.value), interval, floor, n, unit)


def format_number(value: float) -> str:
    """Return a number with three places, or two digits of a small one."""
    if value != value:
        return "undefined"
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"
