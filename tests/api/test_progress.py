"""The progress line: one in a notebook's cell that is replaced in place."""

import io
import re
import sys
import types

import pytest
from rich.console import Console

import gan_lab
from gan_lab.console import ProgressLine
from gan_lab.runs.headline import newest_headline
from tests.helpers import RING


class Handle:
    def __init__(self, shown):
        self.shown = shown

    def update(self, content, raw):
        assert raw
        self.shown.append(content)


@pytest.fixture
def cell(monkeypatch):
    """What IPython is given to display: the first content, and all that replace it."""
    shown = []

    def display(content, raw, display_id):
        assert raw
        assert display_id is True
        shown.append(content)
        return Handle(shown)

    module = types.ModuleType("IPython.display")
    module.display = display
    package = types.ModuleType("IPython")
    package.display = module
    monkeypatch.setitem(sys.modules, "IPython", package)
    monkeypatch.setitem(sys.modules, "IPython.display", module)
    return shown


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("gan_lab.console.time.perf_counter", lambda: now[0])
    return now


def notebook():
    return Console(file=io.StringIO(), force_jupyter=True)


def test_in_a_notebook_a_bar_is_replaced_four_times_a_second(cell, clock):
    console = notebook()
    with ProgressLine(100, console=console) as line:
        values = {"divergence/wasserstein": 0.5, "loss/penalty": 3.0, "divergence/<b>": 1.0}
        line.update(values, newest_headline(values, 64, high_dimensional=False))
        for step in range(1, 101):
            clock[0] = step * 0.05
            line.show(step)
    # At the start, 5 s / 0.25 s, of which the last step is one.
    assert len(cell) - 1 == pytest.approx(20, abs=1)
    steps = [int(re.search(r'value="(\d+)" max="100"', c["text/html"])[1]) for c in cell]
    assert steps == sorted(set(steps))
    assert (steps[0], steps[-1]) == (0, 100)
    assert cell[-1]["text/plain"] == "step 100/100  20.0 steps/s  0 s left  W1 0.5 at step 64"
    assert cell[-1]["text/plain"] in cell[-1]["text/html"]
    assert console.file.getvalue() == ""  # nothing is printed besides


def test_elsewhere_lines_are_printed_and_no_notebook_is_asked_for(cell, clock):
    console = Console(file=io.StringIO(), force_terminal=False, force_jupyter=False)
    with ProgressLine(100, console=console) as line:
        for step in range(1, 101):
            clock[0] = step * 0.11
            line.show(step)
    assert cell == []
    lines = console.file.getvalue().splitlines()
    assert [re.match(r"step (\d+)/100", each)[1] for each in lines] == ["46", "92", "100"]


def test_a_training_in_a_notebook_says_one_line(cell, workdir, monkeypatch, capfd):
    monkeypatch.setattr("rich.console._is_jupyter", lambda: True)
    gan_lab.train(*RING, steps=6, output="run")
    assert cell[-1]["text/plain"].startswith("step 6/6  ")
    assert capfd.readouterr() == ("", "")
