"""The shell of every HTML page: one file that opens offline, light, dark and on paper.

Parameters called `content` are HTML that was made here; all other texts are plain and escaped.
"""

import base64
import hashlib
import html
import io
import json
import math
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from typing import Any, Literal

from PIL import Image

Kind = Literal["good", "open", "bad", "note"]
_LONG = 32  # characters of a cell
_MEDIA_TYPES = {"PNG": "image/png", "GIF": "image/gif", "JPEG": "image/jpeg"}


def document(
    title: str, body: str, *, style: str = "", data: str = "", scripts: Sequence[str] = ()
) -> str:
    """Return a whole page as text.

    Args:
        title: Of the window.
        body: HTML of the page, made of the functions below.
        style: CSS after that of all pages.
        data: JSON (`script_json`) that scripts find in the element "data"; "" for none.
        scripts: JavaScript; the page's policy allows these and no others.
    """
    elements = [f'<script type="application/json" id="data">{data}</script>'] if data else []
    elements += [f"<script>{script}</script>" for script in scripts]
    parts = {
        "TITLE": html.escape(title),
        "POLICY": _policy(scripts),
        "STYLE": "\n".join(filter(None, (asset("document.css"), style))),
        "BODY": body,
        "SCRIPTS": "\n".join(elements),
    }
    # One pass, so that nothing inside a part is taken for a mark.
    return re.sub(r"@([A-Z]+)@", lambda mark: parts[mark[1]], asset("document.html"))


def asset(name: str) -> str:
    """Return a file of the package's assets."""
    # One line end everywhere: a browser reads \r\n as \n before it checks a script's hash.
    text = (resources.files("gan_lab.reports.html") / "assets" / name).read_text(encoding="utf-8")
    return text.replace("\r\n", "\n")


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


