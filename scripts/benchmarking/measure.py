"""Times one row: the textbook loop, gan_lab in every variant, and a peer, taking turns."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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
    """What was asked for.

    Attributes:
        device: Where.
        threads: torch's threads on the CPU.
        rounds: Turns of each contestant.
        seconds: Of one turn.
        modes: Ways to run a step.
        precisions: f32, tf32, bf16.
        directory: For files that rows need.
        peer: An outside script's step, or None.
        tell: Shows a line of progress.
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
        name: Of its file.
        step: One step of it.
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
        unknown = set(sizes) - set(Work.__dataclass_fields__)
        if unknown:
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
    """Times a row.

    Returns:
        What the JSON holds of it: every round's numbers, and what they come to.

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
            mine: list[Ours] = []
            try:
                contestants[role, mode, precision] = built(
                    f"{role} {mode} {precision}",
                    _opening([*base, *ways, f"n_seeds={n}"], mine),
                    device,
                )
            except (
                ConfigError,
                RuntimeError,
            ) as error:  # no such mode here, no compiler, no memory
                skipped[f"{mode} {precision}"] = str(error).strip().split("\n")[0]
                break
            if textbook is None:
                textbook, contestants["textbook",] = _textbook(work, mine[0], device)
            ours.check_same_work(work, n, mine[0], textbook)
    if textbook is None:
        return {"name": row.name, "skipped": skipped}
    if options.peer is not None and options.peer.suits(work):
        step = options.peer.step
        contestants["peer",] = built("peer", lambda: step, device)
    options.tell(f"{row.name}: {options.rounds} rounds of {len(contestants)}")
    interleaved(list(contestants.values()), device, options.rounds, options.seconds)
    operations = flops.needed(work)
    counted = flops.counted(textbook.step)
    found = {
        "name": row.name,
        "words": work.words,
        "work": {**vars(work), "shape": list(work.shape)},
        "seeds": row.seeds,
        "operations": {
            "used": operations or counted,
            "by": "formula" if operations else "torch, of the textbook loop",
            "textbook_counted": counted,
        },
        "textbook": _of(contestants["textbook",], operations or counted, work, "f32", limits, 1),
        "variants": [
            _variant(row, contestants, mode, precision, operations or counted, limits)
            for role, mode, precision in (key for key in contestants if len(key) == 3)
            if role == "ours"
        ],
        "skipped": skipped,
    }
    if ("peer",) in contestants:
        peer, book = contestants["peer",], contestants["textbook",]
        found["peer"] = {
            "name": options.peer.name if options.peer else "",
            **_of(peer, None, work, "f32", limits, 1),
            "ratio": _ratio(book, peer),
        }
    return found


def _opening(overrides: list[str], kept: list[Ours]) -> Callable[[], Callable[[], object]]:
    def build() -> Callable[[], object]:
        kept.append(Ours(overrides))
        return kept[0].step

    return build


def _textbook(work: Work, beside: Ours, device: torch.device) -> tuple[Textbook, Contestant]:
    kept: list[Textbook] = []
    data = beside.data()

    def build() -> Callable[[], object]:
        kept.append(Textbook(work, data))
        return kept[0].step

    contestant = built("textbook", build, device)
    return kept[0], contestant


def _variant(
    row: Row,
    contestants: dict[tuple[str, ...], Contestant],
    mode: str,
    precision: str,
    operations: int,
    limits: Limits,
) -> dict[str, Any]:
    mine, book = contestants["ours", mode, precision], contestants["textbook",]
    found = {
        "mode": mode,
        "precision": precision,
        **_of(mine, operations * row.seeds, row.work, precision, limits, row.seeds),
        "ratio": _ratio(book, mine, row.seeds),
    }
    one = contestants.get(("one", mode, precision))
    if one is not None:
        prices = ratios(mine.rounds, one.rounds)
        found["price"] = {**summary(prices), "rounds": prices}
        found["one_ms"] = {"median": 1e3 * summary(one.rounds)["median"], "rounds": _ms(one.rounds)}
    return found


def _of(
    contestant: Contestant,
    operations: int | None,
    work: Work,
    precision: str,
    limits: Limits,
    seeds: int,
) -> dict[str, Any]:
    found: dict[str, Any] = {
        "ms": {**{k: 1e3 * v for k, v in summary(contestant.rounds).items()}},
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
        own, best = limits.torch(work, precision, seeds), limits.best(precision)
        found["operations_per_second"] = rate
        found["limit"] = {"torch": own, "best": best}
        found["fraction"] = {"torch": rate / own, "best": rate / best}
        found["fraction_at_best"] = {"torch": at_best / own, "best": at_best / best}
    return found


def _ratio(slow: Contestant, fast: Contestant, seeds: int = 1) -> dict[str, Any]:
    found = ratios(slow.rounds, fast.rounds, seeds)
    return {**summary(found), "rounds": found}


def _ms(rounds: Sequence[float]) -> list[float]:
    return [1e3 * seconds for seconds in rounds]
