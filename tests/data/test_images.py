"""Image sets from files of the real formats, read by torchvision's own readers and by PIL."""

import builtins
import functools
import gzip
import os
import pickle
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.data import images
from gan_lab.data.image_files import read_image
from gan_lab.data.images import ImageFolder, TorchvisionImages, torchvision_datasets
from gan_lab.data.resize import resize
from gan_lab.errors import ConfigError
from tests.helpers import CPU, refused, seeded


def write_idx(path, array):
    """The idx format of LeCun's page: two zero bytes, type 8 (uint8), rank, sizes, bytes."""
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    data = header + array.tobytes()
    path.write_bytes(gzip.compress(data) if path.suffix == ".gz" else data)


def write_mnist(root, folder="MNIST", suffix="", n_train=30, n_test=12):
    raw = root / folder / "raw"
    raw.mkdir(parents=True)
    rng = np.random.default_rng(0)
    arrays = {}
    for split, n in (("train", n_train), ("t10k", n_test)):
        arrays[split] = rng.integers(0, 256, (n, 28, 28), dtype=np.uint8)
        labels = np.arange(n, dtype=np.uint8) % 10
        write_idx(raw / f"{split}-images-idx3-ubyte{suffix}", arrays[split])
        write_idx(raw / f"{split}-labels-idx1-ubyte{suffix}", labels)
    return arrays


def write_cifar(root, monkeypatch, n=4):
    """The pickled batches of the Python version; our files cannot have the published md5 sums."""
    cls = torchvision_datasets().CIFAR10
    names = [f"data_batch_{i}" for i in range(1, 6)]
    monkeypatch.setattr(cls, "train_list", [[name, None] for name in names])
    monkeypatch.setattr(cls, "test_list", [["test_batch", None]])
    monkeypatch.setattr(cls, "meta", {**cls.meta, "md5": None})
    folder = root / "cifar-10-batches-py"
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    batches = []
    for name in [*names, "test_batch"]:
        pixels = rng.integers(0, 256, (n, 3072), dtype=np.uint8)
        (folder / name).write_bytes(pickle.dumps({"data": pixels, "labels": list(range(n))}))
        batches.append(pixels.reshape(n, 3, 32, 32))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": list("abcdefghij")}))
    return np.concatenate(batches[:5]), batches[5]


def as_bytes(samples):
    return ((samples + 1) * 127.5).round().to(torch.uint8).numpy()


def indices_in(arrays, samples):
    """The place of each sample among the arrays it was read from."""
    return [int((arrays == x).all(axis=(1, 2)).argmax()) for x in as_bytes(samples)[:, 0]]


@pytest.mark.parametrize(
    ("name", "folder"), [("mnist", "MNIST"), ("fashion_mnist", "FashionMNIST")]
)
def test_idx_files_are_read_pixel_by_pixel(tmp_path, name, folder):
    arrays = write_mnist(tmp_path, folder)
    data = TorchvisionImages(name, str(tmp_path), size=28, n_held_out=12)
    source = data.open(CPU)
    assert (source.shape, source.n_held_out) == ((1, 28, 28), 12)
    assert (source.n_train, source.n_validation) == (24, 6)
    train = indices_in(arrays["train"], source.gather(torch.arange(24)))
    validation = indices_in(arrays["train"], source.gather_validation(torch.arange(6)))
    assert sorted(train + validation) == list(range(30))
    assert train == sorted(train)
    assert source.train_labels.tolist() == [i % 10 for i in train]
    order = indices_in(arrays["t10k"], source.gather_held_out(torch.arange(12)))
    assert sorted(order) == list(range(12))
    assert source.held_out_labels.tolist() == [i % 10 for i in order]


