"""The page's parts as plain HTML, which also show and print without a script."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.reports.analysis.charts import QUESTIONS
from gan_lab.reports.analysis.model import AXES, EventRow, Section, Table, events_table

_OPEN_TABLES = 2  # the others unfold below their titles
_OPEN_EVENTS = 8
_LONG = 32  # characters of a cell
_PATTERNS = {"solid": "", "dash": "7 4", "dot": "2 3", "dashdot": "7 3 2 3"}
_MAP_HINT = (
    "The logit of each discriminator at every point of the data's window, from low to high; the "
    "colours span"
)
_LINE_HINT = (
    "Above, the densities of data and samples over the data's window; below, the logit of each "
    "discriminator at every point. Its height spans"
)
_ANIMATION_HINT = (
    " each picture's own range, which is printed below it, since the levels of different losses "
    "cannot be compared. Arrows are the gradient of the logit at samples: the direction in which a "
    "sample looks more real."
)
_RAMP = '<span class="ramp"></span>logit, low to high'
Looks = Mapping[str, Mapping[str, str]]


def swatch(look: Mapping[str, str]) -> str:
    """Return the line of a group that stands beside its name everywhere."""
    dash = _PATTERNS.get(look["dash"], look["dash"].replace("px", "").replace(",", " "))
    return (
        '<svg class="swatch" viewBox="0 0 28 8" width="28" height="8" aria-hidden="true">'
        f'<line x1="1" x2="27" y1="4" y2="4" stroke-dasharray="{html.escape(dash)}" '
        f'style="stroke:{ink(look["colour"])}"/></svg>'
    )


def ink(colour: str) -> str:
    """Return a colour that the style sheet may replace by one with contrast in the dark."""
    name = re.sub(r"[^0-9A-Fa-f]", "", colour).upper()
    return f"var(--ink-{name}, #{name})"


def tables(each: Sequence[Table], looks: Looks) -> str:
    """Return the first tables open, the others folded below their titles."""
    if not each:
        return ""
    parts = ['<section class="numbers"><h3>The numbers</h3>']
    for i, table in enumerate(each):
        title, content = html.escape(table.title), rich_table(table, looks)
        if i < _OPEN_TABLES:
            parts.append(f"<h4>{title}</h4>{content}")
        else:
            parts.append(f"<details><summary>{title}</summary>{content}</details>")
    return "".join(parts) + "</section>"


def rich_table(table: Table, looks: Looks) -> str:
    """Return a table in a box that scrolls by itself; the first column heads the rows."""
    columns = list(zip(*table.rows, strict=True)) or [()] * len(table.columns)
    kinds = ["", *map(_kind, columns[1:])]
    head = "".join(
        f'<th scope="col"{kind}>{_with_swatch(name, looks)}</th>'
        for name, kind in zip(table.columns, kinds, strict=True)
    )
    rows = ""
    for first, *others in table.rows:
        cells = zip(map(_cell, others), kinds[1:], strict=True)
        rows += f'<tr><th scope="row">{_with_swatch(first, looks)}</th>'
        rows += "".join(f"<td{kind}>{cell}</td>" for cell, kind in cells) + "</tr>"
    title, note = html.escape(table.title), html.escape(table.note)
    # Focusable, so that arrow keys scroll it.
    return (
        f'<div class="scroll" tabindex="0" role="region" aria-label="{title}"><table>'
        f'<caption class="hidden">{title}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div>"
        f'<p class="table-note">{note}</p>'
    )


def _kind(column: Sequence[str]) -> str:
    """Return the class of a column's cells: numbers stay on one line, long texts get room."""
    if any(map(_is_number, column)) and all(_is_number(cell) or cell in "-" for cell in column):
        return ' class="n"'
    return ' class="long"' if any(len(cell) > _LONG for cell in column) else ""


def _is_number(cell: str) -> bool:
    return re.match(r"[-+]?(\d|inf\b|nan\b)", cell) is not None


