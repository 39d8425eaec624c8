"""Pages of studies and of the registry's claims: verdicts first, then figures, notes and keys."""

import html
import math
from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from gan_lab.experiments.claims import (
    CHECK,
    FAIL,
    INCONCLUSIVE,
    PASS,
    expectation,
    finding,
    split_checks,
)
from gan_lab.reports.html import document
from gan_lab.reports.html.document import Kind

Record = Mapping[str, Any]  # a claim of a result.json, or a row of the registry with its number
# Verdict -> colour and word of its badge; what was skipped has no number.
_BADGES: dict[str, tuple[Kind, str]] = {
    PASS: ("good", "shown"),
    INCONCLUSIVE: ("open", "inconclusive"),
    FAIL: ("bad", "contradicted"),
    "skipped": ("note", "not measured"),
}
LEGEND = (
    "Shown: the whole interval of the measured number lies where the claim expects it. "
    "Contradicted: the whole interval lies elsewhere. Inconclusive: it reaches over the line, "
    "which is neither; more seeds narrow it."
)
CHECKS = (
    "True by mathematics or by construction, whatever a training does, so no evidence: only a bug "
    "breaks one."
)
_OPEN_CLAIMS = 5
_LARGEST_GIF = 6 << 20  # bytes of an animation that moves on the page itself
_STYLE = """
.first { display: grid; gap: .5rem 2rem; margin-top: 1rem; }
.first .picture { margin: 0; }
.claims { list-style: none; margin: 0; padding: 0; }
.claims li { border-top: 1px solid var(--rule); padding: .55rem 0; }
.claims .badge { font-size: .85rem; padding: .05rem .6rem; margin-right: .4rem; }
.claims p { margin: .1rem 0 0; }
.numbers { color: var(--quiet); font-size: .92rem; }
.verdict .headline { text-wrap: balance; }
@media (min-width: 64rem) {
  .first { grid-template-columns: minmax(22rem, 2fr) 3fr; align-items: start; }
  .first > :last-child { position: sticky; top: 1rem; }
  .first .picture img { max-height: 62vh; }
}
"""


def study_page(
    title: str, record: Record, figures: Mapping[str, bytes], animations: Mapping[str, bytes]
) -> str:
    """Return the page of a study.

    Args:
        title: Of the study.
        record: The content of its result.json.
        figures: Name -> PNG, the one that says most first.
        animations: Name -> GIF, whose player is `figures/NAME.html`.
    """
    rows = record["claims"]
    first, *others = [_figure(title, name, png) for name, png in figures.items()] or [""]
    config = record.get("config") or {}
    details = [*map(str, record.get("answer") or []), *_scale(config, rows)]
    moving = [_animation(title, name, gif) for name, gif in animations.items()]
    body = [
        document.header(title, str(record.get("reference", ""))),
        _summary(rows, str(record.get("question", "")), details),
        f'<div class="first">{_claims(split_checks(rows)[0])}{first}</div>',
        document.section("Figures", "".join(others)) if others else "",
        document.section("Animations", "".join(moving)) if moving else "",
        _checks(split_checks(rows)[1]),
        _notes(record.get("notes", [])),
        document.section("How it was done", _how(record, rows)),
    ]
    return document.document(title, "\n".join(filter(None, body)), style=_STYLE)


def claims_page(rows: Sequence[Record], studies: Sequence[str], origin: str) -> str:
    """Return the page of the registry's claims.

    Args:
        rows: Rows of a result.json, in which measured is None where nothing was.
        studies: HTML of each study, see `study_section`.
        origin: When, where and with what it was measured.
    """
    title = "Claims, reproduced"
    measured = [row for row in rows if row["measured"] is not None]
    without = [row for row in rows if row["measured"] is None]
    question = "Do published and derived statements about GANs come out here, too?"
    body = [
        document.header(title),
        _summary(measured, question),
        _claims(split_checks(measured)[0]),
        _checks(split_checks(measured)[1]),
        document.section("The studies", "".join(studies)) if studies else "",
    ]
    if without:
        body.append(document.section("Not measured", _claims(without)))
    body.append(document.section("How to read it", document.paragraphs([LEGEND, origin])))
    return document.document(title, "\n".join(filter(None, body)), style=_STYLE)


def study_section(command: str, path: str, record: Record, figures: Mapping[str, bytes]) -> str:
    """Return a study on the page of claims: what it asks, its own page, its notes and figures.

    Args:
        path: Of the study's directory, relative to that of the page of claims.
    """
    own_page = html.escape(quote(f"{path}/index.html"))
    link = f'<p><a href="{own_page}">Its own page</a>: all its claims and keys.</p>'
    folder = f"{path}/figures"
    pictures = "".join(_figure(command, name, png, folder) for name, png in figures.items())
    count = f"{len(figures)} figure{'s' if len(figures) != 1 else ''} of {command}"
    return (
        f"<h3><code>{html.escape(command)}</code></h3>"
        + document.paragraphs([str(record.get("question", ""))])
        + link
        + document.bullets(record.get("notes", []))
        + (document.fold(count, pictures) if pictures else "")
    )


