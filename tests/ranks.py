"""One rank of several: runs commands together with the others and notes what each came to.

    torchrun --nproc-per-node 2 tests/ranks.py JOBS.json

JOBS.json holds a list of {"name", "arguments", and optionally "signal": [rank, step, signum] or
"poison": [step, index of a seed], whose data are infinite then, or "full": checkpoints find no
room};
NAME.RANK.json then says {"code", "out", "err", "n"}; n: how many samples a step saw, if one did.
"""

import contextlib
import io
import json
import os
import sys
from pathlib import Path

import pytest
import torch

from gan_lab.cli import main as cli
from gan_lab.console import ProgressLine
from gan_lab.engine.distributed import World, join_world
from tests.training.callbacks.test_divergence import infinite_data_at


@contextlib.contextmanager
def signalled(step, signum):
    """Sends this process a signal when its progress line shows a step."""
    at = ProgressLine.at

    def and_signal(self, now):
        at(self, now)
        if now == step:
            os.kill(os.getpid(), signum)

    ProgressLine.at = and_signal
    try:
        yield
    finally:
        ProgressLine.at = at


@contextlib.contextmanager
def poisoned(where):
    """Makes the real samples of one stacked seed infinite at a step."""
    with pytest.MonkeyPatch.context() as patch:
        if where is not None:
            infinite_data_at(patch, *where)
        yield


@contextlib.contextmanager
def filled(full):
    """Leaves no room for checkpoints."""

    def write(path, data):
        raise OSError(28, "No space left on device", str(path))

    with pytest.MonkeyPatch.context() as patch:
        if full:
            patch.setattr("gan_lab.runs.checkpoint.atomic_write", write)
        yield


@contextlib.contextmanager
def counted(seen):
    """Notes how many samples this rank's steps are given."""
    shard = World.shard

    def and_count(self, draws, stacked):
        mine = shard(self, draws, stacked)
        seen.append(mine.discriminator.mix.shape[-1])
        return mine

    World.shard = and_count
    try:
        yield
    finally:
        World.shard = shard


def main(path):
    torch.set_default_dtype(torch.float64)
    torch.set_num_threads(1)
    with join_world() as world:
        for job in json.loads(path.read_text()):
            out, err = io.StringIO(), io.StringIO()
            rank, *when = job.get("signal", [None])
            hit = signalled(*when) if rank == world.rank else contextlib.nullcontext()
            seen = []
            with (
                hit,
                poisoned(job.get("poison")),
                filled(job.get("full")),
                counted(seen),
                contextlib.redirect_stdout(out),
                contextlib.redirect_stderr(err),
            ):
                code = cli.main(job["arguments"])
            told = {
                "code": code,
                "out": out.getvalue(),
                "err": err.getvalue(),
                "n": max(seen, default=0),
            }
            Path(f"{job['name']}.{world.rank}.json").write_text(json.dumps(told))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
