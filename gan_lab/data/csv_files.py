"""Numbers from a .csv file, with advice for the dialects of spreadsheets."""

import codecs
import csv
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from gan_lab.errors import ConfigError

_SEPARATORS = {";": "semicolons", "\t": "tabs", "|": "bars", " ": "spaces"}
_NUMBER = re.compile(r"[-+]?\d+([.,]\d+)?([eE][-+]?\d+)?")


def read_csv(path: Path) -> NDArray[np.float64]:
    """Return the rows of a comma separated file, with or without one header line.

    Raises:
        ConfigError: It is no UTF-8 text, a line has more or fewer cells than the first one, or a
            cell is no number.
    """
    with path.open("rb") as file:
        if file.read(2) in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
            raise ConfigError(
                f"array {path} cannot be read: it is UTF-16 text, as spreadsheets write it; save "
                "it as CSV in UTF-8"
            )
    try:
        return _rows(path)
    except UnicodeDecodeError as error:
        wrong = error.object[error.start]
        raise ConfigError(
            f"array {path} cannot be read: it is no UTF-8 text (byte {wrong:#04x}); save it as CSV "
            "in UTF-8"
        ) from error


def _rows(path: Path) -> NDArray[np.float64]:
    rows: list[list[float]] = []
    first: int | None = None
    with path.open(newline="", encoding="utf-8-sig") as file:
        reader = csv.reader(file)
        for cells in reader:
            if not cells:
                continue
            numbers = [number for cell in cells if (number := _number(cell)) is not None]
            if first is None:
                first = len(cells)
                if len(cells) > 1 and not cells[0].strip():
                    raise ConfigError(
                        f"array {path}, line {reader.line_num}: cell 1 is '', as over the index "
                        "that pandas writes; leave that column out (index=False), or fill the cell"
                    )
                # A header has no number in it; a first row with one wrong cell is an error.
                if not numbers:
                    continue
            if not len(numbers) == len(cells) == first:
                problem = _problem(cells, first)
                raise ConfigError(f"array {path}, line {reader.line_num}: {problem}")
            rows.append(numbers)
    return np.array(rows, dtype=np.float64).reshape(len(rows), first or 0)


def _number(cell: str) -> float | None:
    try:
        return float(cell)
    except ValueError:
        return None


def _problem(cells: Sequence[str], first: int) -> str:
    """Return what is wrong with a line, and what to do."""
    line = ",".join(cells)
    for sign, name in _SEPARATORS.items():
        parts = [part.strip() for part in line.split(sign) if part.strip()]
        if len(parts) > 1 and all(map(_NUMBER.fullmatch, parts)):
            decimal = " and numbers have decimal commas" if "," in line else ""
            return (
                f"cells are separated by {name}{decimal} ({line!r}); write the file with commas "
                "between cells and points in numbers"
            )
    if len(cells) != first:
        return f"{len(cells)} cells, but the first line has {first}; give every line as many cells"
    wrong = next(i for i, cell in enumerate(cells) if _number(cell) is None)
    if _NUMBER.fullmatch(cells[wrong].strip()):
        return f"cell {wrong + 1} is {cells[wrong]!r}, a decimal comma; write numbers with points"
    return f"cell {wrong + 1} is {cells[wrong]!r}, not a number; correct or drop the line"
