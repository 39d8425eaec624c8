"""The generator by itself: its averaged module, and paths between noises."""

import math

import pytest
import torch

from gan_lab.data.digits import Digits
from gan_lab.networks import Dcgan, Mlp
from gan_lab.runner.generator import averaged_generator, latent_paths, slerp
from tests.helpers import normal, seeded, small_run


def between(start, end, n=9):
    """The points of a path at n equal steps, [n, *lead, d]."""
    weights = torch.linspace(0, 1, n, dtype=start.dtype)
    return torch.stack([slerp(start, end, t.expand(start.shape[:-1])) for t in weights])


def test_a_path_begins_and_ends_at_its_ends_exactly():
    start, end = normal(5, 16, seed=1, dtype=torch.float32), normal(5, 16, dtype=torch.float32)
    path = between(start, end)
    assert torch.equal(path[0], start)
    assert torch.equal(path[-1], end)


def test_between_equal_norms_the_norm_is_constant_and_the_angle_grows_evenly():
    start, end = (3 * torch.nn.functional.normalize(normal(4, 8, seed=s), dim=-1) for s in (1, 2))
    path = between(start, end)
    torch.testing.assert_close(path.norm(dim=-1), torch.full((9, 4), 3.0, dtype=torch.float64))
    turns = torch.nn.functional.cosine_similarity(path[1:], path[:-1], dim=-1).acos()
    torch.testing.assert_close(turns, turns[:1].expand_as(turns), rtol=1e-6, atol=1e-9)


def test_a_quarter_circle_passes_through_its_diagonal():
    start, end = torch.eye(2, dtype=torch.float64)
    middle = slerp(start, end, torch.tensor(0.5))
    torch.testing.assert_close(middle, torch.full((2,), math.sqrt(0.5), dtype=torch.float64))


@pytest.mark.parametrize("factor", [1.0, 2.0, -1.0])
def test_vectors_on_one_line_are_interpolated_linearly(factor):
    start = normal(3, 4)
    middle = slerp(start, factor * start, torch.full((3,), 0.5))
    torch.testing.assert_close(middle, (1 + factor) / 2 * start)


def test_normal_z_keep_their_norm_which_a_straight_line_would_halve_in_square():
    d = 4096
    start, end = normal(2, d)
    middle = slerp(start, end, torch.tensor(0.5))
    assert float(middle.norm()) == pytest.approx(math.sqrt(d), rel=0.05)
    assert float((start + end).norm() / 2) == pytest.approx(math.sqrt(d / 2), rel=0.05)


def test_paths_lead_from_one_draw_to_another():
    paths, z = latent_paths(3, 5, seeded()), torch.randn((2, 3, 5), generator=seeded())
    assert paths.shape == (3, 3, 5)
    assert torch.equal(paths[:, 0], z[0])
    assert torch.equal(paths[:, -1], z[1])


@pytest.mark.parametrize("seeds", [(0,), (3, 4)], ids=["one seed", "stacked"])
@pytest.mark.parametrize(
    "network",
    [Mlp(2, 8, 2, generator_norm="batch"), Dcgan(3, 4)],
    ids=["mlp", "dcgan"],
)
def test_the_averaged_module_makes_the_samples_of_the_run(network, seeds):
    data = Digits() if isinstance(network, Dcgan) else None
    run = small_run(data=data, network=network, seeds=seeds)
    for leaf in run.state.average.values():  # away from what the networks are initialised with
        leaf.copy_(torch.rand(leaf.shape, generator=seeded(1)) + 0.5)
    z = torch.randn(6, network.latent_dim, generator=seeded(2))
    for index in range(len(seeds)):
        module = averaged_generator(run, index)
        torch.testing.assert_close(module(z), run.samples(index, z), rtol=0, atol=0)
        assert not any(leaf.requires_grad for leaf in module.parameters())
    if len(seeds) > 1:
        assert not torch.equal(averaged_generator(run, 0)(z), module(z))