def _summary(rows: Sequence[Record], question: str, details: Sequence[str] = ()) -> str:
    """Return one badge for all claims, the question that they answer, and what to know first."""
    kinds, checks = ([_verdict(row) for row in part] for part in split_checks(rows))
    n_shown, n, n_hold = kinds.count(PASS), len(kinds), checks.count(PASS)
    is_shown = n_shown + n_hold == len(rows)
    kind: Kind = "bad" if FAIL in kinds + checks else "good" if is_shown else "open"
    counts = [f"{n_shown} of {n} claims shown"] if kinds else []
    for verdict in (INCONCLUSIVE, FAIL):
        if verdict in kinds:
            counts.append(f"{kinds.count(verdict)} {_BADGES[verdict][1]}")
    counts += [f"{n_hold} of {len(checks)} checks hold"] if checks else []
    text = ", ".join(counts) if rows else "nothing measured"
    return document.verdict(kind if rows else "note", text, question, details)


def _claims(rows: Sequence[Record]) -> str:
    """Return claims as a list, what is contradicted first; what is many unfolds below it."""
    order = (FAIL, INCONCLUSIVE, PASS)
    ranks = {verdict: rank for rank, verdict in enumerate(order)}
    items = []
    for row in sorted(rows, key=lambda row: ranks.get(_verdict(row), len(order))):
        kind, word = _BADGES.get(_verdict(row), ("note", _verdict(row)))
        if row.get("kind") == CHECK:
            word = {PASS: "holds", FAIL: "broken"}.get(_verdict(row), word)
        items.append(
            f"<li>{document.badge(kind, word)}<p>{html.escape(str(row['statement']))}</p>"
            f'<p class="numbers">{html.escape(_numbers(row))}</p></li>'
        )
    n_open = max(_OPEN_CLAIMS, sum(_verdict(row) == FAIL for row in rows))
    n_open = n_open if len(items) > n_open + 1 else len(items)
    more = [f'<ul class="claims">{"".join(part)}</ul>' for part in (items[:n_open], items[n_open:])]
    rest = document.fold(f"{len(items) - n_open} more claims", more[1])
    return f"<div>{more[0]}{rest if items[n_open:] else ''}</div>"


def _checks(rows: Sequence[Record]) -> str:
    """Return checks, apart from claims: folded while all hold."""
    if not rows:
        return ""
    is_whole = all(_verdict(row) == PASS for row in rows)
    items = _claims(rows)
    body = document.fold(f"{len(rows)} checks", items) if is_whole else items
    return document.section("Checks", document.paragraphs([CHECKS]) + body)


def _numbers(row: Record) -> str:
    """Return what was measured and expected; of the registry also who says so and what fails it."""
    source = ""
    if "evidence" in row:  # what nobody here has read is not shown as published
        source = "recalled, not read" if row["evidence"] == "R" else str(row["citation"])
    why = str(row["verdict"]).partition(": ")[2]
    measured = f"measured {finding(row)}" if row["measured"] is not None else f"not measured: {why}"
    fails = f"fails if {row['fails_if']}" if row.get("fails_if") else ""
    parts = [measured, f"expected {expectation(row)}", fails, source]
    return "; ".join(filter(None, parts))


def _verdict(row: Record) -> str:
    return str(row["verdict"]).partition(":")[0]


def _figure(title: str, name: str, png: bytes, folder: str = "figures") -> str:
    path = html.escape(quote(f"{folder}/{name}.png"))
    picture = document.figure(png, f"{title}: {name.replace('_', ' ')}")
    return f'<div>{picture}<p class="numbers"><a href="{path}">Full size</a></p></div>'


def _animation(title: str, name: str, gif: bytes) -> str:
    picture = document.figure(gif, f"{title}: {name}") if len(gif) <= _LARGEST_GIF else ""
    link = html.escape(quote(f"figures/{name}.html"))
    return f'{picture}<p class="numbers"><a href="{link}">Step through {html.escape(name)}</a></p>'


def _notes(texts: Sequence[str]) -> str:
    return document.section("Notes", document.bullets(texts)) if texts else ""


def _scale(config: Record, rows: Sequence[Record]) -> list[str]:
    """Return the sentence that a quick study needs; none for a full one."""
    if not config.get("quick"):
        return []
    n = int(config.get("n_seeds", 1))
    is_open = any(_verdict(row) == INCONCLUSIVE for row in rows)
    why = ": too few seeds to tell where a claim is inconclusive" if is_open else ""
    seeds = f"{n} seed{'s' if n > 1 else ''}"
    return [
        f"Quick scale (quick=true, {seeds}){why}. The full study (quick=false) is the evidence."
    ]


def _how(record: Record, rows: Sequence[Record]) -> str:
    seconds = float(record.get("seconds", math.nan))
    took = f"It took {seconds:.0f} s. " if math.isfinite(seconds) else ""
    keys = [[key, _text(value)] for key, value in (record.get("config") or {}).items()]
    sources = [[str(row["id"]), str(row["source"])] for row in rows if row.get("source")]
    return (
        document.paragraphs([LEGEND, f"{took}All numbers are in result.json and arrays.npz."])
        + document.fold("Configuration", document.table("Configuration", ["key", "value"], keys))
        + document.fold("Sources", document.table("Sources", ["claim", "expected by"], sources))
    )


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "null" if value is None else str(value)
