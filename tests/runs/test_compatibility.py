"""A run directory of the layout before the rooms opens in every command."""

import shutil
from pathlib import Path

import pytest
import yaml

from gan_lab.config.compose import build_run_config
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.compatibility import (
    current_config,
    current_override,
    current_overrides,
    current_tag,
)
from gan_lab.runs.run_dir import RunDir
from tests.helpers import files, main

STORED = Path(__file__).parents[1] / "data" / "old_run"


@pytest.fixture
def old(workdir):
    shutil.copytree(STORED, workdir / "old")
    return Path("old")


def test_every_class_key_and_tag_of_an_old_run_has_a_name_of_today():
    config = yaml.safe_load((STORED / "config.yaml").read_text())
    now = build_run_config(current_config(config))
    assert (now.evaluator.n, now.neural_distance.steps, now.trainer.landscape_every) == (16, 20, 40)
    assert list(now.metrics) == list(config["measure"])
    assert now.regularizers["gradient_penalty"].every == 1  # it was at each update
    last = read_metrics(STORED / "seed_0" / "metrics.jsonl")[-1]
    assert "final/neural_distance/js_floor" in last
    assert "discriminator_estimate/gradient_norm_max" in last
    assert {"time/evaluation_share", "time/evaluation_seconds"} < set(last)
    former = ("probe", "slope", "readable", "estimate_s")
    assert not any(name in tag for tag in last for name in former)


def test_names_of_today_stay_as_they_are():
    assert current_override("probe.steps=3") == "neural_distance.steps=3"
    assert current_override("+trainer.film_every=0") == "+trainer.landscape_every=0"
    for same in ("seed=3", "neural_distance.steps=3", "data=ring", "metrics=[js]"):
        assert current_override(same) == same
    assert current_tag("neural_distance/js") == "neural_distance/js"
    assert current_tag("final/probe/js_high") == "final/neural_distance/js_high"
    config = {"evaluator": {"n": 3}, "data": {"measure": 1}}
    assert current_config(config) == config


def test_sample_evaluate_and_compare_read_an_old_run(old):
    assert main("sample", old, "n=5") == 0
    assert main("evaluate", old) == 0
    assert main("evaluate", old / "seed_1", "step=best") == 0
    assert main("compare", old, "output=page") == 0
    numbers = "".join(file.read_text() for file in (Path("page") / "csv").iterdir())
    assert "neural_distance/js" in numbers
    assert "probe" not in numbers


def test_resume_refuses_an_old_run_in_one_line_and_leaves_it_as_it_is(old, capsys):
    """Its random numbers were those of streams that no version since continues."""
    before = {file: (old / file).read_bytes() for file in files(old) if (old / file).is_file()}
    assert main("resume", old, "trainer.steps=60") == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "was made by an earlier version" in err
    assert "Evaluate, sample, compare and fork open it" in err
    assert {file: (old / file).read_bytes() for file in before} == before


def test_fork_starts_from_an_old_run(old):
    code = main("fork", old, "loss=minimax", "trainer.steps=50", "hydra.run.dir=forked")
    assert code == 0
    assert read_metrics(RunDir(Path("forked")).child(0).metrics)[-1]["step"] == 50


def test_a_run_of_the_former_default_data_keeps_them():
    digits, ring = "gan_lab.data.digits.Digits", "gan_lab.data.toy.Ring"
    assert current_overrides(["loss=hinge"], digits) == ["data=digits", "loss=hinge"]
    for typed, data in ((["data=digits"], digits), (["loss=hinge"], ring), (["preset=a"], digits)):
        assert current_overrides(typed, data) == typed
