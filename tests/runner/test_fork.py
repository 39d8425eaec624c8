"""fork: the networks of a run go on, exactly as they are, under another game."""

import shutil
from pathlib import Path

import pytest
import torch

from gan_lab.cli import open_run
from gan_lab.cli.fork import merge_overrides
from gan_lab.config import compose
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runner import fork
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir, to_json
from gan_lab.training import build
from gan_lab.training.run import Run
from tests.helpers import (
    RING,
    assert_same,
    files,
    load_checkpoint,
    main,
    rows,
    run_config,
    train,
)
from tests.runner.test_resume import assert_same_run, stop_after

CLOCK = ("trainer.log_every=7", "evaluator.every=6", "trainer.checkpoint_every=10")
BASE = (*RING, *CLOCK, "trainer.steps=30", "trainer.keep_checkpoints=9")


@pytest.fixture(scope="module")
def origins(tmp_path_factory):
    """Runs to fork, by name; made when they are asked for."""
    keys = {
        "minimax": ("loss=minimax",),
        "two_seeds": ("loss=minimax", "n_seeds=2", "seed=3"),
        "hinge": ("loss=hinge",),
        "clipped": ("loss=wasserstein", "regularizer=[weight_clipping]", "trainer.n_critic=4"),
    }
    made = {}

    def of(name):
        if name not in made:
            path = tmp_path_factory.mktemp("origins") / name
            made[name] = train(path, *BASE, *keys[name])
        return made[name]

    return of


def forked(origin, path, *keys):
    assert main("fork", origin, *keys, f"hydra.run.dir={path}") == 0
    return Path(path)


def refused(capsys, words, *arguments):
    capsys.readouterr()
    before = files(".")
    assert main("fork", *arguments) == 2
    err = capsys.readouterr().err
    assert err.count("\n") == 1, err
    assert words in err
    assert files(".") == before


def status(path):
    return RunDir(Path(path)).read_status()


@pytest.mark.parametrize(("name", "step"), [("minimax", 20), ("two_seeds", None)])
def test_a_fork_starts_from_the_very_networks(name, step, origins, workdir):
    keys = [] if step is None else [f"step={step}"]
    forked(origins(name), "fork", "loss=wasserstein", *keys, "trainer.steps=33")
    at = step or 30
    old, new = load_checkpoint(origins(name), at)["state"], load_checkpoint("fork", at)["state"]
    assert_same(new["average"], old["average"])
    for player in ("generator", "discriminator"):
        for part in ("params", "buffers"):
            assert_same(new[player][part], old[player][part])
    assert not any(moments.any() for moments in new["generator"]["optimizer"].values())
    assert new["step"] == at
    assert load_checkpoint("fork")["step"] == 33
    assert status("fork")["forked_from"] == {"path": str(origins(name)), "step": at}
    for home in RunDir(Path("fork")).children() or [RunDir(Path("fork"))]:
        steps = [row["step"] for row in read_metrics(home.metrics)]
        assert (steps[0], steps[-1]) == (at, 33)
        assert home.read_status()["forked_from"]["step"] == at


def test_the_first_measurement_of_a_fork_is_that_of_its_origin(origins, workdir):
    forked(origins("minimax"), "fork", "loss=hinge", "trainer.steps=31")
    ours, theirs = (
        {row["step"]: row for row in read_metrics(Path(path) / "metrics.jsonl")}[30]
        for path in ("fork", origins("minimax"))
    )
    evaluator = [tag for tag in ours if tag.startswith(("divergence/", "samples/"))]
    assert len(evaluator) > 4
    assert {tag: ours[tag] for tag in evaluator} == {tag: theirs[tag] for tag in evaluator}


def test_the_same_game_with_another_n_critic_goes_on(origins, workdir):
    forked(origins("minimax"), "fork", "trainer.n_critic=3", "trainer.steps=34")
    trainer = open_run.saved_config(Path("fork")).trainer
    assert (trainer.n_critic, trainer.steps) == (3, 34)
    last = read_metrics(Path("fork/metrics.jsonl"))[-1]
    # 30 updates of the origin, then 4 steps of 3: the clocks go on as the steps do.
    assert last["clock/discriminator_steps"] == 30 + 4 * 3
    assert last["clock/generator_steps"] == 34
    assert last["clock/gradient_evaluations"] == 2 * 30 + 4 * 4
    assert last["clock/images"] == 16 * (30 + 12)
    before = read_metrics(origins("minimax") / "metrics.jsonl")[-1]
    assert last["time/train_seconds"] > before["time/train_seconds"]


def test_a_fork_trains_as_long_again_and_a_fork_of_it_too(origins, workdir):
    forked(origins("minimax"), "one", "loss=hinge")
    assert status("one")["steps"] == 60
    forked("one", "two", "loss=least_squares")
    assert (status("two")["step"], status("two")["steps"]) == (90, 90)
    last = read_metrics(Path("two/metrics.jsonl"))[-1]
    assert last["clock/discriminator_steps"] == 90
    assert status("two")["forked_from"] == {"path": str(workdir / "one"), "step": 60}


