"""The evaluator's classifier of images: the same bits, kept once, and trained anew when damaged."""

import shutil
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch

from gan_lab.data import classifier
from gan_lab.data.base import TensorSource
from gan_lab.data.class_modes import ClassifierModes, class_modes
from gan_lab.data.image_network import network_shape, shrink
from gan_lab.data.mnist_5k import Mnist5k
from tests.helpers import CPU, seeded


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache, and trainings of three steps."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(classifier, "_STEPS", 3)
    return tmp_path / "gan_lab" / "classifiers"


def images(n, shape, seed):
    return torch.rand(n, *shape, generator=seeded(seed)) * 2 - 1


def labelled(shape=(1, 16, 16), n_classes=3, n=60, seed=0):
    labels = torch.arange(n) % n_classes
    held_out = torch.arange(30) % n_classes
    parts = [images(size, shape, seed + i) for i, size in enumerate((n, 20, 30))]
    source = TensorSource(*parts, CPU, train_labels=labels, held_out_labels=held_out)
    source.modes = class_modes(source)
    return source


@pytest.fixture(scope="module")
def mnist():
    return Mnist5k().open(CPU)


def test_digits_are_classified_as_well_as_the_prototype_was(mnist):
    trained = mnist.modes.classifier
    assert 0.975 <= trained.accuracy <= 0.995
    batch = mnist.take("held_out", torch.arange(1000))
    labels, is_confident = mnist.modes.classify(batch)
    assert float((labels == mnist.held_out_labels).double().mean()) == trained.accuracy
    # By the definition of the limit 95 %, but for one image on it.
    assert 0.95 <= float(is_confident.double().mean()) <= 0.952
    legible = float(trained.extract(batch).is_legible.double().mean())
    assert 0.97 <= legible < 1.0


def test_two_trainings_give_the_same_bits_with_any_number_of_threads(cache, monkeypatch, tmp_path):
    source, threads = labelled(), torch.get_num_threads()
    before = torch.random.get_rng_state()
    first = classifier.load_classifier(source)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "other"))
    torch.set_num_threads(2)
    try:
        with torch.inference_mode():
            second = classifier.load_classifier(source)
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(threads)
    assert first.digest == second.digest
    assert first.confidence_limit == second.confidence_limit
    assert torch.equal(torch.random.get_rng_state(), before)


def test_what_is_kept_is_what_was_trained(cache, monkeypatch, capsys):
    source = labelled()
    trained = classifier.load_classifier(source)
    assert (
        "training the classifier of the evaluator, once for these data: 3 classes, 60 images"
        in capsys.readouterr().err
    )
    monkeypatch.setattr(classifier, "_train", lambda data: pytest.fail("it is kept"))
    kept = classifier.load_classifier(source)
    batch = source.take("held_out", torch.arange(30))
    assert torch.equal(trained.extract(batch).logits, kept.extract(batch).logits)
    assert torch.equal(trained.extract(batch).pooled, kept.extract(batch).pooled)
    assert kept.record() == trained.record()
    assert not capsys.readouterr().err


def test_other_data_have_another_classifier(cache):
    digests = {classifier.load_classifier(labelled(seed=seed)).digest for seed in (0, 10)}
    assert len(digests) == len(list(cache.glob("*.pt"))) == 2


@pytest.mark.parametrize("damage", ["cut", "changed", "other"])
def test_a_damaged_file_is_trained_anew_and_said_so(cache, capsys, damage):
    source = labelled()
    digest = classifier.load_classifier(source).digest
    (file,) = cache.glob("*.pt")
    content = torch.load(file, weights_only=True)
    if damage == "cut":
        file.write_bytes(file.read_bytes()[:1000])
    elif damage == "changed":
        content["weights"]["outputs.bias"] += 1
        torch.save(content, file)
    else:
        torch.save({"weights": 1}, file)
    capsys.readouterr()
    assert classifier.load_classifier(source).digest == digest
    lines = capsys.readouterr().err.splitlines()
    assert f"{file} is damaged" in lines[0]
    assert sum("training the classifier" in line for line in lines) == 1
    assert classifier.load_classifier(source).digest == digest
    assert not capsys.readouterr().err


def test_a_file_under_the_name_of_other_data_is_not_taken(cache, capsys):
    classifier.load_classifier(labelled())
    (file,), other = cache.glob("*.pt"), classifier._read(labelled(seed=10))
    assert classifier._load(file, classifier._read(labelled())) is not None
    renamed = file.rename(cache / f"{other.digest}.pt")
    capsys.readouterr()
    assert classifier._load(renamed, other) is None
    error = capsys.readouterr().err
    assert "it is of other data than its name says); the classifier is trained anew" in error


