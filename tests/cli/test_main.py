"""The command line: warnings, interruptions, quick help, records, samples."""

import json
import subprocess
import sys
import time

import numpy as np
import pytest
import torch
from omegaconf import OmegaConf
from PIL import Image

import gan_lab
from gan_lab.cli import main as cli
from gan_lab.cli import train as train_command
from gan_lab.cli.commands import COMMANDS
from gan_lab.config.compose import build_run_config
from gan_lab.errors import RunDiverged
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir
from tests.helpers import CHEAP, DIGITS, ONE, RING, files, main, rows, run_config, train


def test_a_quoted_value_gives_the_terminal_no_commands(workdir, capsys):
    assert main("train", "optim.lr=\x1b[31mred\x07", "seed=\x9b2J") == 2
    assert main("\x1b]0;title\x07") == 2
    said = capsys.readouterr().err
    assert said.isascii() is False
    assert all(c.isprintable() for c in said.replace("\n", ""))
    assert "unknown command '\N{REPLACEMENT CHARACTER}]0;title\N{REPLACEMENT CHARACTER}'" in said


# Warnings and interruptions


def test_a_warning_of_the_data_is_one_line_whatever_the_path(workdir, capsys):
    (workdir / "a[").mkdir()
    np.save("a[/i].npy", np.linspace(0, 1e5, 400).reshape(200, 2))
    keys = ("data=array", "data.path='a[/i].npy'", *CHEAP, "trainer.steps=1", "network.width=8")
    assert main("train", *keys, "hydra.run.dir='b[/run]'") == 0
    out, err = capsys.readouterr()
    warning, *rest = err.splitlines()
    assert warning.startswith("warning: array a[/i].npy reaches 1e+05, where")
    assert not any("warning" in line for line in rest)
    assert "run:     b[/run]\n" in out


def test_a_sweep_says_once_what_it_warns_of(workdir, capfd):
    keys = ("loss=wasserstein", "regularizer=none", *RING, "trainer.steps=1")
    assert main("train", "-m", *keys, "seed=0,1", "hydra/launcher=basic") == 0
    assert capfd.readouterr().err.count("warning: loss Wasserstein without") == 1


@pytest.mark.parametrize(
    ("dropped", "said"),
    [
        (("2",), "seed 2 was dropped; the others are done"),
        (("10", "9"), "seeds 9 and 10 were dropped; the others are done"),
        (("2", "0", "1"), "seeds 0, 1 and 2 were dropped; the others are done"),
    ],
)
def test_dropped_seeds_are_named_in_order(dropped, said, monkeypatch):
    monkeypatch.setattr(RunDir, "read_status", lambda self: {"dropped": dict.fromkeys(dropped)})
    monkeypatch.setattr(train_command, "_show", lambda *_: None)
    with pytest.raises(RunDiverged, match=f"^{said}$"):
        train_command._conclude(run_config(*RING), RunDir("run").path, [{}])


def test_ctrl_c_is_told_in_one_line(monkeypatch, capsys):
    def interrupted(rest):
        raise KeyboardInterrupt

    monkeypatch.setattr(cli, "_command", lambda name: interrupted)
    for name in ("compare", "evaluate", "selfcheck"):
        assert main(name) == 130
        assert capsys.readouterr() == ("", "stopped by SIGINT\n")


def test_ctrl_c_while_python_leaves_changes_no_exit_code(tmp_path):
    program = (
        "import os, sys; from gan_lab.cli import main as cli\n"
        "class Late:\n"  # it outlives the modules, so that its end is after Python's own handlers
        "    def __del__(self, kill=os.kill, me=os.getpid()): kill(me, 2)\n"
        "sys.late = Late(); sys.argv = ['gan_lab', '--version']; cli.entry()"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, cwd=tmp_path, env=ONE, capture_output=True, text=True)
    assert (ended.returncode, ended.stdout.strip()) == (0, gan_lab.__version__)


# Help


