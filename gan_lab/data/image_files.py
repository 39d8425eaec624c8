"""Image files: the paths below a folder, and one file as a tensor."""

import os
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps
from torch import Tensor

from gan_lab.data.validation import one_line
from gan_lab.errors import ConfigError

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".webp"}
_FORMATS = ("PNG", "JPEG", "BMP", "WEBP")  # whatever the name: EPS would start a program
_READ_ERRORS = (OSError, SyntaxError, ValueError, MemoryError, Image.DecompressionBombError)
_PARTS = {"train": "train", "test": "test"}
_PARTS |= dict.fromkeys(("val", "valid", "validation"), "validation")


def files_below(root: Path) -> list[Path]:
    """Return all files below a folder in the order of their paths, without hidden ones.

    Links to folders are not followed: one may lead back here. A link to nothing is a file, which
    cannot be read.

    Raises:
        ConfigError: A folder in it cannot be read.
    """

    def refuse_folder(error: OSError) -> None:
        raise ConfigError(
            f"folder {error.filename} cannot be read ({error.strerror}); change its permissions"
        ) from error

    paths: list[Path] = []
    for home, folders, names in os.walk(root, onerror=refuse_folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        paths += [Path(home, name) for name in names if not name.startswith(".")]
    return sorted(path for path in paths if path.is_file() or path.is_symlink())


def split_of_folders(root: Path, paths: list[Path]) -> list[list[Path]] | None:
    """Return the images of folders train, val (or valid, validation) and test; None without them.

    Both train and test have to be there, and nothing else beside them.
    """
    parts: dict[str, list[Path]] = {}
    for path in paths:
        first, *rest = path.relative_to(root).parts
        parts.setdefault(_PARTS.get(first.lower(), "") if rest else "", []).append(path)
    if "" in parts or "train" not in parts or "test" not in parts:
        return None
    return [parts[name] for name in ("train", "validation", "test") if name in parts]


def class_names(root: Path, paths: list[Path], level: int) -> NDArray[np.str_] | None:
    """Return the folder of each image at a level below root, [n]; None where one lies in none."""
    names = [path.relative_to(root).parts[level:-1] for path in paths]
    return np.array([name[0] for name in names]) if all(names) else None


def find_size(paths: list[Path], limit: int = 128, default: int = 64) -> int:
    """Return the size of images that are all squares of one size up to a limit, else a default.

    Raises:
        ConfigError: A file is damaged.
    """
    sizes = set()
    for path in paths:
        try:
            with Image.open(path, formats=_FORMATS) as image:
                sizes.add(image.size)
        except _READ_ERRORS as error:
            raise _unreadable(path, error) from error
        if len(sizes) > 1:
            return default
    ((width, height),) = sizes
    return width if width == height and width <= limit else default


def read_image(path: Path, size: int, channels: int) -> Tensor:
    """Read one image file as uint8 [channels, size, size].

    Raises:
        ConfigError: The file is damaged, or has more than 8 bits a channel.
    """
    try:
        with Image.open(path, formats=_FORMATS) as image:
            if image.mode[0] in "IF":
                # PIL would clip such an image at 255 without a word.
                raise ConfigError(
                    f"image {path} has more than 8 bits a channel (PIL mode {image.mode}); convert "
                    "it to 8 bits"
                )
            upright = _opaque(ImageOps.exif_transpose(image))
            upright = upright.convert("RGB" if channels == 3 else "L")
            side = min(upright.size)
            x, y = (upright.width - side) // 2, (upright.height - side) // 2
            # ImageOps.fit would let the filter mix in pixels from outside the crop.
            square = upright.crop((x, y, x + side, y + side))
            square = square.resize((size, size), Image.Resampling.LANCZOS)
    except ConfigError:
        raise
    except _READ_ERRORS as error:
        raise _unreadable(path, error) from error
    pixels = torch.from_numpy(np.array(square, dtype=np.uint8))
    return pixels.reshape(size, size, channels).permute(2, 0, 1)


def _unreadable(path: Path, error: Exception) -> ConfigError:
    return ConfigError(
        f"image {path} cannot be read ({one_line(error)}); repair it or take it away"
    )


def _opaque(image: Image.Image) -> Image.Image:
    """Return a picture on white where it is transparent: the hidden colour there is no data."""
    if "A" not in image.getbands() and "transparency" not in image.info:
        return image
    rgba = image.convert("RGBA")
    return Image.alpha_composite(Image.new("RGBA", rgba.size, "white"), rgba)
