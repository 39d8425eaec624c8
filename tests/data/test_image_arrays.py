"""Images in arrays: axes, values, split and labels are found, or refused by the key that tells."""

import io
import re
import zipfile

import numpy as np
import pytest
import torch

from gan_lab.config.compose import compose_config
from gan_lab.config.image_data import with_image_array
from gan_lab.data.arrays import Array
from gan_lab.data.image_arrays import ImageArray
from gan_lab.data.image_format import find_layout
from gan_lab.errors import ConfigError
from tests.helpers import CPU, refused

GREY = np.random.default_rng(0).integers(0, 256, (40, 8, 8), dtype=np.uint8)
GREY[0, 0, :2] = 0, 255
COLOUR = np.random.default_rng(1).integers(0, 256, (40, 8, 8, 3), dtype=np.uint8)


def everything(source):
    """All images as bytes, [n, C, H, W], in a fixed order."""
    parts = (("train", source.n_train), ("validation", source.n_validation))
    parts = (*parts, ("held_out", source.n_held_out))
    samples = torch.cat([source.take(part, torch.arange(n)) for part, n in parts])
    pixels = ((samples + 1) * 127.5).round().to(torch.uint8).numpy()
    return sorted(image.tobytes() for image in pixels)


def images_of(array):
    return sorted(image.tobytes() for image in array)


def save(tmp_path, array):
    path = tmp_path / "a.npy"
    np.save(path, array)
    return str(path)


def write_medmnist(path, sizes=(40, 20, 30), axes=(), n_labels=1, n_classes=3):
    """The layout of MedMNIST's files: three parts, labels [n, 1] uint8."""
    rng = np.random.default_rng(2)
    arrays = {}
    for part, n in zip(("train", "val", "test"), sizes, strict=True):
        arrays[f"{part}_images"] = rng.integers(0, 256, (n, 28, 28, *axes), dtype=np.uint8)
        labels = np.arange(n * n_labels) % (n_classes if n_labels == 1 else 2)
        arrays[f"{part}_labels"] = labels.reshape(n, n_labels).astype(np.uint8)
    np.savez_compressed(path, **arrays)
    return arrays


@pytest.mark.parametrize(
    ("array", "expected", "axes"),
    [
        (GREY, GREY[:, None], "[N, H, W]"),
        (GREY[..., None], GREY[:, None], "[N, H, W, C]"),
        (GREY[:, None], GREY[:, None], "[N, C, H, W]"),
        (COLOUR, COLOUR.transpose(0, 3, 1, 2), "[N, H, W, C]"),
        (COLOUR.transpose(0, 3, 1, 2), COLOUR.transpose(0, 3, 1, 2), "[N, C, H, W]"),
        (np.asfortranarray(COLOUR), COLOUR.transpose(0, 3, 1, 2), "[N, H, W, C]"),
    ],
)
def test_every_layout_is_found_and_said(tmp_path, array, expected, axes):
    source = ImageArray(save(tmp_path, array)).open(CPU)
    assert source.shape == expected.shape[1:]
    assert everything(source) == images_of(expected)
    kind = {1: "grey", 3: "colour"}[expected.shape[1]]
    assert f"40 {kind} images of 8 x 8 pixels, read as {axes}" in source.notes[0]


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (GREY, "uint8 with 0 for black and 255 for white"),
        (GREY.astype(np.int64), "int64 with 0 for black and 255"),
        (GREY.astype(np.float64), "float64 with 0 for black and 255"),
        (GREY / np.float32(255), "float32 with 0 for black and 1 for"),
        (GREY / 255, "float64 with 0 for black and 1 for"),
        (GREY / 127.5 - 1, "float64 with -1 for black and 1 for"),
    ],
)
def test_every_range_of_values_is_found_said_and_gives_the_same_images(tmp_path, array, said):
    source = ImageArray(save(tmp_path, array)).open(CPU)
    assert said in source.notes[0]
    assert everything(source) == images_of(GREY)
    assert source.warnings == ()


@pytest.mark.parametrize("array", [GREY > 99, (GREY > 99).astype(np.uint8), (GREY > 99) * 1.0])
def test_black_and_white_is_black_and_white(tmp_path, array):
    source = ImageArray(save(tmp_path, array)).open(CPU)
    assert source.real(28, torch.Generator()).unique().tolist() == [-1.0, 1.0]
    assert everything(source) == images_of((GREY > 99).astype(np.uint8) * 255)


