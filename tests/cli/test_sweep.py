"""train -m: every combination is checked before the first one runs."""

import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
import yaml
from hydra._internal.hydra import Hydra

from gan_lab.cli.hydra import combinations
from gan_lab.cli.sweep import check_objective, default_objective, stack_seeds, worst_objective
from gan_lab.cli.train import _stack
from gan_lab.config import compose
from gan_lab.errors import ConfigError
from gan_lab.metrics.neural_distance import NeuralDistance
from gan_lab.runs import checkpoint
from gan_lab.runs.run_dir import RunDir
from tests.helpers import DIGITS, ONE, RING, ROOT, files, main, names, rows, signal_at, train

SHORT = (*RING, "trainer.steps=3")
HERE = "hydra.launcher.n_jobs=1"  # one job after the other, in this process


def jobs(path):
    """The run directories of a sweep, in the order of the jobs."""
    return sorted(p for p in Path(path).iterdir() if p.is_dir())


def states(path):
    """The states of the jobs that have begun."""
    begun = [job for job in jobs(path) if (job / "status.json").exists()]
    return [RunDir(job).read_status().get("state") for job in begun]


def wait_until_two_run(sweep, seconds):
    deadline = time.monotonic() + seconds
    while not (Path("sweep").exists() and states("sweep").count("running") == 2):
        assert time.monotonic() < deadline
        assert sweep.poll() is None
        time.sleep(0.1)


def test_a_sweep_runs_each_combination_in_a_directory_without_an_equals_sign(workdir, capsys):
    assert main("train", "-m", *SHORT, "loss=minimax,hinge,wasserstein", HERE) == 0
    (sweep,) = (workdir / "outputs" / "train" / "sweep").iterdir()
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == f"sweep:   outputs/train/sweep/{sweep.name}  (3 jobs)"
    assert lines[-1] == f"next:    python -m gan_lab compare outputs/train/sweep/{sweep.name}"
    losses = ("minimax", "hinge", "wasserstein")
    assert [job.name for job in jobs(sweep)] == [
        f"{i}_ring_{loss}_seed_0" for i, loss in enumerate(losses)
    ]
    assert states(sweep) == ["done"] * 3
    assert not any("=" in str(path) for path in files(workdir))
    configs = [(job / "config.yaml").read_text() for job in jobs(sweep)]
    assert [config.count("gan_lab.regularizers") for config in configs] == [0, 1, 1]


def test_a_job_of_a_sweep_is_the_run_alone(workdir):
    assert main("train", *SHORT, "seed=3,4", "-m", "hydra.sweep.dir=sweep", HERE) == 0
    alone = [train(f"alone_{seed}", *SHORT, f"seed={seed}") for seed in (3, 4)]
    assert [rows(job) for job in jobs("sweep")] == [rows(path) for path in alone]
    for job, path, seed in zip(jobs("sweep"), alone, (3, 4), strict=True):
        for run in (job, path):
            assert RunDir(run).read_status()["overrides"] == [*SHORT, f"seed={seed}"]


def test_what_does_not_go_together_stops_a_sweep_too(workdir, capsys):
    mixed = ("network.discriminator_norm=none,batch", "regularizer=none,[r1]")
    assert main("train", "-m", *SHORT, *mixed) == 2
    assert "regularizer 'r1' needs" in capsys.readouterr().err
    assert files(workdir) == []


def test_a_diverging_job_lets_the_others_run_and_the_sweep_fails(workdir, capsys):
    rates = ("optim=sgd", "optim.lr=1e-3,1e10,2e-3")
    assert main("train", "-m", *SHORT, *rates, "hydra.sweep.dir=sweep", HERE) == 1
    assert states("sweep") == ["done", "diverged", "done"]
    assert "RunDiverged" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["seed=0,1", "optim.lr=1"], [["seed=0", "optim.lr=1"], ["seed=1", "optim.lr=1"]]),
        (["seed=range(2)"], [["seed=0"], ["seed=1"]]),
        (["seed=choice(3,5)"], [["seed=3"], ["seed=5"]]),
        (["regularizer=[r1],[r2]"], [["regularizer=[r1]"], ["regularizer=[r2]"]]),
        (["optim.betas=[0.5,0.9]"], [["optim.betas=[0.5,0.9]"]]),
        (["loss=glob(*)"], [[f"loss={name}"] for name in names("loss")]),
        (["~optim.eps"], [["~optim.eps"]]),
        (["optim.lr=interval(1,2)"], [["optim.lr=1.0"], ["optim.lr=2.0"]]),
        (["optim.lr=tag(log,interval(0.1,2.5))"], [["optim.lr=0.1"], ["optim.lr=2.5"]]),
    ],
)
def test_combinations_are_the_jobs_that_hydra_runs(typed, expected):
    assert combinations(typed) == expected


