"""Pictures of points: quick to draw again, the same as drawn afresh, and no figure stays."""

import gc

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from gan_lab.reports.plots import landscape
from gan_lab.reports.plots.points import PointsPicture


def score(x):
    return x.square().sum(-1) - x[:, 0]


def points(n, d, seed):
    return torch.randn(n, d, generator=torch.Generator().manual_seed(seed))


def content_of(real, fake, score):
    if real.shape[1] > 2:
        return {"real": real.numpy(), "fake": fake.numpy()}
    return landscape.compute(real, fake, score)


class Picture(PointsPicture):
    """A picture of data that are named once."""

    def __init__(self, real):
        super().__init__()
        self.real = real

    def draw(self, fake, score, title):
        return super().draw(content_of(self.real, fake, score), title)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_a_picture_drawn_again_is_one_drawn_afresh(d):
    real, first, second = points(60, d, 0), points(40, d, 1), 0.3 * points(40, d, 2)
    picture = Picture(real)
    one, other = picture.draw(first, score, "step 1"), picture.draw(second, score, "step 2")
    assert one.dtype == np.uint8
    assert one.shape == other.shape == (420, 480, 3)
    assert (one != other).any()
    assert np.array_equal(picture.draw(first, score, "step 1"), one)
    assert np.array_equal(Picture(real).draw(second, score, "step 2"), other)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_every_part_is_seen(d):
    real, fake = points(60, d, 0), points(40, d, 1)
    picture = Picture(real)
    drawn = picture.draw(fake, score, "step 1")
    assert (picture.draw(fake + 0.5, score, "step 1") != drawn).any()
    assert (picture.draw(fake, score, "step 2") != drawn).any()
    assert (Picture(real * 0.5).draw(fake, score, "step 1") != drawn).any()
    # Beyond two dimensions the discriminator has no picture.
    other = picture.draw(fake, lambda x: -score(x), "step 1")
    assert bool((other != drawn).any()) == (d <= 2)


def test_the_colour_of_the_map_grows_with_the_logit_whose_range_is_written():
    picture = Picture(torch.tensor([[0.0, 0.0], [1.0, 1.0]]))
    drawn = picture.draw(torch.full((5, 2), 9.0), lambda x: x[:, 0], "right is more real")
    row = drawn[240, 75:365].astype(int)  # of the map, where nothing else is drawn
    darkness = 255 - row.mean(-1)
    assert np.corrcoef(np.arange(len(row)), darkness)[0, 1] > 0.9
    low, high, _ = picture._panel.texts
    assert (low.content, high.content) == ("-0.25", "1.25")


def test_an_arrow_points_along_the_gradient_and_the_longest_is_said():
    picture = Picture(points(30, 2, 0))
    fake = points(30, 2, 1)
    picture.draw(fake, lambda x: 3 * x[:, 0] + 4 * x[:, 1], "slope 5")
    arrows = picture._panel._arrows
    np.testing.assert_allclose(arrows.U, 0.6, atol=1e-6)
    np.testing.assert_allclose(arrows.V, 0.8, atol=1e-6)
    assert picture._panel.texts[-1].content == "5"


@pytest.mark.parametrize("d", [1, 2])
def test_texts_stay_within_the_picture_and_change_it_nowhere_else(d):
    picture = Picture(points(30, d, 0))
    one, other = (
        picture.draw(points(20, d, 1), score, title) for title in ("step 1", "step 23456")
    )
    rows, columns = np.nonzero((one != other).any(-1))
    assert 5 < rows.min() < rows.max() < 30  # above the axes
    assert abs((columns.min() + columns.max()) / 2 - 240) < 25  # and about their middle
    for text in picture._panel.texts:
        right, down = text.place
        assert 0 < right < 480
        assert 0 < down < 420


@pytest.mark.parametrize("value", [float("inf"), float("nan"), 0.0])
def test_a_discriminator_that_is_not_finite_or_constant_is_drawn(value):
    for d in (1, 2):
        picture = Picture(points(9, d, 0))
        drawn = picture.draw(points(9, d, 1), lambda x: x.sum(-1) * 0 + value, "odd")
        assert drawn.shape == (420, 480, 3)


def test_the_window_follows_the_data_and_no_sample():
    real = np.array([[0.0, -1.0], [4.0, 1.0]])
    for fake in (np.zeros((3, 2)), np.full((3, 2), 99.0)):
        assert landscape.window(real, fake) == [(-1.0, 5.0), (-1.5, 1.5)]


def test_the_window_of_data_without_extent_holds_the_samples_and_seldom_changes():
    real = np.array([[2.0, 0.0], [2.0, 4.0]])
    fake = np.array([[-0.3, 9.0], [3.1, 9.0]])
    assert landscape.window(real, real) == [(0.0, 4.0), (-1.0, 5.0)]
    assert landscape.window(real, fake) == [(-2.0, 6.0), (-1.0, 5.0)]
    assert landscape.window(real, fake - 1.7) == landscape.window(real, fake)
    assert landscape.window(real, fake - 1.8) == [(-6.0, 10.0), (-1.0, 5.0)]
    x = landscape.compute(torch.tensor(real), torch.tensor(fake), lambda x: x[:, 0])["x"]
    assert (x[0], x[-1]) == (-2.0, 6.0)


def test_data_without_extent_are_drawn_within_the_samples():
    real = torch.zeros(9, 2)
    picture = Picture(real)
    near, far = (
        picture.draw(at + points(9, 2, 1), lambda x: x.sum(-1), "a point") for at in (0, 5)
    )
    assert (near != far).any()


def test_many_pictures_keep_one_figure_and_thaw_what_was_there():
    def n_figures():
        return sum(isinstance(each, Figure) for each in gc.get_objects())

    def draw(picture):
        return picture.draw(points(9, 2, 1), score, "more")

    draw(Picture(points(9, 2, 0)))
    gc.collect()
    before, n_frozen = n_figures(), gc.get_freeze_count()
    picture = Picture(points(9, 2, 0))
    for _ in range(3):
        draw(picture)
    assert (n_figures(), gc.get_freeze_count()) == (before + 1, n_frozen)
    del picture
    gc.collect()
    assert n_figures() == before
