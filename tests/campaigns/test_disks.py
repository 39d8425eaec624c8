"""Full, read-only and vanished disks: one line, nothing torn, and the run goes on where it can."""

import pytest

from tests.campaigns import disks


@pytest.mark.parametrize("may_mount", [True, pytest.param(False, marks=pytest.mark.slow)])
def test_every_fault_of_a_disk_is_survived(may_mount, monkeypatch):
    if not may_mount:
        monkeypatch.setattr(disks, "mount", lambda folder, option: False)
    result = disks.campaign()
    assert may_mount or result.measured["disk"] == "a folder below which writing fails"
    assert len(result.faults) == 12
    assert result.lost == []