# The objective


@pytest.fixture
def returns(monkeypatch):
    """What the jobs of a sweep return to Hydra's sweeper."""
    values, multirun = [], Hydra.multirun

    def and_keep(self, *args, **kwargs):
        batches = multirun(self, *args, **kwargs)
        values.extend(job.return_value for batch in batches for job in batch)
        return batches

    monkeypatch.setattr(Hydra, "multirun", and_keep)
    return values


def finals(run, tag):
    return RunDir(run).read_status()["final"][tag]["value"]


def test_a_job_returns_its_final_w1_over_its_seeds_or_the_tag_that_is_named(workdir, returns):
    two = ("seed=0,5", "n_seeds=2", "hydra.sweep.dir=sweep", HERE)
    assert main("train", "-m", *SHORT, *two) == 0
    seeds = [
        [job / f"seed_{first}", job / f"seed_{first + 1}"]
        for job, first in zip(jobs("sweep"), (0, 5), strict=True)
    ]
    w1 = [[finals(run, "divergence/wasserstein") for run in runs] for runs in seeds]
    assert returns == [pytest.approx((a + b) / 2, rel=1e-12) for a, b in w1]
    assert len({*returns, *w1[0], *w1[1]}) == 6
    returns.clear()  # begun again, the jobs are done; and another number is asked for
    assert main("train", "-m", *SHORT, *two, "objective=final/samples/pairwise_distance") == 0
    pairs = [[finals(run, "samples/pairwise_distance") for run in runs] for runs in seeds]
    assert returns == [pytest.approx((a + b) / 2, rel=1e-12) for a, b in pairs]


def test_a_job_returns_the_energy_distance_above_4_dimensions(workdir, returns):
    """W1 of digits is mostly its own floor."""
    keys = ("metrics=[wasserstein,kernel]", "hydra.sweep.dir=sweep", HERE)
    assert main("train", "-m", *DIGITS, "trainer.steps=2", *keys) == 0
    [job] = jobs("sweep")
    assert returns == [finals(job, "divergence/energy")] != [finals(job, "divergence/wasserstein")]


def test_the_sweeper_of_a_search_gets_the_headline_that_jobs_measure():
    def objective(*words):
        config = compose.build_run_config(compose.compose_config("train", words))
        return default_objective(config, config.data.open(torch.device("cpu")))

    assert objective("data=ring") == "final/divergence/wasserstein"
    assert objective("data=digits") == "final/divergence/energy"
    assert objective("data=digits", "metrics=[wasserstein]") == "final/divergence/wasserstein"
    assert objective("data=mnist_5k") == "final/features/frechet_distance"
    # Digits of 8 pixels are too small for features, which are then measured by no job.
    assert objective("data=digits", "metrics=[features,kernel]") == "final/divergence/energy"
    assert objective("data=ring", "metrics=[js]") == "final/divergence/wasserstein"  # refused


def test_an_objective_has_to_be_measured_on_the_data_of_the_jobs():
    def check(tag, *words):
        config = compose.build_run_config(compose.compose_config("train", words))
        check_objective(tag, config, config.data.open(torch.device("cpu")))

    for tag in NeuralDistance.units:
        check(f"final/{tag}", "data=ring")
        with pytest.raises(ConfigError, match="is measured by no job"):
            check(f"final/{tag}", "data=ring", "neural_distance.steps=0")
    with pytest.raises(ConfigError, match="is measured by no job; take one of final/div"):
        check("final/features/frechet_distance", "data=digits", "metrics=[features,kernel]")


