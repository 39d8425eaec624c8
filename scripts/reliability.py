"""Does harm to gan_lab on purpose and counts what was lost; writes docs/reliability.md.

.venv/bin/python -m scripts.reliability
.venv/bin/python -m scripts.reliability kills 20 --seed 3 --output outputs/reliability
.venv/bin/python -m scripts.reliability --render
"""

import argparse
import dataclasses
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gan_lab.runs.run_dir import atomic_write
from scripts.faults import page
from scripts.faults.record import RESULTS, ROOT

CAMPAIGNS = ("kills", "disks", "damage", "numbers", "inputs", "fuzz", "determinism", "soak")
PAGE = ROOT / "docs" / "reliability.md"


def parser() -> argparse.ArgumentParser:
    """What the script takes."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument("campaign", nargs="?", choices=CAMPAIGNS, help="all where none is named")
    made.add_argument("n", nargs="?", type=int, help="how many faults; a campaign has its own")
    made.add_argument("--seed", type=int, default=0, help="of what is chosen at random")
    made.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    made.add_argument("--render", action="store_true", help="write docs/reliability.md again")
    return made


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs campaigns; the exit code: 1 where something was lost."""
    asked = parser().parse_args(arguments)
    if asked.render:
        atomic_write(PAGE, page.render().encode())
        print(PAGE)
        return 0
    lost = 0
    for name in [asked.campaign] if asked.campaign else CAMPAIGNS:
        module = importlib.import_module(f"scripts.faults.{name}")
        keys = {"seed": asked.seed, "tell": lambda line: print(line, file=sys.stderr)}
        began = time.perf_counter()
        campaign = module.campaign(**keys if asked.n is None else {"n": asked.n, **keys})
        campaign = dataclasses.replace(campaign, seconds=round(time.perf_counter() - began))
        for row in campaign.rows():
            print(f"{name}: {row['kind']}: {row['survived']} of {row['tried']} survived")
        lost += len(campaign.lost)
        print(campaign.save(asked.output))
        if asked.output.resolve() == RESULTS:
            atomic_write(PAGE, page.render().encode())
    return min(lost, 1)


if __name__ == "__main__":
    sys.exit(main())
