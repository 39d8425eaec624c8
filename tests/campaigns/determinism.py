"""Two runs of the same configuration: equal bit for bit, or how far apart.

Every run is a process of its own, with another PYTHONHASHSEED and another directory. What has to
be equal is compared by the digest of its state and by its rows; the rest by the largest difference
of a weight and of W1, relative to their size, over several seeds.
"""

import itertools
import math
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from tests.campaigns.record import Campaign, Fault
from tests.helpers import CHEAP, ROOT, load_checkpoint, names, rows, state_digest

_TAG = "divergence/wasserstein"
_KEYS = (
    *("data=ring", "network=mlp", *CHEAP, "metrics=[wasserstein]", "execution.mode=eager"),
    *("execution.precision=f32", "trainer.log_every=10", "evaluator.every=10", "evaluator.n=256"),
)
_EQUAL = {"f32": (), "bf16": ("execution.precision=bf16",), "stacked": ("n_seeds=2",)}
_EQUAL["compiled"] = ("execution.mode=compiled",)
_EQUAL["convolutions"] = (
    *("data=digits", "network=conv", "regularizer=[r1]", "regularizer.r1.every=4"),
)
_PICTURES = "pictures.npy"
_IMAGES = ("data=image_array", "network=conv", "metrics=[features,wasserstein]", "data.size=16")
# Pairs that have to be equal too: what differs, and the keys of both.
_PAIRS = {
    "images in memory and on disk": (
        (*_IMAGES, f"data.path={_PICTURES}", "data.storage=device"),
        (*_IMAGES, f"data.path={_PICTURES}", "data.storage=disk"),
    ),
}
# What differs between two ways to run one thing, and the keys of the second.
APART = {
    "1 and 2 threads": "execution.threads=2",
    "eager and compiled": "execution.mode=compiled",
    "one seed alone and in a stack of 2": "n_seeds=2",
    "f32 and bf16": "execution.precision=bf16",
}
_DISTANCES = (
    "How far apart two runs of one seed are after {steps} steps, relative to the largest weight "
    "and to W1 (median of {n_seeds} seeds, least and most; W1 is measured every 10 steps)"
)


