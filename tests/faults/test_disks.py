"""Full, read-only and vanished disks: one line, nothing torn, and the run goes on where it can."""

from scripts.faults import disks


def test_every_fault_of_a_disk_is_survived():
    found = disks.campaign()
    assert len(found.faults) == 11
    assert found.lost == []
