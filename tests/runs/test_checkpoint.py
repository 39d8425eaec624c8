import errno
import functools
import io
import os
import pickle
import random
import re
import signal
import subprocess
import sys
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from gan_lab.errors import ConfigError
from gan_lab.runs import run_dir
from gan_lab.runs.checkpoint import (
    CheckpointDamaged,
    CheckpointNotSaved,
    available,
    best_path,
    bests,
    checkpoint_path,
    digest,
    is_name,
    load,
    load_latest,
    remove_later,
    rotate,
    save,
)

BOMB = "stands for more than its bytes can hold"
SAVE_FOR_EVER = """
import sys, torch
from pathlib import Path
from gan_lab.runs.checkpoint import save
tensor = torch.zeros(1 << 20)
save(Path(sys.argv[1]), {"n": 0, "t": tensor})
print("saved", flush=True)
n = 0
while True:
    n += 1
    save(Path(sys.argv[1]), {"n": n, "t": tensor.fill_(n)})
"""


def training_state():
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1))
    adam = torch.optim.Adam(network.parameters(), fused=True)
    network(torch.randn(8, 3)).sum().backward()
    adam.step()
    return {
        "network": network.state_dict(),
        "adam": adam.state_dict(),
        "stream": torch.Generator().manual_seed(3).get_state(),
        "numpy": np.random.default_rng(0).bit_generator.state,
        "python": random.Random(0).getstate(),
        "half": torch.randn(5).bfloat16(),
        "empty": torch.empty(0, 3),
        "flags": (True, None, 1 << 100, float("-inf"), "text"),
    }


@pytest.fixture
def saved(tmp_path):
    path = checkpoint_path(tmp_path, 500)
    save(path, training_state())
    return path


def test_a_round_trip_is_bit_exact(saved):
    assert saved.name == "step_00000500.pt"
    state, content = training_state(), load(saved)
    assert list(content) == list(state)
    assert digest(content) == digest(state)
    torch.testing.assert_close(content["network"], dict(state["network"]), rtol=0, atol=0)
    assert content["adam"]["param_groups"] == state["adam"]["param_groups"]
    assert content["numpy"] == state["numpy"]
    assert content["flags"] == state["flags"]
    random.Random().setstate(content["python"])
    restored = torch.Generator().set_state(content["stream"]) if content else None
    expected = torch.Generator().manual_seed(3)
    assert torch.equal(torch.rand(9, generator=restored), torch.rand(9, generator=expected))


def test_nan_and_minus_zero_come_back_with_their_bits(tmp_path):
    value = torch.tensor([0x7FC00123, -(1 << 31)], dtype=torch.int32).view(torch.float32)
    save(tmp_path / "a.pt", {"value": value, "nan": float("nan"), "zero": -0.0})
    content = load(tmp_path / "a.pt")
    assert torch.equal(content["value"].view(torch.int32), value.view(torch.int32))
    assert str(content["nan"]) == "nan"
    assert str(content["zero"]) == "-0.0"


def test_a_view_is_saved_without_the_storage_behind_it(tmp_path):
    big = torch.randn(1 << 20)
    save(tmp_path / "a.pt", {"row": big[:4], "column": big.view(1 << 18, 4).t()[:, :2]})
    assert (tmp_path / "a.pt").stat().st_size < 10_000
    assert torch.equal(load(tmp_path / "a.pt")["row"], big[:4])


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1}, {"a": 1.0}),
        ({"a": 1}, {"a": True}),
        ({"a": 1}, {"a": "1"}),
        ({1: 0}, {"1": 0}),
        ([1, 2], (1, 2)),
        ([[1], 2], [[1, 2]]),
        (["ab", "c"], ["a", "bc"]),
        (torch.zeros(2), torch.zeros(2, 1)),
        (torch.zeros(2), torch.zeros(2, dtype=torch.int32)),
        (torch.zeros(1), -torch.zeros(1)),
        (None, "None"),
    ],
)
def test_the_digest_tells_contents_apart(one, other):
    assert digest(one) != digest(other)