def campaign(
    n: int = 36,
    seed: int = 0,
    tell: Callable[[str], None] = lambda text: None,
    steps: int = 200,
    widths: Sequence[int] = (64, 256),
    n_seeds: int = 5,
) -> Campaign:
    """Run n pairs that have to be equal bit for bit, then measure what need not be.

    Args:
        n, seed, tell: As of every campaign; losses by turns, each in f32, bf16, stacked, compiled,
            with convolutions.
        widths: Of the networks that are compared where equality is not promised; 2 threads first
            share the work of a product when it is large.
        n_seeds: Of the runs that are compared there.
    """
    losses = names("loss")
    faults, measured = list[Fault](), list[dict[str, Any]]()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        for i in range(n):
            name, loss = list(_EQUAL)[i // len(losses) % len(_EQUAL)], losses[i % len(losses)]
            lost = twice(home / f"{i}", (f"loss={loss}", f"seed={seed}", *_EQUAL[name]), steps)
            faults.append(Fault(f"twice the same: {name}", f"loss={loss} seed={seed}", lost))
            tell(f"{i + 1} of {n}: {loss}, {name}: {lost or 'equal'}")
        for kind, (keys, other) in _PAIRS.items() if n >= len(_EQUAL) else ():
            lost = twice(home / kind, (*keys, f"seed={seed}"), steps, (*other, f"seed={seed}"))
            faults.append(Fault(kind, f"seed={seed}", lost))
            tell(f"{kind}: {lost or 'equal'}")
        for (kind, key), width in itertools.product(APART.items() if n else (), widths):
            differences = [
                distances(home / f"{kind} {width} {s}", key, width, s, steps)
                for s in range(seed, seed + n_seeds)
            ]
            spreads = {name: _spread([d[name] for d in differences]) for name in differences[0]}
            measured.append({"what differs": kind, "width": width, **spreads})
            tell(str(measured[-1]))
    return Campaign(
        "determinism",
        "The same run twice: another process, directory and PYTHONHASHSEED",
        "the same bits of weights, moments and rows on one machine with one number of "
        "threads, one mode and one precision",
        faults,
        {_DISTANCES.format(n_seeds=n_seeds, steps=steps): measured} if measured else {},
    )


def twice(
    home: Path, keys: Sequence[str], steps: int, other_keys: Sequence[str] | None = None
) -> str:
    """Train the same twice, or by other keys; return how the two differ, empty where they do not.

    Both run in `home`, where they find `pictures.npy`.
    """
    home.mkdir(parents=True, exist_ok=True)
    images = np.random.default_rng(0).integers(0, 256, (240, 20, 20), np.uint8)
    np.save(home / _PICTURES, images)
    both = (keys, other_keys or keys)
    one, other = (
        _train(home / f"run {i}", each, steps, hash_seed=i) for i, each in enumerate(both, 1)
    )
    lost = []
    if state_digest(one) != state_digest(other):
        lost.append("other weights or moments")
    for name in [path.name for path in sorted(one.glob("seed_*"))] or ["."]:
        if rows(one / name) != rows(other / name):
            lost.append(f"other rows in {name}")
    return "; ".join(lost)


def distances(home: Path, key: str, width: int, seed: int, steps: int) -> dict[str, float]:
    """Return the largest relative difference of a weight and of W1 between two ways to run.

    Returns:
        Of the generator's average max |a - b| / max |a|, of the first and the last W1 of the first
        seed |a - b| / a, and the first step at which W1 differs (nan: none; it is measured every 10
        steps).
    """
    keys = (f"network.width={width}", f"seed={seed}")
    one, other = (_train(home / f"{i}", (*keys, *([key] * i)), steps) for i in (0, 1))
    weights, others = _average(one), _average(other)
    size = max(float(leaf.abs().max()) for leaf in weights.values())
    largest = max(float((weights[name] - others[name]).abs().max()) for name in weights)
    w1, other_w1 = _measurements(one), _measurements(other)
    differ = (10.0 * i for i, (a, b) in enumerate(zip(w1, other_w1, strict=True)) if a != b)
    return {
        "weights": largest / size,
        "W1 before training": abs(w1[0] - other_w1[0]) / w1[0],
        "W1 at the end": abs(w1[-1] - other_w1[-1]) / w1[-1],
        "W1 differs from step": next(differ, math.nan),
    }


def _spread(values: Sequence[float]) -> str:
    """Median, least and most; "never" where there is no number."""
    if all(map(math.isnan, values)):
        return "never"
    if len(set(values)) == 1:
        return f"{values[0]:.3g}"
    return f"{statistics.median(values):.3g} [{min(values):.3g}, {max(values):.3g}]"


def _average(run: Path) -> dict[str, torch.Tensor]:
    """The averaged generator of the first seed."""
    content = load_checkpoint(run)
    stacked = int(content["config"]["n_seeds"]) > 1
    return {n: x[0] if stacked else x for n, x in content["state"]["average"].items()}


def _measurements(run: Path) -> list[float]:
    homes = sorted(run.glob("seed_*")) or [run]
    return [float(row[_TAG]) for row in rows(homes[0]) if _TAG in row]


def _train(path: Path, keys: Iterable[str], steps: int, hash_seed: int = 0) -> Path:
    command = [sys.executable, "-m", "gan_lab", "train", *_KEYS, *keys, f"trainer.steps={steps}"]
    environment = {**os.environ, "PYTHONHASHSEED": str(hash_seed), "PYTHONPATH": str(ROOT)}
    environment.pop("OMP_NUM_THREADS", None)  # a second thread is asked for by its key
    path.parent.mkdir(parents=True, exist_ok=True)
    command.append(f"hydra.run.dir='{path}'")
    process = subprocess.run(
        command, cwd=path.parent, env=environment, capture_output=True, text=True
    )
    if process.returncode:
        raise RuntimeError(f"{' '.join(command)} ended with {process.returncode}: {process.stderr}")
    return path
