"""`dashboard [DIR]`: TensorBoard, opened at the page where curves have bands.

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
from collections.abc import Iterator
from pathlib import Path

from gan_lab.cli.arguments import parse_options
from gan_lab.cli.commands import Dashboard
from gan_lab.errors import ConfigError
from gan_lab.runs.safe_io import printable
from gan_lab.signals import StopSignals

# TensorBoard has neither a password nor a check of who asks: nobody else may reach it.
_HOST = "127.0.0.1"
_PORT = 6006
_LAYOUT = b"custom_scalars__config__"
# TensorBoard keeps a random choice of 1000 scalars and 10 images a tag unless it is told otherwise.
_SAMPLES = "scalars=100000,images=200,text=200"


def dashboard(arguments: list[str]) -> int:
    """Serve a directory of runs or a comparison until Ctrl-C or SIGTERM."""
    request = parse_options(Dashboard, arguments)
    port, host = request.port, request.host
    if request.directory and request.output:
        raise ConfigError(f"{request.directory} and output={request.output} are two; give one")
    if not re.fullmatch(r"[\w.:-]*\w|::", host, re.ASCII) or host.startswith("-"):
        raise ConfigError(f"host={host} is no address; say host=0.0.0.0 for every one it has")
    path = request.directory or (Path(request.output) if request.output else _newest())
    directory = _log_directory(path)
    with StopSignals() as stop:
        url = _launch(directory, port, host) + _tab(directory)
        if not _is_this_machine(host):
            danger = "lets everybody who reaches this machine read all below"
            text = f"warning: host={host} {danger} {directory}: TensorBoard asks for no password"
            print(text, file=sys.stderr)
        if port is None and f":{_PORT}/" not in url:
            print(f"port {_PORT} is taken, so TensorBoard has another one")
        print(printable(f"TensorBoard shows {directory} at {url} (Ctrl-C ends it)"), flush=True)
        if _opens_browser(request) and stop.signum is None:
            webbrowser.open(url)
        while stop.signum is None:
            time.sleep(0.1)
    return 0


def _is_this_machine(host: str) -> bool:
    with contextlib.suppress(ValueError):  # any other name may be anybody's
        return ipaddress.ip_address(host).is_loopback
    return host == "localhost"


def _opens_browser(request: Dashboard) -> bool:
    """Return whether to open a browser: as typed, else where somebody sees it."""
    if request.open is not None:
        return request.open
    display = os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")
    return bool(sys.platform in ("darwin", "win32") or display) and sys.stdin.isatty()


def _newest() -> Path:
    """Return the newest comparison, else everything."""
    comparisons = [p for p in Path("outputs/compare").glob("**/tensorboard") if p.is_dir()]
    if not comparisons:
        return Path("outputs")
    return max(comparisons, key=lambda path: path.stat().st_mtime).parent


def _log_directory(directory: Path) -> Path:
    """Return what TensorBoard has to read: of a comparison its runs, of anything else the whole."""
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
    """Return the page of custom scalars, if any run has a layout for it near its beginning."""
    for path in _logs(directory):
        with open(path, "rb") as file:
            if _LAYOUT in file.read(1 << 20):
                return "#custom_scalars"
    return "#timeseries"


def _launch(directory: Path, port: int | None, host: str = _HOST) -> str:
    """Start the server in a thread that ends with the process; return its address."""
    from tensorboard import program  # takes a second, and a refusal needs none of it

    server = program.TensorBoard()
    flags = ["--logdir", str(directory), "--host", host, "--samples_per_plugin", _SAMPLES]
    flags += ["--window_title", f"gan_lab: {directory}"]
    flags += [] if port is None else ["--port", str(port)]  # else 6006 or the next that is free
    server.configure(argv=[None, *flags])
    try:
        with contextlib.redirect_stderr(io.StringIO()):
            url: str = server.launch()
    except (program.TensorBoardServerException, SystemExit) as error:  # its server leaves by itself
        key = f"port={port}" if host == _HOST else f"host={host}"
        why = getattr(error, "msg", "it cannot be listened on")
        raise ConfigError(f"{key}: {why}. Leave it away or name another") from error
    return url
