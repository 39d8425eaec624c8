"""What scripts/bf16_quality.py found, in words."""

from collections.abc import Mapping
from typing import Any

QUALITY_FILE = "bf16_quality.json"


def section(found: Mapping[str, Any]) -> str:
    """The page's section on what bfloat16 costs."""
    lines = [
        "## Quality: bfloat16 against float32",
        "",
        "The same runs with `execution.precision=f32` and `=bf16`, paired by seed: same initial",
        "weights, batches and noise. The figure is the ruler's exact W1 to held-out data at the",
        "end (lower is better); the difference is bf16 - f32 with its 95 % t interval over seeds,",
        "to be read against the spread of f32 over seeds and the floor, W1 of real samples against",
        "real samples.",
        f"Made by `scripts/bf16_quality.py` on {found['hardware']['cpu']}, torch "
        f"{found['versions']['torch']}.",
        "",
        "| data | steps | width | seeds | W1 f32 | std over seeds | W1 bf16 | floor | bf16 - f32 | "
        "95 % interval | in % of f32 |",
        "|---|---:|---:|---:|---:|---:|---:|---:|---:|---|---|",
    ]
    for game in found["games"]:
        d = game["difference"]
        low, high = (100 * d[k] / game["f32"]["mean"] for k in ("low", "high"))
        lines.append(
            f"| {game['data']} | {game['steps']} | {game['width']} | {d['n']} | "
            f"{game['f32']['mean']:.3f} | {game['f32']['std']:.3f} | {game['bf16']['mean']:.3f} | "
            f"{game['floor']:.3f} | {d['value']:+.3f} | {d['low']:+.3f} .. {d['high']:+.3f} | "
            f"{low:+.1f} .. {high:+.1f} |"
        )
    return "\n".join(lines) + "\n"