def test_numbers_between_the_256_steps_are_kept(tmp_path):
    numbers = np.random.default_rng(3).random((20, 8, 8)).astype(np.float32)
    source = ImageArray(save(tmp_path, numbers)).open(CPU)
    order = torch.randperm(20, generator=torch.Generator().manual_seed(0))
    expected = torch.from_numpy(numbers[order[:2]])[:, None] * 2 - 1
    torch.testing.assert_close(source.gather_held_out(torch.arange(2)), expected, rtol=0, atol=0)


def test_a_typed_range_is_used_and_must_hold_all_values(tmp_path):
    deep = GREY.astype(np.uint16) * 257
    path = save(tmp_path, deep)
    refused(ImageArray(path), r"from 0 to 65535, and none of .* data.value_range=\[0,65535\]")
    source = ImageArray(path, value_range=(0, 65535)).open(CPU)
    assert everything(source) == images_of(GREY)
    refused(ImageArray(path, value_range=(0, 100)), "a range of all values, which go from 0 to 655")
    for value in ((1, 0), (0,), (0, float("nan")), "ab"):
        with pytest.raises(ConfigError, match=r"data.value_range must be two numbers"):
            ImageArray(path, value_range=value)


@pytest.mark.parametrize("high", [1.02, 3.5])
def test_floats_a_little_above_one_may_be_two_things(tmp_path, high):
    array = np.linspace(0, high, 20 * 64).reshape(20, 8, 8)
    refused(ImageArray(save(tmp_path, array)), rf"from 0 to {high}, and none of")


@pytest.mark.parametrize(
    ("shape", "layout"),
    [
        ((20, 3, 4, 4), "NCHW"),
        ((20, 4, 4, 3), "NHWC"),
        ((20, 3, 3, 1), "NHWC"),
        ((20, 1, 4, 4), "NCHW"),
        ((20, 2, 28, 28), "NCHW"),
        ((20, 28, 20, 4), "NHWC"),
        ((20, 8, 5, 5), "NCHW"),
        ((20, 5, 5, 8), "NHWC"),
        ((20, 28, 30), "NHW"),
    ],
)
def test_an_axis_of_one_to_four_is_the_channels_and_squares_decide(shape, layout):
    assert find_layout(shape, "array") == layout


@pytest.mark.parametrize("shape", [(20, 4, 4, 4), (20, 28, 28, 28), (20, 3, 28, 1), (20, 5, 6, 7)])
def test_axes_that_may_be_two_things_are_refused_with_the_key_that_tells(tmp_path, shape):
    path = save(tmp_path, np.arange(np.prod(shape)).reshape(shape).astype(np.uint8))
    refused(ImageArray(path), r"more than one axis .* data.layout=NHWC or data.layout=NCHW")
    assert ImageArray(path, layout="NHWC").open(CPU).shape == (shape[3], shape[1], shape[2])
    assert ImageArray(path, layout="NCHW").open(CPU).shape == shape[1:]
    refused(ImageArray(path, layout="NHW"), "data.layout must be null or NHWC or NCHW for shape")


def test_volumes_are_named(tmp_path):
    path = save(tmp_path, np.zeros((20, 28, 28, 28), np.uint8))
    refused(ImageArray(path), "volumes, which no network here takes")


@pytest.mark.parametrize("axes", [(), (3,)])
def test_a_file_of_medmnist_is_read_with_its_own_split_and_labels(tmp_path, axes):
    path = tmp_path / "medmnist.npz"
    arrays = write_medmnist(path, axes=axes)
    source = ImageArray(str(path)).open(CPU)
    assert (source.n_train, source.n_validation, source.n_held_out) == (40, 20, 30)
    assert source.shape == (3 if axes else 1, 28, 28)
    labels = (source.train_labels, source.validation_labels, source.held_out_labels)
    for part, name, found in zip(
        ("train", "validation", "held_out"), ("train", "val", "test"), labels, strict=True
    ):
        expected = arrays[f"{name}_images"]
        expected = expected.transpose(0, 3, 1, 2) if axes else expected[:, None]
        pixels = (source.take(part, torch.arange(len(expected))) + 1) * 127.5
        assert np.array_equal(pixels.round().numpy(), expected)
        assert found.tolist() == arrays[f"{name}_labels"][:, 0].tolist()
    assert "40 to train on, 20 for validation, 30 held out, the file's own" in source.notes[1]
    assert source.notes[2] == "labels of 3 classes, which are the modes"
    torch.testing.assert_close(
        source.modes.weights, torch.tensor([14, 13, 13], dtype=torch.float64) / 40
    )


