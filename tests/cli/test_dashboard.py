"""The command `dashboard`: what it serves, where, and how it ends."""

import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path
from types import SimpleNamespace
from urllib.parse import parse_qs, unquote, urlsplit

import pytest

from gan_lab.cli import dashboard as dashboard_command
from gan_lab.cli.arguments import parse_options
from gan_lab.cli.commands import Dashboard
from gan_lab.errors import ConfigError
from gan_lab.loggers.tensorboard_writer import TensorBoardWriter
from gan_lab.reports.export import tensorboard
from tests.cli.test_sweep import alive
from tests.helpers import ROOT, main


def log(directory, layout=True):
    writer = TensorBoardWriter(directory)
    if layout:
        writer.layout(tensorboard.layout())
    writer.scalars(0, {"loss/generator": 1.0})
    writer.close()
    return directory


def started(*arguments, cwd):
    """The dashboard in a session of its own, so that a leftover can be found."""
    streams = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONPATH": str(ROOT), "DISPLAY": ""}
    command = [sys.executable, "-m", "gan_lab", "dashboard", *arguments]
    return subprocess.Popen(command, cwd=cwd, env=environment, start_new_session=True, **streams)


def test_what_is_served_is_a_comparisons_runs_or_a_run_as_it_is(tmp_path):
    comparison, run, parent = tmp_path / "c", tmp_path / "r", tmp_path / "p"
    log(comparison / "tensorboard" / "minimax")
    log(run / "tensorboard")
    log(run / "evaluation" / "tensorboard" / "step_00000001")
    log(parent / "seed_0" / "tensorboard")
    assert dashboard_command._log_directory(comparison) == comparison / "tensorboard"
    for path in (run, parent, tmp_path):
        assert dashboard_command._log_directory(path) == path


def test_without_a_directory_it_is_the_newest_comparison_else_all_outputs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert dashboard_command._newest() == Path("outputs")
    for age, name in enumerate(("b/2", "a", "c")):
        runs = log(Path("outputs/compare", name, "tensorboard", "minimax")).parent
        os.utime(runs, (1e9 - age, 1e9 - age))
    assert dashboard_command._newest() == Path("outputs/compare/b/2")


def test_the_address_opens_the_charts_unsmoothed_and_of_several_seeds_the_means(tmp_path):
    def parts(logs):
        address = urlsplit(f"http://127.0.0.1:1/{dashboard_command._state(logs)}")
        tab, *state = address.fragment.split("&")
        return parse_qs(address.query), tab, dict(map(unquote, s.split("=")) for s in state)

    query, tab, state = parts(None)
    assert query["smoothing"] == ["0"]
    pinned = json.loads(query["pinnedCards"][0])  # of tags that are not there it shows nothing
    tags = ("features/frechet_distance", "divergence/wasserstein")
    assert pinned == [{"plugin": "scalars", "tag": tag} for tag in tags]
    assert (tab, state) == ("custom_scalars", {"_smoothingWeight": "0"})
    kind, _, pattern = query["runColorGroup"][0].partition(":")
    assert kind == "regex"
    runs = ("ring/wgan_gp/seed_0", "ring/wgan_gp/seed_1", "mean/wgan_gp")
    assert {re.search(pattern, run)[1] for run in runs} == {"wgan_gp"}
    digits = SimpleNamespace(has_means=True, headlines=["divergence/energy"])
    query, _, state = parts(digits)
    pinned = [card["tag"] for card in json.loads(query["pinnedCards"][0])]
    assert pinned == [tags[0], "divergence/energy", tags[1]]
    shown = [run for run in (*runs, "real data") if re.search(state["regexInput"], run)]
    assert shown == ["mean/wgan_gp", "real data"]
    assert re.search(state["regexInput"], "ring/mean/wgan_gp")


@pytest.mark.parametrize(
    ("typed", "message"),
    [
        ("port=-1", "port=-1"),
        ("port=", "port= has no value"),
        ("host=", "host= has no value"),
        ("host=--help", "host=--help is no address"),
        ("host=0.0.0.0;id", "is no address"),
    ],
)
def test_what_is_no_port_or_address_is_refused_in_one_line(typed, message, workdir, capsys):
    assert main("dashboard", ".", typed) == 2
    error = capsys.readouterr().err
    assert message in error
    assert error.count("\n") == 1


@pytest.mark.parametrize(
    ("given", "terminal", "display", "expected"),
    [
        ([], True, ":0", True),
        ([], False, ":0", False),
        ([], True, "", False),
        (["open=true"], False, "", True),
        (["open=false"], True, ":0", False),
    ],
)
def test_a_browser_opens_if_asked_for_or_if_somebody_is_there(
    given, terminal, display, expected, monkeypatch
):
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("DISPLAY", display)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    monkeypatch.setattr(sys, "stdin", type("Input", (), {"isatty": lambda self: terminal})())
    request = parse_options(Dashboard, given)
    assert (request.directory, request.port, request.host) == (None, None, "127.0.0.1")
    assert dashboard_command._opens_browser(request) == expected


def test_a_port_that_was_asked_for_and_is_taken_is_refused(tmp_path):
    log(tmp_path / "run")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(ConfigError, match=rf"port={port}: .*in use"):
            dashboard_command._launch(tmp_path, port)


def test_it_serves_until_it_is_told_to_stop_and_leaves_nothing_behind(tmp_path):
    log(tmp_path / "comparison" / "tensorboard" / "minimax")
    with socket.socket() as taken:
        with contextlib.suppress(OSError):  # it takes this port by itself, if nobody has it
            taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            taken.bind(("127.0.0.1", 6006))
            taken.listen()
        served = [
            (started("comparison", "port=0", cwd=tmp_path), signal.SIGTERM),
            (started("comparison", cwd=tmp_path), signal.SIGINT),
        ]
        lines = [process.stdout.readline() for process, _ in served]
        assert lines[1] == "port 6006 is taken, so TensorBoard has another one\n"
        lines[1] = served[1][0].stdout.readline()
    for (process, signum), line in zip(served, lines, strict=True):
        assert line.startswith("TensorBoard shows comparison/tensorboard at http://127.0.0.1:")
        url = re.search(r"http://\S+/(?=\?\S+#custom_scalars)", line)[0]
        with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(url) as page:
            assert b"TensorBoard" in page.read()
        assert len(alive(process.pid)) >= 1
        begin = time.monotonic()
        process.send_signal(signum)
        _, errors = process.communicate(timeout=30)
        assert time.monotonic() - begin < 4  # 1.3 s alone on the machine
        assert (process.returncode, errors) == (0, "")
        deadline = time.monotonic() + 3
        while (left := alive(process.pid)) and time.monotonic() < deadline:
            time.sleep(0.1)
        assert left == []
