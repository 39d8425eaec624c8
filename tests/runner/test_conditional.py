"""A conditional run by the command line: grids by class, samples of one, fork, export, compare."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import gan_lab
from tests.helpers import CHEAP, load_checkpoint, main, rows, train

DIGITS = ("data=digits", "network.width=16", *CHEAP, "trainer.steps=2", "trainer.image_every=2")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    home = tmp_path_factory.mktemp("runs")
    return train(home / "run", *DIGITS, "network.conditional=true")


def size_of(picture):
    with Image.open(picture) as image:
        return tuple(round((side - 2) / 66) for side in image.size)


def test_pictures_have_a_row_a_class_and_rows_have_the_accuracy(run):
    assert size_of(run / "samples" / "step_00000002.png") == (6, 10)  # columns, rows
    assert size_of(run / "real.png") == (6, 10)
    last = rows(run)[-1]
    assert 0 <= last["final/conditional/accuracy"] <= 1
    assert 0.8 < last["final/conditional/accuracy_floor"] <= 1


def test_samples_are_of_the_class_that_is_asked_for(run, workdir, capsys):
    assert main("sample", run, "output=all.npy") == 0
    assert np.load("all.npy").shape == (80, 1, 8, 8)
    assert size_of("all.png") == (8, 10)
    assert main("sample", run, "class=3", "n=5", "output=three.npy") == 0
    loaded = gan_lab.load(run)
    np.testing.assert_array_equal(np.load("three.npy"), loaded.samples(5, label=3))
    assert not np.array_equal(loaded.samples(5, label=3), loaded.samples(5, label=4))
    assert main("sample", run, "n=5", "output=five.npy") == 0
    np.testing.assert_array_equal(np.load("five.npy"), loaded.samples(5))
    assert main("sample", run, "interpolate=3", "class=1", "output=paths.npy") == 0
    assert np.load("paths.npy").shape == (3, 3, 1, 8, 8)
    capsys.readouterr()
    assert main("sample", run, "class=10") == 2
    assert "take 0 to 9" in capsys.readouterr().err


def test_a_run_without_classes_refuses_one(tmp_path, capsys):
    plain = train(tmp_path / "plain", *DIGITS, "trainer.steps=1")
    assert main("sample", plain, "class=3") == 2
    assert "leave class out" in capsys.readouterr().err
    with pytest.raises(gan_lab.ConfigError, match="no classes"):
        gan_lab.load(plain).samples(2, label=1)
    assert main("fork", plain, "network.conditional=true", f"output={tmp_path / 'fork'}") == 2
    assert "network.conditional is False there and True here" in capsys.readouterr().err


@pytest.mark.slow
def test_its_networks_evaluate_fork_export_and_compare(run, tmp_path, capsys):
    loaded = gan_lab.load(run)
    labels = torch.eye(10)
    images = loaded.generator(torch.cat([torch.zeros(10, loaded.latent_dim), labels], 1))
    assert loaded.discriminator(images, labels).shape == (10,)
    estimates = loaded.evaluate()
    final = json.loads((run / "status.json").read_text())["final"]
    assert estimates["conditional/accuracy"].value == final["conditional/accuracy"]["value"]
    assert main("fork", run, "loss=hinge", "steps=4", f"output={tmp_path / 'fork'}") == 0
    assert load_checkpoint(tmp_path / "fork")["step"] == 4
    assert main("export", run, "format=safetensors", f"output={tmp_path / 'g.safetensors'}") == 0
    assert main("compare", run, tmp_path / "fork", f"output={tmp_path / 'page'}") == 0
    # Both seeds of a stacked run have the networks of their solo runs.
    both = train(tmp_path / "both", *DIGITS, "network.conditional=true", "n_seeds=2")
    state = load_checkpoint(both)["state"]["discriminator"]["params"]
    solo = load_checkpoint(run)["state"]["discriminator"]["params"]
    for name, leaf in solo.items():
        torch.testing.assert_close(state[name][0], leaf, rtol=1e-4, atol=1e-5, msg=name)