def test_mnist_of_size_32_is_the_native_image_in_a_frame_of_background(tmp_path):
    arrays = write_mnist(tmp_path)
    mnist = functools.partial(TorchvisionImages, "mnist", str(tmp_path), n_held_out=5)
    assert mnist(n_validation=1).open(CPU).shape == (1, 28, 28)
    source = mnist(size=32, n_validation=1).open(CPU)
    images = source.gather(torch.arange(29))
    assert images.shape == (29, 1, 32, 32)
    missing = source.gather_validation(torch.arange(1))
    every = {x.tobytes() for x in as_bytes(torch.cat([images, missing]))[:, 0, 2:-2, 2:-2]}
    assert every == {x.tobytes() for x in arrays["train"]}
    frame = torch.ones(32, 32, dtype=torch.bool)
    frame[2:-2, 2:-2] = False
    assert torch.all(images[:, 0, frame] == -1)
    assert source.n_held_out == 5


def test_a_smaller_size_averages_and_keeps_constant_images_constant():
    constant = torch.full((3, 1, 28, 28), 77, dtype=torch.uint8)
    assert torch.all(resize(constant, 14) == 77)
    stripes = torch.zeros(1, 1, 28, 28, dtype=torch.uint8)
    stripes[..., ::2] = 200
    # Without antialiasing a resize to half sees only one of the two kinds of column.
    inner = resize(stripes, 14)[..., 2:-2].float()
    assert inner.mean().item() == pytest.approx(100, abs=2)
    assert inner.std().item() < 2


def test_the_held_out_choice_is_random_but_fixed(tmp_path):
    write_mnist(tmp_path, n_test=40)

    def chosen(seed):
        data = TorchvisionImages("mnist", str(tmp_path), n_held_out=20, split_seed=seed)
        source = data.open(CPU)
        return source.gather_held_out(torch.arange(20)), source.gather_validation(torch.arange(6))

    for first, again, other in zip(chosen(0), chosen(0), chosen(1), strict=True):
        assert torch.equal(first, again)
        assert not torch.equal(first, other)


def test_cifar_batches_are_read_pixel_by_pixel(tmp_path, monkeypatch):
    train, test = write_cifar(tmp_path, monkeypatch)
    source = TorchvisionImages("cifar10", str(tmp_path), n_held_out=4).open(CPU)
    assert (source.shape, source.n_train, source.n_held_out) == ((3, 32, 32), 16, 4)
    kept, chosen = source.gather(torch.arange(16)), source.gather_validation(torch.arange(4))
    every = {x.tobytes() for x in as_bytes(torch.cat([kept, chosen]))}
    assert every == {x.tobytes() for x in train}
    assert len(every) == 20
    held_out = as_bytes(source.gather_held_out(torch.arange(4)))
    assert np.array_equal(held_out[source.held_out_labels.argsort().numpy()], test)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("mnist", "take data=mnist_5k"),
        ("fashion_mnist", "apt install dataset-fashion-mnist"),
        ("cifar10", "unpack cifar-10-python.tar.gz in data.root"),
    ],
)
def test_missing_files_name_three_ways_to_get_them(tmp_path, monkeypatch, name, advice):
    without_packages(monkeypatch, tmp_path)
    message = refused(TorchvisionImages(name, str(tmp_path / "none")), "data.download=true")
    assert f"{name} is missing in {tmp_path / 'none'}" in message
    assert advice in message
    assert "or data.root (now" in message


def without_packages(monkeypatch, folder):
    """Take what the system's packages installed out of sight; return where it would be."""
    fashion = images._SETS["fashion_mnist"]._replace(package=folder / "package")
    monkeypatch.setitem(images._SETS, "fashion_mnist", fashion)
    return folder / "package"


