"""The first screen of a section: its verdict, dots with intervals, and one row of samples."""

import html
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

from gan_lab.metrics.estimate import SKEWED_MARK, SKEWED_NOTE
from gan_lab.reports.analysis.model import Dot, Section, stack_levels
from gan_lab.reports.analysis.numbers import interval_texts
from gan_lab.reports.html import document, embed, marks
from gan_lab.reports.plots import landscape
from gan_lab.reports.plots.style import short

_KINDS: Mapping[str, document.Kind] = {
    "better": "good",
    "undecided": "open",
    "too_few_seeds": "open",
    "one_group": "note",
    "no_result": "bad",
}
_LOGARITHMIC_FROM = 20.0  # ratio of the greatest to the least number shown
_BEYOND = 0.6  # of the numbers' span that an interval may take on each side
_SIDE = 200  # units of a picture of points
_BINS = 48  # of a density, as in the animation
_MAX_POINTS = 1000
_CROSS = 3.0  # half the size of a data point's cross, in units of the picture
# A cross as in the pictures; the colour of the samples' dots is their group's.
_REAL_KEY = (
    '<span class="key-text"><svg class="cross" viewBox="0 0 12 12" width="12" height="12" '
    'aria-hidden="true"><path d="M2 2L10 10M10 2L2 10"/></svg> real data</span>'
)
_CROPPED_FROM = 6  # images in a row of a picture
_NEAR = 1.6  # % of the plot's width within which two dots of seeds cover each other
_LEVEL = 6  # pixels between dots of seeds on top of each other


def badge(section: Section) -> str:
    """Return the badge of a section's verdict."""
    return document.badge(_KINDS[section.verdict.kind], section.verdict.badge)


def first_screen(
    i: int, section: Section, data: Mapping[str, Any], *, has_name: bool = True
) -> str:
    """Return the verdict of a section and what shows it at a glance.

    Without `has_name` the section's name is there for screen readers alone: the page's title has
    it.
    """
    verdict = section.verdict
    kind = "name" if has_name else "hidden"
    name = f'<h2 class="{kind}" id="section-{i}">{html.escape(section.name)}</h2>'
    details = f'<div class="why-so">{document.bullets(verdict.details)}</div>'
    return (
        f'<div class="first"><div class="answer">{name}{badge(section)}</div>'
        f'<p class="headline">{html.escape(verdict.headline)}</p>'
        f"{details if verdict.details else ''}"
        f"{dots(section, data['looks'])}{samples(section, data)}</div>"
    )


def dots(section: Section, looks: marks.Looks) -> str:
    """Return the plot of the groups' numbers at the end: seeds, mean, interval and real data."""
    groups = [dot for dot in section.dots if math.isfinite(dot.value)]
    if not groups:
        return ""
    scale = _Scale(groups, section.real_data)
    missing = [label for label in section.labels if label not in {dot.label for dot in groups}]
    title = f"{section.dots_title} {section.end}".rstrip()
    legend = "Bars and brackets: 95 % intervals"
    legend += "; differences are paired by seed." if section.is_paired else "."
    if scale.logarithmic:
        legend += " The scale is logarithmic."
    if scale.cut:
        legend += " A bar that ends at the edge goes on beyond it."
    if any(dot.is_skewed for dot in groups):
        legend += f" {SKEWED_NOTE}."
    if missing:
        legend += f" Without a number: {', '.join(missing)}."
    rows = "".join(_row(dot, scale, looks) for dot in groups)
    return (
        '<figure class="dots"><figcaption><strong>'
        f"{html.escape(title)}: left is better</strong> "
        f'<span class="legend-text">{html.escape(legend)}</span></figcaption>'
        f'<div class="dot-rows">{_real_data(scale)}{rows}{_axis(scale, section.dots_unit)}</div>'
        "</figure>"
    )


