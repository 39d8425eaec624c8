"""Times gan_lab's training step beside a textbook loop, in turns, and says how far the limits are.

    .venv/bin/python scripts/benchmark.py --quick
    .venv/bin/python scripts/benchmark.py --rows 'wgan_gp_*,seeds16_*' --precision f32
    .venv/bin/python scripts/benchmark.py --peer my_loop.py --rows wgan_gp_mlp512
    .venv/bin/python scripts/benchmark.py --json docs/benchmarks/NAME.json \\
        --markdown docs/benchmarks.md
    .venv/bin/python scripts/benchmark.py --render

All rows take about fifteen minutes on two cores. The page is written from every JSON file beside
the one that was just written, so that a run on another machine adds a section.
"""

import argparse
import os
import sys
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from unittest import mock

# Before torch: idle threads of a pool would take turns with the contestants.
os.environ.setdefault("OMP_NUM_THREADS", "1")

import torch
from benchmarking import measure, ours, page, processes, rows, runs, tables
from benchmarking.limits import Limits
from benchmarking.measure import Options, Peer
from benchmarking.ours import NotTheSameWork
from benchmarking.textbook import Textbook
from benchmarking.verdicts import straw_man, verdicts
from rich.console import Console

from gan_lab.engine.devices import keep_freed_memory, resolve_device
from gan_lab.runs.run_dir import atomic_write, environment, to_json

ROOT = Path(__file__).resolve().parent.parent
PAGE, RESULTS = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks"
QUICK_STEPS = 300  # of a whole run


