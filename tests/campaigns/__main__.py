"""Do harm to gan_lab on purpose and count what is lost; write docs/reliability.md.

.venv/bin/python -m tests.campaigns
.venv/bin/python -m tests.campaigns kills 20 --seed 3 --output outputs/reliability
.venv/bin/python -m tests.campaigns --render
"""

import argparse
import dataclasses
import importlib
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from gan_lab.runs.run_dir import atomic_write
from tests.campaigns import page
from tests.campaigns.page import CAMPAIGNS
from tests.campaigns.record import RESULTS, ROOT

PAGE = ROOT / "docs" / "reliability.md"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run campaigns; return exit code 1 where something was lost."""
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(
        "python -m tests.campaigns", description=__doc__, formatter_class=form
    )
    parser.add_argument("campaign", nargs="?", choices=CAMPAIGNS, help="all where none is named")
    parser.add_argument("n", nargs="?", type=int, help="how many faults; a campaign has its own")
    parser.add_argument("--seed", type=int, default=0, help="of what is chosen at random")
    parser.add_argument("--output", type=Path, default=RESULTS, help="where the results go")
    parser.add_argument("--render", action="store_true", help="write docs/reliability.md again")
    choice = parser.parse_args(arguments)
    if choice.render:
        atomic_write(PAGE, page.render().encode())
        print(PAGE)
        return 0
    n_lost = 0
    for name in [choice.campaign] if choice.campaign else CAMPAIGNS:
        module = importlib.import_module(f"tests.campaigns.{name}")
        keys = {"seed": choice.seed, "tell": lambda line: print(line, file=sys.stderr)}
        start = time.perf_counter()
        campaign = module.campaign(**keys if choice.n is None else {"n": choice.n, **keys})
        campaign = dataclasses.replace(campaign, seconds=round(time.perf_counter() - start))
        for row in campaign.rows():
            print(f"{name}: {row['kind']}: {row['survived']} of {row['tried']} survived")
        n_lost += len(campaign.lost)
        print(campaign.save(choice.output))
        if choice.output.resolve() == RESULTS:
            atomic_write(PAGE, page.render().encode())
    return min(n_lost, 1)


if __name__ == "__main__":
    sys.exit(main())
