"""The end of a training in at most eight lines: how good, beside what, and what to do next."""

import contextlib
import math
import shlex
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from gan_lab.errors import ConfigError
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.metrics.estimate import CLIPPED_NOTE, SKEWED_MARK, SKEWED_NOTE, Estimate
from gan_lab.metrics.quality import LEGIBLE, Start, judge, sample_w1_note
from gan_lab.reports.analysis import run_config
from gan_lab.runs.compatibility import has_high_dimension
from gan_lab.runs.headline import ENERGY, FRECHET, HEADLINES, WASSERSTEIN, headline_of, short_name
from gan_lab.runs.run_dir import RunDir

MAX_LINES = 8
MAX_SEED_LINES = 4  # above which seeds are summed up by their range
_MODES, _QUALITY = "modes/covered", "modes/high_quality"
_PIXELS = "(no judge: it prefers blur to sharpness)"
Finals = Mapping[str, Mapping[str, Estimate]]  # seed -> tag -> estimate


def outcome(path: Path, finals: Finals, warnings: Sequence[str] = ()) -> list[str]:
    """Return the lines about a run that is done.

    Args:
        path: Its directory; of several seeds the parent.
        finals: The final estimates of each seed that came to its end.
        warnings: What matters to a reader of the numbers.
    """
    homes = {seed: _home(path, seed) for seed in finals}
    rows = {seed: _first_row(home) for seed, home in homes.items()}
    is_high = _is_high_dimensional(path)
    if len(finals) == 1:
        ((seed, each),) = finals.items()
        lines = list(_one_seed(each, rows[seed], is_high))
    elif len(finals) <= MAX_SEED_LINES:
        lines = [_seed_line(seed, each, rows[seed], is_high) for seed, each in finals.items()]
    else:
        lines = list(_range_lines(finals, rows, is_high))
    picture = next(filter(None, map(_picture, homes.values())), None)
    end = [] if picture is None else [f"picture: {picture}"]
    end += [f"run:     {path}", f"next:    python -m gan_lab {_next(path)}"]
    if any("*" in line for line in lines):
        lines[-1] += f"  ({CLIPPED_NOTE})"
    if any(f"]{SKEWED_MARK}" in line for line in lines):
        lines[-1] += f"  ({SKEWED_NOTE})"
    notes = [*warnings, *_events(homes)]
    room = MAX_LINES - len(lines) - len(end)
    if len(notes) > room:
        notes = ["; ".join(notes)] if room > 0 else []
    return [*lines, *(f"warning: {note}" for note in notes), *end]


def number(value: float) -> str:
    """Return a number with three digits: 3.00, 0.0210, 1234."""
    if not math.isfinite(value):
        return "undefined" if math.isnan(value) else f"{value:.0f}"
    if abs(value) >= 100 or value == 0:
        return f"{value:.0f}"
    return f"{value:#.3g}"


def _is_high_dimensional(path: Path) -> bool:
    """Return whether a run's samples have more than 4 coordinates; False of a damaged status."""
    with contextlib.suppress(ConfigError):
        return has_high_dimension(RunDir(path).read_status(), run_config.of_run(path))
    return False


def _one_seed(
    estimates: Mapping[str, Estimate], row: Mapping[str, Any], is_high: bool
) -> Iterable[str]:
    main = headline_of(estimates, is_high)
    headlines = [tag for tag in HEADLINES if tag in estimates]
    # The energy distance where it is the headline; W1 beside it and beside FD.
    headlines = [tag for tag in headlines if tag != ENERGY or tag == main]
    for tag in headlines or list(estimates)[:2]:
        e = estimates[tag]
        floor = "" if e.floor is None else f"  real data {number(e.floor)}"
        if tag == WASSERSTEIN and FRECHET in estimates:
            name = short_name(tag, is_high, e.n)
            yield f"{name} of pixels {_value(tag, e)}{floor}  {_PIXELS}"
            continue
        start = f"  at the start {number(row[tag])}" if tag in row else ""
        unit = "" if e.unit == "1" else f"{e.unit}, "
        note = sample_w1_note(e) if tag == WASSERSTEIN and is_high else f"{unit}{e.n} samples"
        end = f"  ({note})" if note else ""
        yield f"{short_name(tag, is_high, e.n)} {_value(tag, e)}{floor}{start}{end}"
    if _MODES in estimates:
        yield f"modes {_modes(estimates)}{_high_quality(estimates)}"
    if quality := judge(estimates, _start(estimates, row, is_high), is_high):
        yield f"verdict: {quality}"