@pytest.mark.parametrize("where", ["folder", "root", "package"])
def test_packed_files_are_read_in_torchvisions_folder_in_root_and_in_the_package(
    tmp_path, monkeypatch, where
):
    package = without_packages(monkeypatch, tmp_path)
    arrays = write_mnist(tmp_path, "FashionMNIST", suffix=".gz")
    folder = tmp_path / "FashionMNIST" / "raw"
    root = {"folder": tmp_path, "root": folder, "package": tmp_path / "none"}[where]
    if where == "package":
        folder.rename(package)
    source = TorchvisionImages("fashion_mnist", str(root), n_held_out=12).open(CPU)
    every = torch.cat([source.gather(torch.arange(24)), source.gather_validation(torch.arange(6))])
    assert sorted(indices_in(arrays["train"], every)) == list(range(30))
    chosen = indices_in(arrays["train"], every[24:])
    assert source.validation_labels.tolist() == [i % 10 for i in chosen]


@pytest.mark.slow
def test_debians_fashion_mnist_is_70000_images_of_ten_classes():
    if not images._SETS["fashion_mnist"].package.is_dir():
        pytest.skip("the package dataset-fashion-mnist is not installed")
    source = TorchvisionImages("fashion_mnist", "none").open(CPU)
    assert (source.n_train, source.n_validation, source.n_held_out) == (59000, 1000, 10000)
    assert torch.bincount(source.held_out_labels).tolist() == [1000] * 10
    labels = torch.cat([source.train_labels, source.validation_labels])
    assert torch.bincount(labels).tolist() == [6000] * 10


@pytest.mark.parametrize(
    ("name", "file", "keep"),
    [
        *(("mnist", "MNIST/raw/train-images-idx3-ubyte", keep) for keep in (0, 3, 200)),
        ("cifar10", "cifar-10-batches-py/data_batch_3", 100),
    ],
)
def test_a_cut_file_is_a_config_error(tmp_path, monkeypatch, name, file, keep):
    write_mnist(tmp_path)
    write_cifar(tmp_path, monkeypatch)
    (tmp_path / file).write_bytes((tmp_path / file).read_bytes()[:keep])
    words = "mnist is damaged in" if name == "mnist" else "cifar10 is damaged or incomplete in"
    refused(TorchvisionImages(name, str(tmp_path)), words)


def test_labels_that_do_not_fit_their_images_are_damage(tmp_path):
    write_mnist(tmp_path)
    write_idx(tmp_path / "MNIST/raw/train-labels-idx1-ubyte", np.zeros(29, np.uint8))
    refused(TorchvisionImages("mnist", str(tmp_path)), "30 images of train have 29 labels")


def test_more_held_out_images_than_the_test_split_has_are_refused(tmp_path):
    write_mnist(tmp_path)
    mnist = functools.partial(TorchvisionImages, "mnist", str(tmp_path))
    refused(mnist(n_held_out=13), "data.n_held_out must be at most 12, .* got 13")
    few = mnist(n_held_out=12, n_validation=30)
    refused(few, "data.n_validation must be below 30, .* got 30")


NO_MODULE = ImportError("No module named 'torchvision'")
NO_OPERATOR = RuntimeError("operator torchvision::nms does not exist")


@pytest.mark.parametrize("error", [NO_MODULE, NO_OPERATOR])
def test_a_torchvision_that_cannot_be_imported_says_how_to_fix_it(monkeypatch, error):
    real_import = builtins.__import__

    def broken(module, *args, **kwargs):
        if module.startswith("torchvision"):
            raise error
        return real_import(module, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", broken)
    refused(TorchvisionImages("cifar10", "data"), "pip install .* torchvision .*data=digits")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"name": "svhn"}, "data.name must be one of mnist, fashion_mnist, cifar10, got 'svhn'"),
        ({"download": "yes"}, "data.download"),
        ({"size": 0}, "data.size"),
        ({"n_held_out": 0}, "data.n_held_out"),
    ],
)
def test_impossible_arguments_are_refused(arguments, words):
    with pytest.raises(ConfigError, match=words):
        TorchvisionImages(**{"name": "mnist", "root": "data", **arguments})


