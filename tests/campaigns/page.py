"""docs/reliability.md, written from what the campaigns left in docs/reliability/*.json."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.campaigns.record import RESULTS

# In the order of the page.
CAMPAIGNS = (
    *("kills", "disks", "damage", "numbers", "inputs", "fuzz", "determinism", "soak"),
    "planted",
)

_COUNTS = ("tried", "survived", "lost")
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
    paths = [folder / f"{name}.json" for name in CAMPAIGNS]
    others = sorted(set(folder.glob("*.json")) - set(paths))
    return [json.loads(path.read_text()) for path in (*paths, *others) if path.exists()]


def render(folder: Path = RESULTS) -> str:
    """The whole page, from a folder of results."""
    campaigns = load(folder)
    minutes = max(5, 5 * round(sum(c["seconds"] for c in campaigns) / 300))
    parts = [_INTRODUCTION.format(minutes=minutes), _overview(campaigns)]
    return "\n".join([*parts, *map(_section, campaigns)])


def _overview(campaigns: Sequence[Mapping[str, Any]]) -> str:
    rows = []
    for campaign in campaigns:
        title = f"[{campaign['title']}](#{campaign['name']})"
        counts = [sum(row[key] for row in campaign["rows"]) for key in _COUNTS]
        rows.append([title, *counts, campaign["date"][:10]])
    rows.append(["**all**", *(sum(row[k] for row in rows) for k in (1, 2, 3)), ""])
    return _table(["campaign", "faults tried", "survived", "lost", "on"], rows)


def _section(campaign: Mapping[str, Any]) -> str:
    rows = [[row[key] for key in ("kind", *_COUNTS)] for row in campaign["rows"]]
    hardware, versions, expected = (campaign[k] for k in ("hardware", "versions", "expected"))
    parts = [
        f'<a id="{campaign["name"]}"></a>\n## {campaign["title"]}\n',
        f"{expected[:1].upper()}{expected[1:].removesuffix('.')}.\n",
        f"On {hardware['cpu']}, {hardware['cores']} cores, torch {versions['torch']}, Python "
        f"{versions['python']}.\n",
        _table(["what was done", *_COUNTS], rows),
    ]
    if campaign["lost"]:
        faults = [f"- {lost['kind']}, {lost['what']}: {lost['lost']}" for lost in campaign["lost"]]
        parts += ["Lost:\n", *faults, ""]
    if campaign["measured"]:
        parts += ["Measured:\n", _measured(campaign["measured"])]
    return "\n".join(parts)


def _measured(values: Mapping[str, Any]) -> str:
    """Numbers by name as a list; a list of rows of equal keys as a table."""
    lines = []
    for name, value in values.items():
        if isinstance(value, list) and value and all(isinstance(row, dict) for row in value):
            head = list({key: None for row in value for key in row})
            table = _table(head, [[row.get(key) for key in head] for row in value])
            lines += [*([""] if lines else []), f"{name}:", "", table]
        else:
            lines.append(f"- {name}: {_shown(value)}")
    return "\n".join(lines) + "\n"


def _table(head: Sequence[str], rows: Sequence[Sequence[Any]]) -> str:
    def line(cells: Sequence[Any]) -> str:
        return f"| {' | '.join(_shown(cell).replace('|', '/') for cell in cells)} |"

    rule = "|" + "".join(" --- |" if index == 0 else " ---: |" for index in range(len(head)))
    return "\n".join([line(head), rule, *map(line, rows)]) + "\n"


def _shown(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.3g}"
    return "" if value is None else str(value)
