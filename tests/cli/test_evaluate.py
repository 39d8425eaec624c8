"""evaluate measures a checkpoint as the end of its own run did."""

import json

import pytest

from gan_lab.cli import evaluate as evaluate_command
from gan_lab.metrics.estimate import Estimate
from gan_lab.metrics.extrapolation import extrapolate
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from tests.helpers import DIGITS, RING, main, rows, train

EVERY_LOSS = ["minimax", "non_saturating", "wasserstein", "least_squares", "hinge", "relativistic"]


STEPS = ["step_00000003.json", "step_00000006.json"]


def estimates_of(run, step):
    return json.loads((run / "evaluation" / f"step_{step:08d}.json").read_text())


def measured_steps(run):
    return sorted(path.name for path in (run / "evaluation").glob("*.json"))


def test_a_finished_run_is_measured_as_at_its_end(workdir):
    run = train("run", *RING, "trainer.steps=6", "neural_distance.steps=20", "neural_distance.n=64")
    assert main("evaluate", run) == 0
    found = estimates_of(run, 6)
    assert (found["step"], found["estimates"]) == (6, RunDir(run).read_status()["final"])


def test_all_checkpoints_and_several_runs_are_measured(workdir, capsys):
    runs = [
        train(f"run_{seed}", *RING, "trainer.steps=6", "trainer.checkpoint_every=3", f"seed={seed}")
        for seed in range(2)
    ]
    assert main("evaluate", *runs, "step=all") == 0
    assert [measured_steps(run) for run in runs] == [STEPS] * 2
    out = capsys.readouterr().out
    assert "run_0, step 3" in out
    assert "run_1, step 6" in out


def test_seeds_are_measured_from_their_parents_checkpoint_and_steps_stay_apart(workdir):
    run = train("run", *RING, "trainer.steps=6", "trainer.checkpoint_every=3", "n_seeds=2")
    children = [run / "seed_0", run / "seed_1"]
    assert main("evaluate", children[1]) == 0
    assert [measured_steps(child) for child in children] == [[], STEPS[1:]]
    assert main("evaluate", run, "step=all") == 0
    assert main("evaluate", run, "step=3") == 0
    for seed, child in enumerate(children):
        assert measured_steps(child) == STEPS
        found = estimates_of(child, 6)
        assert (found["seed"], found["step"]) == (seed, 6)
        assert found["estimates"] == RunDir(child).read_status()["final"]


def test_what_a_gpu_trained_is_measured_on_a_machine_without_one(workdir):
    run = train("run", *RING, "trainer.steps=4")
    saved = RunDir(run).config.read_text()
    assert "mode: eager" in saved
    last = checkpoint.load_latest(run / "checkpoints")
    last.content["config"]["execution"]["precision"] = "tf32"
    checkpoint.save(last.path, last.content)
    for mode in ("cuda_graph", "compiled"):
        config = saved.replace("mode: eager", f"mode: {mode}").replace("f32", "tf32")
        RunDir(run).config.write_text(config.replace("device: cpu", "device: cuda"))
        assert main("evaluate", run, "device=cpu") == 0
        assert main("sample", run, "n=2", "device=cpu", f"output={mode}_0.5.npy") == 0
        assert (workdir / f"{mode}_0.5.npy").exists()


@pytest.mark.parametrize("data", ["ring", "digits"])
def test_runs_of_all_losses_log_the_same_comparable_tags(workdir, data):
    cheap = [key for key in RING if not key.startswith(("data=", "metrics="))]
    keys = (f"data={data}", *cheap, "neural_distance.steps=20", "neural_distance.n=60")
    evaluator = ("divergence/", "modes/", "samples/", "final/")
    found = []
    for loss in EVERY_LOSS:
        last = rows(train(loss, *keys, f"loss={loss}", "trainer.steps=2"))[-1]
        found.append({tag for tag in last if tag.startswith(evaluator)})
    assert all(tags == found[0] for tags in found)
    divergences = ("wasserstein", "js", "kl_real_fake")
    tags = [*(f"divergence/{name}" for name in divergences), "modes/covered"]
    tags += [f"final/{tag}" for tag in (*tags, "neural_distance/js", "neural_distance/wasserstein")]
    assert {f"{tag}{end}" for tag in tags for end in ("", "_low", "_high", "_floor")} <= found[0]


# Each metric at several n


def by_n_of(folder, step=4):
    return json.loads((folder / f"by_n_step_{step:08d}.json").read_text())["by_n"]


def test_metrics_are_measured_at_each_n_and_one_is_extrapolated(workdir, capsys, monkeypatch):
    # W1 in place of FD: the ring has no features.
    monkeypatch.setattr(
        evaluate_command, "LINEAR_TAGS", ("divergence/wasserstein", "inception/fid")
    )
    run = train("run", *RING, "trainer.steps=4", "metrics=[wasserstein,neighbours]")
    capsys.readouterr()
    assert main("evaluate", run, "n=64,16,32") == 0
    by_n = by_n_of(run / "evaluation")
    assert list(by_n) == ["16", "32", "64", "infinite"]
    final = RunDir(run).read_status()["final"]
    # The run's own n gives the run's own numbers; others are of other draws and have other floors.
    assert by_n["16"] == {tag: e for tag, e in final.items() if tag in by_n["16"]}
    tag = "divergence/wasserstein"
    floors = [by_n[n][tag]["floor"] for n in ("16", "32", "64")]
    assert floors[0] > floors[1] > floors[2]
    assert [by_n[n][tag]["n"] for n in ("16", "32", "64")] == [16, 32, 64]
    rows = [Estimate(**by_n[n][tag]) for n in ("16", "32", "64")]
    assert list(by_n["infinite"]) == [tag]
    assert by_n["infinite"][tag] == pytest.approx(vars(extrapolate(rows, 2)))
    shown = capsys.readouterr().out
    assert "infinite" in next(line for line in shown.splitlines() if " infinite " in line)
    assert "the intercept of a line" in shown
    assert measured_steps(run) == ["by_n_step_00000004.json"]


def test_one_n_of_several_seeds_is_not_extrapolated(workdir, capsys):
    run = train("run", *RING, "trainer.steps=4", "n_seeds=2")
    assert main("evaluate", run, "n=20", "output=out") == 0
    for seed in range(2):
        assert list(by_n_of(workdir / "out" / f"seed_{seed}")) == ["20"]
    assert "intercept" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("n", "message"),
    [
        ("1", "n=1 is too few for these metrics; take at least 2"),
        ("a,20", "n=a,20 is no list of whole numbers; say n=128,500"),
        ("-3", "n=-3 is no list of whole numbers"),
        ("30000", "n=30000 is more than 20000, the most"),
    ],
)
def test_an_n_that_cannot_be_measured_is_refused(workdir, capsys, n, message):
    run = train("run", *RING, "trainer.steps=4")
    assert main("evaluate", run, f"n={n}") == 2
    assert message in capsys.readouterr().err


def test_an_n_above_the_held_out_part_is_refused(workdir, capsys):
    run = train("run", *DIGITS, "trainer.steps=2")
    assert main("evaluate", run, "n=64,1000") == 2
    assert "samples of the data set's smaller part; take fewer" in capsys.readouterr().err
