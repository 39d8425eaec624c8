"""A claim: a statement, its measured number with an interval, the expected number, the verdict.

A check is one that mathematics or the construction decides, whatever a training does: a theorem, an
identity, a bound, a number of the data themselves. Only a bug breaks it, so it is no evidence and
is records apart.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from gan_lab.reports.analysis.statistics import Statistic, exact
from gan_lab.validation import check_choice

RELATIONS = ("equals", "at_least", "at_most")
CLAIM, CHECK = "claim", "check"
PASS, FAIL, INCONCLUSIVE = "pass", "fail", "inconclusive"


def judge(measured: Statistic, relation: str, expected: float, tolerance: float) -> str:
    """Return pass for an interval inside what is allowed, fail for one outside, else inconclusive.

    A number that is undefined fails: nothing was measured.
    """
    value, low, high = measured
    if any(math.isnan(x) for x in measured):
        return FAIL
    if math.isinf(expected) and relation == "equals":
        return PASS if value == low == high == expected else FAIL
    lowest = -math.inf if relation == "at_most" else expected - tolerance
    highest = math.inf if relation == "at_least" else expected + tolerance
    if lowest <= low and high <= highest:
        return PASS
    return FAIL if high < lowest or low > highest else INCONCLUSIVE


@dataclass(frozen=True)
class Claim:
    """One checked statement.

    Attributes:
        id: Unique in its study.
        statement: One sentence with its units.
        relation: equals, at_least or at_most.
        tolerance: How far beyond `expected` the interval may reach.
        source: Where `expected` comes from.
        kind: claim, which a training can contradict, or check, which only a bug can.
    """

    id: str
    statement: str
    measured: Statistic
    relation: str
    expected: float
    tolerance: float = 0.0
    unit: str = ""
    source: str = ""
    kind: str = CLAIM

    def __post_init__(self) -> None:
        check_choice(self, "relation", list(RELATIONS))
        check_choice(self, "kind", [CLAIM, CHECK])
        if math.isnan(self.expected):
            raise ValueError(f"Claim.expected=nan of {self.id} cannot be compared with")
        if not 0 <= self.tolerance < math.inf:
            raise ValueError(f"Claim.tolerance={self.tolerance} of {self.id} is no finite size")

    @property
    def verdict(self) -> str:
        """pass, fail or inconclusive."""
        return judge(self.measured, self.relation, self.expected, self.tolerance)

    def record(self) -> dict[str, Any]:
        """Return the claim as result.json keeps it."""
        value, low, high = self.measured
        numbers = {"measured": value, "low": low, "high": high}
        first = {"id": self.id, "statement": self.statement, **numbers}
        return first | vars(self) | numbers | {"verdict": self.verdict}


Expectation = tuple[str, float, float, str, str]  # the last five arguments of a claim


def equals(expected: float, tolerance: float, unit: str = "", source: str = "") -> Expectation:
    """Return the arguments of a claim that a number is `expected`, to a tolerance."""
    return "equals", expected, tolerance, unit, source


def at_least(bound: float, unit: str = "", source: str = "", tolerance: float = 0.0) -> Expectation:
    """Return the arguments of a claim that a number is not below a bound."""
    return "at_least", bound, tolerance, unit, source


def at_most(bound: float, unit: str = "", source: str = "", tolerance: float = 0.0) -> Expectation:
    """Return the arguments of a claim that a number is not above a bound."""
    return "at_most", bound, tolerance, unit, source


def claim_all(
    statements: Mapping[str, str], numbers: Mapping[str, tuple[Statistic, Expectation]]
) -> list[Claim]:
    """Return a claim of every measured number and its expectation, with the statement of its id."""
    return [
        Claim(id, statements[id], measured, *expectation)
        for id, (measured, expectation) in numbers.items()
    ]


def checks(claims: Iterable[Claim], *ids: str) -> list[Claim]:
    """Return claims with those of the given ids, or all where none is given, as checks."""
    return [replace(claim, kind=CHECK) if claim.id in ids or not ids else claim for claim in claims]


def split_checks(rows: Iterable[Mapping[str, Any]]) -> tuple[list[Any], list[Any]]:
    """Return records that are claims, and those that are checks; an old one is a claim."""
    records = list(rows)
    return (
        [row for row in records if row.get("kind", CLAIM) == CLAIM],
        [row for row in records if row.get("kind", CLAIM) == CHECK],
    )


def largest(difference: ArrayLike) -> Statistic:
    """Return the largest size of an entry, without an interval: for claims that something is 0."""
    return exact(np.abs(difference).max())


def expectation(row: Mapping[str, Any]) -> str:
    """Return what a claim's record expects as a table shows it."""
    sign = {"equals": "", "at_least": ">= ", "at_most": "<= "}[row["relation"]]
    slack = f" +- {row['tolerance']:.3g}" if row["tolerance"] else ""
    return f"{sign}{float(row['expected']):.4g}{slack} {row['unit']}".strip()


def finding(row: Mapping[str, Any]) -> str:
    """Return what a claim's record measured as a table shows it."""
    if row["measured"] is None:
        return ""
    value, low, high = (float(row[key]) for key in ("measured", "low", "high"))
    interval = "" if low == high else f" [{low:.4g}, {high:.4g}]"
    return f"{value:.4g}{interval} {row['unit']}".strip()
