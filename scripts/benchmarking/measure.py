"""Times one row: the textbook loop, gan_lab in every variant, and a peer, taking turns."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import torch

from benchmarking import flops, ours
from benchmarking.limits import Limits
from benchmarking.ours import Ours
from benchmarking.rows import Row, Work
from benchmarking.textbook import Textbook
from benchmarking.timing import Contestant, built, interleaved, ratios, summary
from gan_lab.errors import ConfigError


@dataclass(frozen=True)
class Options:
    """What was asked for: `rounds` turns of each contestant, of `seconds` each.

    The directory is for files that rows need; `tell` shows a line of progress.
    """

    device: torch.device
    threads: int
    rounds: int
    seconds: float
    modes: list[str]
    precisions: list[str]
    directory: Path
    peer: "Peer | None" = None
    tell: Callable[[str], None] = print


@dataclass(frozen=True)
class Peer:
    """An outside script, timed as it is.

    Attributes:
        sizes: What it says of its own sizes: fields of `Work` that a row must share, to be timed
            beside it. Without them it is timed beside every row.
        about: First line of its docstring.
    """

    name: str
    step: Callable[[], object]
    sizes: dict[str, Any]
    about: str

    @staticmethod
    def load(path: Path) -> "Peer":
        """Imports a Python file that defines `step()`, and perhaps `SIZES`.

        Raises:
            ValueError: No such file, no `step`, or an unknown size.
        """
        spec = importlib.util.spec_from_file_location(f"peer_{path.stem}", path)
        if spec is None or spec.loader is None or not path.is_file():
            raise ValueError(f"--peer {path}: no Python file")
        module = importlib.util.module_from_spec(spec)
        try:
            spec.loader.exec_module(module)
        except Exception as error:
            raise ValueError(f"--peer {path}: {type(error).__name__}: {error}") from error
        if not callable(getattr(module, "step", None)):
            raise ValueError(f"--peer {path}: it defines no step()")
        sizes = getattr(module, "SIZES", {})
        if not isinstance(sizes, dict):
            raise ValueError(f"--peer {path}: SIZES is no dictionary")
        if unknown := set(sizes) - set(Work.__dataclass_fields__):
            known = ", ".join(Work.__dataclass_fields__)
            raise ValueError(f"--peer {path}: SIZES has {sorted(unknown)}; it may have {known}")
        about = (module.__doc__ or "").strip().split("\n")[0]
        return Peer(path.stem, module.step, sizes, about)

    def suits(self, work: Work) -> bool:
        """Whether its sizes are those of a row."""
        mine = {k: tuple(v) if isinstance(v, list) else v for k, v in self.sizes.items()}
        return all(getattr(work, name) == value for name, value in mine.items())


def variants_of(row: Row, options: Options) -> list[tuple[str, str]]:
    """(mode, precision) of what is timed."""
    modes = ours.modes_of(row.compiled, options.device.type, options.modes)
    precisions = [p for p in options.precisions if p != "bf16" or row.bf16]
    return [(mode, precision) for precision in precisions for mode in modes]


def row(row: Row, options: Options, limits: Limits) -> dict[str, Any]:
    """Times a row; returns what the JSON holds of it: every round's numbers and their summaries.

    Raises:
        NotTheSameWork: The contestants differ.
    """
    work, device, base = row.work, options.device, ours.keys(row.work, options.directory, row.seeds)
    contestants: dict[tuple[str, ...], Contestant] = {}
    skipped: dict[str, str] = {}
    textbook: Textbook | None = None
    for mode, precision in variants_of(row, options):
        options.tell(f"{row.name}: {mode} {precision}")
        ways = ours.variant_keys(mode, precision, str(device), options.threads)
        # One seed beside them needs no second compilation to tell the price of stacking.
        alone = row.beside_one and row.seeds > 1 and mode != "compiled"
        seeds = {"ours": row.seeds, **({"one": 1} if alone else {})}
        for role, n in seeds.items():
            overrides, name = [*base, *ways, f"n_seeds={n}"], f"{role} {mode} {precision}"
            try:
                mine, contestant = _build(name, partial(Ours, overrides), device)
            except (ConfigError, RuntimeError) as error:  # no such mode, no compiler, no memory
                skipped[f"{mode} {precision}"] = str(error).strip().split("\n")[0]
                break
            contestants[role, mode, precision] = contestant
            if textbook is None:
                make = partial(Textbook, work, mine.data())
                textbook, contestants["textbook",] = _build("textbook", make, device)
            ours.check_same_work(work, n, mine, textbook)
    if textbook is None:
        return {"name": row.name, "skipped": skipped}
    peer = options.peer if options.peer is not None and options.peer.suits(work) else None
    if peer is not None:
        contestants["peer",] = built("peer", lambda: peer.step, device)
    options.tell(f"{row.name}: {options.rounds} rounds of {len(contestants)}")
    interleaved(list(contestants.values()), device, options.rounds, options.seconds)
    by_formula, counted = flops.needed(work), flops.counted(textbook.step)
    operations = by_formula or counted
    book = contestants["textbook",]
    result = {
        "name": row.name,
        "words": work.words,
        "work": {**vars(work), "shape": list(work.shape)},
        "seeds": row.seeds,
        "operations": {
            "used": operations,
            "by": "formula" if by_formula else "torch, of the textbook loop",
            "textbook_counted": counted,
        },
        "textbook": _of(book, operations, work, "f32", limits, 1),
        "variants": [
            _variant(row, contestants, key[1], key[2], operations, limits)
            for key in contestants
            if key[0] == "ours"
        ],
        "skipped": skipped,
    }
    if peer is not None:
        times = _of(contestants["peer",], None, work, "f32", limits, 1)
        ratio = _with_rounds(ratios(book.rounds, contestants["peer",].rounds))
        result["peer"] = {"name": peer.name, **times, "ratio": ratio}
    return result


T = TypeVar("T", Ours, Textbook)


def _build(name: str, make: Callable[[], T], device: torch.device) -> tuple[T, Contestant]:
    """A training and the contestant of its step; what it takes to make it is timed, too."""
    made: list[T] = []

    def build() -> Callable[[], object]:
        made.append(make())
        return made[0].step

    contestant = built(name, build, device)
    return made[0], contestant


def _variant(
    row: Row,
    contestants: dict[tuple[str, ...], Contestant],
    mode: str,
    precision: str,
    operations: int,
    limits: Limits,
) -> dict[str, Any]:
    mine, book = contestants["ours", mode, precision], contestants["textbook",]
    variant = {
        "mode": mode,
        "precision": precision,
        **_of(mine, operations * row.seeds, row.work, precision, limits, row.seeds),
        "ratio": _with_rounds(ratios(book.rounds, mine.rounds, row.seeds)),
    }
    if one := contestants.get(("one", mode, precision)):
        variant["price"] = _with_rounds(ratios(mine.rounds, one.rounds))
        median = 1e3 * summary(one.rounds)["median"]
        variant["one_ms"] = {"median": median, "rounds": _ms(one.rounds)}
    return variant


def _of(
    contestant: Contestant,
    operations: int | None,
    work: Work,
    precision: str,
    limits: Limits,
    seeds: int,
) -> dict[str, Any]:
    content: dict[str, Any] = {
        "ms": {k: 1e3 * v for k, v in summary(contestant.rounds).items()},
        "rounds_ms": _ms(contestant.rounds),
        "rounds_cpu_ms": _ms(contestant.cpu_rounds),
        "build_seconds": contestant.build_seconds,
        "memory_bytes": contestant.memory,
    }
    if operations is not None:
        rate = operations / summary(contestant.rounds)["median"]
        # What others took of the machine is not its fault; several threads' CPU time is no clock.
        clock = contestant.cpu_rounds if torch.get_num_threads() == 1 else contestant.rounds
        at_best = operations / min(clock)
        limit = {"torch": limits.torch(work, precision, seeds), "best": limits.best(precision)}
        content |= {"operations_per_second": rate, "limit": limit}
        content["fraction"] = {kind: rate / most for kind, most in limit.items()}
        content["fraction_at_best"] = {kind: at_best / most for kind, most in limit.items()}
    return content


def _with_rounds(values: list[float]) -> dict[str, Any]:
    return {**summary(values), "rounds": values}


def _ms(rounds: Sequence[float]) -> list[float]:
    return [1e3 * seconds for seconds in rounds]