def write_images(root, n=20):
    """Solid colours in mixed sizes, formats and modes, in two subfolders."""
    shapes = [(40, 40), (80, 50), (30, 90), (16, 16)]
    for i in range(n):
        folder = root / f"class_{i % 2}"
        folder.mkdir(parents=True, exist_ok=True)
        image = Image.new("RGB", shapes[i % 4], (10 * i, 255 - 10 * i, 128))
        suffix = ("png", "jpg", "JPEG", "bmp", "webp")[i % 5]
        if suffix == "png":
            image = image.convert("RGBA")
        image.save(root / f"class_{i % 2}" / f"{i:02d}.{suffix}")
    return root


@pytest.mark.parametrize("channels", [1, 3])
def test_a_folder_of_mixed_images_is_read_cropped_and_split(tmp_path, channels):
    root = write_images(tmp_path)
    (root / "notes.txt").write_text("not an image")
    (root / "._00.png").write_bytes(b"what macOS leaves behind")
    data = ImageFolder(str(root), size=32, channels=channels, held_out_share=0.25)
    source = data.open(CPU)
    assert (source.shape, source.n_train, source.n_held_out) == ((channels, 32, 32), 12, 5)
    parts = ((source.gather, 12), (source.gather_validation, 3), (source.gather_held_out, 5))
    samples = torch.cat([gather(torch.arange(n)) for gather, n in parts])
    # Each image is one colour up to JPEG's rounding, and all 20 are there.
    assert samples.amax((2, 3)).sub(samples.amin((2, 3))).max().item() < 0.1
    if channels == 3:
        reds = np.sort(as_bytes(samples)[:, 0, 0, 0].astype(int))
        assert np.abs(reds - 10 * np.arange(20)).max() <= 5
    again = data.open(CPU)
    assert torch.equal(again.real(12, seeded()), source.real(12, seeded()))


def write_squares(root, names, size=28, mode="L", n=12):
    """Noise as PNGs, n in each of some folders."""
    rng = np.random.default_rng(5)
    for name in names:
        (root / name).mkdir(parents=True, exist_ok=True)
        for i in range(n):
            pixels = rng.integers(0, 256, (size, size), dtype=np.uint8)
            Image.fromarray(pixels).convert(mode).save(root / name / f"{i:02d}.png")
    return str(root)


@pytest.mark.parametrize("mode", ["L", "RGB", "P", "1"])
def test_grey_images_are_found_in_every_mode(tmp_path, mode):
    source = ImageFolder(write_squares(tmp_path, ["."], mode=mode, n=20)).open(CPU)
    assert source.shape == (1, 28, 28)
    assert "20 grey images, their middle squares at 28 x 28 pixels" in source.notes[0]
    assert source.notes[2].startswith("there are no labels, so no modes")


def test_one_colour_image_makes_the_set_colour_and_one_of_another_size_64_pixels(tmp_path):
    root = write_squares(tmp_path, ["."], n=20)
    Image.new("RGB", (28, 28), (200, 10, 10)).save(tmp_path / "red.png")
    assert ImageFolder(root).open(CPU).shape == (3, 28, 28)
    assert ImageFolder(root, channels=1).open(CPU).shape == (1, 28, 28)
    Image.new("L", (28, 30)).save(tmp_path / "tall.png")
    assert ImageFolder(root).open(CPU).shape == (3, 64, 64)
    assert ImageFolder(root, size=16).open(CPU).shape == (3, 16, 16)


def test_large_squares_are_made_64_pixels(tmp_path):
    assert ImageFolder(write_squares(tmp_path, ["."], 130)).open(CPU).shape == (1, 64, 64)


