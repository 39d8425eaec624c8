"""Sets outside of the device: the same samples as on it, and what befalls their file."""

import errno
import os
import shutil

import numpy as np
import pytest
import torch

from gan_lab.data.base import TensorSource
from gan_lab.data.host import (
    HostSource,
    MemoryRows,
    NpyFile,
    NpyRows,
    SomeRows,
    choose_storage,
    open_parts,
)
from gan_lab.data.validation import split
from gan_lab.errors import ConfigError
from tests.helpers import CPU, seeded

N = 60
PARTS = split(N, 15, 10, 3, "a set")


def images(dtype=np.uint8):
    numbers = np.random.default_rng(0).integers(0, 256, (N, 2, 5, 4)).astype(np.uint8)
    return numbers if dtype == np.uint8 else (numbers / np.float32(127.5) - 1).astype(dtype)


def saved(folder, array):
    np.save(folder / "images.npy", array)
    return folder / "images.npy"


def sources(folder, dtype=np.uint8):
    """One set on the device, in host memory and on disk."""
    array, labels = images(dtype), torch.arange(N) % 7
    rows = torch.from_numpy(array)
    names = ("train_labels", "validation_labels", "held_out_labels")
    file = NpyRows(NpyFile(saved(folder, array)))
    parts = {name: labels[part] for name, part in zip(names, PARTS, strict=True)}
    return {
        "device": TensorSource(*(rows[part] for part in PARTS), CPU, **parts),
        "host": HostSource(*(MemoryRows(rows[part]) for part in PARTS), CPU, **parts),
        "disk": HostSource(*(SomeRows(file, part) for part in PARTS), CPU, **parts),
    }


@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("where", ["host", "disk"])
def test_every_sample_is_that_of_the_set_on_the_device(tmp_path, where, dtype):
    both = sources(tmp_path, dtype)
    device, other = both["device"], both[where]
    assert other.shape == device.shape == (2, 5, 4)
    for name in ("n_train", "n_validation", "n_held_out"):
        assert getattr(other, name) == getattr(device, name)
    for name in ("train_labels", "validation_labels", "held_out_labels"):
        assert torch.equal(getattr(other, name), getattr(device, name))
    for name, n in (("real", 35), ("validation", 7), ("held_out", 15)):
        assert torch.equal(*(getattr(s, name)(n, seeded(4)) for s in (device, other)))
    tickets = device.draw(24, seeded(1)).reshape(2, 3, 4)
    assert torch.equal(other.draw(24, seeded(1)).reshape(2, 3, 4), tickets)
    samples = other.gather(tickets)
    assert samples.dtype == torch.float32
    assert torch.equal(samples, device.gather(tickets))
    assert torch.equal(other.gather(tickets[:, :0]), device.gather(tickets[:, :0]))
    as_they_lie = other.fetch(lambda: tickets).result()
    assert as_they_lie.dtype == (torch.uint8 if dtype == np.uint8 else torch.float32)
    for part, n in (("train", 35), ("validation", 10), ("held_out", 15)):
        batches = [list(s.batches(part, 8)) for s in (device, other)]
        assert max(map(len, batches[1])) == 8
        assert len(torch.cat(batches[1])) == n
        assert torch.equal(*map(torch.cat, batches))


def test_more_samples_than_a_part_has_are_refused(tmp_path):
    with pytest.raises(ConfigError, match=r"11 validation samples .* has 10"):
        sources(tmp_path)["disk"].validation(11, seeded())


def test_rows_are_converted_as_they_are_read(tmp_path):
    last = np.ascontiguousarray(images().transpose(0, 2, 3, 1)).astype(">f8")
    file = NpyFile(saved(tmp_path, last))
    assert np.array_equal(file.block(3, 9), last[3:9])
    rows = NpyRows(file, lambda raw: raw.transpose(0, 3, 1, 2).astype(np.float32))
    assert rows.shape == (2, 5, 4)
    assert rows.dtype == torch.float32
    out = torch.empty(3, *rows.shape)
    rows.read_(np.array([59, 0, 7]), out)
    assert torch.equal(out, torch.from_numpy(images()[[59, 0, 7]]).float())
    assert len(rows) == N


def test_columns_before_rows_are_refused(tmp_path):
    with pytest.raises(ConfigError, match="Fortran order"):
        NpyFile(saved(tmp_path, np.asfortranarray(images())))


@pytest.mark.parametrize("keep", [0.5, 0.99, 0.01])
def test_a_file_that_shrinks_is_an_error_and_no_crash(tmp_path, keep):
    source = sources(tmp_path)["disk"]
    source.gather(torch.arange(35))
    path = tmp_path / "images.npy"
    os.truncate(path, int(keep * path.stat().st_size))
    with pytest.raises(OSError, match=r"images.npy (is shorter than it was|was changed)"):
        source.gather(torch.arange(35))
    with pytest.raises(OSError, match="put it back and resume"):
        source.fetch(lambda: torch.arange(35)).result()


