"""Take the defaults of images, not those of points, for an array that holds images."""

from collections.abc import Sequence
from pathlib import Path

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.errors import HydraException

from gan_lab.data.array_files import check_file
from gan_lab.data.image_arrays import has_images
from gan_lab.errors import ConfigError

_POINTS, _IMAGES = "data=array", "data=image_array"


def with_image_array(overrides: Sequence[str]) -> list[str]:
    """Return the overrides with data=image_array for data=array where the file holds images.

    Only headers are read. A file that cannot be read is left to `Array`, which says why.
    """
    words = list(overrides)
    if _POINTS in words and (paths := _values(words, "data.path")):
        key = next(iter(_values(words, "data.key")), None)
        if all(_has_images(path, key) for path in paths):
            words[words.index(_POINTS)] = _IMAGES
    return words


def _values(words: Sequence[str], key: str) -> list[str]:
    """Return the value of a key, or every one that a sweep gives it; the last word counts."""
    word = next((word for word in reversed(words) if word.startswith(f"{key}=")), None)
    if word is None:
        return []
    try:
        override = OverridesParser.create().parse_override(word)
        if override.is_sweep_override():
            return [str(value) for value in override.sweep_iterator()]
        value = override.value()
    except HydraException:  # the composition says it
        return []
    return [] if value is None else [str(value)]


def _has_images(text: str, key: str | None) -> bool:
    path = Path(text).expanduser()
    try:
        check_file(path, text)
        return has_images(path, key)
    except (ConfigError, OSError):
        return False
