"""What a comparison draws, packed for one HTML file: curves, film frames and pictures.

Numbers travel as base64 of little-endian arrays: a third of their length as text, and nan and
infinity need no spelling of their own. Everything is thinned to a budget, and says so.
"""

import base64
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from gan_lab.reports.analysis.model import AXES, Band, Section
from gan_lab.reports.plots import landscape, samples

CURVE_POINTS = 400  # a curve; a chart is not wider on any screen that matters
ANIMATION_STEPS = 60
CURVE_BYTES = 3_500_000  # of a page, as text
MEDIA_BYTES = 5_500_000  # films and pictures of a page, as text
_FULL = 65534  # largest number of a 16-bit point; the one above says "outside the window"
_LEVELS = 254  # largest of an 8-bit landscape; the one above says "not a number"
Json = dict[str, Any]


class Pool:
    """Arrays of numbers, each kept once: the axes of a curve share its values."""

    def __init__(self) -> None:
        self.arrays: list[str] = []
        self._known: dict[str, int] = {}
        self.size = 0

    def add(self, values: np.ndarray) -> int:
        """Where in `arrays` the values are, as float32."""
        text = text_of(np.asarray(values, dtype="<f4"))
        if text not in self._known:
            self._known[text] = len(self.arrays)
            self.arrays.append(text)
            self.size += len(text) + 3
        return self._known[text]


def text_of(values: np.ndarray) -> str:
    """The bytes of an array as base64."""
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()


def thinned(n: int, limit: int) -> np.ndarray:
    """Which of n points in a row are kept: at most `most`, evenly, the first and last among them.

    Even, and so the same for all curves of a length: a hover finds all groups at one x.
    """
    return np.arange(n) if n <= limit else np.linspace(0, n - 1, limit).round().astype(int)


def curves(sections: Sequence[Section]) -> tuple[list[list[Json]], list[str], int]:
    """All charts of a page.

    Returns:
        Per section its charts; the arrays that they point into; how many points a curve may have,
        or 0 where none had to be thinned.
    """
    limit, longest = CURVE_POINTS, _longest(sections)
    while True:
        pool = Pool()
        charts = [_charts(section, pool, limit) for section in sections]
        if pool.size <= CURVE_BYTES or limit <= 50:
            return charts, pool.arrays, limit if longest > limit else 0
        limit //= 2


def _longest(sections: Sequence[Section]) -> int:
    return max((len(band.x) for s in sections for _, band in _bands(s)), default=0)


def _bands(section: Section) -> list[tuple[str, Band]]:
    return [
        (label, band)
        for chart in section.charts
        for bands in chart.bands.values()
        for label, band in bands.items()
    ]


def _charts(section: Section, pool: Pool, limit: int) -> list[Json]:
    found = []
    for chart in section.charts:
        axes = {
            axis: {label: _band(band, pool, limit) for label, band in bands.items() if len(band.x)}
            for axis, bands in chart.bands.items()
            if axis in AXES
        }
        if any(axes.values()):
            floor = chart.floor if chart.floor is not None and np.isfinite(chart.floor) else None
            found.append(
                {
                    "tag": chart.tag,
                    "title": chart.title,
                    "unit": chart.unit,
                    "floor": floor,
                    "question": chart.question,
                    "bands": {axis: bands for axis, bands in axes.items() if bands},
                }
            )
    return found


def _band(band: Band, pool: Pool, limit: int) -> list[int]:
    kept = thinned(len(band.x), limit)
    return [
        pool.add(np.asarray(values)[kept])
        for values in (band.x, band.mean, band.low, band.high, band.n)
    ]


def animation(section: Section, budget: int) -> Json | None:
    """The landscapes of a section on one clock, or None where there are none.

    Args:
        section: With frames, or without.
        budget: Bytes that it may take, as text.

    Returns:
        "steps": the clock, all steps of all groups; "real": data sets that frames point into;
        "groups": per group "label", "seed", "slope" (the longest arrow, logits per data unit) and
        "frames", each with its own step; "dropped": how many steps were left out.
    """
    paths = {
        label: section.landscapes[label]
        for label in section.labels
        if section.landscapes.get(label)
    }
    everything = sorted({step for steps in paths.values() for step in steps})
    if not everything:
        return None
    limit = ANIMATION_STEPS
    while True:
        clock = [everything[i] for i in thinned(len(everything), limit)]
        packed = _animation(section, {label: _kept(steps, clock) for label, steps in paths.items()})
        if _size(packed) <= budget or limit <= 8:
            break
        limit //= 2
    if not packed["groups"]:
        return None
    return {"steps": clock, "dropped": len(everything) - len(clock), **packed}


def _kept(steps: Mapping[int, Path], clock: Sequence[int]) -> dict[int, Path]:
    # A group that ended early keeps its end, whatever the clock kept.
    return {step: steps[step] for step in sorted(steps) if step in clock or step == max(steps)}


def _animation(section: Section, paths: Mapping[str, Mapping[int, Path]]) -> Json:
    real: dict[str, int] = {}
    groups = []
    for label, steps in paths.items():
        animations = {
            step: read for step, path in steps.items() if (read := landscape.load_or_none(path))
        }
        if not animations:
            continue
        length = {s: np.linalg.norm(f["arrow"], axis=1) for s, f in animations.items()}
        finite = np.concatenate([n[np.isfinite(n)] for n in length.values()])
        slope = float(np.quantile(finite, 0.95)) if len(finite) else 0.0
        packed = [
            _landscape(step, each, slope, length[step], real) for step, each in animations.items()
        ]
        groups.append(
            {
                "label": label,
                "seed": section.seed.get(label),
                "slope": _number(slope),
                "frames": packed,
            }
        )
    return {"real": list(real), "groups": groups}


