"""Comparisons whose answer is known: run directories with plausible records, by formulas.

Their numbers at the end are exact: over the seeds, the paired difference of a group from the first
has the mean and the standard deviation that its `Recipe` says. `python -m tests.reports.prepared
DIR` writes them all and compares each.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch

from gan_lab.reports.plots import landscape, samples
from gan_lab.runs.headline import FRECHET
from tests.reports.example_runs import CONFIG, TAG, run

STEPS = 2000
EVERY = 100
REAL_DATA = 0.08  # W1 that real data get at the end
_ON_CURVES = 0.11  # with fewer samples
_MODES = 8
_RADIUS = 2 / 1.414
_START = 1.4  # W1 of an untrained generator


_PENALTY = {"_target_": "gan_lab.regularizers.GradientPenalty", "weight": 0.1, "target": 1.0}
METHODS: Mapping[str, Mapping[str, Any]] = {
    "WGAN-GP": {
        "loss": {"_target_": "gan_lab.losses.Wasserstein"},
        "regularizer": {"gradient_penalty": _PENALTY},
        "trainer": {**CONFIG["trainer"], "steps": STEPS, "n_critic": 3},
    },
    "hinge + spectral norm": {
        "loss": {"_target_": "gan_lab.losses.Hinge"},
        "regularizer": {"spectral_norm": {"_target_": "gan_lab.regularizers.SpectralNorm"}},
    },
    "non-saturating": {"loss": {"_target_": "gan_lab.losses.NonSaturating"}},
    "minimax": {"loss": {"_target_": "gan_lab.losses.Minimax"}},
}


@dataclass(frozen=True)
class Recipe:
    """How the runs of one method go."""

    method: str  # key of `METHODS`
    end: float  # mean W1 at the end, on held-out data
    deviation: float = 0.0  # of its paired difference from the first group, over seeds
    lowest: float | None = None  # mean W1 at its best step, if that is not the end
    best_step: int = 600
    gradient_decades: float = 0.3  # by which the generator's gradient falls
    near_optimal: float = 0.9  # share of steps at which its discriminator is near its optimum
    events: Mapping[str, int] = field(default_factory=dict)  # kind -> in how many runs


CLEAR = (
    Recipe("WGAN-GP", 0.15),
    Recipe("non-saturating", 0.46, 0.056, near_optimal=0.4, events={"oscillation": 3}),
    Recipe(
        *("minimax", 0.92, 0.12),
        gradient_decades=4.2,
        near_optimal=0.95,
        events={"saturation": 5, "collapse": 4},
    ),
)
UNDECIDED = (
    Recipe("WGAN-GP", 0.20),
    Recipe("hinge + spectral norm", 0.23, 0.07, near_optimal=0.7),
    Recipe("minimax", 0.85, 0.10, gradient_decades=3.5, events={"saturation": 4}),
)
BEST_AND_END = (
    Recipe("WGAN-GP", 0.24),
    Recipe(
        *("non-saturating", 0.55, 0.08),
        lowest=0.13,
        near_optimal=0.3,
        events={"oscillation": 5, "collapse": 2},
    ),
    Recipe("minimax", 0.95, 0.10, gradient_decades=3.0, events={"saturation": 5}),
)
# Name of a comparison -> its groups and number of seeds.
COMPARISONS: Mapping[str, tuple[Sequence[Recipe], int]] = {
    "clear": (CLEAR, 5),
    "undecided": (UNDECIDED, 5),
    "best_and_end": (BEST_AND_END, 5),
    "two_seeds": (CLEAR[:2], 2),
}
_EVENTS = {
    "saturation": "The discriminator tells real from fake almost without error and the gradient "
    "that the generator gets has fallen by decades: it has nothing left to learn from.",
    "oscillation": "Losses and gradients swing with one period: the players chase each other "
    "around the equilibrium instead of approaching it.",
    "collapse": "Modes that were there are lost: the samples crowd at few of them.",
}


def write(home: Path, recipes: Sequence[Recipe], n_seeds: int, pictures: bool = True) -> Path:
    """Write a run directory for each group and seed below `home`."""
    for k, recipe in enumerate(recipes):
        spread = _standardized(n_seeds, k)
        for seed in range(n_seeds):
            common = 0.01 * _standardized(n_seeds, 17)[seed]
            end = recipe.end + common + recipe.deviation * spread[seed]
            _write_run(home / f"{k}_seed_{seed}", recipe, seed, end, pictures and seed == 0)
    return home


def _standardized(n: int, k: int) -> np.ndarray:
    """Return n numbers with mean 0 and standard deviation 1."""
    x = np.random.default_rng(k).normal(size=n)
    return (x - x.mean()) / x.std(ddof=1)


def _curve(recipe: Recipe, end: float, steps: np.ndarray) -> np.ndarray:
    """Return W1 on held-out data by step: it falls, and rises again after a best step before."""
    if recipe.lowest is None:
        return end + (_START - end) * np.exp(-steps / 280)
    lowest = recipe.lowest + 0.2 * (end - recipe.end)
    fall = lowest + (_START - lowest) * np.exp(-steps / (recipe.best_step / 7))
    after = np.clip((steps - recipe.best_step) / (STEPS - recipe.best_step), 0, 1)
    return fall + (end - lowest) * after**0.8


def _write_run(path: Path, recipe: Recipe, seed: int, end: float, pictures: bool) -> None:
    noise = np.random.default_rng((seed, len(recipe.method)))
    steps = np.arange(0, STEPS + 1, EVERY)
    held_out = _curve(recipe, end, steps)
    values = held_out + (_ON_CURVES - REAL_DATA) + 0.012 * noise.normal(size=len(steps))
    trainer = {**CONFIG["trainer"], "steps": STEPS}
    evaluator = {**CONFIG["evaluator"], "every": EVERY, "n": 512}
    changes = {"trainer": trainer, "evaluator": evaluator, **METHODS[recipe.method]}
    run(path, seed, values, steps.tolist(), final=end, **changes)
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for i, row in enumerate(rows):
        row |= _row(recipe, i / (len(rows) - 1), float(held_out[i]), noise)
        row[f"{TAG}_floor"] = _ON_CURVES
    (path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    status = json.loads((path / "status.json").read_text())
    best = int(np.argmin(values))
    final = {name: _estimate(*each) for name, each in _final(end).items()}
    status["final"] = final
    status["best"] = {
        "step": int(steps[best]),
        "tag": TAG,
        "validation": _estimate(float(values[best]), "data units", _ON_CURVES),
        "held_out": _estimate(float(held_out[best]), "data units", REAL_DATA),
    }
    (path / "status.json").write_text(json.dumps(status))
    _write_events(path, recipe, seed)
    if pictures:
        _write_landscapes(path / "landscape", recipe, end, noise)


def _final(end: float) -> dict[str, tuple[float, str, float]]:
    return {
        TAG: (end, "data units", REAL_DATA),
        "divergence/js": (min(0.69, 0.7 * (end - REAL_DATA)), "nats", 0.0),
        "modes/covered": (_covered(end), "modes", 8.0),
        "modes/high_quality": (float(np.clip(1 - end, 0.05, 0.97)), "1", 0.98),
    }


def _estimate(value: float, unit: str, floor: float) -> dict[str, Any]:
    ends = {"low": 0.95 * value, "high": 1.05 * value}
    return {"value": value, "unit": unit, "n": 2000, **ends, "floor": floor}


def _covered(w1: float) -> float:
    return float(np.clip(round(9.0 - 7.5 * w1), 1, _MODES))


def _row(recipe: Recipe, t: float, w1: float, noise: np.random.Generator) -> dict[str, float]:
    """Return the other scalars of a step; t runs from 0 to 1."""
    jitter = 1 + 0.1 * noise.normal()
    row = {
        "divergence/js": min(0.69, 0.7 * max(0.01, w1 - REAL_DATA)),
        "divergence/js_floor": 0.0,
        "modes/covered": _covered(w1),
        "modes/covered_floor": float(_MODES),
        "samples/pairwise_distance": max(0.3, 1.8 - 0.9 * w1),
        "gradient/generator_norm": 0.4 * 10 ** (-recipe.gradient_decades * t) * abs(jitter),
        "gradient/discriminator_norm": 0.6 * abs(jitter),
        "discriminator_estimate/optimality_gap": 0.3 * (1 - recipe.near_optimal) * abs(jitter),
        "discriminator_estimate/near_optimal": float(noise.random() < recipe.near_optimal),
        "loss/generator": 0.7 + 0.1 * noise.normal(),
        "loss/discriminator": 1.2 + 0.1 * noise.normal(),
    }
    if "Wasserstein" in METHODS[recipe.method]["loss"]["_target_"]:
        row["discriminator_estimate/wasserstein"] = 0.8 * w1
    else:
        row["discriminator_estimate/js"] = min(0.69, 0.5 * w1)
    return row


def _write_events(path: Path, recipe: Recipe, seed: int) -> None:
    rows = []
    for kind, n_runs in recipe.events.items():
        if seed < n_runs:
            row = {"step": 700 + 100 * seed, "seed": seed, "kind": kind, "numbers": {"ratio": 0.01}}
            rows.append(row | {"explanation": _EVENTS[kind], "advice": "Try loss=wasserstein."})
    if rows:
        (path / "events.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))


def _write_landscapes(folder: Path, recipe: Recipe, end: float, noise: np.random.Generator) -> None:
    folder.mkdir()
    steps = np.arange(0, STEPS + 1, 2 * EVERY)
    for step, w1 in zip(steps, _curve(recipe, end, steps), strict=True):
        real, fake = _points(256, _MODES, 0.015, noise), _samples(float(w1), noise)
        content = landscape.compute(real, fake, _Score(float(w1)))
        landscape.save(content, folder / f"step_{step:08d}.npz")


def _points(n: int, n_modes: int, std: float, noise: np.random.Generator) -> torch.Tensor:
    angles = noise.integers(0, n_modes, n) * (2 * np.pi / _MODES)
    centres = _RADIUS * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    return torch.tensor(centres + std * noise.normal(size=(n, 2)), dtype=torch.float32)


def _samples(w1: float, noise: np.random.Generator) -> torch.Tensor:
    """Return samples that look like their W1: fewer modes, wider, with stray points."""
    fake = _points(256, int(_covered(w1)), 0.02 + 0.1 * w1, noise)
    n_stray = int(256 * min(0.9, 0.4 * w1))
    fake[:n_stray] = torch.tensor(0.6 * noise.normal(size=(n_stray, 2)), dtype=torch.float32)
    return fake


class _Score:
    """A ring-shaped discriminator: high where the data are."""

    def __init__(self, w1: float) -> None:
        self.slope = 0.5 + w1

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return -self.slope * (x.norm(dim=1) - _RADIUS) ** 2


# On images: name of a method -> FD at the end, share of legible samples; FD falls by decades.
IMAGES: Mapping[str, tuple[float, float]] = {
    "WGAN-GP": (0.0139, 0.92),
    "non-saturating": (0.0158, 0.90),
    "minimax": (0.43, 0.11),
}
_FD_FLOOR, _FD_CURVE_FLOOR = 0.0061, 0.019
_IMAGE_STEPS = 5500
_IMAGE_DATA = {"_target_": "gan_lab.data.mnist_5k.Mnist5k", "n_held_out": 1000}


def write_images(home: Path, n_seeds: int = 5) -> Path:
    """Write runs on 28 x 28 digits below `home`, with all that is measured in features."""
    for k, (method, (end, legible)) in enumerate(IMAGES.items()):
        spread = _standardized(n_seeds, k)
        for seed in range(n_seeds):
            value = end * (1 + 0.06 * spread[seed])
            _write_image_run(home / f"{k}_seed_{seed}", method, seed, value, legible)
    return home


def _write_image_run(path: Path, method: str, seed: int, end: float, legible: float) -> None:
    noise = np.random.default_rng((seed, len(method)))
    steps = np.arange(0, _IMAGE_STEPS + 1, 275)
    jitter = 1 + 0.08 * noise.normal(size=len(steps))
    curve = ((end + 0.013) + (1.6 - end) * np.exp(-steps / 350)) * jitter
    trainer = {**CONFIG["trainer"], "steps": _IMAGE_STEPS}
    evaluator = {**CONFIG["evaluator"], "every": 275, "n": 256}
    changes = {**METHODS[method], "trainer": trainer, "evaluator": evaluator, "data": _IMAGE_DATA}
    w1 = 11.9 - 1.6 * np.minimum(1, end)  # of pixels: lower for the blurred samples of minimax
    run(path, seed, np.full(len(steps), w1), steps.tolist(), final=w1, **changes)
    rows = [json.loads(line) for line in (path / "metrics.jsonl").read_text().splitlines()]
    for row, value in zip(rows, curve, strict=True):
        near = float(np.exp(-3 * value))
        row |= {FRECHET: value, f"{FRECHET}_floor": _FD_CURVE_FLOOR}
        row |= {"features/legible_share": near * legible, "features/legible_share_floor": 0.987}
        row |= {"features/coverage": near * 0.88, "features/coverage_floor": 0.97}
        row |= {"modes/covered": round(10 * near), "modes/covered_floor": 10.0}
        row |= {"gradient/generator_norm": 0.3 * abs(1 + 0.1 * noise.normal())}
        row |= {f"{TAG}_floor": 11.7}
    (path / "metrics.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    status = json.loads((path / "status.json").read_text())
    finals = {
        FRECHET: (end, "1", _FD_FLOOR),
        "features/kernel_distance": (0.4 * end, "1", 0.0),
        "features/precision": (0.9 * legible, "1", 0.97),
        "features/recall": (0.8 * legible, "1", 0.96),
        "features/coverage": (0.95 * legible, "1", 0.97),
        "features/legible_share": (legible, "1", 0.987),
        "features/classifier_score": (1 + 8.8 * legible, "1", 9.7),
        TAG: (w1, "data units", 11.7),
        "modes/covered": (10.0, "modes", 10.0),
        "modes/high_quality": (0.98 * legible, "1", 0.98),
    }
    status["final"] = {name: _estimate(*each) for name, each in finals.items()}
    best = int(np.argmin(curve))
    status["best"] = {
        "step": int(steps[best]),
        "tag": FRECHET,
        "validation": _estimate(float(curve[best]), "1", _FD_CURVE_FLOOR),
        "held_out": _estimate(end * float(1 + 0.02 * noise.normal()), "1", _FD_FLOOR),
    }
    (path / "status.json").write_text(json.dumps(status))
    if seed == 0:
        samples.save_png(samples.image_grid(_strokes(64, 0.0, 99)), path / "real.png")
        for step, value in zip(steps[::4], curve[::4], strict=True):
            picture = samples.image_grid(_strokes(64, float(np.sqrt(value)), seed))
            samples.save_png(picture, path / "samples" / f"step_{step:08d}.png")


def _strokes(n: int, noise: float, seed: int) -> torch.Tensor:
    """Return n images [n, 1, 28, 28] of a ring and a stroke, in noise."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.linspace(-1, 1, 28)
    y, x = torch.meshgrid(x, x, indexing="ij")
    a, r = torch.randn(n, 1, 1, generator=generator), 0.3 + 0.3 * torch.rand(n, 1, 1)
    ring = torch.exp(-((((x**2 + y**2).sqrt() - r) / 0.1) ** 2))
    stroke = torch.exp(-(((x - 0.4 * a * y) / 0.1) ** 2)) * (y.abs() < 0.7)
    ink = torch.where(a > 0, ring, stroke)
    ink = ink + 0.7 * noise * torch.randn(n, 28, 28, generator=generator)
    return (2 * ink - 1).clamp(-1, 1).unsqueeze(1)


def main(directory: Path) -> None:
    """Write the comparisons and their pages, one directory each."""
    from gan_lab.cli import compare

    for name, (recipes, n_seeds) in COMPARISONS.items():
        home = write(directory / name / "runs", recipes, n_seeds)
        compare.compare([str(home), f"output={directory / name / 'page'}"])
    home = write_images(directory / "images" / "runs")
    compare.compare([str(home), f"output={directory / 'images' / 'page'}"])


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python -m tests.reports.prepared DIR")
    main(Path(sys.argv[1]))