def test_the_digest_does_not_depend_on_the_order_of_keys_or_on_strides():
    tensor = torch.randn(3, 4)
    assert digest({"a": 1, "b": tensor}) == digest({"b": tensor.t().contiguous().t(), "a": 1})


@pytest.mark.parametrize("value", [np.float64(1), np.zeros(2), {1, 2}, b"bytes", tuple])
def test_what_could_not_be_loaded_again_is_refused_when_saved(tmp_path, value):
    with pytest.raises(TypeError, match=r"content\['a'\]\[0\] is a .*Convert it"):
        save(tmp_path / "a.pt", {"a": [value]})
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("share", [0, 1e-4, 0.01, 0.1, 0.3, 0.5, 0.7, 0.9, 0.99, 0.9999])
def test_a_cut_off_file_is_refused(saved, share):
    data = saved.read_bytes()
    saved.write_bytes(data[: int(share * len(data))])
    with pytest.raises(CheckpointDamaged, match=re.escape(str(saved))) as error:
        load(saved)
    assert "\n" not in str(error.value)
    assert len(error.value.reason) < 120


def test_no_flipped_bit_changes_what_is_loaded(saved):
    # Some 15 % of the bits are padding or zip fields that nothing reads: flipping those is no harm,
    # and the digest proves it. Every other flip must be refused.
    expected, refused = digest(training_state()), 0
    for flipped in flips(saved.read_bytes(), 200):
        saved.write_bytes(flipped)
        try:
            assert digest(load(saved)) == expected
        except CheckpointDamaged:
            refused += 1
    assert 100 <= refused < 200


def flips(data, n, start=0, size=None):
    """Some bytes with one flipped bit, of those from `start`."""
    rng = random.Random(0)
    for _ in range(n):
        flipped = bytearray(data)
        flipped[start + rng.randrange(size or len(data))] ^= 1 << rng.randrange(8)
        yield flipped


def test_every_flipped_bit_of_a_tensor_is_refused(tmp_path):
    tensor, path = torch.arange(1000, 1064, dtype=torch.int64), tmp_path / "a.pt"
    save(path, {"tensor": tensor})
    data = path.read_bytes()
    for flipped in flips(data, 50, data.index(tensor.numpy().tobytes()), 512):
        path.write_bytes(flipped)
        with pytest.raises(CheckpointDamaged, match="does not match its sha256"):
            load(path)


GARBAGE = {
    **{"text": b"garbage", "random": os.urandom(5000), "zeros": b"\0" * 4096},
    **{"zip": b"PK\x03\x04" + b"x" * 200, "pickle": pickle.dumps({"a": 1}, 2)},
}


@pytest.mark.parametrize("kind", GARBAGE)
def test_garbage_is_refused(saved, kind):
    saved.write_bytes(GARBAGE[kind])
    with pytest.raises(CheckpointDamaged):
        load(saved)


class Attack:
    def __reduce__(self):
        return os.mkdir, ("ran",)


@pytest.mark.parametrize(
    "write", [torch.save, lambda value, path: path.write_bytes(pickle.dumps(value, 2))]
)
def test_code_in_a_checkpoint_does_not_run(workdir, write):
    write({"format": 1, "sha256": "", "content": Attack()}, workdir / "step_00000001.pt")
    with pytest.raises(CheckpointDamaged, match="code, which is never run"):
        load(workdir / "step_00000001.pt")
    assert not (workdir / "ran").exists()


def of_format(content, number=2):
    return {"format": number, "sha256": "", "content": content}


def shared(width, depth):
    return functools.reduce(lambda node, _: [node] * width, range(depth), 0)


