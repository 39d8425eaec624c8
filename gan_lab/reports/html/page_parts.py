"""The page's parts as plain HTML, which also show and print without a script."""

import html
import re
from collections.abc import Mapping, Sequence
from typing import Any

from gan_lab.reports.analysis.charts import QUESTIONS
from gan_lab.reports.analysis.model import (
    AXES,
    EventRow,
    Part,
    Section,
    Table,
    events_table,
)
from gan_lab.reports.analysis.names import enumeration
from gan_lab.reports.html import document, marks
from gan_lab.reports.html.marks import Looks
from gan_lab.runs.headline import HEADLINES

_OPEN_EVENTS = 8
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


_HEADINGS = {"curves": "Curves", "budgets": "At equal budgets", "why": "Why", "details": ""}


def parts(i: int, section: Section, data: Mapping[str, Any]) -> str:
    """Return everything below the first screen: curves, equal budgets, why, and folded details."""
    looks, rooms, kinds = data["looks"], [], list(dict.fromkeys(p.kind for p in section.parts))
    has_charts = any(_charts_of(part, data) for part in section.parts)
    for kind in [*kinds, *(["details"] if "details" not in kinds else [])]:
        own = [part for part in section.parts if part.kind == kind]
        if kind == "details":
            rooms.append(_details(section, own, looks))
            continue
        contents = "".join(
            _part(f"{i}-{kind}-{k}", p, data, with_title=len(own) > 1) for k, p in enumerate(own)
        )
        title = own[0].title if len(own) == 1 else _HEADINGS[kind]
        name = f"{kind}-{i}"
        if kind == "why":
            rooms.append(animation(i, section, data))
        rooms.append(
            f'<section class="chapter {kind}" aria-labelledby="{name}"><h2 id="{name}">'
            f"{html.escape(title)}</h2>{contents}</section>"
        )
    if "why" not in kinds:
        rooms.insert(-1, animation(i, section, data))
    bar = toolbar(data) if has_charts else ""
    return f'<div class="parts">{bar}{"".join(rooms)}</div>'


def _part(name: str, part: Part, data: Mapping[str, Any], *, with_title: bool) -> str:
    """Return what a part says and shows."""
    charts = _charts_of(part, data)
    meaning = "".join(f'<p class="meaning">{html.escape(text)}</p>' for text in part.sentences)
    tables = "".join(rich_table(table, data["looks"]) for table in part.tables)
    if charts:
        first = plot(name, part.title, charts, meaning)
    else:
        first = (f"<h3>{html.escape(part.title)}</h3>" if with_title else "") + meaning
    return f"{first}{tables}{events(part.events, data['looks'])}"


def _charts_of(part: Part, data: Mapping[str, Any]) -> dict[int, str]:
    """Return index -> title of the page's charts that are a part's."""
    tags = {chart.tag for chart in part.charts}
    return {i: chart["title"] for i, chart in enumerate(data["charts"]) if chart["tag"] in tags}


def _details(section: Section, own: Sequence[Part], looks: Looks) -> str:
    """Return what is folded: sentences, tables and the losses."""
    words = [*section.sentences, *(text for part in own for text in part.sentences)]
    folds = [("In words", document.bullets(words))] if words else []
    folds += [(t.title, rich_table(t, looks)) for part in own for t in part.tables]
    if items := cards(section, looks):
        folds.append(("The losses", items))
    title = own[0].title if own else "Tables and configuration"
    content = "".join(document.fold(*each) for each in folds)
    return (
        f'<section class="chapter details"><h2>{html.escape(title)}</h2>{content}</section>'
        if folds
        else ""
    )


def rich_table(table: Table, looks: Looks) -> str:
    """Return a table with the line of every group beside its name."""
    heads = marks.swatches(looks)
    return document.table(table.title, table.columns, table.rows, note=table.note, marks=heads)


