"""Data that stay on disk: the same training bit for bit, little memory, and what may go wrong."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

import gan_lab
from gan_lab.data.host import NpyFile
from gan_lab.data.image_arrays import ImageArray
from gan_lab.data.image_rows import _Blocks
from gan_lab.data.validation import split
from gan_lab.engine import read_ahead
from gan_lab.errors import ConfigError
from gan_lab.metrics.metrics import Diversity
from gan_lab.runs.checkpoint_checks import describe_data
from gan_lab.training import memory
from tests.helpers import (
    CHEAP,
    CPU,
    ONE,
    main,
    refused,
    rows,
    run_config,
    seeded,
    signal_at,
    state_digest,
    train,
)

MLP = ("data=image_array", "network=mlp", "network.width=8", "regularizer=none", *CHEAP)
CLOCK = ("trainer.log_every=7", "evaluator.every=6", "trainer.checkpoint_every=10")
VARIANTS = {
    "non_saturating": (*MLP, "loss=non_saturating"),
    "relativistic": (*MLP, "loss=relativistic"),  # its generator sees real samples
    "noise": (*MLP, "loss=non_saturating", "regularizer=[instance_noise]"),
    "critic": (*MLP, "loss=wasserstein_clip", "regularizer=[weight_clipping]", "optim=rmsprop"),
    "two seeds": (*MLP, "loss=non_saturating", "n_seeds=2", "seed=3"),
}


def bytes_of(n=300, shape=(6, 5)):
    return np.random.default_rng(0).integers(0, 256, (n, *shape)).astype(np.uint8)


def saved(folder, array):
    path = folder / "images.npy"
    np.save(path, array)
    return path


def stored(path, storage, **keys):
    return ImageArray(str(path), storage=storage, **keys)


# The same numbers


@pytest.mark.parametrize("variant", VARIANTS)
def test_a_training_from_disk_is_that_from_the_device(workdir, monkeypatch, variant):
    monkeypatch.setattr(read_ahead, "_CHUNK_BYTES", 5 * 2 * 16 * 30)  # some steps, no whole block
    keys = (*VARIANTS[variant], *CLOCK, f"data.path={saved(workdir, bytes_of())}")
    device = train("device", *keys, "trainer.steps=40", "data.storage=device")
    disk = train("disk", *keys, "trainer.steps=40", "data.storage=disk")
    assert state_digest(disk) == state_digest(device)
    for seed in [""] if variant != "two seeds" else ["seed_3", "seed_4"]:
        assert rows(disk / seed) == rows(device / seed)


def test_a_run_resumes_with_its_data_elsewhere(workdir, monkeypatch):
    keys = (*VARIANTS["non_saturating"], *CLOCK, f"data.path={saved(workdir, bytes_of())}")
    whole = train("whole", *keys, "trainer.steps=50", "data.storage=device")
    commands = (
        (13, "train", *keys, "trainer.steps=50", "data.storage=device", "output=parts"),
        (37, "resume", "parts", "data.storage=disk"),
    )
    for stop, *command in commands:
        with monkeypatch.context() as patch:
            signal_at(patch, stop)
            assert main(*command) == 143
    assert main("resume", "parts", "data.storage=device") == 0
    assert state_digest("parts") == state_digest(whole)
    assert rows("parts") == rows(whole)


@pytest.mark.parametrize(
    ("name", "array", "keys"),
    [
        ("bytes", bytes_of(), {}),
        ("black and white", (bytes_of() > 127).astype(np.uint8), {}),
        ("bytes as numbers", (bytes_of() / 255).astype(np.float32), {}),
        ("numbers", np.random.default_rng(0).random((300, 6, 5)), {}),
        ("about 0", (bytes_of() / 127.5 - 1).astype(">f4"), {}),
        ("channels last", bytes_of(300, (6, 6, 3)), {"size": 8}),
        ("framed", bytes_of(40, (28, 28)), {"size": 32}),
        ("a range", bytes_of() // 2, {"value_range": (0, 128)}),
    ],
)
@pytest.mark.parametrize("block_bytes", [1 << 10, 1 << 26])
def test_what_is_found_of_images_is_the_same(tmp_path, monkeypatch, name, array, keys, block_bytes):
    monkeypatch.setattr("gan_lab.data.image_rows._BLOCK_BYTES", block_bytes)
    path = saved(tmp_path, array)
    device, disk = (stored(path, each, **keys).open(CPU) for each in ("device", "disk"))
    assert disk.notes[:-1] == device.notes
    assert disk.notes[-1].startswith("the samples stay on disk (")
    assert disk.warnings == device.warnings == ()
    for part in ("train", "validation", "held_out"):
        assert torch.equal(*(torch.cat(list(s.batches(part, 7))) for s in (disk, device)))
    assert describe_data(disk) == describe_data(device)


def test_one_number_beyond_the_sample_decides(tmp_path):
    """A byte above 1 in a row that no sample has: 255 is white, and not 1."""
    array = (bytes_of(2000) > 127).astype(np.uint8)
    array[1999, 5, 4] = 2
    path = saved(tmp_path, array)
    device, disk = (stored(path, each).open(CPU) for each in ("device", "disk"))
    assert disk.notes[:-1] == device.notes
    assert "255 for white" in disk.notes[0]
    array[1999] = 1
    assert "1 for white" in stored(saved(tmp_path, array), "disk").open(CPU).notes[0]


def test_a_sample_of_few_large_images_is_no_set_of_too_few(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_lab.data.image_rows._BLOCK_BYTES", 1)
    for n in range(10, 64):
        source = stored(saved(tmp_path, bytes_of(n)), "disk").open(CPU)
        assert source.n_train + source.n_validation + source.n_held_out == n


def test_a_block_is_read_when_it_is_asked_for(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_lab.data.image_rows._BLOCK_BYTES", 7 * 30)
    array = bytes_of(20)
    blocks = _Blocks(NpyFile(saved(tmp_path, array)), "an array")
    assert [len(block) for block in blocks] == [7, 7, 6]
    assert np.array_equal(np.concatenate(list(blocks)), array)
    assert [len(block) for block in blocks[1:]] == [7, 6]


def test_what_only_a_sample_showed_is_said_so(tmp_path):
    path = saved(tmp_path, np.zeros((2000, 6, 5), np.uint8))
    (warning,) = stored(path, "disk").open(CPU).warnings
    assert "(in a sample of 500 images) holds 500 times the same" in warning
    (warning,) = stored(path, "device").open(CPU).warnings
    assert "images.npy holds 1440 times the same" in warning


# What is refused


def test_only_rows_of_a_npy_stay_on_disk(tmp_path):
    np.savez(tmp_path / "images.npz", images=bytes_of())
    refused(stored(tmp_path / "images.npz", "disk"), r"data.storage must be auto, device or host")
    refused(stored(saved(tmp_path, np.asfortranarray(bytes_of())), "disk"), "Fortran order")
    with pytest.raises(ValueError, match=r"data.storage must be one of auto, device, host, disk"):
        stored("images.npy", "tape")


def test_a_number_that_is_not_finite_is_found_wherever_it_is(tmp_path):
    array = np.random.default_rng(0).random((2000, 6, 5))
    array[1999, 0, 0] = np.nan
    refused(stored(saved(tmp_path, array), "disk"), "not finite in row 1999")


def test_a_truncated_file_is_refused(tmp_path):
    path = saved(tmp_path, bytes_of())
    os.truncate(path, path.stat().st_size - 1)
    refused(stored(path, "disk"), r"images.npy")


def test_a_file_that_shrinks_amid_a_training_ends_it_in_one_line(workdir, capsys, monkeypatch):
    path = saved(workdir, bytes_of(3000, (12, 12)))
    monkeypatch.setattr(read_ahead, "_CHUNK_BYTES", 1)
    keys = (*VARIANTS["non_saturating"], f"data.path={path}", "data.storage=disk")
    whole = train("whole", *keys, *CLOCK, "trainer.steps=30")
    content, samples = path.read_bytes(), read_ahead.ReadAhead.samples

    def cut(self, step):
        if step == 25:
            os.truncate(path, 1000)
        return samples(self, step)

    monkeypatch.setattr(read_ahead.ReadAhead, "samples", cut)
    capsys.readouterr()
    assert main("train", *keys, *CLOCK, "trainer.steps=30", "output=cut") == 1
    *_, line = capsys.readouterr().err.strip().splitlines()
    assert line.startswith("OSError: array")
    assert "put it back and resume" in line
    monkeypatch.setattr(read_ahead.ReadAhead, "samples", samples)
    path.write_bytes(content)
    assert main("resume", "cut") == 0
    assert state_digest("cut") == state_digest(whole)


def test_a_run_is_not_resumed_on_other_images(workdir, capsys):
    path = saved(workdir, bytes_of())
    keys = (*VARIANTS["non_saturating"], f"data.path={path}", "data.storage=disk")
    run = train("run", *keys, "trainer.steps=4")
    other = bytes_of()
    other[int(split(300, 30, 54, 0, "a set").held_out[0])] ^= 255  # one that only measures
    saved(workdir, other)
    capsys.readouterr()
    for command in (["resume", run, "trainer.steps=8"], ["evaluate", run]):
        assert main(*command) == 2
        error = capsys.readouterr().err
        assert error.startswith("ConfigError: the training data are not those")
        assert error.count("\n") == 1
    with pytest.raises(ConfigError, match="the training data are not those"):
        gan_lab.load(run).evaluate()
    assert main("sample", run, "n=2") == 0  # a generator needs no data


# Memory


def test_the_memory_check_counts_the_chunks_that_are_read_ahead(tmp_path):
    path = saved(tmp_path, bytes_of(300, (32, 32)))
    needs = {}
    for storage in ("device", "disk"):
        keys = (*MLP, "loss=non_saturating", f"data.path={path}", f"data.storage={storage}")
        config = run_config(*keys, "trainer.batch_size=64", "n_seeds=2")
        needs[storage] = memory.estimate(config, config.data.open(CPU))
    assert needs["disk"].draws - needs["device"].draws == 2 * 32 * 2 * 64 * 32 * 32


def test_the_nearest_training_image_is_looked_for_in_what_memory_holds(monkeypatch, tmp_path):
    source = stored(saved(tmp_path, bytes_of()), "disk").open(CPU)
    samples = source.held_out(16, seeded())
    name = "samples/nearest_train_distance"
    assert name in Diversity().prepare(source)(samples, samples)
    source.n_train, source.shape = 20_000, (3, 128, 128)
    assert name not in Diversity().prepare(source)(samples, samples)


CHILD = """
import json, resource, sys, torch
from gan_lab.cli.main import main
torch.set_num_threads(1)
code = main(sys.argv[1:])
print(json.dumps([code, 1024 * resource.getrusage(resource.RUSAGE_SELF).ru_maxrss]))
"""


@pytest.mark.slow
def test_8_gb_of_images_train_within_1_gb_of_memory(workdir):
    """A sparse file: its holes are zeros that take no room on disk, and are read like any other."""
    n, shape = 699_051, (3, 64, 64)  # 8.59 GB
    array = np.lib.format.open_memmap("images.npy", "w+", np.uint8, (n, *shape))
    array[::997] = np.random.default_rng(0).integers(0, 256, shape)
    del array
    assert os.stat("images.npy").st_size > 8 * 2**30 - 2**20
    keys = ("data=image_array", "data.path=images.npy", "data.storage=disk", "output=run")
    keys += ("network=conv", "network.width=8", "loss=non_saturating", "regularizer=none", *CHEAP)
    arguments = [sys.executable, "-c", CHILD, "train", *keys, "trainer.steps=30"]
    done = subprocess.run(arguments, env=ONE, capture_output=True, text=True, timeout=600)
    code, peak = json.loads(done.stdout.splitlines()[-1])
    assert code == 0, done.stderr
    assert 2**27 < peak < 2**30
    assert len(rows("run")) > 0
