"""Train what the README's tables show: docs/results*.json, docs/images/{first_light,mnist_5k}.png.

Every number comes from the runs' own metrics.jsonl. Runs that are there already are kept.
"""

import json
import statistics
import sys
from pathlib import Path
from typing import Any

import numpy as np
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gan_lab.cli.main import main as gan_lab
from gan_lab.data.mnist_5k import Mnist5k
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.reports.plots.samples import image_grid
from gan_lab.runs.run_dir import RunDir

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "outputs" / "readme"
W1 = "final/divergence/wasserstein"
FD = "final/features/frechet_distance"
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
# preset -> words for the table of images, seeds; each is measured at half of its steps, at the end
PRESETS = {
    "mnist_wgan_gp": ("WGAN-GP", 3),
    "mnist_ns_r1": ("non-saturating, R1", 3),
    "mnist_relativistic": ("relativistic, R1 and R2", 2),
    "mnist_hinge_sn": ("hinge, spectral norm", 1),
    "mnist_wgan_clip": ("WGAN, clipped", 3),
    "fashion_wgan_gp": ("Fashion: WGAN-GP", 1),
    "fashion_ns_r1": ("Fashion: non-saturating, R1", 1),
}
IMAGE_STEPS = (3200, 6400)
IMAGE_TAGS = {
    "fd": "features/frechet_distance",
    "legible": "features/legible_share",
    "coverage": "features/coverage",
    "kl": "modes/kl",
}


def run(name: str, seed: int) -> RunDir:
    """Return the run of a row and a seed, trained unless it is there already."""
    directory = RunDir(RUNS / f"{name}_seed_{seed}")
    if directory.read_status().get("state") != "done":
        overrides = [o.format(seed=seed) for o in GAMES[name][1]]
        command("train", *overrides, f"hydra.run.dir={directory.path}")
    return directory


def run_preset(name: str, seed: int) -> RunDir:
    """Return the run of a preset and a seed, which has final numbers at each of `IMAGE_STEPS`."""
    directory = RunDir(RUNS / f"{name}_seed_{seed}")
    for steps in IMAGE_STEPS:
        status = directory.read_status()
        if not status:
            keys = (f"preset={name}", f"seed={seed}", f"output={directory.path}")
            command("train", *keys, f"steps={steps}", "execution.threads=1")
        elif status["step"] < steps:
            command("resume", str(directory.path), f"steps={steps}")
    return directory


def command(*words: str) -> None:
    """Run a command of the lab and leave where it fails."""
    if code := gan_lab([*words]):
        sys.exit(f"{' '.join(words)}: exit code {code}")


def measured_images(name: str) -> list[dict[str, Any]]:
    """Return, for each of `IMAGE_STEPS`, median, least and greatest over seeds of each number."""
    words, n_seeds = PRESETS[name]
    runs = [read_metrics(run_preset(name, seed).metrics) for seed in range(n_seeds)]
    rows = []
    for steps in IMAGE_STEPS:
        last = [next(r for r in rows if r["step"] == steps and FD in r) for rows in runs]
        row: dict[str, Any] = {"preset": name, "run": words, "seeds": len(last)}
        row["steps"] = steps
        for key, tag in IMAGE_TAGS.items():
            values = [each[f"final/{tag}"] for each in last]
            row[key] = [statistics.median(values), min(values), max(values)]
            row[f"{key}_real"] = last[0][f"final/{tag}_floor"]
        rows.append(row)
    return rows


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


def picture_of_images(path: Path, row: dict[str, Any]) -> None:
    """Draw samples of the first preset beside held-out images, with the numbers of both."""
    directory = run_preset(row["preset"], 0)
    samples = np.asarray(Image.open(sorted(directory.samples.glob("step_*.png"))[-1]))
    source = Mnist5k().open(torch.device("cpu"))
    real = image_grid(source.held_out(64, torch.Generator().manual_seed(0)))
    figure = Figure(figsize=(10.4, 5.9), dpi=100, layout="constrained")
    FigureCanvasAgg(figure)
    words = "FD {fd:.3f}   legible {legible:.0%}   coverage {coverage:.0%}"
    made = {key: row[key][0] for key in IMAGE_TAGS}
    held_out = {key: row[f"{key}_real"] for key in IMAGE_TAGS}
    panels = (
        (samples, f"{row['run']}, {row['steps']} steps", words.format(**made)),
        (real, "held-out digits", words.format(**held_out)),
    )
    for axes, (pixels, title, numbers) in zip(figure.subplots(1, 2), panels, strict=True):
        axes.imshow(pixels, cmap="gray")
        axes.set_title(title, fontsize=14)
        axes.set_xlabel(numbers, fontsize=13)
        axes.set(xticks=[], yticks=[])
    figure.savefig(path)


def measure_images() -> None:
    """Train the presets on images and keep their numbers and the picture."""
    rows = [row for name in PRESETS for row in measured_images(name)]
    (ROOT / "docs" / "results_images.json").write_text(json.dumps(rows, indent=1) + "\n")
    first = next(r for r in rows if r["steps"] == IMAGE_STEPS[-1])
    picture_of_images(ROOT / "docs" / "images" / "mnist_5k.png", first)


def measure() -> None:
    """Train the seven rows and keep their numbers and the picture."""
    rows = [measured(name, range(3 if name.startswith("digits") else 5)) for name in GAMES]
    (ROOT / "docs" / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    picture(ROOT / "docs" / "images" / "first_light.png")
