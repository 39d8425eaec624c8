"""Full, read-only and vanished disks: one line, nothing torn, and the run goes on where it can."""

import pytest

from tests.campaigns import disks

SOME = (
    *("full at a checkpoint", "full at the last checkpoint", "full at metrics.jsonl"),
    *("full before the first file", "directory removed"),
)


def test_some_faults_of_a_disk_are_survived():
    """One of each sort."""
    result = disks.campaign(kinds=SOME)
    assert [fault.kind for fault in result.faults] == list(SOME)
    assert result.lost == []


@pytest.mark.slow
@pytest.mark.parametrize("may_mount", [True, False])
def test_every_fault_of_a_disk_is_survived(may_mount, monkeypatch):
    if not may_mount:
        monkeypatch.setattr(disks, "mount", lambda folder, option: False)
    result = disks.campaign()
    assert may_mount or result.measured["disk"] == "a folder below which writing fails"
    assert len(result.faults) == 12
    assert result.lost == []
