"""What bfloat16 costs in quality: the ruler's W1 with execution.precision=f32 and =bf16, by seed.

    .venv/bin/python scripts/bf16_quality.py            # some fifteen minutes on one core
    .venv/bin/python scripts/bf16_quality.py --seeds 5 --data ring

Trains pairs of runs that start from the same weights and see the same batches and noise, into
outputs/bf16_quality/ (those that are there already are read), and writes
docs/benchmarks/bf16_quality.json; `scripts/benchmark.py --render` puts it into docs/benchmarks.md.
"""

import argparse
import statistics
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gan_lab.cli.main import main as gan_lab
from gan_lab.reports.analysis.statistics import difference
from gan_lab.runs.run_dir import RunDir, atomic_write, environment, to_json

ROOT = Path(__file__).resolve().parent.parent
RUNS = ROOT / "outputs" / "bf16_quality"
RESULT = ROOT / "docs" / "benchmarks" / "bf16_quality.json"
W1 = "divergence/wasserstein"
PRECISIONS = ("f32", "bf16")
WIDTHS = {"ring": 128, "digits": 256}  # ring's own 64 leaves bfloat16 little to do


def train(data: str, seed: int, precision: str, keys: Sequence[str], runs: Path) -> RunDir:
    """A finished run, trained unless it is there already.

    Raises:
        SystemExit: It failed.
    """
    directory = RunDir(runs / f"{data}_{precision}_seed_{seed}")
    if directory.read_status().get("state") != "done":
        code = gan_lab(
            [
                "train",
                f"data={data}",
                f"network.width={WIDTHS[data]}",
                f"seed={seed}",
                f"execution.precision={precision}",
                "device=cpu",
                "execution.threads=1",
                "trainer.landscape_every=0",
                "neural_distance.steps=0",
                *keys,
                f"hydra.run.dir={directory.path}",
            ]
        )
        if code:
            sys.exit(f"{directory.path}: exit code {code}")
    return directory


def compared(data: str, found: dict[str, dict[int, RunDir]]) -> dict[str, Any]:
    """One data set's paired difference, from finished runs by precision and seed."""
    finals = {
        precision: {seed: run.read_status()["final"][W1] for seed, run in runs.items()}
        for precision, runs in found.items()
    }
    w1 = {
        precision: {seed: float(final["value"]) for seed, final in by_seed.items()}
        for precision, by_seed in finals.items()
    }
    if w1["bf16"] == w1["f32"]:
        raise ValueError(f"{data}: bf16 changed no digit of any run, so it cannot have been used")
    gap = difference(w1["bf16"], w1["f32"])
    floors = [float(final["floor"]) for by_seed in finals.values() for final in by_seed.values()]
    return {
        "data": data,
        "steps": next(iter(found["f32"].values())).read_status()["step"],
        "width": WIDTHS[data],
        **{
            precision: {
                "mean": statistics.mean(values.values()),
                "std": statistics.stdev(values.values()),
                "by_seed": values,
            }
            for precision, values in w1.items()
        },
        "floor": statistics.mean(floors),
        "difference": {**gap.measured._asdict(), "n": gap.n, "paired": gap.is_paired, "p": gap.p},
    }


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; the exit code."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=8, help="pairs of runs of each data set")
    parser.add_argument("--data", default="ring,digits")
    parser.add_argument("--runs", type=Path, default=RUNS)
    parser.add_argument("--json", type=Path, default=RESULT)
    parser.add_argument("keys", nargs="*", help="more keys of train, as trainer.steps=500")
    asked = parser.parse_args(arguments)
    names = asked.data.split(",")
    if asked.seeds < 2 or not set(names) <= set(WIDTHS):
        parser.error(f"at least 2 seeds, and data among {','.join(WIDTHS)}")
    games = []
    for data in names:
        found: dict[str, dict[int, RunDir]] = {precision: {} for precision in PRECISIONS}
        for seed in range(asked.seeds):
            for precision in PRECISIONS:
                found[precision][seed] = train(data, seed, precision, asked.keys, asked.runs)
        games.append(compared(data, found))
        gap = games[-1]["difference"]
        print(
            f"{data}: W1 bf16 - f32 = {gap['value']:+.4f} [{gap['low']:+.4f}, {gap['high']:+.4f}]"
        )
    around = environment()
    written = {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "hardware": around["hardware"],
        "versions": around["versions"],
        "keys": asked.keys,
        "games": games,
    }
    atomic_write(asked.json, to_json(written, indent=1))
    print(asked.json)
    return 0


if __name__ == "__main__":
    sys.exit(main())