def test_a_table_reads_the_status_no_more_often(workdir, monkeypatch):
    reads = []
    read = RunDir.read_status
    monkeypatch.setattr(RunDir, "read_status", lambda run: reads.append(run.path) or read(run))
    n_reads = []
    for verbose in ("false", "true"):
        reads.clear()
        words = (*SHORT, "trainer.steps=2", f"output=verbose_{verbose}")
        assert main("train", *words, f"verbose={verbose}") == 0
        n_reads.append(len(reads))
    assert n_reads[1] == n_reads[0]


def test_a_job_that_diverges_is_the_worst_of_a_sweep(workdir, returns):
    rates = ("optim=sgd", "optim.lr=1e10,1e-3", "hydra.sweep.dir=sweep", HERE)
    assert main("train", "-m", *SHORT, *rates) == 1
    assert returns == [math.inf, finals(jobs("sweep")[1], "divergence/wasserstein")]
    for direction, worst in (("maximize", -math.inf), ("minimize", math.inf), (None, math.inf)):
        assert worst_objective({"direction": direction}) == worst


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        (
            ["-m", "objective=final/divergence/js"],
            "final/divergence/js is measured by no job; take ",
        ),
        (["-m", "objective=divergence/wasserstein"], "take one of final/divergence/wasserstein, "),
        (["-m", "objective="], "objective= is measured by no job; take one of final/divergence/"),
        (["-m", "objective=a", "objective=b"], "objective=a and objective=b are two objectives"),
        (["objective=final/divergence/js"], "add -m, or leave it out"),
    ],
)
def test_an_objective_that_no_job_has_is_refused_before_anything_is_trained(
    keys, said, workdir, capsys
):
    assert main("train", *SHORT, *keys) == 2
    error = capsys.readouterr().err
    assert said in error
    assert error.count("\n") == 1
    assert files(workdir) == []


def test_an_objective_that_does_not_apply_to_the_data_is_refused_before_training(workdir, capsys):
    swiss_roll = ("data=swiss_roll", *SHORT[1:], "metrics=[wasserstein,modes]", "seed=0", HERE)
    assert main("train", "-m", *swiss_roll, "objective=final/modes/covered") == 2
    said = "objective=final/modes/covered is measured by no job; take one of final/divergence/"
    assert said in capsys.readouterr().err
    assert not list(workdir.rglob("metrics.jsonl"))


@pytest.mark.multiprocess
def test_optuna_chooses_by_the_objective(workdir):
    reason = "needs hydra-optuna-sweeper, in an environment of its own"
    pytest.importorskip("hydra_plugins.hydra_optuna_sweeper", reason=reason)
    optuna = ("hydra/sweeper=optuna", "hydra.sweeper.n_trials=4", "hydra.sweeper.n_jobs=2")
    lr = "optim.lr=tag(log,interval(1e-4,1e-1))"
    assert main("train", "-m", *SHORT, *optuna, lr, "hydra.sweep.dir=sweep") == 0
    assert states("sweep") == ["done"] * 4
    best = yaml.safe_load((workdir / "sweep" / "optimization_results.yaml").read_text())
    w1 = {finals(job, "divergence/wasserstein"): job for job in jobs("sweep")}
    assert best["best_value"] == min(w1)
    config = yaml.safe_load((w1[min(w1)] / "config.yaml").read_text())
    assert config["optim"]["lr"] == best["best_params"]["optim.lr"]
    assert 1e-4 <= config["optim"]["lr"] <= 1e-1