def _with_swatch(text: str, looks: Looks) -> str:
    return (swatch(looks[text]) + " " if text in looks else "") + html.escape(text)


def _cell(text: str) -> str:
    # The interval is quieter than its number.
    match = re.fullmatch(r"([^\[(]+) (\[.*\]|\(.*\))", text)
    if not match:
        return html.escape(text)
    return f'{html.escape(match[1])} <span class="interval">{html.escape(match[2])}</span>'


def chapters(i: int, data: Mapping[str, Any]) -> str:
    """Return the curves: one x axis and one legend for all, a chapter a question, a select each."""
    charts = data["charts"]
    if not charts:
        return ""
    axes = [axis for axis in AXES if any(axis in chart["bands"] for chart in charts)]
    axis_choices = _choices({axis: AXES[axis] for axis in axes})
    with_curve = {n for chart in charts for bands in chart["bands"].values() for n in bands}
    names = [name for name in data["looks"] if name in with_curve]
    legend = "".join(
        f'<button type="button" class="key" aria-pressed="true" data-label="{html.escape(name)}">'
        f"{_with_swatch(name, data['looks'])}</button>"
        for name in names
    )
    hints = {q.title: q.hint for q in QUESTIONS}
    titles = list(dict.fromkeys(chart["question"] for chart in charts))
    titles.sort(key=lambda title: list(hints).index(title) if title in hints else len(hints))
    return (
        '<section class="curves"><h3>The curves</h3>'
        '<p class="hint">Lines are means over seeds, bands their 95 % t intervals; the dotted line '
        'is the floor, what real samples get. <span class="on-screen">Drag over a chart to '
        "enlarge, double-click to go back.</span></p>"
        '<div class="toolbar">'
        f'<label>Along <select class="axis">{axis_choices}</select></label>'
        '<label>Scale <select class="scale"><option value="linear">linear</option>'
        '<option value="log">logarithmic</option></select></label>'
        f'<div class="legend" role="group" aria-label="Groups shown">{legend}</div></div>'
        + "".join(_chapter(f"{i}-{k}", title, hints, charts) for k, title in enumerate(titles))
        + "</section>"
    )


def _chapter(
    name: str, title: str, hints: Mapping[str, str], charts: Sequence[Mapping[str, Any]]
) -> str:
    curve_choices = _choices(
        {i: chart["title"] for i, chart in enumerate(charts) if chart["question"] == title}
    )
    return (
        f'<section class="chapter" aria-labelledby="chapter-{name}"><div class="chapter-head">'
        f'<h4 id="chapter-{name}">{html.escape(title)}</h4>'
        f'<label><span class="hidden">Curve: </span><select class="curve">{curve_choices}</select>'
        f'</label></div><p class="hint">{html.escape(hints.get(title, ""))}</p>'
        '<div class="chart" role="img"></div><p class="chart-note" aria-live="polite"></p>'
        '<div class="print-charts"></div></section>'
    )


def _choices(texts: Mapping[Any, str]) -> str:
    return "".join(f'<option value="{k}">{html.escape(v)}</option>' for k, v in texts.items())