def _seed_line(
    seed: str, estimates: Mapping[str, Estimate], row: Mapping[str, Any], is_high: bool
) -> str:
    parts = [f"seed {seed}:"]
    tag = headline_of(estimates, is_high) or next(iter(estimates), None)
    if tag is None:
        return f"seed {seed}: nothing measured"
    e = estimates[tag]
    parts += [f"{short_name(tag, is_high, e.n)} {_value(tag, e)}"]
    parts += [] if e.floor is None else [f" real data {number(e.floor)}"]
    parts += [f" at the start {number(row[tag])}"] if tag in row else []
    parts += [f" modes {_modes(estimates)}"] if _MODES in estimates else []
    quality = judge(estimates, _start(estimates, row, is_high), is_high)
    return " ".join(parts) + (f"  {quality.word}" if quality else "")


def _range_lines(
    finals: Finals, rows: Mapping[str, Mapping[str, Any]], is_high: bool
) -> Iterable[str]:
    every = list(finals.values())
    tag = headline_of(every[0], is_high) or next(iter(every[0]))
    values = _range([each[tag].value for each in every])
    floor = _range([f for each in every if (f := each[tag].floor) is not None])
    start = _range([row[tag] for row in rows.values() if tag in row])
    line = f"{short_name(tag, is_high, every[0][tag].n)} {values}"
    line += f"  real data {floor}" if floor else ""
    line += f"  at the start {start}" if start else ""
    unit = "" if every[0][tag].unit == "1" else f"{every[0][tag].unit}, "
    yield f"{line}  ({unit}{len(finals)} seeds)"
    if legible := [100 * each[LEGIBLE].value for each in every if LEGIBLE in each]:
        yield f"legible {_range(legible)} % of samples{_percent_floor(every[0][LEGIBLE])}"
    if _MODES in every[0]:
        yield f"modes {_range([each[_MODES].value for each in every])} of {_floor(every[0])}"
    words = Counter(
        quality.word
        for seed, each in finals.items()
        if (quality := judge(each, _start(each, rows[seed], is_high), is_high))
    )
    if words:
        yield f"verdict: {', '.join(f'{n} {word}' for word, n in words.most_common())}"


def _value(tag: str, e: Estimate) -> str:
    if not math.isfinite(e.high - e.low):  # of one repeat, or infinite
        return number(e.value)
    return f"{number(e.value)} {e.interval_text(tag, number)}"


def _range(values: Sequence[float]) -> str:
    if not values:
        return ""
    low, high = number(min(values)), number(max(values))
    return low if low == high else f"{low} to {high}"


def _floor(estimates: Mapping[str, Estimate]) -> str:
    floor = estimates[_MODES].floor
    return "?" if floor is None else f"{floor:.3g}"


def _modes(estimates: Mapping[str, Estimate]) -> str:
    return f"{estimates[_MODES].value:.3g} of {_floor(estimates)}"


def _high_quality(estimates: Mapping[str, Estimate]) -> str:
    e = estimates.get(_QUALITY)
    if e is None:
        return ""
    near = "confident" if FRECHET in estimates else "near one"  # a classifier's, or by distance
    return f"  {100 * e.value:.0f} % of samples {near}{_percent_floor(e)}"


def _percent_floor(e: Estimate) -> str:
    return "" if e.floor is None else f" (real data {100 * e.floor:.0f} %)"


def _start(
    estimates: Mapping[str, Estimate], row: Mapping[str, Any], is_high: bool
) -> Start | None:
    """Return the headline of a run from fresh networks; a fork's first row is no start of it."""
    tag = headline_of(estimates, is_high)
    if tag is None or row.get("step") != 0 or not {tag, f"{tag}_floor"} <= row.keys():
        return None
    return Start(row[tag], row[f"{tag}_floor"])


def _home(path: Path, seed: str) -> RunDir:
    child = RunDir(path).child(int(seed))
    return child if child.path.exists() else RunDir(path)


def _first_row(home: RunDir) -> Mapping[str, Any]:
    """Return the first record of a run; {} where its records were lost."""
    return next(iter(_records(home.metrics)), {})


def _events(homes: Mapping[str, RunDir]) -> Iterable[str]:
    """Yield one sentence with the kinds of events and where each came first."""
    firsts: dict[str, int] = {}
    for home in homes.values():
        for event in _records(home.events):
            kind, step = str(event["kind"]).replace("_", " "), int(event["step"])
            if kind != "collapse":  # the verdict tells whether it lasted
                firsts[kind] = min(step, firsts.get(kind, step))
    if firsts:
        kinds = ", ".join(f"{kind} (step {step})" for kind, step in firsts.items())
        yield f"{kinds}: explained in {next(iter(homes.values())).events}"


def _records(path: Path) -> list[dict[str, Any]]:
    with contextlib.suppress(ConfigError):  # damaged, which compare tells
        return read_metrics(path) if path.exists() else []
    return []


def _picture(home: RunDir) -> Path | None:
    return max(home.samples.glob("step_*.png"), default=None)


def _next(path: Path) -> str:
    has_log = any(path.rglob("*tfevents*"))
    return f"{'dashboard' if has_log else 'sample'} {shlex.quote(str(path))}"
