"""The best checkpoint: chosen on the curve, kept beside the last, reported on held-out data."""

import itertools
import json
import math
import shutil
import statistics
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from gan_lab.loggers.jsonl import read_metrics
from gan_lab.metrics.evaluator import Evaluator
from gan_lab.runs import checkpoint
from gan_lab.runs.headline import ENERGY, FRECHET
from gan_lab.runs.headline import WASSERSTEIN as TAG
from gan_lab.runs.run_dir import RunDir
from gan_lab.training.callbacks.best_checkpoint import BestCheckpoint
from gan_lab.training.callbacks.logging import Logging
from tests.helpers import DIGITS, RING, load_checkpoint, main, rows, state_digest, train
from tests.runner.test_resume import assert_same_run, homes, refused

# Measured at 6, 12, ...; saved at 10, 20, ...
CLOCK = ("trainer.log_every=7", "evaluator.every=6", "trainer.checkpoint_every=10")
FAST = (*RING, *CLOCK, "optim.lr=1e-2", "trainer.ema=0.5", "trainer.steps=44")
TWO = (*FAST, "n_seeds=2")


def curve(path):
    """step -> W1 on the curve."""
    return {r["step"]: r[TAG] for r in read_metrics(Path(path) / "metrics.jsonl") if TAG in r}


def best_of(path):
    return RunDir(Path(path)).read_status()["best"]


def record_of(content):
    return content["callbacks"]["BestCheckpoint"]["record"]


def checkpoints(path):
    return sorted(p.name for p in (Path(path) / "checkpoints").iterdir())


