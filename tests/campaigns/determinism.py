"""What is equal between two runs bit for bit, and how far apart the rest is.

Every run here is a process of its own, with another PYTHONHASHSEED and another directory. What has
to be equal is compared by the digest of its state and by its rows; the rest by the largest
difference of a weight and of W1, relative to their size, over several seeds.
"""

import json
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from gan_lab.runs import checkpoint
from tests.campaigns.record import Campaign, Fault

_ROOT = Path(__file__).resolve().parents[2]
_TAG = "divergence/wasserstein"
_KEYS = (
    *("data=ring", "network=mlp", "device=cpu", "execution.threads=1", "execution.mode=eager"),
    *(
        "execution.precision=f32",
        "trainer.image_every=0",
        "trainer.log_every=10",
        "neural_distance.steps=0",
    ),
    *("metrics=[wasserstein]", "evaluator.every=10", "evaluator.n=256", "evaluator.n_repeats=2"),
)
_EQUAL = {
    "f32": (),
    "bf16": ("execution.precision=bf16",),
    "stacked": ("n_seeds=2",),
    "compiled": ("execution.mode=compiled",),
}


_DISTANCES = (
    "How far apart two runs of one seed are after {steps} steps, relative to the largest weight "
    "and to W1 (median of {n_seeds} seeds, least and most; W1 is measured every 10 steps)"
)


@dataclass(frozen=True)
class Pair:
    """Two ways to run one thing.

    Attributes:
        kind: What differs between them, in a few words.
        one: Keys of the first.
        other: Keys of the second.
    """

    kind: str
    one: tuple[str, ...]
    other: tuple[str, ...]


APART = (
    Pair("1 and 2 threads", (), ("execution.threads=2",)),
    Pair("eager and compiled", (), ("execution.mode=compiled",)),
    Pair("one seed alone and in a stack of 2", (), ("n_seeds=2",)),
    Pair("f32 and bf16", (), ("execution.precision=bf16",)),
)


def campaign(
    n: int = 36,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
    steps: int = 200,
    widths: Sequence[int] = (64, 256),
    n_seeds: int = 5,
) -> Campaign:
    """Runs n pairs that have to be equal bit for bit, then measures what need not be.

    Args:
        n: Pairs: losses by turns, each in one of f32, bf16, stacked and compiled.
        seed: Of the runs.
        tell: Shows one line of progress.
        steps: Of a run.
        widths: Of the networks that are compared where equality is not promised; 2 threads first
            share the work of a product when it is large.
        n_seeds: Of the runs that are compared there.
    """
    losses = sorted(path.stem for path in (_ROOT / "conf" / "loss").glob("*.yaml"))
    faults, measured = list[Fault](), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for i in range(n):
            name, loss = list(_EQUAL)[i // len(losses) % len(_EQUAL)], losses[i % len(losses)]
            lost = unequal(home / f"{i}", (f"loss={loss}", f"seed={seed}", *_EQUAL[name]), steps)
            faults.append(Fault(f"twice the same: {name}", f"loss={loss} seed={seed}", lost))
            tell(f"{i + 1} of {n}: {loss}, {name}: {lost or 'equal'}")
        for pair in APART if n else ():
            for width in widths:
                found = [
                    apart(home / f"{pair.kind} {width} {s}", pair, width, s, steps)
                    for s in range(seed, seed + n_seeds)
                ]
                spreads = {name: _spread([each[name] for each in found]) for name in found[0]}
                measured.append({"what differs": pair.kind, "width": width, **spreads})
                tell(str(measured[-1]))
    return Campaign(
        "determinism",
        "The same run twice: another process, directory and PYTHONHASHSEED",
        "the same bits of weights, moments, randomness and rows on one machine with one number of "
        "threads, one mode and one precision",
        faults,
        {_DISTANCES.format(n_seeds=n_seeds, steps=steps): measured} if measured else {},
    )


def unequal(home: Path, keys: Iterable[str], steps: int) -> str:
    """Trains the same twice; how the two differ, empty where they do not."""
    one, other = (_trained(home / f"run {i}", keys, steps, hash_seed=i) for i in (1, 2))
    lost = []
    if digest(one) != digest(other):
        lost.append("other weights, moments or randomness")
    for name in [path.name for path in sorted(one.glob("seed_*"))] or ["."]:
        if rows(one / name) != rows(other / name):
            lost.append(f"other rows in {name}")
    return "; ".join(lost)


def apart(home: Path, pair: Pair, width: int, seed: int, steps: int) -> dict[str, float]:
    """The largest difference of a weight and of W1 between two ways to run, relative.

    Returns:
        Of the generator's average max |a - b| / max |a|, of the first and the last W1 of the first
        seed |a - b| / a, and the first step at which W1 differs (nan: none).
    """
    ways = (pair.one, pair.other)
    keys = (f"network.width={width}", f"seed={seed}")
    one, other = (_trained(home / f"{i}", (*keys, *way), steps) for i, way in enumerate(ways))
    weights, others = _average(one), _average(other)
    size = max(float(leaf.abs().max()) for leaf in weights.values())
    most = max(float((weights[name] - others[name]).abs().max()) for name in weights)
    w1, other_w1 = _measurements(one), _measurements(other)
    return {
        "weights": most / size,
        "W1 before training": abs(w1[0] - other_w1[0]) / w1[0],
        "W1 at the end": abs(w1[-1] - other_w1[-1]) / w1[-1],
        "W1 differs from step": _first_difference(w1, other_w1),
    }


def digest(run: Path) -> str:
    """Of all that decides how a run goes on."""
    content = checkpoint.load_latest(run / "checkpoints").content
    return checkpoint.digest({key: content[key] for key in ("step", "state", "streams")})


def rows(run: Path) -> list[dict[str, Any]]:
    """metrics.jsonl without the clock."""
    lines = map(json.loads, (run / "metrics.jsonl").read_text().splitlines())
    return [{tag: row[tag] for tag in row if not tag.startswith("time/")} for row in lines]


def _spread(values: Sequence[float]) -> str:
    """Median, least and most; "never" where there is no number."""
    if all(map(math.isnan, values)):
        return "never"
    if len(set(values)) == 1:
        return f"{values[0]:.3g}"
    return f"{statistics.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def _average(run: Path) -> dict[str, torch.Tensor]:
    """The averaged generator of the first seed."""
    content = checkpoint.load_latest(run / "checkpoints").content
    stacked = int(content["config"]["n_seeds"]) > 1
    return {n: x[0] if stacked else x for n, x in content["state"]["average"].items()}


def _measurements(run: Path) -> list[float]:
    homes = sorted(run.glob("seed_*")) or [run]
    return [float(row[_TAG]) for row in rows(homes[0]) if _TAG in row]


def _first_difference(one: Sequence[float], other: Sequence[float]) -> float:
    """In measurements, 10 steps apart; nan where there is none."""
    differ = (10.0 * i for i, (a, b) in enumerate(zip(one, other, strict=True)) if a != b)
    return next(differ, math.nan)


def _trained(path: Path, keys: Iterable[str], steps: int, hash_seed: int = 0) -> Path:
    command = [sys.executable, "-m", "gan_lab", "train", *_KEYS, *keys, f"trainer.steps={steps}"]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(_ROOT)}
    environment.pop("OMP_NUM_THREADS", None)  # a second thread is asked for by its key
    path.parent.mkdir(parents=True, exist_ok=True)
    done = subprocess.run(
        [*command, f"hydra.run.dir='{path}'"],
        cwd=path.parent,
        env=environment,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {done.returncode}: {done.stderr}")
    return path
