"""Data are recognised sample by sample, and a large file is not read without need."""

import os
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch

from gan_lab.data.arrays import Array
from gan_lab.data.base import TensorSource
from gan_lab.data.image_arrays import ImageArray
from gan_lab.data.toy import Ring
from gan_lab.data.validation import split
from gan_lab.errors import ConfigError
from gan_lab.runs import checkpoint_checks
from gan_lab.runs.checkpoint_checks import check_data, describe_data
from tests.helpers import CPU

N = 300
PARTS = split(N, 30, 54, 0, "a set")  # as `ImageArray` splits by default
FILE = Path("step_00000004.pt")


def images():
    return np.random.default_rng(0).integers(0, 256, (N, 6, 5)).astype(np.uint8)


def save(path, array):
    np.save(path, array) if path.suffix == ".npy" else np.savez(path, images=array)
    return path


def open_images(path, storage):
    return ImageArray(str(path), storage=storage).open(CPU)


@pytest.mark.parametrize("part", range(3))
@pytest.mark.parametrize(
    ("name", "storage"), [("x.npy", "disk"), ("x.npy", "device"), ("x.npz", "device")]
)
def test_one_bit_of_one_image_of_any_part_is_other_data(tmp_path, name, storage, part):
    path = save(tmp_path / name, images())
    source = open_images(path, storage)
    (n_train, n_validation, n_held_out) = map(len, PARTS)
    assert (source.n_train, source.n_validation, source.n_held_out) == (
        n_train,
        n_validation,
        n_held_out,
    )
    content = {"data": describe_data(source)}
    array, times = images(), path.stat()
    array[int(PARTS[part][-1]), 5, 4] ^= 1
    save(path, array)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))  # as cp -p and rsync -t do
    with pytest.raises(ConfigError, match=r"the training data are not those .*_sha256: "):
        check_data(FILE, content, open_images(path, storage))
    save(path, images())
    assert check_data(FILE, content, open_images(path, storage)) is not None


def test_a_file_is_read_again_only_if_something_touched_it(tmp_path, monkeypatch):
    digest, files = checkpoint_checks._digest_file, []
    monkeypatch.setattr(
        checkpoint_checks, "_digest_file", lambda path: files.append(path.name) or digest(path)
    )
    path = save(tmp_path / "x.npy", images())
    content = {"data": describe_data(open_images(path, "disk"))}
    assert files == ["x.npy"]
    assert check_data(FILE, content, open_images(path, "disk")) == content["data"]
    assert files == ["x.npy"]
    copy = shutil.copy(path, tmp_path / "copy.npy")
    data = check_data(FILE, content, open_images(copy, "disk"))
    assert files == ["x.npy", "copy.npy"]
    assert data["file_sha256"] == content["data"]["file_sha256"]
    assert data["file_state"] != content["data"]["file_state"]
    assert check_data(FILE, {"data": data}, open_images(copy, "device")) == data
    assert files == ["x.npy", "copy.npy"]


def test_a_run_may_move_from_a_npz_to_a_npy_but_not_to_other_images(tmp_path):
    content = {"data": describe_data(open_images(save(tmp_path / "x.npz", images()), "device"))}
    path = save(tmp_path / "x.npy", images())
    assert "file_sha256" in check_data(FILE, content, open_images(path, "disk"))
    save(path, images() ^ 1)
    with pytest.raises(ConfigError, match="samples_sha256: "):
        check_data(FILE, content, open_images(path, "disk"))


def test_a_label_counts_and_the_place_of_samples_does_not(monkeypatch):
    parts = [torch.from_numpy(images()[part, None]) for part in PARTS]
    labels = torch.arange(len(parts[0])) % 3
    data = describe_data(TensorSource(*parts, CPU, train_labels=labels))
    monkeypatch.setattr(checkpoint_checks, "_BLOCK_BYTES", 500)  # several blocks
    assert describe_data(TensorSource(*parts, CPU, train_labels=labels)) == data
    assert describe_data(TensorSource(*parts, CPU, train_labels=labels.roll(1))) != data
    assert describe_data(TensorSource(*parts, CPU)) != data
    assert describe_data(Ring().open(CPU)) is None


def test_what_an_earlier_version_says_of_its_data_is_checked_as_it_did(tmp_path):
    np.save(tmp_path / "x.npy", np.random.default_rng(0).normal(size=(60, 2)).astype(np.float32))
    source = Array(str(tmp_path / "x.npy")).open(CPU)
    digest = checkpoint_checks._digest_some(source)
    old = {"n_train": source.n_train, "shape": [2], "sha256": digest}
    assert check_data(FILE, {"data": old}, source) == describe_data(source)
    assert check_data(FILE, {}, source) == describe_data(source)
    with pytest.raises(ConfigError, match="sha256: '0' / "):
        check_data(FILE, {"data": old | {"sha256": "0"}}, source)


def test_a_file_that_is_gone_is_refused_by_its_name(tmp_path):
    path = save(tmp_path / "x.npy", images())
    source = open_images(path, "disk")
    path.unlink()
    with pytest.raises(ConfigError, match=r"x.npy cannot be read \(No such file"):
        describe_data(source)
