"""Fixtures that more than one file uses."""

import sys

import pytest
import torch
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig


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
