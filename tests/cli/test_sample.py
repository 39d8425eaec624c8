"""sample: images one by one, and paths between noises; arrays and grids are in test_main."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from gan_lab.reports.export.images import write_images
from tests.helpers import CHEAP, RING, files, main, normal, train


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    digits = ("data=digits", "network.width=32", *CHEAP, "trainer.steps=2")
    ring = (*RING, "trainer.steps=2")
    return {"digits": train(home / "digits", *digits), "ring": train(home / "ring", *ring)}


def refused(capsys, *arguments):
    assert main("sample", *arguments) == 2
    said = capsys.readouterr().err
    assert said.startswith("ConfigError: ")
    assert said.count("\n") == 1
    return said


# One by one


def test_each_image_is_a_file_with_the_pixels_of_the_array(runs, workdir, monkeypatch, capsys):
    monkeypatch.setattr("gan_lab.cli.sample._BATCH", 4)  # three batches
    assert main("sample", runs["digits"], "n=10", "images=png", "seed=3") == 0
    assert capsys.readouterr().out == "png: 10 images\n"
    assert main("sample", runs["digits"], "n=10", "output=s.npy", "seed=3") == 0
    array = np.load("s.npy")
    assert array.std() > 0.01
    paths = sorted(Path("png").iterdir())
    assert [path.name for path in paths] == [f"{i:06d}.png" for i in range(10)]
    for path, sample in zip(paths, array, strict=True):
        with Image.open(path) as image:
            assert (image.format, image.mode, image.size) == ("PNG", "L", (8, 8))
            restored = np.asarray(image, np.float64) / 127.5 - 1
        # Half a step of 8 bits, and what batches of another size round differently.
        np.testing.assert_allclose(restored, sample[0], rtol=0, atol=0.5 / 127.5 + 1e-5)


@pytest.mark.parametrize(("channels", "mode"), [(1, "L"), (3, "RGB")])
def test_the_ends_of_the_range_are_black_and_white_and_beyond_is_clipped(channels, mode, tmp_path):
    images = normal(2, channels, 4, 6).clamp(-1, 1)
    images[0, :, 0, :4] = normal(4).new_tensor([-1, 1, -7, 7])
    assert write_images([images[:1], images[1:]], tmp_path / "a" / "b") == 2
    first, second = (Image.open(path) for path in sorted((tmp_path / "a" / "b").iterdir()))
    assert first.mode == second.mode == mode
    assert first.size == second.size == (6, 4)
    pixels = np.asarray(first).reshape(4, 6, channels)
    for channel in range(channels):
        assert pixels[0, :4, channel].tolist() == [0, 255, 0, 255]
    expected = np.round((images[1].numpy() + 1) * 127.5).transpose(1, 2, 0)
    np.testing.assert_array_equal(np.asarray(second).reshape(4, 6, channels), expected)


def test_an_empty_folder_is_filled_and_one_with_files_refused(runs, workdir, capsys):
    Path("png").mkdir()
    assert main("sample", runs["digits"], "n=2", "images=png") == 0
    before = {path: path.read_bytes() for path in Path("png").iterdir()}
    said = refused(capsys, runs["digits"], "n=3", "images=png")
    assert "images=png holds files already; name an empty folder or a new one" in said
    assert {path: path.read_bytes() for path in Path("png").iterdir()} == before


def test_points_are_no_images(runs, workdir, capsys):
    said = refused(capsys, runs["ring"], "images=png")
    assert "is for images of 1 or 3 channels" in said
    assert "have the shape (2,); leave images out" in said
    assert files(workdir) == []


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (["images=a", "output=b"], "images=a and output=b are two places to write; give one"),
        (["images=a", "interpolate=3"], "images=a and interpolate=3 are two kinds of files"),
        (["interpolate=3", "n=9"], "interpolate=3 makes 9 samples, n=9 is another; give one"),
        (["interpolate=1"], "interpolate=1 is not a whole number >= 2"),
        (["interpolate=65"], "interpolate=65 is more than 64, the most"),
    ],
)
def test_two_ways_to_write_are_refused(keys, said, runs, workdir, capsys):
    assert said in refused(capsys, runs["digits"], *keys)
    assert files(workdir) == []


# Paths


@pytest.mark.parametrize("name", ["digits", "ring"])
def test_paths_end_at_samples_of_their_z_and_are_drawn(name, runs, workdir, capsys):
    assert main("sample", runs[name], "interpolate=3", "seed=5", "output=out/p.png") == 0
    assert capsys.readouterr().out.split() == ["out/p.npy", "out/p.png"]
    assert main("sample", runs[name], "n=6", "seed=5", "output=s.npy") == 0
    paths, samples = np.load("out/p.npy"), np.load("s.npy")
    assert paths.shape == (3, 3, *samples.shape[1:])
    np.testing.assert_allclose(paths[:, 0], samples[:3], rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(paths[:, -1], samples[3:], rtol=1e-4, atol=1e-5)
    assert np.abs(paths[:, 1] - samples[:3]).max() > 1e-4
    width, height = Image.open("out/p.png").size
    assert (width == height) == (name == "digits")


def test_paths_are_written_into_the_run_by_default(runs, capsys):
    assert main("sample", runs["ring"], "interpolate=2") == 0
    stem = runs["ring"] / "samples" / "interpolation_step_00000002_seed_0"
    assert capsys.readouterr().out.split() == [f"{stem}.npy", f"{stem}.png"]


@pytest.mark.parametrize("data", ["gaussian_1d", "array"])
def test_paths_of_one_and_of_three_dimensions_are_drawn(data, workdir):
    np.save("points.npy", normal(200, 3).numpy())
    keys = [f"data={data}", *(["data.path=points.npy"] if data == "array" else [])]
    run = train("run", *RING[1:], *keys, "trainer.steps=1")
    assert main("sample", run, "interpolate=4", "output=p.npy") == 0
    assert np.load("p.npy").shape == (4, 4, 1 if data == "gaussian_1d" else 3)
    pixels = np.asarray(Image.open("p.png"))
    assert pixels.shape[2] == 3
    assert len(np.unique(pixels.reshape(-1, 3), axis=0)) > 20