class _Scale:
    """Where a number stands, in % of the plot's width."""

    def __init__(self, groups: Sequence[Dot], real_data: float | None) -> None:
        self.real_data = real_data if real_data is not None and math.isfinite(real_data) else None
        numbers = [dot.value for dot in groups] + [v for dot in groups for v in dot.seeds]
        numbers += [] if self.real_data is None else [self.real_data]
        numbers = [number for number in numbers if math.isfinite(number)]
        low, high = min(numbers), max(numbers)
        self.logarithmic = low > 0 and high / low >= _LOGARITHMIC_FROM
        low, high = self._at(low), self._at(high)
        span = high - low or abs(high) or 1.0
        ends = [self._at(end) for dot in groups for end in (dot.low, dot.high)]
        ends = [end for end in ends if math.isfinite(end)]
        least, greatest = min(ends, default=low), max(ends, default=high)
        low = min(low, max(least, low - _BEYOND * span))
        high = max(high, min(greatest, high + _BEYOND * span))
        self.cut = least < low or greatest > high
        margin = 0.03 * (high - low or span)
        self.low, self.high = low - margin, high + margin

    def _at(self, value: float) -> float:
        if not self.logarithmic:
            return value
        return math.log10(value) if value > 0 else -math.inf

    def percent(self, value: float) -> float:
        """Return the place of a number, cut at the ends of the plot."""
        at = (self._at(value) - self.low) / (self.high - self.low)
        return round(100 * min(1.0, max(0.0, at)), 2)

    def ticks(self) -> list[float]:
        """Return two to seven round numbers inside the plot."""
        if self.logarithmic:
            decades = range(math.floor(self.low), math.ceil(self.high) + 1)
            values = [m * 10.0**k for k in decades for m in (1, 2, 5)]
            values = [v for v in values if self.low < self._at(v) < self.high]
            powers = [v for v in values if math.log10(v) % 1 == 0]
            return values if len(values) <= 7 else powers[:: math.ceil(len(powers) / 7)]
        raw = (self.high - self.low) / 6
        unit = 10.0 ** math.floor(math.log10(raw))
        step = next(m * unit for m in (1, 2, 5, 10) if m * unit >= raw)
        first = math.ceil(self.low / step)
        # Rounded: 3 * 0.1 is not 0.3.
        return [float(f"{k * step:.12g}") for k in range(first, math.floor(self.high / step) + 1)]


def _row(dot: Dot, scale: _Scale, looks: marks.Looks) -> str:
    ink = marks.ink(looks[dot.label]["colour"]) if dot.label in looks else "var(--text)"
    parts = []
    if not math.isnan(dot.low) and not math.isnan(dot.high):
        low, high = scale.percent(dot.low), scale.percent(dot.high)
        parts.append(f'<line class="bar" x1="{low}%" x2="{high}%" y1="10" y2="10"/>')
    places = [scale.percent(value) for value in dot.seeds if math.isfinite(value)]
    levels = stack_levels(places, _NEAR)
    parts += [
        f'<circle class="seed-dot" cx="{at}%" cy="{21 + _LEVEL * level}" r="3"/>'
        for at, level in zip(places, levels, strict=True)
    ]
    parts.append(f'<circle class="mean" cx="{scale.percent(dot.value)}%" cy="10" r="6"/>')
    n, height = len(dot.seeds), 27 + _LEVEL * max(levels, default=0)
    number, interval = short(dot.value), ""
    if math.isfinite(dot.low) and math.isfinite(dot.high) and dot.low < dot.high:
        number, low_text, high_text = interval_texts(dot.value, dot.low, dot.high)
        interval = f"[{low_text}, {high_text}]{SKEWED_MARK if dot.is_skewed else ''}"
    name = marks.with_swatch(dot.label, looks)
    return (
        f'<div class="dot-row" style="--ink:{ink}"><div class="dot-name">{name}</div>'
        f'<svg class="track" height="{height}" aria-hidden="true">{"".join(parts)}</svg>'
        f'<div class="dot-number"><strong>{number}</strong> '
        f'<span class="interval">{interval}</span>'
        f'<span class="hidden"> over {n} {"seed" if n == 1 else "seeds"}</span></div></div>'
    )