@pytest.mark.parametrize(("name", "stop"), [("minimax", 21), ("two_seeds", 35)])
def test_a_fork_is_resumed_bit_for_bit(name, stop, origins, workdir, monkeypatch):
    keys = ("loss=wasserstein", "step=20", "trainer.steps=42")
    with monkeypatch.context() as patch:
        stop_after(patch, stop)
        assert main("fork", origins(name), *keys, "hydra.run.dir=run") == 143
    assert load_checkpoint("run")["step"] == stop
    assert main("resume", "run") == 0
    assert_same_run("run", forked(origins(name), "whole", *keys))


@pytest.mark.parametrize("every", [10, 0])
def test_a_fork_that_is_killed_at_once_can_be_resumed(every, origins, workdir, monkeypatch):
    keys = ("loss=wasserstein", "step=20", "trainer.steps=32", f"trainer.checkpoint_every={every}")

    def die(self):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "train_step", die)
        assert main("fork", origins("minimax"), *keys, "hydra.run.dir=run") == 130
    assert main("resume", "run") == 0
    assert_same_run("run", forked(origins("minimax"), "whole", *keys))


# Randomness, and a regularizer's buffers


def opened(path, *keys, step=None):
    """The run of a fork before its first step."""
    content = checkpoint.load_latest(Path(path) / "checkpoints", step).content
    old = compose.build_run_config(open_run.saved_config(Path(path)))
    config = run_config(*BASE, *keys)
    source = config.data.open(torch.device("cpu"))
    return fork.open_fork(config, source, fork.Parent(Path(path), old, content))


def test_forks_of_one_step_are_paired_and_share_nothing_with_their_origin(origins):
    def noise(path, *keys, step):
        run = opened(path, *keys, step=step)
        return run.streams.draws(20).generator.z

    first = noise(origins("minimax"), "loss=wasserstein", step=20)
    assert torch.equal(first, noise(origins("minimax"), "loss=hinge", step=20))
    assert not torch.equal(first, noise(origins("minimax"), "loss=hinge", step=30))
    origin = build.open_run(run_config(*BASE, "loss=minimax"))
    assert not torch.equal(first, origin.streams.draws(20).generator.z)


def test_new_buffers_start_from_the_weights_as_they_are(origins):
    d = opened(origins("minimax"), "loss=hinge").state.discriminator
    weights = {n: w.detach() for n, w in d.params.items() if f"{n}_left_singular" in d.buffers}
    assert len(weights) >= 2
    for name, weight in weights.items():
        left, right = (d.buffers[f"{name}_{side}_singular"] for side in ("left", "right"))
        sigma = float(torch.linalg.matrix_norm(weight, 2))
        assert float(left @ weight @ right) == pytest.approx(sigma, rel=0.05)


def test_buffers_that_both_games_have_go_on(origins):
    old = load_checkpoint(origins("hinge"))["state"]["discriminator"]["buffers"]
    assert old
    assert_same(opened(origins("hinge"), "loss=hinge").state.discriminator.buffers, old)


def test_buffers_that_the_new_game_lacks_are_dropped(origins, workdir):
    forked(origins("hinge"), "fork", "loss=minimax", "trainer.steps=33")
    assert load_checkpoint("fork")["state"]["discriminator"]["buffers"] == {}
    assert status("fork")["state"] == "done"


def test_one_of_several_seeds_is_forked_by_itself(origins, workdir):
    home = origins("two_seeds")
    forked(home / "seed_4", "one", "loss=hinge", "step=20", "trainer.steps=22")
    forked(home, "both", "loss=hinge", "step=20", "trainer.steps=22")
    old, new = load_checkpoint(home, 20)["state"], load_checkpoint("one", 20)["state"]
    assert_same(new["average"], {name: leaf[1] for name, leaf in old["average"].items()})
    assert status("one")["forked_from"] == {"path": str(home / "seed_4"), "step": 20}
    assert status("one")["seeds"] == [4]
    steps = [row["step"] for row in read_metrics(Path("one/metrics.jsonl"))]
    assert (steps[0], steps[-1]) == (20, 22)
    ours, theirs = rows("one")[-1], rows("both/seed_4")[-1]
    assert ours == pytest.approx(theirs, rel=2e-3, abs=1e-5)  # it is paired with a fork of all
    forked("one", "again", "loss=minimax")
    assert main("resume", "one", "trainer.steps=23") == 0


# Which keys a fork has

R1, R1_2, N4 = "regularizer=[r1]", "regularizer.r1.weight=2", "trainer.n_critic=4"


