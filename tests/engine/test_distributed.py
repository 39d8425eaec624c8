"""Several processes: 2 x N/2 is 1 x N, one of them speaks and writes, and all end together."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch

from gan_lab.engine import distributed
from gan_lab.engine.accumulator import Accumulator
from gan_lab.engine.distributed import ALONE, World, join_world
from gan_lab.engine.rng import Draws, StepDraws
from gan_lab.errors import ConfigError
from gan_lab.runs.run_dir import RunDir
from tests.helpers import (
    DIGITS,
    ONE,
    RING,
    ROOT,
    files,
    load_checkpoint,
    main,
    rows,
    run_config,
    signal_at,
    train,
)

SHORT = (*RING, "trainer.steps=12", "trainer.log_every=3", "trainer.checkpoint_every=5")
TORCHRUN = (sys.executable, "-m", "torch.distributed.run", "--nproc-per-node=2")

# Name -> overrides: what is trained once by two processes and once by one.
GAMES = {
    "gp": ["loss=wasserstein"],
    "lazy": ["loss=wasserstein", "regularizer.gradient_penalty.every=4"],
    "ns": ["loss=non_saturating", "regularizer=[r1,instance_noise]"],
    "rel": ["loss=relativistic", "network.packing=2", "regularizer=none"],
    "seeds": ["loss=wasserstein", "n_seeds=2"],
    "conv": [*DIGITS, "network=conv", "loss=non_saturating", "network.generator_norm=layer"],
}
REFUSED = {
    "odd": (["trainer.batch_size=17"], "does not divide by 2 processes"),
    "packs": (["trainer.batch_size=18", "network.packing=2", "regularizer=none"], "packs of 2"),
    "batch_norm": (["network.generator_norm=batch"], "network.generator contains BatchNorm1d"),
    "dragan": (["regularizer=[dragan]"], "'dragan' needs a whole batch"),
    "there": (["hydra.run.dir=two_gp"], "holds a run already"),
    "wrong": (["trainer.batch_size=abc"], "is no whole number"),
}

DROP = (*GAMES["seeds"], "trainer.on_divergence=drop_seed")


def job(name, *arguments, **more):
    return {"name": name, "arguments": [*map(str, arguments)], **more}


def jobs():
    for name, overrides in GAMES.items():
        yield job(name, "train", *SHORT, *overrides, f"hydra.run.dir=two_{name}")
    for name, (overrides, _) in REFUSED.items():
        yield job(name, "train", *SHORT, f"hydra.run.dir=no_{name}", *overrides)
    yield job("shared", "resume", "one_then_two")
    yield job("begun", "train", *SHORT, "hydra.run.dir=stopped", signal=[1, 7, signal.SIGTERM])
    yield job("nowhere", "train", *SHORT, "trainer.steps=2")
    yield job("full", "train", *SHORT, "hydra.run.dir=two_full", full=True)
    yield job("dropped", "train", *SHORT, *DROP, "hydra.run.dir=two_dropped", poison=[6, 0])
    yield job("measured", "train", *SHORT, *DROP, "hydra.run.dir=two_measured", overflow=[5, 0])
    yield job("diverged", "train", *SHORT, "optim=sgd", "optim.lr=1e200", "hydra.run.dir=lost")


def port():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        return unused.getsockname()[1]


def torchrun(*arguments, **options):
    environment = {**ONE, "PYTHONPATH": str(ROOT)}
    command = [*TORCHRUN, f"--master-port={port()}", *arguments]
    return subprocess.Popen(command, env=environment, **options)


@pytest.fixture(scope="module")
def alike(tmp_path_factory):
    """A directory in which two processes ran all jobs, and one process what it is compared with."""
    path = tmp_path_factory.mktemp("ranks")
    before, dtype, threads = Path.cwd(), torch.get_default_dtype(), torch.get_num_threads()
    os.chdir(path)
    torch.set_default_dtype(torch.float64)
    try:
        for name, overrides in GAMES.items():
            train(f"one_{name}", *SHORT, *overrides)
        with pytest.MonkeyPatch.context() as patch:
            signal_at(patch, 7)
            assert main("train", *SHORT, "hydra.run.dir=one_then_two") == 143
        Path("jobs.json").write_text(json.dumps(list(jobs())))
        done = torchrun(ROOT / "tests" / "ranks.py", "jobs.json", stderr=subprocess.PIPE)
        try:
            _, err = done.communicate(timeout=120)
        finally:
            done.terminate()  # processes that wait for each other would wait for ever
        assert done.returncode == 0, err.decode()
        shutil.copytree("stopped", "two_then_one")
        assert main("resume", "two_then_one") == 0
        yield path
    finally:
        os.chdir(before)
        torch.set_default_dtype(dtype)
        torch.set_num_threads(threads)


def told(path, name, rank):
    return json.loads((path / f"{name}.{rank}.json").read_text())


def assert_alike(actual, expected):
    """The same rows, but for the rounding of a mean of two means."""
    assert [(row["step"], row.keys()) for row in actual] == [
        (row["step"], row.keys()) for row in expected
    ]
    for one, other in zip(actual, expected, strict=True):
        for tag, value in other.items():
            # The evaluator sees samples, also in float64, after 12 steps of equal weights.
            assert one[tag] == pytest.approx(value, rel=1e-6, abs=1e-9, nan_ok=True), tag


def weights(content):
    state = content["state"]
    return {**state["discriminator"]["params"], **state["average"]}


@pytest.mark.multiprocess
@pytest.mark.parametrize("name", GAMES)
def test_two_processes_with_half_a_batch_are_one_with_all_of_it(name, alike):
    two, one = alike / f"two_{name}", alike / f"one_{name}"
    actual, expected = weights(load_checkpoint(two)), weights(load_checkpoint(one))
    before = weights(load_checkpoint(one, 10))
    assert any(not torch.allclose(expected[n], before[n], rtol=0, atol=1e-4) for n in expected)
    torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-9)
    for child in [d.path.name for d in RunDir(one).children()] or ["."]:
        assert_alike(rows(two / child), rows(one / child))
        final, other = (RunDir(run / child).read_status()["final"] for run in (two, one))
        assert final.keys() == other.keys()
        for tag in final:
            assert final[tag]["value"] == pytest.approx(other[tag]["value"], rel=1e-6), tag
    made, expected = ([f for f in files(run) if "tfevents" not in f.name] for run in (two, one))
    assert made == expected  # TensorBoard's files carry a time and a process in their names


@pytest.mark.multiprocess
def test_only_the_first_process_speaks_and_there_is_one_directory(alike):
    first, second = (told(alike, "gp", rank) for rank in (0, 1))
    assert "next:    python -m gan_lab dashboard" in first["out"]
    assert second == {"code": 0, "out": "", "err": "", "n": 8}
    assert first["n"] == 8
    (made,) = (alike / "outputs" / "train" / "ring_wasserstein").iterdir()
    assert RunDir(made).read_status()["state"] == "done"
    assert RunDir(alike / "two_gp").read_status()["processes"] == 2
    assert RunDir(alike / "one_gp").read_status()["processes"] == 1


@pytest.mark.multiprocess
@pytest.mark.parametrize("name", REFUSED)
def test_what_would_not_train_alike_is_refused_once_and_before_anything_is_written(name, alike):
    first, second = (told(alike, name, rank) for rank in (0, 1))
    assert (first["code"], second["code"]) == (2, 2)
    assert first["err"].startswith("ConfigError: ")
    assert first["err"].count("\n") == 1
    assert REFUSED[name][1] in first["err"]
    assert second["out"] + second["err"] == ""
    assert not (alike / f"no_{name}").exists()


@pytest.mark.multiprocess
def test_a_run_goes_on_in_another_number_of_processes(alike):
    whole = alike / "one_gp"
    assert [told(alike, "shared", rank)["code"] for rank in (0, 1)] == [0, 0]
    for resumed in ("one_then_two", "two_then_one"):
        actual, expected = (weights(load_checkpoint(p)) for p in (alike / resumed, whole))
        torch.testing.assert_close(actual, expected, rtol=1e-7, atol=1e-9)
        last = rows(alike / resumed)[-1]
        assert_alike([last], [rows(whole)[-1]])


@pytest.mark.multiprocess
def test_a_signal_to_one_process_stops_all_at_one_step_after_saving(alike):
    assert [told(alike, "begun", rank)["code"] for rank in (0, 1)] == [143, 143]
    assert "the state is saved" in told(alike, "begun", 0)["err"]
    # Sent when step 7 is over; heeded by all when the next one is.
    assert load_checkpoint(alike / "stopped")["step"] == 8
    assert RunDir(alike / "stopped").read_status()["state"] == "interrupted"


@pytest.mark.multiprocess
def test_a_divergence_ends_all_processes_and_keeps_the_state_before_it(alike):
    first, second = (told(alike, "diverged", rank) for rank in (0, 1))
    assert (first["code"], second["code"]) == (1, 1)
    assert first["err"].count("RunDiverged") == 1
    assert second["err"] == ""
    status = RunDir(alike / "lost").read_status()
    assert status["state"] == "diverged"
    assert (alike / "lost" / "checkpoints" / "before_divergence.pt").exists()


@pytest.mark.multiprocess
def test_a_full_disk_ends_all_processes_in_one_line(alike):
    first, second = (told(alike, "full", rank) for rank in (0, 1))
    assert (first["code"], second["code"]) == (1, 1)
    assert first["err"].count("CheckpointNotSaved: ") == 1
    assert "Traceback" not in first["err"] + second["err"]
    assert second["out"] + second["err"] == ""
    assert RunDir(alike / "two_full").read_status()["state"] == "failed"


@pytest.mark.slow
@pytest.mark.multiprocess
def test_a_process_that_is_killed_ends_the_others_in_one_line(workdir):
    arguments = ("train", *RING, "trainer.steps=1000000", "execution.mode=eager")
    keys = ("trainer.checkpoint_every=50", "hydra.run.dir=run")
    run = torchrun("-m", "gan_lab", *arguments, *keys, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not list(Path().glob("run/checkpoints/step_*.pt")):
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)
    leader = int(Path("run/.lock").read_text().split()[0])
    ranks = Path(f"/proc/{run.pid}/task/{run.pid}/children").read_text().split()
    (other,) = (int(each) for each in ranks if int(each) != leader)
    os.kill(other, signal.SIGKILL)
    _, err = run.communicate(timeout=40)
    assert err.count("RankGone: another process of this training has gone") == 1
    assert "in _train" not in err  # torchrun has a traceback of its own, and we have none
    status = RunDir(Path("run")).read_status()
    assert (status["state"], status["error"][:8]) == ("failed", "RankGone")


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    ("name", "message", "last"),
    [("dropped", "is not finite at step 7", 6), ("measured", "sample is not finite at step 5", 3)],
)
def test_a_seed_that_is_not_finite_is_dropped_in_all_processes(name, message, last, alike):
    first, second = (told(alike, name, rank) for rank in (0, 1))
    assert (first["code"], second["code"]) == (1, 1)
    assert f"{message} for seed 0." in first["err"]
    assert second["err"] == ""
    run, whole = RunDir(alike / f"two_{name}"), alike / "one_seeds"
    assert [child.read_status()["state"] for child in run.children()] == ["diverged", "done"]
    actual, expected = weights(load_checkpoint(run.path)), weights(load_checkpoint(whole))
    others = ({name: leaf[1] for name, leaf in leaves.items()} for leaves in (actual, expected))
    torch.testing.assert_close(*others, rtol=1e-7, atol=1e-9)
    assert_alike(rows(run.path / "seed_1"), rows(whole / "seed_1"))
    assert rows(run.path / "seed_0")[-1]["step"] == last


@pytest.mark.slow
@pytest.mark.multiprocess
def test_torchrun_stops_as_a_whole_after_saving(workdir):
    keys = ("trainer.steps=100000", "execution.mode=eager", "hydra.run.dir=run")
    arguments = ("train", *RING, *keys)
    run = torchrun("-m", "gan_lab", *arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    status, deadline = RunDir(Path("run")), time.monotonic() + 60
    metrics = Path("run/metrics.jsonl")
    while not metrics.exists() or metrics.read_text().count("\n") < 2:  # steps 0 and 5
        assert time.monotonic() < deadline
        assert run.poll() is None, run.communicate()
        time.sleep(0.1)
    run.send_signal(signal.SIGTERM)
    _, err = run.communicate(timeout=40)
    assert status.read_status()["state"] == "interrupted", err.decode()
    assert load_checkpoint("run")["step"] == status.read_status()["step"] > 0
    assert err.decode().count("the state is saved, resume continues it") == 1


def test_alone_everything_is_what_it_was():
    tensor = torch.tensor([1.0, 2.0])
    assert ALONE.mean_(tensor) is tensor
    assert ALONE.maximum_(tensor) is tensor
    assert ALONE.all(tensor) is tensor
    assert ALONE.run_on_main(lambda: 3) == ALONE.run_on_all(lambda: 3) == 3
    assert ALONE.broadcast(3) == ALONE.max_over_ranks(3) == 3
    assert ALONE.gather(3) == [3]
    assert ALONE.device("auto") == "auto"
    for environment in ({}, {"WORLD_SIZE": ""}):
        with join_world(environment) as world:
            assert world is ALONE
    assert run_config(*RING).world is ALONE


@pytest.mark.parametrize("stacked", [False, True])
def test_shares_are_a_partition_of_the_batch(stacked):
    shape = (3, 2, 6) if stacked else (3, 6)
    batch = torch.arange(float(torch.Size(shape).numel())).reshape(shape)
    draws = Draws(batch[..., None], batch[..., None], batch, {"r": batch})
    shares = [World(rank, 2).shard(StepDraws(draws, draws)) for rank in (0, 1)]
    for network in ("discriminator", "generator"):
        first, second = (getattr(share, network) for share in shares)
        for field in ("real", "z", "mix"):
            joined_ = torch.cat([getattr(first, field), getattr(second, field)], len(shape) - 1)
            torch.testing.assert_close(joined_, getattr(draws, field), rtol=0, atol=0)
        assert torch.equal(torch.cat([first.noise["r"], second.noise["r"]], -1), batch)


def test_means_and_maxima_over_ranks_are_told_apart(monkeypatch):
    monkeypatch.setattr(World, "mean_", lambda self, rows: rows.mul_(10))
    monkeypatch.setattr(World, "maximum_", lambda self, rows: rows.add_(1))
    accumulator = Accumulator()
    for value in (1.0, 3.0):
        accumulator.add_({"a": torch.tensor([value]), "gradient_norm_max": torch.tensor([value])})
    accumulator.reduce_(World(0, 2))
    means = accumulator.means()
    assert means["a"].tolist() == [20.0]
    assert means["gradient_norm_max"].tolist() == [4.0]


def test_half_an_environment_is_refused():
    half = join_world({"WORLD_SIZE": "2", "RANK": "0"})
    with pytest.raises(ConfigError, match="MASTER_ADDR, MASTER_PORT is not set"), half:
        pass
    assert distributed.world() is ALONE


def test_one_gpu_is_not_shared_by_several_processes(monkeypatch):
    world = World(1, 2, 1, 2)
    assert world.device("cpu") == "cpu"
    with pytest.raises(ConfigError, match="one GPU for 2 processes"):
        world.device("cuda:0")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(ConfigError, match="2 processes on this machine, but 1 CUDA devices"):
        world.device("auto")
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 4)
    assert world.device("auto") == world.device("cuda") == "cuda:1"


def test_a_sweep_under_torchrun_is_refused(workdir, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main("train", "-m", *RING, "seed=0,1") == 2
    assert "torchrun" in capsys.readouterr().err
    assert files(workdir) == []


@pytest.mark.parametrize("command", ["fork", "evaluate", "experiment", "compare"])
def test_other_commands_are_refused_under_torchrun(command, monkeypatch, capsys):
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert main(command, "x") == 2
    assert f"and {command} is one; train and resume train together" in capsys.readouterr().err


@pytest.mark.parametrize(
    "wrong",
    [
        *({"WORLD_SIZE": "abc"}, {"WORLD_SIZE": "0"}, {"RANK": "x"}, {"RANK": "2"}),
        *({"MASTER_PORT": "none"}, {"LOCAL_WORLD_SIZE": "3"}),
    ],
    ids=str,
)
def test_an_environment_that_makes_no_sense_is_refused(wrong):
    there = {"WORLD_SIZE": "2", "RANK": "0", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": "29611"}
    (name,) = wrong
    world = join_world(there | wrong)
    with pytest.raises(ConfigError, match=f"{name}=.* is no whole number"), world:
        pass