def test_kerass_names_have_no_validation_part_so_that_training_images_are_taken(tmp_path):
    path = tmp_path / "mnist.npz"
    images = np.random.default_rng(4).integers(0, 256, (50, 8, 8), dtype=np.uint8)
    labels = np.arange(50) % 2
    np.savez(path, x_train=images[:30], y_train=labels[:30], x_test=images[30:], y_test=labels[30:])
    source = ImageArray(str(path), n_validation=10).open(CPU)
    assert (source.n_train, source.n_validation, source.n_held_out) == (20, 10, 20)
    assert everything(source) == images_of(images)
    place = {image.tobytes(): i for i, image in enumerate(images)}
    for part, found in (("train", source.train_labels), ("validation", source.validation_labels)):
        pixels = ((source.take(part, torch.arange(len(found))) + 1) * 127.5).round().byte().numpy()
        assert found.tolist() == [place[image.tobytes()] % 2 for image in pixels]
    held_out = (source.gather_held_out(torch.arange(20)) + 1) * 127.5
    assert np.array_equal(held_out.round().numpy()[:, 0], images[30:])
    refused(ImageArray(str(path), n_validation=30), "data.n_validation must be at most 29")


def test_a_file_with_a_split_takes_no_other_but_one_of_its_arrays_does(tmp_path):
    path = tmp_path / "medmnist.npz"
    arrays = write_medmnist(path)
    for kind in (ImageArray, Array):
        refused(kind(str(path), held_out_share=0.2), "held_out_share must be null, as .* a split")
    few = ImageArray(str(path), n_validation=5).open(CPU)
    assert (few.n_train, few.n_validation, few.n_held_out) == (40, 5, 30)
    refused(ImageArray(str(path), n_validation=21), "data.n_validation must be at most 20")
    one = ImageArray(str(path), key="test_images", held_out_share=0.5, n_validation=5).open(CPU)
    assert (one.n_train, one.n_validation, one.n_held_out) == (10, 5, 15)
    assert everything(one) == images_of(arrays["test_images"])
    assert torch.bincount(one.held_out_labels).sum() == 15


def with_labels(tmp_path, labels, n=40):
    path = tmp_path / "labelled.npz"
    np.savez(path, images=np.resize(GREY, (n, 8, 8)), labels=labels)
    return str(path)


@pytest.mark.parametrize(
    "labels",
    [
        np.arange(40) % 2,
        np.arange(40) % 2 == 0,
        (np.arange(40) % 2)[:, None],
        (np.arange(40) % 2) * 7.0 - 3,
        np.array(["cat", "dog"] * 20),
        np.eye(2)[np.arange(40) % 2],
    ],
)
def test_labels_of_any_kind_are_numbered_from_zero(tmp_path, labels):
    source = ImageArray(with_labels(tmp_path, labels)).open(CPU)
    parts = (source.train_labels, source.validation_labels, source.held_out_labels)
    assert sorted(torch.cat(parts).tolist()) == [0] * 20 + [1] * 20
    assert source.train_labels.dtype == torch.int64
    assert len(source.modes.weights) == 2
    assert source.modes.weights.sum().item() == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("labels", "n", "why"),
    [
        (
            np.arange(560).reshape(40, 14) % 2,
            40,
            r"labels have shape \(29, 14\), several for an im",
        ),
        (np.arange(40) / 10, 40, "labels are no whole numbers"),
        (np.full(40, np.nan), 40, "labels are no whole numbers"),
        (np.zeros(40), 40, "all labels are the same"),
        (np.arange(40), 40, "40 different labels of 40 images are too many to be classes"),
        (np.arange(600) % 300, 600, "300 different labels of 600 images are too many"),
        (np.arange(40) + 1j, 40, "labels are complex128, neither numbers nor texts"),
    ],
)
def test_labels_that_are_no_classes_are_left_out_and_said(tmp_path, labels, n, why):
    source = ImageArray(with_labels(tmp_path, labels, n)).open(CPU)
    assert source.modes is source.train_labels is None
    assert re.match(why + r".*, so no modes, legible share or classifier score$", source.notes[2])


