"""A comparison's curves, landscapes and pictures, packed for one HTML file.

Numbers are base64 of little-endian arrays: a third of their length as text, and nan and infinity
need no spelling of their own. Everything is thinned to a budget, and the page says so.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_lab.metrics.quality import SQUARED_DISTANCES
from gan_lab.reports.analysis.model import AXES, Band, Section
from gan_lab.reports.plots import landscape, samples
from gan_lab.runs.headline import FRECHET

CURVE_POINTS = 400  # a curve; a chart is not wider on any screen that matters
ANIMATION_STEPS = 60
CURVE_BYTES = 3_500_000  # of a page, as text
MEDIA_BYTES = 5_500_000  # landscapes and pictures of a page, as text
_REAL_BYTES = 1_000_000  # of the picture of real images
_MAX_COORDINATE = 65534  # of a 16-bit point; the number above says "outside the window"
_MAX_LEVEL = 254  # of an 8-bit landscape; the number above says "not a number"
Json = dict[str, Any]
Paths = Mapping[str, Mapping[int, Path]]  # label -> step -> file


class Pool:
    """Arrays of numbers, each stored once: the axes of a curve share its values."""

    def __init__(self) -> None:
        self.arrays: list[str] = []
        self._indices: dict[str, int] = {}
        self.size = 0

    def add(self, values: np.ndarray) -> int:
        """Return the index in `arrays` of the values as float32."""
        text = encode_base64(np.asarray(values, dtype="<f4"))
        if text not in self._indices:
            self._indices[text] = len(self.arrays)
            self.arrays.append(text)
            self.size += len(text) + 3
        return self._indices[text]


def encode_base64(values: np.ndarray) -> str:
    """Return the bytes of an array as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def thin(n: int, limit: int) -> np.ndarray:
    """Return the indices of at most `limit` of n points, evenly, with the first and the last.

    Curves of one length have the same indices, so that a hover finds all groups at one x.
    """
    return np.arange(n) if n <= limit else np.linspace(0, n - 1, limit).round().astype(int)


def curves(sections: Sequence[Section]) -> tuple[list[list[Json]], list[str], int]:
    """Pack all charts of a page.

    Returns:
        Per section its charts; the arrays that they point into; how many points a curve may have,
        or 0 where none had to be thinned.
    """
    charts = (chart for section in sections for chart in section.charts)
    lengths = (len(b.x) for chart in charts for axis in chart.bands.values() for b in axis.values())
    limit, longest = CURVE_POINTS, max(lengths, default=0)
    while True:
        pool = Pool()
        packed_charts = [_charts(section, pool, limit) for section in sections]
        if pool.size <= CURVE_BYTES or limit <= 50:
            return packed_charts, pool.arrays, limit if longest > limit else 0
        limit //= 2


def _charts(section: Section, pool: Pool, limit: int) -> list[Json]:
    charts = []
    for chart in section.charts:
        axes = {
            axis: {label: _band(band, pool, limit) for label, band in bands.items() if len(band.x)}
            for axis, bands in chart.bands.items()
            if axis in AXES
        }
        if any(axes.values()):
            floor = chart.floor if chart.floor is not None and np.isfinite(chart.floor) else None
            content: Json = {
                # It falls by decades; the energy distance is looked at so where it decides.
                "logarithmic": chart.tag in SQUARED_DISTANCES & {FRECHET, section.headline},
                "tag": chart.tag,
                "title": chart.title,
                "unit": chart.unit,
                "floor": floor,
            }
            content |= {"question": chart.question, "bands": {a: b for a, b in axes.items() if b}}
            charts.append(content)
    return charts


def _band(band: Band, pool: Pool, limit: int) -> list[int]:
    indices = thin(len(band.x), limit)
    columns = (band.x, band.mean, band.low, band.high, band.n)
    return [pool.add(np.asarray(values)[indices]) for values in columns]


def landscapes(section: Section, budget: int) -> Json | None:
    """Pack the landscapes of a section on one clock; None where there are none.

    They take at most `budget` bytes as text.

    Returns:
        "steps": the clock, all steps of all groups; "real": data sets that snapshots point into;
        "groups": per group "label", "seed", "gradient_norm" (the longest arrow, logits per data
        unit) and "snapshots", each with its own step; "dropped": how many steps were left out.
    """
    paths, steps = _files(section, section.landscapes)
    if not steps:
        return None
    limit = ANIMATION_STEPS
    while True:
        clock, chosen_paths = _at_clock(paths, steps, limit)
        content = _landscapes(section, chosen_paths)
        if _size(content) <= budget or limit <= 8:
            result = {"steps": clock, "dropped": len(steps) - len(clock), **content}
            return result if content["groups"] else None
        limit //= 2


def _files(section: Section, paths: Paths) -> tuple[Paths, list[int]]:
    """Return the files of the groups that have any, and all their steps."""
    some = {label: paths[label] for label in section.labels if paths.get(label)}
    return some, sorted({step for each in some.values() for step in each})


def _at_clock(paths: Paths, steps: Sequence[int], limit: int) -> tuple[list[int], Paths]:
    """Return at most `limit` steps and the files at these."""
    clock = [steps[i] for i in thin(len(steps), limit)]
    # A group that ended early shows its end, whether the clock has that step or not.
    return clock, {
        label: {step: each[step] for step in sorted(each) if step in clock or step == max(each)}
        for label, each in paths.items()
    }


