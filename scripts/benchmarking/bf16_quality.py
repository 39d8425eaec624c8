"""The cost of bfloat16 in quality: W1 with execution.precision=f32 and =bf16, by seed.

    .venv/bin/python scripts/benchmarking/bf16_quality.py    # some fifteen minutes on one core
    .venv/bin/python scripts/benchmarking/bf16_quality.py --seeds 5 --data ring

Train pairs of runs that start from the same weights and see the same batches and noise, into
outputs/bf16_quality/ (existing ones are read), and write docs/benchmarks/bf16_quality.json;
`scripts/benchmark.py --render` puts it into docs/benchmarks.md.
"""

import argparse
import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from statistics import mean, stdev
from typing import Any

from gan_lab.cli.main import main as gan_lab
from gan_lab.reports.analysis.statistics import difference
from gan_lab.runs.run_dir import RunDir, atomic_write, environment, to_json

ROOT = Path(__file__).resolve().parents[2]
RUNS = ROOT / "outputs" / "bf16_quality"
QUALITY_FILE = "bf16_quality.json"
RESULT = ROOT / "docs" / "benchmarks" / QUALITY_FILE
W1 = "divergence/wasserstein"
PRECISIONS = ("f32", "bf16")
WIDTHS = {"ring": 128, "digits": 256}  # ring's own 64 leaves bfloat16 little to do


def train(data: str, seed: int, precision: str, keys: Sequence[str], runs: Path) -> RunDir:
    """Return a finished run, trained unless it is there already; end the script if it fails."""
    directory = RunDir(runs / f"{data}_{precision}_seed_{seed}")
    if directory.read_status().get("state") != "done":
        overrides = [
            *(f"data={data}", f"network.width={WIDTHS[data]}", f"seed={seed}", "device=cpu"),
            *(f"execution.precision={precision}", "execution.threads=1"),
            *("trainer.landscape_every=0", "neural_distance.steps=0", *keys),
        ]
        if code := gan_lab(["train", *overrides, f"hydra.run.dir={directory.path}"]):
            sys.exit(f"{directory.path}: exit code {code}")
    return directory


def compare(data: str, runs: dict[str, dict[int, RunDir]]) -> dict[str, Any]:
    """Return one data set's paired difference, from finished runs by precision and seed."""
    finals = {
        precision: {seed: run.read_status()["final"][W1] for seed, run in by_seed.items()}
        for precision, by_seed in runs.items()
    }
    w1 = {p: {s: float(final["value"]) for s, final in each.items()} for p, each in finals.items()}
    if w1["bf16"] == w1["f32"]:
        raise ValueError(f"{data}: bf16 changed no digit of any run, so it cannot have been used")
    gap = difference(w1["bf16"], w1["f32"])
    floors = [float(final["floor"]) for by_seed in finals.values() for final in by_seed.values()]
    by_precision = {
        precision: {"mean": mean(values.values()), "std": stdev(values.values()), "by_seed": values}
        for precision, values in w1.items()
    }
    return {
        "data": data,
        "steps": next(iter(runs["f32"].values())).read_status()["step"],
        "width": WIDTHS[data],
        **by_precision,
        "floor": mean(floors),
        "difference": {**gap.measured._asdict(), "n": gap.n, "paired": gap.is_paired, "p": gap.p},
    }


def section(result: Mapping[str, Any]) -> str:
    """Return the page's section on what bfloat16 costs."""
    lines = [
        "## Quality: bfloat16 against float32",
        "",
        "The same runs with `execution.precision=f32` and `=bf16`, paired by seed: same initial",
        "weights, batches and noise. The figure is the exact W1 to held-out data at the",
        "end (lower is better); the difference is bf16 - f32 with its 95 % t interval over seeds,",
        "to be read against the spread of f32 over seeds and the floor, W1 of real samples against",
        "real samples.",
        f"Made by `scripts/benchmarking/bf16_quality.py` on {result['hardware']['cpu']}, torch "
        f"{result['versions']['torch']}.",
        "",
        "| data | steps | width | seeds | W1 f32 | std over seeds | W1 bf16 | floor | bf16 - f32 | "
        "95 % interval | in % of f32 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for row in result["data_sets"]:
        f32, d = row["f32"], row["difference"]
        low, high = (100 * d[k] / f32["mean"] for k in ("low", "high"))
        lines.append(
            f"| {row['data']} | {row['steps']} | {row['width']} | {d['n']} | {f32['mean']:.3f} | "
            f"{f32['std']:.3f} | {row['bf16']['mean']:.3f} | {row['floor']:.3f} | "
            f"{d['value']:+.3f} | {d['low']:+.3f} .. {d['high']:+.3f} | {low:+.1f} .. {high:+.1f} |"
        )
    return "\n".join(lines) + "\n"


def main(arguments: Sequence[str] | None = None) -> int:
    """Train, compare and write the result; return the exit code."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    parser.add_argument("--seeds", type=int, default=8, help="pairs of runs of each data set")
    parser.add_argument("--data", default="ring,digits")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--json", type=Path, default=RESULT)
    parser.add_argument("keys", nargs="*", help="more keys of train, as trainer.steps=500")
    choice = parser.parse_args(arguments)
    names = choice.data.split(",")
    if choice.seeds < 2 or not set(names) <= set(WIDTHS):
        parser.error(f"at least 2 seeds, and data among {','.join(WIDTHS)}")
    results = []
    for data in names:
        runs: dict[str, dict[int, RunDir]] = {precision: {} for precision in PRECISIONS}
        for seed in range(choice.seeds):
            for precision in PRECISIONS:
                runs[precision][seed] = train(data, seed, precision, choice.keys, choice.runs)
        results.append(compare(data, runs))
        value, low, high = (results[-1]["difference"][key] for key in ("value", "low", "high"))
        print(f"{data}: W1 bf16 - f32 = {value:+.4f} [{low:+.4f}, {high:+.4f}]")
    machine = environment()
    content = {"date": datetime.now(UTC).isoformat(timespec="seconds")}
    content |= {key: machine[key] for key in ("hardware", "versions")}
    content |= {"keys": choice.keys, "data_sets": results}
    atomic_write(choice.json, to_json(content, indent=1))
    print(choice.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
