"""The running jobs of a sweep are read from their directories, while other processes write."""

import io
import json
import re

import pytest
from rich.console import Console

from gan_lab.cli.sweep_progress import SweepProgress, newest_rows, running_jobs
from gan_lab.runs.run_dir import RunDir

W1 = "divergence/wasserstein"


def job(sweep, name, state, *rows, child="", steps=2000):
    home = RunDir(sweep / name)
    (home.path / child).mkdir(parents=True)
    home.write_status(state=state, steps=steps)
    text = "".join(json.dumps(row) + "\n" for row in rows)
    (home.path / child / "metrics.jsonl").write_text(text)
    return home


def measured_at(step, w1):
    return {"step": step, W1: w1, f"{W1}_floor": 0.25}


def test_a_running_job_is_its_newest_step_and_the_w1_measured_last(tmp_path):
    job(tmp_path, "10_b", "running", measured_at(0, 1.4), measured_at(384, 0.5), {"step": 400})
    job(tmp_path, "2_a", "running", measured_at(0, 1.4), child="seed_4")
    job(tmp_path, "0_c", "done", measured_at(2000, 0.3))
    job(tmp_path, "1_d", "interrupted")
    job(tmp_path, "3_e", "starting", steps=0)
    (tmp_path / "multirun.yaml").touch()
    assert [str(each) for each in running_jobs(tmp_path)] == [
        "2_a: step 0/2000  W1 1.4 at step 0, real data 0.25",
        "3_e: starting",
        "10_b: step 400/2000  W1 0.5 at step 384, real data 0.25",
    ]
    assert list(running_jobs(tmp_path / "nowhere")) == []


def test_a_line_that_is_being_written_and_the_head_of_a_long_file_are_left_out(tmp_path):
    file = tmp_path / "metrics.jsonl"
    rows = [{"step": step, "filling": "x" * 200} for step in range(2000)]
    file.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"step": 20')
    found = newest_rows(file)
    assert found[-1]["step"] == 1999
    assert 0 < len(found) < 400
    assert [row["step"] for row in found] == list(range(2000 - len(found), 2000))
    assert newest_rows(tmp_path / "nowhere") == []


@pytest.fixture
def clock(monkeypatch):
    now = [0.0]
    monkeypatch.setattr("gan_lab.cli.sweep_progress.time.monotonic", lambda: now[0])
    return now


def test_without_a_terminal_a_job_has_a_line_at_intervals_and_one_at_its_end(tmp_path, clock):
    home = job(tmp_path, "0_a", "running", measured_at(0, 1.4))
    ended, screen = [], Console(file=io.StringIO(), force_terminal=False)
    progress = SweepProgress(tmp_path, lambda: [ended.pop()] if ended else [], screen)
    for clock[0] in (0.0, 5.0, 16.0, 20.0, 32.0, 33.0):  # it says the same once
        progress.update()
    home.metrics.write_text(json.dumps(measured_at(50, 0.9)) + "\n")
    for clock[0] in (40.0, 47.5):
        progress.update()
    home.update_status(state="done")
    ended.append("0_a: done at step 2000")
    progress.update()
    assert screen.file.getvalue().splitlines() == [
        "0_a: step 0/2000  W1 1.4 at step 0, real data 0.25",
        "0_a: step 50/2000  W1 0.9 at step 50, real data 0.25",
        "0_a: done at step 2000",
    ]


def test_a_terminal_has_a_bar_for_each_job_that_runs(tmp_path, monkeypatch):
    monkeypatch.setattr("gan_lab.cli.sweep_progress._POLL_SECONDS", 3600.0)
    screen = Console(file=io.StringIO(), force_terminal=True, width=100, _environ={})
    home = job(tmp_path, "0_a", "running", measured_at(0, 1.4))
    other = job(tmp_path, "1_[red]", "starting", steps=0)
    ended = ["before: done"]
    with SweepProgress(tmp_path, lambda: [ended.pop()] if ended else [], screen) as progress:
        progress.update()
        assert len(progress._bars.tasks) == 2
        home.update_status(state="done")
        other.update_status(state="running", steps=2000)
        ended.append("0_a: done")
        progress.update()
        (task,) = progress._bars.tasks
        assert (task.description, task.completed, task.total) == ("1_[red]", 0, 2000)
        ended.append("1_[red]: done")  # at the very end
    shown = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", screen.file.getvalue())
    for line in ("before: done", "0_a: done", "1_[red]: done"):
        assert len(re.findall(rf"\r{re.escape(line)} *\n", shown)) == 1, shown
    assert "0/2000  W1 1.4 at step 0, real data 0.25" in shown
