"""Whatever is damaged in a run directory: each command goes on and says so, or refuses."""

import random
import shutil

import pytest

from gan_lab.runs import checkpoint
from tests.campaigns import damage

CASES = damage.cases()
KINDS = list({case.kind: case for case in CASES}.values())
OTHERS = {
    "width": "network.width: 16 / 8",
    "network": "network.depth: 2 / 3",
    "loss": "loss._target_: 'gan_lab.losses.Minimax' / 'gan_lab.losses.Wasserstein'",
    "regularizer": "regularizer.r1._target_: 'gan_lab.regularizers.R1' / missing",
    "optimiser": "optim._target_: 'gan_lab.engine.optimizers.RmsProp' / "
    "'gan_lab.engine.optimizers.Adam'",
    "seeds": "n_seeds: 2 / 1",
    "data": "data._target_: 'gan_lab.data.toy.Grid' / 'gan_lab.data.toy.Ring'",
}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(home)
        return damage.train_runs(home)


@pytest.mark.parametrize("i", range(len(KINDS)), ids=lambda i: f"{i}-{KINDS[i].kind}")
def test_a_damaged_run_is_resumed_bit_for_bit_or_refused_in_a_line(i, runs, workdir):
    commands = ("resume", damage.COMMANDS[1 + i % 5])
    what, lost = damage.attempt(KINDS[i], runs, workdir / "copy", random.Random(i), commands)
    assert not lost, what


@pytest.mark.slow
def test_a_damaged_run_of_images_is_resumed_bit_for_bit_or_refused(runs, workdir):
    (workdir / "home").mkdir()
    with_images = damage.with_images(runs, workdir / "home")
    for i, case in enumerate(damage.image_cases()):
        what, lost = damage.attempt(case, with_images, workdir / "copy", random.Random(i))
        assert not lost, what


@pytest.mark.slow
def test_a_damaged_cache_of_classifiers_costs_a_training_of_one(workdir):
    faults = damage.cache_faults(workdir / "cached", random.Random(0))
    assert len(faults) == len(damage.CACHE_DAMAGES)
    assert [fault for fault in faults if fault.lost] == []


def test_each_case_of_two_processes_counts_its_own_trainings(workdir, monkeypatch):
    n_trainings = 1

    def start(arguments, log, plant):
        with open(log, "a") as file:  # the first of two trains
            is_first = str(arguments[-1]).endswith("/run")
            file.write("training the classifier\n" * (n_trainings if is_first else 0))

    monkeypatch.setattr(damage, "start_warm", start)
    monkeypatch.setattr(damage, "wait", lambda process: 0)
    monkeypatch.setattr(damage, "rows", lambda path: [])
    assert [damage._two_processes(workdir) for _ in range(2)] == ["", ""]
    n_trainings = 2
    assert "2 trainings" in damage._two_processes(workdir)


@pytest.mark.slow
def test_every_command_survives_every_damage():
    assert damage.campaign(n=3 * len(CASES), seed=1).lost == []


@pytest.mark.parametrize(("name", "answer"), OTHERS.items(), ids=list(OTHERS))
def test_a_checkpoint_of_another_run_is_refused_with_what_differs(name, answer, runs, workdir):
    run = workdir / "run"
    shutil.copytree(runs.stopped, run)
    theirs = next(path for path in runs.others if path.name == name) / "checkpoints"
    newest = max(checkpoint.available(run / "checkpoints").values())
    shutil.copy(max(checkpoint.available(theirs).values()), newest)
    before = {p: p.read_bytes() for p in run.rglob("*") if p.is_file() and p.name != ".lock"}
    others = (["sample"], ["evaluate"], ["fork", "loss=hinge"]) if name == "loss" else ()
    for command, *more in (["resume"], *others):
        code, _, err = damage.run_command(command, run, *more)
        assert (code, err.count("\n")) == (2, 1)
        assert err.startswith("ConfigError: checkpoint ")
        assert answer in err
        assert (" more. " in err) == (name in ("regularizer", "loss", "data"))
    assert {path: path.read_bytes() for path in before} == before


def test_what_may_change_under_a_run_does_not_count(runs, workdir):
    run = workdir / "run"
    shutil.copytree(runs.stopped, run)
    text = (run / "config.yaml").read_text()
    assert "steps: 40" in text
    (run / "config.yaml").write_text(text.replace("steps: 40", "steps: 44"))
    assert damage.run_command("resume", run, "trainer.steps=45", "execution.mode=eager")[0] == 0
    assert damage.run_command("sample", run, "n=2", "device=cpu")[0] == 0


def test_a_damaged_checkpoint_never_pushes_a_whole_one_out(tmp_path):
    for step in (10, 20):
        checkpoint.save(checkpoint.checkpoint_path(tmp_path, step), {"step": step})
    checkpoint.checkpoint_path(tmp_path, 20).write_bytes(b"")
    loaded = checkpoint.load_latest(tmp_path)
    checkpoint.set_aside(loaded)
    checkpoint.save(checkpoint.checkpoint_path(tmp_path, 15), {"step": 15})
    checkpoint.rotate(tmp_path, keep=1)
    assert checkpoint.load_latest(tmp_path).content["step"] == 15
    assert (tmp_path / "step_00000020.pt.damaged").exists()