def toolbar(data: Mapping[str, Any]) -> str:
    """Return one x axis, one scale and one legend for all charts of a section."""
    charts = data["charts"]
    axes = [axis for axis in AXES if any(axis in chart["bands"] for chart in charts)]
    scales = {"linear": "linear", "log": "logarithmic"}
    if names := [HEADLINES.get(c["tag"], c["tag"]) for c in charts if c["logarithmic"]]:
        scales = {"auto": f"logarithmic for {enumeration(names)}", **scales}  # the first is chosen
    with_curve = {n for chart in charts for bands in chart["bands"].values() for n in bands}
    legend = "".join(
        f'<button type="button" class="key" aria-pressed="true" data-label="{html.escape(name)}">'
        f"{marks.with_swatch(name, data['looks'])}</button>"
        for name in data["looks"]
        if name in with_curve
    )
    return (
        '<div class="toolbar">'
        f'<label>Along <select class="axis">{_choices({a: AXES[a] for a in axes})}</select></label>'
        f'<label>Scale <select class="scale">{_choices(scales)}</select></label>'
        f'<div class="legend" role="group" aria-label="Groups shown">{legend}</div></div>'
        '<p class="hint">Lines are means over seeds, bands their 95 % t intervals; the dotted line '
        'is what real data get. <span class="on-screen">Drag over a chart to enlarge, double-click '
        "to go back.</span></p>"
    )


def plot(name: str, title: str, charts: Mapping[int, str], meaning: str) -> str:
    """Return the charts that answer one question: one is shown, the others can be chosen.

    `meaning` is HTML that says what they show.
    """
    hints = {q.title: q.hint for q in QUESTIONS}
    choice = f'<select class="curve">{_choices(charts)}</select>'
    return (
        f'<section class="plot" aria-labelledby="plot-{name}"><div class="plot-head">'
        f'<h3 id="plot-{name}">{html.escape(title)}</h3>'
        f'<label><span class="hidden">Curve: </span>{choice}</label></div>{meaning}'
        f'<p class="hint">{html.escape(hints.get(title, ""))}</p>'
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
    title = "What the discriminator sees" if is_landscape else "The samples, step by step"
    kind = "landscape" if is_landscape else "pictures"
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
        f'<section class="chapter animation" data-kind="{kind}" '
        f'tabindex="0" aria-labelledby="animation-{i}"><h2 id="animation-{i}">{title}</h2>'
        f'{key}<div class="players">{panels}</div>{note}<div class="controls">'
        '<button type="button" class="play" aria-label="Play">'
        '<span aria-hidden="true">&#9654;</span> <span class="word">Play</span></button>'
        f'<input type="range" class="scrub" min="0" max="{last}" value="{last}" step="1" '
        'aria-label="Step of the animation">'
        f'<output class="clock" aria-live="off">step {media["steps"][last]}</output>'
        '<label>Speed <select class="speed"><option value="0.25">1/4</option>'
        '<option value="0.5">1/2</option><option value="1" selected>1</option>'
        '<option value="2">2</option><option value="4">4</option></select></label></div>'
        f'<p class="hint">{hint} <span class="keys">Keys, with the animation in focus: space plays '
        "and pauses, left and right go a step, Home and End to its ends.</span></p></section>"
    )


def _panel(k: int, group: dict[str, Any], looks: Looks) -> str:
    label, last = group["label"], group["snapshots"][-1]
    seed = "" if group["seed"] is None else f'<span class="seed">seed {group["seed"]}</span>'
    name = html.escape(label)
    if "image" in last:
        screen = f'<img alt="Samples of {name}, step {last["step"]}">'  # a script shows it
    else:
        screen = f'<canvas role="img" aria-label="Landscape of {name}"></canvas>'
    heading = f"{marks.with_swatch(label, looks)} {seed}"
    return (
        f'<figure class="player" data-player="{k}"><figcaption>{heading}</figcaption>{screen}'
        f'<p class="caption">step {last["step"]}</p></figure>'
    )


def events(rows: Sequence[EventRow], looks: Looks) -> str:
    """Return the table of events, and below it the meaning of each kind."""
    if not rows:
        return ""
    table = events_table(rows)
    content = rich_table(table, looks)
    if len(table.rows) > _OPEN_EVENTS:
        content = document.fold(f"All {len(rows)} events", content)
    kinds = dict.fromkeys((e.kind, e.explanation, e.advice) for e in rows)
    meanings = "".join(
        f"<div><dt>{html.escape(kind)}</dt><dd>{html.escape(explanation)}"
        f'<p class="advice">{html.escape(advice)}</p></dd></div>'
        for kind, explanation, advice in kinds
    )
    return f'<div class="events">{content}<dl class="meanings">{meanings}</dl></div>'


def cards(section: Section, looks: Looks) -> str:
    """Return the card of each loss."""
    items = "".join(
        f'<article class="card"><h3>{marks.with_swatch(label, looks)}</h3>{_lines(lines)}</article>'
        for label in section.labels
        if (lines := section.cards.get(label))
    )
    return f'<div class="cards">{items}</div>' if items else ""


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