def test_a_file_that_is_written_into_is_an_error(tmp_path):
    source = sources(tmp_path)["disk"]
    path = tmp_path / "images.npy"
    with open(path, "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"\0")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))  # clocks of file systems may be coarse
    with pytest.raises(OSError, match="was changed while it was in use"):
        source.gather(torch.arange(3))


def test_a_file_that_is_replaced_or_removed_is_read_as_it_was(tmp_path):
    both = sources(tmp_path)
    path = tmp_path / "images.npy"
    np.save(tmp_path / "other.npy", 255 - images())
    shutil.move(tmp_path / "other.npy", path)
    assert torch.equal(*(both[where].gather(torch.arange(35)) for where in ("device", "disk")))
    path.unlink()
    assert torch.equal(*(both[where].gather(torch.arange(35)) for where in ("device", "disk")))


def test_a_read_only_file_is_read(tmp_path):
    path = saved(tmp_path, images())
    path.chmod(0o444)
    assert len(NpyFile(path)) == N


def test_a_short_read_is_continued(tmp_path, monkeypatch):
    """Network file systems, and signals, give less than was asked for."""
    both = sources(tmp_path)
    preadv = os.preadv
    monkeypatch.setattr(os, "preadv", lambda fd, views, at: preadv(fd, [views[0][:7]], at))
    assert torch.equal(*(both[where].gather(torch.arange(35)) for where in ("device", "disk")))


def test_a_read_that_fails_names_the_file(tmp_path, monkeypatch):
    def fail(fd, views, at):
        raise OSError(errno.EIO, os.strerror(errno.EIO))

    source = sources(tmp_path)["disk"]
    monkeypatch.setattr(os, "preadv", fail)
    with pytest.raises(OSError, match=r"images.npy cannot be read \(Input/output error\); put"):
        source.gather(torch.arange(3))


def test_without_reads_at_an_offset_the_samples_are_the_same(tmp_path, monkeypatch):
    monkeypatch.delattr(os, "preadv")
    monkeypatch.delattr(os, "posix_fadvise")
    both = sources(tmp_path)
    assert torch.equal(*(both[where].gather(torch.arange(35)) for where in ("device", "disk")))


def test_a_failure_in_the_thread_is_raised_where_the_samples_are_wanted(tmp_path):
    def fail():
        raise OSError("no tickets")

    source = sources(tmp_path)["disk"]
    fetch = source.fetch(fail)
    good = source.fetch(lambda: torch.arange(3))
    with pytest.raises(OSError, match="no tickets"):
        fetch.result()
    assert torch.equal(good.result(), torch.from_numpy(images()[PARTS.train[:3]]))


def test_parts_that_are_too_large_for_a_gpu_stay_in_host_memory(monkeypatch):
    """As on a machine with a GPU, whose tensors stand in on the CPU here."""
    parts = [torch.from_numpy(images()[part]) for part in PARTS]
    monkeypatch.setattr("gan_lab.data.host.free_bytes", lambda device: 4 * N * 40 - 1)
    assert isinstance(open_parts(*parts, CPU), TensorSource)
    source = open_parts(*parts, torch.device("cuda"))
    assert isinstance(source, HostSource)
    assert source.notes[0].startswith("the samples stay in host memory (0 MB)")
    assert [len(rows) for rows in source._rows.values()] == [35, 10, 15]


@pytest.mark.parametrize(
    ("storage", "n_bytes", "has_rows", "device", "expected"),
    [
        ("auto", 100, True, "cpu", "device"),
        ("auto", 101, True, "cpu", "disk"),
        ("auto", 101, False, "cpu", "device"),
        ("auto", 26, True, "cuda", "host"),
        ("auto", 25, True, "cuda", "device"),
        ("auto", 101, True, "cuda", "disk"),
        ("auto", 101, False, "cuda", "host"),
        ("host", 1, True, "cpu", "device"),
        ("host", 1, True, "cuda", "host"),
        ("disk", 1, True, "cuda", "disk"),
        ("device", 10**9, True, "cuda", "device"),
    ],
)
def test_a_set_stays_where_it_takes_no_more_than_a_quarter(
    monkeypatch, storage, n_bytes, has_rows, device, expected
):
    free = {"cpu": 400, "cuda": 100}
    monkeypatch.setattr("gan_lab.data.host.free_bytes", lambda device: free[device.type])
    assert choose_storage(storage, n_bytes, has_rows, torch.device(device)) == expected
