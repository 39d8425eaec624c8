"""Samples read ahead are those of the tickets, whatever the order of the steps."""

import threading

import pytest
import torch

from gan_lab.data.base import TensorSource
from gan_lab.data.host import HostSource, MemoryRows
from gan_lab.data.validation import split
from gan_lab.engine import read_ahead
from gan_lab.engine.distributed import World
from gan_lab.engine.rng import DrawSpec, Streams
from gan_lab.engine.schedule import Schedule
from tests.helpers import CPU

N = 300
ROWS = torch.randint(0, 256, (N, 1, 4, 4), dtype=torch.uint8)
PARTS = split(N, 20, 20, 0, "a set")
SCHEDULES = {
    "one update": Schedule(),
    "five": Schedule(5),
    "two of the generator": Schedule(1, 2),
    "a warm-up": Schedule(2, 1, warmup_steps=3, warmup_every=7, warmup_n_critic=5),
}


class Counted(MemoryRows):
    """Rows that count what is read, and where."""

    def __init__(self, samples):
        super().__init__(samples)
        self.n_read, self.threads = 0, set()

    def read_(self, indices, out):
        self.n_read += len(indices)
        self.threads.add(threading.current_thread())
        super().read_(indices, out)


def streams(schedule, seeds=(0,), max_steps=8, purpose="", sees_real=True):
    """The same draws from a set on the device, and from one that is not."""
    spec = DrawSpec(4, 3, {"noise": (2,)}, schedule, max_steps, sees_real)
    device = TensorSource(*(ROWS[part] for part in PARTS), CPU)
    host = HostSource(*(Counted(ROWS[part]) for part in PARTS), CPU)
    return [Streams(seeds, spec, source, purpose) for source in (device, host)]


def wait_for_thread(source):
    """Return when all that was asked for is read."""
    source.fetch(lambda: torch.zeros(0, dtype=torch.int64)).result()


def assert_same(pair, step):
    expected, actual = (each.draws(step) for each in pair)
    for network in ("discriminator", "generator"):
        a, b = getattr(actual, network), getattr(expected, network)
        for name in ("real", "z", "mix"):
            assert torch.equal(getattr(a, name), getattr(b, name)), (network, name, step)


@pytest.mark.parametrize("chunk_bytes", [1, 16 * 4 * 12, 1 << 24])
@pytest.mark.parametrize("seeds", [(3,), (0, 5)])
@pytest.mark.parametrize("schedule", SCHEDULES)
def test_every_step_has_the_batches_of_a_set_on_the_device(
    monkeypatch, schedule, seeds, chunk_bytes
):
    monkeypatch.setattr(read_ahead, "_CHUNK_BYTES", chunk_bytes)
    pair = streams(SCHEDULES[schedule], seeds, purpose="fork/3/")
    for step in range(20):
        assert_same(pair, step)


def test_a_step_out_of_turn_has_its_own_batches():
    pair = streams(SCHEDULES["a warm-up"])
    for step in (17, 18, 3, 3, 2, 4, 40, 15, 16, 0):
        assert_same(pair, step)


def test_a_chunk_is_read_while_the_one_before_is_used_and_only_once(monkeypatch):
    monkeypatch.setattr(read_ahead, "_CHUNK_BYTES", 2 * 2 * 4 * 16)  # two steps
    host = streams(Schedule())[1]
    rows, per_step = host.source._rows["train"], 2 * 4
    host.draws(0)
    assert rows.n_read == 2 * per_step  # one call may be of a step alone
    host.draws(1)
    wait_for_thread(host.source)
    assert rows.n_read == 4 * per_step
    for step in range(2, 8):
        host.draws(step)
    wait_for_thread(host.source)
    assert rows.n_read == 10 * per_step
    assert threading.current_thread() not in rows.threads
    assert len(rows.threads) == 1


@pytest.mark.parametrize("sees_real", [True, False])
def test_each_of_several_processes_gets_its_share(sees_real):
    pair = streams(Schedule(2), (0, 1), sees_real=sees_real)
    for rank in (0, 1):
        shares = [World(rank, 2).shard(each.draws(3)) for each in pair]
        expected, actual = (share.discriminator.real for share in shares)
        assert actual.shape == (2, 2, 2, 1, 4, 4)
        assert torch.equal(actual, expected)
        assert shares[1].generator.real.shape == shares[0].generator.real.shape


@pytest.mark.parametrize("sees_real", [True, False])
def test_what_a_generator_does_not_see_is_not_read(sees_real):
    device, host = streams(Schedule(2, 3), (0, 1), sees_real=sees_real)
    for step in range(3):
        expected, actual = device.draws(step), host.draws(step)
        assert torch.equal(actual.discriminator.real, expected.discriminator.real)
        assert actual.generator.real.shape == expected.generator.real.shape == (3, 2, 4, 1, 4, 4)
        assert torch.equal(actual.generator.real, sees_real * expected.generator.real)
    wait_for_thread(host.source)
    two_chunks_of_an_update = 2 * 8 * 2 * 4
    assert host.source._rows["train"].n_read == two_chunks_of_an_update * (5 if sees_real else 2)


@pytest.mark.parametrize(
    ("step_bytes", "n_steps"), [(1, 32), (1 << 19, 32), (1 << 20, 16), (1 << 24, 1), (1 << 30, 1)]
)
def test_a_chunk_has_16_mib_or_one_step(step_bytes, n_steps):
    assert read_ahead.n_chunk_steps(32, step_bytes) == n_steps