@pytest.mark.parametrize(
    ("old", "new", "kept", "dropped"),
    [
        # A typed key always wins.
        ("data=ring optim.lr=1", "optim.lr=2", "data=ring", ""),
        # A new loss brings its own; what was typed for the old loss goes.
        (f"loss=wasserstein {R1} {N4} optim=sgd", "loss=minimax", "optim=sgd", f"{R1} {N4}"),
        (f"{R1_2} {N4}", f"loss=minimax {R1} trainer.n_critic=2", R1_2, ""),
        (R1_2, "loss=minimax", "", R1_2),
        # Without a new loss they stay.
        (N4, "optim.lr=1", N4, ""),
        # A new choice takes the values of the old one with it.
        ("optim=adam optim.betas=[0,1]", "optim=sgd", "", "optim.betas=[0,1]"),
        ("regularizer.r2.weight=2", R1, "", "regularizer.r2.weight=2"),
        # The number of steps is never inherited.
        ("trainer.steps=9 trainer.log_every=3", "seed=1", "trainer.log_every=3", ""),
        ("~optim.eps +optim.x=1", "optim.eps=1", "+optim.x=1", ""),
    ],
)
def test_new_keys_replace_old_ones(old, new, kept, dropped):
    merged = merge_overrides(old.split(), new.split())
    assert merged == (kept.split() + new.split(), dropped.split())


def test_a_new_loss_is_held_as_it_is_by_itself(origins, workdir, capsys):
    forked(origins("clipped"), "fork", "loss=minimax", "trainer.steps=32")
    assert "without regularizer=[weight_clipping] trainer.n_critic=4" in capsys.readouterr().out
    made = open_run.saved_config(Path("fork"))
    assert not made.get("regularizer")
    assert made.trainer.n_critic == 1
    assert "loss=minimax" in status("fork")["overrides"]
    assert not [o for o in status("fork")["overrides"] if "clipping" in o or "n_critic" in o]


def test_a_preset_does_not_hold_a_new_loss_either(workdir):
    keys = [key for key in RING if not key.startswith(("data=", "network="))]
    keys += ["network.width=8", "trainer.warmup_steps=0", "trainer.steps=3"]
    train("run", "preset=wgan_2017", *keys)
    forked("run", "fork", "loss=hinge", "trainer.warmup_every=0")
    made = open_run.saved_config(Path("fork"))
    assert list(made.regularizer) == ["spectral_norm"]
    assert (made.trainer.n_critic, made.trainer.steps) == (1, 6)
    forked("run", "typed", "loss=hinge", R1, "trainer.n_critic=2", "trainer.steps=4")
    made = open_run.saved_config(Path("typed"))
    assert (list(made.regularizer), made.trainer.n_critic) == (["r1"], 2)


def test_a_fork_of_the_best_and_its_default_place(origins, workdir):
    step = status(origins("minimax"))["best"]["step"]
    keys = ("loss=hinge", "step=best", f"trainer.steps={step + 3}")
    assert main("fork", origins("minimax"), *keys) == 0
    (run,) = (workdir / "outputs" / "fork" / "ring_hinge").iterdir()
    assert status(run)["forked_from"]["step"] == step


# What cannot be forked


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        (["network.width=9"], "network.width is 8 there and 9 here (generator"),
        (["network.width=9"], "there, [9, 2] here"),
        (["data=digits"], "data is Ring there and Digits here (generator"),
        (["data.std=0.1"], "data.std is 0.01414427157 there and 0.1 here"),
        (["seed=1"], "fork keeps the seeds of"),
        (["n_seeds=2"], "fork keeps the seeds of"),
        (["trainer.steps=30"], "say e.g. trainer.steps=60"),
        (["step=99"], "has no checkpoint of step 99"),
        (["step=soon"], "step=soon is neither a whole number >= 0 nor best"),
        (["loss=nope"], "loss=nope is unknown"),
        (["optim.lrr=1"], "did you mean 'optim.lr'?"),
        (["-m"], "takes no '-m'"),
        (["hydra.run.dir="], "hydra.run.dir is empty"),
    ],
)
def test_what_no_fork_can_change_is_refused_in_one_line(keys, words, origins, workdir, capsys):
    refused(capsys, words, origins("minimax"), *keys)


def test_directories_that_cannot_be_forked_are_refused(workdir, capsys):
    refused(capsys, "fork takes one run directory", "loss=hinge")
    refused(capsys, "is no directory", "nowhere", "loss=hinge")
    Path("empty").mkdir()
    refused(capsys, "empty holds no run", "empty", "loss=hinge")


def test_resume_adds_its_keys_to_those_that_were_typed_and_without_them_none_forks(workdir, capsys):
    train("run", *RING, "trainer.steps=3")
    assert main("resume", "run", "trainer.steps=5") == 0
    assert status("run")["overrides"] == [*RING, "trainer.steps=3", "trainer.steps=5"]
    assert status(forked("run", "fork", "loss=hinge"))["steps"] == 10
    Path("run/status.json").write_bytes(to_json(status("run") | {"overrides": None}))
    refused(capsys, "does not say which keys were typed for it", "run", "loss=hinge")


@pytest.mark.parametrize("part", ["params", "average"])
def test_a_leaf_that_the_networks_have_not_is_refused(part, origins, workdir, capsys):
    copy = Path("copy")
    shutil.copytree(origins("minimax"), copy)
    path = max(checkpoint.available(copy / "checkpoints").values())
    content = checkpoint.load(path)
    state = content["state"]
    (state if part == "average" else state["generator"])[part]["strange"] = torch.zeros(3)
    checkpoint.save(path, content)
    refused(capsys, "strange: there, and none here", copy, "trainer.steps=40")