def test_folders_are_classes_where_every_image_lies_in_one(tmp_path):
    root = write_squares(tmp_path, ["cat", "dog/puppy"])
    source = ImageFolder(root).open(CPU)
    assert source.notes[2] == "labels of 2 classes, which are the modes"
    place = {}
    for label, folder in enumerate(("cat", "dog/puppy")):
        for file in (tmp_path / folder).iterdir():
            place[np.asarray(Image.open(file)).tobytes()] = label
    parts = (source.train_labels, source.validation_labels, source.held_out_labels)
    for part, labels in zip(("train", "validation", "held_out"), parts, strict=True):
        pixels = as_bytes(source.take(part, torch.arange(len(labels))))
        assert [place[image.tobytes()] for image in pixels] == labels.tolist()
    Image.new("L", (28, 28)).save(tmp_path / "stray.png")
    assert ImageFolder(root).open(CPU).train_labels is None


@pytest.mark.parametrize("validation", [[], ["valid"]])
def test_folders_train_and_test_are_a_split_of_its_own(tmp_path, validation):
    names = [f"{part}/{c}" for part in ("train", *validation, "test") for c in ("a", "b")]
    root = write_squares(tmp_path, names)
    source = ImageFolder(root).open(CPU)
    sizes = (source.n_train, source.n_validation, source.n_held_out)
    assert sizes == ((24, 24, 24) if validation else (20, 4, 24))
    assert source.notes[1].endswith("24 held out, the folder's own split")
    test = {np.asarray(Image.open(f)).tobytes() for f in (tmp_path / "test").rglob("*.png")}
    pixels = as_bytes(source.gather_held_out(torch.arange(24)))
    assert {image.tobytes() for image in pixels} == test
    assert torch.bincount(source.held_out_labels).tolist() == [12, 12]
    refused(ImageFolder(root, held_out_share=0.1), "held_out_share must be null, as .* a split")
    Image.new("L", (28, 28)).save(tmp_path / "stray.png")
    assert "split" not in ImageFolder(root).open(CPU).notes[1]


def test_the_crop_is_the_centre_of_the_longer_side(tmp_path):
    pixels = np.zeros((20, 60, 3), dtype=np.uint8)
    pixels[:, 20:40] = [255, 0, 0]
    for i in range(10):
        Image.fromarray(pixels).save(tmp_path / f"{i}.png")
    images = ImageFolder(str(tmp_path), size=8).open(CPU).gather(torch.arange(8))
    red = torch.tensor([1.0, -1.0, -1.0])[None, :, None, None].expand_as(images)
    torch.testing.assert_close(images, red)


def test_files_of_other_kinds_are_counted_and_hidden_ones_are_not_there(tmp_path):
    root = write_images(tmp_path)
    assert ImageFolder(str(root), size=8).open(CPU).warnings == ()
    for name in ("a.gif", "b.gif", "notes.txt", "LICENSE", ".hidden.gif"):
        (root / name).write_bytes(b"")
    (root / ".ipynb_checkpoints").mkdir()
    Image.new("L", (8, 8)).save(root / ".ipynb_checkpoints" / "00-checkpoint.png")
    source = ImageFolder(str(root), size=8).open(CPU)
    assert source.n_train + source.n_validation + source.n_held_out == 20
    (warning,) = source.warnings
    assert "4 of 24 files are left out, being no images by their names (.gif .txt no s" in warning
    for i in range(9):
        (root / f"x.{i}").write_bytes(b"")
    (warning,) = ImageFolder(str(root), size=8).open(CPU).warnings
    assert "13 of 33 files" in warning
    assert "(.0 .1 .2 .3 .4 ...)" in warning


def test_a_folder_with_none_but_other_kinds_says_which(tmp_path):
    Image.new("L", (8, 8)).save(tmp_path / "a.tiff")
    refused(ImageFolder(str(tmp_path)), r"\.webp\) and not only \.tiff, got")


def test_a_folder_that_cannot_be_listed_is_named(tmp_path, monkeypatch):
    root = write_images(tmp_path)
    real = os.scandir

    def closed(path):
        if Path(path).name == "class_1":
            raise PermissionError(13, "Permission denied", str(path))
        return real(path)

    monkeypatch.setattr(os, "scandir", closed)
    refused(ImageFolder(str(root)), r"class_1 cannot be read \(Permission denied\); change its p")


