"""Animations as a GIF and as one HTML page that plays, pauses and scrubs without a network."""

import base64
import html
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.artist import Artist
from matplotlib.figure import Figure
from PIL import Image

from gan_lab.reports.plots.samples import encode_png
from gan_lab.runs.run_dir import atomic_write


@dataclass(frozen=True)
class Animation:
    """Pictures on one clock."""

    title: str  # above the player
    pictures: Sequence[np.ndarray]  # all of one size, uint8 [H, W, 3]
    captions: Sequence[str]  # what each picture shows, as long as `pictures`
    milliseconds: int = 120  # how long a picture stays
    text: str = ""  # a paragraph below the player

    def __post_init__(self) -> None:
        if not self.pictures or len(self.pictures) != len(self.captions):
            raise ValueError(
                f"an animation needs pictures and one caption for each, got {len(self.pictures)} "
                f"pictures and {len(self.captions)} captions"
            )


def render_moving(
    figure: Figure, move: Callable[[int], Sequence[Artist]], n_pictures: int
) -> list[np.ndarray]:
    """Render a figure of which only some artists move: the rest is drawn once.

    Args:
        figure: With all its artists.
        move: Index of a picture -> the artists that move, updated, in the order in which they are
            drawn; the same artists for every picture.
        n_pictures: How many.

    Returns:
        Pictures of one size, uint8 [H, W, 3].
    """
    for artist in move(0):
        artist.set_animated(True)
    canvas: Any = figure.canvas
    canvas.draw()
    still = canvas.copy_from_bbox(figure.bbox)
    pictures = []
    for i in range(n_pictures):
        canvas.restore_region(still)
        for artist in move(i):
            figure.draw_artist(artist)
        pictures.append(np.asarray(canvas.buffer_rgba())[..., :3].copy())
    return pictures


def save_gif(animation: Animation, path: Path, hold: int = 8) -> None:
    """Write an endless GIF; the last picture stays `hold` times as long."""
    first, *others = map(_quantize, animation.pictures)
    times = [animation.milliseconds] * len(others) + [animation.milliseconds * hold]
    buffer, more = io.BytesIO(), {"duration": times, "loop": 0, "disposal": 1}
    first.save(buffer, "GIF", save_all=True, append_images=others, **more)
    atomic_write(path, buffer.getvalue())


def save_page(animation: Animation, path: Path) -> None:
    """Write one HTML file that contains everything: no request leaves it.

    It opens on the last picture, which also shows without a script.
    """
    data = [base64.b64encode(_encode_small_png(picture)).decode() for picture in animation.pictures]
    parts = {
        "TITLE": html.escape(animation.title),
        "TEXT": html.escape(animation.text),
        "LAST": str(len(data) - 1),
        "END": data[-1],
        "CAPTION": html.escape(animation.captions[-1]),
        "MS": str(animation.milliseconds),
        # "</script>" inside a caption would end the script element.
        "PICTURES": json.dumps(data).replace("<", "\\u003c"),
        "CAPTIONS": json.dumps(list(animation.captions)).replace("<", "\\u003c"),
    }
    # One pass, so that nothing inside a part is taken for a mark.
    template = resources.files("gan_lab.reports.plots") / "animation.html"
    text = template.read_text(encoding="utf-8")
    page = re.sub(r"@([A-Z]+)@", lambda mark: parts[mark[1]], text)
    atomic_write(path, page.encode())


def _quantize(picture: np.ndarray) -> Image.Image:
    return Image.fromarray(picture).quantize(128, dither=Image.Dither.NONE)


def _encode_small_png(picture: np.ndarray) -> bytes:
    """Return the smaller of a palette PNG and a full one."""
    buffer = io.BytesIO()
    _quantize(picture).save(buffer, "PNG", optimize=True)
    return min(buffer.getvalue(), encode_png(picture), key=len)
