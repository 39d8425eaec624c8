"""docs/benchmarks.md, written from what each machine measured: docs/benchmarks/*.json."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarking import bf16_quality, tables
from benchmarking.verdicts import LEAST_FRACTION, STRAW_MAN_ROW, straw_man

_INTRODUCTION = f"""\
# Benchmarks

Made by `scripts/benchmark.py` from `docs/benchmarks/*.json`, one file a machine; do not edit.

    .venv/bin/python scripts/benchmark.py --quick
    .venv/bin/python scripts/benchmark.py --json docs/benchmarks/NAME.json \\
        --markdown docs/benchmarks.md

**Ratio** is the time of a textbook loop over gan_lab's, for one step (n_critic discriminator
updates and one generator update) and for each seed: 2 = twice as fast. Both run in one process with
the same networks, sizes, optimiser, batch and n_critic, and take turns; each round gives one ratio,
and the table has the median and the extremes. gan_lab's time includes drawing its randomness, the
generator's average, the norms of gradients and the check that all is finite; the textbook loop has
only the randomness. Freed memory is kept for both (glibc's mallopt), as a training does. The loop
is `scripts/benchmarking/textbook.py`: modules, autograd, the penalty by double backward, torch's
optimisers at their defaults.

**Of the limit** is the rate of a step's matrix products over the rate of products on their own,
measured in the same run on as many threads: *torch's* is the fastest of torch's products at the
row's own shapes, what a caller of `torch.mm` gets; *the machine's* the fastest of every kernel that
torch ships, oneDNN's included, at large shapes. Both are for the precision of the line; *the
textbook's* is its share of torch's float32 limit. Operations are those a step needs, by formula for
perceptrons (240 B W^2 for WGAN-GP with n_critic 5 and depth 3, and the thin layers), and those of
the textbook loop as torch counts them for convolutions, whose shapes are those of the product of
all windows with the weights. No straw man: the script fails unless the
textbook loop itself reaches {100 * LEAST_FRACTION:.0f} % of torch's limit in `{STRAW_MAN_ROW}`, on
a CPU, in the best round by its own CPU time.

**Peak MB**: what a contestant adds to the peak of the process (on a GPU, of the memory allocated
there) while it is built and warmed up, in brackets the textbook loop's. **Build s**: until its
first step is done, networks, data and compilation included.
"""


def render(folder: Path) -> str:
    """The whole page, from a folder of results: one of each machine, and that of bf16's quality."""
    results = {path.name: json.loads(path.read_text()) for path in sorted(folder.glob("*.json"))}
    quality = results.pop(bf16_quality.QUALITY_FILE, None)
    parts = [_INTRODUCTION, *map(machine, results.values())]
    return "\n".join([*parts, *([bf16_quality.section(quality)] if quality else [])])


def machine(result: Mapping[str, Any]) -> str:
    """One machine's section."""
    hardware, versions, options = result["hardware"], result["versions"], result["options"]
    name = hardware["gpu" if result["device"] == "cuda" else "cpu"]
    fast = [w for w in ("amx", "avx512_bf16") if hardware.get(w)]
    threads, units = options["threads"], ", ".join([hardware["capability"], *fast])
    facts = [
        f"{hardware['cpu']}, {hardware['cores']} cores, {units}",
        *([hardware["gpu"]] if hardware.get("gpu") else []),
        f"torch {versions['torch']}, Python {versions['python']}, gan_lab {versions['gan_lab']}",
        f"{threads} thread{'s' if threads > 1 else ''}, {options['rounds']} rounds of about "
        f"{options['seconds']:g} s, {result['date'][:10]}",
    ]
    if result["device"] == "cpu":
        facts += [
            "the machine is shared: milliseconds are for orientation, read the ratios; the rows "
            "wgan_gp_mlp16 and seeds1_mlp16 are the same work, and what they differ by is noise",
            "more than 100 % of torch's limit: the product was made by oneDNN, which torch.mm does "
            "not take on processors of this maker",
        ]
    lines = [f"## {result['device'].upper()}: {name}, torch {versions['torch']}", ""]
    lines += [f"- {fact}" for fact in facts]
    if warning := straw_man(result):
        lines += ["", f"**{warning}**"]
    processes = "16 stacked seeds in a process a core, against the textbook loop in one process"
    for title, (head, cells) in (
        ("Targets", tables.targets(result)),
        ("Steps", tables.steps(result)),
        ("Seeds at once, against one seed of gan_lab", tables.prices(result)),
        (processes, tables.processes(result)),
        (
            "Logging and estimates: the loop of a default run with them and without",
            tables.runs(result),
        ),
        ("Start of a fresh process", tables.starts(result)),
        ("Limits", tables.limits(result)),
    ):
        if cells:
            rule = ["---" if i < 2 else "---:" for i in range(len(head))]
            table = [f"| {' | '.join(line)} |" for line in (head, rule, *cells)]
            lines += ["", f"### {title}", "", *table]
    if skipped := tables.skipped_lines(result):
        lines += ["", "Not timed:", "", *(f"- {line}" for line in skipped)]
    return "\n".join(lines) + "\n"