def _real_data(scale: _Scale) -> str:
    """Return the line of real data through all rows, below what they show, and its label."""
    if scale.real_data is None:
        return ""
    at = scale.percent(scale.real_data)
    return (
        f'<div class="real-lane" aria-hidden="true"><div class="real" style="left:{at}%"></div>'
        '</div><svg class="track top" height="20"><text '
        f'x="{at}%" y="14" text-anchor="{_anchor(at)}">real data {short(scale.real_data)}</text>'
        "</svg>"
    )


def _axis(scale: _Scale, unit: str) -> str:
    places = [(scale.percent(value), short(value)) for value in scale.ticks()]
    ticks = "".join(
        f'<line x1="{at}%" x2="{at}%" y1="0" y2="5"/>'
        f'<text x="{at}%" y="18" text-anchor="{_anchor(at)}">{text}</text>'
        for at, text in places
    )
    line = '<line x1="0" x2="100%" y1="0.5" y2="0.5"/>'
    return (
        '<div class="dots-key">small dots: seeds</div>'
        f'<svg class="track ticks" height="22" aria-hidden="true">{line}{ticks}</svg>'
        f'<div class="unit">{html.escape(unit)}</div>'
    )


def _anchor(percent: float) -> str:
    return "start" if percent < 8 else "end" if percent > 92 else "middle"


def samples(section: Section, data: Mapping[str, Any]) -> str:
    """Return one row of samples at the end, one picture a group, the best group first."""
    order = [dot.label for dot in section.dots]
    order += [label for label in section.labels if label not in order]
    pictures = {label: p for label in order if (p := _picture(label, section, data))}
    if not pictures:
        return ""
    steps = {step for step, _, _ in pictures.values()}
    seeds = {section.seed[label] for label in pictures if label in section.seed}
    key = ""
    has_points = any(section.landscapes.get(label) for label in pictures)
    if has_points:
        key = _key(pictures, data["looks"])
    is_cropped = _is_cropped(section) and not has_points
    if is_cropped:
        of = f"The first of {section.grid_side**2}; all are below."
        key = f'<span class="key-text">{of}</span>'
    items = "".join(
        f'<figure class="sample" data-group="{html.escape(label)}"{_ink(label, data["looks"])}>'
        f"{picture}<figcaption>"
        f"{marks.with_swatch(label, data['looks'])}"
        f"{_details(section, label, step, note, steps, seeds)}</figcaption></figure>"
        for label, (step, picture, note) in pictures.items()
    )
    wide = " wide" if is_cropped else ""
    n, real = len(pictures), "" if has_points else embed.real_picture(section)
    if real:  # beside the samples, after all groups
        image = _crop(f'<img src="{real}" alt="Real images that no training saw">', section)
        items += (
            f'<figure class="sample real-sample">{image}<figcaption>real data</figcaption></figure>'
        )
        n += 1
    missing = [label for label in order if label not in pictures]
    note = f" No pictures: {html.escape(', '.join(missing))}." if missing else ""
    title = "Samples at the end"
    title += f", step {next(iter(steps))}" if len(steps) == 1 else ""
    title += f", seed {next(iter(seeds))}" if len(seeds) == 1 else ""
    # Focusable, so that arrow keys scroll a row of many groups.
    return (
        f'<div class="samples"><p class="samples-title"><strong>{title}</strong>{key}{note}</p>'
        f'<div class="sample-row{wide}" tabindex="0" role="region" aria-label="{title}" '
        f'style="--n:{n}">{items}</div></div>'
    )


def _is_cropped(section: Section) -> bool:
    """Whether only the first rows of pictures are shown, so that images are large enough."""
    return section.grid_side >= _CROPPED_FROM and section.grid_side % 2 == 0


def _crop(image: str, section: Section) -> str:
    return f'<div class="crop">{image}</div>' if _is_cropped(section) else image


def _ink(label: str, looks: marks.Looks) -> str:
    return f' style="--ink:{marks.ink(looks[label]["colour"])}"' if label in looks else ""


def _key(labels: Iterable[str], looks: marks.Looks) -> str:
    """Return what crosses and dots are, the dots in the colours of all groups."""
    inks = dict.fromkeys(_ink(label, looks) for label in labels)
    dots = "".join(f'<span class="dot sample-dot"{ink}></span>' for ink in inks)
    return f'{_REAL_KEY} <span class="key-text">{dots} samples</span>'