def test_where_nothing_can_be_kept_it_is_trained_for_this_process(cache, capsys):
    cache.parent.parent.mkdir(exist_ok=True)
    cache.parent.write_text("a file where the folder should be")
    assert 0 <= classifier.load_classifier(labelled()).accuracy <= 1
    assert "not kept for the next run" in capsys.readouterr().err


@pytest.mark.parametrize("place", ["a folder for its lock", "no place for files"])
def test_where_no_lock_can_be_made_it_is_trained_without_one(cache, place):
    trained = classifier.load_classifier(labelled())
    (file,) = cache.glob("*.pt")
    file.unlink()
    if place == "no place for files":
        shutil.rmtree(cache)
        cache.symlink_to("/proc")  # where a file cannot be made, whoever asks
    else:
        file.with_suffix(".lock").unlink()
        file.with_suffix(".lock").mkdir()
    assert classifier.load_classifier(labelled()).digest == trained.digest


def test_of_two_that_need_it_at_once_one_trains(cache, monkeypatch, capsys):
    train, n_trainings = classifier._train, []

    def slow_train(data):
        n_trainings.append(1)
        time.sleep(0.3)
        return train(data)

    monkeypatch.setattr(classifier, "_train", slow_train)
    # A lock of a file keeps out another thread just as it does another process.
    with ThreadPoolExecutor(2) as pool:
        both = list(pool.map(classifier.load_classifier, [labelled(), labelled()]))
    assert len(n_trainings) == 1
    assert both[0].digest == both[1].digest
    assert capsys.readouterr().err.count("waiting for another process") == 1


@pytest.mark.parametrize(
    ("shape", "n_classes", "seen"),
    [
        ((1, 16, 16), 2, (16, 16)),
        ((3, 28, 28), 10, (28, 28)),
        ((3, 33, 47), 1, (16, 22)),
        ((4, 128, 128), 1000, (32, 32)),
        ((1, 17, 100), 5, (16, 24)),
    ],
    ids=str,
)
def test_any_size_channels_and_number_of_classes(cache, shape, n_classes, seen):
    source = labelled(shape, n_classes, n=max(60, n_classes))
    assert network_shape(shape) == (shape[0], *seen)
    assert isinstance(source.modes, ClassifierModes)
    batch = source.take("held_out", torch.arange(7))
    features = source.modes.classifier.extract(batch)
    assert features.last.shape == (7, 64)
    assert features.pooled.shape == (7, 16 + 32 + 64)
    assert features.log_probabilities.shape == (7, n_classes)
    totals = features.log_probabilities.exp().sum(1)
    torch.testing.assert_close(totals, torch.ones(7), atol=1e-5, rtol=0)
    labels, is_confident = source.modes.classify(batch)
    assert labels.dtype == torch.int64
    assert is_confident.dtype == torch.bool
    assert 0 <= int(labels.min()) <= int(labels.max()) < n_classes == len(source.modes.weights)


def test_images_are_shrunk_by_averages():
    batch = images(2, (3, 64, 64), seed=1)
    small = shrink(batch)
    assert small.shape == (2, 3, 32, 32)
    means = batch.reshape(2, 3, 32, 2, 32, 2).mean((3, 5))
    torch.testing.assert_close(small, means, atol=1e-6, rtol=0)
    assert shrink(small) is small


def test_each_layer_weighs_the_same_in_pooled_features(cache):
    source = labelled()
    train = source.take("train", torch.arange(60))
    variances = source.modes.classifier.extract(train).pooled.var(0, unbiased=False)
    for layer in variances.split([16, 32, 64]):
        assert float(layer.sum()) == pytest.approx(1.0, abs=1e-4)


def test_samples_that_change_in_place_have_new_features(cache):
    extract = classifier.load_classifier(labelled()).extract
    batch = images(4, (1, 16, 16), seed=2)
    first = extract(batch)
    assert extract(batch) is first
    batch.mul_(0.5)
    changed = extract(batch)
    assert not torch.equal(changed.last, first.last)
    with torch.inference_mode():  # such tensors do not count their changes
        assert torch.equal(extract(batch * 1).last, changed.last)
        assert torch.equal(extract(batch * 2).last, first.last)


def test_points_and_small_images_keep_the_nearest_training_sample():
    for shape in ((2,), (1, 8, 8), (1, 15, 40)):
        source = labelled(shape)
        assert not isinstance(source.modes, ClassifierModes)
        train = source.take("train", torch.arange(60))
        labels, is_near = source.modes.classify(train)
        assert torch.equal(labels, source.train_labels)
        assert bool(is_near.all())
