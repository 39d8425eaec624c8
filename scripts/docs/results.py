"""Train what the README's table shows: docs/results.json and docs/images/first_light.png.

Every number comes from the runs' own metrics.jsonl. Runs that are there already are kept.
"""

import json
import statistics
import sys
from pathlib import Path

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gan_lab.cli.main import main as gan_lab
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "outputs" / "readme"
W1 = "final/divergence/wasserstein"
# name -> (words for the table, overrides)
GAMES = {
    "digits_wasserstein": ("digits, WGAN-GP", ["data=digits", "seed={seed}"]),
    "digits_non_saturating": (
        "digits, non-saturating, as many steps",
        ["data=digits", "loss=non_saturating", "seed={seed}"],
    ),
    "digits_non_saturating_long": (
        "digits, non-saturating, about as much time",
        ["data=digits", "loss=non_saturating", "seed={seed}", "trainer.steps=7000"],
    ),
    "ring_wasserstein": ("ring, WGAN-GP", ["data=ring", "seed={seed}"]),
    "ring_clipping": (
        "ring, WGAN with clipping, RMSprop",
        ["data=ring", "regularizer=[weight_clipping]", "optim=rmsprop", "seed={seed}"],
    ),
    "ring_non_saturating": (
        "ring, non-saturating",
        ["data=ring", "loss=non_saturating", "seed={seed}"],
    ),
    "ring_minimax": ("ring, minimax", ["data=ring", "loss=minimax", "seed={seed}"]),
}


def run(name: str, seed: int) -> RunDir:
    """Return the run of a row and a seed, trained unless it is there already."""
    directory = RunDir(RUNS / f"{name}_seed_{seed}")
    if directory.read_status().get("state") != "done":
        overrides = [o.format(seed=seed) for o in GAMES[name][1]]
        code = gan_lab(["train", *overrides, f"hydra.run.dir={directory.path}"])
        if code:
            sys.exit(f"{name}, seed {seed}: exit code {code}")
    return directory


def measured(name: str, seeds: range) -> dict[str, float | int | str]:
    """Return the medians over seeds of the last line of each run."""
    last = [read_metrics(run(name, seed).metrics)[-1] for seed in seeds]

    def median(tag: str) -> float:
        return statistics.median(row[tag] for row in last)

    result: dict[str, float | int | str] = {"game": GAMES[name][0], "seeds": len(last)}
    result |= {"w1": median(W1), "floor": median(f"{W1}_floor")}
    result |= {"w1_least": min(r[W1] for r in last), "w1_most": max(r[W1] for r in last)}
    result["spread"] = median("final/samples/pairwise_distance") / median(
        "final/samples/pairwise_distance_floor"
    )
    near = "final/samples/nearest_train_distance"
    if near in last[0]:
        result["nearest"] = median(near) / median(f"{near}_floor")
    result |= {"steps": last[0]["step"], "seconds": median("time/train_seconds")}
    return result


def picture(path: Path) -> None:
    """Draw the digits beside three losses on the ring, from the runs' own pictures."""
    shown = (
        ("digits_wasserstein", "WGAN-GP on 8x8 digits"),
        ("ring_wasserstein", ""),
        ("ring_non_saturating", ""),
        ("ring_minimax", ""),
    )
    figure = Figure(figsize=(12.8, 11.6), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    for axes, (name, title) in zip(figure.subplots(2, 2).flat, shown, strict=True):
        file = sorted(run(name, 0).samples.glob("step_*.png"))[-1]
        axes.imshow(np.asarray(Image.open(file)), interpolation="antialiased")
        axes.set_title(title)
        axes.set_axis_off()
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path)


def measure() -> None:
    """Train the seven rows and keep their numbers and the picture."""
    rows = [measured(name, range(3 if name.startswith("digits") else 5)) for name in GAMES]
    (ROOT / "docs" / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    picture(ROOT / "docs" / "images" / "first_light.png")