def parser() -> argparse.ArgumentParser:
    """What the script takes."""
    form = argparse.RawDescriptionHelpFormatter
    made = argparse.ArgumentParser(description=__doc__, formatter_class=form)
    add = made.add_argument
    add("--rows", default="", help="names of rows, with * and ?, separated by commas; none = all")
    add("--rounds", type=int, help="turns of each contestant (7; quick: 3)")
    add("--seconds", type=float, help="of one turn (0.35; quick: 0.1)")
    add("--quick", action="store_true", help="a few rows within a minute")
    add("--threads", type=int, default=1, help="torch's threads on the CPU")
    add("--device", default="auto", help="auto, cpu or cuda")
    add("--precision", help="f32, tf32 (GPU), bf16 (default: all that the device has)")
    add("--modes", help="eager, compiled, cuda_graph, auto (default: all but auto; quick: eager)")
    add("--seeds", help="keep only rows with these numbers of seeds, separated by commas")
    add("--runs", type=int, default=4, help="whole runs with and without evaluation")
    add("--peer", type=Path, help="a Python file that defines step(), timed beside both")
    add("--json", type=Path, default=ROOT / "outputs" / "benchmark" / "result.json")
    add("--markdown", type=Path, help="a page to write, from all results beside --json")
    add("--render", action="store_true", help="write docs/benchmarks.md again, without timing")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the script; the exit code: 1 for a yardstick that is none, 2 for wrong arguments."""
    asked = parser().parse_args(arguments)
    if asked.render:
        atomic_write(PAGE, page.render(RESULTS).encode())
        print(PAGE)
        return 0
    console = Console()
    with tempfile.TemporaryDirectory() as directory, mock.patch.dict(os.environ):
        # What was compiled before would hide what compiling costs.
        os.environ["TORCHINDUCTOR_CACHE_DIR"] = os.path.join(directory, "compiled")
        try:
            for name in ("rounds", "seconds", "threads", "runs"):
                if (value := getattr(asked, name)) is not None and value <= 0:
                    raise ValueError(f"--{name} {value} is not above 0")
            options = _options(asked, Path(directory), console)
            names = rows.chosen(asked.rows, asked.quick, options.device.type)
            keep = {int(n) for n in asked.seeds.split(",")} if asked.seeds else None
        except ValueError as error:  # a ConfigError is one
            print(error, file=sys.stderr)
            return 2
        torch.set_num_threads(options.threads)
        keep_freed_memory()  # as a training does; here for the textbook loop, too
        torch.manual_seed(0)
        limits = Limits(options.device, asked.quick)
        result = _frame(options, asked)
        try:
            warm_up(options)
            timed = (_row(name, options, limits, keep, asked) for name in names)
            result["rows"] += [row for row in timed if row is not None]
        except NotTheSameWork as error:
            print(f"not the same work: {error}", file=sys.stderr)
            return 1
    result["verdicts"] = verdicts(result)
    tables.show(result, console)
    atomic_write(asked.json, to_json(result, indent=1))
    console.print(f"json: {asked.json}", highlight=False, soft_wrap=True)
    if asked.markdown is not None:
        atomic_write(asked.markdown, page.render(asked.json.resolve().parent).encode())
        console.print(f"page: {asked.markdown}", highlight=False, soft_wrap=True)
    if complaint := straw_man(result):
        print(complaint, file=sys.stderr)
    return int(bool(complaint))


def _options(asked: argparse.Namespace, directory: Path, console: Console) -> Options:
    device = resolve_device(asked.device)
    default = "eager" if asked.quick else "eager,compiled"
    default += ",cuda_graph" if device.type == "cuda" else ""
    precisions = ("f32", "tf32", "bf16") if device.type == "cuda" else ("f32", "bf16")
    known = ("auto", "eager", "compiled", *(["cuda_graph"] if device.type == "cuda" else []))
    modes = _listed("modes", asked.modes or default, known)
    return Options(
        device,
        asked.threads,
        asked.rounds or (3 if asked.quick else 7),
        asked.seconds or (0.1 if asked.quick else 0.35),
        modes,
        _listed("precision", asked.precision or ",".join(precisions), precisions),
        directory,
        None if asked.peer is None else Peer.load(asked.peer),
        lambda line: console.print(line, style="dim", highlight=False, soft_wrap=True),
    )


def _listed(name: str, text: str, known: Sequence[str]) -> list[str]:
    choices = [each.strip() for each in text.split(",") if each.strip()]
    unknown = [each for each in choices if each not in known]
    if unknown or not choices:
        what = f"{unknown[0]} is unknown" if unknown else "is empty"
        raise ValueError(f"--{name} {what}; take some of {','.join(known)}")
    return choices


def _row(
    name: str, options: Options, limits: Limits, keep: set[int] | None, asked: argparse.Namespace
) -> dict[str, Any] | None:
    if work := rows.PROCESS_ROWS.get(name):
        skip = keep is not None and processes.SEEDS not in keep
        return None if skip else processes.row(name, work, options)
    if name in rows.RUN_ROWS:
        n, steps = (1, QUICK_STEPS) if asked.quick else (asked.runs, None)
        return runs.whole_run(name, rows.RUN_ROWS[name], options, n, steps)
    if name in rows.START_ROWS:
        return runs.start(name, options)
    (row,) = (row for row in rows.ROWS if row.name == name)
    return measure.row(row, options, limits) if keep is None or row.seeds in keep else None


def warm_up(options: Options) -> None:
    """Loads what the first step of a process loads, so that no row is charged for it."""
    work = rows.ROWS[0].work
    plain = ours.variant_keys("eager", "f32", str(options.device), options.threads)
    for _ in range(2):
        each = ours.Ours([*ours.keys(work, options.directory), *plain])
        each.step()
        Textbook(work, each.data()).step()


def _frame(options: Options, asked: argparse.Namespace) -> dict[str, Any]:
    """Everything of a result but its rows."""
    about = environment()
    on_gpu = options.device.type == "cuda"
    peer = options.peer and (options.peer.about or options.peer.name)
    plain = {"device": str(options.device), "directory": None, "tell": None, "peer": peer}
    return {
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": options.device.type,
        "hardware": {
            **about["hardware"],
            "gpu": torch.cuda.get_device_name(options.device) if on_gpu else None,
            "capability": torch.backends.cpu.get_cpu_capability(),
            "amx": bool(torch.cpu._is_amx_tile_supported()),
            "avx512_bf16": bool(torch.cpu._is_avx512_bf16_supported()),
        },
        "versions": about["versions"],
        "git": about["git"],
        "options": {**vars(options), **plain, "quick": asked.quick},
        "rows": [],
    }


if __name__ == "__main__":
    sys.exit(main())