@pytest.mark.multiprocess
def test_jobs_run_in_parallel_one_thread_each_and_are_the_runs_alone(workdir, capfd):
    losses = "loss=minimax,wasserstein_clip"
    assert main("train", "-m", *SHORT, losses, "hydra.sweep.dir=sweep", "execution.threads=0") == 0
    assert states("sweep") == ["done", "done"]
    assert [RunDir(job).read_status()["threads"] for job in jobs("sweep")] == [1, 1]
    assert all((job / "log.txt").read_text().count("verdict: ") == 1 for job in jobs("sweep"))
    lines = capfd.readouterr().out.splitlines()
    assert lines[0] == "sweep:   sweep  (2 jobs)"
    assert [line.partition(": ")[2].partition(", W1")[0] for line in lines[1:-1]] == [
        "done at step 3"
    ] * 2
    assert lines[-1] == "next:    python -m gan_lab compare sweep"
    for job, loss in zip(jobs("sweep"), ("minimax", "wasserstein_clip"), strict=True):
        assert rows(job) == rows(train(f"alone_{loss}", *SHORT, f"loss={loss}"))


@pytest.mark.multiprocess
@pytest.mark.parametrize(
    "how",
    [
        pytest.param("the parent alone", marks=pytest.mark.slow),
        pytest.param("the whole group", marks=pytest.mark.slow),
        pytest.param("kill -9 of the parent", marks=pytest.mark.slow),
    ],
)
def test_a_stopped_sweep_saves_every_run_and_leaves_no_process(how, workdir):
    eager = "execution.mode=eager"
    command = [sys.executable, "-m", "gan_lab", "train", "-m", *RING, eager, "loss=minimax,hinge"]
    more = ("seed=0,1", "trainer.steps=100000", "hydra.sweep.dir=sweep", "hydra.launcher.n_jobs=2")
    sweep = subprocess.Popen([*command, *more], env=ONE, start_new_session=True)
    wait_until_two_run(sweep, 60)
    if how == "the whole group":
        os.killpg(sweep.pid, signal.SIGINT)
    else:
        sweep.send_signal(signal.SIGTERM if how == "the parent alone" else signal.SIGKILL)
    expected = {"the parent alone": 143, "the whole group": 130, "kill -9 of the parent": -9}
    assert sweep.wait(30) == expected[how]
    deadline = time.monotonic() + 20
    while states("sweep").count("interrupted") < 2 or alive(sweep.pid):
        assert time.monotonic() < deadline, (states("sweep"), alive(sweep.pid))
        time.sleep(0.2)
    begun = [job for job in jobs("sweep") if (job / "status.json").exists()]
    assert len(begun) == 2, "a job began after the stop"
    for job in begun:
        saved = checkpoint.load_latest(job / "checkpoints").content["step"]
        assert saved == RunDir(job).read_status()["step"]


