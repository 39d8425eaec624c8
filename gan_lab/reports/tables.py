"""Tables on the screen."""

from collections.abc import Mapping

from rich import box
from rich.console import Console
from rich.table import Table

from gan_lab.estimators.base import Estimate

_HEADLINES = ("divergence/wasserstein", "divergence/js", "modes/covered", "probe/js")


def show(title: str, rows: Mapping[str, Mapping[str, Estimate]]) -> None:
    """Prints estimates with interval, floor, n and unit.

    Args:
        title: Above the table.
        rows: Name of a run or seed -> tag -> estimate; of several only the headlines are shown.
    """
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("run" if any(not name.isdigit() for name in rows) else "seed")
    table.add_column("quantity", no_wrap=True)
    for column in ("value", "95 % interval", "floor", "n"):
        table.add_column(column, justify="right", no_wrap=True)
    table.add_column("unit")
    for name, each in rows.items():
        for tag, e in each.items():
            if len(rows) > 1 and tag not in _HEADLINES:
                continue
            interval = f"[{_short(e.low)}, {_short(e.high)}]"
            floor = "" if e.floor is None else _short(e.floor)
            value = "undefined" if e.value != e.value else _short(e.value)
            if value == "undefined":
                interval = floor = ""
            table.add_row(name, tag, value, interval, floor, str(e.n), e.unit)
    console = Console()
    if not console.is_terminal:
        console.width = 110  # a log file or a pipe has no width to keep to
    console.print(table)


def _short(value: float) -> str:
    return f"{value:.3f}" if abs(value) >= 0.1 or value == 0 else f"{value:.2g}"
