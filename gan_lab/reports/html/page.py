"""A comparison as one HTML file that opens offline: no request leaves it."""

import html
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from gan_lab.reports.analysis.model import AXES, Report, Section
from gan_lab.reports.html import document, embed, first_screen, page_parts
from gan_lab.runs.run_dir import atomic_write

_DASHES = {"-": "solid", "--": "dash", "-.": "dashdot", ":": "dot"}
_WIDTH = 2  # of a line in pixels; matplotlib's dashes are in line widths
_NO_SCRIPT = (
    '<noscript><p class="notes">Curves and animations need JavaScript, which this page may run '
    "without a network. The words, samples and tables do not.</p></noscript>"
)
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
    body = _body(report, data, limits)
    scripts = (get_plotlyjs(), "\n".join(map(document.asset, _SCRIPTS)))
    style, text = document.asset("page.css"), document.script_json(data)
    return document.document(report.title, body, style=style, data=text, scripts=scripts)


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
    parts = [document.header(report.title, report.question)]
    if len(report.sections) > 1:
        parts.append(_contents(report.sections))
    notes = document.fold("To know before reading", document.bullets(report.notes))
    notes = f'<div class="before">{notes}</div>' if report.notes else ""
    in_title = len(report.sections) == 1 and report.sections[0].name in report.title
    for i, section in enumerate(report.sections):
        own = data["sections"][i]
        first = first_screen.first_screen(i, section, own, has_name=not in_title)
        below = page_parts.parts(i, section, own)
        parts.append(
            f'<article class="problem" data-section="{i}" aria-labelledby="section-{i}">{first}'
            f"{(notes + _NO_SCRIPT) if i == 0 else ''}{below}</article>"
        )
    method = document.paragraphs([*report.method, *limits])
    parts += [
        f'<div class="method">{document.fold("How the numbers were made", method)}</div>',
        f"<footer><p>{html.escape(report.origin)}</p></footer>",
    ]
    return "\n".join(parts)


def _contents(sections: Sequence[Section]) -> str:
    """Return the badges of all sections, each with a link to its own."""
    items = "".join(
        f'<li><a href="#section-{i}">{html.escape(section.name)}</a> {first_screen.badge(section)}'
        "</li>"
        for i, section in enumerate(sections)
    )
    return f'<nav class="contents" aria-label="Sections"><ul>{items}</ul></nav>'
