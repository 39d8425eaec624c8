"""A long run: bounded files, constant descriptors, flat memory, steady speed."""

import mmap
import os

import pytest

from gan_lab.runs.run_dir import RunDir
from tests.campaigns import soak


def lost(found):
    return {fault.kind: fault.lost for fault in found.lost}


@pytest.mark.parametrize("n", [500, pytest.param(200_000, marks=pytest.mark.slow)])
def test_a_run_keeps_its_files_bounded_and_its_descriptors_constant(n):
    result = soak.campaign(n)
    assert {fault.kind for fault in result.faults} >= {"descriptors", "threads", "files"}
    assert result.measured["memory samples"] > 10
    assert lost(result) == {}


def test_what_grows_is_seen(tmp_path, monkeypatch):
    files = {kind: {"files": 3} for kind in ("checkpoints", "samples", "landscape")}
    files["landscape"]["files"] = 400
    monkeypatch.setattr(soak, "_files", lambda run: files)
    monkeypatch.setattr(soak, "_speed", lambda run: 0.5)
    steps = range(0, 200_000, 1000)
    leak = [soak.Sample(step, 500 + step / 1e4, 250, 20 + step // 20_000, 2) for step in steps]
    found = soak.judge(200_000, leak, RunDir(tmp_path))
    assert set(lost(found)) == {"memory", "descriptors", "files", "speed"}
    assert found.measured["memory slope [MiB per 100,000 steps]"] == pytest.approx(10.0, abs=1e-9)
    assert found.measured["its standard error"] == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize(("leak", "is_lost"), [(0.3, False), (2.0, True)])
def test_what_comes_and_goes_is_no_leak_and_hides_none(tmp_path, monkeypatch, leak, is_lost):
    files = {kind: {"files": 3} for kind in ("checkpoints", "samples", "landscape")}
    monkeypatch.setattr(soak, "_files", lambda run: files)
    monkeypatch.setattr(soak, "_speed", lambda run: 1.0)
    block = [3.5 * (step % 30_000 < step // 8) for step in range(0, 200_000, 500)]  # ever longer
    samples = [
        soak.Sample(500 * i, 363 + leak * i / 200 + size, 284, 9, 1) for i, size in enumerate(block)
    ]
    found = soak.judge(200_000, samples, RunDir(tmp_path))
    assert found.measured["memory slope [MiB per 100,000 steps]"] == pytest.approx(leak, abs=0.02)
    assert set(lost(found)) == ({"memory"} if is_lost else set())


def test_pages_of_files_come_and_go_and_only_what_is_allocated_is_memory(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 7}\n')
    (tmp_path / "library").write_bytes(b"x" * (32 << 20))
    before = soak._sample(os.getpid(), tmp_path)
    with (
        open(tmp_path / "library", "rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as pages,
    ):
        sum(pages[:: mmap.PAGESIZE])
        with_file = soak._sample(os.getpid(), tmp_path)
    own = bytearray(b"x" * (64 << 20))
    with_own = soak._sample(os.getpid(), tmp_path)
    assert (before.step, len(own)) == (7, 64 << 20)
    assert with_file.mapped - before.mapped == pytest.approx(32, abs=1)
    assert with_file.memory - before.memory == pytest.approx(0, abs=1)
    assert with_own.memory - before.memory == pytest.approx(64, abs=4)