def test_300_classes_with_enough_images_are_300_modes(tmp_path):
    source = ImageArray(with_labels(tmp_path, np.arange(4500) % 300, 4500)).open(CPU)
    assert len(source.modes.weights) == 300


def test_without_labels_nothing_is_said_of_classes(tmp_path):
    source = ImageArray(save(tmp_path, GREY)).open(CPU)
    assert source.modes is None
    assert source.notes[2] == "there are no labels, so no modes, legible share or classifier score"


def test_more_or_fewer_labels_than_images_are_refused(tmp_path):
    refused(ImageArray(with_labels(tmp_path, np.zeros(39))), "40 images but 39 labels")
    refused(ImageArray(with_labels(tmp_path, np.array(3))), "40 images but 1 labels")


@pytest.mark.parametrize(("size", "black"), [(32, True), (16, False), (56, False)])
def test_grey_images_of_28_get_a_frame_and_others_are_resized(tmp_path, size, black):
    images = np.full((20, 28, 28), 200, np.uint8)
    images[0] = 90
    source = ImageArray(save(tmp_path, images), size=size).open(CPU)
    assert source.shape == (1, size, size)
    corner = source.gather(torch.arange(source.n_train))[:, 0, 0, 0]
    assert bool((corner == -1).all()) == black


def test_images_that_are_no_squares_are_cropped_to_the_middle_before_a_resize(tmp_path):
    images = np.zeros((20, 8, 24, 3), np.uint8)
    images[:, :, 8:16] = 255
    source = ImageArray(save(tmp_path, images), size=4).open(CPU)
    torch.testing.assert_close(source.gather(torch.arange(10)), torch.ones(10, 3, 4, 4))


@pytest.mark.parametrize(
    ("array", "said"),
    [
        (np.repeat(COLOUR[..., :1], 4, axis=3), "4 channels, .* transparency out: images"),
        (GREY // 8, "no value above 31, where 0 is black and 255 white: all is dark"),
        (np.full((20, 8, 8), 7, np.uint8), "16 times the same|times the same"),
    ],
)
def test_what_is_most_likely_a_mistake_is_warned_of(tmp_path, array, said):
    (warning,) = ImageArray(save(tmp_path, array)).open(CPU).warnings
    assert re.search(said, warning)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((9, 8, 8), np.uint8), "at least 10 rows"),
        (GREY[:1], "at least 10 rows"),
        (GREY[:0], "at least 10 rows"),
        (np.zeros((20, 0, 8), np.uint8), "at least 10 rows"),
        (np.zeros((20, 8)), r"images are \[N, H, W\], \[N, H, W, C\] or"),
        (np.zeros((20, 2, 8, 8, 3)), r"images are \[N, H, W\]"),
        (np.array(3.0), r"images are \[N, H, W\]"),
        (np.full((20, 8, 8), np.nan), r"is nan at index \(0, 0, 0\) \(1280 such entries\)"),
        (np.full((20, 8, 8), np.inf), "is inf at index"),
        (np.zeros((20, 8, 8), complex), "complex128"),
        (np.full((20, 8, 8), "a"), "not real numbers"),
        (np.full((20, 8, 8), None), "Python objects"),
        (GREY - 300.0, "from -300 to -45, and none of"),
        (np.zeros((20, 8, 8), [("a", "u1")]), "not real numbers"),
    ],
)
def test_what_is_no_images_is_refused(tmp_path, array, words):
    path = tmp_path / "a.npy"
    np.save(path, array, allow_pickle=True)
    refused(ImageArray(str(path)), words)