@pytest.mark.parametrize(
    ("typed", "expected"),
    [
        (["seed=range(16)", "stack=8"], ["seed=0,8", "n_seeds=8"]),
        (["a=1", "seed=range(3,7)", "b=2", "stack=2"], ["a=1", "seed=3,5", "n_seeds=2", "b=2"]),
        (["seed=5,4,3,2", "stack=4"], ["seed=2", "n_seeds=4"]),
        (["seed=range(4)", "stack=auto"], ["seed=0,2", "n_seeds=2"]),
        (["seed=range(4)"], ["seed=range(4)"]),
    ],
)
def test_neighbouring_seeds_are_packed_into_jobs(typed, expected):
    assert stack_seeds(typed, lambda job, n: n // 2) == expected


@pytest.mark.parametrize(
    ("width", "n", "jobs"),
    [(16, 8, ["seed=0,4", "n_seeds=4"]), (32, 5, ["seed=0,1,2,3,4", "n_seeds=1"])],
)
def test_auto_stacks_narrow_networks_on_all_cores(width, n, jobs, monkeypatch):
    monkeypatch.setattr("gan_lab.cli.train.cores", lambda: 2)
    keys = ["data=ring", "device=cpu", f"network.width={width}", f"seed=range({n})", "stack=auto"]
    assert stack_seeds(keys, _stack)[-2:] == jobs
    keys[2] = "network.width=65"
    assert stack_seeds(keys, _stack)[-1] == "n_seeds=1"


@pytest.mark.parametrize(
    "typed", ["seed=0,2,4,6 stack=2", "seed=range(4) stack=0", "seed=range(4) n_seeds=2 stack=2"]
)
def test_seeds_that_make_no_rows_are_refused(typed, workdir, capsys):
    assert main("train", "-m", *SHORT, *typed.split()) == 2
    assert capsys.readouterr().err.startswith("ConfigError: stack=")
    assert files(workdir) == []


def test_a_packed_sweep_trains_the_seeds_that_were_asked_for(workdir):
    assert main("train", "-m", *SHORT, "seed=range(2,6)", "stack=2", "hydra.sweep.dir=s", HERE) == 0
    found = [child.name for job in jobs("s") for child in sorted(job.glob("seed_*"))]
    assert found == ["seed_2", "seed_3", "seed_4", "seed_5"]
    alone = train("alone", *SHORT, "seed=4", "n_seeds=2")
    assert rows(jobs("s")[1] / "seed_5") == rows(alone / "seed_5")


LOCAL_CLUSTER = "hydra/launcher=submitit_local"


@pytest.mark.multiprocess
def test_the_cluster_launcher_runs_every_job(workdir, capsys):
    pytest.importorskip("submitit", reason="pip install -e '.[cluster]'")
    rates = ("optim=sgd", "optim.lr=1e-3,1e10")
    assert main("train", "-m", *SHORT, *rates, "hydra.sweep.dir=sweep", LOCAL_CLUSTER) == 1
    done, lost = jobs("sweep")[-2:]
    assert [RunDir(job).read_status()["state"] for job in (done, lost)] == ["done", "diverged"]
    assert capsys.readouterr().out.count(" at step ") == 2
    assert "verdict: " in (done / "log.txt").read_text()
    assert rows(done) == rows(train("alone", *SHORT, "optim=sgd", "optim.lr=1e-3"))
    assert not list(Path.cwd().glob(".gan_lab_*"))


@pytest.mark.parametrize("executor", ["", pytest.param("slurm", marks=pytest.mark.slow)])
def test_a_sweep_that_is_begun_again_goes_on(executor, workdir, monkeypatch, capsys):
    whole = train("whole", *SHORT, "trainer.steps=6", "trainer.log_every=2")
    sweep = ("-m", *SHORT, "trainer.steps=6", "trainer.log_every=2", "hydra.sweep.dir=sweep", HERE)
    signal_at(monkeypatch, 4)
    assert main("train", *sweep) == 143
    monkeypatch.undo()
    monkeypatch.chdir(workdir)
    if executor:
        monkeypatch.setenv("SUBMITIT_EXECUTOR", executor)
    for _ in range(2):  # the second time there is nothing left to do
        assert main("train", *sweep) == 0
        (job,) = jobs("sweep")
        assert states("sweep") == ["done"]
        assert rows(job) == rows(whole)
    capsys.readouterr()
    assert main("train", *sweep, "optim.lr=1e-5") == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "optim.lr" in err
    assert main("train", *sweep, "trainer.steps=8") == 0
    assert rows(job)[-1]["step"] == 8


@pytest.mark.multiprocess
@pytest.mark.slow
def test_a_stopped_cluster_sweep_saves_every_run(workdir):
    pytest.importorskip("submitit", reason="pip install -e '.[cluster]'")
    eager = "execution.mode=eager"
    more = (eager, "seed=0,1", "trainer.steps=100000", "hydra.sweep.dir=sweep", LOCAL_CLUSTER)
    command = [sys.executable, "-m", "gan_lab", "train", "-m", *RING, *more]
    sweep = subprocess.Popen(command, env={**ONE, "PYTHONPATH": str(ROOT)})
    wait_until_two_run(sweep, 90)
    sweep.send_signal(signal.SIGTERM)
    assert sweep.wait(40) == 143
    assert states("sweep") == ["interrupted"] * 2


def test_a_missing_cluster_launcher_is_named(workdir, monkeypatch, capsys):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main("train", "-m", *SHORT, "seed=0,1", LOCAL_CLUSTER) == 2
    assert "pip install -e '.[cluster]'" in capsys.readouterr().err
    assert files(workdir) == []


def alive(session):
    """The processes of a session that still run."""
    command = ["ps", "-s", str(session), "-o", "pid=,stat="]
    listed = subprocess.run(command, capture_output=True, text=True).stdout.splitlines()
    return [line for line in listed if " Z" not in line]
