"""TensorBoard's pages with a colour for each choice, the same as on the page and in pictures.

TensorBoard takes colours from palettes, by the order of runs, and no setting, address or log
changes that. It does take other pages than its own: in these, two expressions ask for a run's
colour first.
"""

import io
import json
import re
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO

from gan_lab.runs.safe_io import read_regular

_FILE = "colours.json"  # as `reports.export.tensorboard` names it, whose import takes seconds
_MAX_BYTES = 1 << 16
_SCRIPT = "gan_lab.js"
_FUNCTION = r"""
window.ganLabColour = run => {
  const match = /(?:^|\/)(?:mean\/([^\/]+)|([^\/]+)\/seed_\d+|(real data)$)/.exec(run);
  return match && colours[match[1] || match[2] || match[3]];
};
"""
# File -> what is replaced in it. A name of its own keeps index.js apart in the browser's cache.
_CHANGES = {
    "index.html": (
        (
            '<script src="index.js?_file_hash=',
            f'<script src="{_SCRIPT}"></script><script src="index.js?_file_hash=gan_lab_',
        ),
    ),
    "index.js": (
        (  # custom scalars, images, texts
            "this.identifiers.set(r,this.palette[n%this.palette.length])",
            "this.identifiers.set(r,window.ganLabColour(r)||this.palette[n%this.palette.length])",
        ),
        (  # time series
            "if(n.has(s))a=n.get(s);else",
            "if(n.has(s))a=n.get(s);else if(window.ganLabColour(s))a=window.ganLabColour(s);else",
        ),
    ),
}


def read_colours(directory: Path) -> dict[str, str]:
    """Return name of a choice -> colour, as the runs' writer left them; none where it did not."""
    try:
        colours = json.loads(read_regular(directory / _FILE, _MAX_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    items = colours.items() if isinstance(colours, dict) else ()
    return {name: c for name, c in items if re.fullmatch(r"#[0-9A-Fa-f]{6}", str(c))}


def pages(colours: Mapping[str, str]) -> Callable[[], IO[bytes]] | None:
    """Return what opens an archive of TensorBoard's pages with these colours.

    None, which means TensorBoard's own pages, where there are no colours, or where the pages of the
    installed version read otherwise.
    """
    from tensorboard import assets

    original = assets.get_default_assets_zip_provider()
    if not colours or original is None:
        return None
    archive = io.BytesIO()
    with original() as file, zipfile.ZipFile(file) as old, zipfile.ZipFile(archive, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            for before, after in _CHANGES.get(name, ()):
                if content.count(before.encode()) != 1:
                    return None
                content = content.replace(before.encode(), after.encode())
            new.writestr(name, content)
        new.writestr(_SCRIPT, f"{{const colours = {json.dumps(dict(colours))};{_FUNCTION}}}")
    return lambda: io.BytesIO(archive.getvalue())
