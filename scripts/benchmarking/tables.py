"""Results as tables: on the screen and in Markdown."""

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from benchmarking.verdicts import verdicts

Cells = list[list[str]]

STEP_HEAD = [
    *("row", "way", "ratio", "spread", "textbook ms", "gan_lab ms"),
    *("of torch's limit", "machine's", "textbook's", "peak MB", "build s"),
]


def step_cells(result: Mapping[str, Any]) -> Cells:
    """One line for each way of each row that times steps in one process."""
    cells = []
    for row in result["rows"]:
        if "textbook" not in row:
            continue
        book = row["textbook"]
        for v in row["variants"]:
            cells.append(
                [
                    row["name"],
                    f"{v['mode']} {v['precision']}",
                    _ratio(v["ratio"]),
                    _spread(v["ratio"]),
                    _ms(book),
                    _ms(v),
                    _percent(v["fraction"]["torch"]),
                    _percent(v["fraction"]["best"]),
                    _percent(book["fraction"]["torch"]),
                    f"{_mb(v)} ({_mb(book)})",
                    f"{v['build_seconds']:.1f}",
                ]
            )
        if "peer" in row:
            peer = row["peer"]
            blank = [""] * 3
            cells.append(
                [
                    row["name"],
                    f"peer {peer['name']}",
                    _ratio(peer["ratio"]),
                    _spread(peer["ratio"]),
                    *(_ms(book), _ms(peer), *blank),
                    *(f"{_mb(peer)} ({_mb(book)})", f"{peer['build_seconds']:.1f}"),
                ]
            )
    return cells


PRICE_HEAD = ["row", "way", "time of all / time of one", "spread"]


def price_cells(result: Mapping[str, Any]) -> Cells:
    """What stacking seeds costs, against one seed of gan_lab."""
    return [
        [
            row["name"],
            f"{v['mode']} {v['precision']}",
            _ratio(v["price"]),
            _spread(v["price"]),
        ]
        for row in result["rows"]
        for v in row.get("variants", [])
        if "price" in v
    ]


PROCESS_HEAD = ["row", "way", "ratio per seed", "spread"]


def process_cells(result: Mapping[str, Any]) -> Cells:
    """Seeds spread over processes."""
    return [
        [
            row["name"],
            f"{v['mode']} {v['precision']}",
            _ratio(v["ratio"]),
            _spread(v["ratio"]),
        ]
        for row in result["rows"]
        if "processes" in row
        for v in row["variants"]
    ]


RUN_HEAD = ["row", "seconds on", "seconds off", "share", "spread", "by its own account"]


def run_cells(result: Mapping[str, Any]) -> Cells:
    """What looking costs."""
    return [
        [
            row["words"],
            ", ".join(f"{s:.2f}" for s in row["seconds"]["on"]),
            ", ".join(f"{s:.2f}" for s in row["seconds"]["off"]),
            _percent(row["share"]["median"], 1),
            f"{_percent(row['share']['min'], 1)} .. {_percent(row['share']['max'], 1)}",
            _percent(row["own_account"]["median"], 1),
        ]
        for row in result["rows"]
        if "share" in row
    ]


START_HEAD = ["what", "seconds", "spread"]


def start_cells(result: Mapping[str, Any]) -> Cells:
    """How long it takes to begin."""
    return [
        [part, f"{s['median']:.2f}", f"{s['min']:.2f} .. {s['max']:.2f}"]
        for row in result["rows"]
        if row["name"] == "start"
        for part, s in row["seconds"].items()
    ]


TARGET_HEAD = ["row", "target", "measured", "way", "verdict"]


def target_cells(result: Mapping[str, Any]) -> Cells:
    """Targets, reached or not."""
    words = {True: "reached", False: "not reached"}
    return [
        [
            v["row"],
            v["target"],
            _figure(v["figure"], v["value"]),
            v["way"],
            words[v["reached"]] if v["reached"] is not None else v["note"],
        ]
        for v in verdicts(result)
    ]


LIMIT_HEAD = [
    *("row", "what", "precision", "torch's limit, GFLOP/s", "the machine's"),
    *("GFLOP a step", "counted by"),
]


def limit_cells(result: Mapping[str, Any]) -> Cells:
    """What each row is, and the limits that its fractions refer to."""
    cells = []
    for row in result["rows"]:
        if "textbook" not in row:
            continue
        limits = {"f32": row["textbook"]["limit"]}
        limits |= {v["precision"]: v["limit"] for v in row["variants"]}
        seeds = f", {row['seeds']} seeds" if row["seeds"] > 1 else ""
        for precision, limit in limits.items():
            operations = row["operations"]
            cells.append(
                [
                    row["name"],
                    row["words"] + seeds,
                    precision,
                    f"{limit['torch'] / 1e9:.0f}",
                    f"{limit['best'] / 1e9:.0f}",
                    f"{operations['used'] * row['seeds'] / 1e9:.3g}",
                    operations["by"],
                ]
            )
    return cells


def skipped_lines(result: Mapping[str, Any]) -> list[str]:
    """What was not timed, and why."""
    return [
        f"{row['name']}, {way}: {why}"
        for row in result["rows"]
        for way, why in row.get("skipped", {}).items()
    ]


def show(result: Mapping[str, Any], console: Console | None = None) -> None:
    """Prints all tables that have lines."""
    console = console or Console()
    if not console.is_terminal:
        console = Console(file=console.file, width=140)
    for title, head, cells in (
        ("Steps, textbook / gan_lab", STEP_HEAD, step_cells(result)),
        ("The price of stacked seeds", PRICE_HEAD, price_cells(result)),
        ("All cores", PROCESS_HEAD, process_cells(result)),
        ("Logging and estimates", RUN_HEAD, run_cells(result)),
        ("Start", START_HEAD, start_cells(result)),
        ("Targets", TARGET_HEAD, target_cells(result)),
    ):
        if cells:
            console.print(_rich(title, head, cells))
    for line in skipped_lines(result):
        console.print(f"not timed: {line}", highlight=False, soft_wrap=True)


def _rich(title: str, head: Sequence[str], cells: Cells) -> Table:
    table = Table(title=title, title_justify="left")
    for i, name in enumerate(head):
        table.add_column(name, justify="left" if i < 2 else "right")
    for line in cells:
        table.add_row(*line)
    return table


def _ratio(summary: Mapping[str, float]) -> str:
    return f"{summary['median']:.2f}"


def _spread(summary: Mapping[str, float]) -> str:
    return f"{summary['min']:.2f} .. {summary['max']:.2f}"


def _ms(contestant: Mapping[str, Any]) -> str:
    return f"{contestant['ms']['median']:.3g}"


def _percent(value: float, digits: int = 0) -> str:
    return f"{100 * value:.{digits}f} %"


def _mb(contestant: Mapping[str, Any]) -> str:
    n = contestant["memory_bytes"]
    return "?" if n is None else f"{n / 1e6:.0f}"


def _figure(figure: str, value: float | None) -> str:
    if value is None:
        return ""
    return _percent(value, 1) if figure == "share" else f"{value:.2f}"
