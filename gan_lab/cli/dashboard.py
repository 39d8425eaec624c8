"""`dashboard [DIR]`: TensorBoard, open at the page where curves have bands.

It listens on 127.0.0.1 and nowhere else unless host= names another address.
"""

import contextlib
import io
import ipaddress
import os
import re
import sys
import time
import webbrowser
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from gan_lab.errors import ConfigError
from gan_lab.runs.safe_io import printable
from gan_lab.signals import StopSignals
from gan_lab.validation import is_whole

# TensorBoard has neither a password nor a check of who asks: nobody else may reach it.
_HOST = "127.0.0.1"
_PORT = 6006
_LAYOUT = b"custom_scalars__config__"
# TensorBoard keeps a random choice of 1000 scalars and 10 images a tag unless it is told otherwise.
_SAMPLES = "scalars=100000,images=200,text=200"
_USE = "say `python -m gan_lab dashboard [DIR] [port=6006] [host=127.0.0.1] [open=false]`"


class _Asked(NamedTuple):
    """What was typed: a directory, a port, whether to open a browser, where to listen."""

    directory: str | None
    port: int | None
    browse: bool
    host: str


def dashboard(arguments: list[str]) -> int:
    """Serves a directory of runs or a comparison until Ctrl-C or SIGTERM.

    Args:
        arguments: A directory, by default the newest comparison below outputs/compare, else
            outputs; port=N; open=true or open=false, by default whether somebody is there to see;
            host=ADDRESS, by default 127.0.0.1.

    Raises:
        ConfigError: Nothing to show, or the port or address that was asked for cannot be had.
    """
    given, port, browse, host = _parsed(arguments)
    directory = _served(Path(given) if given else _newest())
    with StopSignals() as stop:
        url = _launched(directory, port, host) + _tab(directory)
        if not _is_this_machine(host):
            print(
                f"warning: host={host} lets everybody who reaches this machine read all below "
                f"{directory}: TensorBoard asks for no password",
                file=sys.stderr,
            )
        if port is None and f":{_PORT}/" not in url:
            print(f"port {_PORT} is taken, so TensorBoard has another one")
        said = f"TensorBoard shows {directory} at {url} (Ctrl-C ends it)"
        print(printable(said), flush=True)
        if browse and stop.received is None:
            webbrowser.open(url)
        while stop.received is None:
            time.sleep(0.1)
    return 0


def _parsed(arguments: Sequence[str]) -> _Asked:
    words = [a for a in arguments if "=" not in a or os.path.exists(a)]
    keys = dict(a.split("=", 1) for a in arguments if a not in words)
    for word in words:
        if word.startswith("-"):
            raise ConfigError(f"dashboard takes no '{word}'; {_USE}")
    if len(words) > 1:
        raise ConfigError(f"dashboard takes one directory, got {len(words)}: compare them first")
    for key in keys:
        if key not in ("port", "open", "host"):
            raise ConfigError(f"unknown key '{key}'; {_USE}")
    port = keys.get("port")
    if port is not None and not (is_whole(port) and int(port) < 1 << 16):
        raise ConfigError(f"port={port} is no whole number from 0 (any free port) to 65535")
    browse = keys.get("open", str(_somebody_is_there())).lower()
    if browse not in ("true", "false"):
        raise ConfigError(f"open={browse} is neither true nor false")
    host = keys.get("host", _HOST)
    if not re.fullmatch(r"[\w.:-]*\w|::", host, re.ASCII) or host.startswith("-"):
        raise ConfigError(f"host={host} is no address; say host=0.0.0.0 for every one it has")
    return _Asked(
        words[0] if words else None, None if port is None else int(port), browse == "true", host
    )


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # a name, which may be anybody's
        return False


def _somebody_is_there() -> bool:
    seen = sys.platform in ("darwin", "win32") or any(
        os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY")
    )
    return seen and sys.stdin.isatty()


def _newest() -> Path:
    """The newest comparison, else everything."""
    found = [p for p in Path("outputs/compare").glob("**/tensorboard") if p.is_dir()]
    return max(found, key=lambda p: p.stat().st_mtime).parent if found else Path("outputs")


def _served(directory: Path) -> Path:
    """What TensorBoard is to read: of a comparison its runs, of anything else the whole."""
    if not os.path.isdir(directory):
        raise ConfigError(f"{directory} is no directory; name a run, a comparison or outputs")
    if pipe := next((path for path in _logs(directory) if not path.is_file()), None):
        raise ConfigError(f"{pipe} is no file, and TensorBoard would wait for it; remove it")
    if next(_logs(directory), None) is None:
        raise ConfigError(f"{directory} holds no TensorBoard log; train or compare something first")
    runs = directory / "tensorboard"
    # In a run's own directory tensorboard/ is the log itself, in a comparison's it holds runs.
    is_comparison = any(_logs(runs)) and not any(runs.glob("*tfevents*"))
    return runs if is_comparison else directory


def _logs(directory: Path) -> Iterator[Path]:
    return directory.rglob("*tfevents*")


def _tab(directory: Path) -> str:
    """The page of custom scalars, if any run has a layout for it near its beginning."""
    for path in _logs(directory):
        with open(path, "rb") as file:
            if _LAYOUT in file.read(1 << 20):
                return "#custom_scalars"
    return "#timeseries"


def _launched(directory: Path, port: int | None, host: str = _HOST) -> str:
    """Starts the server in a thread that ends with the process; returns its address."""
    from tensorboard import program  # takes a second, and a refusal needs none of it

    server = program.TensorBoard()
    flags = ["--logdir", str(directory), "--host", host, "--samples_per_plugin", _SAMPLES]
    flags += ["--window_title", f"gan_lab: {directory}"]
    flags += [] if port is None else ["--port", str(port)]  # else 6006 or the next that is free
    server.configure(argv=[None, *flags])
    try:
        # What it says of its own inner workings is no news to who uses it.
        with contextlib.redirect_stderr(io.StringIO()):
            url: str = server.launch()
    except (program.TensorBoardServerException, SystemExit) as error:  # its server leaves by itself
        named = f"port={port}" if host == _HOST else f"host={host}"
        why = getattr(error, "msg", "it cannot be listened on")
        raise ConfigError(f"{named}: {why}. Leave it away or name another") from error
    return url
