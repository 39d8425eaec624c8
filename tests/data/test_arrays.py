"""Arrays from files: what is accepted, and one error of one line for everything else."""

import numpy as np
import pytest
import torch

from gan_lab.data.arrays import Array
from gan_lab.data.image_arrays import ImageArray
from gan_lab.errors import ConfigError
from tests.helpers import CPU, refused

POINTS = np.random.default_rng(0).normal(3.0, 2.0, (40, 2))


def everything(source):
    train = source.gather(torch.arange(source.n_train))
    validation = source.gather_validation(torch.arange(source.n_validation))
    held_out = source.gather_held_out(torch.arange(source.n_held_out))
    return torch.cat([train, validation, held_out])


def save(path, array):
    if path.suffix == ".npy":
        np.save(path, array)
    elif path.suffix == ".npz":
        np.savez(path, points=array, other=array[:3])
    else:
        header = "x,y" if path.stem == "headed" else ""
        np.savetxt(path, array, delimiter=",", header=header, comments="", fmt="%.17g")
    return str(path)


@pytest.mark.parametrize("file", ["p.npy", "p.npz", "headed.csv"])
def test_points_survive_every_format(tmp_path, file):
    key = "points" if file.endswith("npz") else None
    source = Array(save(tmp_path / file, POINTS), key=key).open(CPU)
    assert source.shape == (2,)
    assert (source.n_train, source.n_validation, source.n_held_out) == (29, 7, 4)
    rows = everything(source)
    assert rows.dtype == torch.float32
    order = rows[:, 0].argsort().numpy()
    expected = POINTS[POINTS[:, 0].argsort()].astype(np.float32)
    assert np.array_equal(rows.numpy()[order], expected)


def test_a_csv_needs_no_header_and_may_have_blank_lines_and_a_byte_order_mark(tmp_path):
    path = tmp_path / "plain.csv"
    lines = [f"{i},{i + 0.5}" for i in range(12)]
    path.write_bytes(("\ufeff" + "\n".join([*lines[:6], "", *lines[6:]]) + "\n\n").encode())
    rows = everything(Array(str(path)).open(CPU))
    assert rows.shape == (12, 2)
    assert sorted(rows[:, 0].tolist()) == list(range(12))


def test_rank_one_is_points_of_one_coordinate(tmp_path):
    source = Array(save(tmp_path / "p.npy", np.arange(20))).open(CPU)
    assert source.shape == (1,)
    assert sorted(everything(source)[:, 0].tolist()) == list(range(20))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.ones((20, 2)), "holds 20 times the same; there is nothing to learn"),
        (POINTS * 1e9, "e+09, where networks learn from numbers of about 1; scale it, for example"),
        (POINTS * 1e-9, "e-09, where networks learn"),
    ],
)
def test_what_is_most_likely_meant_to_be_something_else_is_warned_of(tmp_path, array, said):
    (warning,) = Array(save(tmp_path / "a.npy", array)).open(CPU).warnings
    assert said in warning
    assert "\n" not in warning


def test_other_arrays_are_not_warned_of(tmp_path):
    assert Array(save(tmp_path / "a.npy", POINTS)).open(CPU).warnings == ()


def test_standardize_uses_the_training_rows_alone(tmp_path):
    path = save(tmp_path / "p.npy", POINTS)
    plain = Array(path).open(CPU)
    large = Array(save(tmp_path / "large.npy", POINTS * 1e9), standardize=True)
    scaled = Array(path, standardize=True).open(CPU)
    assert large.open(CPU).warnings == ()  # numbers that are scaled may have any size
    train = scaled.gather(torch.arange(29))
    torch.testing.assert_close(train.mean(0), torch.zeros(2), rtol=0, atol=1e-5)
    torch.testing.assert_close(train.std(0), torch.ones(2), rtol=0, atol=1e-5)
    raw = plain.gather(torch.arange(29))
    moved = (plain.gather_held_out(torch.arange(4)) - raw.mean(0)) / raw.std(0)
    torch.testing.assert_close(scaled.gather_held_out(torch.arange(4)), moved)
    moved = (plain.gather_validation(torch.arange(7)) - raw.mean(0)) / raw.std(0)
    torch.testing.assert_close(scaled.gather_validation(torch.arange(7)), moved)


def test_the_split_depends_on_its_own_seed_only(tmp_path):
    path = save(tmp_path / "p.npy", POINTS)
    torch.manual_seed(1)
    first = everything(Array(path).open(CPU))
    torch.manual_seed(2)
    assert torch.equal(first, everything(Array(path).open(CPU)))
    assert not torch.equal(first, everything(Array(path, split_seed=1).open(CPU)))


