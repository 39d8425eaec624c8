"""One process of the rows on several cores: builds, warms up, then works when it is told to.

Usage: python -m benchmarking.worker textbook|ours SPEC, with SPEC a JSON object. It answers a line
with seconds on its standard input by a line of JSON: how many steps it did, in how many seconds.
"""

import json
import sys
import time

import torch

from benchmarking.ours import Ours
from benchmarking.rows import Work
from benchmarking.textbook import Textbook
from gan_lab.engine.devices import keep_freed_memory


def main(role: str, spec: str) -> None:
    """Serves until its standard input ends."""
    asked = json.loads(spec)
    torch.set_num_threads(1)
    keep_freed_memory()
    ours = Ours(asked["keys"])
    step = ours.step
    if role == "textbook":
        fields = {**asked["work"], "shape": tuple(asked["work"]["shape"])}
        step = Textbook(Work(**fields), ours.data()).step
    for _ in range(3):
        step()
    print(json.dumps({"ready": True}), flush=True)
    for line in sys.stdin:
        n, start = 0, time.perf_counter()
        until = start + float(line)
        while (now := time.perf_counter()) < until:
            step()
            n += 1
        print(json.dumps({"steps": n, "seconds": now - start}), flush=True)


if __name__ == "__main__":
    try:
        main(sys.argv[1], sys.argv[2])
    except Exception as error:  # told to the parent, whatever it is: it shows it as "not timed"
        print(json.dumps({"error": str(error).strip().split("\n")[0]}), flush=True)
