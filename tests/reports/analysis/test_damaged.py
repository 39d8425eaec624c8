"""What no run has written is refused in one line, or costs itself."""

import json

import numpy as np
import pytest
import yaml

from gan_lab.errors import ConfigError
from gan_lab.reports.analysis import build, load
from gan_lab.reports.plots import landscape
from tests.reports import example_runs

HUGE = 10**400
DEEP = json.loads("[" * 400 + "]" * 400)


def change_file(file, change):
    content = yaml.safe_load(file.open())  # reads JSON, too
    change(content)
    file.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("config.yaml", lambda c: c["trainer"].update(n_critic=HUGE)),
        ("config.yaml", lambda c: c["trainer"].update(steps=float("inf"))),
        ("config.yaml", lambda c: c["hints"].update(width=DEEP)),
        ("status.json", lambda s: s.update(step=HUGE)),
        ("status.json", lambda s: s.update(step=float("inf"))),
        ("status.json", lambda s: s.update(seeds=[HUGE])),
        ("status.json", lambda s: s.update(threads=[1])),
        ("status.json", lambda s: s["final"][example_runs.TAG].update(value=HUGE)),
        ("status.json", lambda s: s["final"][example_runs.TAG].pop("unit")),
        ("status.json", lambda s: s["final"][example_runs.TAG].pop("n")),
    ],
)
def test_a_number_that_is_none_is_refused(name, change, tmp_path):
    run = example_runs.run(tmp_path / "run")
    change_file(run / name, change)
    with pytest.raises(ConfigError):
        build.report([run])


@pytest.mark.parametrize("row", [str(HUGE), "[" * 10**5, "1e400", '"x"', "[]", "null", "\0" * 9])
def test_a_row_that_is_none_costs_itself(row, tmp_path):
    run = example_runs.run(tmp_path / "run")
    before = load.read_run(run).curves[example_runs.TAG]
    with (run / "metrics.jsonl").open("a") as file:
        file.write(f'{{"step": 101, "{example_runs.TAG}": {row}}}\n{row}\n')
    after = load.read_run(run).curves[example_runs.TAG]
    assert after.steps[: len(before.steps)].tolist() == before.steps.tolist()
    assert row == "1e400" or len(after.steps) == len(before.steps)


def test_a_row_without_end_is_read_in_parts(tmp_path):
    run = example_runs.run(tmp_path / "run")
    with (run / "metrics.jsonl").open("r+b") as file:
        file.truncate(1 << 28)  # of no length on the disk
    assert len(load.read_run(run).curves[example_runs.TAG].steps) == 11


def test_a_best_value_that_is_not_finite_has_no_gap(tmp_path):
    for seed in (0, 1):
        run = example_runs.run(tmp_path / f"run_{seed}", seed)
        best = {"step": 50, "held_out": example_runs.estimate(float("inf"))}
        change_file(run / "status.json", lambda s, best=best: s.update(best=best))
    build.report([tmp_path])


@pytest.mark.parametrize("damage", ["encrypted", "compression", "text", "header"])
def test_a_landscape_of_any_other_kind_is_left_out(damage, tmp_path):
    path = tmp_path / "step_1.npz"
    np.savez(path, x=np.arange(4.0))
    content = bytearray(path.read_bytes())
    start = content.index(b"PK\x01\x02")  # the directory, which is what is read first
    if damage == "encrypted":
        content[start + 8] |= 1
    elif damage == "compression":
        content[start + 10] = 99
    else:
        old, new = {"header": (b"'shape'", b"((((((("), "text": (b"\x93NUMPY", b"\0NUMPY")}[damage]
        content = content.replace(old, new)
    path.write_bytes(content)
    assert landscape.load_or_none(path) is None
