"""Samples and landscapes are saved at their own intervals, and never where that is 0."""

import numpy as np
import pytest
import torch
from PIL import Image

from gan_lab.data.digits import Digits
from gan_lab.reports.plots import landscape
from gan_lab.training.callbacks import samples
from tests.helpers import DIGITS, RING, train


def steps_of(folder):
    return sorted(int(file.stem.removeprefix("step_")) for file in folder.glob("step_*"))


@pytest.mark.parametrize(
    ("image_every", "landscape_every", "drawn", "landscapes"),
    [(0, 0, [], []), (3, 0, [0, 3, 6, 7], []), (0, 5, [], [0, 5, 7]), (9, 9, [0, 7], [0, 7])],
)
def test_they_are_saved_at_the_start_at_their_intervals_and_at_the_end(
    image_every, landscape_every, drawn, landscapes, tmp_path
):
    every = (f"trainer.image_every={image_every}", f"trainer.landscape_every={landscape_every}")
    run = train(tmp_path / "run", *RING, *every, "trainer.steps=7")
    assert steps_of(run / "samples") == drawn
    assert steps_of(run / "landscape") == landscapes


def test_images_have_samples_and_no_landscape(tmp_path):
    every = ("trainer.image_every=2", "trainer.landscape_every=2")
    run = train(tmp_path / "run", *DIGITS, *every, "trainer.steps=3", "n_seeds=2")
    for seed in ("seed_0", "seed_1"):
        assert steps_of(run / seed / "samples") == [0, 2, 3]
        assert steps_of(run / seed / "landscape") == []
    real = [(run / seed / "real.png").read_bytes() for seed in ("seed_0", "seed_1")]
    assert real[0] == real[1]  # the same images for every run on the data


def test_the_picture_of_real_images_is_of_held_out_ones(tmp_path):
    run = train(tmp_path / "run", *DIGITS, "trainer.image_every=2", "trainer.steps=2")
    source = Digits().open(torch.device("cpu"))
    picture = np.asarray(Image.open(run / "real.png").convert("RGB"))
    cell, scale = 66, 8  # 64 pixels an image and 2 between them
    images = source.gather_held_out(torch.arange(source.n_held_out))
    known = {samples.samples.pixels_of(image).numpy().tobytes() for image in images}
    for k in range(64):
        y, x = 2 + k // 8 * cell, 2 + k % 8 * cell
        pixels = picture[y : y + 64 : scale, x : x + 64 : scale, 0]
        assert np.ascontiguousarray(pixels)[None].tobytes() in known
    assert not (train(tmp_path / "ring", *RING, "trainer.steps=2") / "real.png").exists()


def test_one_landscape_is_computed_for_the_picture_and_the_file(tmp_path, monkeypatch):
    drawn, compute = [], landscape.compute

    def remember(*arguments):
        drawn.append(compute(*arguments))
        return drawn[-1]

    monkeypatch.setattr(samples.landscape, "compute", remember)
    every = ("trainer.image_every=2", "trainer.landscape_every=3")
    run = train(tmp_path / "run", *RING, *every, "trainer.steps=5")
    assert steps_of(run / "samples") == [0, 2, 4, 5]
    assert steps_of(run / "landscape") == [0, 3, 5]
    assert len(drawn) == len({0, 2, 3, 4, 5})
    last = landscape.load(run / "landscape" / "step_00000005.npz")
    np.testing.assert_array_equal(last["fake"], drawn[-1]["fake"])
    np.testing.assert_allclose(last["logit"], drawn[-1]["logit"], rtol=1e-3)