def _landscape(
    step: int,
    landscape_at: landscape.Landscape,
    slope: float,
    norms: np.ndarray,
    real: dict[str, int],
) -> Json:
    axes = [landscape_at[name] for name in ("x", "y") if name in landscape_at]
    window = [[float(axis[0]), float(axis[-1])] for axis in axes]
    logit, fake = landscape_at["logit"], landscape_at["fake"]
    points = _quantised(landscape_at["real"], window)
    levels, low, high = quantized_logits(logit)
    finite = norms[np.isfinite(norms)]
    arrows = landscape_at["arrow"] / (slope or 1.0)
    # The longest arrows are cut, not their direction.
    arrows = arrows / np.maximum(1.0, np.linalg.norm(arrows, axis=1, keepdims=True))
    arrows = np.where(np.isfinite(arrows), arrows, 0.0)
    packed = _quantised(fake, window)
    return {
        "step": step,
        "window": window,
        "shape": list(logit.shape),
        "logit": text_of(levels),
        "range": [_number(low), _number(high)],
        "real": real.setdefault(text_of(points), len(real)),
        "fake": text_of(packed),
        "outside": int((packed == _FULL + 1).any(1).sum()),
        "arrow": text_of((arrows * 127).round().astype(np.int8)),
        "slope": _number(float(finite.mean())) if len(finite) else None,
    }


def _number(value: float) -> float | None:
    """Four digits are enough for a caption; what is not finite becomes null."""
    return float(f"{value:.4g}") if np.isfinite(value) else None


def quantized_logits(logit: np.ndarray) -> tuple[np.ndarray, float, float]:
    """A landscape in 8 bits and what its least and greatest number stand for.

    255 marks what is not finite. A flat landscape is all zeros.
    """
    finite = np.isfinite(logit)
    if not finite.any():
        return np.full(logit.shape, _LEVELS + 1, np.uint8), np.nan, np.nan
    low, high = float(logit[finite].min()), float(logit[finite].max())
    scaled = (np.where(finite, logit, low) - low) / (high - low if high > low else 1.0)
    return np.where(finite, (scaled * _LEVELS).round(), _LEVELS + 1).astype(np.uint8), low, high


def _quantised(points: np.ndarray, window: Sequence[Sequence[float]]) -> np.ndarray:
    low, high = np.array(window, dtype=np.float64).T
    share = (points - low) / np.where(high > low, high - low, 1.0)
    inside = (share >= 0) & (share <= 1)  # nan is not
    return np.where(inside, (np.where(inside, share, 0) * _FULL).round(), _FULL + 1).astype("<u2")


def pictures(section: Section, budget: int) -> Json | None:
    """Sample grids of a section on one clock, as data URIs, or None where there are none.

    Takes fewer steps, then smaller pictures, until they fit.

    Args:
        section: With pictures, or without.
        budget: Bytes that they may take, as text.
    """
    paths = {
        label: section.pictures[label] for label in section.labels if section.pictures.get(label)
    }
    everything = sorted({step for steps in paths.values() for step in steps})
    if not everything:
        return None
    limit, scale = ANIMATION_STEPS, 1.0
    while True:
        clock = [everything[i] for i in thinned(len(everything), limit)]
        groups = [
            {
                "label": label,
                "seed": section.seed.get(label),
                "frames": shown,
            }
            for label, steps in paths.items()
            if (shown := _images(_kept(steps, clock), scale, budget))
        ]
        if not groups:
            return None
        packed: Json = {"groups": groups, "scale": scale}
        if _size(packed) <= budget or (limit <= 6 and scale < 0.2):
            return {"steps": clock, "dropped": len(everything) - len(clock), **packed}
        if limit > 6:
            limit = max(6, min(limit, len(everything)) // 2)
        else:
            scale /= 1.5


def _images(paths: Mapping[int, Path], scale: float, budget: int) -> list[Json]:
    """The pictures that can be read, up to the first that is over the budget.

    One torn file must not cost the page.
    """
    shown: list[Json] = []
    for step, path in paths.items():
        if _size(shown) <= budget and (png := samples.read_png(path)) is not None:
            shown.append({"step": step, "image": _image(png, scale)})
    return shown


def _image(data: bytes, scale: float) -> str:
    if scale < 1:
        with Image.open(io.BytesIO(data)) as image:
            size = [max(1, round(side * scale)) for side in image.size]
            buffer = io.BytesIO()
            small = image.convert("RGB").resize((size[0], size[1]), Image.Resampling.LANCZOS)
            small.save(buffer, "PNG", optimize=True)
            data = buffer.getvalue()
    return "data:image/png;base64," + base64.b64encode(data).decode()


def _size(value: Any) -> int:
    if isinstance(value, str):
        return len(value) + 3
    if isinstance(value, dict):
        return sum(len(key) + 4 + _size(each) for key, each in value.items())
    if isinstance(value, list):
        return sum(map(_size, value))
    return 8
