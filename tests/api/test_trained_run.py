"""A run as an object: it shows what lies on the disk, and opens it anywhere but runs nothing."""

import base64
import json
import re
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

import gan_lab
from gan_lab.engine.rng import stream
from gan_lab.loggers.jsonl import read_metrics
from gan_lab.runs.run_dir import RunDir
from tests.helpers import DIGITS, RING, load_checkpoint, main

pytestmark = pytest.mark.usefixtures("workdir")
CHOICES = {
    "ring": (*RING, "steps=8"),
    "hinge": (*RING, "loss=hinge", "steps=8"),  # spectral normalisation
    "digits": (*DIGITS, "loss=non_saturating", "steps=4"),  # batch norm in the generator
    "seeds": (*RING, "n_seeds=2", "seed=3", "steps=8"),
}


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """The path of a run of each choice, trained once and not to be changed."""
    paths = {}

    def path(name):
        if name not in paths:
            home = tmp_path_factory.mktemp("run") / name
            paths[name] = gan_lab.train(*CHOICES[name], output=home).path
        return paths[name]

    return path


each_choice = pytest.mark.parametrize("name", CHOICES)


def noise(run, n, seed=0):
    return torch.randn(n, run.latent_dim, generator=stream(seed, "sample"))


# Samples and networks


@each_choice
def test_samples_are_the_averaged_generators_bit_for_bit(name, trained):
    run = gan_lab.load(trained(name))
    assert not run.generator.training
    samples = run.samples(32)
    assert (samples.dtype, samples.shape[0]) == (np.float32, 32)
    assert np.array_equal(run.generator(noise(run, 32)).numpy(), samples)
    average = load_checkpoint(run.path)["state"]["average"]
    for leaf, tensor in run.generator.state_dict().items():
        stored = average[leaf][0] if name == "seeds" else average[leaf]
        assert torch.equal(tensor, stored)
    assert np.array_equal(run.samples(32), samples)
    assert not np.array_equal(run.samples(32, seed=1), samples)


def test_samples_are_those_of_the_command(trained):
    assert main("sample", trained("ring"), "n=20", "seed=5", "output=x.npy") == 0
    assert np.array_equal(np.load("x.npy"), gan_lab.load(trained("ring")).samples(20, seed=5))


@each_choice
def test_the_discriminator_gives_the_runs_logits(name, trained):
    run = gan_lab.load(trained(name))
    x = torch.as_tensor(run.samples(16))
    opened = run.checkpoint.run
    logits = opened.objective.score(*opened.discriminator_leaves(0))(x)
    assert not run.discriminator.training
    assert torch.equal(run.discriminator(x), logits.detach())
    assert float(logits.detach().std()) > 0


def test_a_network_is_a_copy(trained):
    run = gan_lab.load(trained("ring"))
    before, x = run.samples(4), torch.as_tensor(run.samples(4))
    opened = run.checkpoint.run
    logits = opened.objective.score(*opened.discriminator_leaves(0))(x)
    for module in (run.generator, run.discriminator):
        assert not any(p.requires_grad for p in module.parameters())
        for parameter in module.parameters():
            parameter.zero_()
    assert torch.equal(opened.objective.score(*opened.discriminator_leaves(0))(x), logits)
    assert np.array_equal(run.samples(4), before)


@pytest.mark.parametrize("n", [0, -1, 2.5, "4", True, None])
def test_a_number_of_samples_that_is_none_is_refused(n, trained):
    with pytest.raises(gan_lab.ConfigError, match=re.escape(f"n={n!r} is not a whole number >= 1")):
        gan_lab.load(trained("ring")).samples(n)


# Numbers


@each_choice
def test_metrics_are_the_rows_of_metrics_jsonl(name, trained):
    run = gan_lab.load(trained(name))
    home = run.path / "seed_3" if name == "seeds" else run.path
    stored = list(read_metrics(home / "metrics.jsonl"))
    frame = run.metrics
    assert list(frame.index) == [row["step"] for row in stored]
    assert len(stored) >= 2
    for (_, mine), row in zip(frame.iterrows(), stored, strict=True):
        assert mine.dropna().to_dict() == {
            tag: value for tag, value in row.items() if tag != "step" and value == value
        }


@each_choice
def test_evaluate_gives_the_final_estimates_of_the_last_step(name, trained):
    run = gan_lab.load(trained(name))
    home = run.path / "seed_3" if name == "seeds" else run.path
    final = RunDir(home).read_status()["final"]
    estimates = run.evaluate()
    assert list(estimates) == list(final)
    for tag, estimate in estimates.items():
        stored = {key: final[tag][key] for key in ("unit", "n", "is_skewed")}
        stored |= {key: float(final[tag][key]) for key in ("value", "low", "high", "floor")}
        assert repr(vars(estimate)) == repr({key: stored[key] for key in vars(estimate)})


def test_evaluate_of_an_earlier_step_differs(trained):
    best = gan_lab.load(trained("ring"), step="best")
    assert best.step in (0, 5, 8)
    opened = gan_lab.load(trained("ring"))
    assert opened.step == 8
    assert (
        opened.evaluate()["wasserstein"]
        == gan_lab.load(trained("ring"), 8).evaluate()["wasserstein"]
    )


def test_what_is_not_finite_is_refused(tmp_path, trained):
    run = gan_lab.load(trained("ring"))
    next(iter(run.checkpoint.run.state.average.values())).fill_(torch.inf)
    with pytest.raises(gan_lab.ConfigError, match="step 8: a sample of seed 0 is not finite"):
        run.evaluate()


