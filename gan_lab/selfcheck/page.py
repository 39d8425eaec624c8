"""The self-check's page: one verdict, the figure of bias, and every line with its reason."""

from collections.abc import Sequence

from gan_lab.reports.html import document
from gan_lab.selfcheck.checks import FAIL, KNOWN_BIAS, PASS, Row
from gan_lab.selfcheck.coverage import Coverage
from gan_lab.selfcheck.images import BLIND, OFTEN, SEES

_LEGEND = (
    f"{PASS}: the estimate is where truth and noise put it. {KNOWN_BIAS}: the estimator is off the "
    "truth at this number of samples, by as much as a theorem or its exact expectation says; "
    f"compare it with real data, which have the same bias. {FAIL}: it is neither."
)


def counts(rows: Sequence[Row], intervals: Sequence[Coverage]) -> str:
    """Return how many lines passed, are biased as documented, and failed, in words."""
    words = [row.verdict for row in rows]
    n_failed = words.count(FAIL) + sum(not each.passed for each in intervals)
    n_passed = words.count(PASS) + sum(each.passed for each in intervals)
    n = len(rows) + len(intervals)
    return f"{n} checks: {n_passed} pass, {words.count(KNOWN_BIAS)} {KNOWN_BIAS}, {n_failed} failed"


def selfcheck_page(
    rows: Sequence[Row],
    sizes: Sequence[Row],
    intervals: Sequence[Coverage],
    picture: bytes,
    images: Sequence[Row] = (),
) -> str:
    """Return the page; `picture` is the figure of bias against n as a PNG.

    `images` are the rows of spoilt digits, one for each metric and defect.
    """
    title = "Self-check of the metrics"
    failures = [row for row in [*rows, *sizes, *images] if not row.passed]
    misses = [each for each in intervals if not each.passed]
    is_right = not failures and not misses
    headline = (
        "Every estimator gives what its closed form and its documented bias allow."
        if is_right
        else "An estimator gives what neither its closed form nor its documented bias allows."
    )
    wrong = [
        f"{row.estimator}, {row.case}, n = {row.n}, seed {row.seed}: {row.estimate:.4g} is not in "
        f"{row.band[0]:.4g} to {row.band[1]:.4g}"
        for row in failures
    ]
    wrong += [
        f"{each.estimator}: intervals of {each.repeats} repeats cover {each.share:.1%}"
        for each in misses
    ]
    caption = (
        "Bias falls as samples are added. Real data measured at the same n have it, too: so runs "
        "are compared at one n, and beside real data."
    )
    body = [
        document.header(title, "Do the metrics measure what they say?"),
        document.verdict(
            "good" if is_right else "bad", counts([*rows, *sizes, *images], intervals), headline
        ),
        document.notes("Failed", wrong),
        document.figure(picture, "Bias of every estimator against the number of samples", caption),
        document.section("Every line", document.paragraphs([_LEGEND]) + _lines(rows)),
        document.section("By number of samples", document.fold("All lines", _lines(sizes))),
    ]
    if images:
        body.append(document.section("What each metric sees of spoilt digits", _images(images)))
    if intervals:
        body.append(document.section("Coverage of the intervals", _coverage(intervals)))
    return document.document(title, "\n".join(filter(None, body)))


def _lines(rows: Sequence[Row]) -> str:
    """Return a table of the first seed's numbers, what failed first."""
    order = (FAIL, KNOWN_BIAS, PASS)
    first = sorted(rows, key=lambda row: (order.index(row.verdict), row.estimator))
    selection = [row for row in first if row.seed == rows[0].seed or not row.passed]
    columns = ["estimator", "verdict", "case", "truth", "estimate [95 %]", "bias", "n", "reason"]
    cells = [
        [
            *(f"{row.estimator} ({row.unit})", row.verdict, row.case, f"{row.truth:.4g}"),
            f"{row.estimate:.4g} [{row.low:.3g}, {row.high:.3g}]",
            *(f"{row.bias:+.2g}", str(row.n), row.reason),
        ]
        for row in selection
    ]
    return document.table("Estimators against known answers", columns, cells)


def sight(row: Row) -> str:
    """Return whether a metric saw a defect, and in how many draws: "sees 20/20"."""
    word = {SEES: "sees", BLIND: "blind", OFTEN: "at times"}[row.band]
    word = word if row.passed else FAIL
    return f"{word} {round(row.estimate * row.repeats)}/{row.repeats}"


def _images(rows: Sequence[Row]) -> str:
    defects = list(dict.fromkeys(row.case for row in rows))
    cells: dict[str, list[str]] = {}
    for row in rows:
        cells.setdefault(row.estimator, [row.estimator]).append(sight(row))
    note = (
        f"In how many draws of {rows[0].n} digits a metric ranks spoilt ones below real ones that "
        "were never trained on. Blind: it cannot tell them apart, or prefers the spoilt ones. No "
        "metric sees everything, so read several. The first three are training images as they are, "
        "at distance 0 from themselves."
    )
    title = "What each metric sees of spoilt digits"
    return document.table(title, ["metric", *defects], list(cells.values()), note=note)


def _coverage(rows: Sequence[Coverage]) -> str:
    columns = ["estimator", "repeats", "covers", "marked", "verdict", "as documented"]
    cells = [
        [
            *(row.estimator, str(row.repeats), f"{row.share:.1%}", f"{row.mark_share:.1%}"),
            *(PASS if row.passed else FAIL, row.label or "-"),
        ]
        for row in rows
    ]
    note = (
        "Share of nominal 95 % intervals that hold the estimator's expectation, in simulation, and "
        "of those that are marked as too narrow for such tails."
    )
    return document.table("Coverage of the intervals", columns, cells, note=note)
