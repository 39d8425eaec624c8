"""docs/reliability.md, written from what the campaigns left in docs/reliability/*.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.campaigns.record import RESULTS

# Campaigns in the order of the page.
ORDER = (
    *("kills", "disks", "damage", "numbers", "inputs", "fuzz", "determinism", "soak"),
    "docker",
)

_INTRODUCTION = """\
# Reliability

Faults done to gan_lab on purpose, and what each one lost. `python -m tests.campaigns` writes this
page from `docs/reliability/*.json`; do not edit it. The same campaigns run as tests, a small part
of each by default and all of them with `./scripts/test.sh -m slow tests/campaigns`.

    .venv/bin/python -m tests.campaigns            # all campaigns, about {minutes} minutes
    .venv/bin/python -m tests.campaigns kills 20   # one campaign, 20 faults of it
    .venv/bin/python -m tests.campaigns --render   # this page, from the stored results

A fault is *survived* if everything that its section promises holds after it, and *lost* otherwise.
"""


def load(folder: Path = RESULTS) -> list[dict[str, Any]]:
    """What every campaign left, in the order of the page."""
    paths = {path.stem: path for path in folder.glob("*.json")}
    names = [*(name for name in ORDER if name in paths), *sorted(paths.keys() - set(ORDER))]
    return [json.loads(paths[name].read_text()) for name in names]


def render(folder: Path = RESULTS) -> str:
    """The whole page, from a folder of results."""
    campaigns = load(folder)
    parts = [_INTRODUCTION.format(minutes=_minutes(campaigns)), _overview(campaigns)]
    return "\n".join([*parts, *map(_section, campaigns)])


def _minutes(campaigns: Sequence[Mapping[str, Any]]) -> int:
    """How long all took, to five minutes."""
    return max(5, 5 * round(sum(c["seconds"] for c in campaigns) / 300))


def _overview(campaigns: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for campaign in campaigns:
        tried, survived, lost = (_total(campaign, key) for key in ("tried", "survived", "lost"))
        title = f"[{campaign['title']}](#{campaign['name']})"
        rows.append([title, tried, survived, lost, campaign["date"][:10]])
    sums = [sum(row[k] for row in rows) for k in (1, 2, 3)]
    return _table(
        ["campaign", "faults tried", "survived", "lost", "on"], [*rows, ["**all**", *sums, ""]]
    )


def _total(campaign: Mapping[str, Any], key: str) -> int:
    return sum(row[key] for row in campaign["rows"])


def _section(campaign: Mapping[str, Any]) -> str:
    rows = [[row[key] for key in ("kind", "tried", "survived", "lost")] for row in campaign["rows"]]
    hardware, versions = campaign["hardware"], campaign["versions"]
    where = (
        f"On {hardware['cpu']}, {hardware['cores']} cores, torch {versions['torch']}, Python "
        f"{versions['python']}."
    )
    parts = [
        f'<a id="{campaign["name"]}"></a>\n## {campaign["title"]}\n',
        f"{_sentence(campaign['expected'])}\n\n{where}\n",
        _table(["what was done", "tried", "survived", "lost"], rows),
    ]
    if campaign["lost"]:
        parts.append("Lost:\n")
        parts += [f"- {lost['kind']}, {lost['what']}: {lost['lost']}" for lost in campaign["lost"]]
        parts.append("")
    if campaign["measured"]:
        parts.append("Measured:\n")
        parts.append(_measured(campaign["measured"]))
    return "\n".join(parts)


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:].removesuffix('.')}."


def _measured(values: Mapping[str, Any]) -> str:
    """Numbers by name as a list; a list of rows of equal keys as a table."""
    lines = []
    for name, value in values.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            head = list({key: None for row in value for key in row})
            lines += [
                *([""] if lines else []),
                f"{name}:",
                "",
                _table(head, [[row.get(key) for key in head] for row in value]),
            ]
        else:
            lines.append(f"- {name}: {_shown(value)}")
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return f"| {' | '.join(_shown(cell).replace('|', '/') for cell in cells)} |"

    rule = "|" + "".join(" --- |" if index == 0 else " ---: |" for index in range(len(head)))
    return "\n".join([line(head), rule, *map(line, rows)]) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, bool) or not isinstance(value, float):
        return "" if value is None else str(value)
    return f"{value:.3g}"
