"""Full, read-only and vanished disks: one line, nothing torn, and the run goes on where it can."""

import pytest

from tests.campaigns import disks


@pytest.mark.slow
def test_it_is_the_same_where_nothing_may_be_mounted(monkeypatch):
    monkeypatch.setattr(disks, "_run_command", lambda *command: False)
    result = disks.campaign()
    assert result.measured["disk"] == "a folder below which writing fails"
    assert result.lost == []


def test_every_fault_of_a_disk_is_survived():
    result = disks.campaign()
    assert len(result.faults) == 12
    assert result.lost == []
