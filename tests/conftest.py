"""Markers by directory, quicker disks, pictures and composing, and fixtures of several files."""

import copy
import functools
import os
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hydra._internal.config_repository import ConfigRepository
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.override_parser.overrides_parser import OverridesParser

from gan_lab.runs import run_dir

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
# Two processes for each training, of a commit that does not change.
run_dir._git = functools.cache(run_dir._git)


def remember_configs(load=ConfigRepository.load_config):
    """Let Hydra read a file of conf/ once: composing is half of the shortest training."""
    configs = {}

    def load_config(self, config_path):
        roots = [source.path.removeprefix("file://") for source in self.sources]
        files = [f"{root}/{config_path.removesuffix('.yaml')}.yaml" for root in roots]
        stats = [os.stat(file) for file in files if os.path.isfile(file)]
        key = (config_path, *roots, *((s.st_ino, s.st_mtime_ns, s.st_size) for s in stats))
        if key not in configs:
            configs[key] = load(self, config_path)
        if configs[key] is None:  # another source may come
            return configs.pop(key)
        return copy.deepcopy(configs[key])  # Hydra writes into it

    ConfigRepository.load_config = load_config


def remember_overrides(parse=OverridesParser.parse_rule):
    """Let Hydra parse a word of a command line once; what it refuses it refuses each time."""
    parsed = {}

    def parse_rule(self, text, rule):
        if (text, rule) not in parsed:
            parsed[text, rule] = parse(self, text, rule)
        return copy.deepcopy(parsed[text, rule])

    OverridesParser.parse_rule = parse_rule


remember_configs()
remember_overrides()


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