def test_a_link_to_nothing_is_a_damaged_image_and_one_to_a_folder_no_image(tmp_path):
    root = write_images(tmp_path / "pictures")
    (root / "loop").symlink_to(".")
    source = ImageFolder(str(root), size=8).open(CPU)
    assert source.n_train + source.n_validation + source.n_held_out == 20
    (root / "gone.png").symlink_to("nowhere")
    refused(ImageFolder(str(root), size=8), r"gone\.png cannot be read \(FileNotFoundError")


def test_images_that_no_memory_holds_are_refused(tmp_path, monkeypatch):
    root = write_images(tmp_path)

    def full(*shape, dtype):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory")

    monkeypatch.setattr(torch, "empty", full)
    refused(ImageFolder(str(root), size=1000), "20 images of 1000 x 1000 pixels need 0.06 GB at on")


@pytest.mark.parametrize("make", [lambda: ImageFolder(""), lambda: TorchvisionImages("mnist", "")])
def test_an_empty_name_is_not_the_working_directory(make):
    with pytest.raises(ConfigError, match=r"data.root must be the name of a folder .* got ''"):
        make()


def test_truncated_images_are_named_and_sixteen_bit_ones_are_not_clipped(tmp_path):
    root = write_images(tmp_path)
    noise = np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8)
    for suffix in ("png", "jpg"):
        path = root / f"zz_broken.{suffix}"
        Image.fromarray(noise).save(path)
        path.write_bytes(path.read_bytes()[:700])
        refused(ImageFolder(str(root), size=16), f"zz_broken.{suffix} cannot be read .*repair it")
        path.unlink()
    Image.fromarray(np.full((8, 8), 30000, dtype=np.uint16)).save(root / "deep.png")
    refused(ImageFolder(str(root), size=16), "deep.png has more than 8 bits")


def test_folders_that_cannot_be_used_are_refused(tmp_path):
    refused(ImageFolder(str(tmp_path / "none")), "data.root must be an existing folder of images")
    refused(ImageFolder(str(tmp_path)), r"data.root must be a folder with images \(.bmp .jpeg")
    Image.new("L", (8, 8)).save(tmp_path / "one.png")
    refused(ImageFolder(str(tmp_path)), "has 1 samples, of which 0 would be held out")
    refused(ImageFolder(str(tmp_path), held_out_share=0.9), "has 1 samples, of which 1 would be")


@pytest.mark.parametrize(
    "arguments", [{"channels": 2}, {"size": 2}, {"held_out_share": 0}, {"held_out_share": 1.0}]
)
def test_impossible_arguments_of_a_folder_are_refused(arguments):
    with pytest.raises(ConfigError, match=f"data.{next(iter(arguments))} must be"):
        ImageFolder("images", **arguments)


def test_what_is_transparent_is_white_whatever_colour_hides_there(tmp_path):
    picture = np.zeros((8, 8, 4), np.uint8)
    picture[..., 0], picture[..., 3] = 200, 255
    picture[:, :4, 3] = 0
    Image.fromarray(picture).save(tmp_path / "half.png")
    pixels = read_image(tmp_path / "half.png", 8, 3)
    assert np.array_equal(pixels[:, 0, 0], (255, 255, 255))
    assert np.array_equal(pixels[:, 0, 7], (200, 0, 0))


def test_a_file_of_another_format_is_no_image_whatever_its_name(tmp_path, monkeypatch):
    """PIL hands PostScript to a program."""
    file = tmp_path / "cat.png"
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 8 8\n%%EndComments\nshowpage\n")
    monkeypatch.setattr("subprocess.check_call", lambda *_, **__: pytest.fail("a program ran"))
    with pytest.raises(ConfigError, match=r"cat\.png"):
        read_image(file, 8, 3)