def test_help_is_quick(tmp_path):
    def seconds():
        start = time.perf_counter()
        command = [sys.executable, "-m", "gan_lab", "--help"]
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0
        assert "train data=ring loss=minimax" in ended.stdout
        return time.perf_counter() - start

    assert min(seconds() for _ in range(3)) < 0.5


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]])
def test_no_arguments_and_help_show_the_commands(arguments, capsys):
    assert main(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert all(f"\n  {command} " in out for command in COMMANDS)


@pytest.mark.parametrize(
    "arguments", [["data=ring", "seed=3", "--cfg", "job"], ["--cfg", "job", "data=ring", "seed=3"]]
)
def test_cfg_job_prints_the_configuration_that_would_run(arguments, workdir, capsys):
    assert main("train", *arguments) == 0
    shown = OmegaConf.create(capsys.readouterr().out)
    assert build_run_config(shown).seeds == (3,)
    assert type(build_run_config(shown).data).__name__ == "Ring"
    assert files(workdir) == []


# Records


ALWAYS = {
    *("loss/discriminator", "loss/generator", "loss/penalty"),
    *("gradient/discriminator_norm", "gradient/generator_norm"),
    *("time/steps_per_second", "time/images_per_second", "time/train_seconds"),
    *("time/evaluation_seconds", "time/evaluation_share"),
}
EVALUATOR = {f"divergence/wasserstein{end}" for end in ("", "_low", "_high", "_floor")}

OPTIMALITY = {
    f"discriminator_estimate/{name}"
    for name in ("optimality_gap", "gradient_norm_mean", "gradient_norm_max")
}


@pytest.mark.parametrize(
    ("choice", "own"),
    [
        ("loss=wasserstein", {"discriminator_estimate/wasserstein"}),
        ("loss=minimax", {"discriminator_estimate/js"}),
        ("loss=hinge", set()),
    ],
)
def test_metrics_are_valid_json_under_the_promised_tags(choice, own, workdir):
    run = train("run", choice, *RING, "trainer.steps=6", "trainer.log_every=3", "evaluator.every=4")

    def no_constants(token):
        raise AssertionError(f"{token} is not JSON")

    lines = (run / "metrics.jsonl").read_text().splitlines()
    found = [json.loads(line, parse_constant=no_constants) for line in lines]
    assert [(row["step"], row["seed"]) for row in found] == [(step, 0) for step in (0, 3, 4, 6)]
    start, logged, looked, end = (set(row) - {"step", "seed"} for row in found)
    fresh = {f"{tag}_fresh" for tag in own}
    if own:
        fresh.add("discriminator_estimate/near_optimal")
    if "wasserstein" in choice:
        fresh.add("discriminator_estimate/wasserstein_per_gradient_norm")
    aside = ("samples/", "clock/", "time/")
    assert {tag for tag in start if not tag.startswith(aside)} == EVALUATOR | OPTIMALITY | fresh
    assert logged >= ALWAYS | own
    assert sum(tag.startswith("clock/") for tag in logged) == 4
    assert looked == start
    in_full = {tag for tag in end if tag.startswith("final/")}
    assert in_full >= {f"final/{tag}" for tag in EVALUATOR}
    assert end - in_full == start | logged
    assert logged & {f"discriminator_estimate/{name}" for name in ("js", "wasserstein")} == own
    for row in found:
        if "divergence/wasserstein" in row:
            low, value, high = (row[f"divergence/wasserstein{e}"] for e in ("_low", "", "_high"))
            assert low <= value <= high


def test_a_run_directory_says_what_ran_and_rebuilds_it(workdir):
    run = train("run", "loss=hinge", *RING, "trainer.steps=3", "seed=4", "trainer.image_every=3")
    config = OmegaConf.load(run / "config.yaml")
    assert OmegaConf.to_container(config) == OmegaConf.to_container(config, resolve=True)
    rebuilt = build_run_config(config)
    assert rebuilt.seeds == (4,)
    assert list(rebuilt.regularizers) == ["spectral_norm"]
    assert rebuilt.trainer.steps == 3
    assert rebuilt == build_run_config(OmegaConf.create(OmegaConf.to_container(config)))
    status = json.loads((run / "status.json").read_text())
    assert status["state"] == "done"
    assert (status["step"], status["steps"], status["seeds"]) == (3, 3, [4])
    assert (status["error"], status["signal"]) == (None, None)
    assert status["versions"]["torch"] == torch.__version__
    assert {"git", "hardware", "threads", "hostname", "command", "started"} <= set(status)
    final, last = status["final"]["divergence/wasserstein"], read_metrics(run / "metrics.jsonl")[-1]
    assert final["value"] == last["final/divergence/wasserstein"]
    assert (final["unit"], final["n"]) == ("data units", 16)
    assert Image.open(run / "samples" / "step_00000003.png").size[0] > 100
    assert status["overrides"][0] == "loss=hinge"
    assert "seed=4" in status["overrides"]
    best = f"best_{status['best']['step']:08d}.pt"
    assert {p.name for p in (run / "checkpoints").iterdir()} == {best, "step_00000003.pt"}


def test_without_a_directory_a_run_goes_under_outputs_by_data_and_loss(workdir):
    assert main("train", "loss=minimax", "trainer.steps=2", *RING) == 0
    (run,) = (workdir / "outputs" / "train" / "ring_minimax").iterdir()
    assert RunDir(run).read_status()["state"] == "done"
    assert "=" not in str(run.relative_to(workdir))


def test_several_seeds_leave_the_record_and_the_numbers_of_each_alone(workdir):
    base = (*RING, "trainer.steps=12", "trainer.log_every=5", "evaluator.every=6")
    together = train("both", *base, "seed=3", "n_seeds=2")
    assert (together / "checkpoints" / "step_00000012.pt").exists()
    children = RunDir(together).children()
    assert [child.path.name for child in children] == ["seed_3", "seed_4"]
    for seed, child in zip((3, 4), children, strict=True):
        solo = train(f"solo_{seed}", *base, f"seed={seed}")
        missing = {p for p in files(solo) if p.parts[0] not in ("checkpoints", ".lock")}
        assert missing <= set(files(child.path))
        configs = [build_run_config(OmegaConf.load(run.config)) for run in (child, RunDir(solo))]
        assert configs[0] == configs[1]
        ours, theirs = child.read_status(), RunDir(solo).read_status()
        assert set(ours) == set(theirs)
        for key in ("state", "step", "steps", "seeds"):
            assert ours[key] == theirs[key], key
        for mine, yours in zip(rows(child.path), rows(solo), strict=True):
            assert mine.keys() == yours.keys()
            assert (mine["step"], mine["seed"]) == (yours["step"], seed)
            for tag in mine:
                # The gap is a small difference of two objectives, whose rounding it has.
                parts = ("loss/discriminator", "loss/penalty") if "gap" in tag else ()
                size = max(5e-3, *(abs(yours.get(part, 0)) for part in parts), 0)
                assert mine[tag] == pytest.approx(yours[tag], rel=2e-3, abs=2e-3 * size), tag
    first, second = (rows(child.path) for child in children)
    assert first[-1]["loss/generator"] != second[-1]["loss/generator"]
    assert first[0]["divergence/wasserstein"] != second[0]["divergence/wasserstein"]


# Samples


@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    """Two seeds on digits at once, with checkpoints of steps 3 and 6."""
    path = tmp_path_factory.mktemp("pictures") / "run"
    base = ("data=digits", "network.width=8", *CHEAP, "trainer.steps=6")
    return train(path, *base, "trainer.checkpoint_every=3", "n_seeds=2")


def sampled(run, *options, stem="s"):
    """The array that sample writes."""
    assert main("sample", run, f"output={stem}.npy", *options) == 0
    return np.load(f"{stem}.npy")


def test_sample_writes_an_array_and_a_picture_of_images(pictures, workdir, capsys):
    assert main("sample", pictures, "n=9", "output=out/grid.png") == 0
    assert capsys.readouterr().out.split() == ["out/grid.npy", "out/grid.png"]
    array = np.load("out/grid.npy")
    assert (array.shape, array.dtype) == ((9, 1, 8, 8), np.float32)
    assert np.abs(array).max() <= 1
    width, height = Image.open("out/grid.png").size
    assert width == height


def test_sample_writes_points_without_a_picture_and_into_the_run_by_default(workdir, capsys):
    run = train("run", *RING, "trainer.steps=2")
    capsys.readouterr()
    assert main("sample", run, "n=5", "seed=7") == 0
    (said,) = capsys.readouterr().out.split()
    assert said == "run/samples/sample_step_00000002_seed_7.npy"
    assert np.load(said).shape == (5, 2)


def test_keys_of_sample_choose_seed_step_average_and_child(pictures, workdir, monkeypatch):
    default = sampled(pictures)
    assert default.shape == (64, 1, 8, 8)
    for same in ("seed=0", "step=6", "average=true"):
        np.testing.assert_array_equal(default, sampled(pictures, same))
    for other, least in (("seed=1", 1e-4), ("step=3", 1e-5), ("average=false", 1e-5)):
        assert np.abs(default - sampled(pictures, other)).max() > least
    np.testing.assert_array_equal(default, sampled(pictures / "seed_0"))
    child = sampled(pictures / "seed_1")
    assert np.abs(default - child).max() > 1e-4
    monkeypatch.chdir(pictures)  # a relative path from within the parent
    np.testing.assert_array_equal(sampled("seed_1", stem=workdir / "t"), child)


def test_a_child_samples_what_its_seed_alone_would(pictures, workdir):
    base = ("data=digits", "network.width=8", *CHEAP, "trainer.steps=6", "seed=1")
    solo = train("solo", *base)
    np.testing.assert_allclose(sampled(pictures / "seed_1"), sampled(solo), rtol=1e-3, atol=1e-4)


def test_a_sample_does_not_depend_on_its_company(workdir):
    run = train("run", *DIGITS, "loss=non_saturating", "trainer.steps=3")
    # The generator has batch norm; the first z are the same, whatever n.
    many, few = sampled(run, "n=8"), sampled(run, "n=4")
    np.testing.assert_allclose(many[:4], few, rtol=1e-4, atol=1e-5)
