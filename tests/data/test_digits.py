"""The bundled digits: a fixed split, the right values, and triples of them."""

import pytest
import torch

from gan_lab.data.digits import Digits, StackedDigits
from gan_lab.errors import ConfigError
from tests.helpers import CPU, refused, seeded


def rows(images):
    return {tuple(image.flatten().tolist()) for image in images}


def test_the_split_is_disjoint_complete_and_as_large_as_said():
    from sklearn.datasets import load_digits

    source = Digits().open(CPU)
    assert (source.n_train, source.n_validation, source.n_held_out) == (1041, 256, 500)
    assert source.shape == (1, 8, 8)
    train, validation = source.real(1041, seeded()), source.validation(256, seeded())
    held_out = source.held_out(500, seeded())
    assert train.dtype == validation.dtype == torch.float32
    # The 1797 digits are all different, so sets count them: three parts that sum to all of them
    # are disjoint.
    parts = [rows(train), rows(validation), rows(held_out)]
    assert [len(part) for part in parts] == [1041, 256, 500]
    every = torch.tensor(load_digits().images).float() / 8 - 1
    assert set.union(*parts) == rows(every)
    assert (train.min().item(), train.max().item()) == (-1.0, 1.0)
    assert set(((train + 1) * 8).unique().tolist()) == set(range(17))


def test_labels_belong_to_their_digits():
    from sklearn.datasets import load_digits

    bunch, source = load_digits(), Digits().open(CPU)
    images = torch.tensor(bunch.images).float() / 8 - 1
    label_of = dict(zip(map(tuple, images.flatten(1).tolist()), bunch.target.tolist(), strict=True))
    train = source.gather(torch.arange(source.n_train))
    held_out = source.gather_held_out(torch.arange(source.n_held_out))
    for x, labels in ((train, source.train_labels), (held_out, source.held_out_labels)):
        assert [label_of[tuple(row)] for row in x.flatten(1).tolist()] == labels.tolist()


def test_the_split_depends_on_its_own_seed_only():
    torch.manual_seed(1)
    first = Digits().open(CPU)
    torch.manual_seed(2)
    again, other = Digits().open(CPU), Digits(split_seed=1).open(CPU)
    for part, n in (("gather", 1041), ("gather_validation", 256)):
        one, same, changed = (
            getattr(each, part)(torch.arange(n)) for each in (first, again, other)
        )
        assert torch.equal(one, same)
        assert not torch.equal(one, changed)


@pytest.mark.parametrize(
    ("changed", "sizes"),
    [({"n_held_out": 1500}, (238, 59, 1500)), ({"n_validation": 20}, (1277, 20, 500))],
)
def test_a_fifth_of_what_is_left_is_for_validation_or_what_was_typed(changed, sizes):
    source = Digits(**changed).open(CPU)
    assert (source.n_train, source.n_validation, source.n_held_out) == sizes


def test_three_channels_are_three_independent_digits_of_the_single_source():
    source = StackedDigits().open(CPU)
    assert source.shape == (3, 8, 8)
    tickets = source.draw(320, seeded())
    assert tickets.shape == (320, 3)
    samples = source.gather(tickets.view(5, 64, 3))
    assert samples.shape == (5, 64, 3, 8, 8)
    channels = source.single.gather(tickets).view(5, 64, 3, 8, 8)
    assert torch.equal(samples, channels)
    # Independent: two channels agree as often as chance has it, 320 / 1041 times on average.
    assert (tickets[:, 0] == tickets[:, 1]).sum().item() <= 5


def test_held_out_combinations_use_held_out_digits_only_and_never_run_out():
    source = StackedDigits().open(CPU)
    assert source.n_held_out is source.n_validation is None
    held_out, validation = source.held_out(2000, seeded()), source.validation(2000, seeded())
    assert held_out.shape == validation.shape == (2000, 3, 8, 8)
    train = rows(source.single.gather(torch.arange(1041)))
    singles, choosing = (rows(x.reshape(-1, 1, 8, 8)) for x in (held_out, validation))
    assert singles.isdisjoint(train | choosing)
    assert choosing.isdisjoint(train)
    assert (len(singles), len(choosing)) == (500, 256)
    real = source.real(2000, seeded())
    assert rows(real.reshape(-1, 1, 8, 8)) <= train
    assert torch.equal(held_out, source.held_out(2000, seeded()))


@pytest.mark.parametrize("data", [Digits, StackedDigits])
def test_a_split_that_leaves_nothing_is_refused(data):
    refused(data(n_held_out=1797), "1797 samples, of which 1797 would be held out")
    refused(data(n_held_out=1796), "1 samples that are not held out, of which 1 would be")
    with pytest.raises(ConfigError, match=r"data.n_held_out must be a whole number of at least 1"):
        data(n_held_out=0)
    with pytest.raises(ConfigError, match=r"data.n_validation must be a whole number"):
        data(n_validation=0)
    assert data(n_held_out=1795).open(CPU).shape[-2:] == (8, 8)


def test_of_held_out_digits_95_percent_are_of_high_quality_and_of_noise_none():
    source = Digits().open(CPU)
    digits = source.held_out(500, seeded())
    _, is_good = source.modes.classify(digits)
    assert is_good.double().mean().item() == pytest.approx(0.95, abs=0.002)  # one of 500
    noise = 2 * torch.rand(digits.shape, generator=seeded()) - 1
    assert not source.modes.classify(noise)[1].any()