def _details(
    section: Section, label: str, step: int, note: str, steps: set[int], seeds: set[int]
) -> str:
    texts = [section.modes[label]] if section.modes.get(label) else []
    texts += [f"step {step}"] if len(steps) > 1 else []
    texts += [f"seed {section.seed[label]}"] if len(seeds) > 1 and label in section.seed else []
    texts += [note] if note else []
    return f'<span class="sample-note">{html.escape("; ".join(texts))}</span>' if texts else ""


def _picture(label: str, section: Section, data: Mapping[str, Any]) -> tuple[int, str, str] | None:
    """Return the step of a group's last picture, the picture, and what it leaves out."""
    files = section.landscapes.get(label, {})
    for step in sorted(files, reverse=True):
        if content := landscape.load_or_none(files[step]):
            name = f"Samples of {label}, step {step}"
            return (step, *_points(content, name))
    for group in (data["pictures"] or {"groups": []})["groups"]:
        if group["label"] == label:
            last = group["snapshots"][-1]
            # Here, and only here: it shows without a script, and the page stays small.
            image = f'<img src="{last["image"]}" alt="Samples of {html.escape(label)}">'
            image = _crop(image, section)
            last["image"] = None
            return last["step"], image, ""
    return None


def _points(content: landscape.Landscape, name: str) -> tuple[str, str]:
    axes = [content[axis] for axis in ("x", "y") if axis in content]
    low = np.array([axis[0] for axis in axes], np.float64)
    span = np.array([axis[-1] for axis in axes], np.float64) - low
    places = {}
    for kind in ("real", "fake"):
        units = (content[kind][:_MAX_POINTS] - low) / np.where(span > 0, span, 1.0)
        places[kind] = units[((units >= 0) & (units <= 1)).all(1)]  # nan is not
    n = len(content["fake"][:_MAX_POINTS])
    outside = n - len(places["fake"])
    draw = _densities if len(axes) == 1 else _scatter
    note = f"{outside} of {n} samples outside the frame" if outside else ""
    label = html.escape(name)
    return (
        f'<svg class="points" viewBox="0 0 {_SIDE} {_SIDE}" role="img" aria-label="{label}">'
        f"{draw(places['real'], places['fake'])}</svg>",
        note,
    )


def _scatter(real: np.ndarray, fake: np.ndarray) -> str:
    """Return data as crosses and on them samples as dots, lines of no length with round ends."""
    paths, c = [], _CROSS
    cross = f"m-{c:g} -{c:g}l{2 * c:g} {2 * c:g}m0 -{2 * c:g}l-{2 * c:g} {2 * c:g}"
    for kind, points, mark in (("real", real, cross), ("fake", fake, "h0")):
        xs, ys = (points * [1, -1] + [0, 1]).T * _SIDE
        path = "".join(f"M{x:.1f} {y:.1f}{mark}" for x, y in zip(xs, ys, strict=True))
        paths.append(f'<path class="{kind}-points" d="{path}"/>' if path else "")
    return "".join(paths)


def _densities(real: np.ndarray, fake: np.ndarray) -> str:
    """Return histograms on the scale of the data; a higher pile of samples is cut at the top."""
    counts = {}
    for kind, points in (("real", real), ("fake", fake)):
        histogram, _ = np.histogram(points[:, 0], _BINS, (0, 1))
        counts[kind] = histogram / max(1, len(points))
    top = 1.6 * float(counts["real"].max()) or 1.0
    paths = []
    for kind, shares in counts.items():
        path = f"M0 {_SIDE}"
        for k, height in enumerate(np.minimum(1.0, shares / top)):
            y = (1 - height) * _SIDE
            path += f"L{k / _BINS * _SIDE:.1f} {y:.1f}H{(k + 1) / _BINS * _SIDE:.1f}"
        paths.append(f'<path class="{kind}-density" d="{path}V{_SIDE}"/>')
    return "".join(paths)
