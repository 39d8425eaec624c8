"""Estimates by tag that print as a table, in a notebook as HTML."""

import html
import io
from collections.abc import Mapping

from rich.console import Console

from gan_lab.metrics.estimate import Estimate
from gan_lab.reports.export.terminal import estimate_cells, estimates_note, estimates_table

_COLUMNS = ("quantity", "value", "95 % interval", "real data", "n", "unit")


class Estimates(dict[str, Estimate]):
    """Tag -> `Estimate(value, unit, n, low, high, floor)`; prints as a table.

    Above 4 dimensions a note says that W1 is that of so many samples, not of the distributions.
    A metric answers to the last part of its tag: ["wasserstein"] is ["divergence/wasserstein"]. A
    neural distance has to be named in full.
    """

    def __init__(
        self, estimates: Mapping[str, Estimate] | None = None, high_dimensional: bool = False
    ) -> None:
        super().__init__(estimates or {})
        self._high_dimensional = high_dimensional

    def __missing__(self, name: str) -> Estimate:
        tags = [tag for tag in self if tag.partition("/")[2] == name]
        tags = [tag for tag in tags if not tag.startswith("neural_distance/")]
        if len(tags) == 1:
            return self[tags[0]]
        raise KeyError(f"{name} is {' and '.join(tags) or 'none'} of {', '.join(self)}")

    def __repr__(self) -> str:
        text = io.StringIO()
        # Text alone, also where rich would colour it or show it in a cell by itself.
        console = Console(
            file=text, width=120, color_system=None, force_jupyter=False, markup=False
        )
        console.print(
            estimates_table("", {"": self}, self._high_dimensional), emoji=False, highlight=False
        )
        lines = [line.rstrip() for line in text.getvalue().splitlines()]
        return "\n".join(lines).strip("\n")

    def _repr_html_(self) -> str:
        head = "".join(f"<th>{name}</th>" for name in _COLUMNS)
        cells = (estimate_cells(tag, estimate) for tag, estimate in self.items())
        rows = "".join(
            f"<tr>{''.join(f'<td>{html.escape(cell)}</td>' for cell in row)}</tr>" for row in cells
        )
        note = estimates_note([self], self._high_dimensional)
        caption = f"<caption>{html.escape(note)}</caption>" if note else ""
        return f"<table>{caption}<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>"
