"""Animations as a GIF and as one HTML page that plays, pauses and scrubs without a network."""

import base64
import html
import io
import json
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
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
    """Pictures on one clock.

    Attributes:
        title: Above the player.
        pictures: All of one size, uint8 [H, W, 3].
        captions: What each picture shows, as long as `pictures`.
        milliseconds: How long a picture stays.
        text: A paragraph below the player.
    """

    title: str
    pictures: Sequence[np.ndarray]
    captions: Sequence[str]
    milliseconds: int = 120
    text: str = ""

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
    palette = [
        Image.fromarray(p).quantize(128, dither=Image.Dither.NONE) for p in animation.pictures
    ]
    times = [animation.milliseconds] * (len(palette) - 1) + [animation.milliseconds * hold]
    buffer = io.BytesIO()
    palette[0].save(
        buffer, "GIF", save_all=True, append_images=palette[1:], duration=times, loop=0, disposal=1
    )
    atomic_write(path, buffer.getvalue())


def save_page(animation: Animation, path: Path) -> None:
    """Write one HTML file that contains everything: no request leaves it."""
    data = [base64.b64encode(_encode_small_png(picture)).decode() for picture in animation.pictures]
    parts = {
        "TITLE": html.escape(animation.title),
        "TEXT": html.escape(animation.text),
        "LAST": str(len(data) - 1),
        "MS": str(animation.milliseconds),
        "PICTURES": _script_json(data),
        "CAPTIONS": _script_json(list(animation.captions)),
    }
    # One pass, so that nothing inside a part is taken for a mark.
    page = re.sub(r"@([A-Z]+)@", lambda mark: parts[mark[1]], _PAGE)
    atomic_write(path, page.encode())


def _script_json(value: list[str]) -> str:
    # "</script>" inside a caption would end the script element.
    return json.dumps(value).replace("<", "\\u003c")


def _encode_small_png(picture: np.ndarray) -> bytes:
    """Return the smaller of a palette PNG and a full one."""
    buffer = io.BytesIO()
    Image.fromarray(picture).quantize(128, dither=Image.Dither.NONE).save(
        buffer, "PNG", optimize=True
    )
    return min(buffer.getvalue(), encode_png(picture), key=len)


_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<link rel="icon" href="data:,">
<title>@TITLE@</title>
<style>
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; margin: 1.5rem auto; max-width: 75rem; padding: 0 1rem;
  background: #fff; color: #1a1a1a; }
h1 { font-size: 1.4rem; }
img { width: 100%; height: auto; border: 1px solid #ccc; background: #fff; }
.controls { display: flex; gap: .75rem; align-items: center; flex-wrap: wrap; margin: .75rem 0; }
button, select { font: inherit; padding: .4rem 1rem; min-height: 2.75rem; }
input[type=range] { flex: 1 1 12rem; min-height: 2.75rem; }
output { min-width: 12rem; font-variant-numeric: tabular-nums; }
@media (prefers-color-scheme: dark) { body { background: #16181b; color: #e8e8e8; } }
@media print { .controls { display: none; } }
</style>
</head>
<body>
<h1>@TITLE@</h1>
<img id="picture" alt="@TITLE@">
<div class="controls">
<button id="play" type="button" aria-label="play or pause (space)">play</button>
<input id="scrub" type="range" min="0" max="@LAST@" value="0" step="1" aria-label="picture">
<output id="caption" for="scrub" aria-live="off"></output>
<select id="speed" aria-label="speed">
<option value="0.25">speed 1/4</option><option value="0.5">speed 1/2</option>
<option value="1" selected>speed 1</option><option value="2">speed 2</option>
</select>
</div>
<noscript><p>The player needs JavaScript; the .gif beside this page does not.</p></noscript>
<p>@TEXT@</p>
<script>
"use strict";
const pictures = @PICTURES@, captions = @CAPTIONS@;
const image = document.getElementById("picture"), scrub = document.getElementById("scrub");
const button = document.getElementById("play"), caption = document.getElementById("caption");
const speed = document.getElementById("speed");
let timer = null;
function show(i) {
  image.src = "data:image/png;base64," + pictures[i];
  image.alt = captions[i];
  caption.textContent = captions[i];
  scrub.value = i;
}
function stop() { clearInterval(timer); timer = null; button.textContent = "play"; }
function play() {
  if (Number(scrub.value) >= pictures.length - 1) { show(0); }
  button.textContent = "pause";
  timer = setInterval(() => {
    const next = Number(scrub.value) + 1;
    if (next >= pictures.length) { stop(); } else { show(next); }
  }, @MS@ / Number(speed.value));
}
function toggle() { if (timer === null) { play(); } else { stop(); } }
button.addEventListener("click", toggle);
scrub.addEventListener("input", () => {
  if (timer !== null) { stop(); }
  show(Number(scrub.value));
});
speed.addEventListener("change", () => { if (timer !== null) { stop(); play(); } });
document.addEventListener("keydown", (event) => {
  if (event.target === speed) { return; }
  if (event.key === " " && event.target !== button) { event.preventDefault(); toggle(); }
  const by = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
  if (by && event.target !== scrub) {
    stop();
    show(Math.min(pictures.length - 1, Math.max(0, Number(scrub.value) + by)));
  }
});
show(0);
</script>
</body>
</html>
"""
