"""The registry of published and derived claims; each row names the study that measures it.

A row judges the study's number by its own expected one, whatever the study's verdict is. Whether it
is a claim or a check the study says.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.experiments import page
from gan_lab.experiments.claims import (
    CHECK,
    CLAIM,
    FAIL,
    INCONCLUSIVE,
    PASS,
    RELATIONS,
    expectation,
    finding,
    judge,
    split_checks,
)
from gan_lab.experiments.runner import PAGE, load_record
from gan_lab.reports.analysis.statistics import Statistic
from gan_lab.reports.plots.samples import read_png
from gan_lab.runs.run_dir import atomic_write, environment, to_json
from gan_lab.validation import check_choice

EVIDENCE = {
    "V": "read in the paper, its code or its tables",
    "V2": "read second-hand",
    "R": "recalled, not read",
    "D": "derived and checked numerically",
}
PROTOCOLS = ("exact", "scaled", "analogue")
SKIP = "skipped"
_VERDICTS = (PASS, FAIL, INCONCLUSIVE)
_WORST_FIRST = (FAIL, INCONCLUSIVE, PASS)
# What numbers depend on, not whose machine it was.
_ENVIRONMENT_KEYS = ("versions", "git", "hardware", "threads", "started")


@dataclass(frozen=True)
class Row:
    """One claim of the registry; relation, expected, tolerance and unit are as in `Claim`.

    Attributes:
        evidence: V, V2, R or D, see EVIDENCE.
        protocol: exact, scaled or analogue: how near ours is to theirs.
        command: `experiment NAME key=value ...`, or None where nothing here can measure it.
        claim: Id of the study's claim.
        statistic: What is measured, in words.
        trains: Whether networks are trained.
        seeds: Over how many.
        bound: A floor or ceiling worth knowing, in words, or None.
        fails_if: What would make it fail, one sentence without its first words "It fails if".
        cost: Seconds on two cores.
        needs: What is missing ("data: CIFAR-10", "gpu"), "long", or None.
    """

    id: str
    statement: str
    citation: str
    evidence: str
    protocol: str
    command: str | None
    claim: str | None
    statistic: str
    relation: str
    expected: float
    tolerance: float
    unit: str
    trains: bool
    seeds: int
    bound: str | None
    fails_if: str
    cost: float
    needs: str | None

    def __post_init__(self) -> None:
        check_choice(self, "evidence", list(EVIDENCE))
        check_choice(self, "protocol", list(PROTOCOLS))
        check_choice(self, "relation", list(RELATIONS))
        if not self.fails_if.strip():
            raise ValueError(f"row {self.id} does not say what would make it fail")
        if (self.command is None) != (self.claim is None):
            raise ValueError(f"row {self.id}: give both command and claim, or neither")
        if self.command is None and self.needs in (None, "long"):
            raise ValueError(f"row {self.id} has no command and does not say what it needs")
        if self.command is not None and not self.command.startswith("experiment "):
            raise ValueError(f"row {self.id}: command has to be `experiment NAME ...`")

    @property
    def study(self) -> str | None:
        """Name of the study that measures it."""
        return None if self.command is None else self.command.split()[1]

    def runs(self, everything: bool) -> bool:
        """Tell whether it is measured: what is quick and offline; with `everything` also long."""
        return self.command is not None and (
            self.needs is None or (everything and self.needs == "long")
        )


@dataclass(frozen=True)
class Outcome:
    """A row, the number measured for it, its verdict, and whether it is a claim or a check."""

    row: Row
    measured: Statistic | None
    verdict: str
    kind: str = CLAIM

    def record(self) -> dict[str, Any]:
        """Return the row and its numbers as result.json keeps them."""
        value, low, high = self.measured or (None, None, None)
        numbers = {"measured": value, "low": low, "high": high}
        return {**vars(self.row), **numbers, "kind": self.kind, "verdict": self.verdict}


def parse_rows(entries: Sequence[Mapping[str, Any]]) -> list[Row]:
    """Return the rows of the registry's files.

    Raises:
        ConfigError: A row lacks a key, has one too many, or repeats another's id.
    """
    names = [field.name for field in fields(Row)]
    rows: dict[str, Row] = {}
    for entry in entries:
        missing = [name for name in names if name not in entry]
        extra = [name for name in entry if name not in names]
        if missing or extra:
            where = f"row {entry.get('id', '?')} of the registry"
            raise ConfigError(f"{where}: missing {missing}, unknown {extra}")
        try:
            row = Row(**{**entry, "expected": float(entry["expected"])})
        except (TypeError, ValueError) as error:
            raise ConfigError(f"row {entry['id']} of the registry: {error}") from error
        if row.id in rows:
            raise ConfigError(f"two rows of the registry are called {row.id}")
        rows[row.id] = row
    return list(rows.values())


def select_rows(rows: Sequence[Row], names: Sequence[str]) -> list[Row]:
    """Return the rows called by id or by study; all where nothing is named.

    Raises:
        ConfigError: A name is neither.
    """
    for name in names:
        if all(name not in (row.id, row.study) for row in rows):
            raise ConfigError(f"no row or study of the registry is called '{name}'; see list=true")
    return [row for row in rows if not names or row.id in names or row.study in names]


def outcome(row: Row, study: Path | None, why: str = "") -> Outcome:
    """Judge a row by the study that was performed into a directory.

    Raises:
        ConfigError: The study makes no claim of that id.
    """
    if study is None:
        return Outcome(row, None, f"{SKIP}: {why}")
    record = load_record(study)
    for claim in record["claims"]:
        if claim["id"] == row.claim:
            number = Statistic(*(float(claim[key]) for key in ("measured", "low", "high")))
            verdict = judge(number, row.relation, row.expected, row.tolerance)
            return Outcome(row, number, verdict, claim.get("kind", CLAIM))
    raise ConfigError(f"row {row.id}: {row.study} makes no claim '{row.claim}'")


def save(outcomes: Sequence[Outcome], studies: Mapping[str, Path], home: Path, seed: int) -> None:
    """Write result.json, index.html and report.md of the studies of one base seed."""
    where = {key: value for key, value in environment().items() if key in _ENVIRONMENT_KEYS}
    rows = [each.record() for each in outcomes]
    result = {
        "seed": seed,
        "environment": where,
        "rows": rows,
        "studies": {command: str(path.relative_to(home)) for command, path in studies.items()},
    }
    atomic_write(home / "result.json", to_json(result, indent=2))
    sections = []
    for command, path in studies.items():
        folder = path.relative_to(home).as_posix()
        pictures = sorted((path / "figures").glob("*.png"))
        figures = {file.stem: data for file in pictures if (data := read_png(file)) is not None}
        sections.append(page.study_section(command, folder, load_record(path), figures))
    index = page.claims_page(rows, sections, _origin(where))
    atomic_write(home / PAGE, index.encode())
    atomic_write(home / "report.md", _markdown(outcomes, studies, home, where).encode())


def join(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return one document of the result.json of several base seeds.

    Each row has the numbers and the verdict of the seed where it came out worst, and `by_seed`:
    those of every seed that measured it.

    Raises:
        ConfigError: Two have one seed, or they are of different commits or registries.
    """
    seeds = [int(result.get("seed", 0)) for result in results]
    if len(set(seeds)) < len(seeds):
        raise ConfigError(f"two results are of one base seed: {seeds}; join one of each")
    commits = {str(result["environment"]["git"]) for result in results}
    if len(commits) > 1:
        raise ConfigError(f"the results are of different code: {sorted(commits)}; measure again")
    ids = [[row["id"] for row in result["rows"]] for result in results]
    if any(other != ids[0] for other in ids):
        raise ConfigError("the results are of different rows; measure the same rows on each seed")
    rows = []
    for same in zip(*(result["rows"] for result in results), strict=True):
        number = ("measured", "low", "high", "verdict")
        by_seed = [
            {"seed": seed, **{key: row[key] for key in number}}
            for seed, row in zip(seeds, same, strict=True)
            if row["measured"] is not None
        ]
        ranks = {verdict: rank for rank, verdict in enumerate(_WORST_FIRST)}
        worst = min(by_seed, key=lambda each: ranks[each["verdict"]], default={})
        kinds = {row["kind"] for row in same if row["measured"] is not None}
        kind = CHECK if kinds == {CHECK} else CLAIM
        numbers = {key: worst[key] for key in number if key in worst}
        rows.append({**same[0], **numbers, "kind": kind, "by_seed": by_seed})
    return {"seeds": seeds, "environment": results[0]["environment"], "rows": rows}


