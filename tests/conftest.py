"""Fixtures that more than one file uses."""

import signal
import sys

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig

# A job in a shell's background ignores Ctrl-C, and so would every process that a test starts.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
