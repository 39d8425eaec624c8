"""Samples as image files, one by one: what other evaluation tools read."""

from collections.abc import Iterable
from pathlib import Path

from PIL import Image
from torch import Tensor

from gan_lab.errors import ConfigError
from gan_lab.reports.plots.samples import pixels_of


def check_new_folder(key: str, path: Path) -> None:
    """Refuse a folder that holds something: the files of two generators would be mixed."""
    if path.is_dir() and any(path.iterdir()):
        raise ConfigError(f"{key}={path} holds files already; name an empty folder or a new one")


def write_images(batches: Iterable[Tensor], folder: Path) -> int:
    """Write images as 000000.png, 000001.png, ... and return how many; the folder is created.

    Each is 8-bit, gray or RGB, of the samples' own size.

    Args:
        batches: Images in [-1, 1], each [N, C, H, W] with 1 or 3 channels.
        folder: Where to write.
    """
    folder.mkdir(parents=True, exist_ok=True)
    n = 0
    for batch in batches:
        for image in pixels_of(batch).permute(0, 2, 3, 1).numpy():
            picture = Image.fromarray(image.squeeze(2) if image.shape[2] == 1 else image)
            picture.save(folder / f"{n:06d}.png")
            n += 1
    return n