def counts(records: Sequence[Mapping[str, Any]]) -> str:
    """Return how many claims, and how many checks, passed, failed, stayed open, were skipped."""
    parts = []
    for word, rows in zip(("claim", "check"), split_checks(records), strict=True):
        kinds = [row["verdict"].partition(":")[0] for row in rows]
        each = [f"{kinds.count(name)} {name}" for name in (*_VERDICTS, SKIP) if name in kinds]
        if rows:
            parts.append(f"{len(rows)} {word}{'s' * (len(rows) > 1)}: {', '.join(each)}")
    return "; ".join(parts)


def tables(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the rows of a result.json as a Markdown table of claims, and one of checks."""
    claims, checks = split_checks(records)
    parts = [table(claims)] if claims else []
    if checks:
        parts += [f"Checks. {page.CHECKS}", table(checks)]
    return "\n\n".join(parts)


def table(records: Sequence[Mapping[str, Any]]) -> str:
    """Return rows of a result.json as a Markdown table."""
    lines = [
        "| statement | from | protocol | expected | measured [interval] | fails if | verdict |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in records:
        # What nobody here has read is not shown as published.
        mark = row["evidence"]
        source = "recalled, not read" if mark == "R" else f"{row['citation']} ({mark})"
        fails_if = str(row.get("fails_if", ""))
        numbers = (expectation(row), findings(row), fails_if)
        cells = (row["statement"], source, row["protocol"], *numbers)
        texts = [cell.replace("|", "\\|") for cell in cells]
        lines.append("| " + " | ".join([*texts, row["verdict"]]) + " |")
    return "\n".join(lines)


def findings(row: Mapping[str, Any]) -> str:
    """Return what was measured, on every base seed where there are several and they differ."""
    numbers = [(each["seed"], finding({**row, **each})) for each in row.get("by_seed", [])]
    if len({text for _, text in numbers}) < 2:
        return finding(row)
    return "; ".join(f"seed {seed}: {text}" for seed, text in numbers)


def _origin(where: Mapping[str, Any]) -> str:
    versions = ", ".join(f"{name} {version}" for name, version in where["versions"].items())
    hardware = where["hardware"]
    commit = str((where.get("git") or {}).get("commit", "unknown"))[:12]
    machine = f"{hardware['cpu']}, {hardware['cores']} cores"
    return f"{where['started']}, commit {commit}, {machine}, {versions}."


def _markdown(
    outcomes: Sequence[Outcome], studies: Mapping[str, Path], home: Path, where: Mapping[str, Any]
) -> str:
    marks = "; ".join(f"{mark} = {text}" for mark, text in EVIDENCE.items())
    lines = [
        "# Claims, reproduced",
        "",
        _origin(where),
        f"Provenance: {marks}. `inconclusive` is no pass: the interval straddles the line.",
        "",
        tables([each.record() for each in outcomes]),
    ]
    for command, path in studies.items():
        record = load_record(path)
        lines += ["", f"## `{command}`", "", str(record.get("question", "")), ""]
        lines += [f"- {note}" for note in record.get("notes", [])]
        for picture in sorted((path / "figures").glob("*.png")):
            lines += ["", f"![{picture.stem}]({picture.relative_to(home)})"]
    return "\n".join(lines) + "\n"