def animation(i: int, section: Section, data: Mapping[str, Any]) -> str:
    """Return the players of a section side by side with one set of controls, if it has any."""
    media = data["landscapes"] or data["pictures"]
    if not media:
        return ""
    is_landscape, last = data["landscapes"] is not None, len(media["steps"]) - 1
    panels = "".join(_panel(k, each, data["looks"]) for k, each in enumerate(media["groups"]))
    missing = [name for name in section.labels if name not in {g["label"] for g in media["groups"]}]
    note = f"<p class='hint'>No pictures: {html.escape(', '.join(missing))}.</p>" if missing else ""
    title = "The landscape animation" if is_landscape else "The samples, step by step"
    hint, key = "Samples from the same noise at every step.", ""
    if is_landscape:
        flat = len(media["groups"][0]["snapshots"][0]["window"]) == 1
        hint = (_LINE_HINT if flat else _MAP_HINT) + _ANIMATION_HINT
        scale = '<span class="dot line"></span>logit' if flat else _RAMP
        key = (
            '<ul class="animation-key"><li><span class="dot real"></span>data</li>'
            f'<li><span class="dot fake"></span>samples</li><li>{scale}</li></ul>'
        )
    return (
        f'<section class="animation" data-kind="{"landscape" if is_landscape else "pictures"}" '
        f'tabindex="0" aria-labelledby="animation-{i}"><h3 id="animation-{i}">{title}</h3>'
        f'<p class="hint">{hint}</p>{key}'
        f'<div class="players">{panels}</div>{note}<div class="controls">'
        '<button type="button" class="play" aria-label="Play">'
        '<span aria-hidden="true">&#9654;</span> <span class="word">Play</span></button>'
        f'<input type="range" class="scrub" min="0" max="{last}" value="{last}" step="1" '
        'aria-label="Step of the animation">'
        f'<output class="clock" aria-live="off">step {media["steps"][last]}</output>'
        '<label>Speed <select class="speed"><option value="0.25">1/4</option>'
        '<option value="0.5">1/2</option><option value="1" selected>1</option>'
        '<option value="2">2</option><option value="4">4</option></select></label></div>'
        '<p class="hint keys">Keys, with the animation in focus: space plays and pauses, left and '
        "right go a step, Home and End to its ends.</p></section>"
    )


def _panel(k: int, group: dict[str, Any], looks: Looks) -> str:
    label, last = group["label"], group["snapshots"][-1]
    seed = "" if group["seed"] is None else f'<span class="seed">seed {group["seed"]}</span>'
    name = html.escape(label)
    if "image" in last:
        # Here, and only here: it shows without a script, and the page stays small.
        screen = f'<img src="{last["image"]}" alt="Samples of {name}, step {last["step"]}">'
        last["image"] = None
    else:
        screen = f'<canvas role="img" aria-label="Landscape of {name}"></canvas>'
    return (
        f'<figure class="player" data-player="{k}"><figcaption>{_with_swatch(label, looks)} {seed}'
        f'</figcaption>{screen}<p class="caption">step {last["step"]}</p></figure>'
    )


def events(rows: Sequence[EventRow], looks: Looks) -> str:
    """Return the table of events, and below it the meaning of each kind."""
    if not rows:
        return ""
    table = events_table(rows)
    content = rich_table(table, looks)
    if len(table.rows) > _OPEN_EVENTS:
        content = f"<details><summary>All {len(rows)} events</summary>{content}</details>"
    kinds = dict.fromkeys((e.kind, e.explanation, e.advice) for e in rows)
    meanings = "".join(
        f"<div><dt>{html.escape(kind)}</dt><dd>{html.escape(explanation)}"
        f'<p class="advice">{html.escape(advice)}</p></dd></div>'
        for kind, explanation, advice in kinds
    )
    return (
        f'<section class="events"><h3>What happened</h3>{content}<dl class="meanings">{meanings}'
        "</dl></section>"
    )


def cards(section: Section, looks: Looks) -> str:
    """Return the card of each loss."""
    items = "".join(
        f'<article class="card"><h4>{_with_swatch(label, looks)}</h4>{_lines(lines)}</article>'
        for label in section.labels
        if (lines := section.cards.get(label))
    )
    cards = f'<section><h3>The losses</h3><div class="cards">{items}</div></section>'
    return cards if items else ""


def _lines(lines: Sequence[str]) -> str:
    """Return lines "name: text" as a list of definitions, others as paragraphs."""
    parts = []
    for line in lines:
        name, colon, text = line.partition(": ")
        if colon and re.fullmatch(r"[\w ]{1,24}", name):
            kind = ' class="formula"' if name in ("discriminator", "generator") else ""
            parts.append(f"<dt>{html.escape(name)}</dt><dd{kind}>{html.escape(text)}</dd>")
        else:
            parts.append(f"<dd>{html.escape(line)}</dd>")
    return f"<dl>{''.join(f'<div>{part}</div>' for part in parts)}</dl>"
