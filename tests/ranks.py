"""One rank of several: run commands together with the others and note how each ends.

    torchrun --nproc-per-node 2 tests/ranks.py JOBS.json

JOBS.json holds a list of {"name", "arguments", and optionally "signal": [rank, step, signum] or
"poison": [step, index of a seed], whose data are infinite then, "overflow": [step, index of a
seed], whose samples are, or "full": checkpoints find no room};
NAME.RANK.json then says {"code", "out", "err", "n"}; n: how many samples a step saw, if one did.
"""

import contextlib
import io
import json
import sys
from pathlib import Path

import pytest
import torch

from gan_lab.cli import main as cli
from gan_lab.engine.distributed import World, join_world
from tests.helpers import infinite_data_at, overflow_samples, signal_at


def no_room(path, data):
    raise OSError(28, "No space left on device", str(path))


def count_samples(patch):
    """Note how many samples this rank's steps are given, in the list that is returned."""
    shard, counts = World.shard, []

    def and_count(self, draws):
        mine = shard(self, draws)
        counts.append(mine.discriminator.mix.shape[-1])
        return mine

    patch.setattr(World, "shard", and_count)
    return counts


def main(path):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with join_world() as world:
        for job in json.loads(path.read_text()):
            out, err = io.StringIO(), io.StringIO()
            rank, *signal = job.get("signal", [None])
            streams = contextlib.redirect_stdout(out), contextlib.redirect_stderr(err)
            with pytest.MonkeyPatch.context() as patch, streams[0], streams[1]:
                counts = count_samples(patch)
                if rank == world.rank:
                    signal_at(patch, *signal)
                if "poison" in job:
                    infinite_data_at(patch, *job["poison"])
                if "overflow" in job:
                    overflow_samples(
                        patch, lambda r, i, at=job["overflow"]: [r.state.step, i] == at
                    )
                if "full" in job:
                    patch.setattr("gan_lab.runs.checkpoint.atomic_write", no_room)
                code = cli.main(job["arguments"])
            texts = {"out": out.getvalue(), "err": err.getvalue()}
            outcome = json.dumps({"code": code, **texts, "n": max(counts, default=0)})
            Path(f"{job['name']}.{world.rank}.json").write_text(outcome)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
