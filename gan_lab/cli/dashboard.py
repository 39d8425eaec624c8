"""`dashboard [DIR]`: TensorBoard, opened at the charts that answer questions.

Runs have names, and choices with several seeds a mean and a band (`reports.export.log_directory`).
It listens on 127.0.0.1 and nowhere else unless host= names another address.
"""

from __future__ import annotations

import contextlib
import io
import ipaddress
import json
import os
import re
import sys
import tempfile
import time
import webbrowser
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlencode

from gan_lab.cli.arguments import parse_options
from gan_lab.cli.commands import Dashboard
from gan_lab.cli.tensorboard_colours import pages, read_colours
from gan_lab.errors import ConfigError
from gan_lab.runs.headline import ENERGY, HEADLINES
from gan_lab.runs.safe_io import printable
from gan_lab.signals import StopSignals

if TYPE_CHECKING:
    from gan_lab.reports.export.log_directory import NamedLogs

# TensorBoard has neither a password nor a check of who asks: nobody else may reach it.
_HOST = "127.0.0.1"
_PORT = 6006
_UPDATE_EVERY = 30.0  # seconds, and more where an update takes long
# Time series: as measured; a colour for each choice, not for each seed.
_STATE = {"smoothing": 0, "runColorGroup": "regex:[^/]+/([^/]+)"}
_ONLY_MEANS = r"(^|/)(mean/|real data)"
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
    with StopSignals() as stop, tempfile.TemporaryDirectory(prefix="gan_lab_dashboard_") as home:
        logs = _named_logs(directory, Path(home))
        url = _launch(directory if logs is None else logs.home, port, host, title=str(directory))
        url += _state(logs)
        if not _is_this_machine(host):
            danger = "lets everybody who reaches this machine read all below"
            text = f"warning: host={host} {danger} {directory}: TensorBoard asks for no password"
            print(text, file=sys.stderr)
        if port is None and f":{_PORT}/" not in url:
            print(f"port {_PORT} is taken, so TensorBoard has another one")
        print(printable(f"TensorBoard shows {directory} at {url} (Ctrl-C ends it)"), flush=True)
        if _opens_browser(request) and stop.signum is None:
            webbrowser.open(url)
        due = time.monotonic() + _UPDATE_EVERY
        while stop.signum is None:
            time.sleep(0.1)
            if logs is not None and time.monotonic() > due:
                begin = time.monotonic()
                with contextlib.suppress(ConfigError, OSError):  # a run that is just beginning
                    logs.update()
                due = time.monotonic() + max(_UPDATE_EVERY, 50 * (time.monotonic() - begin))
    return 0


def _named_logs(directory: Path, home: Path) -> NamedLogs | None:
    """Return the runs under their names; None for a comparison, whose runs have them already."""
    if directory.name == "tensorboard":
        return None
    from gan_lab.reports.export.log_directory import NamedLogs  # takes seconds

    if sys.stderr.isatty():
        print(printable(f"reading the runs in {directory}"), file=sys.stderr, flush=True)
    try:
        return NamedLogs(directory, home)
    except (ConfigError, OSError):  # no runs, one that is damaged, or a system without links
        return None


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


def _state(logs: NamedLogs | None) -> str:
    """Return what TensorBoard's address says: the charts, unsmoothed; of several seeds the mean."""
    page: dict[str, object] = {"_smoothingWeight": 0}
    # The headlines above all; the energy distance where it is one, and FD and W1 where they are.
    headlines = [] if logs is None else logs.headlines
    tags = [tag for tag in HEADLINES if tag != ENERGY or ENERGY in headlines]
    cards = [{"plugin": "scalars", "tag": tag} for tag in tags]
    state = {**_STATE, "pinnedCards": json.dumps(cards, separators=(",", ":"))}
    if logs is not None and logs.has_means:
        page["regexInput"] = _ONLY_MEANS
    return f"?{urlencode(state)}#custom_scalars&{urlencode(page, quote_via=quote)}"


def _launch(directory: Path, port: int | None, host: str = _HOST, title: str = "") -> str:
    """Start the server in a thread that ends with the process; return its address."""
    from tensorboard import program  # takes a second, and a refusal needs none of it

    server = program.TensorBoard(assets_zip_provider=pages(read_colours(directory)))
    flags = ["--logdir", str(directory), "--host", host, "--samples_per_plugin", _SAMPLES]
    flags += ["--window_title", f"gan_lab: {title}"]
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
