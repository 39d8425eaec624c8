"""Results as tables: on the screen and in Markdown."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarking.verdicts import verdicts

Result = Mapping[str, Any]
HeadAndCells = tuple[list[str], list[list[str]]]


def steps(result: Result) -> HeadAndCells:
    """One line for each way of each row that times steps in one process."""
    head = [
        *("row", "way", "ratio", "spread", "textbook ms", "gan_lab ms"),
        *("of torch's limit", "machine's", "textbook's", "peak MB", "build s"),
    ]
    cells = []
    for row in result["rows"]:
        if "textbook" not in row:
            continue
        book = row["textbook"]
        for v in [*row["variants"], *([row["peer"]] if "peer" in row else [])]:
            own = v.get("fraction")  # a peer's operations are not known
            shares = [own["torch"], own["best"], book["fraction"]["torch"]] if own else []
            memory, build = f"{_mb(v)} ({_mb(book)})", f"{v['build_seconds']:.1f}"
            percents = [*map(_percent, shares)] or [""] * 3
            cells.append([*_way(row, v, "ratio"), _ms(book), _ms(v), *percents, memory, build])
    return head, cells


def prices(result: Result) -> HeadAndCells:
    """What stacking seeds costs, against one seed of gan_lab."""
    ways = [(row, v) for row in result["rows"] for v in row.get("variants", []) if "price" in v]
    head = ["row", "way", "time of all / time of one", "spread"]
    return head, [_way(row, v, "price") for row, v in ways]


def processes(result: Result) -> HeadAndCells:
    """Seeds spread over processes."""
    ways = [(row, v) for row in result["rows"] if "processes" in row for v in row["variants"]]
    return ["row", "way", "ratio per seed", "spread"], [_way(row, v, "ratio") for row, v in ways]


def runs(result: Result) -> HeadAndCells:
    """What evaluation and records cost."""
    head = ["row", "seconds on", "seconds off", "share", "spread", "by its own account"]
    return head, [
        [
            row["words"],
            *(", ".join(f"{s:.2f}" for s in row["seconds"][way]) for way in ("on", "off")),
            _percent(row["share"]["median"], 1),
            f"{_percent(row['share']['min'], 1)} .. {_percent(row['share']['max'], 1)}",
            _percent(row["own_account"]["median"], 1),
        ]
        for row in result["rows"]
        if "share" in row
    ]


def starts(result: Result) -> HeadAndCells:
    """How long it takes to begin."""
    timed = [row["seconds"] for row in result["rows"] if row["name"] == "start"]
    cells = [[part, *_median_and_spread(s)] for parts in timed for part, s in parts.items()]
    return ["what", "seconds", "spread"], cells


def targets(result: Result) -> HeadAndCells:
    """Targets, reached or not."""
    words = {True: "reached", False: "not reached"}
    cells = []
    for v in verdicts(result):
        figure = "" if v["value"] is None else f"{v['value']:.2f}"
        if v["figure"] == "share" and figure:
            figure = _percent(v["value"], 1)
        cells.append([v["row"], v["target"], figure, v["way"], words.get(v["reached"], v["note"])])
    return ["row", "target", "measured", "way", "verdict"], cells


def limits(result: Result) -> HeadAndCells:
    """What each row is, and the limits that its fractions refer to."""
    head = ["row", "what", "precision", "torch's limit, GFLOP/s", "the machine's"]
    cells = []
    for row in result["rows"]:
        if "textbook" not in row:
            continue
        by_precision = {"f32": row["textbook"]["limit"]}
        by_precision |= {v["precision"]: v["limit"] for v in row["variants"]}
        what = row["words"] + (f", {row['seeds']} seeds" if row["seeds"] > 1 else "")
        operations = f"{row['operations']['used'] * row['seeds'] / 1e9:.3g}"
        for precision, limit in by_precision.items():
            rates = [f"{limit[name] / 1e9:.0f}" for name in ("torch", "best")]
            by = row["operations"]["by"]
            cells.append([row["name"], what, precision, *rates, operations, by])
    return [*head, "GFLOP a step", "counted by"], cells


def skipped_lines(result: Result) -> list[str]:
    """What was not timed, and why."""
    return [
        f"{row['name']}, {way}: {why}"
        for row in result["rows"]
        for way, why in row.get("skipped", {}).items()
    ]


def show(result: Result, console: Console) -> None:
    """Prints all tables that have lines."""
    if not console.is_terminal:
        console = Console(file=console.file, width=140)
    for title, (head, cells) in (
        ("Steps, textbook / gan_lab", steps(result)),
        ("The price of stacked seeds", prices(result)),
        ("All cores", processes(result)),
        ("Logging and estimates", runs(result)),
        ("Start", starts(result)),
        ("Targets", targets(result)),
    ):
        table = Table(title=title, title_justify="left")
        for i, name in enumerate(head):
            table.add_column(name, justify="left" if i < 2 else "right")
        for line in cells:
            table.add_row(*line)
        if cells:
            console.print(table)
    for line in skipped_lines(result):
        console.print(f"not timed: {line}", highlight=False, soft_wrap=True)


def _way(row: Result, v: Result, figure: str) -> list[str]:
    """The row, the way and one of its figures."""
    way = f"{v['mode']} {v['precision']}" if "mode" in v else f"peer {v['name']}"
    return [row["name"], way, *_median_and_spread(v[figure])]


def _median_and_spread(summary: Mapping[str, float]) -> tuple[str, str]:
    return f"{summary['median']:.2f}", f"{summary['min']:.2f} .. {summary['max']:.2f}"


def _ms(contestant: Result) -> str:
    return f"{contestant['ms']['median']:.3g}"


def _percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f} %"


def _mb(contestant: Result) -> str:
    n = contestant["memory_bytes"]
    return "?" if n is None else f"{n / 1e6:.0f}"
