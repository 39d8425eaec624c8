"""Trains what the README shows, writes its table of results and its picture. About ten minutes.

    .venv/bin/python scripts/readme_results.py

Every number comes from the runs' own metrics.jsonl; docs/results.json keeps them.
"""

import json
import re
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

ROOT = Path(__file__).resolve().parent.parent
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
    """The run of a game and seed, trained unless it is there already."""
    directory = RunDir(RUNS / f"{name}_seed_{seed}")
    if directory.read_status().get("state") != "done":
        overrides = [o.format(seed=seed) for o in GAMES[name][1]]
        code = gan_lab(["train", *overrides, f"hydra.run.dir={directory.path}"])
        if code:
            sys.exit(f"{name}, seed {seed}: exit code {code}")
    return directory


def measured(name: str, seeds: range) -> dict[str, float | int | str]:
    """Medians over seeds of what the last line of each run says."""
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


def table(rows: list[dict]) -> str:
    head = (
        "game",
        "seeds",
        "steps",
        "W1, median [least, most]",
        "floor",
        "spread / data's",
        "nearest training / held-out's",
    )
    lines = ["| " + " | ".join(head) + " |", "| " + " | ".join("---" for _ in head) + " |"]
    for r in rows:
        nearest = f"{r['nearest']:.2f}" if "nearest" in r else "-"
        cells = (
            r["game"],
            str(r["seeds"]),
            str(r["steps"]),
            f"{r['w1']:.3f} [{r['w1_least']:.3f}, {r['w1_most']:.3f}]",
            f"{r['floor']:.3f}",
            f"{r['spread']:.2f}",
            nearest,
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def picture(path: Path) -> None:
    """The digits beside three losses on the ring, from the pictures that the runs drew."""
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


def main() -> None:
    rows = [measured(name, range(3 if name.startswith("digits") else 5)) for name in GAMES]
    (ROOT / "docs").mkdir(exist_ok=True)
    (ROOT / "docs" / "results.json").write_text(json.dumps(rows, indent=1) + "\n")
    readme = ROOT / "README.md"
    pattern = r"(<!-- results -->\n).*?(<!-- end results -->)"
    text = re.sub(
        pattern, lambda m: m[1] + table(rows) + "\n" + m[2], readme.read_text(), flags=re.S
    )
    readme.write_text(text)
    picture(ROOT / "docs" / "images" / "first_light.png")


if __name__ == "__main__":
    main()