# Several seeds


def test_a_seed_is_a_run_of_its_own(trained):
    run = gan_lab.load(trained("seeds"))
    assert run.seeds == (3, 4)
    other = run.seed(4)
    assert other.path == run.path / "seed_4"
    assert other.seed(3).path == run.path / "seed_3"
    assert np.array_equal(run.seed(3).samples(4), run.samples(4))
    assert not np.array_equal(other.samples(4), run.samples(4))
    assert other.evaluate()["wasserstein"] != run.evaluate()["wasserstein"]
    alone = gan_lab.train(*RING, steps=8, seed=4, output="alone")
    np.testing.assert_allclose(alone.samples(4), other.samples(4), rtol=1e-4, atol=1e-5)
    with pytest.raises(gan_lab.ConfigError, match="has no seed 5; it has 3, 4"):
        run.seed(5)
    assert alone.seed(4) is alone


# Any machine, and any stranger


def test_a_run_opens_where_it_was_moved_and_without_its_device(trained):
    shutil.copytree(trained("ring"), "moved")
    run = gan_lab.load("moved")
    config = RunDir(Path("moved")).config
    config.write_text(config.read_text().replace("device: cpu", "device: cuda:7"))
    assert "cuda:7" in config.read_text()
    away = gan_lab.load("moved", device=None)
    if not torch.cuda.is_available():
        assert away.generator(noise(away, 2)).device.type == "cpu"
        assert np.array_equal(away.samples(4), run.samples(4))
    assert gan_lab.load("moved", device="cpu").config["device"] == "cuda:7"


@pytest.mark.parametrize("program", ["load", "resume", "compare"])
def test_code_outside_of_gan_lab_is_not_run(program, trained, monkeypatch):
    Path("foreign.py").write_text("open('foreign_ran', 'w')\n")
    monkeypatch.syspath_prepend(".")
    shutil.copytree(trained("ring"), "run")
    config = RunDir(Path("run")).config
    text = config.read_text()
    config.write_text(re.sub(r"gan_lab\.losses\.[\w.]+", "foreign.Loss", text))
    assert config.read_text() != text
    programs = {
        "load": lambda: gan_lab.load("run"),
        "resume": lambda: gan_lab.TrainedRun("run").resume(steps=20),
        "compare": lambda: gan_lab.compare(["run"]).table,
    }
    if program == "compare":  # it reads the choice as a text
        programs[program]()
    else:
        with pytest.raises(gan_lab.ConfigError, match=r"foreign\.Loss is code outside of gan_lab"):
            programs[program]()
    assert not Path("foreign_ran").exists()
    assert "foreign" not in sys.modules


@pytest.mark.parametrize(
    ("command", "program"),
    [
        (["sample", "nowhere"], lambda path: gan_lab.load("nowhere")),
        (["sample", "."], lambda path: gan_lab.load(".")),
        (["sample", "{run}", "step=7"], lambda path: gan_lab.load(path, step=7)),
        (["sample", "{run}", "device=tpu"], lambda path: gan_lab.load(path, device="tpu")),
        (
            ["sample", "{run}", "n=99999999999"],
            lambda path: gan_lab.load(path).samples(99999999999),
        ),
        (["resume", "{run}"], lambda path: gan_lab.load(path).resume()),
        (["resume", "{run}", "steps=5"], lambda path: gan_lab.load(path).resume(steps=5)),
        (["compare", "nowhere"], lambda path: gan_lab.compare(["nowhere"])),
        (["compare", "."], lambda path: gan_lab.compare(".")),
    ],
)
def test_bad_input_is_refused_in_the_commands_sentence(command, program, trained, capsys):
    path = trained("ring")
    assert main(*[word.format(run=path) for word in command]) == 2
    said = re.sub(r"\d+(\.\d+)? [GMK]iB|n=\d+ or", "#", capsys.readouterr().err)  # free memory
    with pytest.raises(gan_lab.ConfigError) as caught:
        program(path)
    text = re.sub(r"\d+(\.\d+)? [GMK]iB|n=\d+ or", "#", " ".join(str(caught.value).split()))
    assert f"ConfigError: {text}\n" == said


# In a notebook


def test_a_notebook_shows_the_last_picture_and_the_table():
    run = gan_lab.train(*RING, steps=4, trainer__image_every=2, output="a<b>&c")
    shown = run._repr_html_()
    assert "a&lt;b&gt;&amp;c: seed 0, done at step 4" in shown
    pictures = sorted((run.path / "samples").glob("step_*.png"))
    assert len(pictures) >= 2
    (data,) = re.findall(r'src="data:image/png;base64,([^"]+)"', shown)
    assert base64.b64decode(data) == pictures[-1].read_bytes()
    assert shown.endswith(run.evaluate()._repr_html_())


def test_a_notebook_shows_a_run_without_pictures_or_numbers(trained):
    home = shutil.copytree(trained("ring"), Path("run"))
    status = json.loads(RunDir(home).status.read_text())
    del status["final"]
    RunDir(home).status.write_text(json.dumps({**status, "state": "interrupted"}))
    shown = gan_lab.TrainedRun(home)._repr_html_()
    assert re.fullmatch(r"<p>[^<]*run: seed 0, interrupted at step 8</p>", shown)
    assert repr(gan_lab.TrainedRun(home)) == f"TrainedRun('{home}')"
