"""A comparison as one HTML file that opens offline: no request leaves it."""

import base64
import hashlib
import html
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Any

from gan_lab.reports.analysis.model import AXES, Report, Section
from gan_lab.reports.html import embed, page_parts
from gan_lab.runs.run_dir import atomic_write

_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
_WIDTH = 2  # of a line in pixels; matplotlib's dashes are in line widths
_SCRIPTS = ("charts.js", "curves.js", "landscape.js", "animation.js", "page.js")


def write(report: Report, path: Path) -> None:
    """Write the page, atomically.

    Raises:
        OSError: It could not be written, or a picture could not be read.
    """
    atomic_write(path, render(report).encode())


def render(report: Report) -> str:
    """Return the page as text; the same report gives the same text."""
    from plotly.offline import get_plotlyjs  # 5 MB, and a second of import

    data, limits = _data(report)
    scripts = (get_plotlyjs(), "\n".join(map(_asset, _SCRIPTS)))
    parts = {
        "TITLE": html.escape(report.title),
        "POLICY": _policy(scripts),
        "STYLE": _asset("page.css"),
        "BODY": _body(report, data, limits),
        "DATA": script_json(data),
        "PLOTLY": scripts[0],
        "SCRIPT": scripts[1],
    }
    # One pass, so that nothing inside a part is taken for a mark.
    return re.sub(r"@([A-Z]+)@", lambda mark: parts[mark[1]], _asset("page.html"))


def script_json(value: Any) -> str:
    """Return JSON whose texts cannot end the script element; what is not finite becomes null."""
    text = json.dumps(_finite(value), allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return value


def _asset(name: str) -> str:
    # One line end everywhere: a browser reads \r\n as \n before it checks a script's hash.
    text = (resources.files("gan_lab.reports.html") / "assets" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


def _policy(scripts: Sequence[str]) -> str:
    """Return the page's policy: it runs its own scripts and shows its own pictures only."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    sources = " ".join(f"'sha256-{each}'" for each in hashes)
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _data(report: Report) -> tuple[dict[str, Any], list[str]]:
    """Return the scripts' data, and sentences on what does not fit into the page."""
    charts, arrays, limit = embed.curves(report.sections)
    n_media = sum(bool(s.landscapes or s.pictures) for s in report.sections)
    budget = embed.MEDIA_BYTES // max(1, n_media)
    note = f"Curves on this page show at most {limit} points, evenly taken from theirs."
    sections, limits = [], [note] if limit else []
    for section, own_charts in zip(report.sections, charts, strict=True):
        landscapes = embed.landscapes(section, budget)
        grids = None if landscapes else embed.pictures(section, budget)
        media = landscapes or grids or {}
        if media.get("dropped"):
            limits.append(
                f"The animation of {section.name} shows {len(media['steps'])} steps; "
                f"{media['dropped']} more are in the run directories."
            )
        if media.get("scale", 1) < 1:
            limits.append(
                f"Pictures of {section.name} are at {media['scale']:.0%} of their size; the full "
                "ones are in the run directories."
            )
        looks = {label: _look(section, label) for label in section.labels}
        media = {"landscapes": landscapes, "pictures": grids}
        sections.append({"looks": looks, "charts": own_charts, **media})
    return {"sections": sections, "arrays": arrays, "axes": dict(AXES)}, limits


def _look(section: Section, label: str) -> dict[str, str]:
    style = section.styles[label]
    if isinstance(style.line, str):
        dash = _DASHES.get(style.line, "solid")
    else:  # matplotlib's (offset, (on, off, ...))
        dash = ",".join(f"{_WIDTH * length:g}px" for length in style.line[1])
    return {"colour": style.colour, "dash": dash}


def _body(report: Report, data: dict[str, Any], limits: Sequence[str]) -> str:
    several = len(report.sections) > 1
    parts = [
        f'<header><h1>{html.escape(report.title)}</h1>\n<p class="question">'
        f"{html.escape(report.question)}</p></header>",
        _answer(report.sections, several),
    ]
    if report.notes:
        items = "".join(f"<li>{html.escape(note)}</li>" for note in report.notes)
        parts.append(
            '<aside class="notes" aria-labelledby="notes"><h2 id="notes">To know before reading'
            f"</h2><ul>{items}</ul></aside>"
        )
    parts.append(
        '<noscript><p class="notes">Curves and animations need JavaScript, which this page may run '
        "without a network. The words and tables below do not.</p></noscript>"
    )
    for i, section in enumerate(report.sections):
        parts.append(_section(i, section, data["sections"][i], several))
    method = "".join(f"<p>{html.escape(each)}</p>" for each in [*report.method, *limits])
    parts += [
        f'<section class="method"><h2 id="method">How the numbers were made</h2>{method}</section>',
        f"<footer><p>{html.escape(report.origin)}</p></footer>",
    ]
    return "\n".join(parts)


def _answer(sections: Sequence[Section], several: bool) -> str:
    """Return the verdict; with several sections, the first sentence of each."""
    if not several:
        return "".join(_verdict(section) for section in sections)
    items = "".join(
        f'<li><a href="#section-{i}">{html.escape(section.name)}</a>'
        f'<p class="lead">{html.escape(next(iter(section.sentences), ""))}</p></li>'
        for i, section in enumerate(sections)
    )
    return f'<nav class="contents" aria-label="Sections"><ul>{items}</ul></nav>'


def _verdict(section: Section) -> str:
    first, *others = section.sentences or [""]
    items = "".join(f"<li>{html.escape(sentence)}</li>" for sentence in others)
    rest = f"<ul>{items}</ul>" if items else ""
    return f'<div class="verdict"><p class="lead">{html.escape(first)}</p>{rest}</div>'


def _section(i: int, section: Section, data: dict[str, Any], several: bool) -> str:
    looks = data["looks"]
    parts = [
        _verdict(section) if several else "",
        page_parts.animation(i, section, data),
        page_parts.tables(section.tables, looks),
        page_parts.chapters(i, data),
        page_parts.events(section.events, looks),
        page_parts.cards(section, looks),
    ]
    tag = f'<section class="problem" data-section="{i}" aria-labelledby="section-{i}">'
    heading = f'<h2 id="section-{i}">{html.escape(section.name)}</h2>'
    return "\n".join([tag, heading, *filter(None, parts), "</section>"])
