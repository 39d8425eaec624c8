"""A long run: bounded files, constant descriptors, flat memory, steady speed."""

import pytest

from gan_lab.runs.run_dir import RunDir
from tests.campaigns import soak


def lost(found):
    return {fault.kind: fault.lost for fault in found.lost}


def test_a_run_keeps_its_files_bounded_and_its_descriptors_constant():
    found = soak.campaign(2_000)
    assert {fault.kind for fault in found.faults} >= {"descriptors", "threads", "files"}
    assert found.measured["memory samples"] > 10
    assert lost(found) == {}


@pytest.mark.slow
def test_two_hundred_thousand_steps():
    assert lost(soak.campaign()) == {}


def test_the_trend_of_a_line_is_its_slope():
    slope, error = soak.trend([0.0, 1.0, 2.0, 3.0], [5.0, 7.0, 9.0, 11.0])
    assert slope == pytest.approx(2.0, abs=1e-12)
    assert error == pytest.approx(0.0, abs=1e-9)


def test_what_grows_is_seen(tmp_path, monkeypatch):
    files = {kind: {"files": 3} for kind in ("checkpoints", "samples", "landscape")}
    files["landscape"]["files"] = 400
    monkeypatch.setattr(soak, "_files", lambda run: files)
    monkeypatch.setattr(soak, "_speed", lambda run: 0.5)
    steps = range(0, 200_000, 1000)
    leak = [soak.Sample(step, 500 + step / 1e4, 20 + step // 20_000, 2) for step in steps]
    found = soak.judge(200_000, leak, RunDir(tmp_path))
    assert set(lost(found)) == {"memory", "descriptors", "files", "speed"}
