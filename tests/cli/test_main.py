"""The command line: refusals that write nothing, help that is quick, records, samples."""

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
from gan_lab.config.compose import setup_of
from gan_lab.errors import RunDiverged
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir
from tests.helpers import CHEAP, DIGITS, ONE, RING, files, main, rows, setup, train


def process(*arguments, cwd, **more):
    """The command line as a user has it."""
    command = [sys.executable, "-m", "gan_lab", *arguments]
    return subprocess.run(command, cwd=cwd, env=ONE, capture_output=True, text=True, **more)


# Refusals: one line, exit code 2, nothing written; the table is tests/campaigns/inputs.py

SHORT = ("trainer.steps=2", *RING)


def assert_refused(capsys, directory, arguments, said):
    """Exit code 2, one line on stderr that says it, and nothing else anywhere."""
    before = files(directory)
    capsys.readouterr()
    assert main(*arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("ConfigError: ")
    assert err.count("\n") == 1
    assert err.endswith("\n")
    assert said in err
    assert "Traceback" not in err
    assert files(directory) == before


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A short run that nobody changes."""
    return train(tmp_path_factory.mktemp("run") / "run", "trainer.steps=4", *RING)


@pytest.mark.parametrize(
    "target", ["os.system", "gan_lab.engine.optimizers.Nope", "gan_lab.losses.Hinge"]
)
@pytest.mark.parametrize("command", ["resume", "sample"])
def test_a_config_file_that_names_another_class_is_refused(command, target, run, workdir, capsys):
    saved = OmegaConf.load(run / "config.yaml")
    saved.optim._target_ = target
    (workdir / "run").mkdir()
    (workdir / "run" / "config.yaml").write_text(OmegaConf.to_yaml(saved))
    assert_refused(capsys, workdir, [command, "run"], target)


def test_the_process_ends_with_the_refusal_s_code_and_line(tmp_path):
    ended = process("train", "optim.lr=-1", cwd=tmp_path)
    assert ended.returncode == 2
    assert ended.stdout == ""
    assert ended.stderr == "ConfigError: optim.lr=-1 is not a number in (0, inf)\n"
    assert files(tmp_path) == []


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
    np.save("a[/i].npy", np.linspace(0, 1, 200)[:, None, None, None].repeat(5, 2).repeat(5, 3))
    keys = ("data=array", "data.path='a[/i].npy'", *CHEAP, "trainer.steps=1", "network.width=8")
    assert main("train", *keys, "hydra.run.dir='b[/run]'") == 0
    out, err = capsys.readouterr()
    warning, *rest = err.splitlines()
    assert warning.startswith("warning: array a[/i].npy is images from 0 to 1, where")
    assert not any("warning" in line for line in rest)
    assert f"run:     {workdir}/b[/run]\n" in out


def test_a_sweep_says_once_what_it_warns_of(workdir, capfd):
    keys = ("loss=wasserstein", "regularizer=none", *RING, "trainer.steps=1")
    assert main("train", "-m", *keys, "seed=0,1", "hydra/launcher=basic") == 0
    assert capfd.readouterr().err.count("warning: loss=wasserstein without") == 1


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
        train_command._conclude(setup(*RING), RunDir("run").path, [{}])


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
    ended = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=ONE, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stdout.strip()) == (0, gan_lab.__version__)


# Help


def test_help_is_quick_and_needs_neither_torch_nor_hydra(tmp_path):
    def imported():
        command = [sys.executable, "-X", "importtime", "-m", "gan_lab", "--help"]
        start = time.perf_counter()
        ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
        assert ended.returncode == 0
        assert "train data=ring loss=minimax" in ended.stdout
        return time.perf_counter() - start, ended.stderr

    times, logs = zip(*(imported() for _ in range(3)), strict=True)
    assert min(times) < 0.5
    names = {line.rpartition("|")[2].strip().partition(".")[0] for line in logs[0].splitlines()}
    assert "gan_lab" in names
    assert not names & {"torch", "hydra", "omegaconf", "numpy", "rich"}


@pytest.mark.parametrize("arguments", [[], ["-h"], ["--help"], ["help"]])
def test_no_arguments_and_help_show_the_commands(arguments, capsys):
    assert main(*arguments) == 0
    out, err = capsys.readouterr()
    assert err == ""
    for command in ("train", "resume", "sample"):
        assert f"\n  {command} " in out


def test_version(capsys):
    assert main("--version") == 0
    assert capsys.readouterr().out.strip() == gan_lab.__version__


@pytest.mark.parametrize(
    "arguments", [["data=ring", "seed=3", "--cfg", "job"], ["--cfg", "job", "data=ring", "seed=3"]]
)
def test_cfg_job_prints_the_configuration_that_would_run(arguments, workdir, capsys):
    assert main("train", *arguments) == 0
    shown = OmegaConf.create(capsys.readouterr().out)
    assert setup_of(shown).seeds == (3,)
    assert type(setup_of(shown).data).__name__ == "Ring"
    assert files(workdir) == []


# Records


def tags_of(row):
    return set(row) - {"step", "seed"}


ALWAYS = {
    *("loss/discriminator", "loss/generator", "loss/penalty"),
    *("gradient/discriminator_norm", "gradient/generator_norm"),
    *("time/steps_per_second", "time/images_per_second", "time/train_seconds"),
    "time/estimate_seconds",
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
    lines = (run / "metrics.jsonl").read_text().splitlines()

    def no_constants(token):
        raise AssertionError(f"{token} is not JSON")

    found = [json.loads(line, parse_constant=no_constants) for line in lines]
    assert [row["step"] for row in found] == [0, 3, 4, 6]
    assert {row["seed"] for row in found} == {0}
    aside = ("samples/", "clock/", "time/")
    looked = {tag for tag in tags_of(found[0]) if not tag.startswith(aside)}
    fresh = {f"{tag}_fresh" for tag in own}
    if own:
        fresh.add("discriminator_estimate/near_optimal")
    if "wasserstein" in choice:
        fresh.add("discriminator_estimate/wasserstein_per_gradient_norm")
    assert looked == EVALUATOR | OPTIMALITY | fresh
    assert tags_of(found[1]) >= ALWAYS | own
    clocks = {tag for tag in tags_of(found[1]) if tag.startswith("clock/")}
    assert len(clocks) == 4
    assert tags_of(found[2]) == tags_of(found[0])
    in_full = {tag for tag in tags_of(found[3]) if tag.startswith("final/")}
    assert in_full >= {f"final/{tag}" for tag in EVALUATOR}
    assert tags_of(found[3]) - in_full == tags_of(found[0]) | tags_of(found[1])
    bounds = {f"discriminator_estimate/{name}" for name in ("js", "wasserstein")}
    assert tags_of(found[1]) & bounds == own
    for row in found:
        if "divergence/wasserstein" in row:
            low, value, high = (row[f"divergence/wasserstein{e}"] for e in ("_low", "", "_high"))
            assert low <= value <= high


def test_a_run_directory_says_what_ran_and_rebuilds_it(workdir):
    run = train("run", "loss=hinge", *RING, "trainer.steps=3", "seed=4", "trainer.image_every=3")
    config = OmegaConf.load(run / "config.yaml")
    assert OmegaConf.to_container(config) == OmegaConf.to_container(config, resolve=True)
    rebuilt = setup_of(config)
    assert rebuilt.seeds == (4,)
    assert list(rebuilt.regularizers) == ["spectral_norm"]
    assert rebuilt.trainer.steps == 3
    assert rebuilt == setup_of(OmegaConf.create(OmegaConf.to_container(config)))
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


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Seeds 3 and 4 at once, and each alone."""
    where = tmp_path_factory.mktemp("several")
    base = (*RING, "trainer.steps=12", "trainer.log_every=5", "evaluator.every=6")
    together = train(where / "both", *base, "seed=3", "n_seeds=2")
    return together, [train(where / f"solo_{s}", *base, f"seed={s}") for s in (3, 4)]


def test_several_seeds_leave_a_full_record_each(several):
    together, solos = several
    children = RunDir(together).children()
    assert [child.path.name for child in children] == ["seed_3", "seed_4"]
    for seed, child, solo in zip((3, 4), children, solos, strict=True):
        missing = {p for p in files(solo) if p.parts[0] not in ("checkpoints", ".lock")}
        assert missing <= set(files(child.path))
        assert setup_of(OmegaConf.load(child.config)) == setup_of(
            OmegaConf.load(solo / "config.yaml")
        )
        assert {row["seed"] for row in rows(child.path)} == {seed}
        ours, theirs = child.read_status(), RunDir(solo).read_status()
        assert set(ours) == set(theirs)
        for key in ("state", "step", "steps", "seeds"):
            assert ours[key] == theirs[key], key
    assert (together / "checkpoints" / "step_00000012.pt").exists()


def test_several_seeds_give_the_numbers_of_each_alone(several):
    together, solos = several
    for child, solo in zip(RunDir(together).children(), solos, strict=True):
        ours, theirs = rows(child.path), rows(solo)
        assert [row["step"] for row in ours] == [row["step"] for row in theirs]
        for mine, yours in zip(ours, theirs, strict=True):
            assert mine.keys() == yours.keys()
            for tag in mine:
                assert mine[tag] == pytest.approx(yours[tag], rel=2e-3, abs=1e-5), tag


def test_the_seeds_differ_from_each_other(several):
    first, second = (rows(child.path) for child in RunDir(several[0]).children())
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


def test_samples_are_the_same_for_a_seed_and_others_for_another(pictures, workdir):
    first = sampled(pictures, "seed=0")
    assert first.shape == (64, 1, 8, 8)
    np.testing.assert_array_equal(first, sampled(pictures, "seed=0"))
    assert np.abs(first - sampled(pictures, "seed=1")).max() > 1e-4


def test_step_chooses_the_checkpoint_and_the_newest_is_the_default(pictures, workdir):
    newest = sampled(pictures)
    np.testing.assert_array_equal(newest, sampled(pictures, "step=6"))
    assert np.abs(newest - sampled(pictures, "step=3")).max() > 1e-5


def test_the_average_is_not_the_generator_of_the_moment(pictures, workdir):
    average, now = sampled(pictures), sampled(pictures, "average=false")
    np.testing.assert_array_equal(average, sampled(pictures, "average=true"))
    assert np.abs(average - now).max() > 1e-5


def test_a_parent_stands_for_its_first_seed_and_a_child_for_its_own(pictures, workdir):
    parent = sampled(pictures)
    np.testing.assert_array_equal(parent, sampled(pictures / "seed_0"))
    assert np.abs(parent - sampled(pictures / "seed_1")).max() > 1e-4


def test_a_child_samples_what_its_seed_alone_would(pictures, workdir):
    base = ("data=digits", "network.width=8", *CHEAP, "trainer.steps=6", "seed=1")
    solo = train("solo", *base)
    np.testing.assert_allclose(sampled(pictures / "seed_1"), sampled(solo), rtol=1e-3, atol=1e-4)


def test_a_relative_child_directory_works_from_within_its_parent(pictures, workdir, monkeypatch):
    expected = sampled(pictures / "seed_1")
    monkeypatch.chdir(pictures)
    np.testing.assert_array_equal(sampled("seed_1", stem=workdir / "t"), expected)


def test_a_sample_does_not_depend_on_its_company(workdir):
    run = train("run", *DIGITS, "loss=non_saturating", "trainer.steps=3")
    # The generator has batch norm; the first z are the same, whatever n.
    many, few = sampled(run, "n=8"), sampled(run, "n=4")
    np.testing.assert_allclose(many[:4], few, rtol=1e-4, atol=1e-5)