def _landscapes(section: Section, paths: Paths) -> Json:
    real: dict[str, int] = {}
    groups = []
    for label, files in paths.items():
        by_step = {step: landscape.load_or_none(path) for step, path in files.items()}
        contents = {step: content for step, content in by_step.items() if content}
        if not contents:
            continue
        norms = {step: np.linalg.norm(c["arrow"], axis=1) for step, c in contents.items()}
        finite = np.concatenate([n[np.isfinite(n)] for n in norms.values()])
        longest = float(np.quantile(finite, 0.95)) if len(finite) else 0.0
        snapshots = [_landscape(s, c, longest, norms[s], real) for s, c in contents.items()]
        group = {"label": label, "seed": section.seed.get(label), "snapshots": snapshots}
        groups.append({**group, "gradient_norm": _round(longest)})
    return {"real": list(real), "groups": groups}


def _landscape(
    step: int, content: landscape.Landscape, longest: float, norms: np.ndarray, real: dict[str, int]
) -> Json:
    axes = [content[name] for name in ("x", "y") if name in content]
    window = [[float(axis[0]), float(axis[-1])] for axis in axes]
    levels, low, high = quantize_logits(content["logit"])
    finite = norms[np.isfinite(norms)]
    arrows = content["arrow"] / (longest or 1.0)
    # The longest arrows are cut, not their direction.
    arrows = arrows / np.maximum(1.0, np.linalg.norm(arrows, axis=1, keepdims=True))
    arrows = np.where(np.isfinite(arrows), arrows, 0.0)
    fake = _quantize_points(content["fake"], window)
    data = encode_base64(_quantize_points(content["real"], window))
    return {
        "step": step,
        "window": window,
        "shape": list(content["logit"].shape),
        "logit": encode_base64(levels),
        "range": [_round(low), _round(high)],
        "real": real.setdefault(data, len(real)),
        "fake": encode_base64(fake),
        "outside": int((fake == _MAX_COORDINATE + 1).any(1).sum()),
        "arrow": encode_base64((arrows * 127).round().astype(np.int8)),
        "gradient_norm": _round(float(finite.mean())) if len(finite) else None,
    }


def _round(value: float) -> float | None:
    """Round to four digits, enough for a caption; what is not finite becomes null."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def quantize_logits(logit: np.ndarray) -> tuple[np.ndarray, float, float]:
    """Return a landscape in 8 bits and the logits of its least and greatest level.

    255 marks what is not finite. A flat landscape is all zeros.
    """
    finite = np.isfinite(logit)
    if not finite.any():
        return np.full(logit.shape, _MAX_LEVEL + 1, np.uint8), np.nan, np.nan
    low, high = float(logit[finite].min()), float(logit[finite].max())
    unit = (np.where(finite, logit, low) - low) / (high - low if high > low else 1.0)
    levels = np.where(finite, (unit * _MAX_LEVEL).round(), _MAX_LEVEL + 1)
    return levels.astype(np.uint8), low, high


def _quantize_points(points: np.ndarray, window: Sequence[Sequence[float]]) -> np.ndarray:
    low, high = np.array(window, dtype=np.float64).T
    unit = (points - low) / np.where(high > low, high - low, 1.0)
    inside = (unit >= 0) & (unit <= 1)  # nan is not
    coordinates = (np.where(inside, unit, 0) * _MAX_COORDINATE).round()
    return np.where(inside, coordinates, _MAX_COORDINATE + 1).astype("<u2")


def pictures(section: Section, budget: int) -> Json | None:
    """Pack the sample grids of a section on one clock, as data URIs; None where there are none.

    Takes fewer steps, then smaller pictures, until they fit into `budget` bytes as text.
    """
    paths, steps = _files(section, section.pictures)
    if not steps:
        return None
    limit, scale = ANIMATION_STEPS, 1.0
    while True:
        clock, chosen_paths = _at_clock(paths, steps, limit)
        groups = [
            {"label": label, "seed": section.seed.get(label), "snapshots": snapshots}
            for label, files in chosen_paths.items()
            if (snapshots := _pictures(files, scale, budget))
        ]
        if not groups:
            return None
        content: Json = {"groups": groups, "scale": scale}
        if _size(content) <= budget or (limit <= 6 and scale < 0.2):
            return {"steps": clock, "dropped": len(steps) - len(clock), **content}
        if limit > 6:
            limit = max(6, min(limit, len(steps)) // 2)
        else:
            scale /= 1.5


def _pictures(files: Mapping[int, Path], scale: float, budget: int) -> list[Json]:
    """Pack the pictures that can be read, up to the first that is over the budget.

    One torn file must not cost the page.
    """
    snapshots: list[Json] = []
    for step, path in files.items():
        if _size(snapshots) <= budget and (png := samples.read_png(path)) is not None:
            snapshots.append({"step": step, "image": _data_uri(png, scale)})
    return snapshots


def real_picture(section: Section) -> str:
    """Return the picture of real images as a data URI; "" where there is none that can be read."""
    png = None if section.real_picture is None else samples.read_png(section.real_picture)
    return "" if png is None or len(png) > _REAL_BYTES else _data_uri(png, 1)


def _data_uri(png: bytes, scale: float) -> str:
    if scale < 1:
        with Image.open(io.BytesIO(png)) as image:
            width, height = (max(1, round(side * scale)) for side in image.size)
            buffer = io.BytesIO()
            small = image.convert("RGB").resize((width, height), Image.Resampling.LANCZOS)
            small.save(buffer, "PNG", optimize=True)
            png = buffer.getvalue()
    return "data:image/png;base64," + base64.b64encode(png).decode()


def _size(value: Any) -> int:
    """Estimate the length of a value as JSON."""
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, dict):
        return sum(len(key) + 4 + _size(each) for key, each in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    return 8