FOREIGN = {
    "weights": ({"weights": torch.zeros(1)}, "not written by gan_lab"),
    "a list": ([1], "not written by gan_lab"),
    "another digest": (of_format({}), "does not match"),
    "a set": (of_format({1, 2}), "does not match"),
    "a terabyte that shares one number": (of_format(torch.zeros(1).expand(1 << 40)), BOMB),
    "one tensor a thousand times": (of_format([torch.zeros(1000)] * 1000), BOMB),
    "lists of lists of the same list": (of_format(shared(10, 31)), BOMB),
    "lists within lists": (of_format(shared(1, 61)), BOMB),
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file_is_refused_and_what_stands_for_more_than_its_bytes(name, tmp_path):
    record, reason = FOREIGN[name]
    torch.save(record, tmp_path / "a.pt")
    with pytest.raises(CheckpointDamaged, match=reason):
        load(tmp_path / "a.pt")


def test_lists_deeper_than_python_goes_are_refused(tmp_path):
    file, copy = tmp_path / "shallow.pt", tmp_path / "a.pt"
    torch.save({"format": 2, "sha256": "", "content": "HERE"}, file)
    here, deep = b"X\x04\x00\x00\x00HERE", b"]" * 100_000 + b"a" * 99_999  # as pickle writes them
    with zipfile.ZipFile(file) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            assert name != "shallow/data.pkl" or here in old.read(name)
            new.writestr(name, old.read(name).replace(here, deep))
    with pytest.raises(CheckpointDamaged, match=BOMB):
        load(tmp_path / "a.pt")


def test_an_archive_that_unpacks_to_more_than_itself_is_not_unpacked(saved, tmp_path, monkeypatch):
    with zipfile.ZipFile(saved) as old, zipfile.ZipFile(tmp_path / "a.pt", "w", 8) as new:
        for entry in old.infolist():
            new.writestr(entry.filename, bytes(1 << 20))
    monkeypatch.setattr(torch, "load", None)
    with pytest.raises(CheckpointDamaged, match=BOMB):
        load(tmp_path / "a.pt")


def test_a_checkpoint_that_finds_no_directory_says_that_the_older_ones_are_gone(tmp_path):
    with pytest.raises(CheckpointNotSaved, match="The directory of the run is gone") as error:
        save(checkpoint_path(tmp_path / "run" / "checkpoints", 1), {})
    assert "untouched" not in str(error.value)


def test_a_checkpoint_before_a_divergence_is_opened_by_its_name(tmp_path):
    save(tmp_path / "before_divergence_00000013.pt", {"step": 12})
    assert load_latest(tmp_path, "before_divergence_00000013").content == {"step": 12}
    with pytest.raises(ConfigError, match=r"before_divergence\.pt does not exist"):
        load_latest(tmp_path, "before_divergence")
    assert not any(map(is_name, (None, 3, "3", "last", "before_divergence/../x", "best\n")))


def test_a_file_of_an_earlier_version_is_not_called_damaged(tmp_path):
    torch.save({"format": 1, "sha256": "", "content": {}}, tmp_path / "a.pt")
    with pytest.raises(ConfigError, match="has format 1 and this gan_lab reads 2; go on with"):
        load(tmp_path / "a.pt")


def test_the_newest_whole_checkpoint_is_taken_and_the_others_are_named(tmp_path):
    for step in (100, 200, 300, 1000):
        save(checkpoint_path(tmp_path, step), {"step": step})
    checkpoint_path(tmp_path, 1000).write_bytes(b"")
    checkpoint_path(tmp_path, 300).write_bytes(checkpoint_path(tmp_path, 300).read_bytes()[:100])
    (tmp_path / "before_divergence.pt").write_bytes(b"")
    assert list(available(tmp_path)) == [100, 200, 300, 1000]
    loaded = load_latest(tmp_path)
    assert loaded.path == checkpoint_path(tmp_path, 200)
    assert loaded.content == {"step": 200}
    newest, next_one = loaded.damaged_files
    assert (newest[0].name, newest[1]) == ("step_00001000.pt", "it is empty")
    assert next_one[0].name == "step_00000300.pt"
    assert load_latest(tmp_path, 100).content == {"step": 100}
    with pytest.raises(CheckpointDamaged):  # the user asked for this one: no silent substitute
        load_latest(tmp_path, 300)
    with pytest.raises(ConfigError, match=r"no checkpoint of step 250.*: 100, 200, 300, 1000"):
        load_latest(tmp_path, 250)


def test_a_directory_without_a_whole_checkpoint_says_what_to_do(tmp_path):
    with pytest.raises(ConfigError, match=r"has no checkpoint.*is training, wait.*with train"):
        load_latest(tmp_path / "missing")
    checkpoint_path(tmp_path, 1).write_bytes(b"")
    with pytest.raises(ConfigError, match=r"step_00000001\.pt: it is empty.*backup"):
        load_latest(tmp_path)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        load(tmp_path / "missing.pt")


def test_rotation_keeps_the_newest_and_leaves_alone_what_it_does_not_know(tmp_path):
    for step in (2, 10, 9, 100_000_000):
        save(checkpoint_path(tmp_path, step), {})
    (tmp_path / ".step_00000011.pt.123.tmp").write_bytes(b"half")  # maybe a save in flight
    (tmp_path / "before_divergence.pt").write_bytes(b"kept")
    rotate(tmp_path, 2)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names[0] == ".step_00000011.pt.123.tmp"
    assert names[1:] == ["before_divergence.pt", "step_00000010.pt", "step_100000000.pt"]
    with pytest.raises(ValueError, match="at least 1"):
        rotate(tmp_path, 0)


def test_a_full_disk_leaves_the_old_checkpoint(saved, monkeypatch):
    old = saved.read_bytes()

    class FullDisk(io.FileIO):
        def write(self, data):
            super().write(data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(run_dir, "open", FullDisk, raising=False)
    with pytest.raises(CheckpointNotSaved, match="could not be written: No space left") as error:
        save(saved, {"new": 1})
    assert error.value.errno == errno.ENOSPC
    assert saved.read_bytes() == old
    assert list(saved.parent.iterdir()) == [saved]


def test_kill_9_inside_a_save_leaves_a_whole_checkpoint(tmp_path):
    path = checkpoint_path(tmp_path / "checkpoints", 1)
    command = [sys.executable, "-c", SAVE_FOR_EVER, str(path)]
    writer = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        assert writer.stdout.readline() == "saved\n"
        # Wait for a save in flight, so that the kill falls inside it.
        while not list(path.parent.glob(".*.tmp")):
            assert writer.poll() is None
    finally:
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
    content = load(path)
    assert torch.equal(content["t"], torch.full((1 << 20,), float(content["n"])))
    with run_dir.RunDir(tmp_path).lock():  # whoever takes the run up next
        assert list(path.parent.iterdir()) == [path]


def test_parameters_come_back_as_plain_tensors_on_the_cpu(tmp_path):
    save(tmp_path / "a.pt", {"a": nn.Parameter(torch.ones(2)), "b": torch.ones(2).requires_grad_()})
    content = load(tmp_path / "a.pt")
    assert all(type(t) is torch.Tensor and t.device.type == "cpu" for t in content.values())
    assert not any(t.requires_grad for t in content.values())


@pytest.mark.parametrize(
    ("keep", "stay"),
    [
        (1, {"step_30", "best_27", "best_33"}),
        (2, {"step_20", "step_30", "best_14", "best_27", "best_33"}),
    ],
)
def test_a_rotation_keeps_the_best_that_a_kept_checkpoint_names(tmp_path, keep, stay):
    for step in (10, 20, 30):
        save(checkpoint_path(tmp_path, step), {"step": step})
    for step in (0, 8, 14, 24, 27, 33):  # the last: its checkpoint was not saved any more
        save(best_path(tmp_path, step), {"step": step})
    rotate(tmp_path, keep)
    found = {f"{kind}_{int(n)}" for kind, n in (p.stem.split("_") for p in tmp_path.iterdir())}
    assert found == stay
    assert load_latest(tmp_path).content["step"] == 30
    assert load_latest(tmp_path, "best").content["step"] == 33
    assert load_latest(tmp_path, 27).content["step"] == 27
    remove_later(bests(tmp_path), 30)
    assert load_latest(tmp_path, "best").content["step"] == 27
