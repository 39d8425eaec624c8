"""A number that is not finite stops its seed, and nobody else's where that was asked."""

import json
import math
from pathlib import Path

import pytest

from gan_lab.engine.backends import select
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.metrics.metrics import Diversity
from gan_lab.runs import checkpoint, checkpoint_checks
from gan_lab.runs.run_dir import RunDir
from tests.campaigns import numbers
from tests.campaigns.runs import INTERVALS
from tests.helpers import (
    DIGITS,
    RING,
    assert_same,
    assert_same_series,
    infinite_data_at,
    infinite_weight_at,
    load_checkpoint,
    main,
    overflow_samples,
    rows,
    series,
    train,
)
from tests.runner.test_resume import stop_after

CLOCK = (*INTERVALS, "trainer.steps=40")
THREE = (*CLOCK, "seed=3", "n_seeds=3")
DROP = "trainer.on_divergence=drop_seed"
SLOW = ("clipping", "spectral_norm", "noise", "warm_up")  # of these the cheaper ones say the same
KINDS = {
    "wasserstein": RING,
    "clipping": (*RING, "regularizer=[weight_clipping]", "optim=rmsprop"),
    "spectral_norm": (*RING, "loss=hinge"),
    "noise": (*RING, "loss=minimax", "regularizer=[dragan,instance_noise]"),
    "dcgan": (*DIGITS, "loss=non_saturating", "trainer.steps=20"),
    "warm_up": (*RING, "trainer.warmup_steps=3", "trainer.warmup_n_critic=9", "optim.decay=linear"),
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Three seeds that meet nothing."""
    return train(tmp_path_factory.mktemp("whole") / "run", *RING, *THREE, DROP)


@pytest.fixture(scope="module")
def whole_with_dropped_seed(tmp_path_factory):
    """Three seeds, the second of which is dropped at step 13."""
    path = tmp_path_factory.mktemp("dropped") / "run"
    with pytest.MonkeyPatch.context() as patch:
        infinite_data_at(patch, 12, seed=1)
        assert train_three(path) == 1
    return path


def train_three(path="run"):
    """Train three seeds, of which those that fail are dropped; return the exit code."""
    return main("train", *RING, *THREE, DROP, f"hydra.run.dir={path}")


def state_of(path, index, name=None):
    """All that the newest checkpoint, or the one of a name, holds of one of several seeds."""
    file = Path(path) / f"checkpoints/{name}.pt"
    state = (load_checkpoint(path) if name is None else checkpoint.load(file))["state"]
    tensors = list(state["average"].values())
    for network in ("discriminator", "generator"):
        for part in ("params", "buffers", "optimizer"):
            tensors += [t for t in state[network][part].values() if t.ndim]
    return {number: tensor[index] for number, tensor in enumerate(tensors)}


def assert_same_seed(one, other, seed):
    """Two stacked runs agree on one seed in everything that was recorded, bit for bit."""
    assert rows(one / f"seed_{seed}") == rows(other / f"seed_{seed}")
    assert_same_series(series(one / f"seed_{seed}"), series(other / f"seed_{seed}"))
    assert_same(state_of(one, seed - 3), state_of(other, seed - 3))


def status(path, seed=None):
    run = RunDir(Path(path))
    return (run if seed is None else run.child(seed)).read_status()


@pytest.mark.parametrize(
    "kind", [pytest.param(k, marks=pytest.mark.slow) if k in SLOW else k for k in KINDS]
)
def test_the_other_seeds_are_what_they_would_have_been(kind, workdir, capsys, monkeypatch):
    whole = train("whole", *THREE, *KINDS[kind], DROP)
    infinite_data_at(monkeypatch, 12, seed=1)
    capsys.readouterr()
    assert main("train", *THREE, *KINDS[kind], DROP, "hydra.run.dir=run") == 1
    out, err = capsys.readouterr()
    assert "Traceback" not in err
    assert "is not finite at step 13 for seed 4." in err
    assert "Seed 3, 5 go on without it." in err
    assert err.endswith("RunDiverged: seed 4 was dropped; the others are done\n")
    for seed in (3, 5):
        assert_same_seed(Path("run"), whole, seed)
        assert status("run", seed)["state"] == "done"
        assert status("run", seed)["final"] == status(whole, seed)["final"]
        name = "sample W1 (n = 16)" if kind == "dcgan" else "W1"
        assert f"\nseed {seed}: {name} " in out
    assert "seed 4: W1" not in out


def test_a_dropped_seed_stays_as_it_was_before_the_step_that_failed(
    whole_with_dropped_seed, workdir
):
    before = train("before", *RING, *THREE, "trainer.steps=12", "trainer.checkpoint_every=12")
    run = whole_with_dropped_seed
    assert_same(state_of(run, 1), state_of(before, 1))
    assert checkpoint.load(run / "checkpoints/before_divergence_00000013.pt")["step"] == 12
    assert [row["step"] for row in rows(run / "seed_4")] == [0, 6, 7, 12]
    assert all(math.isfinite(v) for row in rows(run / "seed_4") for v in row.values())
    mine, whole = status(run, 4), status(run)
    assert (mine["state"], mine["step"], mine["best"]) == ("diverged", 12, None)
    assert mine["error"].startswith("loss/discriminator is not finite at step 13 for seed 4.")
    assert whole["state"] == "done"
    dropped = whole["dropped"]["4"]
    assert (dropped["step"], dropped["quantity"]) == (12, "loss/discriminator")
    events = read_metrics(run / "seed_4/events.jsonl")
    assert [event["step"] for event in events if event["kind"] == "divergence"] == [13]
    assert status(run, 5)["best"]["step"] in range(41)


@pytest.mark.parametrize("stop", [11, pytest.param(13, marks=pytest.mark.slow), 20])
def test_a_run_with_a_dropped_seed_is_resumed_exactly(
    stop, whole_with_dropped_seed, workdir, monkeypatch
):
    infinite_data_at(monkeypatch, 12, seed=1)
    whole = whole_with_dropped_seed
    with monkeypatch.context() as patch:
        stop_after(patch, stop)
        assert train_three() == 143
    assert main("resume", "run") == 1
    for seed in (3, 4, 5):
        assert_same_seed(Path("run"), whole, seed)
        clocks = dict.fromkeys(("started", "command", "hostname"))
        mine, theirs = ({**status(path, seed), **clocks} for path in ("run", whole))
        here = str(Path("run").absolute())
        assert json.loads(json.dumps(mine).replace(here, str(whole))) == theirs


def test_seeds_fall_one_by_one_and_the_last_one_stops_the_run(workdir, capsys, monkeypatch):
    for step, seed in ((5, 2), (12, 0), (30, 1)):
        infinite_data_at(monkeypatch, step, seed=seed)
    assert train_three() == 1
    err = capsys.readouterr().err
    for line in ("at step 6 for seed 5.", "at step 13 for seed 3.", "Seed 4 goes on without it."):
        assert line in err
    (last,) = [line for line in err.splitlines() if line.startswith("RunDiverged: ")]
    assert "at step 31 for seed 4." in last
    assert "drop_seed" not in last
    assert status("run")["state"] == "diverged"
    assert set(status("run")["dropped"]) == {"3", "5"}
    names = sorted(p.name for p in Path("run/checkpoints").glob("before*"))
    assert names == [f"before_divergence{step}.pt" for step in ("", "_00000006", "_00000013")]


def test_seeds_that_fail_together_are_dropped_together(workdir, capsys, monkeypatch):
    infinite_data_at(monkeypatch, 12, seed=0)
    infinite_data_at(monkeypatch, 12, seed=2)
    assert train_three() == 1
    err = capsys.readouterr().err
    assert "at step 13 for seed 3, 5." in err
    assert "seeds 3 and 5 were dropped" in err


def test_without_it_one_seed_stops_all_and_is_told_what_to_do(workdir, capsys, monkeypatch):
    infinite_data_at(monkeypatch, 12, seed=1)
    assert main("train", *RING, *THREE, "hydra.run.dir=run") == 1
    assert "or trainer.on_divergence=drop_seed." in capsys.readouterr().err
    for seed in (3, 4, 5):
        assert status("run", seed)["state"] == "diverged"


def test_weights_that_overflow_drop_their_seed(workdir, capsys, monkeypatch):
    """Of the first seed: the helper writes into the first number of all."""
    infinite_weight_at(monkeypatch, 13)
    assert train_three() == 1
    assert "a weight is not finite at step 13 for seed 3." in capsys.readouterr().err
    assert status("run", 4)["state"] == "done"


@pytest.mark.parametrize("at", [0, 12, 40])
def test_samples_that_overflow_drop_their_seed(at, whole, workdir, capsys, monkeypatch):
    overflow_samples(monkeypatch, lambda run, index: index == 1 and run.state.step == at)
    assert train_three() == 1
    assert f"a sample is not finite at step {at} for seed 4." in capsys.readouterr().err
    for seed in (3, 5):
        assert_same_seed(Path("run"), whole, seed)
    assert max((r["step"] for r in rows("run/seed_4")), default=0) < max(at, 1)
    assert_same(state_of("run", 1), state_of("run", 1, f"before_divergence_{at:08d}"))


def test_rows_are_of_their_own_steps_where_an_evaluation_drops_a_seed(workdir, monkeypatch):
    keys = (*RING, *THREE, DROP, "trainer.log_every=4")
    whole = train("whole", *keys)
    overflow_samples(monkeypatch, lambda run, index: index == 1 and run.state.step == 12)
    assert main("train", *keys, "hydra.run.dir=run") == 1
    for seed in (3, 5):
        assert rows(f"run/seed_{seed}") == rows(whole / f"seed_{seed}")


def test_what_fails_once_and_not_again_costs_nothing(whole, workdir, monkeypatch):
    """An error of the machine: the steps are made again, and all numbers are finite."""
    step, calls = select.train_step, []

    def failing(state, *arguments):
        values, finite = step(state, *arguments)
        if state.step == 13 and not calls:
            calls.append(state.generator.flat.detach().fill_(math.nan))
        return values, finite

    monkeypatch.setattr(select, "train_step", failing)
    assert train_three() == 0
    assert calls
    for seed in (3, 4, 5):
        assert_same_seed(Path("run"), whole, seed)


def test_the_end_of_a_run_whose_samples_overflow_is_not_kept(workdir, monkeypatch):
    """It is saved before it is measured, lest the evaluation cost the training."""

    with monkeypatch.context() as patch:
        overflow_samples(patch, lambda run, index: run.state.step == 40)
        assert main("train", *RING, *CLOCK, "hydra.run.dir=run") == 1
    assert list(checkpoint.available(Path("run/checkpoints"))) == [30]
    assert main("resume", "run") == 0
    assert rows("run") == rows(train("whole", *RING, *CLOCK))


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_an_estimate_that_has_to_be_finite_stops_the_run(value, workdir, capsys, monkeypatch):
    prepare = Diversity.prepare

    def broken(self, source):
        read = prepare(self, source)
        return lambda *samples: {**read(*samples), "samples/pairwise_distance": value}

    monkeypatch.setattr(Diversity, "prepare", broken)
    assert main("train", *RING, *CLOCK, "hydra.run.dir=run") == 1
    err = capsys.readouterr().err
    assert "samples/pairwise_distance is not finite at step 0 for seed 0." in err
    assert status("run")["state"] == "diverged"


def test_an_infinite_divergence_is_a_result(workdir):
    """KL of a collapsed generator."""
    choice = ("metrics=[kl]", "trainer.steps=4", "optim.lr=1e-12", "network.latent_dim=1")
    path = train("run", *RING, *choice)
    assert any(not math.isfinite(r["divergence/kl_real_fake"]) for r in rows(path))


def test_a_signal_while_a_seed_is_dropped_is_obeyed_after_saving(workdir, monkeypatch):
    infinite_data_at(monkeypatch, 12, seed=1)
    with monkeypatch.context() as patch:
        stop_after(patch, 13)
        assert train_three() == 143
    assert load_checkpoint("run")["step"] == status("run")["step"]
    assert main("resume", "run") == 1
    assert status("run")["state"] == "done"


def test_what_reads_a_run_with_a_dropped_seed_tells_the_seeds_apart(workdir, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        infinite_data_at(patch, 12, seed=0)
        assert train_three() == 1
    capsys.readouterr()
    assert main("evaluate", "run") == 0
    out, err = capsys.readouterr()
    assert err.count("\n") == 1
    assert "seed 3 was dropped after step 12: loss/discriminator is not finite" in err
    assert "run, step 40" in out
    files = sorted(str(f) for f in Path("run").glob("**/evaluation/*.json"))
    assert files == [f"run/seed_{s}/evaluation/step_00000040.json" for s in (4, 5)]
    assert main("evaluate", "run/seed_3") == 0
    assert Path("run/seed_3/evaluation/step_00000012.json").exists()
    for path, step in (("run", 40), ("run/seed_3", 12), ("run/seed_5", 40)):
        assert main("sample", path, "n=4") == 0
        assert Path(f"{path}/samples/sample_step_{step:08d}_seed_0.npy").exists()
    assert main("sample", "run/seed_4", "n=4", "output=four.npy") == 0
    first = Path("run/samples/sample_step_00000040_seed_0.npy").read_bytes()
    assert first == Path("four.npy").read_bytes()  # a parent stands for its first sound seed
    err = assert_refused(capsys, "ConfigError: ", "fork", "run", "loss=hinge")
    assert "seed 3 of run was dropped" in err
    assert "fork a seed by itself (fork run/seed_4)" in err
    err = assert_refused(capsys, "ConfigError: ", "fork", "run/seed_3", "loss=hinge")
    assert "seed 3 of run/seed_3 was dropped" in err
    assert main("fork", "run/seed_4", "loss=hinge", "trainer.steps=42", "hydra.run.dir=on") == 0
    assert (status("on")["state"], status("on")["seeds"]) == ("done", [4])


def test_a_seed_is_dropped_though_the_status_cannot_be_written(workdir, monkeypatch):
    write, calls = RunDir.write_status, []

    def full(self, **fields):
        if "dropped" in fields and not calls:
            calls.append(fields)
            raise OSError(28, "No space left on device")
        write(self, **fields)

    infinite_data_at(monkeypatch, 12, seed=1)
    monkeypatch.setattr(RunDir, "write_status", full)
    assert train_three() == 1
    assert calls
    assert [status("run", seed)["state"] for seed in (3, 4, 5)] == ["done", "diverged", "done"]
    assert list(status("run")["dropped"]) == ["4"]
    assert list(checkpoint_checks.dropped_seeds(load_checkpoint("run"))) == [4]


def changed(path, change):
    """Saves the newest checkpoint again, whole by its digest, with something else in it."""
    content = load_checkpoint(path)
    change(content)
    file = checkpoint.checkpoint_path(Path(path) / "checkpoints", content["step"])
    checkpoint.save(file, content)


def assert_refused(capsys, start, *arguments):
    """A command ends with one line of error, which is returned, and writes nothing."""
    before = sorted(Path().rglob("*"))
    capsys.readouterr()
    assert main(*arguments) == 2
    err = capsys.readouterr().err
    assert err.startswith(start)
    assert err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
    return err


@pytest.mark.parametrize("part", ["average", "discriminator"])
def test_weights_that_are_no_numbers_are_refused_by_whoever_reads_them(part, workdir, capsys):
    train("run", *RING, *CLOCK, "trainer.steps=3")

    def poison(content):
        leaves = content["state"][part]
        next(iter(leaves.get("params", leaves).values())).view(-1)[0] = math.nan

    changed("run", poison)
    starts = ("ConfigError: ", "CheckpointDamaged: ")
    for command, *more in (["resume", "trainer.steps=50"], ["sample"], ["evaluate"], ["fork"]):
        assert " is not finite" in assert_refused(capsys, starts, command, "run", *more)


def test_samples_that_overflow_are_neither_written_nor_measured(workdir, capsys):
    train("run", *RING, *CLOCK, "trainer.steps=3")

    def grow(content):
        for leaf in content["state"]["average"].values():
            leaf.fill_(1e20)

    changed("run", grow)
    for command in ("sample", "evaluate"):
        assert_refused(capsys, "ConfigError: ", command, "run")


REASON = {"step": 1, "quantity": "a", "told": "b"}
STRANGE = {
    "no mapping": [4],
    "another seed": {9: REASON},
    "all seeds": dict.fromkeys((3, 4, 5), REASON),
    "no reason": {4: None},
    "half a reason": {4: {"step": 1}},
    "another kind": {4: {**REASON, "step": "1"}},
    "a key that is a list": {(4,): REASON},
}


@pytest.mark.parametrize("name", STRANGE)
def test_what_a_checkpoint_says_of_dropped_seeds_has_to_make_sense(name):
    config = {"seed": 3, "n_seeds": 3}
    reasons = {"reasons": {4: REASON}}
    content = {"config": config, "step": 7, "state": {}, "accumulator": []}
    content["callbacks"] = {"Divergence": reasons}
    loaded = checkpoint.LoadedCheckpoint(Path("step_00000007.pt"), content, [])
    assert checkpoint_checks.check_run(loaded, config) == loaded
    reasons["reasons"] = STRANGE[name]
    with pytest.raises(checkpoint.CheckpointDamaged, match="it is not that of a run"):
        checkpoint_checks.check_run(loaded, config)


def test_the_state_before_a_divergence_can_be_looked_at_and_forked(workdir, capsys, monkeypatch):
    with monkeypatch.context() as patch:
        infinite_data_at(patch, 12)
        assert main("train", *RING, *CLOCK, "hydra.run.dir=run") == 1
    assert "which sample, evaluate and fork take with step=before_d" in capsys.readouterr().err
    at = "step=before_divergence"
    assert main("sample", "run", at, "n=4") == 0
    assert Path("run/samples/sample_step_00000012_seed_0.npy").exists()
    assert main("evaluate", "run", at) == 0
    assert Path("run/evaluation/step_00000012.json").exists()
    assert main("fork", "run", at, "optim.lr=1e-5", "hydra.run.dir=on", "trainer.steps=15") == 0
    assert status("on")["forked_from"]["step"] == 12


@pytest.mark.parametrize(("n", "seed"), [(12, 0), pytest.param(96, 1, marks=pytest.mark.slow)])
def test_a_number_in_every_place_stops_its_seed(n, seed):
    assert numbers.campaign(n, seed).lost == []


def test_a_full_disk_does_not_hide_a_divergence(workdir, capsys, monkeypatch):
    infinite_data_at(monkeypatch, 12)
    save = checkpoint.save

    def full(path, content):
        if "divergence" in path.name:
            raise checkpoint.CheckpointNotSaved(28, "No space left on device")
        save(path, content)

    monkeypatch.setattr(checkpoint, "save", full)
    assert main("train", *RING, *CLOCK, "hydra.run.dir=run") == 1
    err = capsys.readouterr().err
    assert "loss/discriminator is not finite at step 13 for seed 0." in err
    assert "could not be saved: No space left on device" in err
    assert status("run")["state"] == "diverged"