def with_entry(value, index=(7, 1)):
    array = POINTS.copy()
    array[index] = value
    return array


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (with_entry(np.nan), r"is nan at index \(7, 1\) \(1 such"),
        (with_entry(-np.inf), r"is -inf at index \(7, 1\)"),
        (with_entry(1e300), r"is 1e\+300 at index \(7, 1\)"),
        (np.zeros((9, 2)), "at least 10 rows"),
        (np.zeros((20, 0)), "at least 10 rows"),
        (np.zeros((20, 1, 1, 1, 1)), "points are"),
        (np.array(3.0), r"shape \(\)"),
        (np.zeros((20, 2), dtype=complex), "complex128"),
        (np.array(["a"] * 20), "not real numbers"),
        (np.array([{}] * 20, dtype=object), "Python objects"),
    ],
)
def test_an_array_of_the_wrong_kind_is_refused(tmp_path, array, words):
    path = tmp_path / "p.npy"
    np.save(path, array, allow_pickle=True)
    refused(Array(str(path)), words)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x,y\n1,2\n3\n", "line 3: 1 cells, but the first line has 2"),
        ("1,2\n3,4,5\n", "line 2: 3 cells"),
        ("x,y\n1,2\n3,oops\n", "line 3: cell 2 is 'oops', not a number"),
        ("1,2\n3,\n", "line 2: cell 2 is ''"),
        ("1,y\n3,4\n", "line 1: cell 2 is 'y'"),
        ("x,y\n" + "1,2\n" * 12 + "nan,2\n", r"is nan at index \(12, 0\)"),
        ("", "at least 10 rows"),
        ("x,y\n", "at least 10 rows"),
        ("x;y\n1.5;2.5\n", r"line 2: cells are separated by semicolons \('1.5;2.5'\); write the"),
        ("x;y\n1,5;2,5\n", "line 2: cells are separated by semicolons and numbers have decimal c"),
        ("1,5;2,5;\n", "line 1: cells are separated by semicolons and numbers have decimal comma"),
        ("x\ty\n-1.5\t2e-3\n", "line 2: cells are separated by tabs"),
        ("x y\n1.5 2.5\n", "line 2: cells are separated by spaces"),
        ('x,y\n"1,5","2,5"\n', "line 2: cell 1 is '1,5', a decimal comma; write numbers wi"),
        (",x,y\n0,1,2\n", r"line 1: cell 1 is '', as over the index that pandas writes; .*False"),
        (",0,1\n0,1,2\n", "line 1: cell 1 is '', as over the index"),
        ("x,y\n1,2\n,3\n", "line 3: cell 1 is '', not a number; correct or drop the line"),
        ("1, 2\n1, 2, 3\n", "line 2: 3 cells, but the first line has 2"),
        ("\xff\xfe1\0,\0002\0", "cannot be read: it is UTF-16 text.* save it as CSV in UTF-8"),
        ("\xfe\xff\0001", "UTF-16"),
        ("Gr\xf6\xdfe,y\n1,2\n", r"no UTF-8 text \(byte 0xf6\); save it as CSV in UTF-8"),
    ],
)
def test_a_csv_of_the_wrong_kind_is_refused_by_line(tmp_path, text, words):
    path = tmp_path / "p.csv"
    path.write_bytes(text.encode("latin1"))
    refused(Array(str(path)), words)


def test_files_that_are_no_arrays_are_refused(tmp_path):
    refused(Array(str(tmp_path / "none.npy")), "data.path must be an existing file")
    refused(Array(str(tmp_path)), "data.path must be an existing file")
    for name in ("p.txt", "bad.npy", "bad.npz", "empty.npy", "empty.npz"):
        (tmp_path / name).write_bytes(b"" if name.startswith("empty") else b"PK no array at all")
    refused(Array(str(tmp_path / "p.txt")), "a .npy, .npz or .csv file")
    for name in ("bad.npy", "bad.npz", "empty.npy", "empty.npz"):
        refused(Array(str(tmp_path / name)), f"{name} (cannot be read|holds Python objects)")
    whole = tmp_path / "cut.npy"
    np.save(whole, POINTS)
    whole.write_bytes(whole.read_bytes()[:300])
    refused(Array(str(whole)), "cut.npy cannot be read")


def test_the_key_must_fit_the_file(tmp_path):
    archive = save(tmp_path / "p.npz", POINTS)
    refused(Array(archive), r"data.key must be one of the arrays .*points, other\), got None")
    refused(Array(archive, key="nope"), "got 'nope'")
    refused(Array(archive, key="other"), "at least 10 rows")
    refused(Array(save(tmp_path / "p.npy", POINTS), key="points"), "data.key must be null")
    np.savez(tmp_path / "one.npz", POINTS)
    assert Array(str(tmp_path / "one.npz")).open(CPU).n_train == 29


def test_an_array_of_images_is_read_as_by_its_own_class(tmp_path):
    pixels = np.random.default_rng(1).integers(0, 256, (20, 3, 4, 4), dtype=np.uint8)
    for name, images in (("b.npy", pixels), ("f.npy", pixels / 127.5 - 1)):
        path = save(tmp_path / name, images)
        as_array, as_images = Array(path, held_out_share=0.2), ImageArray(path, held_out_share=0.2)
        same = everything(as_array.open(CPU)), everything(as_images.open(CPU))
        assert torch.equal(*same)
        assert same[0].shape == (20, 3, 4, 4)


def test_standardize_refuses_images_and_constant_columns(tmp_path):
    images = save(tmp_path / "i.npy", np.zeros((20, 1, 4, 4)))
    refused(Array(images, standardize=True), "data.standardize must be false for images")
    constant = save(tmp_path / "c.npy", np.stack([np.arange(20), np.ones(20)], axis=1))
    refused(Array(constant, standardize=True), "column 1 is constant")


def test_the_validation_part_is_as_large_as_typed_or_refused(tmp_path):
    path = save(tmp_path / "p.npy", POINTS)
    source = Array(path, n_validation=3).open(CPU)
    assert (source.n_train, source.n_validation, source.n_held_out) == (33, 3, 4)
    refused(Array(path, n_validation=36), "36 would be for validation")
    with pytest.raises(ConfigError, match=r"data.n_validation must be .* got 2.5"):
        Array(path, n_validation=2.5)


@pytest.mark.parametrize("share", [0.001, 0.999])
def test_a_share_that_rounds_to_nothing_is_refused(tmp_path, share):
    refused(Array(save(tmp_path / "p.npy", POINTS), held_out_share=share), "held out")
    with pytest.raises(ConfigError, match=r"data.held_out_share must be .* got 1.5"):
        Array("p.npy", held_out_share=1.5)
