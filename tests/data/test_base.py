"""The two kinds of source: what a ticket is, with and without replacement, exact bytes."""

import pytest
import torch
from scipy import stats

from gan_lab.data.base import TensorSource
from gan_lab.data.toy import Ring
from gan_lab.data.validation import n_validation_of, split
from gan_lab.errors import ConfigError
from tests.helpers import CPU, seeded


def numbered():
    """0 to 49 to train on, 50 to 69 held out, 70 to 84 for validation."""
    rows = torch.arange(85, dtype=torch.float32)[:, None]
    return TensorSource(rows[:50], rows[70:], rows[50:70], CPU)


def test_draw_is_uniform_with_replacement():
    tickets = numbered().draw(20000, seeded())
    counts = torch.bincount(tickets, minlength=50)
    assert counts.shape == (50,)
    p = stats.chisquare(counts.numpy()).pvalue
    # Two sides: neither biased nor suspiciously even (a permutation repeated has p = 1).
    assert 1e-4 < p < 1 - 1e-4
    assert len(numbered().draw(50, seeded()).unique()) < 50


def test_each_part_is_a_permutation_when_all_of_it_is_asked_for():
    source = numbered()
    assert sorted(source.real(50, seeded())[:, 0].tolist()) == list(range(50))
    assert sorted(source.held_out(20, seeded())[:, 0].tolist()) == list(range(50, 70))
    assert sorted(source.validation(15, seeded())[:, 0].tolist()) == list(range(70, 85))
    assert torch.equal(source.gather_validation(torch.arange(15))[:, 0], torch.arange(70.0, 85.0))
    assert len(source.real(30, seeded()).unique()) == 30
    assert not torch.equal(source.real(50, seeded(1)), source.real(50, seeded(2)))
    assert torch.equal(source.real(50, seeded(1)), source.real(50, seeded(1)))


@pytest.mark.parametrize("which", ["real", "validation", "held_out"])
def test_more_samples_than_exist_are_refused_with_both_numbers(which):
    source = numbered()
    n = {"real": 50, "validation": 15, "held_out": 20}[which] + 1
    with pytest.raises(ConfigError, match=rf"{n} .* has {n - 1}"):
        getattr(source, which)(n, seeded())


@pytest.mark.parametrize("lead", [(), (64,), (5, 64), (2, 5, 64)])
def test_gather_keeps_every_leading_shape(lead):
    train = torch.randint(0, 256, (30, 3, 4, 4), dtype=torch.uint8, generator=seeded())
    source = TensorSource(train, train[:5], train[:5], CPU)
    tickets = torch.randint(30, lead, generator=seeded(1))
    samples = source.gather(tickets)
    assert samples.shape == (*lead, 3, 4, 4)
    assert samples.dtype == torch.float32
    flat = samples.reshape(-1, 3, 4, 4)
    for ticket, sample in zip(tickets.reshape(-1)[:10], flat[:10], strict=True):
        torch.testing.assert_close(sample, train[ticket].float() / 127.5 - 1)


def test_bytes_become_minus_one_and_one_exactly_and_come_back():
    train = torch.arange(256, dtype=torch.uint8).reshape(256, 1, 1, 1)
    source = TensorSource(train, train, train, CPU)
    values = source.gather(torch.arange(256)).flatten()
    assert values[0].item() == -1.0
    assert values[255].item() == 1.0
    assert bool((values.diff() > 0).all())
    assert torch.equal(((values + 1) * 127.5).round().to(torch.uint8), train.flatten())


def test_a_set_is_float32_or_uint8_of_one_shape():
    with pytest.raises(ValueError, match="float64"):
        TensorSource(*[torch.zeros(3, 1).double()] * 3, CPU)
    one, other = torch.zeros(3, 1), torch.zeros(3, 2)
    with pytest.raises(ValueError, match="training and held-out samples differ"):
        TensorSource(one, one, other, CPU)
    with pytest.raises(ValueError, match="training and validation samples differ"):
        TensorSource(one, other, one, CPU)


def test_a_ticket_of_a_distribution_is_the_sample():
    source = Ring().open(CPU)
    tickets = source.draw(64, seeded())
    assert torch.equal(source.gather(tickets), tickets)
    assert torch.equal(tickets, source.real(64, seeded()))
    assert source.n_held_out is source.n_validation is None
    assert source.held_out(10_000, seeded()).shape == (10_000, 2)
    # The same numbers of the same stream: a curve on a distribution does not know the parts.
    assert torch.equal(source.validation(64, seeded()), source.held_out(64, seeded()))


@pytest.mark.parametrize(
    ("asked", "n_left", "most", "got"),
    [(None, 1297, 256, 256), (None, 297, 256, 59), (None, 60_000, 1000, 1000), (None, 3, 9, 1)],
)
def test_a_fifth_at_most_is_for_validation_unless_a_number_is_typed(asked, n_left, most, got):
    assert n_validation_of(asked, n_left, most) == got
    assert n_validation_of(700, n_left, most) == 700


@pytest.mark.parametrize(("n", "n_held_out", "n_validation"), [(100, 30, 14), (10, 3, 0)])
def test_a_split_is_disjoint_and_complete_and_its_held_out_part_fixed(n, n_held_out, n_validation):
    parts = split(n, n_held_out, n_validation, 5, "a set")
    assert [len(p) for p in parts] == [n - n_held_out - n_validation, n_validation, n_held_out]
    assert sorted(torch.cat(parts).tolist()) == list(range(n))
    assert torch.equal(parts.held_out, split(n, n_held_out, 1, 5, "a set").held_out)
    assert not torch.equal(parts.held_out, split(n, n_held_out, 1, 6, "a set").held_out)


@pytest.mark.parametrize("n_validation", [7, 8])
def test_a_validation_part_that_leaves_nothing_to_train_on_is_refused(n_validation):
    with pytest.raises(ConfigError, match=rf"7 samples .*of which {n_validation} .*validation=1"):
        split(10, 3, n_validation, 0, "a set")
