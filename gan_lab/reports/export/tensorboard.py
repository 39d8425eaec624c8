"""A comparison for TensorBoard: a run for each group with its mean and band over seeds.

On the page of custom scalars every question is a category and every curve a margin chart. A run of
one seed has a layout as well, with its own intervals where it has any.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gan_lab.loggers import base
from gan_lab.reports.analysis.charts import CURVES, QUESTIONS, Curve, first, title
from gan_lab.reports.analysis.model import Band, Chart, EventRow, Report, Section, Table
from gan_lab.reports.plots.style import GREY
from gan_lab.runs.headline import FRECHET, HEADLINES
from gan_lab.runs.run_dir import atomic_write

if TYPE_CHECKING:
    from gan_lab.loggers.tensorboard_writer import TensorBoardWriter

Layout = Sequence[base.Chart]

# Runs beside the groups' means: what real samples get, as a line in every chart; and the words,
# which would else stand in the run of every group.
MEAN, FLOOR, WORDS = "mean", "real data", "verdict and tables"
COLOURS = "colours.json"  # beside the runs: name of a group or of the floor -> its colour
_MAX_NAME = 100
# Columns of the HParams table beside the headlines, as many as TensorBoard shows at first with
# two metrics.
_N_CHOICES = 4
_METRICS = (
    *("features/legible_share", "features/coverage", "divergence/js", "neural_distance/js"),
    *("modes/covered", "samples/pairwise_distance"),
)

_COST = "What did it cost?"
_COSTS = {
    "time/train_seconds": "Training (s)",
    "time/steps_per_second": "Steps a second",
    "time/evaluation_share": "Share of the time spent on measuring",
}

_HOW_TO_READ = """\
Every run is a group of seeds: its line is the mean, its band the 95 % t interval over the seeds. \
Where only one seed was measured there is no interval, and the band has no width. \
The run '{floor}' is what real samples get. Steps are rounds of the game."""


def layout(
    has_features: bool = False,
    headline: str | None = None,
    high_dimensional: bool = False,
    n: int | None = None,
) -> Layout:
    """Return the page of a single run: bands where a run has own intervals, the headline first.

    Args:
        has_features: Whether the run measures distances in features, which are of images alone.
        headline: The tag that sums the run up.
        high_dimensional: Whether W1 is called sample W1.
        n: Samples on each side of it.
    """
    charts = [
        base.Chart(
            question.title,
            _title(curve, title(curve, high_dimensional, n)),
            *(curve.tag, has_band),
        )
        for question in QUESTIONS
        for has_band in (False, True)
        for curve in first(question.curves, headline)
        if bool(curve.interval) == has_band
        if has_features or not curve.is_of_features
    ]
    return charts + [base.Chart(_COST, title, tag, has_band=False) for tag, title in _COSTS.items()]


def names(report: Report) -> dict[tuple[str, str], tuple[str, str]]:
    """Return (section, label) -> names of its directories that no other has: ring, wgan_gp."""
    sections = _names([section.name for section in report.sections], others=[MEAN])
    return {
        (section.name, label): (data, name)
        for section, data in zip(report.sections, sections, strict=True)
        for label, name in zip(section.labels, _names(section.labels), strict=True)
    }


def write(report: Report, directory: Path) -> None:
    """Write the runs of a comparison; event files that are there are replaced.

    A run is `directory/mean/<group>`, or `directory/<section>/mean/<group>` where there are several
    sections. Of several sections each tag begins with the section, `ring/divergence/wasserstein`,
    so that two data sets share no chart. Scalars are at the steps of `Chart.bands["step"]`:
    `<tag>`, the ends of its interval and, where there is one, `<tag>_floor`; `final/<tag>` at the
    last step. A band without an interval gets low and high equal to the mean: a margin chart shows
    nothing without them.

    The directory is for these runs alone.

    Raises:
        OSError: A file cannot be written, or a picture cannot be read.
    """
    for old in directory.rglob("events.out.tfevents.*"):
        old.unlink()
    append(report, directory)


def append(report: Report, directory: Path, beside_runs: bool = False) -> None:
    """Write the runs of a comparison; a TensorBoard that shows earlier ones shows these instead.

    Args:
        report: The comparison.
        directory: See `write`.
        beside_runs: Whether the groups' own runs, with their pictures and rows of the HParams
            table, stand there, too.
    """
    folders, report = names(report), _separate(report)
    write_colours(report, directory)
    page, rows, metrics = _layout_over_seeds(report), _hparams(report), _metrics(report)
    for section in report.sections:
        data = folders[section.name, section.labels[0]][0]
        home = directory / data if len(report.sections) > 1 else directory
        _write_words(report, section, home / WORDS, page)
        _write_floor(section, home / FLOOR, page)
        for label in section.labels:
            name = home / MEAN / folders[section.name, label][1]
            row = None if beside_runs else rows[section.name, label]
            columns = [f"final/{section.headline}", *metrics]
            _write_group(section, label, name, page, row, columns)


def write_colours(report: Report, directory: Path) -> None:
    """Write the colours of groups, which are those of every page and picture."""
    folders, colours = names(report), {FLOOR: GREY}
    for section in report.sections:
        for label, style in section.styles.items():
            colours.setdefault(folders[section.name, label][1], style.colour)
    atomic_write(directory / COLOURS, json.dumps(colours, indent=1).encode())


def append_real_data(report: Report, directory: Path) -> None:
    """Write the charts of single runs, and what real samples get as a line in them."""
    write_colours(report, directory)
    charts = {chart.tag: chart for section in report.sections for chart in section.charts}
    page = []
    for chart in layout(has_features=True, headline=report.sections[0].headline):
        if chart.tag in charts:
            name = _title(CURVES[chart.tag], charts[chart.tag].title)
            page.append(chart._replace(title=name))
        elif chart.category == _COST:
            page.append(chart)
    _writer(directory / FLOOR, page).close()
    if len(report.sections) == 1:  # each has its own floor
        _write_floor(report.sections[0], directory / FLOOR, page)


def with_all_curves(report: Report) -> Report:
    """Return a report with an empty chart for each curve that its runs may have later.

    TensorBoard reads a layout once: what is not in it when a run begins has no chart until the end.
    """
    sections = []
    for section in report.sections:
        charts = {chart.tag: chart for chart in section.charts}
        # Of features where some are there, or where nothing was measured yet.
        has_features = not charts or section.headline == FRECHET
        for question in QUESTIONS:
            for c in question.curves:
                if c.is_of_features and not has_features:
                    continue
                name = title(c, section.is_high_dimensional)
                charts.setdefault(c.tag, Chart(c.tag, name, c.unit, None, question.title, {}))
        sections.append(
            replace(section, charts=[charts[tag] for tag in {**CURVES, **charts} if tag in charts])
        )
    return replace(report, sections=sections)


def _separate(report: Report) -> Report:
    """Give each of several sections tags of its own: TensorBoard joins what has one tag."""
    if len(report.sections) == 1:
        return report
    sections = []
    for section in report.sections:
        charts = [
            replace(c, tag=f"{section.name}/{c.tag}", question=f"{section.name}: {c.question}")
            for c in section.charts
        ]
        sections.append(replace(section, charts=charts))
    return replace(report, sections=sections)


def _write_group(
    section: Section,
    label: str,
    directory: Path,
    page: Layout,
    choices: Mapping[str, Any] | None,
    metrics: Sequence[str],
) -> None:
    writer = _writer(directory, page)
    if choices is not None:
        writer.hparams(choices, metrics)
    if card := section.cards.get(label):
        writer.text("loss_card", _list(card))
    if events := [event for event in section.events if event.group == label]:
        writer.text("events", _events(events))
    rows: dict[int, dict[str, float]] = {}
    for chart in section.charts:
        band = chart.bands.get("step", {}).get(label)
        if band is not None:
            for step, values in _points(chart, band):
                rows.setdefault(step, {}).update(values)
    last = max(rows, default=0)
    finals = {f"final/{tag}": value for tag, value in section.finals.get(label, {}).items()}
    rows.setdefault(last, {}).update(finals)
    for step in sorted(rows):
        writer.scalars(step, rows[step])
    if choices is not None:
        # Not above: the runs of a dashboard have their pictures, and this import takes seconds.
        from gan_lab.reports.plots.samples import read_png

        for step, path in sorted(section.pictures.get(label, {}).items()):
            if png := read_png(path):  # a torn file costs itself
                writer.png("samples", step, png)
        writer.session_end("success")
    writer.sync()
    writer.close()


def _points(chart: Chart, band: Band) -> Iterable[tuple[int, dict[str, float]]]:
    tag, floor = chart.tag, {} if chart.floor is None else {f"{chart.tag}_floor": chart.floor}
    columns = (each.tolist() for each in (band.x, band.mean, band.low, band.high))
    for x, mean, low, high in zip(*columns, strict=True):
        if not math.isnan(mean):
            # A margin chart draws a run only if value, low and high have the same steps.
            low, high = (mean if math.isnan(end) else end for end in (low, high))
            yield round(x), {tag: mean, f"{tag}_low": low, f"{tag}_high": high, **floor}


def _write_floor(section: Section, directory: Path, page: Layout) -> None:
    ends: dict[int, dict[str, float]] = {}
    for chart in section.charts:
        bands = chart.bands.get("step", {}).values()
        if chart.floor is not None and bands:
            values = {f"{chart.tag}{end}": chart.floor for end in ("", "_low", "_high")}
            first, last = min(band.x[0] for band in bands), max(band.x[-1] for band in bands)
            for step in {round(first), round(last)}:
                ends.setdefault(step, {}).update(values)
    if ends:
        writer = _writer(directory, page)
        for step in sorted(ends):
            writer.scalars(step, ends[step])
        writer.sync()
        writer.close()


def _write_words(report: Report, section: Section, directory: Path, page: Layout) -> None:
    verdict = [f"**{_plain(report.question)}**" if report.question else ""]
    verdict += map(_plain, section.sentences)
    verdict.append(_HOW_TO_READ.format(floor=FLOOR))
    writer = _writer(directory, page)
    texts = [("verdict", "\n\n".join(filter(None, verdict)))]
    texts += [(table.title, _markdown(table)) for table in section.tables]
    texts += [("notes", _list(report.notes))]
    texts += [("method", "\n\n".join(map(_plain, [*report.method, report.origin])))]
    for number, (name, text) in enumerate(texts, 1):  # TensorBoard sorts them by their tags
        if text:
            writer.text(f"comparison/{number:02d} {name}", text)
    writer.sync()
    writer.close()


def _events(events: Sequence[EventRow]) -> str:
    columns = ("step", "seed", "what", "numbers", "what it means", "to try")
    rows = [(str(e.step), str(e.seed), e.kind, e.numbers, e.explanation, e.advice) for e in events]
    return _markdown(Table("", "", columns, rows))


def _markdown(table: Table) -> str:
    def line(cells: Sequence[str]) -> str:
        return "| " + " | ".join(map(_plain, cells)) + " |"

    body = [line(table.columns), "|" + " --- |" * len(table.columns), *map(line, table.rows)]
    return "\n\n".join(filter(None, [_plain(table.note), "\n".join(body)]))


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {_plain(line)}" for line in lines)


def _plain(text: str) -> str:
    """Escape a text for Markdown: formulas and keys are full of its signs."""
    signs = re.sub(r"([\\`*_|])", r"\\\1", " ".join(text.split())).replace("](", "]\\(")
    return signs.replace("&", "&amp;").replace("<", "&lt;")


def _layout_over_seeds(report: Report) -> Layout:
    charts = {chart.tag: chart for section in report.sections for chart in section.charts}
    titles = [question.title for question in QUESTIONS]
    titles += [c.question for c in charts.values() if c.question not in titles]
    return [
        base.Chart(question, _title(chart, chart.title), chart.tag, has_band=True)
        for question in dict.fromkeys(titles)
        for chart in charts.values()
        if chart.question == question
    ]


def _writer(directory: Path, page: Layout) -> TensorBoardWriter:
    # Not above: a training imports `layout`, and one without TensorBoard needs none of it.
    from gan_lab.loggers.tensorboard_writer import TensorBoardWriter

    writer = TensorBoardWriter(directory)
    writer.layout(page)
    return writer


def _title(chart: Curve | Chart, name: str) -> str:
    curves = (curve for tag, curve in CURVES.items() if chart.tag.endswith(tag))  # "ring/..." too
    better = next((curve.better for curve in curves), 0)
    direction = {-1: "lower is better", 1: "higher is better"}.get(better, "")
    inside = ", ".join(filter(None, (chart.unit, direction)))
    return f"{name} ({inside})" if inside else name


def _hparams(report: Report) -> dict[tuple[str, str], dict[str, Any]]:
    """Return (section, label) -> its choices, the same keys in all; numbers where all are."""
    groups = {
        (s.name, label): s.choices.get(label, {}) for s in report.sections for label in s.labels
    }
    keys = dict.fromkeys(key for choices in groups.values() for key in choices)
    table: dict[tuple[str, str], dict[str, Any]] = {
        (section, label): {"group": label} for section, label in groups
    }
    if len(report.sections) > 1 and "data" not in keys:
        for group in groups:
            table[group]["data"] = group[0]
    for key in list(keys)[: _N_CHOICES - len(next(iter(table.values()), {}))]:
        texts = [choices.get(key, "") for choices in groups.values()]
        numbers = [_number(text) for text in texts]
        values = texts if None in numbers else numbers
        for group, value in zip(groups, values, strict=True):
            table[group][key.removesuffix("._target_")] = value
    return table


def _metrics(report: Report) -> list[str]:
    """Return the tags of the two final numbers that stand beside the headlines."""
    tags = {tag for s in report.sections for f in s.finals.values() for tag in f}
    first = [tag for tag in _METRICS if tag in tags]
    return [f"final/{tag}" for tag in [*first, *sorted(tags - {*HEADLINES, *first})][:2]]


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if math.isfinite(value) else None


def _names(labels: Sequence[str], others: Iterable[str] = ()) -> list[str]:
    """Return names of directories like the labels that differ from each other and from others."""
    used, unique_names = set(others), []
    for label in labels:
        # "WGAN-GP, lr=1e-4" -> wgan_gp_lr=1e-4
        name = re.sub(r"[^a-z0-9.=-]+|-(?=[a-z])", "_", label.lower(), flags=re.ASCII)
        name, number = name.strip("_.")[:_MAX_NAME] or "group", 1
        while (unique := name if number == 1 else f"{name}_{number}") in used:
            number += 1
        used.add(unique)
        unique_names.append(unique)
    return unique_names
