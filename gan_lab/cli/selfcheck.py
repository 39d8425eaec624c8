"""The command `selfcheck`: the metrics and the neural distance against closed forms."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from rich import box
from rich.console import Console
from rich.progress import track
from rich.table import Column, Table

from gan_lab import selfcheck as checks
from gan_lab.cli.arguments import directory, parse_options
from gan_lab.cli.commands import Selfcheck
from gan_lab.reports.export.terminal import say
from gan_lab.reports.plots.samples import encode_png, render_figure
from gan_lab.reports.plots.style import house_style
from gan_lab.runs.run_dir import atomic_write, to_json
from gan_lab.selfcheck import page
from gan_lab.selfcheck.bias import bias_cases
from gan_lab.selfcheck.checks import FAIL, KNOWN_BIAS, PASS, Row
from gan_lab.selfcheck.coverage import Coverage, coverage
from gan_lab.selfcheck.images import image_rows
from gan_lab.selfcheck.picture import bias_figure

_SIMULATIONS = 400
_COLOURS = {PASS: "green", FAIL: "red", KNOWN_BIAS: "cyan"}


def selfcheck(arguments: list[str]) -> int:
    """Check every metric; print a table, write JSON and a page; 1 where a row is outside."""
    request = parse_options(Selfcheck, arguments)
    quick, seeds = request.quick, request.n_seeds or (1 if request.quick else 5)
    stamp = datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    output = directory("output", request.output or f"outputs/selfcheck/{stamp}")
    screen = Console()
    if not screen.is_terminal:
        screen.width = 200  # a log file or a pipe has no width to keep to
    cases, by_size = checks.cases(quick), list(bias_cases(quick))
    work = [(case, seed) for seed in range(seeds) for case in cases]
    progress: dict[str, Any] = {"console": Console(stderr=True), "transient": True}
    pairs = track(work, "estimators", **progress)
    rows = [row for case, seed in pairs for row in checks.check([case], seed)]
    sizes = [row for case in track(by_size, "bias", **progress) for row in checks.check([case], 0)]
    images = image_rows()
    intervals = [] if quick else coverage(_SIMULATIONS)
    screen.print(_table(rows, seeds))
    screen.print(_sizes_table(sizes))
    screen.print(_images_table(images))
    if intervals:
        screen.print(_coverage_table(intervals))
    failures = [row for row in [*rows, *sizes, *images] if not row.passed]
    misses = [row for row in intervals if not row.passed]
    counts = page.counts([*rows, *sizes, *images], intervals)
    result = {
        **{"passed": not failures and not misses, "quick": quick, "seeds": seeds},
        "rows": [{**asdict(row), "verdict": row.verdict} for row in rows],
        "bias": [{**asdict(row), "verdict": row.verdict} for row in sizes],
        "images": [{**asdict(row), "verdict": row.verdict} for row in images],
        "coverage": [{**asdict(row), "passed": row.passed} for row in intervals],
    }
    atomic_write(output / "result.json", to_json(result, indent=2))
    with house_style():
        picture = encode_png(render_figure(bias_figure(sizes)))
    atomic_write(output / "figures" / "bias.png", picture)
    index = page.selfcheck_page(rows, sizes, intervals, picture, images)
    atomic_write(output / "index.html", index.encode())
    for row in failures:
        got = f"FAIL {row.estimator}: {row.case}, n = {row.n}, seed {row.seed}: {row.estimate:.6g}"
        say(f"{got} is not in {row.band[0]:.6g} to {row.band[1]:.6g}: {row.reason}")
    for each in misses:
        say(f"FAIL {each.estimator}: intervals of {each.repeats} repeats cover {each.share:.1%}")
    screen.print(counts, highlight=False)
    for label, file in (("result", "result.json"), ("picture", "figures/bias.png")):
        say(f"{label + ':':8} {output / file}")
    say(f"page:    {output / 'index.html'}")
    return 1 if failures or misses else 0


def _table(rows: Sequence[Row], seeds: int) -> Table:
    """Return one line a case: the first seed's numbers, and how many seeds passed."""
    counts = Counter((row.estimator, row.case) for row in rows if row.passed)
    title = "Estimators against known answers"
    names = (Column(name, no_wrap=True) for name in ("estimator", "case"))
    columns = ("n", "truth", "estimate", "95 % interval", "bias", "has to be in", "verdict")
    numbers = (Column(name, justify="right", no_wrap=True) for name in columns)
    table = Table(*names, *numbers, title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for row in sorted((row for row in rows if row.seed == 0), key=lambda row: row.estimator):
        count = counts[row.estimator, row.case]
        word = row.verdict if count == seeds else FAIL
        verdict = f"[{_COLOURS[word]}]{word}[/]"
        if seeds > 1:
            verdict += f" {count}/{seeds}"
        cells = [str(row.n), f"{row.truth:.3g}", f"{row.estimate:.3g}"]
        cells += [f"{row.low:.3g} to {row.high:.3g}", f"{row.bias:+.1e}"]
        cells += [f"{row.band[0]:.3g} to {row.band[1]:.3g}", verdict]
        table.add_row(row.estimator, row.case, *cells)
    return table


def _sizes_table(rows: Sequence[Row]) -> Table:
    sizes = sorted({row.n for row in rows})
    table = Table(
        title="Bias against n (red: outside what is documented)",
        title_justify="left",
        box=box.SIMPLE_HEAD,
    )
    table.add_column("estimator", no_wrap=True)
    table.add_column("truth", justify="right")
    for n in sizes:
        table.add_column(f"n = {n}", justify="right", no_wrap=True)
    for name in dict.fromkeys(row.estimator for row in rows):
        mine = {row.n: row for row in rows if row.estimator == name}
        texts = {n: f"{row.bias:+.3g}" for n, row in mine.items()}
        texts |= {n: f"[red]{texts[n]}[/]" for n, row in mine.items() if not row.passed}
        cells = [texts.get(n, "") for n in sizes]
        first = next(iter(mine.values()))
        table.add_row(f"{name} ({first.unit})", f"{first.truth:.4g}", *cells)
    return table


def _images_table(rows: Sequence[Row]) -> Table:
    title = f"What each metric sees of spoilt digits, in draws of {rows[0].n}"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD)
    table.add_column("metric", no_wrap=True)
    for defect in dict.fromkeys(row.case for row in rows):
        table.add_column(defect, justify="right")
    for metric in dict.fromkeys(row.estimator for row in rows):
        mine = [row for row in rows if row.estimator == metric]
        texts = [f"[{_COLOURS[row.verdict]}]{page.sight(row)}[/]" for row in mine]
        table.add_row(metric, *texts)
    return table


def _coverage_table(rows: Sequence[Coverage]) -> Table:
    title = "Share of nominal 95 % intervals that hold the expectation"
    columns = ("n", "repeats", "simulations", "covers", "passed")
    headers = (Column("estimator", no_wrap=True), *(Column(c, justify="right") for c in columns))
    table = Table(*headers, "label", title=title, title_justify="left", box=box.SIMPLE_HEAD)
    for row in rows:
        numbers = (str(row.n), str(row.repeats), str(row.simulations))
        verdict = "[green]pass[/]" if row.passed else "[red]FAIL[/]"
        table.add_row(row.estimator, *numbers, f"{row.share:.1%}", verdict, row.label)
    return table
