"""Records of trainings as arrays, and back: what the study keeps and what its page reads."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from gan_lab.experiments.base import Arrays
from gan_lab.experiments.losses_on_images.plan import TUNING

CLOCKS = ("seconds", "updates", "gradient_evaluations")
JUDGED_KEYS = ("judged_distance", "judged_legible", "judged_coverage")
_TEXTS = ("data", "method", "stage")
_NUMBERS = ("trial", "rung", "seed", "seconds", "process_seconds")


def as_arrays(records: Sequence[Mapping[str, Any]]) -> Arrays:
    """Return what is kept of all trainings.

    Returns:
        `trials/...` of the tuning and `finals/...` of the other trainings, one row each: data,
        method, stage, recipe [R], trial, rung, seed, seconds (the budget), process_seconds (all,
        looking included), diverged; and with `at_` before their names the clocks, the validation
        distance and the judged numbers at each measurement, [R, T], nan after a divergence.
    """
    arrays: Arrays = {}
    tuning = [record for record in records if record["stage"] == TUNING]
    finals = [record for record in records if record["stage"] != TUNING]
    for table, rows, judged_keys in (("trials", tuning, ()), ("finals", finals, JUDGED_KEYS)):
        for key in _TEXTS:
            arrays[f"{table}/{key}"] = np.array([row[key] for row in rows], dtype="U64")
        recipes = [" ".join(row["overrides"]) for row in rows]
        arrays[f"{table}/recipe"] = np.array(recipes, dtype=f"U{max(map(len, recipes), default=1)}")
        for key in _NUMBERS:
            arrays[f"{table}/{key}"] = np.array([row[key] for row in rows])
        arrays[f"{table}/diverged"] = np.array([bool(row["diverged"]) for row in rows])
        n_looks = max((row["n_looks"] for row in rows), default=1)
        for key in (*CLOCKS, "validation", *judged_keys):
            arrays[f"{table}/at_{key}"] = np.array(
                [_series(row["points"], key, n_looks) for row in rows]
            )
    return arrays


def trials_csv(arrays: Arrays) -> bytes:
    """Return the trials of the tuning as a table, one line each."""
    keys = (*_TEXTS[:2], "rung", "trial", "seed", "seconds", "process_seconds", "diverged")
    columns = {key: arrays[f"trials/{key}"] for key in keys}
    columns["train_seconds"] = arrays["trials/at_seconds"][:, -1].round(3)
    columns |= {key: arrays[f"trials/at_{key}"][:, -1] for key in CLOCKS[1:]}
    columns["validation_distance"] = arrays["trials/at_validation"][:, -1]
    columns["recipe"] = arrays["trials/recipe"]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(columns)
    writer.writerows(zip(*(column.tolist() for column in columns.values()), strict=True))
    return text.getvalue().encode()


def _series(points: Sequence[Mapping[str, float]], key: str, length: int) -> list[float]:
    values = [float(point[key]) for point in points]
    return values + [math.nan] * (length - len(values))
