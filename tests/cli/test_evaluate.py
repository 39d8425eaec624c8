"""evaluate measures a checkpoint as the end of its own run did."""

import json

import pytest

from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from tests.helpers import RING, main, train

EVERY_LOSS = ["minimax", "non_saturating", "wasserstein", "least_squares", "hinge", "relativistic"]


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_finished_run_is_measured_as_at_its_end(workdir):
    run = train("run", *RING, "trainer.steps=6", "neural_distance.steps=20", "neural_distance.n=64")
    assert main("evaluate", run) == 0
    found = json.loads((run / "evaluation" / "step_00000006.json").read_text())
    assert found["step"] == 6
    assert found["estimates"] == json.loads((run / "status.json").read_text())["final"]


def test_all_checkpoints_and_several_runs_are_measured(workdir, capsys):
    runs = [
        train(f"run_{seed}", *RING, "trainer.steps=6", "trainer.checkpoint_every=3", f"seed={seed}")
        for seed in range(2)
    ]
    assert main("evaluate", *runs, "step=all") == 0
    for run in runs:
        names = sorted(p.name for p in (run / "evaluation").glob("*.json"))
        assert names == ["step_00000003.json", "step_00000006.json"]
    out = capsys.readouterr().out
    assert "run_0, step 3" in out
    assert "run_1, step 6" in out


def test_a_child_seed_is_measured_from_its_parents_checkpoint(workdir):
    run = train("run", *RING, "trainer.steps=4", "n_seeds=2")
    assert main("evaluate", run / "seed_1") == 0
    found = json.loads((run / "seed_1" / "evaluation" / "step_00000004.json").read_text())
    assert found["estimates"] == RunDir(run / "seed_1").read_status()["final"]


def test_a_parent_is_measured_seed_by_seed_and_steps_stay_apart(workdir):
    run = train("run", *RING, "trainer.steps=6", "trainer.checkpoint_every=3", "n_seeds=2")
    assert main("evaluate", run, "step=all") == 0
    assert main("evaluate", run, "step=3") == 0
    for seed in (0, 1):
        home = run / f"seed_{seed}" / "evaluation"
        assert sorted(p.name for p in home.glob("*.json")) == [
            "step_00000003.json",
            "step_00000006.json",
        ]
        found = json.loads((home / "step_00000006.json").read_text())
        assert (found["seed"], found["step"]) == (seed, 6)
        assert found["estimates"] == RunDir(run / f"seed_{seed}").read_status()["final"]


def test_a_checkpoint_may_be_opened_on_another_device(workdir):
    run = train("run", *RING, "trainer.steps=4")
    config = run / "config.yaml"
    config.write_text(config.read_text().replace("device: cpu", "device: cuda"))
    assert main("evaluate", run, "device=cpu") == 0
    assert main("sample", run, "device=cpu", "n=4", "output=out_0.5.npy") == 0
    assert (workdir / "out_0.5.npy").exists()


def test_what_a_gpu_trained_is_measured_on_a_machine_without_one(workdir):
    run = train("run", *RING, "trainer.steps=4")
    saved = RunDir(run).config.read_text()
    assert "mode: eager" in saved
    last = checkpoint.load_latest(run / "checkpoints")
    last.content["config"]["execution"]["precision"] = "tf32"
    checkpoint.save(last.path, last.content)
    for mode in ("cuda_graph", "compiled"):
        config = saved.replace("mode: eager", f"mode: {mode}").replace("f32", "tf32")
        RunDir(run).config.write_text(config)
        assert main("evaluate", run, "device=cpu") == 0
        assert main("sample", run, "n=2", "device=cpu") == 0


@pytest.mark.parametrize("bad", ["step=x", "step=-1", "stp=1", "step=99"])
def test_what_cannot_be_measured_is_refused_in_one_line(workdir, capsys, bad):
    run = train("run", *RING, "trainer.steps=4")
    capsys.readouterr()
    assert main("evaluate", run, bad) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert not (run / "evaluation").exists()


@pytest.mark.parametrize("data", ["ring", "digits"])
def test_runs_of_all_losses_log_the_same_comparable_tags(workdir, data):
    from gan_lab.loggers.jsonl import read_metrics

    cheap = [key for key in RING if not key.startswith(("data=", "metrics="))]
    found = []
    for loss in EVERY_LOSS:
        keys = (
            f"data={data}",
            f"loss={loss}",
            *cheap,
            "neural_distance.steps=20",
            "neural_distance.n=60",
        )
        run = train(f"{loss}", *keys, "trainer.steps=2")
        last = read_metrics(run / "metrics.jsonl")[-1]
        evaluator = ("divergence/", "modes/", "samples/", "final/")
        found.append({tag for tag in last if tag.startswith(evaluator)})
    assert all(tags == found[0] for tags in found)
    for tag in (
        "divergence/wasserstein",
        "divergence/js",
        "divergence/kl_real_fake",
        "modes/covered",
    ):
        for end in ("", "_low", "_high", "_floor"):
            assert f"{tag}{end}" in found[0]
            assert f"final/{tag}{end}" in found[0]
    for tag in ("neural_distance/js", "neural_distance/wasserstein"):
        assert {f"final/{tag}{end}" for end in ("", "_low", "_high", "_floor")} <= found[0]
