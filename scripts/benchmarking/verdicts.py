"""Targets against results, and whether the textbook loop was a fair one."""

from collections.abc import Mapping, Sequence
from typing import Any

from benchmarking.rows import TARGETS, Target

LEAST_FRACTION = 0.4
STRAW_MAN_ROW = "wgan_gp_mlp512"


def straw_man(result: Mapping[str, Any]) -> str | None:
    """Why the yardstick is no fair one, or None.

    On the CPU at width 512 almost all of a step is matrix products: a textbook loop that is below
    40 % of what torch's own products reach there would have been slowed down by something else. On
    a GPU it waits for launches at that width, and the test says nothing.
    """
    books = [row.get("textbook") for row in result["rows"] if row["name"] == STRAW_MAN_ROW]
    if result["device"] != "cpu" or not any(books):
        return None
    # Its best round, as the limit is the best of several, by the CPU time it had: a busy machine is
    # no straw man.
    fraction = books[0]["fraction_at_best"]["torch"]
    if fraction >= LEAST_FRACTION:
        return None
    return (
        f"the baseline is a straw man: the textbook loop reaches {100 * fraction:.0f} % of torch's "
        f"own matmul limit at width 512, {100 * LEAST_FRACTION:.0f} % is the least; ratios to it "
        "mean nothing (or the machine is too busy to measure)"
    )


def verdicts(result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """For each target of the device: the row's best figure, and whether it is reached.

    Returns:
        row, target (words), figure, value (None where it was not measured), way (mode and
        precision), reached (True, False, or None where it was not measured or is not asked for) and
        note.
    """
    rows = {row["name"]: row for row in result["rows"]}
    entries = []
    for target in TARGETS:
        if target.device != result["device"]:
            continue
        value, way = best(rows.get(target.row), target)
        applies = not target.amx or result["hardware"].get("amx", False)
        note, reached = "" if applies else "asked only where the CPU has AMX", None
        if value is None:
            note = "not measured"
        elif applies:
            reached = value >= target.bound if target.at_least else value <= target.bound
        entry = {"row": target.row, "target": target.words, "figure": target.figure}
        entries.append({**entry, "value": value, "way": way, "reached": reached, "note": note})
    return entries


def best(row: Mapping[str, Any] | None, target: Target) -> tuple[float | None, str]:
    """The best median of the variants that a target covers, and which it was."""
    if row is None or row.get("shortened"):  # a short run has other intervals
        return None, ""
    if target.figure == "share":
        return (row["share"]["median"], "") if "share" in row else (None, "")
    if target.figure == "seconds":
        part = row.get("seconds", {}).get(target.part)
        return (part["median"], "") if part else (None, "")
    candidates: Sequence[tuple[float, str]] = [
        (v[target.figure]["median"], f"{v['mode']} {v['precision']}")
        for v in row.get("variants", [])
        if target.figure in v and target.precision in ("", v["precision"])
    ]
    return (max if target.at_least else min)(candidates, default=(None, ""))
