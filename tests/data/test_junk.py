"""Images of no class: each kind keeps what it says it keeps."""

import pytest
import torch

from gan_lab.data import junk
from gan_lab.data.junk import augment
from tests.helpers import seeded

SHAPE = (12, 3, 28, 20)


def real(seed=0, n=SHAPE[0]):
    return torch.rand(n, *SHAPE[1:], generator=seeded(seed)) * 2 - 1


def test_as_many_come_back_in_the_same_range_whatever_the_number():
    for n in (6, 7, 32):
        batch, labels = real(n=n), torch.zeros(n).long()
        first, second = (
            junk.junk(batch, labels, lambda labels: real(1, len(labels)), seeded(2))
            for _ in range(2)
        )
        assert first.shape == batch.shape
        assert float(first.abs().max()) <= 1
        assert torch.equal(first, second)


def test_a_shuffle_keeps_every_pixel_and_moves_most():
    batch = real()
    shuffled = junk._shuffles(batch, seeded(3))
    torch.testing.assert_close(
        shuffled.flatten(2).sort(2).values, batch.flatten(2).sort(2).values, atol=0, rtol=0
    )
    assert 0.4 < float((shuffled != batch).double().mean()) <= 1


def test_half_of_an_image_stays_and_half_is_background_or_of_another():
    batch, others = real(), real(1)
    mixed = junk._halves(batch, others, seeded(4))
    own, other = mixed == batch, mixed == others
    blank = mixed == batch[:, :, :1, :1]
    assert bool((own | other | blank).all())
    assert 0.4 < float(own.double().mean()) < 0.6
    assert 0.1 < float(other.double().mean()) < 0.4


def test_blobs_have_mean_and_covariance_of_the_data():
    base = 0.2 * torch.randn(40, 2, 1, 1, generator=seeded(5)) @ torch.ones(1, 2)
    blobs = junk._blobs(base, 200_000, seeded(6)).flatten(1)
    points = base.flatten(1)
    torch.testing.assert_close(blobs.mean(0), points.mean(0), atol=2e-3, rtol=0)
    truth = torch.cov(points.T, correction=0)
    torch.testing.assert_close(torch.cov(blobs.T), truth, atol=1e-3, rtol=0)


def test_augmentation_is_mild_and_leaves_a_constant_image_alone():
    constant = torch.full((5, 1, 28, 28), 0.3)
    torch.testing.assert_close(augment(constant, seeded(7)), constant, atol=1e-6, rtol=0)
    spot = torch.full((200, 1, 28, 28), -1.0)
    spot[:, :, 13:15, 13:15] = 1.0
    moved = augment(spot, seeded(8)).add(1).mean(dim=1)
    place = torch.arange(28.0)
    rows = (moved.sum(2) * place).sum(1) / moved.sum((1, 2))
    assert float((rows - 13.5).abs().max()) < 2.5
    assert 0.5 < float(rows.std()) < 1.5


@pytest.mark.parametrize("strength", [0.0, 0.3])
def test_a_wobble_of_strength_0_changes_nothing(strength):
    batch = real()
    change = float((junk._wobble(batch, strength, 5, seeded(9)) - batch).abs().max())
    assert (change < 1e-4) == (strength == 0)
