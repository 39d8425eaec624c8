"""Animations: a page that needs no network, a GIF, and pictures drawn only where they move."""

import base64
import json
import re
from io import BytesIO

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from gan_lab.reports.plots.animation import Animation, render_moving, save_gif, save_page
from gan_lab.reports.plots.samples import render_figure


def pictures(n=3, height=8, width=12):
    shades = np.linspace(0, 255, n).astype(np.uint8)
    return [np.full((height, width, 3), shade, np.uint8) for shade in shades]


def test_an_animation_needs_a_caption_for_every_picture():
    with pytest.raises(ValueError, match="3 pictures and 2 captions"):
        Animation("f", pictures(3), ["a", "b"])
    with pytest.raises(ValueError, match="0 pictures and 0 captions"):
        Animation("f", [], [])


def test_a_gif_has_all_pictures_and_holds_the_last(tmp_path):
    animation = Animation("f", pictures(3), ["a", "b", "c"], milliseconds=100)
    save_gif(animation, tmp_path / "f.gif", hold=5)
    with Image.open(tmp_path / "f.gif") as gif:
        assert gif.n_frames == 3
        durations, shades = [], []
        for i in range(3):
            gif.seek(i)
            durations.append(gif.info["duration"])
            shades.append(np.asarray(gif.convert("RGB"))[0, 0, 0])
    assert durations == [100, 100, 500]
    assert shades == [0, 127, 255]


def page_of(tmp_path, animation):
    save_page(animation, tmp_path / "f.html")
    return (tmp_path / "f.html").read_text()


def test_a_page_holds_every_picture_and_asks_for_nothing(tmp_path):
    animation = Animation("f", pictures(3), ["a", "b", "c"])
    page = page_of(tmp_path, animation)
    encoded_pictures = json.loads(re.search(r"const pictures = (\[.*?\]), captions", page).group(1))
    for data, picture in zip(encoded_pictures, animation.pictures, strict=True):
        with Image.open(BytesIO(base64.b64decode(data))) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGB")), picture)
    assert "http" not in page
    assert not re.search(r"@[A-Z]+@", page)


def test_a_page_opens_on_its_last_picture_with_or_without_a_script(tmp_path):
    page = page_of(tmp_path, Animation("f", pictures(3), ["a", "b", "<c>"]))
    source = re.search(r'<img [^>]*src="data:image/png;base64,([^"]+)"', page).group(1)
    assert (
        source == json.loads(re.search(r"const pictures = (\[.*?\]), captions", page).group(1))[2]
    )
    assert 'max="2" value="2"' in page
    assert ">&lt;c&gt;</output>" in page


def test_captions_and_titles_cannot_break_out_of_the_page(tmp_path):
    page = page_of(tmp_path, Animation("<b>", pictures(1), ["</script><b>"], text="a < b"))
    assert page.count("</script>") == 1
    assert "<b>" not in page
    assert "a &lt; b" in page


def test_blitted_pictures_are_the_pictures_drawn_whole():
    def figure(i, blit):
        figure = Figure(figsize=(2, 1.5), dpi=60, layout="constrained")
        FigureCanvasAgg(figure)
        axes = figure.subplots()
        axes.plot([0, 1], [0, 3], "--")
        (line,) = axes.plot([0, 1], [0, i], zorder=5)
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 3)
        if not blit:
            return render_figure(figure)

        def move(index):
            line.set_ydata([0, index])
            return [line]

        return render_moving(figure, move, 3)

    got = figure(0, blit=True)
    assert len(got) == 3
    for i, picture in enumerate(got):
        np.testing.assert_array_equal(picture, figure(i, blit=False))