def _policy(scripts: Sequence[str]) -> str:
    """Return the page's policy: it runs its own scripts and shows its own pictures only."""
    hashes = (base64.b64encode(hashlib.sha256(s.encode()).digest()).decode() for s in scripts)
    sources = " ".join(f"'sha256-{each}'" for each in hashes) or "'none'"
    return (
        f"default-src 'none'; script-src {sources}; style-src 'unsafe-inline'; img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def header(title: str, question: str = "") -> str:
    """Return the page's title, which is small: the answer below it is what matters."""
    line = f'<p class="question">{html.escape(question)}</p>' if question else ""
    return f"<header><h1>{html.escape(title)}</h1>{line}</header>"


def badge(kind: Kind, text: str) -> str:
    """Return a verdict in a few words.

    Args:
        kind: "good" where a claim is shown, "open" where it is undecided or inconclusive, "bad"
            where it is contradicted or failed, "note" for all else.
        text: The words; the colour alone says nothing.
    """
    return f'<span class="badge {kind}">{html.escape(text)}</span>'


def verdict(kind: Kind, text: str, headline: str, details: Sequence[str] = ()) -> str:
    """Return a badge, the sentence that it stands for, and a few more."""
    return (
        f'<div class="verdict">{badge(kind, text)}<p class="headline">{html.escape(headline)}</p>'
        f"{bullets(details)}</div>"
    )


def section(title: str, content: str, *, name: str = "") -> str:
    """Return a chapter; `name` is its anchor, made from the title if there is none."""
    name = name or re.sub(r"[^a-z0-9]+", "-", title.lower()).strip("-") or "section"
    return (
        f'<section class="chapter" aria-labelledby="{html.escape(name)}">'
        f'<h2 id="{html.escape(name)}">{html.escape(title)}</h2>{content}</section>'
    )


def paragraphs(texts: Sequence[str]) -> str:
    """Return texts as paragraphs."""
    return "".join(f"<p>{html.escape(text)}</p>" for text in texts)


def bullets(texts: Sequence[str]) -> str:
    """Return texts as a list; "" for none."""
    items = "".join(f"<li>{html.escape(text)}</li>" for text in texts)
    return f"<ul>{items}</ul>" if items else ""


def notes(title: str, texts: Sequence[str]) -> str:
    """Return a box of things to know; "" for none."""
    content = f'<aside class="notes"><h2>{html.escape(title)}</h2>{bullets(texts)}</aside>'
    return content if texts else ""


def fold(title: str, content: str, *, is_open: bool = False) -> str:
    """Return content that unfolds below its title; on paper it is open."""
    state = " open" if is_open else ""
    return f"<details{state}><summary>{html.escape(title)}</summary>{content}</details>"


def figure(picture: bytes, text: str, caption: str = "") -> str:
    """Return a picture (PNG, GIF, JPEG or SVG) inside the page.

    Args:
        picture: The content of its file.
        text: What it shows, for who cannot see it.
        caption: A sentence below it.
    """
    below = f"<figcaption>{html.escape(caption)}</figcaption>" if caption else ""
    source = data_uri(picture)
    return f'<figure class="picture"><img src="{source}" alt="{html.escape(text)}">{below}</figure>'


def data_uri(picture: bytes) -> str:
    """Return a picture as an address that holds it.

    Raises:
        ValueError: It is neither PNG, GIF, JPEG nor SVG.
    """
    if picture.lstrip()[:5] in (b"<?xml", b"<svg ") and b"<svg" in picture:
        media_type = "image/svg+xml"  # in an img element no script of it runs
    else:
        try:
            with Image.open(io.BytesIO(picture), formats=list(_MEDIA_TYPES)) as image:
                media_type = _MEDIA_TYPES[str(image.format)]
        except OSError as error:
            raise ValueError("a picture must be PNG, GIF, JPEG or SVG") from error
    return f"data:{media_type};base64,{base64.b64encode(picture).decode()}"


def table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[str]],
    *,
    note: str = "",
    marks: Mapping[str, str] | None = None,
) -> str:
    """Return a table in a box that scrolls by itself; the first column heads the rows.

    Args:
        title: For who cannot see it; a heading above it is the caller's.
        columns: Names, with units in brackets.
        rows: As many texts each as there are columns.
        note: How to read it.
        marks: Text of a head -> HTML that stands before it, as the line of a group.
    """
    cells_of_columns = list(zip(*rows, strict=True)) or [()] * len(columns)
    kinds = ["", *map(_cell_class, cells_of_columns[1:])]
    marks = marks or {}

    def head(text: str) -> str:
        return (marks[text] + " " if text in marks else "") + html.escape(text)

    names = "".join(
        f'<th scope="col"{kind}>{head(name)}</th>'
        for name, kind in zip(columns, kinds, strict=True)
    )
    lines = ""
    for first, *others in rows:
        cells = zip(map(_cell, others), kinds[1:], strict=True)
        lines += f'<tr><th scope="row">{head(first)}</th>'
        lines += "".join(f"<td{kind}>{cell}</td>" for cell, kind in cells) + "</tr>"
    label = html.escape(title)
    below = f'<p class="table-note">{html.escape(note)}</p>' if note else ""
    # Focusable, so that arrow keys scroll it.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{label}"><table>'
        f'<caption class="hidden">{label}</caption>'
        f"<thead><tr>{names}</tr></thead><tbody>{lines}</tbody></table></div>{below}"
    )


def _cell_class(column: Sequence[str]) -> str:
    """Return the class of a column's cells: numbers stay on one line, long texts get room."""
    if any(map(_is_number, column)) and all(_is_number(cell) or cell in "-" for cell in column):
        return ' class="n"'
    return ' class="long"' if any(len(cell) > _LONG for cell in column) else ""


def _is_number(cell: str) -> bool:
    return re.match(r"[-+]?(\d|inf\b|nan\b)", cell) is not None


def _cell(text: str) -> str:
    # The interval is quieter than its number.
    match = re.fullmatch(r"([^\[(]+) (\[.*\]~?|\(.*\))", text)
    if not match:
        return html.escape(text)
    return f'{html.escape(match[1])} <span class="interval">{html.escape(match[2])}</span>'
