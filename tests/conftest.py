"""Markers by directory, quicker disks and pictures, and fixtures that more than one file uses."""

import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

TESTS = Path(__file__).parent
# `-m fast`: the mathematics and the configuration, for the work loop.
FAST = (
    *("losses/", "regularizers/", "metrics/", "config/test_compose.py", "training/test_config.py"),
    *("engine/test_objective.py", "engine/test_step.py", "engine/test_optimizers.py"),
)
# Where a test looks at a picture of points, or draws one that once failed.
DRAWN = ("reports/", "browser/", "docs/", "campaigns/test_fuzz.py")

# A job in a shell's background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)
# Waiting for the disk saves from a power cut, not from kill -9, and no test cuts the power.
os.fsync = lambda fd: None


def is_below(path, places):
    return path.relative_to(TESTS).as_posix().startswith(places)


def pytest_ignore_collect(collection_path, config):
    """With `-m fast` only import what it runs."""
    is_other = collection_path.is_file() and not is_below(collection_path, FAST)
    return True if config.option.markexpr.startswith("fast") and is_other else None


def pytest_collection_modifyitems(items):
    for item in items:
        for mark, places in (("fast", FAST), ("browser", "browser/")):
            if is_below(item.path, places):
                item.add_marker(mark)


@pytest.fixture(autouse=True)
def quick_pictures(request, monkeypatch):
    """Pictures of points made of the numbers' bytes: matplotlib takes a third of a short run."""

    def draw(self, content, title):
        parts = [content[name].ravel() for name in ("fake", "logit") if name in content]
        return np.resize(np.concatenate(parts).view(np.uint8), (96, 128, 3))

    if not is_below(request.path, DRAWN):
        monkeypatch.setattr("gan_lab.reports.plots.points.PointsPicture.draw", draw)


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """An empty working directory; what the command line changes in the process is put back."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["gan_lab"])
    threads = torch.get_num_threads()
    yield tmp_path
    torch.set_num_threads(threads)
    GlobalHydra.instance().clear()
    HydraConfig.instance().cfg = None