def test_a_header_of_more_than_the_file_or_the_memory_has_is_refused(tmp_path, monkeypatch):
    file = io.BytesIO()
    header = {"descr": "|u1", "fortran_order": False, "shape": (10**12, 28, 28)}
    np.lib.format.write_array_header_1_0(file, header)
    path = tmp_path / "huge.npy"
    path.write_bytes(file.getvalue() + b"0" * 100)
    refused(ImageArray(str(path)), "784000000000000 bytes, but has 100")
    with zipfile.ZipFile(tmp_path / "huge.npz", "w") as archive:
        archive.writestr("images.npy", path.read_bytes())
    refused(ImageArray(str(tmp_path / "huge.npz")), "784000000000000 bytes, but has 100")
    monkeypatch.setattr("gan_lab.data.array_files.free_bytes", lambda device: 2000)
    refused(ImageArray(save(tmp_path, GREY)), "GB, of which 2e-06 GB fit into the free memory")


def test_a_pickled_archive_is_refused_unread(tmp_path):
    path = tmp_path / "pickled.npz"
    np.savez(path, images=np.full((20, 8, 8), None))
    refused(ImageArray(str(path)), "holds Python objects or is no numpy file; they are never loa")
    with zipfile.ZipFile(tmp_path / "other.npz", "w") as archive:
        archive.writestr("readme.txt", "no array")
    refused(ImageArray(str(tmp_path / "other.npz")), "one of the arrays .*there are none")


def test_an_array_of_python_objects_beside_the_images_does_not_matter(tmp_path):
    path = tmp_path / "a.npz"
    np.savez(path, images=GREY, info=np.array([{"source": "here"}], dtype=object))
    assert ImageArray(str(path)).open(CPU).shape == (1, 8, 8)
    refused(ImageArray(str(path), key="info"), "holds Python objects or is no numpy file")


@pytest.mark.parametrize("changed", [{"train_images": (28, 30)}, {"val_images": (28, 28, 3)}])
def test_parts_of_different_images_are_refused(tmp_path, changed):
    path = tmp_path / "medmnist.npz"
    arrays = write_medmnist(path)
    for name, shape in changed.items():
        arrays[name] = np.zeros((len(arrays[name]), *shape), np.uint8)
    np.savez(path, **arrays)
    refused(ImageArray(str(path)), "parts differ, .* give all parts images of one shape")


@pytest.mark.parametrize(
    "arguments",
    [
        {"size": 0},
        {"layout": "HWN"},
        {"held_out_share": 0},
        {"n_validation": 0},
        {"split_seed": -1},
    ],
)
def test_impossible_arguments_are_refused(arguments):
    with pytest.raises(ConfigError, match=f"data.{next(iter(arguments))} must be"):
        ImageArray("a.npy", **arguments)


def test_an_array_of_images_gets_the_defaults_of_images_and_one_of_points_those_of_points(tmp_path):
    images = save(tmp_path, GREY)
    points = tmp_path / "points.npy"
    np.save(points, np.zeros((20, 2)))
    medmnist = tmp_path / "it is=medmnist.npz"
    write_medmnist(medmnist)
    for path, expected in ((images, "Image"), (f"'{medmnist}'", "Image"), (points, ""), ("no", "")):
        cfg = compose_config("train", ["data=array", f"data.path={path}"])
        assert cfg.data._target_.endswith(f".{expected}Array")
        network = "conv.Conv" if expected else "mlp.Mlp"
        assert cfg.network._target_ == f"gan_lab.networks.{network}"
    typed = compose_config("train", ["data=array", f"data.path={images}", "network=mlp"])
    assert typed.network._target_.endswith("Mlp")


def test_a_sweep_over_arrays_takes_the_defaults_of_images_where_all_are(tmp_path):
    images, points = save(tmp_path, GREY), tmp_path / "points.npy"
    np.save(points, np.zeros((20, 2)))
    words = ["data=array", f"data.path={images},{images}"]
    assert with_image_array(words) == ["data=image_array", words[1]]
    mixed = ["data=array", f"data.path={images},{points}"]
    assert with_image_array(mixed) == mixed
    assert with_image_array(["data=ring"]) == ["data=ring"]
    key = ["data=array", f"data.path={tmp_path}/b.npz", "data.key=p"]
    np.savez(tmp_path / "b.npz", p=np.zeros((20, 2)), q=GREY)
    assert with_image_array(key) == key
    assert with_image_array([*key, "data.key=q"])[0] == "data=image_array"
