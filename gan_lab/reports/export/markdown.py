"""A comparison as Markdown: the words and tables of the page."""

import re
from collections.abc import Sequence

from gan_lab.reports.analysis.model import EventRow, Report, Section, Table, events_table


def markdown(report: Report) -> str:
    """Return the report in GitHub's Markdown; the same report gives the same text."""
    several = len(report.sections) > 1
    parts = [f"# {_text(report.title)}", f"*{_text(report.question)}*"]
    if not several:
        parts += [line for section in report.sections for line in _verdict(section)]
    if report.notes:
        parts += ["**To know before reading**", _list(report.notes)]
    for section in report.sections:
        parts += _section(section, several)
    parts += ["## How the numbers were made", *map(_text, report.method)]
    parts.append(f"*{_text(report.origin)}*")
    return "\n\n".join(filter(None, parts)) + "\n"


def _section(section: Section, several: bool) -> list[str]:
    lines = [f"## {_text(section.name)}", *(_verdict(section) if several else ())]
    parts = [part for part in section.parts if part.sentences or part.tables or part.events]
    for part in parts:  # of curves there is nothing to write
        lines += [f"### {_text(part.title)}", *map(_text, part.sentences)]
        for table in part.tables:
            heading = "" if table.title == part.title else f"#### {_text(table.title)}"
            lines += [heading, _table(table), _text(table.note)]
        if part.events:
            lines += _events(part.events)
        if part.kind == "details":
            lines += _cards(section)
    return lines


def _cards(section: Section) -> list[str]:
    cards = {label: lines for label in section.labels if (lines := section.cards.get(label))}
    parts = ["#### The losses"] if cards else []
    for label, lines in cards.items():
        parts += [f"**{_text(label)}**", _list(lines)]
    return parts


def _verdict(section: Section) -> list[str]:
    """Return badge and headline, what is said beside them, and the numbers in sentences."""
    verdict = section.verdict
    answer = f"**{_text(verdict.badge)}.** {_text(verdict.headline)}"
    return [answer, _list([*verdict.details, *section.sentences])]


def _events(events: Sequence[EventRow]) -> list[str]:
    table = events_table(events)
    kinds = dict.fromkeys((e.kind, e.explanation, e.advice) for e in events)
    meanings = [
        f"- **{_text(kind)}**: {_text(explanation)} {_text(advice)}"
        for kind, explanation, advice in kinds
    ]
    return [_table(table), "\n".join(meanings)]


def _table(table: Table) -> str:
    rows = [list(map(_text, table.columns)), ["---"] * len(table.columns)]
    rows += [[f"**{_text(first)}**", *map(_text, others)] for first, *others in table.rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in rows)


def _list(items: Sequence[str]) -> str:
    return "\n".join(f"- {_text(item)}" for item in items)


def _text(text: str) -> str:
    """Escape a text: no emphasis, links, HTML or table borders by accident."""
    line = re.sub(r"([\\`*_\[\]<>|~#$])", r"\\\1", " ".join(text.split()))
    # A line that begins like a list or a number of one.
    return re.sub(r"^([-+]|\d+[.)])(?=\s)", r"\\\1", line)