def lowest(values):
    return min(values, key=lambda step: (values[step], step))


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Runs that nobody stopped, by the number of seeds."""
    root = tmp_path_factory.mktemp("whole")
    return {1: train(root / "one", *FAST), 2: train(root / "two", *TWO)}


def test_the_best_is_the_lowest_of_the_curve(whole):
    run, values = whole[1], curve(whole[1])
    step = lowest(values)
    best = best_of(run)
    assert 0 < step < 44, "the run shows nothing: choose another"
    assert (best["step"], best["tag"]) == (step, TAG)
    row = next(r for r in read_metrics(run / "metrics.jsonl") if r["step"] == step)
    assert best["validation"]["value"] == row[TAG]
    for part in ("low", "high", "floor"):
        assert best["validation"][part] == row[f"{TAG}_{part}"]
    assert best["last"]["step"] == 44
    assert best["last"]["validation"]["value"] == values[44]
    assert best["last"]["held_out"] == RunDir(run).read_status()["final"][TAG]
    assert load_checkpoint(run, "best")["step"] == step
    assert record_of(load_checkpoint(run))["step"] == step


def test_several_seeds_share_the_step_at_which_their_mean_is_lowest(whole):
    children = [whole[2] / "seed_0", whole[2] / "seed_1"]
    each = [curve(child) for child in children]
    mean = {step: statistics.fmean(values[step] for values in each) for step in each[0]}
    for child, values in zip(children, each, strict=True):
        assert best_of(child)["step"] == lowest(mean)
        assert best_of(child)["validation"]["value"] == values[lowest(mean)]
    assert best_of(children[0])["held_out"] != best_of(children[1])["held_out"]
    assert "best" not in RunDir(whole[2]).read_status()


@pytest.mark.parametrize("n_seeds", [1, 2])
def test_what_is_reported_of_it_is_what_evaluate_finds(n_seeds, whole, workdir):
    run = whole[n_seeds]
    assert main("evaluate", run, "step=best") == 0
    for home in homes(run):
        best = best_of(home.path)
        file = home.path / "evaluation" / f"step_{best['step']:08d}.json"
        assert json.loads(file.read_text())["estimates"][TAG] == best["held_out"]
        assert best["held_out"] != best["last"]["held_out"]


def test_choosing_and_reporting_leave_the_run_as_it_is(whole, workdir, monkeypatch):
    monkeypatch.setattr(BestCheckpoint, "_update", lambda *_: None)
    assert main("train", *FAST, "hydra.run.dir=run") == 0
    assert best_of("run") is None
    ours, theirs = load_checkpoint("run"), load_checkpoint(whole[1])
    for part in ("state", "accumulator"):
        assert checkpoint.digest(ours[part]) == checkpoint.digest(theirs[part])
    assert rows("run") == rows(whole[1])


def test_a_best_that_is_the_last_is_reported_with_the_final_number(workdir):
    train("run", *RING, "trainer.steps=5", "optim.lr=1e-2", "trainer.ema=0")
    best = best_of("run")
    assert best["step"] == 5
    assert best["held_out"] == best["last"]["held_out"]
    assert best["held_out"] == RunDir(Path("run")).read_status()["final"][TAG]


def test_a_finite_set_chooses_on_data_that_are_not_reported(workdir, monkeypatch):
    """The generator is perfect on the validation part at step 2, on the held-out part at step 4."""
    from gan_lab.training.run import Run

    parts = {2: "validation", 4: "held_out"}

    def copied(self, index, z, step=None):
        part = parts.get(self.state.step if step is None else step)
        if part is None:
            return torch.zeros(len(z), 1, 8, 8)
        copies = getattr(self.source, part)(20, torch.Generator().manual_seed(0))
        return copies.repeat(-(-len(z) // 20), 1, 1, 1)[: len(z)]

    monkeypatch.setattr(Run, "samples", copied)
    monkeypatch.setattr(Run, "samples_from", lambda self, a, i, z: copied(self, i, z, 2))
    sizes = ("data.n_validation=20", "data.n_held_out=20", "evaluator.n=20", "evaluator.final_n=20")
    keys = [k for k in DIGITS if k.partition("=")[0] not in ("evaluator.n", "evaluator.final_n")]
    train("run", *keys, *sizes, "trainer.steps=4", "evaluator.every=1", "optim.lr=1e-5")
    best = best_of("run")
    assert best["step"] == 2
    assert best["validation"]["value"] == pytest.approx(0, abs=1e-6)
    assert best["held_out"]["value"] > 1
    assert best["last"]["held_out"]["value"] == pytest.approx(0, abs=1e-6)


class Killed(BaseException):
    pass


def killed(monkeypatch, *overrides, at, moment):
    """A run that dies at a boundary, without a chance to save."""

    def die(*arguments, **keys):
        raise Killed

    save, write = checkpoint.save, Logging.on_step_end

    def save_or_die(path, content):
        return die() if path.name == f"step_{at:08d}.pt" else save(path, content)

    def write_or_die(self, run):
        return die() if run.state.step == at else write(self, run)

    with monkeypatch.context() as patch:
        if moment == "between":  # the best is on the disk, the checkpoint that names it is not
            patch.setattr(checkpoint, "save", save_or_die)
        else:
            patch.setattr(Logging, "on_step_end", write_or_die)
        with pytest.raises(Killed):
            main("train", *overrides, "hydra.run.dir=run")


@pytest.mark.parametrize(
    ("at", "moment", "n_seeds"), [(20, "between", 2), (30, "between", 1), (36, "writing", 1)]
)
def test_a_killed_run_finds_the_same_best(at, moment, n_seeds, whole, workdir, monkeypatch):
    killed(monkeypatch, *(FAST if n_seeds == 1 else TWO), at=at, moment=moment)
    newest = load_checkpoint("run")
    if moment == "between":
        assert newest["step"] == at - 10
    later = checkpoint.best_path(Path("run/checkpoints"), at - 1)
    checkpoint.save(later, newest)
    assert main("resume", "run") == 0
    assert not later.exists()  # a resumed run forgets the bests after its step
    assert_same_run("run", whole[n_seeds])
    assert checkpoints("run") == checkpoints(whole[n_seeds])
    assert state_digest("run", "best") == state_digest(whole[n_seeds], "best")
    for mine, yours in zip(homes("run"), homes(whole[n_seeds]), strict=True):
        assert best_of(mine.path) == best_of(yours.path)


def test_every_kept_checkpoint_finds_the_best_it_names(whole):
    for run in whole.values():
        for step in checkpoint.available(run / "checkpoints"):
            named = record_of(load_checkpoint(run, step))["step"]
            assert checkpoint.best_path(run / "checkpoints", named).exists()


def test_without_the_measure_there_is_no_best(workdir, capsys):
    cheap = [key for key in RING if not key.startswith("metrics=")]
    train("run", *cheap, "metrics=[neighbours]", "trainer.steps=4")
    assert best_of("run") is None
    assert checkpoints("run") == ["step_00000004.pt"]
    assert "has no best checkpoint" in refused(capsys, "evaluate", "run", "step=best")


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_is_not_finite_is_never_the_best(value, workdir, monkeypatch):
    from gan_lab.metrics import metrics

    exact, n_calls = metrics.exact_wasserstein, itertools.count()

    def broken(*samples):
        return exact(*samples) if next(n_calls) < 6 else value

    monkeypatch.setattr(metrics, "exact_wasserstein", broken)
    keys = ("trainer.steps=20", "evaluator.every=5", "evaluator.floor_n_repeats=2")
    assert main("train", *RING, *keys, "hydra.run.dir=run") == 1
    best = load_checkpoint("run", "best")
    assert best["step"] <= 5
    assert math.isfinite(record_of(best)["value"])


def test_a_run_that_diverges_leaves_its_best(workdir):
    keys = ("evaluator.every=1", "optim=sgd", "optim.lr=1e10", "trainer.checkpoint_every=0")
    assert main("train", *RING, *keys, "trainer.steps=20", "hydra.run.dir=run") == 1
    assert load_checkpoint("run", "best")["step"] < 20


@pytest.mark.parametrize("torn", [False, True])
def test_a_best_that_cannot_be_read_costs_the_report_alone(torn, whole, workdir, capsys):
    """A run that was resumed after its best measurement has the state on the disk alone."""
    expected = best_of(whole[1])
    assert expected["step"] <= 40, "choose another run"
    folder = Path(shutil.copytree(whole[1], "run")) / "checkpoints"
    (folder / "step_00000044.pt").unlink()
    if torn:
        checkpoint.best_path(folder, expected["step"]).write_bytes(b"torn")
        del expected["held_out"]
    assert main("resume", "run") == 0
    assert best_of("run") == expected
    assert ("not reported on" in capsys.readouterr().out) == torn


def test_samples_come_from_the_best_too(whole, workdir):
    def sampled(*keys):
        assert main("sample", whole[1], "n=4", "output=samples.npy", *keys) == 0
        return Path("samples.npy").read_bytes()

    step = best_of(whole[1])["step"]
    assert sampled("step=best") == sampled(f"step={step}") != sampled()


def with_frechet(monkeypatch):
    """Make each measurement have an FD, which falls where W1 rises."""
    measure = Evaluator.measure

    def measure_both(self, make, seed, step, final=False, only=None):
        only = TAG if only == FRECHET else only
        estimates = measure(self, make, seed, step, final, only)
        w1 = estimates[TAG]
        value = 1 / (1 + w1.value)
        estimates[FRECHET] = replace(w1, value=value, low=value, high=value, floor=0.1, unit="1")
        return estimates

    monkeypatch.setattr(Evaluator, "measure", measure_both)


def test_where_fd_is_measured_the_best_is_by_it_and_not_by_w1(whole, workdir, monkeypatch):
    with_frechet(monkeypatch)
    run = train("run", *FAST)
    w1 = curve(run)
    assert w1 == curve(whole[1]), "the training differs: the test shows nothing"
    step = min(w1, key=lambda step: (-w1[step], step))
    best = best_of(run)
    assert step != lowest(w1)
    assert (best["step"], best["tag"]) == (step, FRECHET)
    assert best["validation"]["value"] == pytest.approx(1 / (1 + w1[step]), rel=1e-12)
    assert best["last"]["held_out"] == RunDir(run).read_status()["final"][FRECHET]
    assert record_of(load_checkpoint(run))["tag"] == FRECHET


def test_on_digits_the_best_is_by_the_energy_distance_and_w1_where_that_is_not_measured(workdir):
    keys = (*DIGITS, "evaluator.every=3", "trainer.steps=12", "trainer.ema=0.5", "optim.lr=1e-2")
    both = train("both", *keys, "metrics=[wasserstein,kernel]")
    energy = {r["step"]: r[ENERGY] for r in read_metrics(both / "metrics.jsonl") if ENERGY in r}
    best = best_of(both)
    assert (best["tag"], best["step"]) == (ENERGY, lowest(energy))
    assert best["validation"]["value"] == min(energy.values())
    assert RunDir(both).read_status()["sample_shape"] == [1, 8, 8]
    one = train("one", *keys, "metrics=[wasserstein]")
    assert (best_of(one)["tag"], best_of(one)["step"]) == (TAG, lowest(curve(one)))
    # It goes on where it stopped, by the same number.
    half = train("half", *keys, "metrics=[wasserstein,kernel]", "trainer.steps=6")
    assert main("resume", half, "steps=12") == 0
    assert best_of(half) == best


def test_a_record_of_a_former_checkpoint_was_chosen_by_w1_and_stays_so(workdir, monkeypatch):
    """Its entry has no tag, and a measurement that has an FD, too, changes nothing about that."""
    train("run", *FAST, "trainer.steps=20")
    path = Path("run/checkpoints/step_00000020.pt")
    content = checkpoint.load(path)
    former = content["callbacks"]["BestCheckpoint"]["record"]
    assert former.pop("tag") == TAG
    checkpoint.save(path, content)
    with_frechet(monkeypatch)
    assert main("resume", "run", "steps=30") == 0
    best = best_of("run")
    assert best["tag"] == TAG
    assert best["validation"]["value"] == min(curve("run").values())
